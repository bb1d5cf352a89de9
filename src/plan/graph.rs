//! The stage graph: an order that works, and who may run beside whom.

use std::collections::{BTreeMap, BTreeSet};

use super::Fault;
use crate::api::Stage;

/// Indexes into `stages`, every stage after those that it depends on, otherwise in the spec's order.
///
/// # Errors
/// Every dependency on a stage that does not exist; every stage that is on a cycle, with one cycle spelled out.
pub(super) fn order(stages: &[Stage]) -> Result<Vec<usize>, Vec<Fault>> {
    let unknown = unknown_dependencies(stages);
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut order = Vec::with_capacity(stages.len());
    while order.len() < stages.len() {
        let ready = (0..stages.len()).find(|&i| {
            !order.contains(&i) && stages[i].depends_on.iter().all(|name| done.contains(name.as_str()))
        });
        let Some(index) = ready else {
            return Err(vec![cycle_fault(stages, &done)]);
        };
        done.insert(&stages[index].name);
        order.push(index);
    }
    Ok(order)
}

fn unknown_dependencies(stages: &[Stage]) -> Vec<Fault> {
    let names: BTreeSet<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
    let mut faults = Vec::new();
    for stage in stages {
        for dependency in stage.depends_on.iter().filter(|name| !names.contains(name.as_str())) {
            faults.push(Fault::new(
                "UnknownStage",
                format!("stage {} depends on stage {dependency}, which does not exist", stage.name),
            ));
        }
    }
    faults
}

/// Follows dependencies among the stages that can never begin until one repeats.
fn cycle_fault(stages: &[Stage], done: &BTreeSet<&str>) -> Fault {
    let stuck: BTreeMap<&str, &Stage> = stages
        .iter()
        .filter(|stage| !done.contains(stage.name.as_str()))
        .map(|stage| (stage.name.as_str(), stage))
        .collect();
    let mut path: Vec<&str> = stuck.keys().next().copied().into_iter().collect();
    while let Some(next) = path
        .last()
        .and_then(|last| stuck.get(last))
        .and_then(|stage| stage.depends_on.iter().find(|name| stuck.contains_key(name.as_str())))
    {
        if let Some(start) = path.iter().position(|name| name == next) {
            path.drain(..start);
            path.push(next);
            break;
        }
        path.push(next);
    }
    Fault::new("CyclicStages", format!("the stages depend on each other in a circle: {}", path.join(" -> ")))
}

/// For every stage, the names of all stages that must be done before it, directly or not. Needs an acyclic graph.
pub(super) fn ancestors<'a>(stages: &'a [Stage], order: &[usize]) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for &index in order {
        let mut before = BTreeSet::new();
        for name in &stages[index].depends_on {
            before.insert(name.as_str());
            before.extend(all.get(name.as_str()).into_iter().flatten());
        }
        all.insert(&stages[index].name, before);
    }
    all
}
