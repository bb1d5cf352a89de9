//! `legacyUnused`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Has the application let go of legacy?
#[derive(clap::Args, Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LegacyUnusedCheck {}
