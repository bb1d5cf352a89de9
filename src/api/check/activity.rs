//! `activity`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::api::DURATION_PATTERN;

/// Is anything going on in either database that would get in the way of the move?
#[derive(clap::Args, Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActivityCheck {
    /// Longest that a transaction may have been open, idle or prepared; `5m` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[arg(long)]
    pub max_transaction_age: Option<String>,
}
