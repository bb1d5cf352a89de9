//! A stage, from waiting to done.
//!
//! Evidence counts only for exactly this plan, these values, these objects and this attempt: all of that is in the
//! stage's digest, and a digest that has changed sends the stage back to its checks.

mod gate;
mod promote;
mod soak;
mod soak_load;

use std::time::Duration;

use super::{
    admission,
    model::{AttemptId, AttemptScope, Effect, Outlook, StageObserved},
    pass::{Pass, WORLD_POLL},
    reasons,
};
use crate::{
    api::{Phase, StagePhase, StageRecord},
    plan::{Plan, PlannedStage},
};

/// One stage as it is stepped: what is planned, what is seen, and its record.
struct Step<'p, 'a> {
    pass: &'p mut Pass<'a>,
    plan: &'p Plan,
    stage: &'p PlannedStage,
    seen: &'p StageObserved,
    index: usize,
}

impl Step<'_, '_> {
    fn record(&mut self) -> &mut StageRecord {
        &mut self.pass.next.stages[self.index]
    }

    fn say(&mut self, message: impl Into<String>) {
        self.record().message = message.into();
    }

    fn fail(&mut self, reason: &'static str, message: &str) {
        self.record().phase = StagePhase::Failed;
        self.say(message);
        admission::fail(self.pass, self.plan, &self.stage.name, self.stage.on_failure, reason, message);
    }

    /// Back to waiting, because what the evidence was about is not what is there any more.
    fn void_evidence(&mut self, why: &str) {
        let name = &self.stage.name;
        self.pass.note(reasons::EVIDENCE_VOID, name, format!("stage {name} is checked again: {why}"));
        admission::reset(self.record());
        self.pass.look_again(Duration::ZERO);
    }

    /// The digest that evidence must be about now; `None`: something is missing.
    fn digest_changed(&self) -> bool {
        self.seen.digest.as_deref() != Some(self.pass.next.stages[self.index].digest.as_str())
    }
}

/// Steps every stage that may be stepped. `None`: all are done.
pub(super) fn step_all(pass: &mut Pass<'_>, plan: &Plan) -> Option<Outlook> {
    if pass.next.completed_at.is_some() && !reopened(pass, plan) {
        return None;
    }
    if let Some(conflict) = ownership_conflict(pass, plan) {
        pass.look_again(WORLD_POLL);
        return Some(conflict_outlook(Phase::Progressing, &conflict));
    }
    let nothing = StageObserved::default();
    for stage in &plan.stages {
        let Some(index) = pass.next.stages.iter().position(|record| record.name == stage.name) else {
            continue;
        };
        let seen = pass.input.observed.forward.get(&stage.name).unwrap_or(&nothing);
        step(&mut Step { pass, plan, stage, seen, index });
        if pass.next.failure.is_some() {
            return Some(failed(pass));
        }
    }
    if pass.next.stages.iter().all(|record| record.phase == StagePhase::Done) {
        return None;
    }
    Some(progressing(pass))
}

/// A completed rollout whose plan was edited goes on from what is no longer as planned.
fn reopened(pass: &mut Pass<'_>, plan: &Plan) -> bool {
    let validated =
        pass.next.final_validation.as_ref().is_some_and(|v| v.passed && v.digest == plan.fingerprint);
    if !validated {
        pass.next.completed_at = None;
    }
    !validated
}

fn step(step: &mut Step<'_, '_>) {
    match step.pass.next.stages[step.index].phase {
        StagePhase::Waiting | StagePhase::Failed | StagePhase::RollingBack | StagePhase::RolledBack => {
            begin(step);
        }
        StagePhase::Checking => gate::checking(step),
        StagePhase::Loading => gate::loading(step),
        StagePhase::AwaitingApproval => gate::awaiting_approval(step),
        StagePhase::Promoting => promote::promoting(step),
        StagePhase::Soaking => soak::soaking(step),
        StagePhase::Done => done(step),
    }
}

/// Begins the stage's attempt, if nothing is in the way.
fn begin(step: &mut Step<'_, '_>) {
    let undone: Vec<&str> = step
        .stage
        .depends_on
        .iter()
        .filter(|name| step.pass.stage(name).is_none_or(|record| record.phase != StagePhase::Done))
        .map(String::as_str)
        .collect();
    if !undone.is_empty() {
        let message = format!("waits for {}", undone.join(", "));
        return step.say(message);
    }
    let (true, Some(digest)) = (step.seen.missing.is_empty(), step.seen.digest.clone()) else {
        step.pass.look_again(WORLD_POLL);
        let message = format!(
            "waits for: {}; looks again every {} s",
            step.seen.missing.join("; "),
            WORLD_POLL.as_secs()
        );
        return step.say(message);
    };
    let changes_nothing = step.seen.bindings.iter().all(|binding| binding.legacy == binding.desired);
    if changes_nothing && step.record().promoted_at.is_none() {
        step.pass.look_again(WORLD_POLL);
        return step.say(
            "changes nothing: every key already holds the candidate's value; remove the stage, or see who wrote them",
        );
    }
    let retry_at = step.record().retry_at.clone();
    if !step.pass.is_before(retry_at.as_ref()) {
        gate::start_checks(step, digest);
    }
}

/// A stage that is done stays done until what it should hold changes.
fn done(step: &mut Step<'_, '_>) {
    if outdated(step) {
        step.void_evidence("the values that it should hold have changed since it was promoted");
    }
}

/// Whether the candidate's values are others than those that were written.
fn outdated(step: &Step<'_, '_>) -> bool {
    let written = &step.pass.next.stages[step.index].bindings;
    step.seen.bindings.iter().any(|binding| {
        let object = binding.object.to_string();
        let record = written.iter().find(|record| record.object == object);
        binding.desired.is_some()
            && record.is_none_or(|record| Some(&record.written) != binding.desired.as_ref())
    })
}

fn start_attempt(
    step: &mut Step<'_, '_>,
    scope: AttemptScope,
    number: i64,
    digest: String,
    until: Option<jiff::Timestamp>,
) -> bool {
    step.pass.take(Effect::StartAttempt { id: AttemptId { scope, number }, digest, until })
}

/// Another manager has changed what a stage wrote: said, and nothing done.
pub(super) fn conflict_outlook(phase: Phase, conflict: &str) -> Outlook {
    Outlook {
        stalled: Some(reasons::OWNERSHIP_CONFLICT),
        ownership_conflict: Some(conflict.to_owned()),
        ..Pass::outlook(
            phase,
            format!("held: {conflict}. Make that manager leave the keys alone, or set activeConfig: Legacy"),
        )
    }
}

/// Whether another manager has changed, since, what a promoted stage wrote. Reported, never fought.
pub(super) fn ownership_conflict(pass: &Pass<'_>, plan: &Plan) -> Option<String> {
    for record in &pass.next.stages {
        let Some(seen) = pass.input.observed.forward.get(&record.name) else { continue };
        for binding in &seen.bindings {
            let object = binding.object.to_string();
            let Some(written) = record.bindings.iter().find(|b| b.object == object && !b.written.is_empty())
            else {
                continue;
            };
            let ours = [Some(&written.written), Some(&written.intended), binding.desired.as_ref()];
            let as_written = ours.contains(&binding.live.as_ref());
            if !as_written && !superseded(pass, plan, record, binding) {
                let who = binding.other_manager.as_deref().unwrap_or("an unnamed manager");
                return Some(match binding.live {
                    None => format!("{object}, which stage {} wrote, does not exist any more", record.name),
                    Some(_) => format!("{who} changed keys of {object} that stage {} wrote", record.name),
                });
            }
        }
    }
    None
}

/// Whether a stage promoted later sets one of the same keys on purpose.
fn superseded(pass: &Pass<'_>, plan: &Plan, record: &StageRecord, binding: &super::BindingObserved) -> bool {
    let after = plan.stages.iter().skip_while(|stage| stage.name != record.name).skip(1);
    after.into_iter().any(|other| {
        let later = pass.stage(&other.name).is_some_and(|r| r.promoted_at.is_some());
        let shares = other
            .footprint
            .bindings
            .get(&binding.object)
            .is_some_and(|keys| keys.iter().any(|key| binding.keys.contains(key)));
        later && shares
    })
}

fn failed(pass: &mut Pass<'_>) -> Outlook {
    // The next pass begins the way back, or holds.
    pass.look_again(Duration::ZERO);
    let message = pass.next.failure.as_ref().map(|failure| failure.message.clone()).unwrap_or_default();
    Pass::outlook(Phase::Progressing, message)
}

fn progressing(pass: &Pass<'_>) -> Outlook {
    let undone = || pass.next.stages.iter().filter(|record| record.phase != StagePhase::Done);
    let mut told: Vec<String> =
        undone().filter(|record| record.phase != StagePhase::Waiting).map(tell).collect();
    if told.is_empty() {
        // Those that wait for other stages only repeat what those say.
        told = undone().map(tell).collect();
    }
    Pass::outlook(Phase::Progressing, told.join("; "))
}

fn tell(record: &StageRecord) -> String {
    format!("stage {}: {}", record.name, record.message)
}
