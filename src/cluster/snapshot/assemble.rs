//! From what was read to what the engine sees: values become keyed digests, gaps become sentences. Pure.

use std::collections::BTreeMap;

use kube::ResourceExt;

use super::Snapshot;
use crate::{
    api::{Configuration, DatabaseRollout, ValueSource, WorkloadReference},
    cluster::{
        copy::{Copy, Found, LiveLegacy, PreservedBinding, PreservedStage},
        objects::ConfigObject,
    },
    digest,
    engine::{
        AttemptId, AttemptState, BindingObserved, CopyState, Observed, StageObserved, WorkloadObserved,
    },
    plan::{ObjectKind, ObjectReference, Plan, PlannedStage, conflicts_with_others},
    postgres::ConnectionUri,
};

/// Largest value that is preserved: a Secret holds 1 MiB in all.
const VALUE_MAX_BYTES: usize = 64 * 1024;

type Values = BTreeMap<String, Option<Vec<u8>>>;

impl Snapshot {
    /// What the engine sees.
    #[must_use]
    pub fn observed(&self, plan: Option<&Plan>, attempts: BTreeMap<AttemptId, AttemptState>) -> Observed {
        Observed {
            conflicts: conflicts_with_others(&self.rollout, &self.others),
            unmet: self.unmet_prerequisites(),
            missing: self.unusable_connections(),
            copy: self.copy_state(),
            forward: plan
                .into_iter()
                .flat_map(|plan| plan.stages.iter().map(move |stage| (plan, stage)))
                .map(|(plan, stage)| (stage.name.clone(), self.forward(plan, stage)))
                .collect(),
            backward: self.backward(),
            attempts,
            loads: BTreeMap::new(),
        }
    }

    fn unmet_prerequisites(&self) -> Vec<String> {
        let find = |name: &str| self.others.iter().find(|other| other.name_any() == name);
        let completed = |other: &DatabaseRollout| {
            other.status.as_ref().is_some_and(|s| s.recorded.completed_at.is_some())
        };
        self.rollout
            .spec
            .prerequisites
            .iter()
            .filter_map(|prerequisite| {
                let name = &prerequisite.rollout.as_ref()?.name;
                match find(name) {
                    None => Some(format!(
                        "prerequisite {}: DatabaseRollout/{name} does not exist",
                        prerequisite.name
                    )),
                    Some(other) if !completed(other) => Some(format!(
                        "prerequisite {}: DatabaseRollout/{name} is {:?}, not Completed",
                        prerequisite.name,
                        other.status.as_ref().map(|s| s.phase).unwrap_or_default()
                    )),
                    Some(_) => None,
                }
            })
            .collect()
    }

    fn unusable_connections(&self) -> Vec<String> {
        let spec = &self.rollout.spec;
        [("legacy", Some(&spec.legacy)), ("candidate", spec.candidate.as_ref())]
            .into_iter()
            .filter_map(|(side, configuration)| Some((side, configuration?)))
            .flat_map(|(side, configuration)| self.connection_faults(side, configuration))
            .collect()
    }

    fn connection_faults(&self, side: &str, configuration: &Configuration) -> Vec<String> {
        let reference = &configuration.connection.secret_ref;
        let ca_key = configuration.connection.tls.as_ref().and_then(|tls| tls.ca_key.as_deref());
        let mut faults = Vec::new();
        match self.source_value(&reference.name, &reference.key) {
            Err(missing) => faults.push(format!("spec.{side}: {missing}")),
            Ok(bytes) => {
                if let Err(error) = parse_uri(bytes) {
                    faults.push(format!(
                        "spec.{side}: key {} of Secret/{}: {error}",
                        reference.key, reference.name
                    ));
                }
            }
        }
        if let Some(Err(missing)) = ca_key.map(|key| self.source_value(&reference.name, key)) {
            faults.push(format!("spec.{side}: {missing}"));
        }
        faults
    }

    fn source_value(&self, secret: &str, key: &str) -> Result<&[u8], String> {
        let reference = self::secret(secret);
        let object = self.object(&reference).ok_or_else(|| format!("{reference} does not exist"))?;
        object.value(key).ok_or_else(|| format!("{reference} has no key {key}"))
    }

    fn copy_state(&self) -> CopyState {
        match &self.copy {
            Found::Absent => CopyState::Absent,
            Found::Foreign(what) => CopyState::Foreign(what.clone()),
            Found::Damaged(what) => CopyState::Damaged(what.clone()),
            Found::Intact { copy, digest, .. } => {
                CopyState::Intact { digest: digest.clone(), footprints: copy.footprints() }
            }
        }
    }

    fn digest_key(&self) -> Option<&[u8]> {
        match &self.copy {
            Found::Intact { key, .. } => Some(key),
            _ => None,
        }
    }

    fn forward(&self, plan: &Plan, stage: &PlannedStage) -> StageObserved {
        let mut missing = self.unusable_connections();
        let mut bindings = Vec::new();
        let mut about: Vec<Vec<u8>> =
            vec![plan.fingerprint.clone().into_bytes(), stage.name.clone().into_bytes()];
        for (object, sources) in &stage.values {
            let desired = self.desired(sources, &mut missing);
            missing.extend(self.object_faults(object, sources.keys()));
            let found = self.object(object);
            about.push(object.to_string().into_bytes());
            about.push(found.map(|o| o.uid.clone()).unwrap_or_default().into_bytes());
            about.push(desired.as_ref().map(canonical).unwrap_or_default());
            let keys: Vec<String> = sources.keys().cloned().collect();
            let legacy = self.preserved_values(&stage.name, object);
            bindings.push(self.binding(object, keys, desired.as_ref(), legacy.as_ref()));
        }
        let workloads: Vec<WorkloadObserved> =
            stage.footprint.workloads.iter().map(|workload| self.workload_observed(workload)).collect();
        for workload in &stage.footprint.workloads {
            missing.extend(self.workload_fault(workload));
            about.push(workload.to_string().into_bytes());
            about.push(
                self.workload(workload).map(|(read, _)| read.uid.clone()).unwrap_or_default().into_bytes(),
            );
        }
        about.extend(self.candidate_connection());
        let digest = self
            .digest_key()
            .filter(|_| missing.is_empty())
            .map(|key| digest::keyed(key, about.iter().map(Vec::as_slice)));
        StageObserved { missing, digest, bindings, workloads }
    }

    /// Evidence is about the server that it was gathered on, too.
    fn candidate_connection(&self) -> Vec<Vec<u8>> {
        let Some(candidate) = &self.rollout.spec.candidate else {
            return Vec::new();
        };
        let reference = &candidate.connection.secret_ref;
        let ca_key = candidate.connection.tls.as_ref().and_then(|tls| tls.ca_key.as_deref());
        [Some(reference.key.as_str()), ca_key]
            .into_iter()
            .flatten()
            .map(|key| self.secret_value(&reference.name, key).unwrap_or_default().to_vec())
            .collect()
    }

    /// The candidate's values; `None` where a source is missing.
    pub(in crate::cluster) fn desired(
        &self,
        sources: &BTreeMap<String, ValueSource>,
        missing: &mut Vec<String>,
    ) -> Option<Values> {
        let mut values = Values::new();
        let mut complete = true;
        for (key, source) in sources {
            let value = match (&source.value, &source.from_secret) {
                (_, Some(from)) => match self.source_value(&from.name, &from.key) {
                    Ok(bytes) => bytes.to_vec(),
                    Err(what) => {
                        missing.push(what);
                        complete = false;
                        continue;
                    }
                },
                (Some(value), None) => value.clone().into_bytes(),
                (None, None) => Vec::new(),
            };
            values.insert(key.clone(), Some(value));
        }
        complete.then_some(values)
    }

    fn object_faults<'k>(
        &self,
        object: &ObjectReference,
        keys: impl Iterator<Item = &'k String>,
    ) -> Vec<String> {
        let Some(found) = self.object(object) else {
            return vec![format!("{object} does not exist")];
        };
        let mut faults = Vec::new();
        if found.immutable {
            faults.push(format!("{object} is immutable, so its keys cannot be written"));
        }
        for key in keys {
            match found.value(key) {
                None => faults
                    .push(format!("{object} has no key {key}, so there is no legacy value to go back to")),
                Some(value) if value.len() > VALUE_MAX_BYTES => {
                    faults.push(format!("key {key} of {object} is larger than {VALUE_MAX_BYTES} bytes"));
                }
                Some(_) => {}
            }
        }
        faults
    }

    fn workload_fault(&self, workload: &WorkloadReference) -> Option<String> {
        match self.workload(workload) {
            None => Some(format!("{workload} does not exist")),
            Some((read, _)) => {
                read.unusable.as_ref().map(|why| format!("{workload} cannot be restarted: {why}"))
            }
        }
    }

    fn workload_observed(&self, workload: &WorkloadReference) -> WorkloadObserved {
        let found = self.workload(workload);
        WorkloadObserved {
            workload: workload.clone(),
            exists: found.is_some(),
            token: found.and_then(|(read, _)| read.token.clone()),
            pods: found.map(|(_, pods)| pods.clone()).unwrap_or_default(),
        }
    }

    fn binding(
        &self,
        object: &ObjectReference,
        keys: Vec<String>,
        desired: Option<&Values>,
        legacy: Option<&Values>,
    ) -> BindingObserved {
        let found = self.object(object);
        let live = found.map(|found| live_values(found, &keys));
        let seal =
            |values: &Values| self.digest_key().map(|key| digest::keyed(key, [canonical(values).as_slice()]));
        BindingObserved {
            object: object.clone(),
            live: live.as_ref().and_then(seal),
            desired: desired.and_then(seal),
            legacy: legacy.and_then(seal),
            other_manager: found.and_then(|found| found.last_other_manager(&keys)),
            keys,
        }
    }

    fn backward(&self) -> BTreeMap<String, StageObserved> {
        let Found::Intact { copy, .. } = &self.copy else {
            return BTreeMap::new();
        };
        copy.stages.iter().map(|stage| (stage.name.clone(), self.backward_stage(copy, stage))).collect()
    }

    fn backward_stage(&self, copy: &Copy, stage: &PreservedStage) -> StageObserved {
        let bindings = stage
            .bindings
            .iter()
            .map(|binding| {
                let legacy = self.legacy_values(copy, binding);
                let keys = binding.values.keys().cloned().collect();
                self.binding(&binding.object(), keys, None, Some(&legacy))
            })
            .collect();
        let workloads = stage.workloads.iter().map(|workload| self.workload_observed(workload)).collect();
        StageObserved { missing: Vec::new(), digest: None, bindings, workloads }
    }

    /// What a restore would put into an object for a stage; `None` where that is not preserved.
    fn preserved_values(&self, stage: &str, object: &ObjectReference) -> Option<Values> {
        let Found::Intact { copy, .. } = &self.copy else { return None };
        let preserved = copy.stages.iter().find(|preserved| preserved.name == stage)?;
        let binding = preserved.bindings.iter().find(|binding| binding.object() == *object)?;
        Some(self.legacy_values(copy, binding))
    }

    /// What a restore puts into an object.
    pub(in crate::cluster) fn legacy_values(&self, copy: &Copy, binding: &PreservedBinding) -> Values {
        let legacy = LiveLegacy {
            object: self.object(&secret(&copy.legacy_secret)),
            leads_to_legacy: copy.legacy_endpoint.is_some()
                && copy.legacy_endpoint == self.endpoint(&copy.legacy_secret, &copy.legacy_key),
        };
        let restored = |value| Some(legacy.value_to_restore(binding.kind, value));
        binding.values.iter().map(|(key, value)| (key.clone(), restored(value))).collect()
    }

    /// Where the legacy connection leads now, without who logs in.
    pub(in crate::cluster) fn legacy_endpoint(&self) -> Option<String> {
        let reference = &self.rollout.spec.legacy.connection.secret_ref;
        self.endpoint(&reference.name, &reference.key)
    }

    fn endpoint(&self, name: &str, key: &str) -> Option<String> {
        endpoint_of(self.secret_value(name, key)?)
    }
}

fn secret(name: &str) -> ObjectReference {
    ObjectReference { kind: ObjectKind::Secret, name: name.to_owned() }
}

/// Where a connection URI leads; `None` for what is none.
pub(in crate::cluster) fn endpoint_of(bytes: &[u8]) -> Option<String> {
    parse_uri(bytes).ok().map(|uri| uri.endpoint().to_string())
}

fn parse_uri(bytes: &[u8]) -> Result<ConnectionUri, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
    ConnectionUri::parse(text).map_err(|error| error.to_string())
}

pub(in crate::cluster) fn live_values(object: &ConfigObject, keys: &[String]) -> Values {
    keys.iter().map(|key| (key.clone(), object.value(key).map(<[u8]>::to_vec))).collect()
}

/// One unambiguous byte string of keys and values; an absent key is not an empty one.
fn canonical(values: &Values) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in values {
        bytes.extend((key.len() as u64).to_be_bytes());
        bytes.extend(key.as_bytes());
        match value {
            None => bytes.push(0),
            Some(value) => {
                bytes.push(1);
                bytes.extend((value.len() as u64).to_be_bytes());
                bytes.extend(value);
            }
        }
    }
    bytes
}
