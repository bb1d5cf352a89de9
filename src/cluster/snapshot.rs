//! One look at the world: everything that a decision about one rollout rests on, read at once and kept for the effect
//! that follows, so that what is written is what was decided about.

pub(super) mod assemble;
mod read;

use std::collections::BTreeMap;

use super::{copy::Found, objects::ConfigObject, workloads::WorkloadRead};
use crate::{
    api::{DatabaseRollout, WorkloadReference},
    engine::Pods,
    plan::ObjectReference,
};

/// What was read. Has no `Debug`: it holds secrets.
#[derive(Clone)]
pub struct Snapshot {
    pub(super) rollout: DatabaseRollout,
    /// Every object that was asked for; `None` where it does not exist.
    pub(super) objects: BTreeMap<ObjectReference, Option<ConfigObject>>,
    pub(super) workloads: BTreeMap<WorkloadReference, Option<(WorkloadRead, Pods)>>,
    pub(super) copy: Found,
    /// The other rollouts of the namespace, where they matter.
    pub(super) others: Vec<DatabaseRollout>,
}

impl Snapshot {
    /// The rollout as it is since its status was written: effects go by what is recorded.
    pub fn set_rollout(&mut self, rollout: DatabaseRollout) {
        self.rollout = rollout;
    }

    /// The rollout that was looked at.
    #[must_use]
    pub fn rollout(&self) -> &DatabaseRollout {
        &self.rollout
    }

    /// The value of a Secret's key, if both exist.
    #[must_use]
    pub fn secret_value(&self, name: &str, key: &str) -> Option<&[u8]> {
        let reference = ObjectReference { kind: crate::plan::ObjectKind::Secret, name: name.to_owned() };
        self.object(&reference)?.value(key)
    }

    pub(super) fn object(&self, reference: &ObjectReference) -> Option<&ConfigObject> {
        self.objects.get(reference)?.as_ref()
    }

    pub(super) fn workload(&self, reference: &WorkloadReference) -> Option<&(WorkloadRead, Pods)> {
        self.workloads.get(reference)?.as_ref()
    }
}
