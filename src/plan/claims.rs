//! Who may touch which key: two rollouts that claim one key would take turns breaking each other.
//!
//! The order of creation decides, because it never changes: whoever looks, and whenever, finds the same holder.

use kube::ResourceExt;

use super::{Fault, ObjectReference, stages};
use crate::api::DatabaseRollout;

/// Keys and workloads of `mine` that an earlier rollout of the namespace holds. A rollout holds what it names until its
/// preserved copy was released or it is deleted.
#[must_use]
pub fn conflicts_with_others(mine: &DatabaseRollout, others: &[DatabaseRollout]) -> Vec<Fault> {
    let keys = claims(mine);
    let mut faults = Vec::new();
    for other in others.iter().filter(|other| holds(other) && precedes(other, mine)) {
        let theirs = claims(other);
        for (object, key) in keys.iter().filter(|claim| theirs.contains(claim)) {
            faults.push(Fault::new(
                "KeyHeldByOtherRollout",
                format!(
                    "key {key} of {object} is held by DatabaseRollout/{}, which was created earlier",
                    other.name_any()
                ),
            ));
        }
    }
    faults
}

fn holds(rollout: &DatabaseRollout) -> bool {
    rollout.status.as_ref().is_none_or(|status| status.recorded.released_at.is_none())
}

fn precedes(other: &DatabaseRollout, mine: &DatabaseRollout) -> bool {
    let rank = |rollout: &DatabaseRollout| (rollout.creation_timestamp().map(|time| time.0), rollout.uid());
    other.uid() != mine.uid() && rank(other) < rank(mine)
}

fn claims(rollout: &DatabaseRollout) -> Vec<(ObjectReference, String)> {
    let mut all: Vec<(ObjectReference, String)> = rollout
        .spec
        .stages
        .iter()
        .flat_map(|stage| &stage.config)
        .filter_map(|change| stages::target(change).map(|object| (object, change)))
        .flat_map(|(object, change)| change.set.keys().map(move |key| (object.clone(), key.clone())))
        .collect();
    all.sort();
    all.dedup();
    all
}
