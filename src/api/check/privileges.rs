//! `privileges`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Can the application's role do on the candidate all that it can do on legacy?
#[derive(clap::Args, Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrivilegesCheck {
    /// More roles to compare, by their name, which is the same on both sides; the roles that the two connections log
    /// in as always are, whatever their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    #[arg(long, value_delimiter = ',')]
    pub roles: Vec<String>,
}
