//! What the verdict is made from: paired blocks of time, each with the percentiles of both arms, and counts.
//!
//! The verdict sees the recording only through this, so that the simulation of the tests can stand in for it.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Which of the two configurations answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arm {
    /// What the application runs on today.
    Legacy,
    /// What it moves to.
    Candidate,
}

impl Arm {
    /// As messages call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Candidate => "candidate",
        }
    }
}

/// What is compared of the latencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Percentile {
    /// The median.
    P50,
    /// The 95th.
    P95,
    /// The 99th.
    P99,
}

impl Percentile {
    /// All of them, in order; `index` is the place in here.
    pub const ALL: [Self; 3] = [Self::P50, Self::P95, Self::P99];

    pub(super) fn index(self) -> usize {
        match self {
            Self::P50 => 0,
            Self::P95 => 1,
            Self::P99 => 2,
        }
    }

    pub(super) fn name(self) -> &'static str {
        ["p50", "p95", "p99"][self.index()]
    }

    /// The rank, and the band around it whose mean logarithm stands for it.
    pub(super) fn rank_and_band(self) -> (f64, f64, f64) {
        [(0.5, 0.4, 0.6), (0.95, 0.935, 0.965), (0.99, 0.986, 0.994)][self.index()]
    }

    /// Calls of each arm that a block needs: some must lie beyond the percentile.
    pub(super) fn calls_per_block(self) -> f64 {
        [20.0, 50.0, 100.0][self.index()]
    }
}

/// Whose calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// All statements together.
    All,
    /// One class of them.
    Class(usize),
}

/// A percentile of both arms in one block, as logarithms of microseconds; infinite where that many failed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pair {
    pub(super) legacy: f64,
    pub(super) candidate: f64,
}

/// Stands for an infinite ratio: greater than any of two latencies, finite so that means of it exist.
const BEYOND_ALL: f64 = 25.0;

impl Pair {
    /// The logarithm of candidate by legacy. Where both failed, neither is worse.
    pub(super) fn difference(self) -> f64 {
        match (self.legacy.is_finite(), self.candidate.is_finite()) {
            (true, true) => self.candidate - self.legacy,
            (true, false) => BEYOND_ALL,
            (false, true) => -BEYOND_ALL,
            (false, false) => 0.0,
        }
    }

    /// By how many microseconds the candidate is slower, where both answered.
    pub(super) fn shift_us(self) -> Option<f64> {
        let shift = self.candidate.exp() - self.legacy.exp();
        shift.is_finite().then_some(shift)
    }
}

/// The percentiles of one block, in the order of `Percentile::ALL`.
pub(super) type Block = [Pair; 3];

/// Calls that ended, and how many of them failed or timed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Calls {
    pub(super) ended: u64,
    pub(super) failed: u64,
}

impl Calls {
    pub(super) fn share(self) -> f64 {
        if self.ended == 0 { 0.0 } else { float(self.failed) / float(self.ended) }
    }

    pub(super) fn per_second(self, seconds: usize) -> f64 {
        float(self.ended) / super::number(seconds.max(1))
    }
}

/// Exact below 2^53.
#[allow(clippy::cast_precision_loss, reason = "counts of calls stay far below 2^53")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

/// What was measured, by seconds, and by halves of them.
pub(super) trait Evidence {
    /// The names of the classes of statements.
    fn classes(&self) -> &[String];

    /// The seconds from `from` up to `to`, cut into blocks; a rest is left out, as are blocks in which an arm had
    /// no call.
    fn blocks(&self, group: Group, block_seconds: usize, from: usize, to: usize) -> Vec<Block>;

    /// What ended of the seconds from `from` up to `to`.
    fn calls(&self, group: Group, arm: Arm, from: usize, to: usize) -> Calls;

    /// The medians of all statements, half second by half second; those in which an arm had no call are left out.
    fn halves(&self, halves: Range<usize>) -> Vec<Pair>;

    /// The same of the whole warm-up, in which nothing is compared; empty where it is not known.
    fn warm_up(&self) -> &[Pair];
}
