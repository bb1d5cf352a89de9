//! From the spec's stages to planned ones, and the contradictions between stages that may run side by side.

use std::collections::BTreeMap;

use super::{Fault, Footprint, ObjectKind, ObjectReference, PlannedStage, graph, read_duration};
use crate::{
    api::{Access, Approval, ConfigChange, DatabaseRolloutSpec, Load, Stage, ValueSource},
    load::{self, LatencyLimitsUs},
};

type Values = BTreeMap<ObjectReference, BTreeMap<String, ValueSource>>;

pub(super) fn build(
    spec: &DatabaseRolloutSpec,
    order: &[usize],
    faults: &mut Vec<Fault>,
) -> Vec<PlannedStage> {
    let planned: Vec<PlannedStage> =
        spec.stages.iter().map(|stage| plan_stage(spec, stage, faults)).collect();
    find_contradictions(&spec.stages, order, &planned, faults);
    order.iter().filter_map(|&index| planned.get(index).cloned()).collect()
}

fn plan_stage(spec: &DatabaseRolloutSpec, stage: &Stage, faults: &mut Vec<Fault>) -> PlannedStage {
    let field = |name: &str| format!("stage {}: {name}", stage.name);
    let values = values(stage, faults);
    let mut workloads = Vec::new();
    for workload in &stage.workloads {
        if workloads.contains(workload) {
            faults.push(Fault::new("DuplicateWorkload", field(&format!("{workload} is listed twice"))));
        } else {
            workloads.push(workload.clone());
        }
    }
    PlannedStage {
        name: stage.name.clone(),
        depends_on: stage.depends_on.clone(),
        footprint: Footprint {
            bindings: values
                .iter()
                .map(|(object, set)| (object.clone(), set.keys().cloned().collect()))
                .collect(),
            workloads,
        },
        values,
        writes: stage.access == Access::ReadWrite && spec.candidate.is_some(),
        has_final_checks: stage
            .checks
            .iter()
            .any(|check| check.question().is_some_and(|question| question.is_asked_after_the_move())),
        load: stage
            .load
            .as_ref()
            .and_then(|load| read_duration(&load.duration, &field("load.duration"), faults)),
        load_limits: stage.load.as_ref().map(limits).unwrap_or_default(),
        soak: stage
            .soak
            .as_ref()
            .and_then(|soak| read_duration(&soak.duration, &field("soak.duration"), faults)),
        soak_has_checks: stage.soak.as_ref().is_some_and(|soak| !soak.checks.is_empty()),
        soak_load: stage.soak.as_ref().and_then(|soak| soak.load.as_ref()).map(limits),
        needs_approval: stage.approval == Approval::Manual,
        on_failure: stage.on_failure.unwrap_or_default(),
        progress_deadline: read_duration(&stage.progress_deadline, &field("progressDeadline"), faults)
            .unwrap_or_default(),
    }
}

/// Limits that can't be read are a fault of their own.
fn limits(load: &Load) -> LatencyLimitsUs {
    load.max_latency.as_ref().and_then(|limits| load::latency_limits(limits).ok()).unwrap_or_default()
}

/// The values of a stage by object; several entries for one object are one.
fn values(stage: &Stage, faults: &mut Vec<Fault>) -> Values {
    let mut values = Values::new();
    for change in &stage.config {
        let Some(object) = target(change) else {
            faults.push(Fault::new(
                "InvalidConfig",
                format!(
                    "stage {}: name exactly one of secret and configMap in each entry of config",
                    stage.name
                ),
            ));
            continue;
        };
        let keys = values.entry(object.clone()).or_default();
        for (key, source) in &change.set {
            if keys.insert(key.clone(), source.clone()).is_some_and(|earlier| earlier != *source) {
                faults.push(Fault::new(
                    "ConflictingKey",
                    format!("stage {} sets key {key} of {object} twice, to different values", stage.name),
                ));
            }
        }
    }
    if values.values().all(BTreeMap::is_empty) {
        faults.push(Fault::new(
            "StageChangesNothing",
            format!("stage {} sets no key; give it at least one, or remove it", stage.name),
        ));
    }
    values
}

pub(super) fn target(change: &ConfigChange) -> Option<ObjectReference> {
    match (&change.secret, &change.config_map) {
        (Some(name), None) => Some(ObjectReference { kind: ObjectKind::Secret, name: name.clone() }),
        (None, Some(name)) => Some(ObjectReference { kind: ObjectKind::ConfigMap, name: name.clone() }),
        _ => None,
    }
}

/// Stages without an order between them must not set one key differently, nor restart one workload.
fn find_contradictions(stages: &[Stage], order: &[usize], planned: &[PlannedStage], faults: &mut Vec<Fault>) {
    let ancestors = graph::ancestors(stages, order);
    let ordered = |a: &str, b: &str| {
        let before = |x: &str, y: &str| ancestors.get(y).is_some_and(|names| names.contains(x));
        before(a, b) || before(b, a)
    };
    for (index, one) in planned.iter().enumerate() {
        for other in &planned[index + 1..] {
            if !ordered(&one.name, &other.name) {
                contradictions(one, other, faults);
            }
        }
    }
}

fn contradictions(one: &PlannedStage, other: &PlannedStage, faults: &mut Vec<Fault>) {
    let pair = format!("stages {} and {} may run side by side", one.name, other.name);
    for (object, set) in &one.values {
        let Some(others) = other.values.get(object) else {
            continue;
        };
        for key in
            set.iter().filter(|(key, value)| others.get(*key).is_some_and(|v| v != *value)).map(|(k, _)| k)
        {
            faults.push(Fault::new(
                "ConflictingKey",
                format!(
                    "{pair} and set key {key} of {object} to different values; order them with dependsOn"
                ),
            ));
        }
    }
    for workload in one.footprint.workloads.iter().filter(|w| other.footprint.workloads.contains(w)) {
        faults.push(Fault::new(
            "SharedWorkload",
            format!("{pair} and both restart {workload}; order them with dependsOn"),
        ));
    }
}
