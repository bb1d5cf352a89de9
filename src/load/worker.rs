//! One of the load's workers: it owns a connection and takes up one arrival after another.
//!
//! Decides when an arrival is taken up, what is booked of it, and when a lost connection is opened again. An arrival
//! that was taken up is booked exactly once, and never sent again. Aborting a worker gives up what it waits for.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::Semaphore,
    time::{sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    books::Books,
    connection::{Connection, Terms},
    duet::Arm,
    measure::{GIVEN_UP, Outcome, Times},
    model::SharedModel,
    pacer::Due,
    queue::Queue,
};
use crate::postgres::Target;

/// First and longest pause before a lost connection is opened again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What all workers share.
pub(super) struct Run {
    /// Whose servers they are, by lane.
    pub(super) arms: Vec<Arm>,
    pub(super) statement_timeout: Duration,
    pub(super) books: Mutex<Books>,
    /// Nothing more is taken up.
    pub(super) over: CancellationToken,
    /// When the schedule begins.
    pub(super) start: Instant,
    /// When the schedule is over.
    pub(super) end: Instant,
    /// When nothing more is taken up, at the latest.
    pub(super) deadline: Instant,
    /// From the start to the end of what ended last, in microseconds.
    pub(super) last_us: AtomicU64,
}

impl Run {
    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        // The books are whole after every record: a panic elsewhere does not spoil them.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the workers of one server share.
pub(super) struct Lane {
    pub(super) run: Arc<Run>,
    pub(super) index: usize,
    pub(super) arm: Arm,
    pub(super) target: Target,
    pub(super) model: SharedModel,
    pub(super) terms: Terms,
    pub(super) queue: Queue<Due>,
    /// For opening lost connections again.
    pub(super) opening: Semaphore,
}

/// Takes up arrivals until there are no more.
pub(super) async fn work(lane: Arc<Lane>, connection: Connection) {
    let mut connection = Some(connection);
    let mut pause = BACKOFF.0;
    loop {
        let Some(mut ready) = connection.take() else {
            match reopen(&lane, pause).await {
                Some(reopened) => connection = Some(reopened),
                None => return,
            }
            continue;
        };
        let idle_since = Instant::now();
        let Some(due) = next(&lane, idle_since).await else {
            ready.close().await;
            return;
        };
        let in_flight = InFlight { lane: &lane, due, idle_since, sent: Instant::now(), outcome: None };
        let (outcome, is_usable) = ready.execute(&in_flight.due.call, in_flight.sent).await;
        // What was given up on may go on in the server until its own timeout: a new connection before that would be one too many.
        let is_abandoned = outcome == Outcome::Timeout && !is_usable;
        pause = if is_abandoned { lane.run.statement_timeout } else { BACKOFF.0 };
        in_flight.ended(outcome);
        connection = is_usable.then_some(ready);
    }
}

/// The next arrival; `None` when there is none any more, or nothing more is to be taken up.
async fn next(lane: &Lane, now: Instant) -> Option<Due> {
    // Who waits for an arrival learns that there will be none from the pacer's end of the queue.
    if lane.run.over.is_cancelled() || now >= lane.run.deadline {
        return None;
    }
    lane.queue.next().await
}

/// An arrival that was taken up. It is booked when this is dropped, so exactly once, whatever ends the worker.
struct InFlight<'a> {
    lane: &'a Lane,
    due: Due,
    idle_since: Instant,
    sent: Instant,
    /// `None` until there is one.
    outcome: Option<Outcome>,
}

impl InFlight<'_> {
    fn ended(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let (run, due, ended) = (&self.lane.run, &self.due, Instant::now());
        let outcome = self.outcome.take().unwrap_or_else(|| Outcome::Error(GIVEN_UP.to_owned()));
        // With a connection free when it was due, all of the delay is the generator's; else only what the pacer took.
        let sent_or_handed = if self.idle_since <= due.scheduled { self.sent } else { due.handed };
        let times = Times {
            latency: ended.saturating_duration_since(due.scheduled),
            service: ended.saturating_duration_since(self.sent),
            lag: sent_or_handed.saturating_duration_since(due.scheduled),
            is_drained: ended > run.end,
        };
        let last_us =
            u64::try_from(ended.saturating_duration_since(run.start).as_micros()).unwrap_or(u64::MAX);
        run.last_us.fetch_max(last_us, Ordering::Relaxed);
        run.books().record(self.lane.index, due, outcome, times, run.statement_timeout);
    }
}

/// A new connection in place of a lost one, after a pause; `None` when the run is over.
async fn reopen(lane: &Lane, mut pause: Duration) -> Option<Connection> {
    let run = &lane.run;
    let attempts = async {
        loop {
            sleep(pause).await;
            pause = (pause * 2).clamp(BACKOFF.0, BACKOFF.1);
            let _permit = lane.opening.acquire().await;
            // Its failure is in the books already, as the error that lost the connection.
            if let Ok(connection) = Connection::open(&lane.target, &lane.model, lane.terms).await {
                return connection;
            }
        }
    };
    tokio::select! {
        biased;
        () = run.over.cancelled() => None,
        reopened = timeout_at(run.deadline.into(), attempts) => reopened.ok(),
    }
}
