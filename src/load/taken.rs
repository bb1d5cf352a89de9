//! What a load has taken down, before anything is made of it.
//!
//! One process's, or that of all processes which carried out parts of one schedule: counts and histograms add up, and the
//! seconds of their recordings are the same seconds. Percentiles are only ever taken of what was added up.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::api::Via;

use super::{
    duet::{Arm, Look, Recording},
    measure::Tally,
};

/// Why a load ended before its schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stop {
    /// More than half of a side's statements failed.
    GrossFault(Arm),
    /// More arrivals waited for a side than could ever be caught up with.
    Backlog(Arm),
    /// A side did not answer most of what was due any more.
    Stalled(Arm),
    /// The candidate failed in the warm-up already; how.
    WarmUp(String),
    /// What is judged was plainly bad, as one of several processes saw it, or of one server alone; how.
    Plain(String),
    /// The application would have suffered; how.
    Guard(String),
    /// It would have, from a candidate that it is on by then and that is too slow; how.
    TooSlow(String),
    /// The duet has its verdict.
    Verdict,
    /// The books are not what they must be.
    Bug,
}

impl Stop {
    /// Of several the one that counts: what voids the others, then what is for the application's sake, then legacy's.
    fn rank(&self) -> u8 {
        match self {
            Self::Bug => 0,
            Self::Guard(_) | Self::TooSlow(_) => 1,
            Self::GrossFault(Arm::Legacy) | Self::Backlog(Arm::Legacy) | Self::Stalled(Arm::Legacy) => 2,
            Self::WarmUp(_) | Self::Plain(_) => 3,
            Self::GrossFault(Arm::Candidate)
            | Self::Backlog(Arm::Candidate)
            | Self::Stalled(Arm::Candidate) => 4,
            Self::Verdict => 5,
        }
    }

    /// Why several processes together ended, from why each did.
    pub(super) fn of_both(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        one.into_iter().chain(other).min_by_key(Self::rank)
    }
}

/// One side's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LaneTaken {
    pub(super) arm: Arm,
    pub(super) scheduled: u64,
    pub(super) skipped: u64,
    pub(super) tally: Tally,
}

impl LaneTaken {
    /// Whether every arrival is accounted for.
    pub(super) fn is_conserved(&self) -> bool {
        self.tally.taken() + self.skipped == self.scheduled
    }
}

/// All of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Taken {
    /// Legacy first, where there are both.
    pub(super) lanes: Vec<LaneTaken>,
    /// Of each class in the arrivals, in the model's order.
    pub(super) shares: Vec<f64>,
    /// Of the warm-up, where there was one.
    pub(super) warm_up: Option<Recording>,
    /// Since its end.
    pub(super) recording: Recording,
    /// The last look at a duet that was judged while it ran.
    #[serde(skip)]
    pub(super) look: Option<Look>,
    pub(super) stop: Option<Stop>,
    /// From the end of the warm-up to the end of the schedule; to what ended last, where it was ended early.
    pub(super) elapsed: Duration,
    /// Processor time of all processes, the warm-up included.
    pub(super) cpu: Duration,
    /// The part of the time that the thread was busy which paces and looks after the connections, while it was busiest; of several
    /// processes that of the busiest.
    pub(super) busy_permille: u32,
    /// The latest that an arrival was handed out.
    pub(super) longest_lag: Duration,
    /// Calls that it was for.
    pub(super) statements: u64,
    /// That shared the schedule.
    pub(super) processes: u32,
    /// What was between them and the servers.
    pub(super) via: Via,
}

impl Taken {
    pub(super) fn lane(&self, arm: Arm) -> Option<&LaneTaken> {
        self.lanes.iter().find(|lane| lane.arm == arm)
    }
}
