//! `connectivity`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// DNS, TCP, TLS, authentication, server version, round trip, in this order; the verdict names the one that failed.
#[derive(clap::Args, Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectivityCheck {
    /// Lowest acceptable major version of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 9, max = 99))]
    #[arg(long)]
    pub min_server_version: Option<i32>,
}
