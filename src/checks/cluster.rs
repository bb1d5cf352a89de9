//! What checks may learn about the cluster that the application runs in.
//!
//! Decides the questions, and that "could not be seen" is never an empty answer. Who answers them is `crate::cluster`;
//! on a command line it is [`NoCluster`]. Never brings a Secret's value here: where a size is kept in one, the number
//! alone.

use futures::future::BoxFuture;

use crate::api::{SizeReference, WorkloadReference};

/// The cluster, as far as checks ask about it. An error says in a sentence for the status why it can't be seen.
pub trait ClusterView: Send + Sync {
    /// The pods of each of the stage's workloads, now.
    fn pods(&self) -> BoxFuture<'_, Result<Vec<WorkloadPods>, String>>;
    /// The workloads of all stages of the rollout, each once.
    fn workloads(&self) -> Vec<WorkloadReference>;
    /// How many pods each of these can have at once, in their order.
    fn capacity<'a>(
        &'a self,
        workloads: &'a [WorkloadReference],
    ) -> BoxFuture<'a, Result<Vec<Capacity>, String>>;
    /// The number under a key: what the rollout's stages set there, else what is there now.
    fn size<'a>(&'a self, reference: &'a SizeReference) -> BoxFuture<'a, Result<Size, String>>;
    /// What refers to the Secret of the legacy connection; `None` where there is no cluster.
    fn legacy_references(&self) -> BoxFuture<'_, Result<Option<SecretReferences>, String>>;
}

/// The pods of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadPods {
    /// The workload, such as `Deployment/api`.
    pub workload: String,
    /// Pods that it shall have.
    pub desired: i64,
    /// Pods that are ready.
    pub ready: i64,
    /// Restarts of the current pods' containers, in all.
    pub restarts: i64,
}

/// How many pods a workload can have at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capacity {
    /// Pods that it shall have now.
    pub replicas: i64,
    /// The most that an autoscaler may make of them.
    pub autoscaler_max: Option<i64>,
    /// Pods on top of these while it is updated.
    pub surge: i64,
}

impl Capacity {
    /// The most pods that it may be told to have.
    #[must_use]
    pub fn most(&self) -> i64 {
        self.replicas.max(self.autoscaler_max.unwrap_or(0))
    }
}

/// What is known about a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Size {
    /// It is this.
    Known(i64),
    /// It isn't known; why.
    Unknown(String),
}

/// What refers to a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecretReferences {
    /// The Secret's name.
    pub secret: String,
    /// How many objects were looked at.
    pub looked_at: usize,
    /// The objects, such as `Deployment/api`, each with where in it, such as `containers[api].env[DATABASE_URL]`.
    pub found: Vec<(String, String)>,
}

/// Where there is no cluster: at the command line.
#[derive(Debug, Clone, Default)]
pub struct NoCluster {
    /// The workloads that a manifest names.
    pub workloads: Vec<WorkloadReference>,
}

const NO_CLUSTER: &str = "there is no cluster to look at from here";

impl ClusterView for NoCluster {
    fn pods(&self) -> BoxFuture<'_, Result<Vec<WorkloadPods>, String>> {
        Box::pin(async { Err(NO_CLUSTER.to_owned()) })
    }

    fn workloads(&self) -> Vec<WorkloadReference> {
        self.workloads.clone()
    }

    fn capacity<'a>(&'a self, _: &'a [WorkloadReference]) -> BoxFuture<'a, Result<Vec<Capacity>, String>> {
        Box::pin(async { Err(format!("{NO_CLUSTER}; give pods")) })
    }

    fn size<'a>(&'a self, _: &'a SizeReference) -> BoxFuture<'a, Result<Size, String>> {
        Box::pin(async { Err(format!("{NO_CLUSTER}; give size")) })
    }

    fn legacy_references(&self) -> BoxFuture<'_, Result<Option<SecretReferences>, String>> {
        Box::pin(async { Ok(None) })
    }
}
