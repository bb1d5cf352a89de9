//! Promoting: the keys, then the workloads, then their pods. One write at a time, each told by what is seen, not by what
//! was done.

use super::{Step, soak};
use crate::{
    api::{BindingRecord, StagePhase},
    engine::{
        BindingObserved, admission,
        model::Effect,
        pass::WORLD_POLL,
        reasons,
        workload::{self, Restarting},
    },
};

/// From here on the stage is not on legacy, whatever happens to us: recorded before the first write.
pub(super) fn start(step: &mut Step<'_, '_>) {
    if let Some(edited) = edited_since_preserved(step) {
        return wait_for_legacy(step, &edited);
    }
    let (now, name, writes) = (step.pass.now(), step.stage.name.clone(), step.stage.writes);
    let bindings = step.seen.bindings.iter().map(|binding| unwritten(step, binding)).collect();
    let record = step.record();
    record.phase = StagePhase::Promoting;
    record.promoted_at = Some(now);
    record.writes = writes;
    record.bindings = bindings;
    "its keys are written".clone_into(&mut record.message);
    step.pass.note(reasons::PROMOTION_STARTED, &name, format!("stage {name} passed and is promoted"));
    promoting(step);
}

/// Keeps what an earlier promotion wrote: until the new values are there, those are the ones that nobody else may change.
fn unwritten(step: &Step<'_, '_>, binding: &BindingObserved) -> BindingRecord {
    let object = binding.object.to_string();
    let earlier = step.pass.next.stages[step.index].bindings.iter().find(|record| record.object == object);
    BindingRecord {
        object,
        keys: binding.keys.clone(),
        written: earlier.map(|record| record.written.clone()).unwrap_or_default(),
        intended: earlier.map(|record| record.intended.clone()).unwrap_or_default(),
        restores: 0,
    }
}

pub(super) fn promoting(step: &mut Step<'_, '_>) {
    if step.digest_changed() {
        return step.void_evidence("the spec, or what it refers to, changed while it was promoted");
    }
    if !write_keys(step) {
        return;
    }
    let attempt = step.record().attempt;
    let token = workload::candidate_token(step.pass, &step.stage.name, attempt);
    let (name, workloads) = (step.stage.name.clone(), &step.seen.workloads);
    let restarted = workloads.iter().filter(|w| workload::restart(step.pass, &name, w, &token)).count();
    if restarted < workloads.len() {
        return step.say("its workloads are restarted");
    }
    match workload::settle(step.pass, &name, workloads) {
        Restarting::Settled => soak::start(step),
        Restarting::Waiting(what) => wait_within_deadline(step, &what),
        Restarting::Crashing(what) | Restarting::Missing(what) => step.fail(reasons::RESTART_FAILED, &what),
    }
}

fn wait_within_deadline(step: &mut Step<'_, '_>, what: &str) {
    let promoted_at = step.record().promoted_at.clone();
    if step.pass.elapsed(promoted_at.as_ref()) > step.stage.progress_deadline {
        let deadline = step.stage.progress_deadline.as_secs();
        return step.fail(reasons::RESTART_FAILED, &format!("not promoted within {deadline} s: {what}"));
    }
    step.say(what);
}

/// The keys that somebody has changed between the preserving and the first write: to overwrite them would lose that
/// change, and a rollback would put an older value back. Keys that another stage of this rollout wrote are no such.
fn edited_since_preserved(step: &Step<'_, '_>) -> Option<String> {
    let record = &step.pass.next.stages[step.index];
    if record.promoted_at.is_some() {
        return None;
    }
    let edited = step.seen.bindings.iter().find(|binding| {
        let untouched = binding.live == binding.legacy || binding.live == binding.desired;
        !untouched && !written_by_another(step, binding)
    })?;
    Some(edited.object.to_string())
}

fn written_by_another(step: &Step<'_, '_>, binding: &BindingObserved) -> bool {
    let object = binding.object.to_string();
    let others = step.pass.next.stages.iter().filter(|record| record.name != step.stage.name);
    others
        .filter(|record| record.promoted_at.is_some())
        .flat_map(|record| &record.bindings)
        .any(|written| written.object == object && written.keys.iter().any(|key| binding.keys.contains(key)))
}

/// Nothing is touched yet: the legacy configuration is preserved anew. Else a person has to say what is legacy now.
fn wait_for_legacy(step: &mut Step<'_, '_>, edited: &str) {
    let name = step.stage.name.clone();
    if step.pass.touched() {
        step.pass.look_again(WORLD_POLL);
        return step.say(format!(
            "keys of {edited} were changed after they were preserved; put the preserved values back, or roll back with activeConfig: Legacy and begin anew"
        ));
    }
    step.pass.note(
        reasons::EVIDENCE_VOID,
        &name,
        format!("keys of {edited} were changed after they were preserved: legacy is preserved anew"),
    );
    admission::begin_run(step.pass);
}

/// Whether every key holds the candidate's value; asks for the next write where one does not.
fn write_keys(step: &mut Step<'_, '_>) -> bool {
    let mut all = true;
    for binding in &step.seen.bindings {
        let Some(desired) = &binding.desired else {
            return false;
        };
        let object = binding.object.to_string();
        if binding.live.as_ref() == Some(desired) {
            let record = step.record().bindings.iter_mut().find(|record| record.object == object);
            if let Some(record) = record {
                record.written.clone_from(desired);
            }
            continue;
        }
        all = false;
        let effect = Effect::Promote {
            stage: step.stage.name.clone(),
            object: binding.object.clone(),
            desired: desired.clone(),
        };
        if step.pass.take(effect) {
            let record = step.record().bindings.iter_mut().find(|record| record.object == object);
            if let Some(record) = record {
                record.intended.clone_from(desired);
            }
        }
    }
    all
}
