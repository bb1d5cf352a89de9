//! A load or a baseline of the spec, ready to run.
//!
//! Decides what the spec's texts and numbers amount to, and refuses what can't be run, with the field's name. The CRD
//! refuses most of it already; a stored object may be older than the CRD. Never looks at a database.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    course::{Course, ShapeError},
    duet::{Arm, Margin, MarginTooSmall, Margins, Percentile, Rules},
    model::{self, TrafficError},
    verdict::{ErrorLimit, LatencyLimitsUs},
};
use crate::{
    api::{self, Access, Baseline, LatencyLimits, Load, MaxIncreasePercent, Traffic},
    duration::{self, DurationError},
};

/// Longest that a statement may run, unless set otherwise.
pub const DEFAULT_STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest warm-up of a duet; a short one has a sixth of its length.
const LONGEST_WARM_UP: Duration = Duration::from_secs(10);

/// Most calls of a load: 40 MB at two bytes each, and as much again while they grow.
const CALLS_MAX: u64 = 20_000_000;

/// Connections that stay free on each server, unless set otherwise.
pub(super) const FREE_CONNECTIONS: u32 = 5;

/// A load, ready to run.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadSpec {
    /// The statements.
    pub traffic: Traffic,
    /// Arrivals per second, where the course is at its full height.
    pub rate: u32,
    /// How the rate changes over time, and how arrivals follow each other.
    pub course: Course,
    /// How long is measured, at least, unless the candidate fails earlier.
    pub duration: Duration,
    /// Until when a duet goes on that can't be told after `duration`.
    pub max_duration: Option<Duration>,
    /// What a duet discards at its beginning, before `duration`.
    pub warm_up: Duration,
    /// Connections to each side that it is spread over.
    pub connections: usize,
    /// Of the schedule, where other processes carry out the rest.
    pub share: Share,
    /// When the schedule begins, where other processes begin theirs at the same moment; else at once.
    pub begin_at: Option<Timestamp>,
    /// Which of the tries until a duet is not inconclusive any more, from 0; `None` where it is the only one.
    pub try_number: Option<usize>,
    /// By how much the candidate may be slower than legacy in a duet.
    pub margins: Margins,
    /// Whether statements that write may be carried out on legacy in a duet.
    pub legacy_access: Access,
    /// What is left to the application.
    pub guard: Guard,
    /// The side that the application is on while it is loaded: the guard looks after its latency.
    pub application_on: Arm,
    /// Whether it is a baseline: nothing goes by it but whether the server serves at all.
    pub is_baseline: bool,
    /// Highest acceptable latencies.
    pub max_latency: LatencyLimitsUs,
    /// Highest acceptable share of failed statements.
    pub max_error: ErrorLimit,
    /// Fewest acceptable answers per second.
    pub min_throughput: Option<u32>,
    /// Longest that a statement may run; longer counts as a timeout.
    pub statement_timeout: Duration,
    /// Of the schedule: the same seed gives the same arrivals and parameters.
    pub seed: u64,
}

/// A part of one schedule: every `count`th arrival, from the one numbered `index` on.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// From 0.
    pub index: u32,
    /// At least 1.
    pub count: u32,
}

impl Share {
    /// The whole schedule.
    pub const ALL: Self = Self { index: 0, count: 1 };
}

/// What a load leaves to the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// Connections that must stay free on each server.
    pub free_connections: u32,
    /// The load ends when legacy's 95th percentile stays above this; without it, a bound is taken from
    /// the warm-up, or the first seconds of legacy alone.
    pub legacy_p95: Option<Duration>,
}

impl Guard {
    fn new(guard: &api::Guard) -> Result<Self, LoadSpecError> {
        let bound = guard.legacy_p95.as_deref().map(|text| parse("guard.legacyP95", text)).transpose()?;
        Ok(Self { free_connections: u32::try_from(guard.free_connections).unwrap_or(0), legacy_p95: bound })
    }
}

/// Why a load or a baseline of the spec can't be run.
#[derive(thiserror::Error, Debug, PartialEq, Eq, Clone)]
pub enum LoadSpecError {
    /// A duration can't be read.
    #[error("{field} can't be read: {error}")]
    Duration {
        /// Which.
        field: &'static str,
        /// Why.
        error: DurationError,
    },
    /// The error limit can't be read.
    #[error("maxErrorPercent is not a percentage between 0 and 100 with at most six decimals, such as 0.1")]
    ErrorLimit,
    /// The rate is not positive.
    #[error("the rate must be at least one arrival per second")]
    Rate,
    /// More calls than a process can keep.
    #[error("{0} calls are more than the {CALLS_MAX} that a load may have; lower the rate or the duration")]
    Calls(u64),
    /// The number of connections is not positive.
    #[error("the load needs at least one connection")]
    Connections,
    /// A limit of the increase makes no margin.
    #[error("maxIncreasePercent.{percentile}: {error}")]
    Margin {
        /// Of which percentile.
        percentile: &'static str,
        /// Why.
        error: MarginTooSmall,
    },
    /// Pods without a connection.
    #[error("{0} pods share {1} connections, and each needs one: raise connections or lower parallelism")]
    Parallelism(i32, i32),
    /// The shape can't be followed.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The traffic model can't be drawn from.
    #[error(transparent)]
    Traffic(#[from] TrafficError),
}

impl LoadSpec {
    /// The load of a stage.
    pub fn from_load(load: &Load, traffic: &Traffic, seed: u64) -> Result<Self, LoadSpecError> {
        let spec = Self::new(traffic, load.rate, &load.duration, load.connections, seed)?;
        if load.parallelism > load.connections {
            return Err(LoadSpecError::Parallelism(load.parallelism, load.connections));
        }
        Self {
            max_duration: load.max_duration.as_deref().map(|text| parse("maxDuration", text)).transpose()?,
            max_latency: load.max_latency.as_ref().map_or(Ok(LatencyLimitsUs::default()), latency_limits)?,
            max_error: ErrorLimit::parse(&load.max_error_percent).ok_or(LoadSpecError::ErrorLimit)?,
            min_throughput: load.min_throughput.and_then(|least| u32::try_from(least).ok()),
            course: Course::new(&load.shape, load.arrivals)?,
            margins: margins(load.max_increase_percent.unwrap_or_default())?,
            legacy_access: load.legacy_access,
            guard: Guard::new(&load.guard)?,
            ..spec
        }
        .bounded()
    }

    /// A baseline: nothing to compare with, so there is no limit but that of a legacy database that serves at all.
    pub fn from_baseline(baseline: &Baseline, traffic: &Traffic, seed: u64) -> Result<Self, LoadSpecError> {
        Self {
            is_baseline: true,
            guard: Guard::new(&baseline.guard)?,
            course: Course::new(&baseline.shape, baseline.arrivals)?,
            ..Self::new(traffic, baseline.rate, &baseline.duration, baseline.connections, seed)?
        }
        .bounded()
    }

    fn bounded(self) -> Result<Self, LoadSpecError> {
        let calls = u64::from(self.rate).saturating_mul(self.longest().as_secs());
        if calls > CALLS_MAX { Err(LoadSpecError::Calls(calls)) } else { Ok(self) }
    }

    /// When it ends, whether or not there is a verdict.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.max_duration.unwrap_or(self.duration).max(self.duration)
    }

    /// How a duet is judged.
    #[must_use]
    pub fn rules(&self) -> Rules {
        let rules = Rules::lasting(self.duration, self.longest()).with_margins(self.margins);
        match self.try_number {
            Some(number) => rules.in_try(number),
            None => rules,
        }
    }

    /// Connections to each side that this process opens.
    pub(super) fn own_connections(&self) -> usize {
        let count = usize::try_from(self.share.count).unwrap_or(usize::MAX).max(1);
        let index = usize::try_from(self.share.index).unwrap_or(usize::MAX);
        self.connections / count + usize::from(index < self.connections % count)
    }

    fn new(
        traffic: &Traffic,
        rate: i32,
        length: &str,
        connections: i32,
        seed: u64,
    ) -> Result<Self, LoadSpecError> {
        model::check(traffic)?;
        let duration = parse("duration", length)?;
        Ok(Self {
            traffic: traffic.clone(),
            rate: u32::try_from(rate).ok().filter(|rate| *rate > 0).ok_or(LoadSpecError::Rate)?,
            course: Course::default(),
            duration,
            max_duration: None,
            warm_up: Duration::from_secs((duration / 6).min(LONGEST_WARM_UP).as_secs().max(1)),
            connections: usize::try_from(connections)
                .ok()
                .filter(|n| *n > 0)
                .ok_or(LoadSpecError::Connections)?,
            share: Share::ALL,
            begin_at: None,
            try_number: None,
            margins: Margins::default(),
            legacy_access: Access::ReadOnly,
            guard: Guard::new(&api::Guard::default())?,
            application_on: Arm::Legacy,
            is_baseline: false,
            max_latency: LatencyLimitsUs::default(),
            max_error: ErrorLimit::ONE_PERCENT,
            min_throughput: None,
            statement_timeout: DEFAULT_STATEMENT_TIMEOUT,
            seed,
        })
    }
}

/// A pass needs evidence of less than the margin of failure and this.
const ROOM_TO_PASS: f64 = 0.05;

fn margins(limits: MaxIncreasePercent) -> Result<Margins, LoadSpecError> {
    let mut margins = Margins::default();
    for (name, percentile, limit) in [
        ("p50", Percentile::P50, limits.p50),
        ("p95", Percentile::P95, limits.p95),
        ("p99", Percentile::P99, limits.p99),
    ] {
        let Some(percent) = limit else { continue };
        let fail = f64::from(percent) / 100.0;
        let margin = Margin::new(fail, fail + ROOM_TO_PASS)
            .map_err(|error| LoadSpecError::Margin { percentile: name, error })?;
        margins = margins.with(percentile, margin);
    }
    Ok(margins)
}

fn parse(field: &'static str, text: &str) -> Result<Duration, LoadSpecError> {
    duration::parse(text).map_err(|error| LoadSpecError::Duration { field, error })
}

/// The limits of the spec, in microseconds.
pub(crate) fn latency_limits(limits: &LatencyLimits) -> Result<LatencyLimitsUs, LoadSpecError> {
    let limit = |field, text: &Option<String>| -> Result<Option<u64>, LoadSpecError> {
        let limit = text.as_deref().map(|text| parse(field, text)).transpose()?;
        Ok(limit.map(|limit| u64::try_from(limit.as_micros()).unwrap_or(u64::MAX)))
    };
    Ok(LatencyLimitsUs {
        p50: limit("maxLatency.p50", &limits.p50)?,
        p95: limit("maxLatency.p95", &limits.p95)?,
        p99: limit("maxLatency.p99", &limits.p99)?,
    })
}

#[cfg(test)]
mod tests;
