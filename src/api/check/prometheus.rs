//! `prometheus`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::api::DECIMAL_PATTERN;

/// Is the value of a query of a Prometheus server within its bounds?
#[derive(clap::Args, Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.min) || has(self.max)").message("give a bound: min, max or both"))]
pub struct PrometheusCheck {
    /// The server, such as `http://prometheus.monitoring:9090`.
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^https?://"))]
    #[arg(long)]
    pub url: String,
    /// The query; every sample of its answer must be within the bounds, and there must be one.
    #[schemars(length(min = 1, max = 4096))]
    #[arg(long)]
    pub query: String,
    /// No value may be below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DECIMAL_PATTERN))]
    #[arg(long)]
    pub min: Option<String>,
    /// No value may be above this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DECIMAL_PATTERN))]
    #[arg(long)]
    pub max: Option<String>,
}
