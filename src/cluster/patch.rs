//! The patch that sets keys of an object, and only if nobody else has changed them or the object since we looked.
//!
//! A JSON patch, not server-side apply: an apply can test no value, and giving a field up by leaving it out of the next
//! apply would delete it. The field manager owns just these keys all the same.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::objects::ConfigObject;
use crate::plan::ObjectKind;

/// New values by key; `None` removes the key.
pub(super) type Changes = BTreeMap<String, Option<Vec<u8>>>;

/// The operations; empty where nothing would change.
pub(super) fn operations(kind: ObjectKind, object: &ConfigObject, changes: &Changes) -> Vec<Value> {
    let mut operations = Vec::new();
    for (key, new) in changes {
        let path = format!("/data/{key}");
        let old = object.value(key);
        match (old, new) {
            (Some(old), Some(new)) if old != new.as_slice() => {
                operations.push(json!({"op": "test", "path": path, "value": encode(kind, old)}));
                operations.push(json!({"op": "replace", "path": path, "value": encode(kind, new)}));
            }
            (Some(old), None) => {
                operations.push(json!({"op": "test", "path": path, "value": encode(kind, old)}));
                operations.push(json!({"op": "remove", "path": path}));
            }
            (None, Some(new)) => {
                // The API server takes a test for null as "is not there".
                operations.push(json!({"op": "test", "path": path, "value": null}));
                operations.push(json!({"op": "add", "path": path, "value": encode(kind, new)}));
            }
            _ => {}
        }
    }
    if operations.is_empty() {
        return operations;
    }
    let mut guarded = vec![json!({"op": "test", "path": "/metadata/uid", "value": object.uid})];
    if object.data.is_none() {
        guarded.push(json!({"op": "test", "path": "/data", "value": null}));
        guarded.push(json!({"op": "add", "path": "/data", "value": {}}));
    }
    guarded.append(&mut operations);
    guarded
}

fn encode(kind: ObjectKind, bytes: &[u8]) -> Value {
    match kind {
        // ByteString serializes as base64, as Secrets hold it.
        ObjectKind::Secret => json!(ByteString(bytes.to_vec())),
        ObjectKind::ConfigMap => json!(String::from_utf8_lossy(bytes)),
    }
}
