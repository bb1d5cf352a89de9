//! Before anything is changed: the copy of the legacy configuration, and the measurement of legacy.

use super::{
    admission, evidence,
    model::{AttemptId, AttemptScope, CopyState, Effect, Outlook},
    pass::{ATTEMPT_POLL, AttemptView, Pass, SETBACKS_MAX, WORLD_POLL, copy_name},
    reasons,
};
use crate::{
    api::{BaselineRecord, OnFailure, Phase, PreservedLegacy, Verdict},
    plan::{Plan, PlannedBaseline},
};

/// Copies the legacy configuration, and takes note of the copy once it was seen intact.
pub(super) fn preserve(pass: &mut Pass<'_>, plan: &Plan) -> Option<Outlook> {
    if pass.next.legacy.is_some() {
        return confirm_preserved(pass, plan);
    }
    let secret_name = copy_name(pass.input.name, pass.next.run);
    match &pass.input.observed.copy {
        CopyState::Absent => {
            pass.take(Effect::Preserve { secret_name: secret_name.clone() });
            Some(Pass::outlook(
                Phase::Preserving,
                format!("copies the legacy configuration to Secret/{secret_name}"),
            ))
        }
        CopyState::Foreign(what) | CopyState::Damaged(what) => {
            pass.look_again(WORLD_POLL);
            Some(Outlook {
                stalled: Some("ForeignCopy"),
                ..Pass::outlook(
                    Phase::Pending,
                    format!(
                        "nothing is touched; Secret/{secret_name}, where the legacy configuration would be preserved, exists already: {what}. Look what it holds, then delete it"
                    ),
                )
            })
        }
        CopyState::Intact { digest, footprints } => {
            let keys: usize = footprints.values().flat_map(|f| f.bindings.values()).map(Vec::len).sum();
            pass.next.legacy = Some(PreservedLegacy {
                secret_name: secret_name.clone(),
                digest: digest.clone(),
                keys: i64::try_from(keys).unwrap_or(i64::MAX),
                taken_at: Some(pass.now()),
            });
            pass.note(
                reasons::LEGACY_PRESERVED,
                "",
                format!("{keys} keys of the legacy configuration preserved in Secret/{secret_name}, digest {digest}"),
            );
            confirm_preserved(pass, plan)
        }
    }
}

/// The copy must be intact, and cover the plan, before anything goes on.
fn confirm_preserved(pass: &mut Pass<'_>, plan: &Plan) -> Option<Outlook> {
    if let Some(damage) = copy_damage(pass) {
        pass.look_again(WORLD_POLL);
        return Some(Outlook {
            stalled: Some(reasons::LEGACY_COPY_DAMAGED),
            ..Pass::outlook(Phase::Progressing, format!("held, because there is no safe way back: {damage}"))
        });
    }
    if !admission::copy_covers(plan, &pass.input.observed.copy) && !pass.touched() {
        // The spec gained keys before anything was written: preserve anew, under a new number.
        admission::begin_run(pass);
        pass.look_again(std::time::Duration::ZERO);
        return Some(Pass::outlook(
            Phase::Preserving,
            "the plan gained keys: copies the legacy configuration anew".to_owned(),
        ));
    }
    None
}

/// What is wrong with the recorded copy, if anything.
pub(super) fn copy_damage(pass: &Pass<'_>) -> Option<String> {
    let legacy = pass.next.legacy.as_ref()?;
    let name = &legacy.secret_name;
    match &pass.input.observed.copy {
        CopyState::Intact { digest, .. } if *digest == legacy.digest => None,
        CopyState::Intact { .. } => {
            Some(format!("Secret/{name} does not match the digest recorded when it was taken"))
        }
        CopyState::Absent => {
            Some(format!("Secret/{name}, the preserved legacy configuration, does not exist any more"))
        }
        CopyState::Foreign(what) | CopyState::Damaged(what) => Some(format!("Secret/{name}: {what}")),
    }
}

/// Measures legacy, before the first promotion and never after it.
pub(super) fn measure(pass: &mut Pass<'_>, plan: &Plan) -> Option<Outlook> {
    let Some(planned) = plan.baseline.as_ref() else {
        // No longer asked for: a measurement in progress is given up.
        if let Some(record) = pass.next.baseline.as_mut().filter(|record| record.result.is_none()) {
            record.started_at = None;
        }
        return None;
    };
    let record = pass.next.baseline.clone().unwrap_or_default();
    let measured = record.result.is_some() && record.digest == planned.digest;
    if measured || pass.touched() {
        return None;
    }
    let setbacks = record.setbacks;
    pass.next.baseline = Some(record.clone());
    if record.digest != planned.digest || record.started_at.is_none() {
        return Some(start(pass, &record, planned));
    }
    match pass.attempt(AttemptScope::Baseline, record.attempt, &planned.digest) {
        AttemptView::Running => {
            pass.look_again(ATTEMPT_POLL);
            Some(running(pass, planned))
        }
        AttemptView::Lost => Some(start(pass, &record, planned)),
        AttemptView::Finished(report) => {
            let result = report.load.clone().unwrap_or_default();
            if result.verdict == Verdict::Pass {
                pass.note(reasons::BASELINE_CAPTURED, "", format!("legacy measured: {}", result.message));
                pass.next.baseline = Some(BaselineRecord {
                    result: Some(result),
                    setbacks: 0,
                    message: String::new(),
                    ..record
                });
                for (stage, message) in evidence::limits_below_baseline(plan, &pass.next) {
                    pass.warn(reasons::LIMIT_BELOW_BASELINE, &stage, message);
                }
                return None;
            }
            Some(setback(pass, plan, &record, setbacks + 1, &result.message))
        }
    }
}

fn start(pass: &mut Pass<'_>, record: &BaselineRecord, planned: &PlannedBaseline) -> Outlook {
    if pass.is_before(record.retry_at.as_ref()) {
        return Pass::outlook(
            Phase::Baselining,
            format!("legacy could not be measured and is tried again soon: {}", record.message),
        );
    }
    let id = AttemptId { scope: AttemptScope::Baseline, number: record.attempt + 1 };
    if pass.take(Effect::StartAttempt { id: id.clone(), digest: planned.digest.clone(), until: None }) {
        pass.next.baseline = Some(BaselineRecord {
            attempt: id.number,
            digest: planned.digest.clone(),
            setbacks: record.setbacks,
            started_at: Some(pass.now()),
            ..BaselineRecord::default()
        });
    }
    running(pass, planned)
}

fn running(_pass: &Pass<'_>, planned: &PlannedBaseline) -> Outlook {
    Pass::outlook(Phase::Baselining, format!("measures legacy for {} s", planned.duration.as_secs()))
}

/// Legacy could not be measured: again after a pause, a few times, then held. Nothing was touched, so there is nothing
/// to roll back.
fn setback(
    pass: &mut Pass<'_>,
    plan: &Plan,
    record: &BaselineRecord,
    setbacks: i64,
    message: &str,
) -> Outlook {
    let retry_at = pass.retry_time(setbacks);
    pass.next.baseline = Some(BaselineRecord {
        setbacks,
        started_at: None,
        retry_at: Some(retry_at.clone()),
        message: message.to_owned(),
        ..record.clone()
    });
    if setbacks >= SETBACKS_MAX {
        let message = format!("legacy could not be measured in {setbacks} attempts: {message}");
        admission::fail(pass, plan, "", OnFailure::Hold, reasons::BASELINE_FAILED, &message);
    } else {
        pass.warn(reasons::ATTEMPT_WITHOUT_VERDICT, "", format!("legacy could not be measured: {message}"));
    }
    pass.look_again_at(retry_at.0);
    Pass::outlook(Phase::Baselining, format!("legacy could not be measured: {message}"))
}
