//! Deployments without pods, so that nothing but the operator and the API server is measured; and edits of a spec.

use cutover::api::DatabaseRollout;
use k8s_openapi::{NamespaceResourceScope, api::apps::v1::Deployment};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

/// Creates an object from JSON.
pub async fn create<K>(client: &Client, namespace: &str, object: Value)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug,
    K: serde::Serialize + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let object: K = serde_json::from_value(object).expect("an object");
    api.create(&PostParams::default(), &object).await.expect("it is created");
}

/// A Deployment of no pods: it has settled as soon as its controller has seen it.
pub async fn deployment(client: &Client, namespace: &str, name: &str) {
    let template = json!({"metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "none", "image": "none"}]}});
    let spec = json!({"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template});
    create::<Deployment>(client, namespace, json!({"metadata": {"name": name}, "spec": spec})).await;
}

/// Edits the spec of a rollout, as `kubectl patch --type merge` does.
pub async fn edit(api: &Api<DatabaseRollout>, name: &str, spec: Value) {
    let patch = Patch::Merge(json!({"spec": spec}));
    api.patch(name, &PatchParams::default(), &patch).await.expect("an edit");
}
