//! One of the load's workers: it owns a connection and takes up one arrival after another.
//!
//! Decides when an arrival is taken up, what is booked of it, and when a lost connection is opened again. An arrival
//! that was taken up is booked exactly once, and never sent again.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{Mutex as AsyncMutex, Semaphore, mpsc::Receiver},
    time::{sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    LoadSpec,
    connection::Connection,
    measure::{Outcome, Tally, Times},
    model::SharedModel,
    pacer::Due,
};
use crate::postgres::Target;

/// First and longest pause before a lost connection is opened again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What the workers share.
pub(super) struct Run {
    pub(super) spec: LoadSpec,
    pub(super) model: SharedModel,
    pub(super) target: Target,
    pub(super) queue: AsyncMutex<Receiver<Due>>,
    pub(super) tally: Mutex<Tally>,
    /// Nothing more is taken up.
    pub(super) over: CancellationToken,
    /// When the schedule begins.
    pub(super) start: Instant,
    /// When nothing more is taken up, at the latest.
    pub(super) deadline: Instant,
    /// From the start to the last answer, in microseconds.
    pub(super) last_us: AtomicU64,
    /// For opening lost connections again.
    pub(super) opening: Semaphore,
}

impl Run {
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        // The books are whole after every record: a panic elsewhere does not spoil them.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes up arrivals until there are no more.
pub(super) async fn work(run: Arc<Run>, connection: Connection) {
    let mut connection = Some(connection);
    loop {
        let Some(ready) = connection.take() else {
            match reopen(&run).await {
                Some(reopened) => connection = Some(reopened),
                None => return,
            }
            continue;
        };
        let idle_since = Instant::now();
        let Some(due) = next(&run).await else {
            ready.close().await;
            return;
        };
        let sent = Instant::now();
        let (outcome, is_usable) = ready.execute(&due.arrival.call).await;
        record(&run, &due, outcome, idle_since, sent);
        connection = is_usable.then_some(ready);
    }
}

/// The next arrival; `None` when the run is over.
async fn next(run: &Run) -> Option<Due> {
    // Said apart, because a queue that still holds arrivals is ready before any deadline is looked at.
    if Instant::now() >= run.deadline {
        return None;
    }
    let due = async { run.queue.lock().await.recv().await };
    tokio::select! {
        biased;
        () = run.over.cancelled() => None,
        due = timeout_at(run.deadline.into(), due) => due.ok().flatten(),
    }
}

fn record(run: &Run, due: &Due, outcome: Outcome, idle_since: Instant, sent: Instant) {
    let ended = Instant::now();
    // With a connection free when it was due, all of the delay is the generator's; else only what the pacer took.
    let sent_or_handed = if idle_since <= due.scheduled { sent } else { due.handed };
    let times = Times {
        latency: ended.saturating_duration_since(due.scheduled),
        service: ended.saturating_duration_since(sent),
        lag: sent_or_handed.saturating_duration_since(due.scheduled),
    };
    let last_us = u64::try_from(ended.saturating_duration_since(run.start).as_micros()).unwrap_or(u64::MAX);
    run.last_us.fetch_max(last_us, Ordering::Relaxed);
    let mut tally = run.tally();
    tally.record(due.arrival.call.class, outcome, times, run.spec.statement_timeout);
    if tally.is_gross_fault() {
        run.over.cancel();
    }
}

/// A new connection in place of a lost one; `None` when the run is over.
async fn reopen(run: &Run) -> Option<Connection> {
    let mut pause = BACKOFF.0;
    let attempts = async {
        loop {
            sleep(pause).await;
            pause = (pause * 2).min(BACKOFF.1);
            let _permit = run.opening.acquire().await;
            // Its failure is in the books already, as the error that lost the connection.
            if let Ok(connection) =
                Connection::open(&run.target, &run.model, run.spec.statement_timeout).await
            {
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
