//! Hands arrivals out when they are due.
//!
//! A thread of its own: the runtime's timers have a grain of a millisecond, which is more than many statements take. It
//! sleeps until shortly before an arrival is due and spins for the rest, unless the rate is so high that this would
//! take a core; then being a few tens of microseconds late costs less, and is counted in the latency.
//! Never waits for the server: a full queue means that the load has failed. Stops at once when its owner is dropped.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{self, error::TrySendError};

use super::schedule::{Arrival, Schedule};

/// How long before an arrival spinning begins: what waking up from a sleep takes at worst, usually.
const SPIN: Duration = Duration::from_micros(100);
/// Highest rate that is spun for: at most a fifth of a core.
const MAX_SPIN_RATE: u32 = 2_000;
/// Longest sleep without a look at whether to stop.
const MAX_NAP: Duration = Duration::from_millis(50);

/// An arrival that is due.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) arrival: Arrival,
    /// When it was due.
    pub(super) scheduled: Instant,
    /// When it was handed out.
    pub(super) handed: Instant,
}

/// What the thread and its owner share.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    scheduled: AtomicU64,
    refused: AtomicU64,
}

/// The running thread; dropping this stops it.
#[derive(Debug)]
pub(super) struct Pacer {
    shared: Arc<Shared>,
    thread: Thread,
}

impl Pacer {
    /// Starts handing out `schedule` from `start` on. When it is over, the queue's sender is dropped.
    pub(super) fn start(
        schedule: Schedule,
        rate: u32,
        start: Instant,
        queue: mpsc::Sender<Due>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let its = shared.clone();
        let spin = if rate <= MAX_SPIN_RATE { SPIN } else { Duration::ZERO };
        let handle = thread::Builder::new()
            .name("load-pacer".to_owned())
            .spawn(move || pace(schedule, start, spin, &queue, &its))?;
        Ok(Self { shared, thread: handle.thread().clone() })
    }

    /// Ends the schedule here.
    pub(super) fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.thread.unpark();
    }

    /// Arrivals that were due so far.
    pub(super) fn scheduled(&self) -> u64 {
        self.shared.scheduled.load(Ordering::Acquire)
    }

    /// Those of them that the queue had no room for; at most one, for it ends the schedule.
    pub(super) fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Acquire)
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn pace(schedule: Schedule, start: Instant, spin: Duration, queue: &mpsc::Sender<Due>, shared: &Shared) {
    for arrival in schedule {
        let scheduled = start + arrival.at;
        if !wait_until(scheduled, spin, &shared.stop) {
            return;
        }
        shared.scheduled.fetch_add(1, Ordering::AcqRel);
        let due = Due { arrival, scheduled, handed: Instant::now() };
        match queue.try_send(due) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                shared.refused.fetch_add(1, Ordering::AcqRel);
                return;
            }
        }
    }
}

/// Whether the moment came, and was not cut short.
fn wait_until(moment: Instant, spin: Duration, stop: &AtomicBool) -> bool {
    loop {
        if stop.load(Ordering::Acquire) {
            return false;
        }
        let left = moment.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        if left > spin {
            thread::park_timeout(left.saturating_sub(spin).min(MAX_NAP));
        } else {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{Access, Statement, Traffic},
        load::{course::Course, model::Model},
    };

    fn schedule(rate: u32, length: Duration) -> Schedule {
        let statement = Statement { sql: Some("SELECT 1".to_owned()), weight: 1, ..Statement::default() };
        let traffic = Traffic {
            name: String::new(),
            access: Access::ReadOnly,
            statements: vec![statement],
            scripts: vec![],
        };
        Schedule::new(Arc::new(Model::new(&traffic).unwrap()), rate, &Course::default(), length, 1)
    }

    #[tokio::test]
    async fn every_arrival_is_handed_out_when_it_is_due_and_not_before() {
        let schedule = schedule(500, Duration::from_millis(500));
        let expected = schedule.clone().count();
        let (queue, mut due) = mpsc::channel(1000);
        let pacer = Pacer::start(schedule, 500, Instant::now(), queue).unwrap();
        let mut seen = 0;
        while let Some(due) = due.recv().await {
            assert!(due.handed >= due.scheduled);
            seen += 1;
        }
        assert_eq!(
            (seen, pacer.scheduled(), pacer.refused()),
            (expected, u64::try_from(expected).unwrap(), 0)
        );
    }

    #[tokio::test]
    async fn a_full_queue_ends_the_schedule_and_loses_nothing_from_the_books() {
        let (queue, mut due) = mpsc::channel(5);
        let pacer =
            Pacer::start(schedule(1000, Duration::from_mins(1)), 1000, Instant::now(), queue).unwrap();
        while pacer.refused() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut seen = 0;
        while due.recv().await.is_some() {
            seen += 1;
        }
        assert_eq!((seen, pacer.scheduled()), (5, 6));
    }

    #[tokio::test]
    async fn dropping_the_pacer_stops_it_at_once() {
        let (queue, mut due) = mpsc::channel(5);
        let pacer =
            Pacer::start(schedule(1, Duration::from_hours(1)), 1, Instant::now() + MAX_NAP * 100, queue)
                .unwrap();
        let dropped = Instant::now();
        drop(pacer);
        assert!(due.recv().await.is_none());
        assert!(dropped.elapsed() < Duration::from_secs(1));
    }
}
