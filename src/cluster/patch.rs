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

#[cfg(test)]
mod tests {
    use super::*;

    fn object(data: Option<&[(&str, &str)]>) -> ConfigObject {
        let data =
            data.map(|all| all.iter().map(|(k, v)| ((*k).to_owned(), v.as_bytes().to_vec())).collect());
        ConfigObject::for_test("uid-1", data)
    }

    fn set(key: &str, value: Option<&str>) -> Changes {
        Changes::from([(key.to_owned(), value.map(|value| value.as_bytes().to_vec()))])
    }

    #[test]
    fn a_value_is_replaced_only_where_it_is_still_the_one_that_was_seen() {
        let operations =
            operations(ObjectKind::Secret, &object(Some(&[("URL", "old")])), &set("URL", Some("new")));
        assert_eq!(
            operations,
            [
                json!({"op": "test", "path": "/metadata/uid", "value": "uid-1"}),
                json!({"op": "test", "path": "/data/URL", "value": "b2xk"}),
                json!({"op": "replace", "path": "/data/URL", "value": "bmV3"}),
            ]
        );
    }

    #[test]
    fn a_key_is_added_only_where_it_still_is_not_there() {
        let operations = operations(ObjectKind::ConfigMap, &object(None), &set("POOL", Some("9")));
        let paths: Vec<String> = operations.iter().map(|o| format!("{} {}", o["op"], o["path"])).collect();
        assert_eq!(
            paths,
            [
                r#""test" "/metadata/uid""#,
                r#""test" "/data""#,
                r#""add" "/data""#,
                r#""test" "/data/POOL""#,
                r#""add" "/data/POOL""#
            ]
        );
    }

    #[test]
    fn nothing_is_patched_where_nothing_changes() {
        assert!(
            operations(ObjectKind::ConfigMap, &object(Some(&[("A", "1")])), &set("A", Some("1"))).is_empty()
        );
    }
}
