//! The sessions on one side.
//!
//! Decides how many there are, that each statement has a short read-only transaction of its own (a long snapshot would
//! hold back vacuum), and what happens to a session that is lost: another takes its place, a bounded number of times,
//! and the statement is asked again. Never keeps more of an answer than the byte budget lets through.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{sleep, timeout},
};
use tokio_postgres::{
    Row,
    types::{FromSql, ToSql, Type},
};

use super::super::{Asking, options, reading, trouble::Trouble};
use crate::postgres::{
    ConnectCause, ConnectError, ConnectOptions, ErrorClass, Fault, Limits, Session, Target,
};

/// How often a statement is asked again after its session was lost, in a row.
const TRIES: u32 = 10;
/// How often it is asked again after it could not have a lock.
const LOCK_TRIES: u32 = 2;
/// The pause before the first of them; each next one is twice as long, up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How much longer than the server's own timeout an answer is awaited: a server that is gone says nothing.
const GRACE: Duration = Duration::from_secs(5);
/// What the values' text and the plan may not depend on, and that hidden rows are an error instead of absent.
const FRAME: &str = "SET LOCAL row_security = off; SET LOCAL lc_monetary = 'C'; SET LOCAL xmloption = content; \
     SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0";

/// Why a statement has no answer.
#[derive(Debug, Clone)]
pub(super) enum Loss {
    /// The whole side can't be asked.
    Side(Trouble),
    /// The server refuses this statement, on the side of that name.
    Statement(&'static str, Fault),
}

/// One side's sessions.
pub(super) struct Server<'a> {
    /// `legacy` or `candidate`.
    pub(super) name: &'static str,
    target: &'a Target,
    asking: &'a Asking<'a>,
    permits: Semaphore,
    idle: Mutex<Vec<Held>>,
    /// Sessions that there are, idle or not.
    held: Arc<AtomicUsize>,
    was_reached: AtomicBool,
    last_fault: Mutex<Option<String>>,
}

/// A session, counted as long as it is there.
struct Held {
    session: Session,
    count: Arc<AtomicUsize>,
}

impl Held {
    fn new(session: Session, count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self { session, count: Arc::clone(count) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why one attempt failed: while connecting, or in a session.
enum Failed {
    Connect(ConnectError),
    Session(Fault),
}

impl<'a> Server<'a> {
    pub(super) fn new(
        name: &'static str,
        target: &'a Target,
        asking: &'a Asking<'a>,
        connections: usize,
    ) -> Self {
        Self {
            name,
            target,
            asking,
            permits: Semaphore::new(connections),
            idle: Mutex::new(Vec::new()),
            held: Arc::new(AtomicUsize::new(0)),
            was_reached: AtomicBool::new(false),
            last_fault: Mutex::new(None),
        }
    }

    /// What has gone wrong last, for whoever runs out of time.
    pub(super) fn last_fault(&self) -> Option<String> {
        self.last_fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All rows of a statement whose parameters are texts. `limit` is the longest that it may run.
    pub(super) async fn rows(
        &self,
        sql: &str,
        parameters: &[String],
        limit: Duration,
    ) -> Result<Vec<Row>, Loss> {
        // The semaphore is never closed, so there is always a permit.
        let mut permit = self.permits.acquire().await.ok();
        let mut pause = PAUSE;
        let mut tries = 0;
        loop {
            let failed = match self.attempt(sql, parameters, limit).await {
                Ok(rows) => return Ok(rows),
                Err(failed) => failed,
            };
            self.remember(&failed);
            if is_full(&failed) && self.held.load(Ordering::Relaxed) > 0 {
                // There is no room for one more: from now on it is done with those that there are.
                permit.take().into_iter().for_each(SemaphorePermit::forget);
                permit = self.permits.acquire().await.ok();
                continue;
            }
            if tries >= self.patience(&failed) {
                return Err(self.loss(failed));
            }
            tries += 1;
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn attempt(&self, sql: &str, parameters: &[String], limit: Duration) -> Result<Vec<Row>, Failed> {
        let held = if let Some(held) = self.take() {
            held
        } else {
            let session = Session::connect(self.target, &self.options()).await;
            Held::new(session.map_err(Failed::Connect)?, &self.held)
        };
        let session = &held.session;
        self.was_reached.store(true, Ordering::Relaxed);
        let limit = limit.min(self.asking.left());
        let answer = timeout(limit + GRACE, ask(session, sql, parameters, limit)).await;
        // A session that said nothing is not used again.
        let answer = answer.map_err(|_| Failed::Session(Fault::local(ErrorClass::Connection)))?;
        let is_over = timeout(GRACE, session.client().batch_execute("ROLLBACK")).await;
        if matches!(is_over, Ok(Ok(()))) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(held);
        }
        answer.map_err(Failed::Session)
    }

    fn options(&self) -> ConnectOptions {
        options("check", self.asking.timeout)
    }

    fn take(&self) -> Option<Held> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(held) = idle.pop() {
            if !held.session.is_closed() {
                return Some(held);
            }
        }
        None
    }

    fn remember(&self, failed: &Failed) {
        let text = match failed {
            Failed::Connect(error) => error.to_string(),
            Failed::Session(fault) => fault.to_string(),
        };
        tracing::debug!(side = self.name, fault = %text, "a statement of the data check has no answer");
        *self.last_fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    /// How often it may help to ask again. A side that was never reached is not waited for: it may be the wrong address.
    fn patience(&self, failed: &Failed) -> u32 {
        if !self.was_reached.load(Ordering::Relaxed) {
            return 0;
        }
        match failed {
            Failed::Session(fault) => patience(fault.class),
            Failed::Connect(error) => match &error.cause {
                ConnectCause::TimedOut(_)
                | ConnectCause::NameNotFound
                | ConnectCause::Refused
                | ConnectCause::Unreachable
                | ConnectCause::BrokenOff => TRIES,
                ConnectCause::Server(fault) => patience(fault.class),
                _ => 0,
            },
        }
    }

    fn loss(&self, failed: Failed) -> Loss {
        match failed {
            Failed::Connect(error) => Loss::Side(Trouble::from(error).about(self.name)),
            Failed::Session(fault) if is_of_the_side(fault.class) => {
                Loss::Side(Trouble::error(fault.to_string()).about(self.name))
            }
            Failed::Session(fault) => Loss::Statement(self.name, fault),
        }
    }
}

/// One statement in its transaction, which stays open.
async fn ask(
    session: &Session,
    sql: &str,
    parameters: &[String],
    limit: Duration,
) -> Result<Vec<Row>, Fault> {
    session.refill_budget();
    let limits = Limits {
        read_only: true,
        statement_timeout: limit,
        lock_timeout: reading::LOCK_TIMEOUT,
        idle_in_transaction_timeout: limit,
    };
    let begin = format!("{}; {FRAME}", reading::begin(&limits));
    session.client().batch_execute(&begin).await.map_err(|error| session.explain(&error))?;
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
        parameters.iter().map(|text| (text as &(dyn ToSql + Sync), Type::TEXT)).collect();
    session.client().query_typed(sql, &parameters).await.map_err(|error| session.explain(&error))
}

/// Whether the server has no room for one more session.
fn is_full(failed: &Failed) -> bool {
    let Failed::Connect(error) = failed else {
        return false;
    };
    matches!(&error.cause, ConnectCause::Server(fault) if fault.class == ErrorClass::TooManyConnections)
}

/// How often it may help to ask again after such an error.
fn patience(class: ErrorClass) -> u32 {
    match class {
        ErrorClass::LockTimeout => LOCK_TRIES,
        // A standby cancels what is in the way of its recovery.
        ErrorClass::TransactionRollback => TRIES,
        class if is_of_the_side(class) => TRIES,
        _ => 0,
    }
}

/// Errors that say something about the connection or the server, not about what was asked.
fn is_of_the_side(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::Connection
            | ErrorClass::TooManyConnections
            | ErrorClass::NotAccepting
            | ErrorClass::OperatorIntervention
    )
}

/// A value of an answer; a server that sends another type than was asked for does not speak our protocol.
pub(super) fn value<'r, T: FromSql<'r>>(row: &'r Row, index: usize) -> Result<T, Loss> {
    row.try_get(index).map_err(|error| Loss::Side(Trouble::from(Fault::of(&error))))
}
