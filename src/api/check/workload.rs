//! `workload`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// The pods of the stage's workloads.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadCheck {
    /// Container restarts of the current pods that are still acceptable, in all.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub max_restarts: i32,
}
