//! Which objects of the namespace refer to a Secret.
//!
//! Looks at pod templates (Deployments, `StatefulSets`, `DaemonSets`, Jobs, `CronJobs`) and at pods as they are, for every
//! field by which a pod gets at a Secret's content: the environment and all kinds of volumes. Not `imagePullSecrets`,
//! which hold no connection. What has run to its end will not read it again and does not count; neither does a pod whose
//! owner is named already, nor a load of cutover's own. Objects of other kinds, such as custom resources, are not looked at.

use std::collections::BTreeSet;

use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
};
use serde_json::Value;

use crate::{
    checks::SecretReferences,
    cluster::{ClusterError, Namespace, call, job},
};

/// Objects of one kind in one answer of the API server.
const PAGE: u32 = 250;
/// Objects of one kind that are looked at; more are an error, not a surprise of memory.
const OBJECTS_MAX: usize = 5000;
/// Places in one object that are named.
const PLACES_TOLD: usize = 3;

/// Group, version, kind, and where the pod spec is.
const KINDS: [(&str, &str, &str, &str); 6] = [
    ("apps", "v1", "Deployment", "/spec/template/spec"),
    ("apps", "v1", "StatefulSet", "/spec/template/spec"),
    ("apps", "v1", "DaemonSet", "/spec/template/spec"),
    ("batch", "v1", "CronJob", "/spec/jobTemplate/spec/template/spec"),
    ("batch", "v1", "Job", "/spec/template/spec"),
    // The last: what owns a pod must be known by then.
    ("", "v1", "Pod", "/spec"),
];

/// Looks through the namespace.
pub(super) async fn find(namespace: &Namespace, secret: &str) -> Result<SecretReferences, ClusterError> {
    let mut references = SecretReferences { secret: secret.to_owned(), ..SecretReferences::default() };
    let mut named = BTreeSet::new();
    for (group, version, kind, pod_spec) in KINDS {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let attempted = format!("list the {} of the namespace", resource.plural);
        let api: Api<DynamicObject> =
            Api::namespaced_with(namespace.client.clone(), &namespace.name, &resource);
        let mut params = ListParams::default().limit(PAGE);
        let mut seen = 0;
        loop {
            let page = call(attempted.as_str(), api.list(&params)).await?;
            seen += page.items.len();
            let counts = |object: &&DynamicObject| !is_finished(kind, &object.data) && !job::is_load(*object);
            for object in page.items.iter().filter(counts) {
                let Some(places) = places(object, pod_spec, secret) else { continue };
                if !owner(object).is_some_and(|owner| named.contains(&owner)) {
                    references.found.push((format!("{kind}/{}", object.name_any()), places));
                }
                named.insert((kind.to_owned(), object.name_any()));
            }
            match page.metadata.continue_.filter(|more| !more.is_empty()) {
                None => break,
                Some(_) if seen >= OBJECTS_MAX => {
                    let detail = format!("there are more than {OBJECTS_MAX}");
                    return Err(ClusterError::precondition(attempted, detail));
                }
                Some(more) => params.continue_token = Some(more),
            }
        }
        references.looked_at += seen;
    }
    Ok(references)
}

/// Who made it: of a Deployment's pod the Deployment, whose `ReplicaSet` has its name with the template's hash.
fn owner(object: &DynamicObject) -> Option<(String, String)> {
    let owner = object.owner_references().iter().find(|owner| owner.controller == Some(true))?;
    let hash = object.labels().get("pod-template-hash").map(|hash| format!("-{hash}"));
    match (owner.kind.as_str(), hash) {
        ("ReplicaSet", Some(hash)) => {
            Some(("Deployment".to_owned(), owner.name.strip_suffix(&hash)?.to_owned()))
        }
        _ => Some((owner.kind.clone(), owner.name.clone())),
    }
}

fn is_finished(kind: &str, data: &Value) -> bool {
    match kind {
        "Pod" => {
            let phase = data.pointer("/status/phase").and_then(Value::as_str);
            matches!(phase, Some("Succeeded" | "Failed"))
        }
        "Job" => {
            let conditions = data.pointer("/status/conditions").and_then(Value::as_array);
            let is_over = |condition: &Value| {
                matches!(condition["type"].as_str(), Some("Complete" | "Failed"))
                    && condition["status"] == "True"
            };
            conditions.is_some_and(|conditions| conditions.iter().any(is_over))
        }
        _ => false,
    }
}

/// Where in it the Secret is named; `None` where it isn't.
fn places(object: &DynamicObject, pod_spec: &str, secret: &str) -> Option<String> {
    let mut found = Vec::new();
    walk(object.data.pointer(pod_spec)?, "", secret, &mut found);
    let more = found.len().saturating_sub(PLACES_TOLD);
    found.truncate(PLACES_TOLD);
    match (found.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(found.join(", ")),
        (false, more) => Some(format!("{} and {more} more", found.join(", "))),
    }
}

/// Every field that names a Secret, in whatever kind of volume, is called so: `secretName`, or `name` (of RBD and the
/// like, too) within `secret`, `secretRef`, `secretKeyRef`, `nodePublishSecretRef`.
fn walk(value: &Value, path: &str, secret: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (field, inner) in fields.iter().filter(|(field, _)| *field != "imagePullSecrets") {
                let path = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
                let lower = field.to_lowercase();
                let is_reference = lower.ends_with("secret")
                    || lower.ends_with("secretref")
                    || lower.ends_with("secretkeyref");
                if field == "secretName" && inner == secret || is_reference && inner["name"] == secret {
                    found.push(path.clone());
                }
                walk(inner, &path, secret, found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let name = item["name"].as_str().map_or_else(|| index.to_string(), str::to_owned);
                walk(item, &format!("{path}[{name}]"), secret, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(pod_spec: &Value) -> Vec<String> {
        let mut found = Vec::new();
        walk(pod_spec, "", "old", &mut found);
        found
    }

    #[test]
    fn every_way_by_which_a_pod_gets_at_a_secret_is_found() {
        let spec = json!({
            "initContainers": [{"name": "i", "env": [{"name": "URL", "valueFrom": {"secretKeyRef": {"name": "old", "key": "uri"}}}]}],
            "containers": [{"name": "c", "envFrom": [{"secretRef": {"name": "old", "optional": true}}]}],
            "volumes": [
                {"name": "plain", "secret": {"secretName": "old"}},
                {"name": "projected", "projected": {"sources": [{"configMap": {"name": "old"}}, {"secret": {"name": "old"}}]}},
                {"name": "csi", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "old"}}}],
        });
        let mut found = found(&spec);
        found.sort();
        assert_eq!(
            found,
            [
                "containers[c].envFrom[0].secretRef",
                "initContainers[i].env[URL].valueFrom.secretKeyRef",
                "volumes[csi].csi.nodePublishSecretRef",
                "volumes[plain].secret.secretName",
                "volumes[projected].projected.sources[1].secret",
            ]
        );
    }

    #[test]
    fn other_secrets_config_maps_of_the_name_and_pull_secrets_are_not() {
        let spec = json!({
            "imagePullSecrets": [{"name": "old"}], "serviceAccountName": "old",
            "containers": [{"name": "old", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "older", "key": "old"}}},
                {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "old", "key": "k"}}}]}],
            "volumes": [{"name": "old", "configMap": {"name": "old"}}],
        });
        assert_eq!(found(&spec), Vec::<String>::new());
    }

    fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_deployments_pod_is_its_deployments() {
        let pod = object(json!({"metadata": {"name": "api-7d9-x", "labels": {"pod-template-hash": "7d9"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "api-7d9", "uid": "u", "controller": true}]}}));
        assert_eq!(owner(&pod), Some(("Deployment".to_owned(), "api".to_owned())));
        assert_eq!(owner(&object(json!({"metadata": {"name": "lone"}}))), None);
    }

    #[test]
    fn what_has_run_to_its_end_is_finished() {
        assert!(is_finished("Pod", &json!({"status": {"phase": "Succeeded"}})));
        assert!(!is_finished("Pod", &json!({"status": {"phase": "Running"}})));
        assert!(is_finished(
            "Job",
            &json!({"status": {"conditions": [{"type": "Failed", "status": "True"}]}})
        ));
        assert!(!is_finished(
            "Job",
            &json!({"status": {"conditions": [{"type": "Suspended", "status": "True"}]}})
        ));
        assert!(!is_finished("CronJob", &json!({})));
    }
}
