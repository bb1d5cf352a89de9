//! `pool`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Do all connections that the rollout's workloads can open fit into what the candidate grants?
#[derive(clap::Args, Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolCheck {}
