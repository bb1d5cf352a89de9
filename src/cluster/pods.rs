//! The pods of a workload: which run its present template, which are ready, which can never become so.

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, Preconditions},
};

use super::{
    ClusterError, Namespace, RESTART_ANNOTATION, call,
    workloads::{self, WorkloadRead},
};
use crate::{
    api::WorkloadReference,
    checks::{WorkloadPods, WorkloadSource},
    engine::{PodReference, Pods},
};

/// Pods of one workload that are looked at; more than this many are an error, not a surprise of memory.
const PODS_MAX: u32 = 2000;

pub(super) async fn list(namespace: &Namespace, workload: &WorkloadRead) -> Result<Vec<Pod>, ClusterError> {
    let selector: Vec<String> =
        workload.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if selector.is_empty() {
        return Ok(Vec::new());
    }
    let params = ListParams::default().labels(&selector.join(",")).limit(PODS_MAX);
    Ok(call("list pods", namespace.api::<Pod>().list(&params)).await?.items)
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

fn is_stuck(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && !is_ready(pod)
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

/// Reads the pods of a set of workloads whenever it is asked: what a `workload` check looks at.
pub struct WorkloadPodsReader {
    namespace: Namespace,
    workloads: Vec<WorkloadReference>,
}

impl WorkloadPodsReader {
    /// A reader of the pods of these workloads.
    #[must_use]
    pub fn new(namespace: Namespace, workloads: Vec<WorkloadReference>) -> Self {
        Self { namespace, workloads }
    }

    async fn read(&self) -> Result<Vec<WorkloadPods>, String> {
        let mut all = Vec::new();
        for reference in &self.workloads {
            let read =
                workloads::read(&self.namespace, reference).await.map_err(|error| error.to_string())?;
            let workload = read.ok_or_else(|| format!("{reference} does not exist"))?;
            let found = list(&self.namespace, &workload).await.map_err(|error| error.to_string())?;
            let pods = summarize(&workload, &found);
            all.push(WorkloadPods {
                workload: reference.to_string(),
                desired: pods.desired,
                ready: pods.ready,
                restarts: pods.restarts,
            });
        }
        Ok(all)
    }
}

impl WorkloadSource for WorkloadPodsReader {
    fn observe(&self) -> BoxFuture<'_, Result<Vec<WorkloadPods>, String>> {
        Box::pin(self.read())
    }
}
