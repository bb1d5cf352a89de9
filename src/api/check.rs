//! Checks: one question with a verdict.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DURATION_PATTERN, LABEL_PATTERN};

mod activity;
mod connectivity;
mod data;
mod http;
mod legacy_unused;
mod plans;
mod pool;
mod privileges;
mod prometheus;
mod replication;
mod schema;
mod server;
mod sql;
mod workload;

pub use activity::ActivityCheck;
pub use connectivity::ConnectivityCheck;
pub use data::{DataCheck, DataMode};
pub use http::HttpCheck;
pub use legacy_unused::LegacyUnusedCheck;
pub use plans::PlansCheck;
pub use pool::{OtherConnections, PoolCheck, PoolWorkload, Pooler, SizeReference};
pub use privileges::PrivilegesCheck;
pub use prometheus::PrometheusCheck;
pub use replication::{Heartbeat, ReplicationCheck};
pub use schema::SchemaCheck;
pub use server::ServerCheck;
pub use sql::{SqlCheck, SqlTarget};
pub use workload::WorkloadCheck;

/// One question. Exactly one of the kinds is given.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.connectivity) ? 1 : 0) + (has(self.server) ? 1 : 0) + (has(self.schema) ? 1 : 0) + (has(self.data) ? 1 : 0) + (has(self.privileges) ? 1 : 0) + (has(self.plans) ? 1 : 0) + (has(self.pool) ? 1 : 0) + (has(self.replication) ? 1 : 0) + (has(self.activity) ? 1 : 0) + (has(self.sql) ? 1 : 0) + (has(self.workload) ? 1 : 0) + (has(self.http) ? 1 : 0) + (has(self.prometheus) ? 1 : 0) + (has(self.legacyUnused) ? 1 : 0) == 1")
    .message("give exactly one kind of check: connectivity, server, schema, data, privileges, plans, pool, replication, activity, sql, workload, http, prometheus or legacyUnused"))]
pub struct Check {
    /// Name of the check.
    #[schemars(regex(pattern = LABEL_PATTERN))]
    #[schemars(length(max = 63))]
    pub name: String,
    /// Whether anything but a pass keeps the stage from being promoted.
    #[serde(default, skip_serializing_if = "CheckSeverity::is_enforce")]
    pub severity: CheckSeverity,
    /// The whole check must be over after this long, else its verdict is `Error`. When left out: `1h` for `data`, `5m`
    /// for `schema` and `plans`, `30s` for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(validation = Rule::new("duration(self) > duration('0s')").message("timeout must be longer than zero"))]
    pub timeout: Option<String>,
    /// In `soak.checks`: how many of the soak's rounds may end without a pass before that counts. None when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub failure_limit: Option<i32>,
    /// Findings that are accepted as they are: reported, but without weight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub accept: Vec<AcceptedFinding>,
    /// Can the candidate be reached, verified and logged in to?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connectivity: Option<ConnectivityCheck>,
    /// Do the two servers behave alike?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerCheck>,
    /// Do both databases hold the same objects?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaCheck>,
    /// Do both databases hold the same rows?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataCheck>,
    /// Can the application's role do on the candidate all that it can do on legacy?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privileges: Option<PrivilegesCheck>,
    /// Does the candidate plan the application's statements as legacy does?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plans: Option<PlansCheck>,
    /// Do all connections of the rollout's workloads fit into what the candidate grants?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolCheck>,
    /// Is the candidate a complete and current replica of legacy?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<ReplicationCheck>,
    /// Is anything going on that would get in the way?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<ActivityCheck>,
    /// Does one read-only statement answer as expected?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<SqlCheck>,
    /// Are the stage's pods ready, and do they stay up?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadCheck>,
    /// Does an endpoint answer as expected?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
    /// Is a metric within its bounds?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusCheck>,
    /// Has the application let go of legacy?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy_unused: Option<LegacyUnusedCheck>,
}

/// Whether a check is a gate.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema)]
pub enum CheckSeverity {
    /// The stage is promoted only if the check passes.
    #[default]
    Enforce,
    /// Whatever the check would say against it, the verdict is `Warn`.
    Warn,
}

impl CheckSeverity {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    fn is_enforce(&self) -> bool {
        *self == Self::Enforce
    }
}

/// A difference that is known and wanted.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedFinding {
    /// The finding's kind, as the report has it, such as `owner-differs`.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// The finding's object, with `*` for any characters; every object when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub object: Option<String>,
}

/// What a check asks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Question<'a> {
    /// [`ConnectivityCheck`].
    Connectivity(&'a ConnectivityCheck),
    /// [`ServerCheck`].
    Server(&'a ServerCheck),
    /// [`SchemaCheck`].
    Schema(&'a SchemaCheck),
    /// [`DataCheck`].
    Data(&'a DataCheck),
    /// [`PrivilegesCheck`].
    Privileges(&'a PrivilegesCheck),
    /// [`PlansCheck`].
    Plans(&'a PlansCheck),
    /// [`PoolCheck`].
    Pool(&'a PoolCheck),
    /// [`ReplicationCheck`].
    Replication(&'a ReplicationCheck),
    /// [`ActivityCheck`].
    Activity(&'a ActivityCheck),
    /// [`SqlCheck`].
    Sql(&'a SqlCheck),
    /// [`WorkloadCheck`].
    Workload(&'a WorkloadCheck),
    /// [`HttpCheck`].
    Http(&'a HttpCheck),
    /// [`PrometheusCheck`].
    Prometheus(&'a PrometheusCheck),
    /// [`LegacyUnusedCheck`].
    LegacyUnused(&'a LegacyUnusedCheck),
}

impl Check {
    /// The one kind that is given; `None` for a check that asks nothing, which the API server refuses.
    #[must_use]
    pub fn question(&self) -> Option<Question<'_>> {
        (self.connectivity.as_ref().map(Question::Connectivity))
            .or(self.server.as_ref().map(Question::Server))
            .or(self.schema.as_ref().map(Question::Schema))
            .or(self.data.as_ref().map(Question::Data))
            .or(self.privileges.as_ref().map(Question::Privileges))
            .or(self.plans.as_ref().map(Question::Plans))
            .or(self.pool.as_ref().map(Question::Pool))
            .or(self.replication.as_ref().map(Question::Replication))
            .or(self.activity.as_ref().map(Question::Activity))
            .or(self.sql.as_ref().map(Question::Sql))
            .or(self.workload.as_ref().map(Question::Workload))
            .or(self.http.as_ref().map(Question::Http))
            .or(self.prometheus.as_ref().map(Question::Prometheus))
            .or(self.legacy_unused.as_ref().map(Question::LegacyUnused))
    }

    /// How long the check may take: its own timeout, else that of its kind.
    #[must_use]
    pub fn timeout(&self) -> &str {
        self.timeout
            .as_deref()
            .unwrap_or_else(|| self.question().map_or("30s", |question| question.timeout()))
    }
}

impl Question<'_> {
    /// Whether the final validation asks it again. What is about the way to the candidate makes no sense once the
    /// application has gone it: replication has ended, and what goes on there is the application itself.
    #[must_use]
    pub fn is_asked_after_the_move(&self) -> bool {
        !matches!(self, Self::Replication(_) | Self::Activity(_))
    }

    /// The kind's name, as the spec has it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Connectivity(_) => "connectivity",
            Self::Server(_) => "server",
            Self::Schema(_) => "schema",
            Self::Data(_) => "data",
            Self::Privileges(_) => "privileges",
            Self::Plans(_) => "plans",
            Self::Pool(_) => "pool",
            Self::Replication(_) => "replication",
            Self::Activity(_) => "activity",
            Self::Sql(_) => "sql",
            Self::Workload(_) => "workload",
            Self::Http(_) => "http",
            Self::Prometheus(_) => "prometheus",
            Self::LegacyUnused(_) => "legacyUnused",
        }
    }

    fn timeout(&self) -> &'static str {
        match self {
            Self::Data(_) => "1h",
            Self::Schema(_) | Self::Plans(_) => "5m",
            _ => "30s",
        }
    }
}
