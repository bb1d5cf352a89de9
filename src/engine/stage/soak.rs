//! The watch over a promoted stage: its time, its samples, and its load (`soak_load`); all must be over and have passed.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{Step, outdated, soak_load, start_attempt};
use crate::{
    api::{LoadResult, StagePhase, Verdict},
    engine::{
        model::{AttemptScope, Report},
        pass::{ATTEMPT_POLL, AttemptView, PODS_POLL, SETBACKS_MAX, sentences, worst},
        reasons,
    },
};

/// How often the pods are looked at while a stage soaks.
const SOAK_POLL: Duration = Duration::from_secs(2);

pub(super) fn start(step: &mut Step<'_, '_>) {
    let name = step.stage.name.clone();
    step.pass.note(reasons::STAGE_PROMOTED, &name, format!("stage {name} runs on the candidate"));
    let Some(duration) = step.stage.soak else {
        return finish(step);
    };
    let now = step.pass.now();
    let record = step.record();
    record.phase = StagePhase::Soaking;
    record.soak_started_at = Some(now);
    record.message = format!("promoted, and watched for {} s", duration.as_secs());
    step.pass.look_again(Duration::ZERO);
}

fn finish(step: &mut Step<'_, '_>) {
    let (now, name) = (step.pass.now(), step.stage.name.clone());
    let record = step.record();
    record.phase = StagePhase::Done;
    record.done_at = Some(now);
    record.setbacks = 0;
    "done".clone_into(&mut record.message);
    step.pass.note(reasons::STAGE_DONE, &name, format!("stage {name} is done"));
    // Stages that waited for this one may begin.
    step.pass.look_again(Duration::ZERO);
}

pub(super) fn soaking(step: &mut Step<'_, '_>) {
    if outdated(step) {
        return step.void_evidence("the values that it should hold have changed since it was promoted");
    }
    if step.digest_changed() && step.seen.digest.is_some() {
        return restart_watch(step);
    }
    if let Some(crash) = step.seen.workloads.iter().find(|w| !w.pods.settled() && w.pods.is_crashing()) {
        let message = format!("the pods of {} crash on the candidate: {}", crash.workload, crash.pods);
        return step.fail(reasons::SOAK_FAILED, &message);
    }
    let duration = step.stage.soak.unwrap_or_default();
    let since = step.record().soak_started_at.clone();
    let over = step.pass.elapsed(since.as_ref()) >= duration;
    let samples = sampled(step, duration);
    if samples == Part::Ended {
        return;
    }
    match (samples, soak_load::watched(step)) {
        (_, Part::Ended) => {}
        (Part::Passed, Part::Passed) if over => when_settled(step, duration),
        (Part::Passed, Part::Passed) => wait_for_end(step, duration),
        _ => step.pass.look_again(if over { ATTEMPT_POLL } else { SOAK_POLL }),
    }
}

/// How a part of the watch, the samples or the load, stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// It goes on, or begins again.
    Running,
    /// There is nothing against going on, as far as it has come.
    Passed,
    /// It has failed, or had a setback: what there is to do is recorded.
    Ended,
}

/// The spec was edited, the values were not: the watch begins anew under the new spec.
fn restart_watch(step: &mut Step<'_, '_>) {
    let now = step.pass.now();
    let digest = step.seen.digest.clone().unwrap_or_default();
    let record = step.record();
    record.digest = digest;
    record.soak_attempt += 1;
    record.soak_load_attempt += 1;
    record.soak_load = None;
    record.setbacks = 0;
    record.inconclusive_loads = 0;
    record.soak_started_at = Some(now);
    step.pass.look_again(Duration::ZERO);
}

fn wait_for_end(step: &mut Step<'_, '_>, duration: Duration) {
    let since = step.record().soak_started_at.clone();
    let left = duration.saturating_sub(step.pass.elapsed(since.as_ref()));
    step.pass.look_again(left.clamp(PODS_POLL, SOAK_POLL));
}

fn sampled(step: &mut Step<'_, '_>, duration: Duration) -> Part {
    if !step.stage.soak_has_checks {
        return Part::Passed;
    }
    let (number, digest) = (step.record().soak_attempt, step.record().digest.clone());
    match step.pass.attempt(AttemptScope::Soak(step.stage.name.clone()), number, &digest) {
        AttemptView::Running => Part::Running,
        AttemptView::Lost => {
            start_samples(step, duration);
            Part::Running
        }
        // What passed before the time is over was of a shorter soak; the rest is only waited for.
        AttemptView::Finished(report) => judge(step, &report.clone()),
    }
}

/// Samples until the soak's end; what another process sampled is lost, the time that has passed is not.
fn start_samples(step: &mut Step<'_, '_>, duration: Duration) {
    let retry_at = step.record().retry_at.clone();
    if step.pass.is_before(retry_at.as_ref()) {
        return;
    }
    let (number, digest) = (step.record().soak_attempt + 1, step.record().digest.clone());
    let begun = step.record().soak_started_at.clone().unwrap_or_else(|| step.pass.now());
    let length = jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX);
    let until = begun.0.saturating_add(length).unwrap_or(jiff::Timestamp::MAX);
    if start_attempt(step, AttemptScope::Soak(step.stage.name.clone()), number, digest, Some(until)) {
        step.record().soak_attempt = number;
    }
}

fn judge(step: &mut Step<'_, '_>, report: &Report) -> Part {
    let mut checks: Vec<_> = std::mem::take(&mut step.record().checks);
    checks.retain(|check| !report.checks.iter().any(|new| new.name == check.name));
    checks.extend(report.checks.iter().cloned());
    step.record().checks = checks;
    match worst(&report.checks) {
        Verdict::Fail => step.fail(reasons::SOAK_FAILED, &sentences(&report.checks, Verdict::Fail)),
        Verdict::Pass | Verdict::Warn => return Part::Passed,
        verdict => {
            // A number that no process knows: the samples begin again, after the pause.
            step.record().soak_attempt += 1;
            setback(step, &sentences(&report.checks, verdict));
        }
    }
    Part::Ended
}

pub(super) fn setback(step: &mut Step<'_, '_>, message: &str) {
    let setbacks = step.record().setbacks + 1;
    if setbacks >= SETBACKS_MAX {
        let message = format!("no verdict in {setbacks} attempts, and only a pass ends the soak: {message}");
        return step.fail(reasons::SOAK_FAILED, &message);
    }
    let retry_at = step.pass.retry_time(setbacks);
    let name = step.stage.name.clone();
    step.pass.warn(
        reasons::ATTEMPT_WITHOUT_VERDICT,
        &name,
        format!("stage {name}, soaking: no verdict, tried again: {message}"),
    );
    let record = step.record();
    record.setbacks = setbacks;
    record.retry_at = Some(retry_at.clone());
    step.pass.look_again_at(retry_at.0);
}

/// When the watch was over: a load that had to be put on again may have taken longer than the soak.
fn later(begun: Option<MicroTime>, duration: Duration, load: Option<&LoadResult>) -> Option<MicroTime> {
    let length = jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX);
    let soaked = begun.map(|at| at.0.saturating_add(length).unwrap_or(jiff::Timestamp::MAX));
    let loaded = load.and_then(|load| load.finished_at.as_ref()).map(|at| at.0);
    soaked.max(loaded).map(MicroTime)
}

/// The time is over; the pods must be ready, too.
fn when_settled(step: &mut Step<'_, '_>, duration: Duration) {
    let unsettled: Vec<String> = step
        .seen
        .workloads
        .iter()
        .filter(|w| !w.exists || !w.pods.settled())
        .map(|w| format!("{} ({})", w.workload, w.pods))
        .collect();
    if unsettled.is_empty() {
        return finish(step);
    }
    let since = later(step.record().soak_started_at.clone(), duration, step.record().soak_load.as_ref());
    let message = format!("watched long enough, but waits for the pods of {}", unsettled.join(", "));
    if step.pass.elapsed(since.as_ref()) > step.stage.progress_deadline {
        return step.fail(reasons::SOAK_FAILED, &message);
    }
    step.say(message);
    step.pass.look_again(PODS_POLL);
}
