//! How far a load is, for people. Percentiles are only taken of what all processes of it have counted together.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    duet::{Arm, HALVES_PER_SECOND},
    histogram::Latencies,
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

/// Where it stands, as one process or several together have counted it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Standing {
    pub(super) scheduled: u64,
    pub(super) elapsed: Duration,
    pub(super) duration: Duration,
    /// Legacy first, where there are both.
    pub(super) sides: Vec<SideStanding>,
}

/// One side's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SideStanding {
    pub(super) arm: Arm,
    pub(super) ok: u64,
    pub(super) errors: u64,
    pub(super) timeouts: u64,
    pub(super) latency: Latencies,
}

impl Standing {
    /// Takes in what another process of the same load has counted.
    pub(super) fn add(&mut self, other: &Self) {
        self.scheduled += other.scheduled;
        for (side, its) in self.sides.iter_mut().zip(&other.sides) {
            side.ok += its.ok;
            side.errors += its.errors;
            side.timeouts += its.timeouts;
            side.latency.add(&its.latency);
        }
    }

    /// As people are told.
    pub(super) fn shown(&self) -> LoadProgress {
        let sum = |of: fn(&SideStanding) -> u64| self.sides.iter().map(of).sum();
        let side = |arm| self.sides.iter().find(|side| side.arm == arm).map(SideStanding::shown);
        LoadProgress {
            scheduled: self.scheduled,
            ok: sum(|side| side.ok),
            errors: sum(|side| side.errors),
            timeouts: sum(|side| side.timeouts),
            elapsed: self.elapsed,
            duration: self.duration,
            legacy: side(Arm::Legacy),
            candidate: side(Arm::Candidate),
        }
    }
}

impl SideStanding {
    fn of(arm: Arm, tally: &Tally) -> Self {
        let (ok, errors, timeouts) = (tally.ok, tally.errors, tally.timeouts);
        Self { arm, ok, errors, timeouts, latency: tally.latency.clone() }
    }

    fn shown(&self) -> ArmProgress {
        let percentile = |percent| self.latency.percentile_us(percent, self.errors);
        ArmProgress {
            ok: self.ok,
            failed: self.errors + self.timeouts,
            p50_us: percentile(50),
            p95_us: percentile(95),
            p99_us: percentile(99),
        }
    }
}

/// Finds out where a load stands.
pub(super) struct Teller {
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
}

impl Teller {
    /// Percentiles are left for later: the workers wait for the books meanwhile.
    pub(super) fn stand(&self, run: &Run, pacer: &Pacer) -> Standing {
        let first =
            u32::try_from(self.warm_up.as_secs()).unwrap_or(u32::MAX).saturating_mul(HALVES_PER_SECOND);
        let books = run.books();
        Standing {
            scheduled: pacer.handed_since(first).into_iter().sum(),
            elapsed: run.start.elapsed().saturating_sub(self.warm_up).min(self.duration),
            duration: self.duration,
            sides: run
                .arms
                .iter()
                .zip(&books.tallies)
                .map(|(arm, tally)| SideStanding::of(*arm, tally))
                .collect(),
        }
    }
}
