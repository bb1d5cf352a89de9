//! The pods of a workload: which run its present template, which are ready, which can never become so.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, Preconditions},
};

use super::{ClusterError, Namespace, RESTART_ANNOTATION, call, workloads::WorkloadRead};
use crate::{
    api::{WorkloadKind, WorkloadReference},
    engine::{PodReference, Pods},
};

/// Pods of one workload that are looked at; more than this many are an error, not a surprise of memory.
const PODS_MAX: u32 = 2000;
/// A pod that is not ready for this long does not become so by itself.
const STUCK_AFTER: SignedDuration = SignedDuration::from_secs(5);

/// The pods that the workload's controller has made; others that happen to carry its labels are none of ours.
pub(super) async fn list(
    namespace: &Namespace,
    reference: &WorkloadReference,
    workload: &WorkloadRead,
) -> Result<Vec<Pod>, ClusterError> {
    let selector: Vec<String> =
        workload.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if selector.is_empty() {
        return Ok(Vec::new());
    }
    let params = ListParams::default().labels(&selector.join(",")).limit(PODS_MAX);
    let attempted = format!("list the pods of {reference}");
    let found = call(attempted.as_str(), namespace.api::<Pod>().list(&params)).await?;
    if found.metadata.continue_.is_some_and(|more| !more.is_empty()) {
        return Err(ClusterError::precondition(attempted, format!("it has more than {PODS_MAX} pods")));
    }
    Ok(found.items.into_iter().filter(|pod| is_made_by(pod, reference, &workload.uid)).collect())
}

fn is_made_by(pod: &Pod, reference: &WorkloadReference, uid: &str) -> bool {
    let owner = pod.owner_references().iter().find(|owner| owner.controller == Some(true));
    owner.is_some_and(|owner| match reference.kind {
        // A Deployment makes its pods through ReplicaSets, which carry its name.
        WorkloadKind::Deployment => {
            owner.kind == "ReplicaSet"
                && owner.name.strip_prefix(&reference.name).is_some_and(|rest| rest.starts_with('-'))
        }
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => owner.uid == uid,
    })
}

/// Sums pods up. A pod is old while it exists in any form and does not carry the template's restart; where something
/// else than cutover changed the template, the workload's own counts tell.
pub(super) fn summarize(workload: &WorkloadRead, pods: &[Pod]) -> Pods {
    let (present, old): (Vec<&Pod>, Vec<&Pod>) = pods
        .iter()
        .filter(|pod| !is_finished(pod))
        .partition(|pod| pod.annotations().get(RESTART_ANNOTATION) == workload.token.as_ref());
    let ready = present.iter().filter(|pod| is_ready(pod)).count();
    let leaving = present.iter().filter(|pod| pod.metadata.deletion_timestamp.is_some()).count();
    let stuck = old.iter().filter(|pod| workload.keeps_stuck_pods && is_stuck(pod));
    Pods {
        template_seen: workload.template_seen,
        desired: workload.desired,
        ready: count(ready).min(workload.updated),
        old: (count(old.len()) + count(leaving)).max(workload.total - workload.updated),
        restarts: present.iter().map(|pod| restarts(pod)).sum(),
        most_restarts: present.iter().map(|pod| restarts(pod)).max().unwrap_or(0),
        stuck: stuck
            .map(|pod| PodReference { name: pod.name_any(), uid: pod.uid().unwrap_or_default() })
            .collect(),
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn is_finished(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
}

/// Not ready, and not just for a moment: a short blip of a readiness probe must cost no pod.
fn is_stuck(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let since = conditions
        .and_then(|all| all.iter().find(|condition| condition.type_ == "Ready"))
        .and_then(|ready| ready.last_transition_time.as_ref())
        .or(pod.metadata.creation_timestamp.as_ref());
    let unready = since.map(|since| Timestamp::now().duration_since(since.0));
    pod.metadata.deletion_timestamp.is_none()
        && !is_ready(pod)
        && unready.is_none_or(|time| time > STUCK_AFTER)
}

fn restarts(pod: &Pod) -> i64 {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    statuses.into_iter().flatten().map(|status| i64::from(status.restart_count)).sum()
}

/// Deletes exactly that pod.
pub(super) async fn delete(namespace: &Namespace, pod: &PodReference) -> Result<(), ClusterError> {
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: Some(pod.uid.clone()), resource_version: None }),
        ..DeleteParams::default()
    };
    call(format!("delete Pod/{}", pod.name), namespace.api::<Pod>().delete(&pod.name, &params)).await?;
    Ok(())
}
