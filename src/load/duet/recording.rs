//! What both arms answered, half second by half second and class by class.
//!
//! Keeps every latency as the number of its histogram bucket, two bytes a call: exact to a thousandth, and 1,800 s
//! of 16 classes and two arms take 3.7 MB and 2 to 4 bytes a call (7 MB at 1,000/s), where plain histograms of
//! three digits would take 8 GB. Two recordings of one shape merge into what one process would have recorded.
//! Refuses what has no place.

use std::{ops::Range, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    HALVES_PER_SECOND, bucket,
    evidence::{Arm, Block, Calls, Evidence, Group, Pair, Percentile},
    weighted,
};

/// Most classes; a traffic model has no more statements.
const MAX_CLASSES: usize = 64;
/// Longest recording.
const MAX_SECONDS: u32 = 7_200;

/// How a call ended. Latencies count from the scheduled arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was answered.
    Answered(Duration),
    /// It ran into the statement timeout: a failure, and at least that slow.
    TimedOut(Duration),
    /// It failed: slower than all, however fast the error came.
    Failed,
}

/// Why something can't be recorded or merged.
#[derive(thiserror::Error, Debug, Clone, PartialEq, Eq)]
pub enum RecordingError {
    /// No or too many classes or seconds.
    #[error("a recording has 1 to {MAX_CLASSES} classes and 1 to {MAX_SECONDS} seconds")]
    Shape,
    /// A half second or a class that the recording does not have.
    #[error("half second {half} of class {class} is not part of the recording")]
    NoSuchCell {
        /// From 0, since the end of the warm-up.
        half: u32,
        /// From 0.
        class: usize,
    },
    /// The classes or the length differ.
    #[error("recordings of different classes or lengths can't be merged")]
    Different,
    /// What was read is no recording.
    #[error("cell {index} of the recording is damaged")]
    Damaged {
        /// Which.
        index: usize,
    },
}

/// The calls of one arm, class and half second.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Cell {
    /// Buckets of what was answered or timed out, in any order.
    latencies: Vec<u16>,
    errors: u32,
    timeouts: u32,
}

/// What was recorded since the end of the warm-up, in the half seconds of the scheduled arrivals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct Recording {
    classes: Vec<String>,
    /// By half second, class and arm.
    cells: Vec<Cell>,
    seconds: u32,
    /// The medians of the warm-up, half second by half second; never written.
    warm_up: Vec<Pair>,
}

impl Recording {
    /// An empty one.
    pub fn new(classes: Vec<String>, seconds: u32) -> Result<Self, RecordingError> {
        let halves = index(seconds.saturating_mul(HALVES_PER_SECOND));
        let cells = halves.saturating_mul(classes.len() * 2);
        if !(1..=MAX_CLASSES).contains(&classes.len()) || !(1..=MAX_SECONDS).contains(&seconds) {
            return Err(RecordingError::Shape);
        }
        Ok(Self { classes, cells: vec![Cell::default(); cells], seconds, warm_up: Vec::new() })
    }

    /// Takes over how far the ratio strayed in the warm-up, which tells the noise of the first seconds after it.
    pub fn begin_after(&mut self, warm_up: &Self) {
        self.warm_up = warm_up.halves(halves(0, index(warm_up.seconds)));
    }

    /// Books one call, in the half second that it was due in, since the end of the warm-up.
    pub fn record(&mut self, half: u32, class: usize, arm: Arm, ended: Ended) -> Result<(), RecordingError> {
        if half >= self.seconds * HALVES_PER_SECOND || class >= self.classes.len() {
            return Err(RecordingError::NoSuchCell { half, class });
        }
        let index = self.index(index(half), class, arm);
        let cell = &mut self.cells[index];
        match ended {
            Ended::Answered(latency) => cell.latencies.push(bucket::of(latency.as_micros())),
            Ended::TimedOut(latency) => {
                cell.latencies.push(bucket::of(latency.as_micros()));
                cell.timeouts += 1;
            }
            Ended::Failed => cell.errors += 1,
        }
        Ok(())
    }

    /// Its length.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        self.seconds
    }

    /// The names of its classes.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.classes
    }

    /// Adds what another process recorded of the same seconds.
    pub fn merge(&mut self, other: Self) -> Result<(), RecordingError> {
        if self.classes != other.classes || self.seconds != other.seconds {
            return Err(RecordingError::Different);
        }
        for (cell, other) in self.cells.iter_mut().zip(other.cells) {
            cell.latencies.extend(other.latencies);
            cell.errors = cell.errors.saturating_add(other.errors);
            cell.timeouts = cell.timeouts.saturating_add(other.timeouts);
        }
        Ok(())
    }

    fn index(&self, half: usize, class: usize, arm: Arm) -> usize {
        (half * self.classes.len() + class) * 2 + usize::from(arm == Arm::Candidate)
    }

    /// Of the half seconds in that range.
    fn cells(&self, group: Group, arm: Arm, halves: Range<usize>) -> impl Iterator<Item = &Cell> {
        let classes = match group {
            Group::All => 0..self.classes.len(),
            Group::Class(class) => class..class + 1,
        };
        halves.flat_map(move |half| {
            classes.clone().filter_map(move |class| self.cells.get(self.index(half, class, arm)))
        })
    }

    /// The buckets of an arm in some half seconds, the failed ones included.
    pub(super) fn buckets(&self, group: Group, arm: Arm, halves: Range<usize>) -> Vec<u16> {
        let mut buckets = Vec::new();
        for cell in self.cells(group, arm, halves) {
            buckets.extend_from_slice(&cell.latencies);
            buckets.extend((0..cell.errors).map(|_| bucket::FAILED));
        }
        buckets
    }

    /// The percentiles of both arms in a block; `None` where one had no call.
    fn block(&self, group: Group, halves: &Range<usize>) -> Option<Block> {
        let classes = match group {
            Group::Class(class) => class..class + 1,
            Group::All => 0..self.classes.len(),
        };
        let of_class = |class| {
            [Arm::Legacy, Arm::Candidate].map(|arm| self.buckets(Group::Class(class), arm, halves.clone()))
        };
        weighted::percentiles(classes.map(of_class))
    }
}

impl Evidence for Recording {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn blocks(&self, group: Group, block_seconds: usize, from: usize, to: usize) -> Vec<Block> {
        let starts = (from..).step_by(block_seconds).take((to - from) / block_seconds);
        starts.filter_map(|start| self.block(group, &halves(start, start + block_seconds))).collect()
    }

    fn calls(&self, group: Group, arm: Arm, from: usize, to: usize) -> Calls {
        let mut calls = Calls::default();
        for cell in self.cells(group, arm, halves(from, to)) {
            let errors = u64::from(cell.errors);
            calls.ended += u64::try_from(cell.latencies.len()).unwrap_or(u64::MAX) + errors;
            calls.failed += errors + u64::from(cell.timeouts);
        }
        calls
    }

    fn halves(&self, halves: Range<usize>) -> Vec<Pair> {
        let median = |half| Some(self.block(Group::All, &(half..half + 1))?[Percentile::P50.index()]);
        halves.filter_map(median).collect()
    }

    fn warm_up(&self) -> &[Pair] {
        &self.warm_up
    }
}

/// The half seconds of the seconds from `from` up to `to`.
pub(super) fn halves(from: usize, to: usize) -> Range<usize> {
    from * index(HALVES_PER_SECOND)..to * index(HALVES_PER_SECOND)
}

fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// How a recording is written: cells that have calls, with the gaps between their sorted buckets.
#[derive(Serialize, Deserialize)]
struct Written {
    classes: Vec<String>,
    seconds: u32,
    cells: Vec<(usize, u32, u32, Vec<u16>)>,
}

impl From<Recording> for Written {
    fn from(recording: Recording) -> Self {
        let cells = recording.cells.into_iter().enumerate().filter(|(_, cell)| *cell != Cell::default());
        let cells = cells.map(|(index, mut cell)| {
            cell.latencies.sort_unstable();
            let mut last = 0;
            let gaps = cell.latencies.iter().map(|bucket| bucket - std::mem::replace(&mut last, *bucket));
            (index, cell.errors, cell.timeouts, gaps.collect())
        });
        Self { cells: cells.collect(), classes: recording.classes, seconds: recording.seconds }
    }
}

impl TryFrom<Written> for Recording {
    type Error = RecordingError;

    fn try_from(written: Written) -> Result<Self, RecordingError> {
        let mut recording = Self::new(written.classes, written.seconds)?;
        for (index, errors, timeouts, gaps) in written.cells {
            let damaged = RecordingError::Damaged { index };
            let cell = recording.cells.get_mut(index).ok_or(damaged.clone())?;
            let mut last = 0_u16;
            for gap in gaps {
                last = last.checked_add(gap).filter(|last| *last < bucket::BUCKETS).ok_or(damaged.clone())?;
                cell.latencies.push(last);
            }
            if usize::try_from(timeouts).is_ok_and(|timeouts| timeouts > cell.latencies.len()) {
                return Err(damaged);
            }
            (cell.errors, cell.timeouts) = (errors, timeouts);
        }
        Ok(recording)
    }
}
