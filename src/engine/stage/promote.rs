//! Promoting: the keys, then the workloads, then their pods. One write at a time, each told by what is seen, not by what
//! was done.

use super::{Step, soak};
use crate::{
    api::{BindingRecord, StagePhase},
    engine::{
        BindingObserved,
        model::Effect,
        reasons,
        workload::{self, Restarting},
    },
};

/// From here on the stage is not on legacy, whatever happens to us: recorded before the first write.
pub(super) fn start(step: &mut Step<'_, '_>) {
    let (now, name) = (step.pass.now(), step.stage.name.clone());
    let bindings = step.seen.bindings.iter().map(|binding| unwritten(step, binding)).collect();
    let record = step.record();
    record.phase = StagePhase::Promoting;
    record.promoted_at = Some(now);
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
        restores: 0,
    }
}

pub(super) fn promoting(step: &mut Step<'_, '_>) {
    if step.digest_changed() {
        return step.void_evidence("the spec, or what it refers to, changed while it was promoted");
    }
    let promoted_at = step.record().promoted_at.clone();
    if step.pass.elapsed(promoted_at.as_ref()) > step.stage.progress_deadline {
        let message = step.record().message.clone();
        let deadline = step.stage.progress_deadline.as_secs();
        return step.fail(reasons::RESTART_FAILED, &format!("not promoted within {deadline} s: {message}"));
    }
    if !write_keys(step) {
        return;
    }
    let attempt = step.record().attempt;
    let token = workload::candidate_token(step.pass, &step.stage.name, attempt);
    let (name, workloads) = (step.stage.name.clone(), &step.seen.workloads);
    if !workload::restart_all(step.pass, &name, workloads, &token) {
        return step.say("its workloads are restarted");
    }
    match workload::settle(step.pass, &name, workloads) {
        Restarting::Settled => soak::start(step),
        Restarting::Waiting(what) => step.say(what),
        Restarting::Crashing(what) | Restarting::Missing(what) => step.fail(reasons::RESTART_FAILED, &what),
    }
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
        step.pass.take(Effect::Promote {
            stage: step.stage.name.clone(),
            object: binding.object.clone(),
            desired: desired.clone(),
        });
    }
    all
}
