//! A load or a baseline of the spec, ready to run.
//!
//! Decides what the spec's texts and numbers amount to, and refuses what can't be run, with the field's name. The CRD
//! refuses most of it already; a stored object may be older than the CRD. Never looks at a database.

use std::time::Duration;

use super::{
    course::{Course, ShapeError},
    model::{self, TrafficError},
    verdict::{ErrorLimit, LatencyLimitsUs},
};
use crate::{
    api::{Baseline, LatencyLimits, Load, Traffic},
    duration::{self, DurationError},
};

/// Longest that a statement may run, unless set otherwise.
pub const DEFAULT_STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// A load, ready to run.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadSpec {
    /// The statements.
    pub traffic: Traffic,
    /// Arrivals per second, where the course is at its full height.
    pub rate: u32,
    /// How the rate changes over time, and how arrivals follow each other.
    pub course: Course,
    /// Length of the schedule.
    pub duration: Duration,
    /// Connections that it is spread over.
    pub connections: usize,
    /// Highest acceptable latencies.
    pub max_latency: LatencyLimitsUs,
    /// Highest acceptable share of failed statements.
    pub max_error: ErrorLimit,
    /// Longest that a statement may run; longer counts as a timeout.
    pub statement_timeout: Duration,
    /// Of the schedule: the same seed gives the same arrivals and parameters.
    pub seed: u64,
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
    /// The number of connections is not positive.
    #[error("the load needs at least one connection")]
    Connections,
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
        Ok(Self {
            max_latency: load.max_latency.as_ref().map_or(Ok(LatencyLimitsUs::default()), latency_limits)?,
            max_error: ErrorLimit::parse(&load.max_error_percent).ok_or(LoadSpecError::ErrorLimit)?,
            course: Course::new(&load.shape, load.arrivals)?,
            ..Self::new(traffic, load.rate, &load.duration, load.connections, seed)?
        })
    }

    /// A baseline: nothing to compare with, so there is no limit but that of a legacy database that serves at all.
    pub fn from_baseline(baseline: &Baseline, traffic: &Traffic, seed: u64) -> Result<Self, LoadSpecError> {
        Ok(Self {
            course: Course::new(&baseline.shape, baseline.arrivals)?,
            ..Self::new(traffic, baseline.rate, &baseline.duration, baseline.connections, seed)?
        })
    }

    fn new(
        traffic: &Traffic,
        rate: i32,
        length: &str,
        connections: i32,
        seed: u64,
    ) -> Result<Self, LoadSpecError> {
        model::check(traffic)?;
        Ok(Self {
            traffic: traffic.clone(),
            rate: u32::try_from(rate).ok().filter(|rate| *rate > 0).ok_or(LoadSpecError::Rate)?,
            course: Course::default(),
            duration: parse("duration", length)?,
            connections: usize::try_from(connections)
                .ok()
                .filter(|n| *n > 0)
                .ok_or(LoadSpecError::Connections)?,
            max_latency: LatencyLimitsUs::default(),
            max_error: ErrorLimit::ONE_PERCENT,
            statement_timeout: DEFAULT_STATEMENT_TIMEOUT,
            seed,
        })
    }
}

fn parse(field: &'static str, text: &str) -> Result<Duration, LoadSpecError> {
    duration::parse(text).map_err(|error| LoadSpecError::Duration { field, error })
}

fn latency_limits(limits: &LatencyLimits) -> Result<LatencyLimitsUs, LoadSpecError> {
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
mod tests {
    use super::*;
    use crate::api::{Access, ArrivalProcess, RatePoint, Statement};

    fn traffic() -> Traffic {
        let statement = Statement { sql: Some("SELECT 1".to_owned()), weight: 1, ..Statement::default() };
        Traffic {
            name: "t".to_owned(),
            access: Access::ReadOnly,
            statements: vec![statement],
            scripts: vec![],
        }
    }

    fn load() -> Load {
        Load {
            traffic: "t".to_owned(),
            rate: 300,
            shape: vec![],
            arrivals: ArrivalProcess::Poisson,
            duration: "1m".to_owned(),
            connections: 20,
            max_latency: Some(LatencyLimits { p50: None, p95: Some("1s500ms".to_owned()), p99: None }),
            max_error_percent: "0.1".to_owned(),
        }
    }

    #[test]
    fn a_stages_load_takes_its_limits_from_the_spec() {
        let spec = LoadSpec::from_load(&load(), &traffic(), 7).unwrap();
        assert_eq!((spec.rate, spec.connections, spec.duration), (300, 20, Duration::from_mins(1)));
        assert_eq!(spec.max_latency, LatencyLimitsUs { p50: None, p95: Some(1_500_000), p99: None });
        assert_eq!(spec.max_error, ErrorLimit::parse("0.1").unwrap());
    }

    #[test]
    fn a_baseline_has_no_latency_limit_and_one_percent_of_errors() {
        let baseline = Baseline {
            traffic: "t".to_owned(),
            rate: 1,
            shape: vec![],
            arrivals: ArrivalProcess::Fixed,
            duration: "1s".to_owned(),
            connections: 1,
        };
        let spec = LoadSpec::from_baseline(&baseline, &traffic(), 7).unwrap();
        assert_eq!((spec.max_latency, spec.max_error), (LatencyLimitsUs::default(), ErrorLimit::ONE_PERCENT));
    }

    #[test]
    fn what_can_not_be_run_says_why() {
        let refused = |load: Load, part: &str| {
            let message = LoadSpec::from_load(&load, &traffic(), 7).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        };
        refused(Load { duration: "x".to_owned(), ..load() }, "duration can't be read");
        refused(Load { rate: 0, ..load() }, "rate");
        refused(Load { connections: -1, ..load() }, "connection");
        let late = RatePoint { at: "2s".to_owned(), percent: 1 };
        let early = RatePoint { at: "1s".to_owned(), percent: 1 };
        refused(Load { shape: vec![late, early], ..load() }, "point 2 of shape is earlier");
        refused(Load { max_error_percent: "101".to_owned(), ..load() }, "maxErrorPercent");
        let limits = LatencyLimits { p99: Some("1d".to_owned()), ..LatencyLimits::default() };
        refused(Load { max_latency: Some(limits), ..load() }, "maxLatency.p99 can't be read");
        let empty = Traffic { statements: vec![], ..traffic() };
        assert_eq!(LoadSpec::from_load(&load(), &empty, 7), Err(TrafficError::Empty.into()));
    }
}
