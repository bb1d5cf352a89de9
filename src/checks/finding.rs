//! Findings: what a check found, each with its weight and its reason.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::AcceptedFinding;

/// Most findings of one check that are kept; the others are counted.
pub const FINDINGS_MAX: usize = 1000;

/// What a finding weighs.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
pub enum Severity {
    /// The application would notice: the check fails.
    Fail,
    /// It may matter: worth a look before going on.
    Warn,
    /// For the record.
    Info,
}

/// A kind of finding: everything about it that is the same each time.
#[derive(Debug, PartialEq, Eq)]
pub struct FindingKind {
    /// Its name in reports and in `accept`.
    pub name: &'static str,
    /// What it weighs.
    pub severity: Severity,
    /// Why it weighs that.
    pub reason: &'static str,
}

impl FindingKind {
    pub(super) const fn fail(name: &'static str, reason: &'static str) -> Self {
        Self { name, severity: Severity::Fail, reason }
    }

    pub(super) const fn warn(name: &'static str, reason: &'static str) -> Self {
        Self { name, severity: Severity::Warn, reason }
    }

    pub(super) const fn info(name: &'static str, reason: &'static str) -> Self {
        Self { name, severity: Severity::Info, reason }
    }
}

/// One thing that a check found.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
pub struct Finding {
    /// What it weighs.
    pub severity: Severity,
    /// The name of its [`FindingKind`].
    pub kind: String,
    /// What it is about, schema-qualified where it is an object of a database.
    pub object: String,
    /// In a sentence, legacy against candidate.
    pub message: String,
    /// The figures and names behind it. Never a value of a table, but for the keys that `data` names rows by.
    #[serde(skip_serializing_if = "Map::is_empty", default)]
    pub evidence: Map<String, Value>,
}

impl Finding {
    pub(super) fn new(kind: &FindingKind, object: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: kind.severity,
            kind: kind.name.to_owned(),
            object: object.into(),
            message: message.into(),
            evidence: Map::new(),
        }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.evidence.insert(name.to_owned(), value.into());
        self
    }

    /// Overrides what its kind weighs, where the circumstances make it lighter or heavier.
    pub(super) fn weighing(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }
}

/// The findings of a check: the heaviest of them, and how many there were.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Findings {
    kept: Vec<Finding>,
    pub(super) fails: usize,
    pub(super) warnings: usize,
    pub(super) notes: usize,
}

impl Findings {
    /// What `found` comes to, once those that the spec accepts have lost their weight.
    pub(super) fn judge(found: impl IntoIterator<Item = Finding>, accepted: &[AcceptedFinding]) -> Self {
        let mut findings = Self::default();
        for finding in found {
            findings.add(finding, accepted);
        }
        findings.shrink(FINDINGS_MAX);
        findings
    }

    /// One more; of very many, only the heaviest are kept.
    pub(super) fn add(&mut self, mut finding: Finding, accepted: &[AcceptedFinding]) {
        if finding.severity != Severity::Info && accepted.iter().any(|rule| accepts(rule, &finding)) {
            finding = finding.weighing(Severity::Info);
            finding.message = format!("accepted by the spec: {}", finding.message);
        }
        match finding.severity {
            Severity::Fail => self.fails += 1,
            Severity::Warn => self.warnings += 1,
            Severity::Info => self.notes += 1,
        }
        self.kept.push(finding);
        if self.kept.len() >= 2 * FINDINGS_MAX {
            self.shrink(FINDINGS_MAX);
        }
    }

    pub(super) fn shrink(&mut self, most: usize) {
        self.kept.sort_by(|a, b| (a.severity, &a.object, &a.kind).cmp(&(b.severity, &b.object, &b.kind)));
        self.kept.truncate(most);
    }

    /// All that were found, kept or not.
    pub(super) fn total(&self) -> usize {
        self.fails + self.warnings + self.notes
    }

    /// The heaviest first.
    pub(super) fn kept(&self) -> &[Finding] {
        &self.kept
    }

    pub(super) fn into_kept(self) -> Vec<Finding> {
        self.kept
    }
}

fn accepts(rule: &AcceptedFinding, finding: &Finding) -> bool {
    rule.kind == finding.kind && rule.object.as_ref().is_none_or(|pattern| matches(pattern, &finding.object))
}

/// Whether `text` is what `pattern` describes; a `*` in it stands for any characters, also none.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or("");
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST: FindingKind = FindingKind::fail("lost", "it is gone");

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, text, expected) in [
            ("public.orders", "public.orders", true),
            ("public.orders", "public.orders2", false),
            ("public.*", "public.orders", true),
            ("*.orders", "public.orders", true),
            ("*", "", true),
            ("p*c.*s", "public.orders", true),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn what_the_spec_accepts_loses_its_weight_and_stays_in_the_report() {
        let rule = AcceptedFinding { kind: "lost".to_owned(), object: Some("a.*".to_owned()) };
        let found = ["a.x", "b.x"].map(|object| Finding::new(&LOST, object, "it is gone"));
        let findings = Findings::judge(found, &[rule]);
        assert_eq!((findings.fails, findings.notes), (1, 1));
        let kept: Vec<_> = findings.kept().iter().map(|f| (f.severity, f.message.as_str())).collect();
        assert_eq!(
            kept,
            [(Severity::Fail, "it is gone"), (Severity::Info, "accepted by the spec: it is gone")]
        );
    }

    #[test]
    fn the_heaviest_findings_are_kept_and_all_are_counted() {
        let light = (0..5 * FINDINGS_MAX)
            .map(|i| Finding::new(&LOST, format!("{i:09}"), "").weighing(Severity::Info));
        let findings = Findings::judge(light.chain([Finding::new(&LOST, "z", "")]), &[]);
        assert_eq!(findings.total(), 5 * FINDINGS_MAX + 1);
        assert_eq!(findings.kept().len(), FINDINGS_MAX);
        assert_eq!(findings.kept()[0].object, "z");
    }
}
