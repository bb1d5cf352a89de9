//! The baseline and the load of a stage: which traffic, how much of it, for how long, and within which limits.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use schemars::JsonSchema;

use super::{ArrivalProcess, RatePoint};
use crate::api::{Access, DURATION_PATTERN};

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
    /// What it leaves to the application.
    #[serde(default, skip_serializing_if = "Guard::is_usual")]
    pub guard: Guard,
}

/// Load, and what it must show.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.maxDuration) || duration(self.maxDuration) >= duration(self.duration)").message("load.maxDuration must not be shorter than load.duration"))]
#[x_kube(validation = Rule::new("(has(self.mode) && self.mode == 'Candidate') || duration(self.duration) >= duration('1m')").message("a duet can't pass in less than 60s: set load.duration to 1m or more, or load.mode to Candidate with limits in load.maxLatency"))]
#[x_kube(validation = Rule::new("!has(self.parallelism) || self.parallelism <= self.connections").message("load.connections must be at least load.parallelism: every pod needs one"))]
#[x_kube(validation = Rule::new("!has(self.mode) || self.mode == 'Duet' || !(has(self.maxIncreasePercent) || has(self.maxDuration) || has(self.legacyAccess))").message("maxIncreasePercent, maxDuration and legacyAccess are about legacy, which mode Candidate does not load"))]
pub struct Load {
    /// Name of the traffic model.
    #[schemars(length(min = 1, max = 63))]
    pub traffic: String,
    /// What the candidate is held against.
    #[serde(default, skip_serializing_if = "LoadMode::is_duet")]
    pub mode: LoadMode,
    /// Arrivals per second, of both sides together in a duet; with a `shape`, at 100 percent.
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
    /// How long it takes, after a warm-up that a duet has in addition (a sixth of this, at most 10s).
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('1h')").message("load.duration must be between 1s and 1h"))]
    pub duration: String,
    /// A duet that is neither a pass nor a failure after `duration` goes on until this; without it, it is `Inconclusive`
    /// then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(validation = Rule::new("duration(self) <= duration('2h')").message("load.maxDuration must be at most 2h"))]
    pub max_duration: Option<String>,
    /// Connections to each side that the load is spread over, as the application's pool would hold them.
    #[schemars(range(min = 1, max = 500))]
    pub connections: i32,
    /// Pods that carry the load out together, each its part of the one schedule and of the connections. One: the operator
    /// does it itself.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schemars(range(min = 1, max = 64))]
    pub parallelism: i32,
    /// Highest acceptable latencies of the candidate, counted from the scheduled arrival. `mode: Candidate` needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_latency: Option<LatencyLimits>,
    /// By how many percent a latency of the candidate may be above legacy's: more than this fails. 5, 5 and 10 where it is
    /// left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_increase_percent: Option<MaxIncreasePercent>,
    /// Highest acceptable share of failed statements (errors and timeouts), in percent. It takes 300 statements of the
    /// candidate, divided by it, to tell that it is kept: 3,000 for 0.1. With 0, none may fail, however many there are.
    #[serde(default = "default_max_error_percent")]
    #[schemars(length(max = 32), regex(pattern = "^[0-9]{1,3}(\\.[0-9]{1,6})?$"))]
    pub max_error_percent: String,
    /// Fewest answers per second of the candidate. A duet sends half of the rate to each side; fewer than is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 20_000))]
    pub min_throughput: Option<i32>,
    /// `ReadWrite`: a duet may carry statements that write out on legacy, too. Without it, a duet of traffic that writes is
    /// refused.
    #[serde(default = "read_only", skip_serializing_if = "is_read_only")]
    pub legacy_access: Access,
    /// What the load leaves to the application.
    #[serde(default)]
    pub guard: Guard,
}

fn one() -> i32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(parallelism: &i32) -> bool {
    *parallelism == 1
}

fn read_only() -> Access {
    Access::ReadOnly
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_read_only(access: &Access) -> bool {
    *access == Access::ReadOnly
}

/// What the candidate is held against.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema)]
pub enum LoadMode {
    /// Legacy, which answers the same schedule at the same time: arrivals of a class go to either of the two in turns, and chance
    /// says which comes first of each two.
    #[default]
    Duet,
    /// Absolute limits alone, one of latency among them; legacy gets no load. A candidate that is slower than legacy passes
    /// as long as it keeps within them.
    Candidate,
}

impl LoadMode {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_duet(&self) -> bool {
        *self == Self::Duet
    }
}

/// Highest acceptable increases by percentile, in percent of legacy's latency.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MaxIncreasePercent {
    /// Of the median; 5 where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 1_000))]
    pub p50: Option<i32>,
    /// Of the 95th percentile; 5 where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 1_000))]
    pub p95: Option<i32>,
    /// Of the 99th percentile; 10 where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 1_000))]
    pub p99: Option<i32>,
}

/// What a load leaves to the application. Passing one of these ends the load without a verdict.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Guard {
    /// Connections that must stay free on each server, for ordinary roles, before it begins and all the time.
    #[serde(default = "default_free_connections")]
    #[schemars(range(min = 0, max = 10_000))]
    pub free_connections: i32,
    /// The load ends when legacy's own 95th percentile is above this for 5 seconds. Without it: ten times what it was in the
    /// first third of the warm-up, while the load was light (of a baseline, in its first seconds), and at least 100 ms. The same
    /// holds for a candidate that is loaded alone while the stage soaks: the application is on it by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1ms')").message("guard.legacyP95 must be at least 1ms"))]
    pub legacy_p95: Option<String>,
}

impl Guard {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self { free_connections: default_free_connections(), legacy_p95: None }
    }
}

fn default_free_connections() -> i32 {
    5
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
