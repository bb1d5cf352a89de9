//! `pool`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::api::{DATA_KEY_PATTERN, LABEL_PATTERN, NAME_PATTERN, WorkloadKind, WorkloadReference};

/// Do all connections that the rollout's workloads can open fit into what the candidate grants?
///
/// Every workload of every stage needs an entry in `workloads`: how many pods it can have is read from the cluster, how
/// many connections a process of it may hold is not written there.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolCheck {
    /// The pools of the workloads: those of the rollout, and others that connect to the same database.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["kind".into(), "name".into()]))]
    pub workloads: Vec<PoolWorkload>,
    /// Poolers in front of the candidate, such as PgBouncer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub poolers: Vec<Pooler>,
    /// What else connects: jobs, migrations, people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub others: Vec<OtherConnections>,
    /// Connections to keep free for monitoring, maintenance and cutover's own sessions. When left out: a tenth of what
    /// the server grants, at least 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub reserve: Option<i32>,
}

/// The pools of a workload.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.size) != has(self.sizeFrom)").message("give exactly one of size and sizeFrom"))]
pub struct PoolWorkload {
    /// The workload's kind.
    pub kind: WorkloadKind,
    /// The workload's name.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// The most pods at once, those of an update among them. Read from the cluster when left out; for where there is no
    /// cluster to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub pods: Option<i32>,
    /// Processes of a pod that have a pool each.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10_000))]
    pub processes: i32,
    /// Most connections of a pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub size: Option<i32>,
    /// The key that the workload reads it from: what the rollout's stages set there counts, else what is there now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_from: Option<SizeReference>,
    /// The entry of `poolers` that it connects through; directly when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub pooler: Option<String>,
}

/// The key of a ConfigMap or a Secret that holds a whole number.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.secret) != has(self.configMap)").message("name exactly one of secret and configMap"))]
pub struct SizeReference {
    /// The ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub config_map: Option<String>,
    /// The Secret. Of its value no more than the number is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub secret: Option<String>,
    /// The key.
    #[schemars(regex(pattern = DATA_KEY_PATTERN))]
    pub key: String,
}

/// A pooler in front of the candidate. The names in brackets are PgBouncer's, and so are the defaults.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.replicas) != has(self.workload)").message("give exactly one of replicas and workload"))]
pub struct Pooler {
    /// Name of the entry.
    #[schemars(regex(pattern = LABEL_PATTERN))]
    #[schemars(length(max = 63))]
    pub name: String,
    /// Processes of it, each with pools of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: Option<i32>,
    /// The workload whose pods it is; they are counted as those of the application are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadReference>,
    /// Databases of this server that clients ask it for.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub databases: i32,
    /// Users that log in to each of them; every pair of database and user has a pool.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub users: i32,
    /// Connections of each pool (`default_pool_size`).
    #[serde(default = "default_pool_size")]
    #[schemars(range(min = 1, max = 100_000))]
    pub pool_size: i32,
    /// More of them when clients have waited (`reserve_pool_size`).
    #[serde(default)]
    #[schemars(range(min = 0, max = 100_000))]
    pub reserve_pool_size: i32,
    /// Most connections to a database, of all users together (`max_db_connections`); no limit when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_db_connections: Option<i32>,
    /// Most clients of one process (`max_client_conn`).
    #[serde(default = "default_max_client_connections")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_client_connections: i32,
}

/// Connections that no workload's pool accounts for.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OtherConnections {
    /// Whose.
    #[schemars(regex(pattern = LABEL_PATTERN))]
    #[schemars(length(max = 63))]
    pub name: String,
    /// How many at once.
    #[schemars(range(min = 0, max = 100_000))]
    pub connections: i32,
}

fn one() -> i32 {
    1
}

fn default_pool_size() -> i32 {
    20
}

fn default_max_client_connections() -> i32 {
    100
}
