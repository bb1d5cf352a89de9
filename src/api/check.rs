//! Checks: one question with a verdict.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DECIMAL_PATTERN, DURATION_PATTERN, LABEL_PATTERN};

/// One question. Exactly one of the kinds is given.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.connectivity) ? 1 : 0) + (has(self.sql) ? 1 : 0) + (has(self.workload) ? 1 : 0) == 1")
    .message("give exactly one kind of check: connectivity, sql or workload"))]
pub struct Check {
    /// Name of the check.
    #[schemars(regex(pattern = LABEL_PATTERN))]
    #[schemars(length(max = 63))]
    pub name: String,
    /// The whole check must be over after this long, else its verdict is `Error`.
    #[serde(default = "default_timeout")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(validation = Rule::new("duration(self) > duration('0s')").message("timeout must be longer than zero"))]
    pub timeout: String,
    /// Can the candidate be reached, verified and logged in to?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connectivity: Option<ConnectivityCheck>,
    /// Does one read-only statement answer as expected?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<SqlCheck>,
    /// Are the stage's pods ready, and do they stay up?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadCheck>,
}

fn default_timeout() -> String {
    "30s".to_owned()
}

/// DNS, TCP, TLS, authentication, server version, round trip, in this order; the verdict names the one that failed.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectivityCheck {
    /// Lowest acceptable major version of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 9, max = 99))]
    pub min_server_version: Option<i32>,
}

/// One read-only statement and what it must answer.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.equals) ? 1 : 0) + ((has(self.min) || has(self.max)) ? 1 : 0) + ((has(self.same) && self.same) ? 1 : 0) == 1")
        .message("say what is expected, in one way: equals, min and/or max, or same: true"),
    validation = Rule::new("!(has(self.same) && self.same) || (has(self.against) && self.against == 'Both')")
        .message("same: true compares the two sides, so it needs against: Both")
)]
pub struct SqlCheck {
    /// One statement that returns rows. Runs in a read-only transaction.
    #[schemars(length(min = 1, max = 8192))]
    pub query: String,
    /// Where it runs. (Not `on`: YAML 1.1 reads that as a boolean.)
    #[serde(default)]
    pub against: SqlTarget,
    /// The single value must equal this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub equals: Option<String>,
    /// The single value must be a number not below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DECIMAL_PATTERN))]
    pub min: Option<String>,
    /// The single value must be a number not above this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DECIMAL_PATTERN))]
    pub max: Option<String>,
    /// Both sides must return the same rows in the same order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub same: bool,
}

/// The side, or sides, that a statement runs on.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema)]
pub enum SqlTarget {
    /// The candidate.
    #[default]
    Candidate,
    /// The legacy database.
    Legacy,
    /// Both; each must answer as expected.
    Both,
}

/// The pods of the stage's workloads.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadCheck {
    /// Container restarts of the current pods that are still acceptable, in all.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub max_restarts: i32,
}
