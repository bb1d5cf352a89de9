//! The load never starves the application: what is left to it, before a load begins and as long as it runs.
//!
//! Decides, from what the servers themselves say, whether the load's connections leave `guard.freeConnections` free (`room`),
//! and when a load has to end: too few are free, a server can't be watched any more (`judge`), or the latency of the
//! server that the application is on is too high (`latency`). One connection to each server, opened before the load's and counted with them, asks once a second.
//! Never a verdict about the candidate: a server that is busy says nothing about it, so what a guard ends is `Inconclusive`.

use std::{fmt, time::Duration};

use futures::future::{join_all, select_all};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::{Targets, duet::Arm, glance::Glance, spec};
use crate::{
    api::{Verdict, Via},
    postgres::{ConnectError, Target},
};

mod judge;
mod latency;
mod room;

pub use latency::{MIN_CALLS, NO_ANSWER_US, ServingLatency};
pub use room::{Scope, TooFew};

use judge::Judge;
use room::Seen;

/// `application_name` of the connections that watch is `cutover/` and this.
const PURPOSE: &str = "load guard";
/// How often a server is asked.
const INTERVAL: Duration = Duration::from_secs(1);
/// Longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest that each step of connecting may take before the load begins.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a load does not begin.
#[derive(thiserror::Error, Debug, Clone, PartialEq, Eq)]
pub enum GuardError {
    /// A server can't be connected to.
    #[error("{} can't be connected to: {error}", .arm.name())]
    Connect {
        /// Which.
        arm: Arm,
        /// Why.
        error: ConnectError,
    },
    /// A server does not say how many connections are free.
    #[error("{} can't be watched: {why}", .arm.name())]
    Ask {
        /// Which.
        arm: Arm,
        /// Why.
        why: String,
    },
    /// The load's connections would not leave enough to the application.
    #[error(transparent)]
    TooFew(#[from] TooFew),
}

impl GuardError {
    /// A candidate that can't be connected to fails, as it does where the load itself finds out. A load that is too large
    /// for a server even with nobody else on it is an error of the spec. Everything else may be another way in a while.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Connect { arm: Arm::Candidate, error } if !error.is_for_lack_of_connections() => {
                Verdict::Fail
            }
            Self::TooFew(too_few) if too_few.is_forever() => Verdict::Error,
            Self::Connect { .. } | Self::Ask { .. } | Self::TooFew(_) => Verdict::Inconclusive,
        }
    }
}

/// Why a load had to end. Its text says what was measured against what bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardStop {
    /// The application would soon have been turned away.
    FreeConnections {
        /// On which server.
        arm: Arm,
        /// Within which limit.
        scope: Scope,
        /// What was free at last.
        free: i64,
        /// What had to be.
        least: u32,
    },
    /// Nobody knows any more what a server can bear.
    Unwatched {
        /// Which server.
        arm: Arm,
        /// Questions in a row that had no answer.
        failures: u32,
        /// Why the last of them had none.
        why: String,
    },
    /// The server that the application is on was too slow for too long.
    Latency {
        /// Which.
        arm: Arm,
        /// In the last second, in microseconds; [`NO_ANSWER_US`] where more than 5 % had no answer.
        p95_us: u64,
        /// For how many seconds.
        seconds: u32,
        /// What it stayed above, in microseconds.
        bound_us: u64,
        /// Where the bound comes from.
        bound: &'static str,
    },
}

impl fmt::Display for GuardStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FreeConnections { arm, scope, free, least } => write!(
                f,
                "{} had {free} connections free ({scope}), fewer than the {least} kept free for the application \
                 (guard.freeConnections), so the load was ended",
                arm.name()
            ),
            Self::Unwatched { arm, failures, why } => write!(
                f,
                "{} could not be watched, so the load was ended: {failures} questions in a row had no answer, the last one \
                 because {why}",
                arm.name()
            ),
            Self::Latency { arm, p95_us: NO_ANSWER_US, seconds, bound_us, bound } => write!(
                f,
                "{}'s p95 was above {:.1?} ({bound}) for {seconds} s, at last because more than 5 % of its statements had no \
                 answer, so the load was ended for the application's sake; see why they fail",
                arm.name(),
                Duration::from_micros(*bound_us),
            ),
            Self::Latency { arm, p95_us, seconds, bound_us, bound } => write!(
                f,
                "{}'s p95 was above {:.1?} ({bound}) for {seconds} s, at last {:.1?}, so the load was ended for the \
                 application's sake; lower the rate",
                arm.name(),
                Duration::from_micros(*bound_us),
                Duration::from_micros(*p95_us)
            ),
        }
    }
}

/// The connections that watch, one to each server that is loaded. Dropping it closes them.
#[derive(Debug)]
pub struct Watch {
    sides: Vec<Side>,
    least: u32,
}

#[derive(Debug)]
struct Side {
    arm: Arm,
    target: Target,
    /// Gone after a question without an answer.
    glance: Option<Glance>,
    worst: watch::Sender<Worst>,
}

/// The worst that was seen of a server while it was watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Worst {
    /// Fewest connections that were free at once, within the tightest limit.
    pub free: Option<i64>,
    /// Most sessions of the role that waited for a lock at once.
    pub waiting: Option<i64>,
}

impl Worst {
    fn take(&mut self, seen: &Seen) {
        let free = seen.tightest().map(|room| room.free);
        self.free = [self.free, free].into_iter().flatten().min();
        self.waiting = self.waiting.max(Some(seen.waiting));
    }

    /// As a report's counters.
    #[must_use]
    pub fn counters(self) -> Vec<(String, f64)> {
        #[allow(clippy::cast_precision_loss, reason = "numbers of sessions")]
        let number = |count: i64| count as f64;
        let named = [
            ("connections free, fewest at once", self.free),
            ("pg_stat_activity, most sessions of the role waiting for a lock at once", self.waiting),
        ];
        named.into_iter().filter_map(|(name, count)| Some((name.to_owned(), number(count?)))).collect()
    }
}

impl Watch {
    /// Connects to each server that `targets` loads.
    pub async fn open(targets: &Targets, guard: &spec::Guard) -> Result<Self, GuardError> {
        let opening = targets.sides().into_iter().map(|(arm, target)| async move {
            let glance = Glance::open(target, PURPOSE, STEP_TIMEOUT, PATIENCE).await;
            let glance = glance.map_err(|error| GuardError::Connect { arm, error })?;
            Ok(Side { arm, target: target.clone(), glance: Some(glance), worst: watch::Sender::default() })
        });
        let sides = join_all(opening).await.into_iter().collect::<Result<_, GuardError>>()?;
        Ok(Self { sides, least: guard.free_connections })
    }

    /// Whether each server can spare `connections`, those of all processes of the load together. To be asked before the
    /// first of them is opened.
    pub async fn admit(&self, connections: usize) -> Result<(), GuardError> {
        self.admit_beside(connections, 0).await
    }

    /// The same, asked beside another watch of the same load, with connections of its own that are gone before the load's are
    /// opened.
    pub async fn admit_again(
        targets: &Targets,
        guard: &spec::Guard,
        connections: usize,
    ) -> Result<(), GuardError> {
        Self::open(targets, guard).await?.admit_beside(connections, 1).await
    }

    async fn admit_beside(&self, connections: usize, passing: u32) -> Result<(), GuardError> {
        let asking = self.sides.iter().map(|side| async move {
            let seen = side.ask().await.map_err(|why| GuardError::Ask { arm: side.arm, why })?;
            Ok::<_, GuardError>((side.arm, seen))
        });
        let seen = join_all(asking).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(room::admit(&seen, connections, passing, self.least)?)
    }

    /// What is between this process and the servers. Of two the one that asks the most of each statement: that takes its time, so both
    /// sides have the same to do.
    #[must_use]
    pub fn via(&self) -> Via {
        self.sides.iter().map(Side::via).max().unwrap_or_default()
    }

    /// What is not watched, for the report: between a server and this process there may be something with limits of its own.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let indirect = self.sides.iter().filter(|side| side.via() != Via::Direct);
        let note = |side: &Side| {
            let name = side.arm.name();
            format!(
                "{name} is reached {}; what the server has free is watched, not the limits of what is between",
                side.via().told()
            )
        };
        indirect.map(note).collect()
    }

    /// The worst so far, also after the end of [`Watch::watch`].
    #[must_use]
    pub fn worst(&self) -> Vec<(Arm, watch::Receiver<Worst>)> {
        self.sides.iter().map(|side| (side.arm, side.worst.subscribe())).collect()
    }

    /// Asks each server once a second, and ends when the load has to. Dropping the future closes the connections.
    pub async fn watch(self) -> GuardStop {
        let least = self.least;
        let watching = self.sides.into_iter().map(|side| Box::pin(side.watch(least)));
        select_all(watching).await.0
    }
}

impl Side {
    fn via(&self) -> Via {
        self.glance.as_ref().map_or(Via::Pooler, |glance| glance.facts().via)
    }

    async fn watch(mut self, least: u32) -> GuardStop {
        let mut judge = Judge::new(self.arm, least);
        let mut clock = interval(INTERVAL);
        // A late answer is no reason to ask twice in a row.
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            let seen = self.ask_again().await;
            if let Ok(seen) = &seen {
                self.worst.send_modify(|worst| worst.take(seen));
            }
            if let Some(stop) = judge.tell(seen) {
                return stop;
            }
        }
    }

    /// Asks on a new connection if the last one was lost.
    async fn ask_again(&mut self) -> Result<Seen, String> {
        if self.glance.as_ref().is_none_or(Glance::is_closed) {
            self.glance = None;
            let glance = Glance::open(&self.target, PURPOSE, PATIENCE, PATIENCE).await;
            self.glance = Some(glance.map_err(|error| error.to_string())?);
        }
        let seen = self.ask().await;
        if seen.is_err() {
            // A late answer would be taken for that of the next question.
            self.glance = None;
        }
        seen
    }

    async fn ask(&self) -> Result<Seen, String> {
        let glance = self.glance.as_ref().ok_or("the connection was lost")?;
        let row = glance.row(room::QUESTION).await.map_err(|fault| fault.to_string())?;
        room::read(&row).ok_or_else(|| "the server did not say how many connections are free".to_owned())
    }
}
