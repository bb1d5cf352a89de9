//! The preserved copy: what it holds, how it is stored, and what of it is put back.
//!
//! One immutable Secret a run: the values of every key that the rollout will touch, where each came from, the workloads
//! of each stage, and the random key of all keyed digests. A restore needs nothing else, least of all the spec.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::{Deserialize, Serialize};

use super::{FIELD_MANAGER, ROLLOUT_UID_LABEL, objects::ConfigObject, snapshot::assemble::endpoint_of};
use crate::{
    api::{SecretKeyReference, WorkloadReference},
    digest,
    plan::{Footprint, ObjectKind, ObjectReference},
};

/// Key of the Secret that holds the copy.
const COPY_KEY: &str = "copy.json";
/// Key of the Secret that holds the digests' key.
const DIGEST_KEY: &str = "digest-key";
const FORMAT_VERSION: u32 = 1;
pub(super) const DIGEST_KEY_BYTES: usize = 32;

/// The copy of a run. Has no `Debug`: its values are secret.
#[derive(Clone, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Copy {
    pub version: u32,
    pub rollout: String,
    pub run: i64,
    pub taken_at: String,
    /// The Secret of the legacy connection, and where it led to: a rotated password is taken from there only while it
    /// still leads to the same database.
    pub legacy_secret: String,
    pub legacy_key: String,
    pub legacy_endpoint: Option<String>,
    pub stages: Vec<PreservedStage>,
}

#[derive(Clone, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct PreservedStage {
    pub name: String,
    pub bindings: Vec<PreservedBinding>,
    pub workloads: Vec<WorkloadReference>,
}

#[derive(Clone, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct PreservedBinding {
    pub kind: ObjectKind,
    pub name: String,
    pub values: BTreeMap<String, PreservedValue>,
}

impl PreservedBinding {
    pub fn object(&self) -> ObjectReference {
        ObjectReference { kind: self.kind, name: self.name.clone() }
    }
}

#[derive(Clone, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct PreservedValue {
    pub value: ByteString,
    /// The key of the legacy connection's Secret that held the same bytes.
    pub origin: Option<String>,
}

impl Copy {
    pub fn new(
        rollout: &str,
        run: i64,
        legacy: &SecretKeyReference,
        legacy_endpoint: Option<String>,
    ) -> Self {
        Self {
            version: FORMAT_VERSION,
            rollout: rollout.to_owned(),
            run,
            taken_at: jiff::Timestamp::now().to_string(),
            legacy_secret: legacy.name.clone(),
            legacy_key: legacy.key.clone(),
            legacy_endpoint,
            stages: Vec::new(),
        }
    }

    /// What it covers, by stage.
    pub fn footprints(&self) -> BTreeMap<String, Footprint> {
        self.stages
            .iter()
            .map(|stage| {
                let bindings = stage
                    .bindings
                    .iter()
                    .map(|binding| (binding.object(), binding.values.keys().cloned().collect()))
                    .collect();
                (stage.name.clone(), Footprint { bindings, workloads: stage.workloads.clone() })
            })
            .collect()
    }

    /// The Secret that holds it.
    pub fn to_secret(&self, name: &str, rollout_uid: &str, key: &[u8]) -> Result<Secret, serde_json::Error> {
        let data = BTreeMap::from([
            (COPY_KEY.to_owned(), ByteString(serde_json::to_vec(self)?)),
            (DIGEST_KEY.to_owned(), ByteString(key.to_vec())),
        ]);
        let labels = BTreeMap::from([
            ("app.kubernetes.io/managed-by".to_owned(), FIELD_MANAGER.to_owned()),
            (ROLLOUT_UID_LABEL.to_owned(), rollout_uid.to_owned()),
        ]);
        Ok(Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(labels),
                ..ObjectMeta::default()
            },
            immutable: Some(true),
            data: Some(data),
            ..Secret::default()
        })
    }
}

/// The copy as it was found.
#[derive(Clone)]
pub(super) enum Found {
    Absent,
    /// Not this rollout's copy; what it is.
    Foreign(String),
    /// It cannot be read; why.
    Damaged(String),
    Intact {
        copy: Box<Copy>,
        key: Vec<u8>,
        digest: String,
    },
}

/// Reads the Secret of a copy.
pub(super) fn read(object: Option<&ConfigObject>, rollout_uid: &str) -> Found {
    let Some(object) = object else {
        return Found::Absent;
    };
    match object.labels.get(ROLLOUT_UID_LABEL).map(String::as_str) {
        None => return Found::Foreign("it is no copy of cutover's".to_owned()),
        Some(uid) if uid != rollout_uid => {
            return Found::Foreign("it is the copy of an earlier rollout of the same name".to_owned());
        }
        Some(_) => {}
    }
    let (Some(bytes), Some(key)) = (object.value(COPY_KEY), object.value(DIGEST_KEY)) else {
        return Found::Damaged(format!("it has no {COPY_KEY} or no {DIGEST_KEY}"));
    };
    if key.len() != DIGEST_KEY_BYTES {
        return Found::Damaged(format!("its {DIGEST_KEY} has not {DIGEST_KEY_BYTES} bytes"));
    }
    match serde_json::from_slice::<Copy>(bytes) {
        Ok(copy) if copy.version == FORMAT_VERSION => {
            Found::Intact { copy: Box::new(copy), key: key.to_vec(), digest: digest::keyed(key, [bytes]) }
        }
        Ok(copy) => Found::Damaged(format!("its format {} is of another version of cutover", copy.version)),
        // The parser's message may quote a value.
        Err(_) => Found::Damaged(format!("its {COPY_KEY} cannot be read")),
    }
}

/// The Secret of the legacy connection as it is now.
pub(super) struct LiveLegacy<'a> {
    pub object: Option<&'a ConfigObject>,
    /// Whether its connection still leads to where it led when the copy was taken.
    pub leads_to_legacy: bool,
}

impl LiveLegacy<'_> {
    /// What is put back for a key: the live Secret's value where a credential was rotated there since and it still leads
    /// to the legacy database, else the preserved bytes. A password that was rotated must not come back; a value that
    /// leads elsewhere must not come at all.
    pub fn value_to_restore(&self, kind: ObjectKind, preserved: &PreservedValue) -> Vec<u8> {
        let frozen = &preserved.value.0;
        let live = preserved.origin.as_ref().and_then(|origin| self.object?.value(origin));
        let same_place = |live: &&[u8]| match endpoint_of(frozen) {
            Some(endpoint) => endpoint_of(live) == Some(endpoint),
            // A part of a credential tells by itself nothing of where it leads; its Secret does. A setting of a ConfigMap
            // that happened to equal it is no credential.
            None => kind == ObjectKind::Secret && self.leads_to_legacy,
        };
        live.filter(same_place).map_or_else(|| frozen.clone(), <[u8]>::to_vec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Data = BTreeMap<String, Vec<u8>>;

    const KEY: [u8; DIGEST_KEY_BYTES] = [7; DIGEST_KEY_BYTES];

    fn stored(edit: impl FnOnce(&mut Data), label: Option<&str>) -> ConfigObject {
        let copy = Copy::new(
            "shop",
            1,
            &SecretKeyReference { name: "old".into(), key: "uri".into() },
            Some("host:5432/shop".into()),
        );
        let secret = copy.to_secret("shop-legacy-1", "uid-1", &KEY).unwrap();
        let mut data: Data = secret.data.unwrap().into_iter().map(|(k, v)| (k, v.0)).collect();
        edit(&mut data);
        let mut object = ConfigObject::for_test("secret-uid", Some(data));
        object.labels = label.map(|uid| (ROLLOUT_UID_LABEL.to_owned(), uid.to_owned())).into_iter().collect();
        object
    }

    #[test]
    fn a_copy_is_read_as_it_was_written() {
        let Found::Intact { copy, digest, .. } = read(Some(&stored(|_| {}, Some("uid-1"))), "uid-1") else {
            panic!("it is intact")
        };
        assert_eq!((copy.run, copy.rollout.as_str()), (1, "shop"));
        let again = read(Some(&stored(|_| {}, Some("uid-1"))), "uid-1");
        let Found::Intact { digest: other, .. } = again else { panic!("it is intact") };
        // The time it was taken is part of it.
        assert_eq!(digest.len(), other.len());
    }

    #[test]
    fn every_other_state_is_told_from_an_intact_copy() {
        assert!(matches!(read(None, "uid-1"), Found::Absent));
        assert!(matches!(read(Some(&stored(|_| {}, None)), "uid-1"), Found::Foreign(_)));
        assert!(matches!(read(Some(&stored(|_| {}, Some("another"))), "uid-1"), Found::Foreign(_)));
        let damage: [fn(&mut Data); 4] = [
            |data| drop(data.remove(COPY_KEY)),
            |data| drop(data.remove(DIGEST_KEY)),
            |data| drop(data.insert(COPY_KEY.into(), b"{\"canary\"".to_vec())),
            |data| drop(data.insert(DIGEST_KEY.into(), vec![1])),
        ];
        for edit in damage {
            let found = read(Some(&stored(edit, Some("uid-1"))), "uid-1");
            let Found::Damaged(why) = found else { panic!("it is damaged") };
            assert!(!why.contains("canary"));
        }
    }

    #[test]
    fn a_changed_byte_changes_the_digest() {
        let digest = |edit: fn(&mut Data)| match read(Some(&stored(edit, Some("u"))), "u") {
            Found::Intact { digest, .. } => digest,
            _ => panic!("it can be read"),
        };
        let fixed = |data: &mut Data| {
            let text = r#"{"version":1,"rollout":"a","run":1,"takenAt":"","legacySecret":"","legacyKey":"","legacyEndpoint":null,"stages":[]}"#;
            data.insert(COPY_KEY.into(), text.into());
        };
        let other = |data: &mut Data| {
            let text = r#"{"version":1,"rollout":"b","run":1,"takenAt":"","legacySecret":"","legacyKey":"","legacyEndpoint":null,"stages":[]}"#;
            data.insert(COPY_KEY.into(), text.into());
        };
        assert_eq!(digest(fixed), digest(fixed));
        assert_ne!(digest(fixed), digest(other));
    }

    fn restored(kind: ObjectKind, frozen: &str, live: &str, leads_to_legacy: bool) -> String {
        let object = ConfigObject::for_test("u", Some(Data::from([("uri".to_owned(), live.into())])));
        let preserved = PreservedValue { value: ByteString(frozen.into()), origin: Some("uri".into()) };
        let legacy = LiveLegacy { object: Some(&object), leads_to_legacy };
        String::from_utf8(legacy.value_to_restore(kind, &preserved)).unwrap()
    }

    #[test]
    fn a_rotated_credential_is_taken_from_the_live_secret_while_it_leads_to_legacy() {
        let (old, rotated) = ("postgresql://a:old@h:5432/d", "postgresql://a:new@h:5432/d");
        let elsewhere = "postgresql://a:new@other:5432/d";
        assert_eq!(restored(ObjectKind::Secret, old, rotated, true), rotated);
        assert_eq!(restored(ObjectKind::Secret, old, elsewhere, true), old);
        assert_eq!(restored(ObjectKind::Secret, "old", "rotated", true), "rotated");
        assert_eq!(restored(ObjectKind::Secret, "old", "rotated", false), "old");
        assert_eq!(restored(ObjectKind::ConfigMap, "20", "40", true), "20");
    }

    #[test]
    fn what_did_not_come_from_the_legacy_secret_is_put_back_as_it_was() {
        let own = PreservedValue { value: ByteString(b"own".to_vec()), origin: None };
        let legacy = LiveLegacy { object: None, leads_to_legacy: true };
        assert_eq!(legacy.value_to_restore(ObjectKind::Secret, &own), b"own");
    }
}
