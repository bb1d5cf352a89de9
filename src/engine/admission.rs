//! Whether a rollout may go forward at all: its spec, its conflicts, its latch, what it waits for in the world.

use std::collections::BTreeMap;

use super::{
    model::{CopyState, Outlook},
    pass::{Pass, WORLD_POLL, clip},
    reasons, run_is_over,
};
use crate::{
    api::{Failure, OnFailure, Phase, Recorded, StagePhase, StageRecord},
    plan::{Footprint, Plan},
};

/// The plan, if the spec has one that may be carried out; else why not, with all faults.
pub(super) fn admit<'a>(pass: &mut Pass<'a>) -> Result<&'a Plan, Outlook> {
    let plan = pass.input.plan.map_err(|faults| {
        let reason = faults.first().map_or("InvalidSpec", |fault| fault.reason);
        let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
        rejected(pass, reason, &all)
    })?;
    if let Some(first) = pass.input.observed.conflicts.first() {
        let all: Vec<String> = pass.input.observed.conflicts.iter().map(ToString::to_string).collect();
        // The holder may finish or be deleted without us being told.
        pass.look_again(WORLD_POLL);
        return Err(rejected(pass, first.reason, &all));
    }
    if pass.touched() {
        let changed = changed_footprints(plan, &pass.next, &pass.input.observed.copy);
        if !changed.is_empty() {
            return Err(rejected(pass, reasons::PROMOTED_STAGE_CHANGED, &changed));
        }
    }
    sync_stages(&mut pass.next, plan);
    Ok(plan)
}

/// Whether the spec would be admitted as it is.
pub(super) fn is_admissible(pass: &Pass<'_>) -> bool {
    let observed = pass.input.observed;
    pass.input.plan.is_ok_and(|plan| {
        observed.conflicts.is_empty() && changed_footprints(plan, &pass.next, &observed.copy).is_empty()
    })
}

fn rejected(pass: &Pass<'_>, reason: &str, faults: &[String]) -> Outlook {
    let message = faults.join("; ");
    Outlook {
        phase: if pass.touched() { Phase::Progressing } else { Phase::Pending },
        message: format!("not accepted, nothing is touched: {message}"),
        rejected: Some((reason.to_owned(), message)),
        ..Outlook::default()
    }
}

/// Once a stage is promoted, what the rollout touches is what was preserved: another key would have no way back, and a
/// key that the spec forgot would stay behind.
fn changed_footprints(plan: &Plan, recorded: &Recorded, copy: &CopyState) -> Vec<String> {
    let CopyState::Intact { footprints, .. } = copy else {
        return Vec::new();
    };
    let nothing = Footprint::default();
    let mut changed = Vec::new();
    for record in recorded.stages.iter().filter(|stage| stage.promoted_at.is_some()) {
        let preserved = footprints.get(&record.name).unwrap_or(&nothing);
        match plan.stage(&record.name) {
            None => changed.push(format!(
                "stage {} is promoted and was removed from the spec; put it back, or roll back first with activeConfig: Legacy",
                record.name
            )),
            Some(stage) if stage.footprint != *preserved => changed.push(format!(
                "stage {} is promoted and its keys or workloads were changed; undo that, or roll back first with activeConfig: Legacy",
                record.name
            )),
            Some(_) => {}
        }
    }
    for stage in
        plan.stages.iter().filter(|stage| !covered(stage.name.as_str(), &stage.footprint, footprints))
    {
        let promoted = recorded.stages.iter().any(|r| r.name == stage.name && r.promoted_at.is_some());
        if !promoted {
            changed.push(format!(
                "stage {} names keys or workloads that were not preserved before the first promotion; undo that, or roll back first with activeConfig: Legacy",
                stage.name
            ));
        }
    }
    changed
}

fn covered(stage: &str, footprint: &Footprint, footprints: &BTreeMap<String, Footprint>) -> bool {
    footprints.get(stage).is_some_and(|preserved| preserved.covers(footprint))
}

/// Whether the copy holds all that the plan touches.
pub(super) fn copy_covers(plan: &Plan, copy: &CopyState) -> bool {
    let CopyState::Intact { footprints, .. } = copy else {
        return false;
    };
    plan.stages.iter().all(|stage| covered(&stage.name, &stage.footprint, footprints))
}

/// One record a stage, in the plan's order. Records of stages that the spec no longer has go, unless they are promoted.
fn sync_stages(recorded: &mut Recorded, plan: &Plan) {
    let mut old = std::mem::take(&mut recorded.stages);
    for stage in &plan.stages {
        let record = old.iter().position(|record| record.name == stage.name).map_or_else(
            || StageRecord { name: stage.name.clone(), ..StageRecord::default() },
            |i| old.remove(i),
        );
        recorded.stages.push(record);
    }
    old.retain(|record| record.promoted_at.is_some());
    recorded.stages.append(&mut old);
}

/// A failure holds until `retry` or the plan changes. Releases it where that is so, and begins a new run where the last
/// one is over.
pub(super) fn latched(pass: &mut Pass<'_>, plan: &Plan) -> Option<Outlook> {
    if let Some(failure) = pass.next.failure.clone() {
        let released = failure.retry != pass.input.command.retry || failure.plan != plan.fingerprint;
        if !released {
            return Some(latched_outlook(pass, &failure));
        }
        pass.next.failure = None;
        let why = if failure.retry == pass.input.command.retry {
            "the plan was changed"
        } else {
            "spec.retry was changed"
        };
        pass.note(reasons::RETRIED, &failure.stage, format!("{why}: going on after: {}", failure.message));
        for stage in pass.next.stages.iter_mut().filter(|stage| stage.phase == StagePhase::Failed) {
            reset(stage);
        }
        if let Some(validation) = &mut pass.next.final_validation {
            validation.setbacks = 0;
            validation.digest.clear();
        }
        if let Some(baseline) = pass.next.baseline.as_mut().filter(|baseline| baseline.result.is_none()) {
            baseline.setbacks = 0;
            baseline.retry_at = None;
        }
    }
    if run_is_over(pass) {
        begin_run(pass);
        // What was observed is about the run before; the next look is about this one.
        pass.look_again(std::time::Duration::ZERO);
        return Some(Pass::outlook(Phase::Pending, "begins from legacy".to_owned()));
    }
    None
}

/// Where a latched failure has left the rollout, and how to go on.
pub(super) fn latched_outlook(pass: &Pass<'_>, failure: &Failure) -> Outlook {
    let stage = if failure.stage.is_empty() { String::new() } else { format!("stage {}: ", failure.stage) };
    let what = format!("{stage}{}", failure.message);
    let go_on = "To go on, mend the cause and give spec.retry a new value";
    if run_is_over(pass) {
        let rollback =
            pass.next.rollback.as_ref().map(|rollback| rollback.message.clone()).unwrap_or_default();
        return Outlook {
            stalled: Some(reasons::ROLLED_BACK),
            ..Pass::outlook(Phase::RolledBack, format!("on legacy: {rollback}, after: {what}. {go_on}"))
        };
    }
    Outlook {
        stalled: Some(reasons::HELD),
        ..Pass::outlook(
            Phase::Held,
            format!("held, nothing is changed, after: {what}. {go_on}, or set activeConfig: Legacy"),
        )
    }
}

/// From legacy, anew: a fresh copy, a fresh baseline; attempts go on counting.
pub(super) fn begin_run(pass: &mut Pass<'_>) {
    pass.next.run += 1;
    pass.next.legacy = None;
    pass.next.final_validation = pass.next.final_validation.take().map(|validation| {
        crate::api::FinalValidation { attempt: validation.attempt, ..crate::api::FinalValidation::default() }
    });
    pass.next.baseline = pass.next.baseline.take().map(|baseline| crate::api::BaselineRecord {
        attempt: baseline.attempt,
        ..crate::api::BaselineRecord::default()
    });
    pass.next.prerequisites = pass.next.prerequisites.take().map(|record| crate::api::PrerequisitesRecord {
        attempt: record.attempt,
        ..crate::api::PrerequisitesRecord::default()
    });
    pass.next.stages.iter_mut().for_each(reset);
    if pass.next.run > 1 {
        let run = pass.next.run;
        pass.note(reasons::RUN_STARTED, "", format!("run {run} begins from legacy"));
    }
}

/// Back to waiting, keeping what must survive.
pub(super) fn reset(stage: &mut StageRecord) {
    *stage = waiting_again(std::mem::take(stage));
}

/// What survives: the name, the attempts counted, whether it is promoted.
pub(super) fn waiting_again(stage: StageRecord) -> StageRecord {
    StageRecord {
        name: stage.name,
        attempt: stage.attempt,
        soak_attempt: stage.soak_attempt,
        soak_load_attempt: stage.soak_load_attempt,
        promoted_at: stage.promoted_at,
        writes: stage.writes,
        bindings: stage.bindings,
        ..StageRecord::default()
    }
}

/// What does not hold or does not exist yet. Only before anything is touched: later each stage waits for its own.
pub(super) fn wait_for_world(pass: &mut Pass<'_>, plan: &Plan) -> Option<Outlook> {
    if pass.next.legacy.is_some() {
        return None;
    }
    let observed = pass.input.observed;
    if !observed.unmet.is_empty() {
        pass.look_again(WORLD_POLL);
        return Some(waiting(reasons::PREREQUISITE_UNMET, &observed.unmet.join("; "), WORLD_POLL));
    }
    let mut missing = observed.missing.clone();
    for stage in &plan.stages {
        let found = observed.forward.get(&stage.name);
        missing
            .extend(found.into_iter().flat_map(|s| &s.missing).map(|m| format!("stage {}: {m}", stage.name)));
    }
    if missing.is_empty() {
        return None;
    }
    pass.look_again(WORLD_POLL);
    Some(waiting("ReferenceMissing", &missing.join("; "), WORLD_POLL))
}

/// Nothing was begun, and what it waits for is looked at again and again.
pub(super) fn waiting(reason: &'static str, what: &str, poll: std::time::Duration) -> Outlook {
    Outlook {
        stalled: Some(reason),
        ..Pass::outlook(
            Phase::Pending,
            format!("nothing is touched; waits for: {what}. Looks again every {} s", poll.as_secs()),
        )
    }
}

/// Whether going back would lose writes that nobody has accepted to lose: a stage is promoted, may write, and says Hold.
/// Then no other stage's failure takes it back.
fn holds_writes(pass: &Pass<'_>, plan: &Plan) -> bool {
    pass.next
        .stages
        .iter()
        .filter(|record| record.promoted_at.is_some() && record.writes)
        .any(|record| plan.stage(&record.name).is_none_or(|stage| stage.on_failure == OnFailure::Hold))
}

/// Latches a failure and, where the policy says so, begins the way back.
pub(super) fn fail(
    pass: &mut Pass<'_>,
    plan: &Plan,
    stage: &str,
    policy: OnFailure,
    reason: &'static str,
    message: &str,
) {
    if pass.next.failure.is_some() {
        return;
    }
    pass.drop_effect();
    let message = &clip(message);
    let policy = if holds_writes(pass, plan) { OnFailure::Hold } else { policy };
    pass.warn(reason, stage, message);
    pass.next.failure = Some(Failure {
        stage: stage.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        at: Some(pass.now()),
        plan: plan.fingerprint.clone(),
        retry: pass.input.command.retry.clone(),
    });
    match policy {
        OnFailure::Hold => pass.warn(reasons::HELD, stage, format!("held after: {message}")),
        OnFailure::Rollback => super::rollback::begin(pass, crate::api::RollbackTrigger::Automatic, message),
    }
}
