//! After the last stage: all checks once more, then the rollback window, then the copy is deleted.

use super::{
    admission,
    evidence::{self, beside_baseline},
    model::{AttemptId, AttemptScope, CopyState, Effect, Outlook},
    pass::{ATTEMPT_POLL, AttemptView, Pass, SETBACKS_MAX, WORLD_POLL, copy_name, sentences, worst},
    reasons, stage,
};
use crate::{
    api::{ActiveConfig, CheckResult, FinalValidation, LoadResult, Phase, Verdict},
    plan::Plan,
};

pub(super) fn step(pass: &mut Pass<'_>, plan: &Plan) -> Outlook {
    if pass.next.completed_at.is_some() {
        return completed(pass, plan);
    }
    let record = pass.next.final_validation.clone().unwrap_or_default();
    if !plan.has_final_validation() {
        pass.next.final_validation =
            Some(FinalValidation { digest: plan.fingerprint.clone(), passed: true, ..record });
        return complete(pass, plan);
    }
    if record.digest != plan.fingerprint {
        return start(pass, plan, &record);
    }
    match pass.attempt(AttemptScope::Final, record.attempt, &plan.fingerprint) {
        AttemptView::Running => pass.look_again(ATTEMPT_POLL),
        AttemptView::Lost => return start(pass, plan, &record),
        AttemptView::Finished(report) => {
            let checks = report.checks.clone();
            let load = report.load.clone().filter(|_| plan.has_final_load());
            let load = load.map(|load| beside_baseline(load, evidence::baseline(plan, &pass.next)));
            let verdict = load.iter().map(|load| load.verdict).fold(worst(&checks), Verdict::max);
            let passed = matches!(verdict, Verdict::Pass | Verdict::Warn);
            let told = told(&checks, load.as_ref(), verdict);
            let slower = load.clone().filter(|load| load.verdict == Verdict::Warn);
            pass.next.final_validation = Some(FinalValidation { passed, checks, load, ..record.clone() });
            if passed {
                if let Some(load) = slower {
                    pass.warn(reasons::SLOWER_THAN_BASELINE, "", load.message);
                }
                return complete(pass, plan);
            }
            return not_passed(pass, plan, &record, verdict, &told);
        }
    }
    validating(pass)
}

/// What has that verdict, in a sentence each.
fn told(checks: &[CheckResult], load: Option<&LoadResult>, verdict: Verdict) -> String {
    let checks = Some(sentences(checks, verdict)).filter(|told| !told.is_empty());
    let load = load.filter(|load| load.verdict == verdict);
    let load = load.map(|load| format!("the candidate under the baseline's load: {}", load.message));
    checks.into_iter().chain(load).collect::<Vec<_>>().join("; ")
}

fn validating(_pass: &Pass<'_>) -> Outlook {
    Pass::outlook(Phase::Validating, "all stages are done; all checks once more".to_owned())
}

fn start(pass: &mut Pass<'_>, plan: &Plan, record: &FinalValidation) -> Outlook {
    if pass.is_before(record.retry_at.as_ref()) {
        return validating(pass);
    }
    let id = AttemptId { scope: AttemptScope::Final, number: record.attempt + 1 };
    if pass.take(Effect::StartAttempt { id: id.clone(), digest: plan.fingerprint.clone(), until: None }) {
        pass.note(reasons::FINAL_VALIDATION_STARTED, "", "all stages are done; all checks once more");
        pass.next.final_validation = Some(FinalValidation {
            attempt: id.number,
            digest: plan.fingerprint.clone(),
            setbacks: if record.digest.is_empty() { 0 } else { record.setbacks },
            ..FinalValidation::default()
        });
    }
    validating(pass)
}

/// A failure follows the policy of the last stage: it is the one that made the move complete.
fn not_passed(
    pass: &mut Pass<'_>,
    plan: &Plan,
    record: &FinalValidation,
    verdict: Verdict,
    told: &str,
) -> Outlook {
    let setbacks = record.setbacks + 1;
    if verdict != Verdict::Fail && setbacks < SETBACKS_MAX {
        let retry_at = pass.retry_time(setbacks);
        pass.warn(
            reasons::ATTEMPT_WITHOUT_VERDICT,
            "",
            format!("final validation: no verdict, tried again: {told}"),
        );
        pass.look_again_at(retry_at.0);
        let unknown_to_all = record.attempt + 1;
        pass.next.final_validation = Some(FinalValidation {
            setbacks,
            retry_at: Some(retry_at),
            attempt: unknown_to_all,
            ..record.clone()
        });
        return validating(pass);
    }
    let policy = plan.stages.last().map(|stage| stage.on_failure).unwrap_or_default();
    admission::fail(pass, plan, "", policy, reasons::FINAL_VALIDATION_FAILED, told);
    pass.look_again(std::time::Duration::ZERO);
    validating(pass)
}

fn complete(pass: &mut Pass<'_>, plan: &Plan) -> Outlook {
    pass.next.completed_at = Some(pass.now());
    let stages = plan.stages.len();
    pass.note(reasons::COMPLETED, "", format!("all {stages} stages run on the candidate"));
    completed(pass, plan)
}

/// Completed, and within the rollback window.
fn completed(pass: &mut Pass<'_>, plan: &Plan) -> Outlook {
    if let Some(conflict) = stage::ownership_conflict(pass, plan) {
        pass.look_again(WORLD_POLL);
        return stage::conflict_outlook(Phase::Completed, &conflict);
    }
    let since = pass.next.completed_at.clone();
    pass.look_again(plan.rollback_window.saturating_sub(pass.elapsed(since.as_ref())));
    let window = jiff::SignedDuration::try_from(plan.rollback_window).unwrap_or(jiff::SignedDuration::MAX);
    let until = since.map(|since| since.0.saturating_add(window).unwrap_or(jiff::Timestamp::MAX));
    let until = until.map(|time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default();
    Pass::outlook(
        Phase::Completed,
        format!("the application runs on the candidate; activeConfig: Legacy puts legacy back until {until}"),
    )
}

/// Deletes the copies once the rollback window is over. From then on there is no way back, and the status says so.
pub(super) fn after_window(pass: &mut Pass<'_>, plan: &Plan) -> Option<Outlook> {
    let since = pass.next.completed_at.clone()?;
    if pass.elapsed(Some(&since)) < plan.rollback_window {
        return None;
    }
    // Recorded before anything is deleted: whoever comes back to it knows that the way back is gone.
    pass.next.released_at = Some(pass.now());
    pass.note(
        reasons::LEGACY_RELEASED,
        "",
        "the rollback window is over; the preserved legacy configuration is deleted",
    );
    Some(released(pass))
}

/// The end: nothing is looked at or changed any more.
pub(super) fn released(pass: &mut Pass<'_>) -> Outlook {
    if matches!(pass.input.observed.copy, CopyState::Intact { .. } | CopyState::Damaged(_)) {
        let secret_names = (1..=pass.next.run).map(|run| copy_name(pass.input.name, run)).collect();
        pass.take(Effect::Release { secret_names });
    }
    if pass.input.command.active == ActiveConfig::Legacy {
        pass.look_again(WORLD_POLL * 60);
        return Outlook {
            stalled: Some(reasons::ROLLBACK_WINDOW_OVER),
            ..Pass::outlook(
                Phase::Completed,
                "cannot roll back: the rollback window is over and the preserved legacy configuration was deleted; to go back, create a DatabaseRollout from the candidate to legacy"
                    .to_owned(),
            )
        };
    }
    let outlook = Pass::outlook(
        Phase::Completed,
        "finished: the application runs on the candidate, and the rollback window is over".to_owned(),
    );
    let validated = pass.next.final_validation.as_ref().map(|validation| validation.digest.as_str());
    if pass.input.plan.is_ok_and(|plan| validated == Some(plan.fingerprint.as_str())) {
        return outlook;
    }
    let why = "it is finished; for another move, create another DatabaseRollout".to_owned();
    Outlook { rejected: Some(("Finished".to_owned(), why)), ..outlook }
}
