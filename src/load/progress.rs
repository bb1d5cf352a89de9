//! How far a load is, for people.

use std::time::Duration;

use super::{
    duet::{Arm, HALVES_PER_SECOND},
    measure::Tally,
    pacer::Pacer,
    worker::Run,
};

/// How far a load is. Everything is counted since the end of the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadProgress {
    /// Arrivals that were due so far.
    pub scheduled: u64,
    /// Answered.
    pub ok: u64,
    /// Failed.
    pub errors: u64,
    /// Ran into the statement timeout.
    pub timeouts: u64,
    /// Since the end of the warm-up.
    pub elapsed: Duration,
    /// How long it takes, at most.
    pub duration: Duration,
    /// Legacy's latencies so far; `None` where it is not loaded.
    pub legacy: Option<ArmProgress>,
    /// The candidate's.
    pub candidate: Option<ArmProgress>,
}

/// What one side did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ArmProgress {
    /// Answers.
    pub ok: u64,
    /// Errors and timeouts.
    pub failed: u64,
    /// From the scheduled arrival, in microseconds; `None` where that many did not come back.
    pub p50_us: Option<u64>,
    /// The 95th percentile.
    pub p95_us: Option<u64>,
    /// The 99th.
    pub p99_us: Option<u64>,
}

/// Puts it together.
pub(super) struct Teller {
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
}

impl Teller {
    pub(super) fn tell(&self, run: &Run, pacer: &Pacer) -> LoadProgress {
        let first =
            u32::try_from(self.warm_up.as_secs()).unwrap_or(u32::MAX).saturating_mul(HALVES_PER_SECOND);
        let mut told = LoadProgress {
            scheduled: pacer.handed_since(first).into_iter().sum(),
            elapsed: run.start.elapsed().saturating_sub(self.warm_up).min(self.duration),
            duration: self.duration,
            ..LoadProgress::default()
        };
        for (arm, tally) in run.arms.iter().zip(&run.books().tallies) {
            told.ok += tally.ok;
            told.errors += tally.errors;
            told.timeouts += tally.timeouts;
            let side = match arm {
                Arm::Legacy => &mut told.legacy,
                Arm::Candidate => &mut told.candidate,
            };
            *side = Some(of(tally));
        }
        told
    }
}

fn of(tally: &Tally) -> ArmProgress {
    let percentile = |percent| tally.latency.percentile_us(percent, tally.errors);
    ArmProgress {
        ok: tally.ok,
        failed: tally.failed(),
        p50_us: percentile(50),
        p95_us: percentile(95),
        p99_us: percentile(99),
    }
}
