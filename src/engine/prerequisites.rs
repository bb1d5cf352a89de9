//! The prerequisites that have to be asked: an endpoint, a metric. All of them must be met before anything is preserved,
//! and not long before. An unmet one is waited for; it is never a failure, and never leads to a rollback.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    admission,
    model::{AttemptId, AttemptScope, Effect, Outlook, Report},
    pass::{ATTEMPT_POLL, AttemptView, Pass},
    reasons,
};
use crate::{
    api::{CheckResult, Phase, PrerequisitesRecord, Verdict},
    plan::Plan,
};

/// Pause before prerequisites that were not met are asked again.
const PAUSE: Duration = Duration::from_secs(15);
/// How long they count as met while nothing was begun.
const FRESH: Duration = Duration::from_secs(60);

pub(super) fn step(pass: &mut Pass<'_>, plan: &Plan) -> Option<Outlook> {
    if pass.next.legacy.is_some() {
        return None;
    }
    let record = pass.next.prerequisites.clone().unwrap_or_default();
    let Some(digest) = plan.prerequisites.as_deref() else {
        // No longer asked for; the numbers go on counting.
        pass.next.prerequisites = pass.next.prerequisites.take().map(|_| forgotten(&record));
        return None;
    };
    if record.digest != digest {
        return Some(start(pass, &forgotten(&record), digest));
    }
    if record.met_at.is_some() && pass.elapsed(record.met_at.as_ref()) < FRESH {
        return None;
    }
    if record.started_at.is_none() {
        return Some(start(pass, &record, digest));
    }
    match pass.attempt(AttemptScope::Prerequisites, record.attempt, digest) {
        AttemptView::Running => {
            pass.look_again(ATTEMPT_POLL);
            Some(told(&record))
        }
        AttemptView::Lost => Some(start(pass, &record, digest)),
        AttemptView::Finished(report) => judge(pass, &record, report),
    }
}

fn forgotten(record: &PrerequisitesRecord) -> PrerequisitesRecord {
    PrerequisitesRecord { attempt: record.attempt, ..PrerequisitesRecord::default() }
}

fn start(pass: &mut Pass<'_>, record: &PrerequisitesRecord, digest: &str) -> Outlook {
    if pass.is_before(record.retry_at.as_ref()) {
        return told(record);
    }
    let id = AttemptId { scope: AttemptScope::Prerequisites, number: record.attempt + 1 };
    if pass.take(Effect::StartAttempt { id: id.clone(), digest: digest.to_owned(), until: None }) {
        // The latest answers stay: until there are others, they are why nothing has begun.
        pass.next.prerequisites = Some(PrerequisitesRecord {
            attempt: id.number,
            digest: digest.to_owned(),
            started_at: Some(pass.now()),
            retry_at: None,
            met_at: None,
            checks: record.checks.clone(),
        });
    }
    told(record)
}

fn judge(pass: &mut Pass<'_>, record: &PrerequisitesRecord, report: &Report) -> Option<Outlook> {
    let next = PrerequisitesRecord { checks: report.checks.clone(), started_at: None, ..record.clone() };
    if unmet(&next).next().is_none() {
        // It may have been over long ago, and not been read: a pause, or a spec that was not accepted.
        let met_at = oldest(&next).unwrap_or_else(|| pass.now());
        if pass.elapsed(Some(&met_at)) >= FRESH {
            return Some(start(pass, &next, &record.digest));
        }
        pass.note(reasons::PREREQUISITES_MET, "", format!("{} prerequisites hold", next.checks.len()));
        pass.next.prerequisites = Some(PrerequisitesRecord { met_at: Some(met_at), ..next });
        return None;
    }
    let outlook = told(&next);
    if !names(&next).eq(names(record)) {
        pass.note(reasons::PREREQUISITE_UNMET, "", outlook.message.clone());
    }
    pass.next.prerequisites = Some(PrerequisitesRecord { retry_at: Some(pass.after(PAUSE)), ..next });
    pass.look_again(PAUSE);
    Some(outlook)
}

fn unmet(record: &PrerequisitesRecord) -> impl Iterator<Item = &CheckResult> {
    record.checks.iter().filter(|check| !matches!(check.verdict, Verdict::Pass | Verdict::Warn))
}

fn names(record: &PrerequisitesRecord) -> impl Iterator<Item = &str> {
    unmet(record).map(|check| check.name.as_str())
}

fn oldest(record: &PrerequisitesRecord) -> Option<MicroTime> {
    record.checks.iter().filter_map(|check| check.finished_at.clone()).min()
}

/// What is waited for, as far as it is known.
fn told(record: &PrerequisitesRecord) -> Outlook {
    let unmet: Vec<String> =
        unmet(record).map(|check| format!("prerequisite {}: {}", check.name, check.message)).collect();
    if unmet.is_empty() {
        return Pass::outlook(Phase::Pending, "nothing is touched; asks the prerequisites".to_owned());
    }
    admission::waiting(reasons::PREREQUISITE_UNMET, &unmet.join("; "), PAUSE)
}
