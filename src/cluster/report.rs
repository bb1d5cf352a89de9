//! The whole reports of a rollout's checks, in one ConfigMap: what a status has no room for.
//!
//! Decides how much of each is kept, so that all together fit into a ConfigMap: the reports that were not written yet
//! keep a reserve, the rest goes to whoever comes first, and findings are left out from the lightest on (`findingsTotal`
//! tells how many there were). The ConfigMap belongs to the rollout and goes with it. Never writes into one that is
//! somebody else's, and never takes longer than a few seconds: nothing waits for a report.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use k8s_openapi::{
    api::core::v1::ConfigMap,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Resource, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::{ClusterError, FIELD_MANAGER, Namespace, ROLLOUT_UID_LABEL, call, call_optional};
use crate::{api::DatabaseRollout, checks::CheckReport};

/// Most bytes of all reports together; the API server takes a mebibyte.
const TOTAL_MAX_BYTES: usize = 900 << 10;
/// What each report that is still to come can count on, where there are not too many of them.
const RESERVE_BYTES: usize = 4 << 10;
/// Longest that writing may take, all tries together.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Tries where another attempt of the same rollout writes at the same time.
const TRIES: usize = 5;

/// Where the reports of a rollout are written.
pub struct Reports {
    namespace: Namespace,
    name: String,
    rollout_uid: String,
    owner: Option<OwnerReference>,
    /// The keys of all reports that the spec asks for; others are of checks that are gone.
    wanted: BTreeSet<String>,
}

impl Reports {
    /// Those of this rollout.
    #[must_use]
    pub fn of(namespace: &Namespace, rollout: &DatabaseRollout) -> Self {
        Self {
            namespace: namespace.clone(),
            name: format!("{}-checks", rollout.name_any()),
            rollout_uid: rollout.uid().unwrap_or_default(),
            owner: rollout.owner_ref(&()),
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
        format!("{}/{key}", self.name)
    }

    /// Writes reports under their keys, in place of earlier ones; those of other keys stay.
    ///
    /// # Errors
    /// What the API server answered, or that it took too long.
    pub async fn write(&self, reports: &[(String, CheckReport)]) -> Result<(), ClusterError> {
        if reports.is_empty() {
            return Ok(());
        }
        let attempted = format!("write ConfigMap/{}", self.name);
        let tried = tokio::time::timeout(WRITE_TIMEOUT, self.write_in_turn(&attempted, reports)).await;
        tried.unwrap_or_else(|_| Err(ClusterError::timeout(attempted)))
    }

    async fn write_in_turn(
        &self,
        attempted: &str,
        reports: &[(String, CheckReport)],
    ) -> Result<(), ClusterError> {
        let mut tries = 1;
        loop {
            match self.try_write(attempted, reports).await {
                // Stages side by side write into the same ConfigMap.
                Err(error)
                    if tries < TRIES && ["Conflict", "AlreadyExists"].contains(&error.reason.as_str()) =>
                {
                    tries += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_write(
        &self,
        attempted: &str,
        reports: &[(String, CheckReport)],
    ) -> Result<(), ClusterError> {
        let api = self.namespace.api::<ConfigMap>();
        let Some(found) = call_optional(attempted, api.get_opt(&self.name)).await? else {
            let map = self.config_map(share(&self.wanted, &BTreeMap::new(), reports));
            let params =
                PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
            return call(attempted, api.create(&params, &map)).await.map(|_| ());
        };
        if found.labels().get(ROLLOUT_UID_LABEL) != Some(&self.rollout_uid) {
            return Err(ClusterError::precondition(attempted, "it exists, and is not this rollout's"));
        }
        let held = found.data.clone().unwrap_or_default();
        let data: BTreeMap<String, Option<String>> = held
            .keys()
            .filter(|key| !self.wanted.contains(*key))
            .map(|key| (key.clone(), None))
            .chain(share(&self.wanted, &held, reports).into_iter().map(|(key, text)| (key, Some(text))))
            .collect();
        // What is left out stays, and the resourceVersion sees to it that what was counted is what is there.
        let patch = json!({"metadata": {"resourceVersion": found.resource_version()}, "data": data});
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        call(attempted, api.patch(&self.name, &params, &Patch::Merge(&patch))).await.map(|_| ())
    }

    fn config_map(&self, data: BTreeMap<String, String>) -> ConfigMap {
        let labels = BTreeMap::from([
            ("app.kubernetes.io/managed-by".to_owned(), FIELD_MANAGER.to_owned()),
            (ROLLOUT_UID_LABEL.to_owned(), self.rollout_uid.clone()),
        ]);
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                labels: Some(labels),
                owner_references: self.owner.clone().map(|owner| vec![owner]),
                ..ObjectMeta::default()
            },
            data: Some(data),
            ..ConfigMap::default()
        }
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
