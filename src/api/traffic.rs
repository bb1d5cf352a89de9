//! Traffic models, the baseline, and the load of a stage.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Access, DURATION_PATTERN, LABEL_PATTERN};

/// A model of the application's statements.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// Name of the model.
    #[schemars(regex(pattern = LABEL_PATTERN))]
    #[schemars(length(max = 63))]
    pub name: String,
    /// `ReadOnly`: every session is read-only, a statement that writes is an error. `ReadWrite`: statements are
    /// carried out for real, on legacy in the baseline and on the candidate in the load.
    #[serde(default = "read_only")]
    pub access: Access,
    /// The statements and their shares.
    #[schemars(length(min = 1, max = 64))]
    pub statements: Vec<Statement>,
}

fn read_only() -> Access {
    Access::ReadOnly
}

/// One statement of the mix.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// Its text, with `$1`, `$2`, … for parameters.
    #[schemars(length(min = 1, max = 8192))]
    pub sql: String,
    /// Its share of the mix, relative to the other weights.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub weight: i32,
    /// Where each parameter comes from, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub params: Vec<Parameter>,
}

/// Where a parameter comes from. Exactly one of the kinds is given.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.int) != has(self.choice)").message("give exactly one of int and choice"))]
pub struct Parameter {
    /// A whole number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int: Option<IntegerParameter>,
    /// One of a list, each as likely as the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<ChoiceParameter>,
}

/// A whole number from a range.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.min <= self.max").message("min must not be above max"))]
pub struct IntegerParameter {
    /// Smallest value.
    pub min: i64,
    /// Largest value.
    pub max: i64,
    /// How the values are spread.
    #[serde(default)]
    pub skew: Skew,
}

/// How values are spread over a range.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema)]
pub enum Skew {
    /// All alike.
    #[default]
    Uniform,
    /// A few are asked for most of the time: Zipf's law with exponent 1, `min` the most frequent.
    Zipf,
}

/// One of a list of values, in PostgreSQL's text form.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChoiceParameter {
    /// The values.
    #[schemars(length(min = 1, max = 1000), inner(length(max = 1024)))]
    pub values: Vec<String>,
}

/// What is measured on legacy before anything is changed.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Baseline {
    /// Name of the traffic model.
    #[schemars(length(min = 1, max = 63))]
    pub traffic: String,
    /// Arrivals per second.
    #[schemars(range(min = 1, max = 20_000))]
    pub rate: i32,
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
    /// Arrivals per second.
    #[schemars(range(min = 1, max = 20_000))]
    pub rate: i32,
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
