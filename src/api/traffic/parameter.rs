//! Where the parameters of a traffic model's statements come from.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a parameter comes from. Exactly one of the kinds is given.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.int) ? 1 : 0) + (has(self.sequence) ? 1 : 0) + (has(self.choice) ? 1 : 0) + (has(self.sample) ? 1 : 0) == 1").message("give exactly one of int, sequence, choice and sample"))]
pub struct Parameter {
    /// A whole number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int: Option<IntegerParameter>,
    /// A whole number that is another one at each arrival; in a duet, of a class that only reads, at each two, one for either server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<SequenceParameter>,
    /// One of a list, each as likely as the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<ChoiceParameter>,
    /// A value that a column has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<SampleParameter>,
}

/// A whole number from a range.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.min <= self.max").message("min must not be above max"))]
pub struct IntegerParameter {
    /// Smallest value.
    pub min: i64,
    /// Largest value.
    pub max: i64,
    /// How the values are spread.
    #[serde(default)]
    pub skew: Skew,
}

/// How values are spread over a range.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema)]
pub enum Skew {
    /// All alike.
    #[default]
    Uniform,
    /// A few are asked for most of the time: Zipf's law with exponent 1, `min` the most frequent.
    Zipf,
    /// Those in the middle most often: as pgbench's `random_gaussian` with the parameter 2.5, so that `min` and `max` are
    /// 2.5 standard deviations from the middle.
    Gaussian,
}

/// `start`, `start + step`, `start + 2 step`, …: the first arrival of the statement gets the first.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SequenceParameter {
    /// The first value.
    #[serde(default = "one")]
    pub start: i64,
    /// From one to the next.
    #[serde(default = "one")]
    #[schemars(range(min = -1_000_000_000, max = 1_000_000_000))]
    pub step: i64,
}

fn one() -> i64 {
    1
}

/// One of a list of values, in PostgreSQL's text form.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChoiceParameter {
    /// The values.
    #[schemars(length(min = 1, max = 1000), inner(length(max = 1024)))]
    pub values: Vec<String>,
}

/// A value that a column has: those of `count` rows are read when the load starts, and drawn from alike. What many rows
/// have is drawn often. They are kept in memory and shown nowhere.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SampleParameter {
    /// The table, as SQL would name it: `orders`, `shop.orders`, `"Order"`.
    #[schemars(length(min = 1, max = 255))]
    pub table: String,
    /// Its column, by its very name, without quotes.
    #[schemars(length(min = 1, max = 63))]
    pub column: String,
    /// How many rows are read.
    #[serde(default = "default_count")]
    #[schemars(range(min = 1, max = 10_000))]
    pub count: i32,
}

fn default_count() -> i32 {
    1000
}
