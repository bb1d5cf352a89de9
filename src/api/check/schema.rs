//! `schema`: which schemas are compared.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Do both databases hold the same objects, in every property that the application could notice?
#[derive(clap::Args, Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchemaCheck {
    /// Schemas to look at; all but PostgreSQL's own when left out. Objects of the whole database, such as publications
    /// and event triggers, are compared only when it is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    #[arg(long, value_delimiter = ',')]
    pub schemas: Vec<String>,
}
