//! Our own object: read from the API server itself, its status written by compare-and-swap.

use kube::{Api, ResourceExt, api::PostParams};

use super::{ClusterError, FIELD_MANAGER, Namespace, call, call_optional};
use crate::api::{DatabaseRollout, DatabaseRolloutStatus};

/// Replaces the status, and only if nobody has changed the rollout since it was read: neither its status nor its spec.
///
/// # Errors
/// [`super::ErrorClass::Precondition`] where somebody has: whatever was decided was decided about something else.
pub async fn write(
    namespace: &Namespace,
    rollout: &DatabaseRollout,
    status: &DatabaseRolloutStatus,
) -> Result<DatabaseRollout, ClusterError> {
    // Carries the resourceVersion that was read: a custom resource refuses a PUT without one.
    let mut next = rollout.clone();
    next.status = Some(status.clone());
    next.metadata.managed_fields = None;
    let name = rollout.name_any();
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let api = namespace.api::<DatabaseRollout>();
    call("write the status", api.replace_status(&name, &params, &next)).await
}

/// Reads a rollout; `None` where it does not exist.
///
/// # Errors
/// What the API server answered.
pub async fn read_rollout(
    api: &Api<DatabaseRollout>,
    name: &str,
) -> Result<Option<DatabaseRollout>, ClusterError> {
    call_optional(format!("read DatabaseRollout/{name}"), api.get_opt(name)).await
}
