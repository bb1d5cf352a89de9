//! The baseline and the load of a stage: which traffic, how much of it, for how long, and within which limits.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{ArrivalProcess, RatePoint};
use crate::api::DURATION_PATTERN;

/// What is measured on legacy before anything is changed.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Baseline {
    /// Name of the traffic model.
    #[schemars(length(min = 1, max = 63))]
    pub traffic: String,
    /// Arrivals per second; with a `shape`, at 100 percent.
    #[schemars(range(min = 1, max = 20_000))]
    pub rate: i32,
    /// How the rate changes in the course of it; without it `rate` all the time. Before the first point the rate is the
    /// first point's, after the last one the last one's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.map(p, duration(p.at)).isSorted()").message("the points of shape must be in the order of their moments"))]
    pub shape: Vec<RatePoint>,
    /// How arrivals follow each other.
    #[serde(default, skip_serializing_if = "ArrivalProcess::is_poisson")]
    pub arrivals: ArrivalProcess,
    /// How long.
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('1h')").message("baseline.duration must be between 1s and 1h"))]
    pub duration: String,
    /// Connections that the load is spread over, as the application's pool would hold them.
    #[schemars(range(min = 1, max = 500))]
    pub connections: i32,
}

/// Load on the candidate and the limits that it must stay within.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Name of the traffic model.
    #[schemars(length(min = 1, max = 63))]
    pub traffic: String,
    /// Arrivals per second; with a `shape`, at 100 percent.
    #[schemars(range(min = 1, max = 20_000))]
    pub rate: i32,
    /// How the rate changes in the course of it; without it `rate` all the time. Before the first point the rate is the
    /// first point's, after the last one the last one's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.map(p, duration(p.at)).isSorted()").message("the points of shape must be in the order of their moments"))]
    pub shape: Vec<RatePoint>,
    /// How arrivals follow each other.
    #[serde(default, skip_serializing_if = "ArrivalProcess::is_poisson")]
    pub arrivals: ArrivalProcess,
    /// How long.
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('1h')").message("load.duration must be between 1s and 1h"))]
    pub duration: String,
    /// Connections that the load is spread over, as the application's pool would hold them.
    #[schemars(range(min = 1, max = 500))]
    pub connections: i32,
    /// Highest acceptable latencies, counted from the scheduled arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_latency: Option<LatencyLimits>,
    /// Highest acceptable share of failed statements (errors and timeouts), in percent.
    #[serde(default = "default_max_error_percent")]
    #[schemars(length(max = 32), regex(pattern = "^[0-9]{1,3}(\\.[0-9]{1,6})?$"))]
    pub max_error_percent: String,
}

fn default_max_error_percent() -> String {
    "0.1".to_owned()
}

/// Limits by percentile; those left out do not count.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LatencyLimits {
    /// Half of the statements are faster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    pub p50: Option<String>,
    /// 95 % are faster. Needs at least 200 arrivals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    pub p95: Option<String>,
    /// 99 % are faster. Needs at least 1,000 arrivals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    pub p99: Option<String>,
}
