//! `server`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Do the two servers behave alike: versions, encoding, collations, extensions, settings, limits?
#[derive(clap::Args, Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerCheck {
    /// Names of settings whose difference does not count, such as `work_mem`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    #[arg(long, value_delimiter = ',')]
    pub ignore_settings: Vec<String>,
}
