//! `sql`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::DECIMAL_PATTERN;

/// One read-only statement and what it must answer.
#[derive(clap::Args, Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.equals) ? 1 : 0) + ((has(self.min) || has(self.max)) ? 1 : 0) + ((has(self.same) && self.same) ? 1 : 0) == 1")
        .message("say what is expected, in one way: equals, min and/or max, or same: true"),
    validation = Rule::new("!(has(self.same) && self.same) || (has(self.against) && self.against == 'Both')")
        .message("same: true compares the two sides, so it needs against: Both")
)]
pub struct SqlCheck {
    /// One statement that returns rows. Runs in a read-only transaction.
    #[schemars(length(min = 1, max = 8192))]
    #[arg(long)]
    pub query: String,
    /// Where it runs. (Not `on`: YAML 1.1 reads that as a boolean.)
    #[serde(default)]
    #[arg(long, value_enum, default_value_t, ignore_case = true)]
    pub against: SqlTarget,
    /// The single value must equal this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[arg(long)]
    pub equals: Option<String>,
    /// The single value must be a number not below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DECIMAL_PATTERN))]
    #[arg(long)]
    pub min: Option<String>,
    /// The single value must be a number not above this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DECIMAL_PATTERN))]
    #[arg(long)]
    pub max: Option<String>,
    /// Both sides must return the same rows in the same order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[arg(long)]
    pub same: bool,
}

/// The side, or sides, that a statement runs on.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum SqlTarget {
    /// The candidate.
    #[default]
    Candidate,
    /// The legacy database.
    Legacy,
    /// Both; each must answer as expected.
    Both,
}
