//! Secrets and ConfigMaps as one thing: an object with keys.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta},
};

use super::{ClusterError, FIELD_MANAGER, Namespace, call_optional};
use crate::plan::{ObjectKind, ObjectReference};

/// An object with keys. Has no `Debug`: its values may be secret.
#[derive(Clone, PartialEq)]
pub(super) struct ConfigObject {
    pub uid: String,
    /// `None`: the object has no `data` at all, which a patch must add first.
    pub data: Option<BTreeMap<String, Vec<u8>>>,
    pub immutable: bool,
    pub labels: BTreeMap<String, String>,
    managers: Vec<ManagedFieldsEntry>,
}

impl ConfigObject {
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        self.data.as_ref()?.get(key).map(Vec::as_slice)
    }

    /// The manager, other than cutover, that last changed one of the keys.
    pub fn last_other_manager(&self, keys: &[String]) -> Option<String> {
        let touches = |entry: &&ManagedFieldsEntry| {
            let data = entry.fields_v1.as_ref().and_then(|fields| fields.0.get("f:data"));
            data.is_some_and(|data| keys.iter().any(|key| data.get(format!("f:{key}")).is_some()))
        };
        self.managers
            .iter()
            .filter(|entry| entry.manager.as_deref() != Some(FIELD_MANAGER))
            .filter(touches)
            .max_by_key(|entry| entry.time.as_ref().map(|time| time.0))
            .and_then(|entry| entry.manager.clone())
    }

    /// An object of those keys, of no interest otherwise.
    #[cfg(test)]
    pub fn for_test(uid: &str, data: Option<BTreeMap<String, Vec<u8>>>) -> Self {
        Self { uid: uid.to_owned(), data, immutable: false, labels: BTreeMap::new(), managers: Vec::new() }
    }

    fn new(meta: ObjectMeta, data: Option<BTreeMap<String, Vec<u8>>>, immutable: Option<bool>) -> Self {
        Self {
            uid: meta.uid.unwrap_or_default(),
            data,
            immutable: immutable == Some(true),
            labels: meta.labels.unwrap_or_default(),
            managers: meta.managed_fields.unwrap_or_default(),
        }
    }
}

/// Reads an object; `None` where it does not exist.
pub(super) async fn read(
    namespace: &Namespace,
    reference: &ObjectReference,
) -> Result<Option<ConfigObject>, ClusterError> {
    let attempted = format!("read {reference}");
    match reference.kind {
        ObjectKind::Secret => {
            let api = namespace.api::<Secret>();
            let found = call_optional(attempted, api.get_opt(&reference.name)).await?;
            Ok(found.map(|secret| {
                let data =
                    secret.data.map(|data| data.into_iter().map(|(key, value)| (key, value.0)).collect());
                ConfigObject::new(secret.metadata, data, secret.immutable)
            }))
        }
        ObjectKind::ConfigMap => {
            let api = namespace.api::<ConfigMap>();
            let found = call_optional(attempted, api.get_opt(&reference.name)).await?;
            Ok(found.map(|map| {
                let data = map
                    .data
                    .map(|data| data.into_iter().map(|(key, value)| (key, value.into_bytes())).collect());
                ConfigObject::new(map.metadata, data, map.immutable)
            }))
        }
    }
}
