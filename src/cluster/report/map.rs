//! One ConfigMap of reports: made where there is none, changed only where it is this rollout's.
//!
//! Decides who may write it and how often a write is tried. The ConfigMap belongs to the rollout and goes with it. Never
//! takes longer than a few seconds: nothing waits for a report.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{
    api::core::v1::ConfigMap,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Resource, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{
    api::DatabaseRollout,
    cluster::{ClusterError, FIELD_MANAGER, Namespace, ROLLOUT_UID_LABEL, call, call_optional},
};

/// Longest that writing may take, all tries together.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Tries where another attempt of the same rollout writes at the same time.
const TRIES: usize = 5;

/// What becomes of keys: a new text, or `None` where the key goes. Those not named stay.
pub(super) type Change = BTreeMap<String, Option<String>>;

/// A ConfigMap of reports.
pub(super) struct ReportMap {
    pub name: String,
    namespace: Namespace,
    rollout_uid: String,
    owner: Option<OwnerReference>,
}

impl ReportMap {
    /// The one of that name, of this rollout.
    pub fn of(namespace: &Namespace, rollout: &DatabaseRollout, name: String) -> Self {
        Self {
            name,
            namespace: namespace.clone(),
            rollout_uid: rollout.uid().unwrap_or_default(),
            owner: rollout.owner_ref(&()),
        }
    }

    /// Changes it by what it holds; another writer in between makes it ask again.
    ///
    /// # Errors
    /// What the API server answered, that it is somebody else's, or that it took too long.
    pub async fn change(
        &self,
        change: impl Fn(&BTreeMap<String, String>) -> Change + Send + Sync,
    ) -> Result<(), ClusterError> {
        let attempted = format!("write ConfigMap/{}", self.name);
        let tried = tokio::time::timeout(WRITE_TIMEOUT, self.change_in_turn(&attempted, &change)).await;
        tried.unwrap_or_else(|_| Err(ClusterError::timeout(attempted, WRITE_TIMEOUT)))
    }

    async fn change_in_turn(
        &self,
        attempted: &str,
        change: &(impl Fn(&BTreeMap<String, String>) -> Change + Send + Sync),
    ) -> Result<(), ClusterError> {
        let mut tries = 1;
        loop {
            match self.try_to_change(attempted, change).await {
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

    async fn try_to_change(
        &self,
        attempted: &str,
        change: &(impl Fn(&BTreeMap<String, String>) -> Change + Send + Sync),
    ) -> Result<(), ClusterError> {
        let api = self.namespace.api::<ConfigMap>();
        let Some(found) = call_optional(attempted, api.get_opt(&self.name)).await? else {
            let texts = change(&BTreeMap::new()).into_iter();
            let map = self.config_map(texts.filter_map(|(key, text)| Some((key, text?))).collect());
            let params =
                PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
            return call(attempted, api.create(&params, &map)).await.map(|_| ());
        };
        if found.labels().get(ROLLOUT_UID_LABEL) != Some(&self.rollout_uid) {
            return Err(ClusterError::precondition(attempted, "it exists, and is not this rollout's"));
        }
        let data = change(&found.data.clone().unwrap_or_default());
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
