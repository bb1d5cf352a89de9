//! The whole reports of a rollout's checks, in one ConfigMap: what a status has no room for. Those of its loads are in
//! `load`; `map` writes either.
//!
//! Decides how much of each check's is kept, so that all together fit into a ConfigMap: the reports that were not written
//! yet keep a reserve, the rest goes to whoever comes first, and findings are left out from the lightest on
//! (`findingsTotal` tells how many there were).

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;

mod load;
mod map;

use super::{ClusterError, Namespace};
use crate::{api::DatabaseRollout, checks::CheckReport};
pub use load::{LoadPlace, loads_of, read_load};
use map::ReportMap;

/// Most bytes of all reports together; the API server takes a mebibyte.
const TOTAL_MAX_BYTES: usize = 900 << 10;
/// What each report that is still to come can count on, where there are not too many of them.
const RESERVE_BYTES: usize = 4 << 10;
/// Where the reports of a rollout are written.
pub struct Reports {
    namespace: Namespace,
    rollout: DatabaseRollout,
    /// Those of the checks.
    checks: ReportMap,
    /// The keys of all reports of checks that the spec asks for; others are of checks that are gone.
    wanted: BTreeSet<String>,
}

impl Reports {
    /// Those of this rollout.
    #[must_use]
    pub fn of(namespace: &Namespace, rollout: &DatabaseRollout) -> Self {
        Self {
            namespace: namespace.clone(),
            rollout: rollout.clone(),
            checks: ReportMap::of(namespace, rollout, format!("{}-checks", rollout.name_any())),
            wanted: wanted_keys(rollout),
        }
    }

    /// The key of a stage's check.
    #[must_use]
    pub fn key_of_check(stage: &str, check: &str) -> String {
        format!("{stage}.{check}.json")
    }

    /// The key of a check of a stage's soak.
    #[must_use]
    pub fn key_of_soak(stage: &str, check: &str) -> String {
        format!("soak.{stage}.{check}.json")
    }

    /// The key of a stage's check in the final validation.
    #[must_use]
    pub fn key_of_final(stage: &str, check: &str) -> String {
        format!("final.{stage}.{check}.json")
    }

    /// Where the report of that key is, for people.
    #[must_use]
    pub fn location(&self, key: &str) -> String {
        format!("{}/{key}", self.checks.name)
    }

    /// Writes reports under their keys, in place of earlier ones; those of other keys stay.
    ///
    /// # Errors
    /// What the API server answered, or that it took too long.
    pub async fn write(&self, reports: &[(String, CheckReport)]) -> Result<(), ClusterError> {
        if reports.is_empty() {
            return Ok(());
        }
        let change = |held: &BTreeMap<String, String>| {
            let gone = held.keys().filter(|key| !self.wanted.contains(*key)).map(|key| (key.clone(), None));
            let written = share(&self.wanted, held, reports).into_iter();
            gone.chain(written.map(|(key, text)| (key, Some(text)))).collect()
        };
        self.checks.change(change).await
    }
}

fn wanted_keys(rollout: &DatabaseRollout) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for stage in &rollout.spec.stages {
        keys.insert(Reports::key_of_check(&stage.name, "way-back"));
        for check in &stage.checks {
            keys.insert(Reports::key_of_check(&stage.name, &check.name));
            keys.insert(Reports::key_of_final(&stage.name, &check.name));
        }
        for check in stage.soak.iter().flat_map(|soak| &soak.checks) {
            keys.insert(Reports::key_of_soak(&stage.name, &check.name));
        }
    }
    keys
}

/// The texts of `reports`, so that they fit beside what is held under other keys and what is still to come.
fn share(
    wanted: &BTreeSet<String>,
    held: &BTreeMap<String, String>,
    reports: &[(String, CheckReport)],
) -> BTreeMap<String, String> {
    let reserve = RESERVE_BYTES.min(TOTAL_MAX_BYTES / wanted.len().max(1));
    let is_written_now = |key: &str| reports.iter().any(|(own, _)| own == key);
    let taken: usize = wanted
        .iter()
        .filter(|key| !is_written_now(key))
        .map(|key| held.get(key).map_or(reserve, |text| key.len() + text.len()))
        .sum();
    let mut free = TOTAL_MAX_BYTES.saturating_sub(taken);
    let mut texts = BTreeMap::new();
    for (index, (key, report)) in reports.iter().enumerate() {
        let later = reserve * (reports.len() - index - 1);
        let text = encode(report, free.saturating_sub(later).saturating_sub(key.len()).max(reserve / 2));
        free = free.saturating_sub(key.len() + text.len());
        texts.insert(key.clone(), text);
    }
    texts
}

/// A report as JSON of at most `most` bytes: without the lightest findings if need be, and in the end without its words.
fn encode(report: &CheckReport, most: usize) -> String {
    let without_findings = CheckReport { findings: Vec::new(), ..report.clone() };
    let mut length = to_json(&without_findings).len();
    if length > most {
        let bare = CheckReport {
            message: "there was no room for the report".to_owned(),
            measured: None,
            expected: None,
            baseline: None,
            ..without_findings
        };
        return to_json(&bare);
    }
    let fits = |finding: &&crate::checks::Finding| {
        length += to_json(finding).len() + 1;
        length <= most
    };
    let findings = report.findings.iter().take_while(fits).cloned().collect();
    to_json(&CheckReport { findings, ..without_findings })
}

fn to_json(value: &impl serde::Serialize) -> String {
    // Plain structs with string keys: writing them to a String cannot fail.
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
