//! Carrying out one effect. What is written is taken from the snapshot that was decided about; guards see to it that
//! nothing is written where the world has changed since.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};

use super::{
    ClusterError, FIELD_MANAGER, Namespace, ROLLOUT_UID_LABEL, Snapshot, call,
    copy::{Copy, DIGEST_KEY_BYTES, Found, PreservedBinding, PreservedStage, PreservedValue},
    objects::{self, ConfigObject},
    patch::{self, Changes},
    pods, workloads,
};
use crate::{
    engine::Effect,
    plan::{ObjectKind, ObjectReference, Plan},
};

/// Carries out an effect on the cluster. Attempts are none of its business.
///
/// # Errors
/// What the API server answered. After [`super::ErrorClass::Transient`] the effect may have been carried out all the
/// same: the next look tells.
pub async fn execute(
    namespace: &Namespace,
    snapshot: &Snapshot,
    plan: Option<&Plan>,
    effect: &Effect,
) -> Result<(), ClusterError> {
    match effect {
        Effect::StartAttempt { .. } => Ok(()),
        Effect::Preserve { secret_name } => match plan {
            Some(plan) => preserve(namespace, snapshot, plan, secret_name).await,
            None => Err(ClusterError::precondition("preserve legacy", "there is no plan")),
        },
        Effect::Promote { stage, object, desired } => {
            promote(namespace, snapshot, plan, stage, object, desired).await
        }
        Effect::Restore { stage, object } => restore(namespace, snapshot, stage, object).await,
        Effect::Restart { workload, token, .. } => {
            let uid = snapshot.workload(workload).map(|(read, _)| read.uid.clone()).unwrap_or_default();
            workloads::restart(namespace, workload, &uid, token).await
        }
        Effect::DeletePod { pod, .. } => pods::delete(namespace, pod).await,
        Effect::Release { secret_names } => release(namespace, snapshot, secret_names).await,
    }
}

async fn preserve(
    namespace: &Namespace,
    snapshot: &Snapshot,
    plan: &Plan,
    secret_name: &str,
) -> Result<(), ClusterError> {
    let attempted = format!("create Secret/{secret_name}");
    let copy = take_copy(snapshot, plan)?;
    let key: [u8; DIGEST_KEY_BYTES] = rand::random();
    let uid = snapshot.rollout.uid().unwrap_or_default();
    let secret = copy
        .to_secret(secret_name, &uid, &key)
        .map_err(|_| ClusterError::precondition(attempted.as_str(), "the copy cannot be encoded"))?;
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    // A create: whatever exists under that name already stays as it is.
    call(attempted, namespace.api::<Secret>().create(&params, &secret)).await?;
    Ok(())
}

fn take_copy(snapshot: &Snapshot, plan: &Plan) -> Result<Copy, ClusterError> {
    let legacy = &snapshot.rollout.spec.legacy.connection.secret_ref;
    let run = snapshot.rollout.status.as_ref().map_or(1, |status| status.recorded.run.max(1));
    let mut copy = Copy::new(&snapshot.rollout.name_any(), run, legacy, snapshot.legacy_endpoint());
    let legacy = snapshot.object(&ObjectReference { kind: ObjectKind::Secret, name: legacy.name.clone() });
    for stage in &plan.stages {
        let mut bindings = Vec::new();
        for (reference, keys) in &stage.footprint.bindings {
            let object = snapshot.object(reference).ok_or_else(|| gone(reference))?;
            bindings.push(preserve_binding(reference, keys, object, legacy)?);
        }
        copy.stages.push(PreservedStage {
            name: stage.name.clone(),
            bindings,
            workloads: stage.footprint.workloads.clone(),
        });
    }
    Ok(copy)
}

fn preserve_binding(
    reference: &ObjectReference,
    keys: &[String],
    object: &ConfigObject,
    legacy: Option<&ConfigObject>,
) -> Result<PreservedBinding, ClusterError> {
    let origin = |value: &[u8]| {
        let data = legacy?.data.as_ref()?;
        data.iter().find(|(_, held)| held.as_slice() == value).map(|(key, _)| key.clone())
    };
    let mut values = std::collections::BTreeMap::new();
    for key in keys {
        let value = object.value(key).ok_or_else(|| gone(reference))?;
        let preserved =
            PreservedValue { value: k8s_openapi::ByteString(value.to_vec()), origin: origin(value) };
        values.insert(key.clone(), preserved);
    }
    Ok(PreservedBinding { kind: reference.kind, name: reference.name.clone(), values })
}

fn gone(reference: &ObjectReference) -> ClusterError {
    ClusterError::precondition(format!("write {reference}"), "it does not exist any more")
}

async fn promote(
    namespace: &Namespace,
    snapshot: &Snapshot,
    plan: Option<&Plan>,
    stage: &str,
    reference: &ObjectReference,
    desired: &str,
) -> Result<(), ClusterError> {
    let sources = plan.and_then(|plan| plan.stage(stage)).and_then(|stage| stage.values.get(reference));
    let values = sources.and_then(|sources| snapshot.desired(sources, &mut Vec::new()));
    let Some(values) = values.filter(|_| !desired.is_empty()) else {
        return Err(ClusterError::precondition(
            format!("write {reference}"),
            "its candidate values are not known",
        ));
    };
    write_keys(namespace, snapshot, reference, &values).await
}

async fn restore(
    namespace: &Namespace,
    snapshot: &Snapshot,
    stage: &str,
    reference: &ObjectReference,
) -> Result<(), ClusterError> {
    let attempted = format!("restore {reference}");
    let Found::Intact { copy, digest: found, .. } = &snapshot.copy else {
        return Err(ClusterError::precondition(attempted, "there is no intact copy"));
    };
    // Read again as it was recorded: nothing is put back that is not what was preserved.
    let recorded = snapshot.rollout.status.as_ref().and_then(|status| status.recorded.legacy.as_ref());
    if recorded.is_none_or(|legacy| legacy.digest != *found) {
        return Err(ClusterError::precondition(attempted, "the copy does not match its recorded digest"));
    }
    let preserved = copy.stages.iter().find(|preserved| preserved.name == stage);
    let binding =
        preserved.and_then(|preserved| preserved.bindings.iter().find(|b| b.object() == *reference));
    let Some(binding) = binding else {
        return Err(ClusterError::precondition(attempted, "the copy knows nothing of it"));
    };
    write_keys(namespace, snapshot, reference, &snapshot.legacy_values(copy, binding)).await
}

async fn write_keys(
    namespace: &Namespace,
    snapshot: &Snapshot,
    reference: &ObjectReference,
    changes: &Changes,
) -> Result<(), ClusterError> {
    let attempted = format!("write {reference}");
    let object = snapshot.object(reference).ok_or_else(|| gone(reference))?;
    let operations = patch::operations(reference.kind, object, changes);
    if operations.is_empty() {
        return Ok(());
    }
    let patch: json_patch::Patch = serde_json::from_value(serde_json::Value::Array(operations))
        .map_err(|_| ClusterError::precondition(attempted.as_str(), "the patch cannot be encoded"))?;
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    match reference.kind {
        ObjectKind::Secret => {
            let api = namespace.api::<Secret>();
            call(attempted, api.patch(&reference.name, &params, &Patch::Json::<Secret>(patch))).await?;
        }
        ObjectKind::ConfigMap => {
            let api = namespace.api::<ConfigMap>();
            call(attempted, api.patch(&reference.name, &params, &Patch::Json::<ConfigMap>(patch))).await?;
        }
    }
    Ok(())
}

/// Deletes the copies of all runs of this rollout, and nothing else that happens to have such a name.
async fn release(
    namespace: &Namespace,
    snapshot: &Snapshot,
    secret_names: &[String],
) -> Result<(), ClusterError> {
    let uid = snapshot.rollout.uid().unwrap_or_default();
    for name in secret_names {
        let reference = ObjectReference { kind: ObjectKind::Secret, name: name.clone() };
        let Some(object) = objects::read(namespace, &reference).await? else {
            continue;
        };
        if object.labels.get(ROLLOUT_UID_LABEL) != Some(&uid) {
            continue;
        }
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(object.uid), resource_version: None }),
            ..DeleteParams::default()
        };
        call(format!("delete {reference}"), namespace.api::<Secret>().delete(name, &params)).await?;
    }
    Ok(())
}
