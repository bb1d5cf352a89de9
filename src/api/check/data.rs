//! `data`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Do both databases hold the same rows?
#[derive(clap::Args, Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataCheck {
    /// How much is compared.
    #[serde(default)]
    #[arg(long, value_enum, default_value_t, ignore_case = true)]
    pub mode: DataMode,
    /// `Sample`: how many of each table's rows are compared, in percent; 1 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=100))]
    pub percent: Option<i32>,
    /// `Sample`: the same seed picks the same rows; 0 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[arg(long)]
    pub seed: Option<i64>,
    /// Schemas to look at; all but PostgreSQL's own when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    #[arg(long, value_delimiter = ',')]
    pub schemas: Vec<String>,
    /// Tables to compare, as `schema.table` with `*` for any characters; all when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 255)))]
    #[arg(long, value_delimiter = ',')]
    pub tables: Vec<String>,
    /// Tables not to compare, in the same form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 255)))]
    #[arg(long, value_delimiter = ',')]
    pub exclude: Vec<String>,
    /// Connections on each side, and one more on legacy; 2 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32))]
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=32))]
    pub parallelism: Option<i32>,
    /// Rows per second that are read on each side at most, over all connections; as fast as it goes when left out. A
    /// table that has to be read in one scan is waited for, and then read at full speed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    pub max_rows_per_second: Option<i64>,
}

/// How much of the data is compared.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum DataMode {
    /// The number of rows of each table.
    #[default]
    Count,
    /// All columns of some rows, picked by the seed.
    Sample,
    /// All columns of all rows.
    Full,
}
