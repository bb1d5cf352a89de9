//! How much is read at a time, and how fast.
//!
//! Decides the size of the next chunk from how long the last one took, and how long to wait before it. Never lets a
//! chunk grow beyond what one second may read.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};

/// How long a chunk shall take.
const CHUNK_TIME: Duration = Duration::from_millis(400);
/// Rows of a table's first chunk, and of its smallest and largest one.
const ROWS_FIRST: u64 = 20_000;
const ROWS_MIN: u64 = 500;
const ROWS_MAX: u64 = 1_000_000;

/// The pace that all tables keep together.
pub(super) struct Pace {
    rows_per_second: Option<u64>,
    next: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(rows_per_second: Option<i64>) -> Self {
        let rows_per_second =
            rows_per_second.and_then(|rate| u64::try_from(rate).ok()).map(|rate| rate.max(1));
        Self { rows_per_second, next: Mutex::new(Instant::now()) }
    }

    /// Waits until so many rows may be read.
    pub(super) async fn wait_for(&self, rows: u64) {
        if let Some(turn) = self.turn(rows, Instant::now()) {
            sleep_until(turn).await;
        }
    }

    /// Takes as long as so many rows may, and puts off everybody's turn by that. For looking closer: in a queue behind the
    /// next chunks it would come to nothing before the table ends.
    pub(super) async fn go_ahead_with(&self, rows: u64) {
        let Some(rate) = self.rows_per_second else {
            return;
        };
        let _ = self.turn(rows, Instant::now());
        sleep(cost(rows, rate)).await;
    }

    /// When so many rows may be read, and from then on nothing else for as long as they take.
    fn turn(&self, rows: u64, now: Instant) -> Option<Instant> {
        let rate = self.rows_per_second?;
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(now);
        *next = turn + cost(rows, rate);
        Some(turn)
    }
}

/// How long so many rows take at that rate.
fn cost(rows: u64, rate: u64) -> Duration {
    Duration::from_micros(rows.saturating_mul(1_000_000) / rate)
}

/// Rows of a table's next chunk.
pub(super) struct ChunkRows {
    rows: AtomicU64,
    most: u64,
}

impl ChunkRows {
    pub(super) fn new(pace: &Pace) -> Self {
        let most = pace.rows_per_second.map_or(ROWS_MAX, |rate| rate.clamp(1, ROWS_MAX));
        Self { rows: AtomicU64::new(ROWS_FIRST.min(most)), most }
    }

    pub(super) fn get(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Takes into account how long a chunk took; never more than twice or half at a time.
    pub(super) fn learn(&self, rows: u64, took: Duration) {
        let now = self.get();
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let fitting =
            u64::try_from(CHUNK_TIME.as_micros()).unwrap_or(u64::MAX).saturating_mul(rows.max(1)) / took;
        let next = fitting.clamp(now / 2, now.saturating_mul(2)).clamp(ROWS_MIN.min(self.most), self.most);
        self.rows.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_grow_while_they_are_fast_and_shrink_while_they_are_slow() {
        let chunk = ChunkRows::new(&Pace::new(None));
        for _ in 0..20 {
            chunk.learn(chunk.get(), Duration::from_millis(1));
        }
        assert_eq!(chunk.get(), ROWS_MAX);
        for _ in 0..20 {
            chunk.learn(chunk.get(), Duration::from_secs(100));
        }
        assert_eq!(chunk.get(), ROWS_MIN);
    }

    #[test]
    fn a_chunk_is_no_larger_than_what_a_second_may_read() {
        let chunk = ChunkRows::new(&Pace::new(Some(50)));
        assert_eq!(chunk.get(), 50);
        chunk.learn(50, Duration::from_millis(1));
        assert_eq!(chunk.get(), 50);
    }

    #[test]
    fn rows_are_read_no_faster_than_is_allowed() {
        let pace = Pace::new(Some(100));
        let now = Instant::now() + Duration::from_secs(1);
        let turns: Vec<_> = (0..4).filter_map(|_| pace.turn(50, now)).map(|turn| turn - now).collect();
        assert_eq!(turns, [0, 500, 1000, 1500].map(Duration::from_millis));
        let later = now + Duration::from_secs(60);
        assert_eq!(pace.turn(50, later), Some(later), "what was not read is not made up for");
        assert_eq!(Pace::new(None).turn(50, now), None);
    }
}
