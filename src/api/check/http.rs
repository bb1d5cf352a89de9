//! `http`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Does an endpoint, such as the application's own health, answer as expected?
#[derive(clap::Args, Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpCheck {
    /// What is asked, by `GET`.
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^https?://"))]
    #[arg(long)]
    pub url: String,
    /// The status that is expected; any of 200 to 299 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    #[arg(long)]
    pub status: Option<i32>,
    /// Text that the answer's body must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    #[arg(long)]
    pub contains: Option<String>,
}
