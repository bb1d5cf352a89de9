//! What has ended, second by second, and which seconds are complete.
//!
//! Decides when a second may be judged: every arrival that was due in it has been handed out, and every one of those has
//! ended. A slow call is booked in the second that it was due in, so judging a second before its last call has ended would
//! leave the slowest out. Never looks at a clock.

use std::sync::Arc;

use super::{
    books::Booked,
    duet::{Arm, Recording, RecordingError},
    pacer::Pacer,
};

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
    /// Calls that have ended, by the second that they were due in.
    booked: Vec<u32>,
    /// Seconds since the start that are complete.
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
            arms,
            warm_up: (warm_seconds > 0).then(|| recording(warm_seconds)).transpose()?,
            measured: Arc::new(recording(seconds)?),
            warm_seconds,
            booked: vec![0; usize::try_from(warm_seconds + seconds).unwrap_or(0)],
            complete: 0,
        })
    }

    /// Takes in what has ended.
    pub(super) fn take(&mut self, fresh: Vec<Booked>) -> Result<(), RecordingError> {
        let measured = Arc::make_mut(&mut self.measured);
        for Booked { second, class, lane, ended } in fresh {
            let arm = self.arms[lane];
            match (second.checked_sub(self.warm_seconds), &mut self.warm_up) {
                (Some(second), _) => measured.record(second, class, arm, ended)?,
                (None, Some(warm_up)) => warm_up.record(second, class, arm, ended)?,
                (None, None) => {}
            }
            if let Some(booked) = self.booked.get_mut(index(second)) {
                *booked += 1;
            }
        }
        Ok(())
    }

    /// Goes on to the next second, if the present one is complete.
    pub(super) fn advance(&mut self, pacer: &Pacer) -> bool {
        let is_complete = self.complete < pacer.seconds()
            && self.booked.get(index(self.complete)) == Some(&pacer.handed(self.complete).sum());
        self.complete += u32::from(is_complete);
        is_complete
    }

    /// Complete seconds of the warm-up.
    pub(super) fn warm(&self) -> u32 {
        self.complete.min(self.warm_seconds)
    }

    /// Complete seconds since the end of the warm-up.
    pub(super) fn measured_seconds(&self) -> u32 {
        self.complete.saturating_sub(self.warm_seconds)
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

    /// What was recorded since the end of the warm-up.
    pub(super) fn into_measured(self) -> Recording {
        Arc::unwrap_or_clone(self.measured)
    }
}

fn index(second: u32) -> usize {
    usize::try_from(second).unwrap_or(usize::MAX)
}
