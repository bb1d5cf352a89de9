//! `plans`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Does the candidate plan the application's statements as legacy does?
#[derive(clap::Args, Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.traffic) || has(self.top)").message("say which statements: traffic, top or both"))]
pub struct PlansCheck {
    /// The statements of this traffic model. Where its access is `ReadOnly`, a SELECT that provably changes nothing is
    /// also carried out, with values of the model, to compare the buffers that it touches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[arg(long)]
    pub traffic: Option<String>,
    /// This many statements of legacy's `pg_stat_statements`, by total time. They are planned, never carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    #[arg(long)]
    pub top: Option<i32>,
}
