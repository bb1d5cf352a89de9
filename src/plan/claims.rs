//! Who may touch which key: two rollouts that claim one key would take turns breaking each other.
//!
//! So would two that restart one workload. Whoever has begun holds; between equals the order of creation decides, because
//! it never changes: whoever looks, and whenever, finds the same holder.

use std::collections::BTreeSet;

use kube::ResourceExt;

use super::{Fault, stages};
use crate::api::DatabaseRollout;

/// Keys and workloads of `mine` that an earlier rollout of the namespace holds. A rollout holds what it names until its
/// preserved copy was released or it is deleted.
#[must_use]
pub fn conflicts_with_others(mine: &DatabaseRollout, others: &[DatabaseRollout]) -> Vec<Fault> {
    let own = claims(mine);
    let mut faults = Vec::new();
    for other in others.iter().filter(|other| holds(other) && precedes(other, mine)) {
        for shared in own.intersection(&claims(other)) {
            faults.push(Fault::new(
                "HeldByOtherRollout",
                format!("{shared} is held by DatabaseRollout/{}", other.name_any()),
            ));
        }
    }
    faults
}

fn holds(rollout: &DatabaseRollout) -> bool {
    rollout.status.as_ref().is_none_or(|status| status.recorded.released_at.is_none())
}

/// Whoever has preserved its legacy holds its keys against everybody who has not: what it may have written by now would be
/// taken for legacy. Between equals the order of creation decides.
fn precedes(other: &DatabaseRollout, mine: &DatabaseRollout) -> bool {
    let rank = |rollout: &DatabaseRollout| {
        (!has_begun(rollout), rollout.creation_timestamp().map(|t| t.0), rollout.uid())
    };
    other.uid() != mine.uid() && rank(other) < rank(mine)
}

fn has_begun(rollout: &DatabaseRollout) -> bool {
    rollout.status.as_ref().is_some_and(|status| status.recorded.legacy.is_some())
}

/// What the spec names, and what is promoted even if the spec does not name it any more.
fn claims(rollout: &DatabaseRollout) -> BTreeSet<String> {
    let stages = &rollout.spec.stages;
    let changes = stages.iter().flat_map(|stage| &stage.config);
    let named =
        changes.filter_map(|change| stages::target(change).map(|object| (object.to_string(), change)));
    let mut all: BTreeSet<String> =
        named.flat_map(|(object, change)| change.set.keys().map(move |key| claim(key, &object))).collect();
    all.extend(stages.iter().flat_map(|stage| &stage.workloads).map(ToString::to_string));
    let recorded =
        rollout.status.iter().flat_map(|status| &status.recorded.stages).flat_map(|stage| &stage.bindings);
    all.extend(recorded.flat_map(|binding| binding.keys.iter().map(|key| claim(key, &binding.object))));
    all
}

fn claim(key: &str, object: &str) -> String {
    format!("key {key} of {object}")
}
