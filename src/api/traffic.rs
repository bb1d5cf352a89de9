//! Traffic models, the baseline, and the load of a stage.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Access, LABEL_PATTERN};

mod load;
mod parameter;
mod shape;

pub use load::{Baseline, Guard, LatencyLimits, Load, LoadMode, MaxIncreasePercent};
pub use parameter::{ChoiceParameter, IntegerParameter, Parameter, SampleParameter, SequenceParameter, Skew};
pub use shape::{ArrivalProcess, RatePoint};

/// The name of a class: what reports call it.
const CLASS_PATTERN: &str = "^[a-zA-Z0-9]([-_. a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$";

/// A model of the application's statements.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.statements) ? size(self.statements) : 0) + (has(self.scripts) ? size(self.scripts) : 0) > 0").message("a traffic model needs at least one statement or script"))]
#[x_kube(validation = Rule::new("(has(self.statements) ? size(self.statements) : 0) + (has(self.scripts) ? size(self.scripts) : 0) <= 64").message("a traffic model has at most 64 statements and scripts"))]
#[x_kube(validation = Rule::new("self.access == 'ReadWrite' || !has(self.statements) || self.statements.all(s, !has(s.access) || s.access == 'ReadOnly')").message("a statement can't be ReadWrite in a traffic model that is ReadOnly"))]
#[x_kube(validation = Rule::new("self.access == 'ReadWrite' || !has(self.scripts) || self.scripts.all(s, !has(s.access) || s.access == 'ReadOnly')").message("a script can't be ReadWrite in a traffic model that is ReadOnly"))]
pub struct Traffic {
    /// Name of the model.
    #[schemars(regex(pattern = LABEL_PATTERN))]
    #[schemars(length(max = 63))]
    pub name: String,
    /// `ReadOnly`: every session is read-only, a statement that writes is an error. `ReadWrite`: statements are
    /// carried out for real, on legacy in the baseline and on the candidate in the load and in the final validation.
    #[serde(default = "read_only")]
    pub access: Access,
    /// The statements and transactions, and their shares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub statements: Vec<Statement>,
    /// Scripts in the language of pgbench, and their shares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub scripts: Vec<Script>,
}

fn read_only() -> Access {
    Access::ReadOnly
}

/// One class of the mix: a statement, or a transaction of several.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.sql) != has(self.transaction)").message("give exactly one of sql and transaction"))]
#[x_kube(validation = Rule::new("!has(self.transaction) || !has(self.params)").message("in a transaction each statement has its own params"))]
pub struct Statement {
    /// What reports call it; `statement 1`, `statement 2`, … where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = CLASS_PATTERN))]
    pub name: Option<String>,
    /// `ReadOnly` in a model that is `ReadWrite`: it runs in a read-only transaction, and may be run on both sides of a
    /// comparison. Without it the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// Its text, with `$1`, `$2`, … for parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8192))]
    pub sql: Option<String>,
    /// Several statements that run one after the other on one connection, from BEGIN to COMMIT. The latency is that of
    /// the whole; an error in one rolls back and counts once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub transaction: Vec<TransactionStatement>,
    /// Its share of the mix, relative to the other weights.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub weight: i32,
    /// Where each parameter comes from, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub params: Vec<Parameter>,
}

/// One statement of a transaction.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransactionStatement {
    /// Its text, with `$1`, `$2`, … for parameters.
    #[schemars(length(min = 1, max = 8192))]
    pub sql: String,
    /// Where each parameter comes from, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub params: Vec<Parameter>,
}

/// A script in the language of pgbench: one class of the mix. It runs from its first to its last line on one connection.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Script {
    /// What reports call it.
    #[schemars(length(min = 1, max = 63), regex(pattern = CLASS_PATTERN))]
    pub name: String,
    /// `ReadOnly` in a model that is `ReadWrite`: what it does is done in read-only transactions. Without it the model's
    /// own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// Its share of the mix, relative to the other weights.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub weight: i32,
    /// Its text: SQL statements, `\set`, `\gset`, `:variables`; `BEGIN` and `COMMIT` or `END` make a transaction.
    #[schemars(length(min = 1, max = 16384))]
    pub script: String,
    /// The value of `:scale`.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub scale: i32,
}

fn one() -> i32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(scale: &i32) -> bool {
    *scale == 1
}
