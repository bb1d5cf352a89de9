//! The way back. It outranks everything, needs nothing of the candidate, and restores what the preserved copy holds,
//! whatever the spec says by now.

use std::time::Duration;

use super::{
    admission, baseline,
    model::{AttemptId, AttemptScope, BindingObserved, Effect, Outlook, StageObserved},
    pass::{ATTEMPT_POLL, AttemptView, Pass, WORLD_POLL, worst},
    reasons, run_is_over,
    workload::{self, Restarting},
};
use crate::api::{
    ActiveConfig, BindingRecord, Phase, Rollback, RollbackPhase, RollbackTrigger, StagePhase, Verdict,
    WorkloadReference,
};

/// Pause between two looks whether legacy can serve.
const LEGACY_PROBE_PAUSE: Duration = Duration::from_secs(10);
/// Restores of one object that somebody else undid before that is reported; from then on it is tried more rarely.
const RESTORES_BEFORE_CONFLICT: i64 = 3;
/// Pause between two restores of an object that somebody else keeps changing.
const CONTESTED_RESTORE_PAUSE: Duration = Duration::from_secs(30);

/// Records that the way back is taken, and why.
pub(super) fn begin(pass: &mut Pass<'_>, trigger: RollbackTrigger, why: &str) {
    let last = pass.next.rollback.clone().unwrap_or_default();
    pass.next.rollback = Some(Rollback {
        trigger,
        phase: RollbackPhase::Probing,
        run: pass.next.run,
        number: last.number + 1,
        attempt: last.attempt,
        message: why.to_owned(),
        started_at: Some(pass.now()),
        ..Rollback::default()
    });
    pass.next.completed_at = None;
    pass.warn(reasons::ROLLBACK_STARTED, "", format!("rolls back to legacy: {why}"));
}

/// Takes the way back one step further, if it is to be taken.
pub(super) fn step(pass: &mut Pass<'_>) -> Option<Outlook> {
    take_command(pass);
    let rollback = pass.next.rollback.clone()?;
    if rollback.phase == RollbackPhase::Done {
        return None;
    }
    if rollback.phase == RollbackPhase::Probing
        && rollback.trigger == RollbackTrigger::Automatic
        && pass.touched()
    {
        if retried(pass) && admission::is_admissible(pass) {
            pass.next.rollback =
                Some(Rollback { phase: RollbackPhase::Done, run: rollback.run - 1, ..rollback });
            return None;
        }
        if let Some(outlook) = probe_legacy(pass, &rollback) {
            return Some(outlook);
        }
    }
    Some(restore(pass))
}

/// `activeConfig: Legacy` begins a rollback, or makes an automatic one the person's own.
fn take_command(pass: &mut Pass<'_>) {
    if pass.input.command.active != ActiveConfig::Legacy {
        return;
    }
    let over = run_is_over(pass);
    match &mut pass.next.rollback {
        Some(rollback) if rollback.phase != RollbackPhase::Done => {
            rollback.trigger = RollbackTrigger::Commanded;
        }
        _ if over => {
            // A person has seen it: what failed no longer keeps a later activeConfig: Candidate from beginning anew.
            pass.next.failure = None;
        }
        _ => {
            pass.next.failure = None;
            begin(pass, RollbackTrigger::Commanded, "commanded by activeConfig: Legacy");
        }
    }
}

/// A person who retries while legacy is down wants to go forward.
fn retried(pass: &Pass<'_>) -> bool {
    let plan = pass.input.plan.ok();
    pass.next.failure.as_ref().is_some_and(|failure| {
        failure.retry != pass.input.command.retry || plan.is_some_and(|plan| plan.fingerprint != failure.plan)
    })
}

/// Before an automatic rollback: moving the application from one broken database to another would help nobody.
/// `None`: legacy can serve.
fn probe_legacy(pass: &mut Pass<'_>, rollback: &Rollback) -> Option<Outlook> {
    match pass.attempt(AttemptScope::LegacyProbe, rollback.attempt, "") {
        AttemptView::Finished(report) if rollback.retry_at.is_none() => {
            let answer = report.checks.first().map(|check| check.message.clone()).unwrap_or_default();
            if worst(&report.checks) == Verdict::Pass {
                set(pass, |r| r.legacy_serves = Some(true));
                return None;
            }
            if rollback.legacy_serves.is_none() {
                pass.warn(
                    reasons::LEGACY_UNAVAILABLE,
                    "",
                    format!("the rollback waits, legacy cannot serve: {answer}"),
                );
            }
            let retry_at = pass.after(LEGACY_PROBE_PAUSE);
            pass.look_again(LEGACY_PROBE_PAUSE);
            set(pass, |r| {
                r.legacy_serves = Some(false);
                r.retry_at = Some(retry_at);
                r.message = format!("waits, because legacy cannot serve: {answer}");
            });
        }
        AttemptView::Running => pass.look_again(ATTEMPT_POLL),
        AttemptView::Lost | AttemptView::Finished(_) => {
            if !pass.is_before(rollback.retry_at.as_ref()) {
                start_probe(pass, rollback);
            }
        }
    }
    let message = pass.next.rollback.as_ref().map(|r| r.message.clone()).unwrap_or_default();
    let waits = pass.next.rollback.as_ref().is_some_and(|r| r.legacy_serves == Some(false));
    Some(Outlook {
        stalled: waits.then_some(reasons::LEGACY_UNAVAILABLE),
        ..Pass::outlook(
            Phase::RollingBack,
            if waits {
                format!(
                    "{message}. Asks again every {} s; activeConfig: Legacy rolls back regardless",
                    LEGACY_PROBE_PAUSE.as_secs()
                )
            } else {
                format!("asks whether legacy can serve, after: {message}")
            },
        )
    })
}

fn start_probe(pass: &mut Pass<'_>, rollback: &Rollback) {
    let id = AttemptId { scope: AttemptScope::LegacyProbe, number: rollback.attempt + 1 };
    if pass.take(Effect::StartAttempt { id: id.clone(), digest: String::new(), until: None }) {
        set(pass, |r| {
            r.attempt = id.number;
            r.retry_at = None;
        });
    }
}

fn set(pass: &mut Pass<'_>, change: impl FnOnce(&mut Rollback)) {
    if let Some(rollback) = &mut pass.next.rollback {
        change(rollback);
    }
}

/// Keys and restarts of every promoted stage, the last one first; then their pods; then the end.
fn restore(pass: &mut Pass<'_>) -> Outlook {
    set(pass, |r| r.phase = RollbackPhase::Restoring);
    if !pass.touched() {
        return finish(pass);
    }
    if let Some(damage) = baseline::copy_damage(pass).or_else(|| unpreserved(pass)) {
        pass.look_again(WORLD_POLL);
        return blocked(pass, reasons::LEGACY_COPY_DAMAGED, &format!("cannot restore: {damage}"));
    }
    let mut blockers = Vec::new();
    let mut unrestored = Vec::new();
    for index in in_reverse_order(pass) {
        pass.next.stages[index].phase = StagePhase::RollingBack;
        let name = pass.next.stages[index].name.clone();
        let Some(seen) = pass.input.observed.backward.get(&name) else {
            blockers.push(format!("the preserved copy knows nothing of stage {name}"));
            continue;
        };
        if let Some(found) = restore_keys(pass, index, seen) {
            unrestored.extend(seen.workloads.iter().map(|workload| workload.workload.clone()));
            blockers.extend(found);
        }
    }
    let all_restarted = restart_restored(pass, &unrestored);
    if !blockers.is_empty() {
        pass.look_again(WORLD_POLL);
        return blocked(pass, reasons::OWNERSHIP_CONFLICT, &blockers.join("; "));
    }
    if !unrestored.is_empty() || !all_restarted || pass.effect_taken() {
        return Pass::outlook(
            Phase::RollingBack,
            "legacy keys are put back and workloads restarted".to_owned(),
        );
    }
    wait_for_pods(pass)
}

/// Restarts, the stage promoted last first, every workload whose keys are all back; a workload that several stages
/// restart waits for the keys of each, so that no pod starts on a mixture. `true`: all of them are restarted.
fn restart_restored(pass: &mut Pass<'_>, unrestored: &[WorkloadReference]) -> bool {
    let number = pass.next.rollback.as_ref().map_or(0, |rollback| rollback.number);
    let mut all = true;
    for index in in_reverse_order(pass) {
        let name = pass.next.stages[index].name.clone();
        let Some(seen) = pass.input.observed.backward.get(&name) else { continue };
        for workload in seen.workloads.iter().filter(|w| !unrestored.contains(&w.workload)) {
            let token = workload::legacy_token(pass, number, restores(pass, &workload.workload));
            all &= workload::restart(pass, &name, workload, &token);
        }
    }
    all
}

/// How often keys that a workload reads were put back: pods that started before the last time may have read others.
fn restores(pass: &Pass<'_>, workload: &WorkloadReference) -> i64 {
    let reads = |name: &str| {
        let seen = pass.input.observed.backward.get(name);
        seen.is_some_and(|seen| seen.workloads.iter().any(|w| w.workload == *workload))
    };
    let bindings =
        pass.next.stages.iter().filter(|record| reads(&record.name)).flat_map(|record| &record.bindings);
    bindings.map(|binding| binding.restores).sum()
}

fn unpreserved(pass: &Pass<'_>) -> Option<String> {
    pass.next.legacy.is_none().then(|| "nothing was preserved".to_owned())
}

/// Indexes of the promoted stages, the one promoted last first.
fn in_reverse_order(pass: &Pass<'_>) -> Vec<usize> {
    let stages = &pass.next.stages;
    let mut order: Vec<usize> = (0..stages.len()).filter(|&i| stages[i].promoted_at.is_some()).collect();
    order.sort_by_key(|&i| (stages[i].promoted_at.clone(), i));
    order.reverse();
    order
}

/// `None`: every key of the stage holds its legacy value. Else what is in the way; nothing, if it is only a write.
fn restore_keys(pass: &mut Pass<'_>, index: usize, seen: &StageObserved) -> Option<Vec<String>> {
    let mut restored = true;
    let mut blockers = Vec::new();
    for binding in &seen.bindings {
        let object = binding.object.to_string();
        let Some(legacy) = &binding.legacy else { continue };
        if binding.live.is_none() {
            restored = false;
            blockers.push(format!("{object} does not exist any more; create it, its keys will be put back"));
        } else if binding.live.as_ref() != Some(legacy) {
            restored = false;
            blockers.extend(restore_one(pass, index, binding, legacy));
        }
    }
    (!restored).then_some(blockers)
}

/// Asks for the legacy values of one object. Somebody who keeps changing them is named, and then they are put back more
/// rarely, but never given up.
fn restore_one(pass: &mut Pass<'_>, index: usize, binding: &BindingObserved, legacy: &str) -> Option<String> {
    let object = binding.object.to_string();
    // Until it is restored the fields are cutover's own, unless somebody else has written them since.
    let other = binding.other_manager.as_deref();
    let restores = binding_record(pass, index, &object).restores;
    let contested = restores >= RESTORES_BEFORE_CONFLICT && other.is_some();
    let retry_at = pass.next.rollback.as_ref().and_then(|rollback| rollback.retry_at.clone());
    let waits = contested && pass.is_before(retry_at.as_ref());
    if !waits && !pass.effect_taken() {
        let stage = pass.next.stages[index].name.clone();
        if pass.take(Effect::Restore { stage, object: binding.object.clone() }) {
            let record = binding_record(pass, index, &object);
            record.restores += 1;
            legacy.clone_into(&mut record.intended);
            let retry_at = pass.after(CONTESTED_RESTORE_PAUSE);
            set(pass, |rollback| rollback.retry_at = contested.then_some(retry_at));
        }
    }
    contested.then(|| {
        let who = other.unwrap_or("an unnamed manager");
        format!("{who} keeps changing the restored keys of {object}")
    })
}

fn binding_record<'p>(pass: &'p mut Pass<'_>, stage: usize, object: &str) -> &'p mut BindingRecord {
    let bindings = &mut pass.next.stages[stage].bindings;
    let index = bindings.iter().position(|record| record.object == object).unwrap_or_else(|| {
        bindings.push(BindingRecord { object: object.to_owned(), ..BindingRecord::default() });
        bindings.len() - 1
    });
    &mut bindings[index]
}

fn blocked(pass: &mut Pass<'_>, reason: &'static str, message: &str) -> Outlook {
    set(pass, |r| message.clone_into(&mut r.message));
    Outlook {
        stalled: Some(reason),
        ownership_conflict: (reason == reasons::OWNERSHIP_CONFLICT).then(|| message.to_owned()),
        ..Pass::outlook(
            Phase::RollingBack,
            format!("{message}. Looks again every {} s", WORLD_POLL.as_secs()),
        )
    }
}

/// The bytes are back and every workload was restarted: the pods, and for the truth of the status, legacy itself.
fn wait_for_pods(pass: &mut Pass<'_>) -> Outlook {
    let mut waiting = Vec::new();
    for index in in_reverse_order(pass) {
        let name = pass.next.stages[index].name.clone();
        let Some(seen) = pass.input.observed.backward.get(&name) else {
            continue;
        };
        match workload::settle(pass, &name, &seen.workloads) {
            // A workload that was deleted meanwhile has nothing left to put back.
            Restarting::Settled | Restarting::Missing(_) => {}
            Restarting::Waiting(what) | Restarting::Crashing(what) => waiting.push(what),
        }
    }
    let told = probe_beside(pass);
    if waiting.is_empty() && told {
        return finish(pass);
    }
    pass.look_again(super::pass::PODS_POLL);
    let legacy = match pass.next.rollback.as_ref().and_then(|r| r.legacy_serves) {
        Some(false) => ". Legacy itself could not be logged in to",
        _ => "",
    };
    let message =
        if waiting.is_empty() { "asks whether legacy serves".to_owned() } else { waiting.join("; ") };
    Pass::outlook(Phase::RollingBack, format!("legacy keys are back; {message}{legacy}"))
}

/// Asks legacy beside a commanded rollback, which does not wait for the answer but tells it. `true`: it is told.
fn probe_beside(pass: &mut Pass<'_>) -> bool {
    let Some(rollback) = pass.next.rollback.clone() else {
        return true;
    };
    if rollback.legacy_serves.is_some() {
        return true;
    }
    match pass.attempt(AttemptScope::LegacyProbe, rollback.attempt, "") {
        AttemptView::Running => {}
        AttemptView::Lost => start_probe(pass, &rollback),
        AttemptView::Finished(report) => {
            let serves = worst(&report.checks) == Verdict::Pass;
            set(pass, |r| r.legacy_serves = Some(serves));
            return true;
        }
    }
    false
}

fn finish(pass: &mut Pass<'_>) -> Outlook {
    let now = pass.now();
    let started = pass.next.rollback.as_ref().and_then(|r| r.started_at.clone());
    let took = pass.elapsed(started.as_ref());
    let mut restored = 0_usize;
    for stage in &mut pass.next.stages {
        let was_promoted = stage.promoted_at.take().is_some();
        restored += usize::from(was_promoted);
        if was_promoted {
            stage.phase = StagePhase::RolledBack;
            stage.bindings.clear();
            "back on legacy".clone_into(&mut stage.message);
        } else if stage.phase != StagePhase::Failed {
            admission::reset(stage);
        }
    }
    let message = match restored {
        0 => "nothing had been promoted, so nothing had to be put back".to_owned(),
        _ => format!(
            "{restored} stages put back and verified against the preserved digest in {:.1} s",
            took.as_secs_f64()
        ),
    };
    set(pass, |r| {
        r.phase = RollbackPhase::Done;
        r.finished_at = Some(now);
        r.duration_ms = i64::try_from(took.as_millis()).ok();
        r.message.clone_from(&message);
        r.retry_at = None;
    });
    pass.note(reasons::ROLLED_BACK, "", message);
    resting_on_legacy(pass)
}

/// The application is on legacy, and stays there until somebody says otherwise.
pub(super) fn resting_on_legacy(pass: &Pass<'_>) -> Outlook {
    if let Some(failure) = &pass.next.failure {
        return admission::latched_outlook(pass, failure);
    }
    let message = match &pass.next.rollback {
        Some(rollback) if rollback.run == pass.next.run => format!("on legacy: {}", rollback.message),
        _ => "on legacy by activeConfig: Legacy; nothing was begun".to_owned(),
    };
    Pass::outlook(Phase::RolledBack, message)
}
