//! Deployments, StatefulSets and DaemonSets as one thing: a pod template that can be made to replace its pods.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment, StatefulSet},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use serde_json::json;

use super::{ClusterError, FIELD_MANAGER, Namespace, RESTART_ANNOTATION, call, call_optional};
use crate::api::{WorkloadKind, WorkloadReference};

/// A workload as it was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct WorkloadRead {
    pub uid: String,
    pub token: Option<String>,
    pub template_seen: bool,
    pub desired: i64,
    /// Pods of the present template, as the workload's controller counts them.
    pub updated: i64,
    /// All pods, as the workload's controller counts them.
    pub total: i64,
    pub selector: BTreeMap<String, String>,
    /// Why it cannot be restarted.
    pub unusable: Option<String>,
    /// Whether its controller leaves broken pods of an earlier template alone.
    pub keeps_stuck_pods: bool,
}

/// Reads a workload; `None` where it does not exist.
pub(super) async fn read(
    namespace: &Namespace,
    reference: &WorkloadReference,
) -> Result<Option<WorkloadRead>, ClusterError> {
    let attempted = format!("read {reference}");
    let name = &reference.name;
    Ok(match reference.kind {
        WorkloadKind::Deployment => call_optional(attempted, namespace.api::<Deployment>().get_opt(name))
            .await?
            .map(|d| from_deployment(&d)),
        WorkloadKind::StatefulSet => call_optional(attempted, namespace.api::<StatefulSet>().get_opt(name))
            .await?
            .map(|s| from_stateful_set(&s)),
        WorkloadKind::DaemonSet => call_optional(attempted, namespace.api::<DaemonSet>().get_opt(name))
            .await?
            .map(|d| from_daemon_set(&d)),
    })
}

fn from_deployment(deployment: &Deployment) -> WorkloadRead {
    let spec = deployment.spec.clone().unwrap_or_default();
    let status = deployment.status.clone().unwrap_or_default();
    let base = common(&deployment.metadata, status.observed_generation, &spec.template, &spec.selector);
    WorkloadRead {
        desired: i64::from(spec.replicas.unwrap_or(1)),
        updated: i64::from(status.updated_replicas.unwrap_or(0)),
        total: i64::from(status.replicas.unwrap_or(0)),
        unusable: (spec.paused == Some(true))
            .then(|| "it is paused (spec.paused)".to_owned())
            .or(base.unusable.clone()),
        ..base
    }
}

fn from_stateful_set(set: &StatefulSet) -> WorkloadRead {
    let spec = set.spec.clone().unwrap_or_default();
    let status = set.status.clone().unwrap_or_default();
    let strategy = spec.update_strategy.as_ref();
    let partition = strategy.and_then(|s| s.rolling_update.as_ref()).and_then(|r| r.partition).unwrap_or(0);
    let unusable = if strategy.and_then(|s| s.type_.as_deref()) == Some("OnDelete") {
        Some("its update strategy is OnDelete".to_owned())
    } else {
        (partition > 0).then(|| format!("its update strategy keeps {partition} pods back (partition)"))
    };
    let base = common(&set.metadata, status.observed_generation, &spec.template, &spec.selector);
    WorkloadRead {
        desired: i64::from(spec.replicas.unwrap_or(1)),
        // Once an update is complete the count of updated pods may be left out.
        updated: i64::from(status.updated_replicas.unwrap_or(0)),
        total: i64::from(status.replicas),
        unusable: unusable.or(base.unusable.clone()),
        keeps_stuck_pods: true,
        ..base
    }
}

fn from_daemon_set(set: &DaemonSet) -> WorkloadRead {
    let spec = set.spec.clone().unwrap_or_default();
    let status = set.status.clone().unwrap_or_default();
    let strategy = spec.update_strategy.as_ref().and_then(|s| s.type_.as_deref());
    let on_delete = (strategy == Some("OnDelete")).then(|| "its update strategy is OnDelete".to_owned());
    let base = common(&set.metadata, status.observed_generation, &spec.template, &spec.selector);
    WorkloadRead {
        desired: i64::from(status.desired_number_scheduled),
        updated: i64::from(status.updated_number_scheduled.unwrap_or(0)),
        total: i64::from(status.current_number_scheduled),
        unusable: on_delete.or(base.unusable.clone()),
        ..base
    }
}

fn common(
    meta: &ObjectMeta,
    observed_generation: Option<i64>,
    template: &PodTemplateSpec,
    selector: &LabelSelector,
) -> WorkloadRead {
    let annotations = template.metadata.as_ref().and_then(|meta| meta.annotations.as_ref());
    WorkloadRead {
        uid: meta.uid.clone().unwrap_or_default(),
        token: annotations.and_then(|all| all.get(RESTART_ANNOTATION)).cloned(),
        // The counts of a status mean nothing before its controller has seen the present generation.
        template_seen: observed_generation >= meta.generation,
        selector: selector.match_labels.clone().unwrap_or_default(),
        unusable: selector
            .match_expressions
            .as_ref()
            .filter(|expressions| !expressions.is_empty())
            .map(|_| "its selector has matchExpressions, so its pods cannot be told".to_owned()),
        ..WorkloadRead::default()
    }
}

/// Sets the restart annotation of exactly that workload, by server-side apply: the annotation is all that cutover owns
/// in it, and the uid keeps a workload of the same name that came later from being touched.
pub(super) async fn restart(
    namespace: &Namespace,
    reference: &WorkloadReference,
    uid: &str,
    token: &str,
) -> Result<(), ClusterError> {
    let resource = resource(reference.kind);
    let api: Api<DynamicObject> = Api::namespaced_with(namespace.client.clone(), &namespace.name, &resource);
    let apply = json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": reference.name, "uid": uid},
        "spec": {"template": {"metadata": {"annotations": {RESTART_ANNOTATION: token}}}},
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    call(format!("restart {reference}"), api.patch(&reference.name, &params, &Patch::Apply(apply))).await?;
    Ok(())
}

fn resource(kind: WorkloadKind) -> ApiResource {
    match kind {
        WorkloadKind::Deployment => ApiResource::erase::<Deployment>(&()),
        WorkloadKind::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
        WorkloadKind::DaemonSet => ApiResource::erase::<DaemonSet>(&()),
    }
}
