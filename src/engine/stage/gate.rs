//! What stands before a promotion: checks, load, approval. Only an explicit `Pass` (or `Warn`) opens it.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{Step, promote, start_attempt};
use crate::{
    api::{LoadResult, StagePhase, StageRecord, Verdict},
    engine::{
        admission, evidence,
        model::AttemptScope,
        pass::{ATTEMPT_POLL, AttemptView, SETBACKS_MAX, sentences, worst},
        reasons,
    },
    load::LatencyLimitsUs,
};

/// Evidence older than this, because of a long wait for approval or a pause, is gathered again before the promotion.
const EVIDENCE_MAX_AGE: Duration = Duration::from_secs(30 * 60);

/// A new attempt: its number has never been used, its evidence is about `digest`.
pub(super) fn start_checks(step: &mut Step<'_, '_>, digest: String) {
    let name = step.stage.name.clone();
    let number = step.record().attempt + 1;
    let tried = step.record();
    // Another question is asked anew.
    let (setbacks, inconclusive_loads) =
        if tried.digest == digest { (tried.setbacks, tried.inconclusive_loads) } else { (0, 0) };
    if !start_attempt(step, AttemptScope::Checks(name.clone()), number, digest.clone(), None) {
        return;
    }
    let now = step.pass.now();
    let record = step.record();
    admission::reset(record);
    record.phase = StagePhase::Checking;
    record.attempt = number;
    record.setbacks = setbacks;
    record.inconclusive_loads = inconclusive_loads;
    record.digest = digest;
    record.started_at = Some(now);
    record.message = format!("attempt {number}: its checks run");
    step.pass.note(reasons::CHECKS_STARTED, &name, format!("stage {name}, attempt {number}: checks begin"));
}

pub(super) fn checking(step: &mut Step<'_, '_>) {
    let Some(report) = report(step, AttemptScope::Checks(step.stage.name.clone())) else {
        return;
    };
    step.record().checks.clone_from(&report.checks);
    match worst(&report.checks) {
        Verdict::Fail => step.fail(reasons::CHECK_FAILED, &sentences(&report.checks, Verdict::Fail)),
        Verdict::Pass | Verdict::Warn => after_checks(step, report.checks.len()),
        verdict => setback(step, &sentences(&report.checks, verdict)),
    }
}

fn after_checks(step: &mut Step<'_, '_>, count: usize) {
    let name = step.stage.name.clone();
    if step.stage.load.is_none() {
        step.pass.note(
            reasons::CHECKS_PASSED,
            &name,
            format!("stage {name}: {count} of {count} checks passed"),
        );
        return evidence_complete(step);
    }
    let (number, digest) = (step.record().attempt, step.record().digest.clone());
    if start_attempt(step, AttemptScope::Load(name.clone()), number, digest, None) {
        step.pass.note(
            reasons::CHECKS_PASSED,
            &name,
            format!("stage {name}: {count} of {count} checks passed"),
        );
        step.pass.note(reasons::LOAD_STARTED, &name, format!("stage {name}, attempt {number}: load begins"));
        step.record().phase = StagePhase::Loading;
        let seconds = step.stage.load.unwrap_or_default().as_secs();
        step.say(format!("attempt {number}: load for {seconds} s"));
    }
}

pub(super) fn loading(step: &mut Step<'_, '_>) {
    let Some(report) = report(step, AttemptScope::Load(step.stage.name.clone())) else {
        return;
    };
    let load = told(step, report.load.unwrap_or_default(), step.stage.load_limits);
    let (verdict, message, name) = (load.verdict, load.message.clone(), step.stage.name.clone());
    let open = without_verdict(&load);
    count_try(step.record(), &load);
    step.record().load = Some(load);
    match verdict {
        Verdict::Fail => step.fail(reasons::LOAD_FAILED, &message),
        Verdict::Pass | Verdict::Warn => {
            step.pass.note(reasons::LOAD_PASSED, &name, format!("stage {name}: {message}"));
            evidence_complete(step);
        }
        Verdict::Inconclusive | Verdict::Error => setback(step, &open),
    }
}

/// A load that could have passed and did not is one of its tries; one that never began looked at nothing.
pub(super) fn count_try(record: &mut StageRecord, load: &LoadResult) {
    match load.verdict {
        Verdict::Inconclusive if load.scheduled > 0 => record.inconclusive_loads += 1,
        Verdict::Pass | Verdict::Warn => record.inconclusive_loads = 0,
        Verdict::Inconclusive | Verdict::Fail | Verdict::Error => {}
    }
}

/// A load's result as it is recorded: a broken limit beside what legacy had. Tells of noise that is not shared.
pub(super) fn told(step: &mut Step<'_, '_>, mut load: LoadResult, limits: LatencyLimitsUs) -> LoadResult {
    let baseline = evidence::baseline(step.plan, &step.pass.next);
    let beside = evidence::beside_broken_limits(&load, limits, baseline);
    load.message.push_str(&beside);
    if load.noise_shared == Some(false) {
        let name = &step.stage.name;
        step.pass.note(reasons::NOISE_NOT_SHARED, name, format!("stage {name}: {}", evidence::noise(false)));
    }
    load
}

/// A load that neither passed nor failed: which of the two that was, and its reason, which says what may help.
pub(super) fn without_verdict(load: &LoadResult) -> String {
    let which = if load.verdict == Verdict::Inconclusive { "inconclusive" } else { "error" };
    format!("load: {which}: {}", load.message)
}

fn evidence_complete(step: &mut Step<'_, '_>) {
    let oldest = oldest_evidence(step);
    step.record().evidence_at = Some(oldest.clone());
    step.record().setbacks = 0;
    if step.pass.elapsed(Some(&oldest)) > EVIDENCE_MAX_AGE {
        // A pause, a hold or a conflict kept it from being read.
        return step.void_evidence("its evidence is more than 30 minutes old");
    }
    if step.stage.needs_approval && !approved(step) {
        let name = step.stage.name.clone();
        step.record().phase = StagePhase::AwaitingApproval;
        step.say(format!("passed; waits for its name in spec.approvedStages: add {name} to promote it"));
        step.pass.note(
            reasons::APPROVAL_NEEDED,
            &name,
            format!("stage {name} passed and waits for approval"),
        );
        return;
    }
    promote::start(step);
}

/// When the first of the attempt's answers was given: evidence is as old as its oldest part.
fn oldest_evidence(step: &mut Step<'_, '_>) -> MicroTime {
    let now = step.pass.now();
    let record = step.record();
    let checks = record.checks.iter().filter_map(|check| check.finished_at.clone());
    checks.chain(record.load.as_ref().and_then(|load| load.finished_at.clone())).min().unwrap_or(now)
}

pub(super) fn awaiting_approval(step: &mut Step<'_, '_>) {
    if step.digest_changed() {
        return step.void_evidence("the spec, or what it refers to, changed while it waited for approval");
    }
    if !approved(step) {
        return;
    }
    let evidence_at = step.record().evidence_at.clone();
    if step.pass.elapsed(evidence_at.as_ref()) > EVIDENCE_MAX_AGE {
        return step.void_evidence("it is approved, but its evidence is more than 30 minutes old");
    }
    promote::start(step);
}

fn approved(step: &Step<'_, '_>) -> bool {
    step.pass.input.command.approved.contains(&step.stage.name)
}

/// What the stage's attempt brought back; `None` while it runs, and where it counts for nothing and begins anew.
pub(super) fn report(step: &mut Step<'_, '_>, scope: AttemptScope) -> Option<crate::engine::Report> {
    if step.digest_changed() {
        step.void_evidence("the spec, or what it refers to, changed meanwhile");
        return None;
    }
    let (number, digest) = (step.record().attempt, step.record().digest.clone());
    match step.pass.attempt(scope, number, &digest) {
        AttemptView::Running => {
            step.pass.look_again(ATTEMPT_POLL);
            None
        }
        AttemptView::Lost => {
            // Another process began it and is gone. What it saw is unknown, so it is asked again under a new number.
            start_checks(step, digest);
            None
        }
        AttemptView::Finished(report) => Some(report.clone()),
    }
}

/// No verdict: again after a pause, a few times; then that is a failure of its own.
fn setback(step: &mut Step<'_, '_>, message: &str) {
    let setbacks = step.record().setbacks + 1;
    if setbacks >= SETBACKS_MAX {
        return step.fail(
            reasons::CHECK_FAILED,
            &format!("no verdict in {setbacks} attempts, and only a pass promotes: {message}"),
        );
    }
    let retry_at = step.pass.retry_time(setbacks);
    let name = step.stage.name.clone();
    step.pass.warn(
        reasons::ATTEMPT_WITHOUT_VERDICT,
        &name,
        format!("stage {name}: no verdict, tried again: {message}"),
    );
    let record = step.record();
    // What there was stays to be seen until the next attempt begins.
    let tried = std::mem::take(record);
    *record = StageRecord {
        setbacks,
        inconclusive_loads: tried.inconclusive_loads,
        digest: tried.digest.clone(),
        checks: tried.checks.clone(),
        load: tried.load.clone(),
        retry_at: Some(retry_at.clone()),
        message: format!("no verdict, tried again soon: {message}"),
        ..admission::waiting_again(tried)
    };
    step.pass.look_again_at(retry_at.0);
}
