//! The load of a soak, beside its checks: the same gate as before the promotion, while the application is there, too.
//!
//! Decides when it begins, and what its verdict does to the soak. Once it has passed it is not put on again, unless the
//! spec changes. Never shortens a soak.

use super::{
    Step, gate,
    soak::{Part, setback},
    start_attempt,
};
use crate::{
    api::Verdict,
    engine::{
        model::{AttemptScope, Report},
        pass::{AttemptView, soak_load_passed},
        reasons,
    },
};

/// The soak's load, one step further. A soak without one has nothing against going on.
pub(super) fn watched(step: &mut Step<'_, '_>) -> Part {
    if step.stage.soak_load.is_none() || soak_load_passed(step.record()) {
        return Part::Passed;
    }
    let (number, digest) = (step.record().soak_load_attempt, step.record().digest.clone());
    match step.pass.attempt(AttemptScope::SoakLoad(step.stage.name.clone()), number, &digest) {
        AttemptView::Running => Part::Running,
        AttemptView::Lost => {
            start(step, digest);
            Part::Running
        }
        AttemptView::Finished(report) => judge(step, report.clone()),
    }
}

fn start(step: &mut Step<'_, '_>, digest: String) {
    let retry_at = step.record().retry_at.clone();
    if step.pass.is_before(retry_at.as_ref()) {
        return;
    }
    let (name, number) = (step.stage.name.clone(), step.record().soak_load_attempt + 1);
    if start_attempt(step, AttemptScope::SoakLoad(name.clone()), number, digest, None) {
        step.record().soak_load_attempt = number;
        step.pass.note(reasons::LOAD_STARTED, &name, format!("stage {name}, soaking: load begins"));
    }
}

fn judge(step: &mut Step<'_, '_>, report: Report) -> Part {
    let limits = step.stage.soak_load.unwrap_or_default();
    let load = gate::told(step, report.load.unwrap_or_default(), limits);
    let (verdict, message, name) = (load.verdict, load.message.clone(), step.stage.name.clone());
    let open = gate::without_verdict(&load);
    gate::count_try(step.record(), &load);
    step.record().soak_load = Some(load);
    match verdict {
        Verdict::Fail => {
            step.fail(reasons::SOAK_FAILED, &format!("load: {message}"));
            Part::Ended
        }
        Verdict::Pass | Verdict::Warn => {
            step.pass.note(reasons::LOAD_PASSED, &name, format!("stage {name}, soaking: {message}"));
            Part::Passed
        }
        Verdict::Inconclusive | Verdict::Error => {
            // A number that no process knows: the load begins again, after the pause.
            step.record().soak_load_attempt += 1;
            setback(step, &open);
            Part::Ended
        }
    }
}
