//! What a check answers, and how it is recorded.

use std::time::Instant;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde::{Deserialize, Serialize};

use super::finding::{Finding, Findings, Severity};
use crate::api::{Check, CheckResult, CheckSeverity, Verdict};

/// The verdict and its evidence, before name and times are added.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Answer {
    pub(super) verdict: Verdict,
    pub(super) message: String,
    pub(super) measured: Option<String>,
    pub(super) expected: Option<String>,
    pub(super) baseline: Option<String>,
    pub(super) samples: i64,
    pub(super) findings: Findings,
}

impl Answer {
    pub(super) fn new(verdict: Verdict, message: impl Into<String>) -> Self {
        Self { verdict, message: message.into(), ..Self::default() }
    }

    /// The verdict is that of the heaviest finding; `compared` says in a few words what was looked at, such as
    /// `12 tables`, and is the message where nothing was found.
    pub(super) fn from_findings(findings: Findings, compared: &str) -> Self {
        let verdict = match (findings.fails, findings.warnings) {
            (0, 0) => Verdict::Pass,
            (0, _) => Verdict::Warn,
            _ => Verdict::Fail,
        };
        let heaviest = findings.kept().iter().filter(|finding| finding.severity != Severity::Info);
        let told: Vec<String> = heaviest
            .take(TOLD_MAX)
            .map(|finding| format!("{}: {}", finding.object, finding.message))
            .collect();
        let weighty = findings.fails + findings.warnings;
        let message = match weighty {
            0 => format!("{compared}: no difference that matters"),
            1 => told.join("; "),
            _ if weighty > TOLD_MAX => format!("{weighty} findings, the first: {}", told.join("; ")),
            _ => format!("{weighty} findings: {}", told.join("; ")),
        };
        let measured = format!(
            "{compared}: {} fail, {} warn, {} noted",
            findings.fails, findings.warnings, findings.notes
        );
        Self { verdict, message, measured: Some(measured), findings, ..Self::default() }
    }
}

/// Findings that the message tells; the report has all that are kept.
const TOLD_MAX: usize = 3;

/// The whole answer to a check.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default)]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    /// Name of the check.
    pub name: String,
    /// Its kind, as the spec has it.
    pub check: String,
    /// The verdict.
    pub verdict: Verdict,
    /// In a sentence.
    pub message: String,
    /// What was measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub measured: Option<String>,
    /// What was expected.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected: Option<String>,
    /// What legacy measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub baseline: Option<String>,
    /// Number of samples behind the measurement.
    pub samples: i64,
    /// What was found, the heaviest first; at most [`super::FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// How many findings there were, kept or not.
    pub findings_total: i64,
    /// When it was over.
    pub finished_at: Option<MicroTime>,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
}

impl CheckReport {
    pub(super) fn new(check: &Check, answer: Answer, started: Instant) -> Self {
        let kind = check.question().map_or("", |question| question.kind());
        Self::record(&check.name, kind, weighed(check.severity, answer), started)
    }

    pub(super) fn record(name: &str, kind: &str, answer: Answer, started: Instant) -> Self {
        Self {
            name: name.to_owned(),
            check: kind.to_owned(),
            verdict: answer.verdict,
            message: answer.message,
            measured: answer.measured,
            expected: answer.expected,
            baseline: answer.baseline,
            samples: answer.samples,
            findings_total: i64::try_from(answer.findings.total()).unwrap_or(i64::MAX),
            findings: answer.findings.into_kept(),
            finished_at: Some(MicroTime(jiff::Timestamp::now())),
            duration_ms: i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// What of it goes into the status.
    #[must_use]
    pub fn result(&self) -> CheckResult {
        CheckResult {
            name: self.name.clone(),
            verdict: self.verdict,
            message: self.message.clone(),
            measured: self.measured.clone(),
            expected: self.expected.clone(),
            baseline: self.baseline.clone(),
            samples: self.samples,
            findings: self.findings_total,
            report: None,
            finished_at: self.finished_at.clone(),
            duration_ms: self.duration_ms,
        }
    }
}

/// A check that is not enforced says what it found, and keeps nothing from being promoted.
fn weighed(severity: CheckSeverity, answer: Answer) -> Answer {
    if severity == CheckSeverity::Enforce || matches!(answer.verdict, Verdict::Pass | Verdict::Warn) {
        return answer;
    }
    let message = format!("not enforced ({:?}): {}", answer.verdict, answer.message);
    Answer { verdict: Verdict::Warn, message, ..answer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_is_not_enforced_warns_whatever_it_finds() {
        for verdict in [Verdict::Fail, Verdict::Error, Verdict::Inconclusive] {
            let answer = weighed(CheckSeverity::Warn, Answer::new(verdict, "it is so"));
            assert_eq!(answer.verdict, Verdict::Warn);
            assert!(answer.message.ends_with("it is so"), "{}", answer.message);
            assert_eq!(weighed(CheckSeverity::Enforce, Answer::new(verdict, "")).verdict, verdict);
        }
        assert_eq!(weighed(CheckSeverity::Warn, Answer::new(Verdict::Pass, "")).verdict, Verdict::Pass);
    }
}
