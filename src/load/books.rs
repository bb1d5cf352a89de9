//! The books of a running load, as its workers write them.
//!
//! Keeps what has ended, by lane, until the timeline takes it over: what is done for each call is little, and is done
//! under one short lock. Never looks at a clock, never judges.

use hdrhistogram::CreationError;

use super::{
    duet::{Ended, HALVES_PER_SECOND},
    measure::{Outcome, Tally, Times},
    pacer::Due,
};

/// A call that ended, for the timeline.
#[derive(Debug, Clone, Copy)]
pub(super) struct Booked {
    /// The half second that it was due in, since the start.
    pub(super) half: u32,
    pub(super) class: usize,
    pub(super) lane: usize,
    pub(super) ended: Ended,
}

/// What the workers write.
#[derive(Debug)]
pub(super) struct Books {
    /// By lane, since the end of the warm-up.
    pub(super) tallies: Vec<Tally>,
    /// Calls of the warm-up.
    pub(super) warm: u64,
    /// Not taken over yet.
    fresh: Vec<Booked>,
    /// In half seconds.
    warm_halves: u32,
}

impl Books {
    /// `warm_up` in seconds.
    pub(super) fn new(lanes: usize, warm_up: u32) -> Result<Self, CreationError> {
        Ok(Self {
            tallies: (0..lanes).map(|_| Tally::new()).collect::<Result<_, _>>()?,
            warm: 0,
            fresh: Vec::new(),
            warm_halves: warm_up.saturating_mul(HALVES_PER_SECOND),
        })
    }

    /// Books a call that has ended. `timeout` is what a timeout is recorded at, at least.
    pub(super) fn record(
        &mut self,
        lane: usize,
        due: &Due,
        outcome: Outcome,
        times: Times,
        timeout: std::time::Duration,
    ) {
        // Side by side the generator's own lateness would make every difference between the servers look smaller.
        let latency = times.latency.saturating_sub(times.lag);
        let ended = match &outcome {
            Outcome::Ok => Ended::Answered(latency),
            Outcome::Timeout => Ended::TimedOut(latency.max(timeout)),
            Outcome::Error(_) => Ended::Failed,
        };
        self.fresh.push(Booked { half: due.half, class: due.call.class, lane, ended });
        if due.half < self.warm_halves {
            self.warm += 1;
        } else {
            self.tallies[lane].record(outcome, times, timeout);
        }
    }

    /// Hands over what has ended since the last time.
    pub(super) fn take_fresh(&mut self) -> Vec<Booked> {
        std::mem::take(&mut self.fresh)
    }
}
