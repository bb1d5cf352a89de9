//! Watches a Job and its pods to their end, and has what it sees judged.
//!
//! The pods are watched, so that one that is evicted and gone within a moment is seen; the Job is read after each change
//! of a pod, so that what the Job controller does on purpose (past the deadline it deletes pods) is not taken for trouble.
//! Every wait ends with the deadline, also where the Job controller is not there to keep it.

use std::{
    collections::{BTreeMap, HashSet},
    pin::pin,
    time::Duration,
};

use futures::{FutureExt, Stream, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Event as KubernetesEvent, Pod},
};
use kube::{
    ResourceExt,
    api::ListParams,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout_at};

use super::{
    JobFailure, JobRequest, START_LEAD,
    judge::{self, Judgement, Seen, judge},
};
use crate::cluster::{ClusterError, ErrorClass, Namespace, call, call_optional};

/// How often the Job is looked at while its pods do not change.
const LOOK: Duration = Duration::from_secs(2);
/// What runs at the beginning may be told a little later.
const TOLD_AFTER: Duration = Duration::from_secs(5);
/// How much longer than the Job's own deadline it is followed.
const BEYOND_DEADLINE: Duration = Duration::from_secs(15);

/// A Job that was created.
pub(super) struct Followed<'a> {
    pub namespace: &'a Namespace,
    pub request: &'a JobRequest,
    pub uid: String,
    pub name: String,
    pub start_at: Timestamp,
}

/// The Job controller deletes pods first and says why afterwards; this long is waited for its word.
const EXPLAINED_AFTER: Duration = Duration::from_secs(5);

type Pods = BTreeMap<String, Pod>;

impl Followed<'_> {
    /// Waits for its end. Gives the pods that hold the results, by index.
    pub async fn follow(&self) -> Result<Vec<String>, JobFailure> {
        let config = watcher::Config::default().labels(&self.pods_selector());
        let mut events = pin!(watcher(self.namespace.api::<Pod>(), config).default_backoff());
        let end = Instant::now() + START_LEAD + self.request.deadline + BEYOND_DEADLINE;
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pods = Pods::new();
        let mut unexplained_since = None;
        let mut heard = HashSet::new();
        loop {
            tokio::select! {
                event = events.next() => self.note(&mut pods, event)?,
                _ = look.tick() => {}
                () = sleep_until(end) => return Err(self.late()),
            }
            self.note_all(&mut pods, &mut events)?;
            match self.look(&pods).await? {
                Judgement::NotYet => {
                    let heeded = timeout_at(end, self.heed(&pods, &mut heard)).await;
                    heeded.unwrap_or_else(|_| Err(self.late()))?;
                }
                Judgement::Unexplained(failure) => {
                    if unexplained_since.get_or_insert_with(Instant::now).elapsed() > EXPLAINED_AFTER {
                        return Err(failure);
                    }
                }
                Judgement::Complete(pods) => return Ok(pods),
                Judgement::Failed(failure) => return Err(failure),
                Judgement::FailedPod { pod, index, reason } => {
                    let told = self.told_by(&pod).await;
                    return Err(JobFailure::PodFailed { index, reason, told });
                }
            }
        }
    }

    /// Reads what pods hand over that ended before their schedule, each once: it may leave nothing for the others to add to, and
    /// then they are not to go on.
    async fn heed(&self, pods: &Pods, heard: &mut HashSet<String>) -> Result<(), JobFailure> {
        if Timestamp::now() >= self.start_at + self.request.schedule {
            return Ok(());
        }
        for (uid, pod) in pods.iter().filter(|(_, pod)| judge::has_succeeded(pod)) {
            let Some(index) = judge::index(pod).filter(|_| heard.insert(uid.clone())) else { continue };
            let result = match self.output(&pod.name_any(), index).await {
                Ok(result) => result,
                // The next look may succeed.
                Err(JobFailure::Cluster(error)) if error.class != ErrorClass::Permanent => {
                    heard.remove(uid);
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let ends_all = self.request.ends_all;
            // Megabytes are not read where others wait.
            let why = tokio::task::spawn_blocking(move || ends_all(&result)).await.ok().flatten();
            if let Some(why) = why {
                return Err(JobFailure::EndedEarly { index, why });
            }
        }
        Ok(())
    }

    pub(super) fn pods_selector(&self) -> String {
        format!("batch.kubernetes.io/job-name={}", self.name)
    }

    /// What has been announced already is looked at together.
    fn note_all(
        &self,
        pods: &mut Pods,
        events: &mut (impl Stream<Item = watcher::Result<Event<Pod>>> + Unpin),
    ) -> Result<(), JobFailure> {
        while let Some(event) = events.next().now_or_never() {
            self.note(pods, event)?;
        }
        Ok(())
    }

    fn note(&self, pods: &mut Pods, event: Option<watcher::Result<Event<Pod>>>) -> Result<(), JobFailure> {
        let pod = match event {
            Some(Ok(Event::Apply(pod) | Event::InitApply(pod) | Event::Delete(pod))) => pod,
            Some(Ok(Event::Init | Event::InitDone)) | None => return Ok(()),
            Some(Err(error)) => return self.note_trouble(error),
        };
        // A pod that is gone stays as it was seen last: it has run.
        if pod.owner_references().iter().any(|owner| owner.uid == self.uid) {
            pods.insert(pod.uid().unwrap_or_default(), pod);
        }
        Ok(())
    }

    /// The watch begins again by itself, unless it may not.
    fn note_trouble(&self, error: watcher::Error) -> Result<(), JobFailure> {
        let (watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error)) = error
        else {
            return Ok(());
        };
        let error = ClusterError::of(format!("watch the pods of Job/{}", self.name), &error);
        tracing::debug!(%error, "the watch begins again");
        if error.class == ErrorClass::Permanent { Err(error.into()) } else { Ok(()) }
    }

    async fn look(&self, pods: &Pods) -> Result<Judgement, JobFailure> {
        let attempted = format!("read Job/{}", self.name);
        let job = match call_optional(attempted, self.namespace.api::<Job>().get_opt(&self.name)).await {
            Ok(job) => job.filter(|job| job.uid().as_ref() == Some(&self.uid)),
            Err(error) if error.class == ErrorClass::Permanent => return Err(error.into()),
            // The next look may succeed, and the deadline ends this.
            Err(_) => return Ok(Judgement::NotYet),
        };
        let job = job.filter(|job| job.metadata.deletion_timestamp.is_none()).ok_or(JobFailure::Deleted)?;
        let wanted = usize::try_from(self.request.parallelism).unwrap_or(usize::MAX);
        let refusal = if pods.len() < wanted { self.refusal().await } else { None };
        let begun = Timestamp::now() > self.start_at + TOLD_AFTER;
        Ok(judge(&Seen {
            job: &job,
            pods: pods.values().collect(),
            refusal: refusal.as_deref(),
            has_begun: begun,
            parallelism: self.request.parallelism,
            deadline_seconds: self.request.deadline.as_secs(),
        }))
    }

    /// Why the Job controller could not make a pod; it tells by an event alone.
    async fn refusal(&self) -> Option<String> {
        let fields = format!("involvedObject.uid={},reason=FailedCreate", self.uid);
        let params = ListParams::default().fields(&fields).limit(10);
        let attempted = format!("list the events of Job/{}", self.name);
        let found = call(attempted, self.namespace.api::<KubernetesEvent>().list(&params)).await;
        let found = found.inspect_err(|error| tracing::debug!(%error, "why pods are missing is not known"));
        found.ok()?.items.into_iter().next_back()?.message
    }

    fn late(&self) -> JobFailure {
        JobFailure::Late { seconds: self.request.deadline.as_secs() }
    }
}
