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
    books::Books,
    connection::Connection,
    duet::Arm,
    measure::{Outcome, Times},
    model::SharedModel,
    pacer::Due,
};
use crate::postgres::Target;

/// First and longest pause before a lost connection is opened again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The label of what was in flight when a load that has failed was ended.
const GIVEN_UP: &str = "no answer when the load was ended";

/// What all workers share.
pub(super) struct Run {
    /// Whose servers they are, by lane.
    pub(super) arms: Vec<Arm>,
    pub(super) statement_timeout: Duration,
    pub(super) books: Mutex<Books>,
    /// Nothing more is taken up.
    pub(super) over: CancellationToken,
    /// What has no answer yet is not waited for any longer.
    pub(super) given_up: CancellationToken,
    /// When the schedule begins.
    pub(super) start: Instant,
    /// When the schedule is over.
    pub(super) end: Instant,
    /// When nothing more is taken up, at the latest.
    pub(super) deadline: Instant,
    /// From the start to the last answer, in microseconds.
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
    pub(super) queue: AsyncMutex<Receiver<Due>>,
    /// For opening lost connections again.
    pub(super) opening: Semaphore,
}

/// Takes up arrivals until there are no more.
pub(super) async fn work(lane: Arc<Lane>, connection: Connection) {
    let mut connection = Some(connection);
    loop {
        let Some(ready) = connection.take() else {
            match reopen(&lane).await {
                Some(reopened) => connection = Some(reopened),
                None => return,
            }
            continue;
        };
        let idle_since = Instant::now();
        let Some(due) = next(&lane).await else {
            ready.close().await;
            return;
        };
        let sent = Instant::now();
        let (outcome, is_usable) = tokio::select! {
            biased;
            done = ready.execute(&due.call) => done,
            () = lane.run.given_up.cancelled() => (Outcome::Error(GIVEN_UP.to_owned()), false),
        };
        record(&lane, &due, outcome, idle_since, sent);
        connection = is_usable.then_some(ready);
    }
}

/// The next arrival; `None` when the run is over.
async fn next(lane: &Lane) -> Option<Due> {
    let run = &lane.run;
    // Said apart, because a queue that still holds arrivals is ready before any deadline is looked at.
    if Instant::now() >= run.deadline {
        return None;
    }
    let due = async { lane.queue.lock().await.recv().await };
    tokio::select! {
        biased;
        () = run.over.cancelled() => None,
        due = timeout_at(run.deadline.into(), due) => due.ok().flatten(),
    }
}

fn record(lane: &Lane, due: &Due, outcome: Outcome, idle_since: Instant, sent: Instant) {
    let run = &lane.run;
    let ended = Instant::now();
    // With a connection free when it was due, all of the delay is the generator's; else only what the pacer took.
    let sent_or_handed = if idle_since <= due.scheduled { sent } else { due.handed };
    let times = Times {
        latency: ended.saturating_duration_since(due.scheduled),
        service: ended.saturating_duration_since(sent),
        lag: sent_or_handed.saturating_duration_since(due.scheduled),
        is_drained: ended > run.end,
    };
    let last_us = u64::try_from(ended.saturating_duration_since(run.start).as_micros()).unwrap_or(u64::MAX);
    run.last_us.fetch_max(last_us, Ordering::Relaxed);
    run.books().record(lane.index, due, outcome, times, run.statement_timeout);
}

/// A new connection in place of a lost one; `None` when the run is over.
async fn reopen(lane: &Lane) -> Option<Connection> {
    let run = &lane.run;
    let mut pause = BACKOFF.0;
    let attempts = async {
        loop {
            sleep(pause).await;
            pause = (pause * 2).min(BACKOFF.1);
            let _permit = lane.opening.acquire().await;
            // Its failure is in the books already, as the error that lost the connection.
            if let Ok(connection) = Connection::open(&lane.target, &lane.model, run.statement_timeout).await {
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
