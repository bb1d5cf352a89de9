//! `replication`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::api::DURATION_PATTERN;

/// Is the candidate a complete and current replica of legacy?
#[derive(clap::Args, Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicationCheck {
    /// Most bytes of WAL that the candidate may be behind; 16 MiB when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    #[arg(long)]
    pub max_lag_bytes: Option<i64>,
    /// Longest that the candidate may be behind; `10s` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[arg(long)]
    pub max_lag: Option<String>,
}
