//! `legacyUnused`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Has the application let go of legacy? No session of its role is left there, and nothing in the namespace refers to
/// the Secret of the legacy connection.
///
/// For the last stage's soak, and before legacy is taken away.
#[derive(clap::Args, Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LegacyUnusedCheck {}
