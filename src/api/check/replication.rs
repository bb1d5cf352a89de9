//! `replication`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::api::DURATION_PATTERN;

/// Is the candidate a complete and current replica of legacy? It follows by logical replication (subscriptions in the
/// candidate's database) or as a physical standby; either is set up elsewhere.
#[derive(clap::Args, Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicationCheck {
    /// Most bytes of WAL that the candidate may be behind; 16 MiB when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    #[arg(long)]
    pub max_lag_bytes: Option<i64>,
    /// Longest that the candidate may need to confirm what legacy had written when asked, and, with a heartbeat, to
    /// show its rows; `10s` when left out. The check's timeout must be longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[arg(long)]
    pub max_lag: Option<String>,
    /// Most bytes of WAL that legacy may have to keep for the candidate; 10 GiB when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    #[arg(long)]
    pub max_retained_bytes: Option<i64>,
    /// A table that something on legacy writes the time into; shows that rows arrive, not only WAL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[arg(skip)]
    pub heartbeat: Option<Heartbeat>,
}

/// A replicated table that something on legacy keeps writing the current time into.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// The table, as `schema.table`.
    #[schemars(length(min = 3, max = 127))]
    pub table: String,
    /// Its column of type `timestamp with time zone`; the latest value counts.
    #[schemars(length(min = 1, max = 63))]
    pub column: String,
}
