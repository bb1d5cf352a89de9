//! Versions, and whether the candidate takes writes.
//!
//! Decides on the numbers that the servers themselves give, never on their texts.

use super::{Facts, Finding, FindingKind, shown};
use crate::checks::Severity;

pub(super) const MAJOR_LOWER: FindingKind = FindingKind::fail(
    "major-version-lower",
    "a lower major version lacks features and syntax that the application may use, and dumps do not load into it",
);
pub(super) const MAJOR_HIGHER: FindingKind = FindingKind::info(
    "major-version-higher",
    "a higher major version is what most moves are for; its release notes list what behaves differently",
);
pub(super) const MINOR_LOWER: FindingKind = FindingKind::warn(
    "minor-version-lower",
    "a lower minor version lacks fixes of bugs and security holes that legacy has",
);
pub(super) const READ_ONLY: FindingKind =
    FindingKind::fail("read-only", "the application's writes would be refused");

pub(super) fn compare(legacy: &Facts, candidate: &Facts) -> Vec<Finding> {
    version(legacy, candidate).into_iter().chain(read_only(legacy, candidate)).collect()
}

fn version(legacy: &Facts, candidate: &Facts) -> Option<Finding> {
    let (ours, theirs) = (legacy.version_num, candidate.version_num);
    let kind = if theirs / 10_000 < ours / 10_000 {
        &MAJOR_LOWER
    } else if theirs / 10_000 > ours / 10_000 {
        &MAJOR_HIGHER
    } else if theirs < ours {
        &MINOR_LOWER
    } else {
        return None;
    };
    let (ours, theirs) = (shown(&legacy.version), shown(&candidate.version));
    let message = format!("the candidate is PostgreSQL {theirs}, legacy is {ours}");
    Some(Finding::new(kind, "version", message).with("legacy", ours).with("candidate", theirs))
}

fn read_only(legacy: &Facts, candidate: &Facts) -> Option<Finding> {
    let why = why_read_only(candidate)?;
    let finding = Finding::new(&READ_ONLY, "writes", format!("the candidate {why}"));
    // Readers of a standby may move to a standby; a writer could not have worked on legacy either.
    if why_read_only(legacy).is_some() {
        let message = format!("the candidate {why}; legacy takes no writes either");
        return Some(Finding { message, ..finding }.weighing(Severity::Warn));
    }
    Some(finding)
}

fn why_read_only(facts: &Facts) -> Option<&'static str> {
    let by_default = facts.settings.get("default_transaction_read_only");
    if facts.in_recovery {
        Some("is a standby: name the primary")
    } else if by_default.is_some_and(|setting| setting.value.as_deref() == Some("on")) {
        Some("has default_transaction_read_only = on for this role: turn it off")
    } else {
        None
    }
}
