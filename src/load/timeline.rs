//! What has ended, half second by half second, and which of them are complete.
//!
//! Decides when one may be judged: every arrival that was due in it has been handed out, and every one of those has
//! ended. A slow call is booked when it was due, so judging before the last call of that time has ended would
//! leave the slowest out. Never looks at a clock.

use std::sync::Arc;

use super::{
    books::Booked,
    duet::{Arm, HALVES_PER_SECOND, Recording, RecordingError},
    pacer::Pacer,
};

/// How long calls must have been due without an end, and in how many seconds in a row, for a side to be called stalled.
pub(super) const STALLED_FOR: u32 = 5;
const STALLED_SECONDS: u32 = 3;

/// The recordings of a load.
#[derive(Debug)]
pub(super) struct Timeline {
    /// By lane.
    arms: Vec<Arm>,
    /// `None` without one.
    warm_up: Option<Recording>,
    measured: Arc<Recording>,
    /// Length of the warm-up.
    warm_seconds: u32,
    /// Calls that have ended, by the half second that they were due in, then by lane.
    booked: Vec<Vec<u32>>,
    /// Half seconds since the start that are complete.
    complete: u32,
}

impl Timeline {
    pub(super) fn new(
        classes: &[String],
        arms: Vec<Arm>,
        warm_seconds: u32,
        seconds: u32,
    ) -> Result<Self, RecordingError> {
        let recording = |seconds| Recording::new(classes.to_vec(), seconds);
        Ok(Self {
            warm_up: (warm_seconds > 0).then(|| recording(warm_seconds)).transpose()?,
            measured: Arc::new(recording(seconds)?),
            warm_seconds,
            booked: vec![vec![0; arms.len()]; index((warm_seconds + seconds) * HALVES_PER_SECOND)],
            complete: 0,
            arms,
        })
    }

    /// Takes in what has ended.
    pub(super) fn take(&mut self, fresh: Vec<Booked>) -> Result<(), RecordingError> {
        let measured = Arc::make_mut(&mut self.measured);
        let warm_halves = self.warm_seconds * HALVES_PER_SECOND;
        for Booked { half, class, lane, ended } in fresh {
            let arm = self.arms[lane];
            match (half.checked_sub(warm_halves), &mut self.warm_up) {
                (Some(half), _) => measured.record(half, class, arm, ended)?,
                (None, Some(warm_up)) => warm_up.record(half, class, arm, ended)?,
                (None, None) => {}
            }
            if let Some(booked) = self.booked.get_mut(index(half)) {
                booked[lane] += 1;
            }
        }
        Ok(())
    }

    /// Goes on to the next half second, if the present one is complete.
    pub(super) fn advance(&mut self, pacer: &Pacer) -> bool {
        let is_complete =
            self.complete < pacer.halves() && self.open(self.complete, pacer).all(|(open, _)| open == 0);
        self.complete += u32::from(is_complete);
        if is_complete
            && self.complete == self.warm_seconds * HALVES_PER_SECOND
            && let Some(warm_up) = &self.warm_up
        {
            Arc::make_mut(&mut self.measured).begin_after(warm_up);
        }
        is_complete
    }

    /// Of the calls that were due in a half second those that have not ended, and all of them, by lane.
    fn open(&self, half: u32, pacer: &Pacer) -> impl Iterator<Item = (u32, u32)> {
        let booked = self.booked.get(index(half)).into_iter().flatten();
        pacer.handed(half).zip(booked).map(|(handed, booked)| (handed.saturating_sub(*booked), handed))
    }

    /// The side that does not answer any more: for some seconds, most of what was due in them has had no end for a while.
    /// Such seconds never become complete, so nothing else would tell. Legacy, where both are.
    pub(super) fn stalled(&self, pacer: &Pacer) -> Option<Arm> {
        let until = pacer.halves().checked_sub(STALLED_FOR * HALVES_PER_SECOND)?;
        let from = until.checked_sub(STALLED_SECONDS * HALVES_PER_SECOND)?;
        // By whole seconds: at a low rate many a half has nothing due.
        let is_stalled = |lane: usize| {
            (from..until).step_by(index(HALVES_PER_SECOND)).all(|second| {
                let halves = second..second + HALVES_PER_SECOND;
                let due = halves.filter_map(|half| self.open(half, pacer).nth(lane));
                let (open, handed) = due.fold((0, 0), |all, half| (all.0 + half.0, all.1 + half.1));
                open * 2 > handed
            })
        };
        self.arms.iter().enumerate().find(|(lane, _)| is_stalled(*lane)).map(|(_, arm)| *arm)
    }

    /// Whether what is complete ends with a whole second.
    pub(super) fn is_whole_second(&self) -> bool {
        self.complete.is_multiple_of(HALVES_PER_SECOND)
    }

    /// Complete seconds of the warm-up.
    pub(super) fn warm(&self) -> u32 {
        (self.complete / HALVES_PER_SECOND).min(self.warm_seconds)
    }

    /// Complete half seconds since the end of the warm-up.
    pub(super) fn measured_halves(&self) -> u32 {
        self.complete.saturating_sub(self.warm_seconds * HALVES_PER_SECOND)
    }

    /// Complete seconds since then.
    pub(super) fn measured_seconds(&self) -> u32 {
        self.measured_halves() / HALVES_PER_SECOND
    }

    /// Length of the warm-up.
    pub(super) fn warm_seconds(&self) -> u32 {
        self.warm_seconds
    }

    pub(super) fn warm_up(&self) -> Option<&Recording> {
        self.warm_up.as_ref()
    }

    /// Since the end of the warm-up.
    pub(super) fn measured(&self) -> &Arc<Recording> {
        &self.measured
    }

    /// What was recorded of the warm-up, if there was one, and since its end.
    pub(super) fn into_recordings(self) -> (Option<Recording>, Recording) {
        (self.warm_up, Arc::unwrap_or_clone(self.measured))
    }
}

fn index(half: u32) -> usize {
    usize::try_from(half).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
