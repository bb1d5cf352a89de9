//! Everything that talks to Kubernetes: reads, guarded writes, the preserved copy, workloads, events, leases.
//!
//! Decides nothing: it looks ([`Snapshot`]), and carries out one [`crate::engine::Effect`] at a time
//! ([`execute::execute`]). Every write is guarded: by a uid, by a test of the value that it replaces, or, on our own
//! status, by the resourceVersion.

mod copy;
mod error;
mod events;
pub mod execute;
pub mod job;
pub mod lease;
mod objects;
mod patch;
mod pods;
mod report;
mod retry;
mod snapshot;
mod status;
mod view;
mod workloads;

pub use error::{ClusterError, ErrorClass};
pub use events::Events;
pub use report::{LoadPlace, Reports, loads_of, read_load};
pub use retry::Retries;
pub use snapshot::Snapshot;
pub use status::{read_rollout, write as write_status};
pub use view::ClusterReader;

use std::{future::Future, time::Duration};

use kube::Client;

/// The name under which cutover's writes are recorded in `metadata.managedFields`.
pub const FIELD_MANAGER: &str = "cutover";
/// The pod template annotation that makes a workload replace its pods, and tells which pods are new.
pub const RESTART_ANNOTATION: &str = "cutover.dev/restarted-for";
/// The label of a preserved copy: the uid of its rollout.
pub const ROLLOUT_UID_LABEL: &str = "cutover.dev/rollout-uid";

/// No single call to the API server may take longer.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// One namespace of a cluster.
#[derive(Clone)]
pub struct Namespace {
    /// The client.
    pub client: Client,
    /// The namespace's name.
    pub name: String,
}

impl Namespace {
    fn api<K>(&self) -> kube::Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        kube::Api::namespaced(self.client.clone(), &self.name)
    }
}

/// Bounds a call in time, and says what was attempted where it fails.
async fn call<T>(
    attempted: impl Into<String>,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, ClusterError> {
    let attempted = attempted.into();
    match tokio::time::timeout(CALL_TIMEOUT, request).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(ClusterError::of(attempted, &error)),
        Err(_) => Err(ClusterError::timeout(attempted, CALL_TIMEOUT)),
    }
}

/// As [`call`], with `None` for an object that does not exist.
async fn call_optional<T>(
    attempted: impl Into<String>,
    request: impl Future<Output = kube::Result<Option<T>>>,
) -> Result<Option<T>, ClusterError> {
    call(attempted, request).await
}
