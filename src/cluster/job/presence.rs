//! That a Job is there for exactly as long as its attempt: the Jobs of this process, and their end.
//!
//! An attempt ends by being dropped, where nothing can be awaited, so the deletion is a task of its own that outlives it;
//! the process waits for these tasks before it ends. What a killed process left behind is found by its label and deleted
//! by the next one. Never deletes a Job whose labels are not those of the attempt.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Preconditions, PropagationPolicy},
};
use tokio::{sync::Notify, time::Instant};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use super::{JobRequest, PodSettings, START_LEAD, object::ATTEMPT_LABEL};
use crate::{
    cluster::{
        CALL_TIMEOUT, ClusterError, FIELD_MANAGER, Namespace, ROLLOUT_UID_LABEL, Retries, call, call_optional,
    },
    engine::AttemptScope,
};

/// Longest that the end of an attempt waits for its Job's; the deletion is tried on.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(60);
/// How long after its deadline a Job is still tried to be deleted: by then its pods were ended by Kubernetes.
const REMOVED_BY: Duration = Duration::from_secs(60);
/// How often it is looked whether a Job's last pod is gone.
const LOOK_WHETHER_GONE: Duration = Duration::from_millis(250);
/// Jobs in one answer of the API server; there are never many.
const LEFTOVERS_MAX: u32 = 500;

/// The Jobs of this process.
#[derive(Clone)]
pub struct Jobs {
    settings: Option<PodSettings>,
    /// Namespace and name of each Job that is not known to be gone, and what it is for.
    live: Arc<Mutex<HashMap<(String, String), Purpose>>>,
    tracker: TaskTracker,
    /// One of them is gone.
    gone: Arc<Notify>,
}

/// The rollout's uid, and what of it is attempted: has one Job at a time.
type Purpose = (String, AttemptScope);

impl Jobs {
    /// None yet. Without settings none can be run.
    #[must_use]
    pub fn new(settings: Option<PodSettings>) -> Self {
        Self { settings, live: Arc::default(), tracker: TaskTracker::new(), gone: Arc::default() }
    }

    pub(super) fn settings(&self) -> Option<&PodSettings> {
        self.settings.as_ref()
    }

    /// Until the Job of an earlier attempt at the same is gone: two of them would put twice the load on. Ends with that Job's
    /// deadline at the latest.
    pub async fn wait_for_earlier(&self, request: &JobRequest) {
        let purpose = request.purpose();
        loop {
            let gone = self.gone.notified();
            if !self.lock().values().any(|live| *live == purpose) {
                return;
            }
            tracing::info!("the load waits until the pods of an earlier attempt are gone");
            gone.await;
        }
    }

    fn forget(&self, job: &OwnJob) {
        self.lock().remove(&job.entry());
        self.gone.notify_waiters();
    }

    /// To be called before the Job is created: from then on its end is sure.
    pub(super) fn announce(&self, namespace: &Namespace, request: &JobRequest) -> Presence {
        let job = OwnJob {
            namespace: namespace.clone(),
            name: request.job_name(),
            rollout_uid: request.rollout_uid.clone(),
            attempt: request.attempt.number.to_string(),
            uid: None,
            ends_by: Instant::now() + START_LEAD + request.deadline + REMOVED_BY,
        };
        self.lock().insert(job.entry(), request.purpose());
        Presence { jobs: self.clone(), job: Some(job), token: self.tracker.token() }
    }

    /// Waits until the Jobs of attempts that are over are gone, at most that long. For the end of the process.
    pub async fn settle(&self, longest: Duration) {
        self.tracker.close();
        if tokio::time::timeout(longest, self.tracker.wait()).await.is_err() {
            tracing::warn!("Jobs of loads are not deleted yet; they end by their own deadline");
        }
    }

    /// Deletes the Jobs that an earlier process left behind in these namespaces, in all of them where the list is empty.
    /// Tries until it has; never one of an attempt of this process.
    pub async fn remove_leftovers(&self, client: &Client, namespaces: &[String]) {
        let apis: Vec<Api<Job>> = if namespaces.is_empty() {
            vec![Api::all(client.clone())]
        } else {
            namespaces.iter().map(|name| Api::namespaced(client.clone(), name)).collect()
        };
        let removals = apis.into_iter().map(|api| async move {
            let mut retries = Retries::default();
            while let Err(error) = self.remove_leftovers_of(client, &api).await {
                tracing::warn!(%error, "Jobs that may be left of lost attempts cannot be deleted");
                tokio::time::sleep(retries.failed()).await;
            }
        });
        join_all(removals).await;
    }

    async fn remove_leftovers_of(&self, client: &Client, api: &Api<Job>) -> Result<(), ClusterError> {
        let selector =
            format!("app.kubernetes.io/managed-by={FIELD_MANAGER},{ATTEMPT_LABEL},{ROLLOUT_UID_LABEL}");
        let params = ListParams::default().labels(&selector).limit(LEFTOVERS_MAX);
        let found = call("list the Jobs of loads", api.list(&params)).await?;
        for job in found.items {
            let (namespace, name) = (job.namespace().unwrap_or_default(), job.name_any());
            // What this process makes it announces first, so what is in the list and not announced is not ours.
            if self.lock().contains_key(&(namespace.clone(), name.clone())) {
                continue;
            }
            tracing::info!(job = name, "deleting the Job of an attempt that was lost");
            let namespace = Namespace { client: client.clone(), name: namespace };
            delete(&namespace, &name, &job.uid().unwrap_or_default()).await?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Purpose>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One Job, from before it is created. Its drop deletes it.
pub(super) struct Presence {
    jobs: Jobs,
    job: Option<OwnJob>,
    /// As long as there is one, [`Jobs::settle`] waits.
    token: TaskTrackerToken,
}

impl JobRequest {
    fn purpose(&self) -> Purpose {
        (self.rollout_uid.clone(), self.attempt.scope.clone())
    }
}

impl Presence {
    /// It was created.
    pub fn created(&mut self, uid: String) {
        if let Some(job) = &mut self.job {
            job.uid = Some(uid);
        }
    }

    /// It was not created: another one has its name.
    pub fn disown(mut self) {
        self.forget();
    }

    /// Deletes it, and waits until its last pod is gone; what takes too long goes on by itself.
    pub async fn remove(mut self) {
        if let Some(job) = &mut self.job
            && tokio::time::timeout(REMOVAL_PATIENCE, job.remove()).await.is_err()
        {
            tracing::warn!(job = job.name, "the Job is not deleted yet; trying on");
            return;
        }
        self.forget();
    }

    fn forget(&mut self) {
        if let Some(job) = self.job.take() {
            self.jobs.forget(&job);
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let Some(mut job) = self.job.take() else {
            return;
        };
        let (jobs, token) = (self.jobs.clone(), self.token.clone());
        // Without a runtime the process is ending the hard way; the next one finds what is left.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                job.remove().await;
                jobs.forget(&job);
                drop(token);
            });
        }
    }
}

/// A Job as it was announced.
struct OwnJob {
    namespace: Namespace,
    name: String,
    rollout_uid: String,
    attempt: String,
    /// `None`: the answer to its creation was not waited for, or never came.
    uid: Option<String>,
    /// From then on it has no pods, whether or not it could be deleted.
    ends_by: Instant,
}

impl OwnJob {
    fn entry(&self) -> (String, String) {
        (self.namespace.name.clone(), self.name.clone())
    }

    async fn remove(&mut self) {
        let (name, ends_by) = (self.name.clone(), self.ends_by);
        if tokio::time::timeout_at(ends_by, self.remove_patiently()).await.is_err() {
            tracing::warn!(job = name, "the Job could not be deleted; it has ended by its own deadline");
        }
    }

    async fn remove_patiently(&mut self) {
        let begun = Instant::now();
        let mut retries = Retries::default();
        loop {
            let pause = match self.try_remove(begun).await {
                Ok(true) => return,
                Ok(false) => LOOK_WHETHER_GONE,
                Err(error) => {
                    tracing::warn!(%error, job = self.name, "the Job of an attempt that is over is not deleted yet");
                    retries.failed()
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// One step; `true` when it is gone.
    async fn try_remove(&mut self, begun: Instant) -> Result<bool, ClusterError> {
        let api = self.namespace.api::<Job>();
        let found = call_optional(format!("read Job/{}", self.name), api.get_opt(&self.name)).await?;
        let Some(found) = found.filter(|job| self.is_own(job)) else {
            return match &self.uid {
                Some(uid) => self.has_no_pod(uid).await,
                // A creation that was given up may still be on its way.
                None => Ok(begun.elapsed() > CALL_TIMEOUT),
            };
        };
        let uid = found.uid().unwrap_or_default();
        if found.metadata.deletion_timestamp.is_none() {
            delete(&self.namespace, &self.name, &uid).await?;
        }
        self.uid = Some(uid);
        Ok(false)
    }

    /// Where somebody else deleted the Job, its pods may go later.
    async fn has_no_pod(&self, uid: &str) -> Result<bool, ClusterError> {
        let params =
            ListParams::default().labels(&format!("batch.kubernetes.io/controller-uid={uid}")).limit(1);
        let attempted = format!("list the pods of Job/{}", self.name);
        let found = call(attempted, self.namespace.api::<Pod>().list(&params)).await?;
        Ok(found.items.is_empty())
    }

    fn is_own(&self, job: &Job) -> bool {
        match &self.uid {
            Some(uid) => job.uid().as_ref() == Some(uid),
            None => {
                job.labels().get(ROLLOUT_UID_LABEL) == Some(&self.rollout_uid)
                    && job.labels().get(ATTEMPT_LABEL) == Some(&self.attempt)
            }
        }
    }
}

/// Deletes exactly that Job. It stays in the API until its last pod is gone, so that this can be seen.
async fn delete(namespace: &Namespace, name: &str, uid: &str) -> Result<(), ClusterError> {
    let params = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Foreground),
        preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
        ..DeleteParams::default()
    };
    match call(format!("delete Job/{name}"), namespace.api::<Job>().delete(name, &params)).await {
        // Gone already, or another one by now.
        Err(error) if matches!(error.reason.as_str(), "NotFound" | "Conflict") => Ok(()),
        outcome => outcome.map(|_| ()),
    }
}
