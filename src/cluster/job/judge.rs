//! What a Job and its pods come to: nothing yet, a result of every index, or a failure. Pure.
//!
//! Every pod that was ever seen counts, also one that is gone since: a second pod of an index, or one that was evicted,
//! leaves traces that a last look would miss. It never settles for a part.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ContainerState, ContainerStatus, Pod},
};
use kube::ResourceExt;

use super::JobFailure;
use crate::text::clip;

const INDEX_ANNOTATION: &str = "batch.kubernetes.io/job-completion-index";
/// Longest words of Kubernetes that are passed on.
const WORDS_MAX_CHARS: usize = 300;
/// What a container waits for and does not get by waiting.
const HOPELESS: [&str; 2] = ["InvalidImageName", "ErrImageNeverPull"];
/// What every container waits for at first, and tells nothing.
const USUAL: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// What was seen.
pub(super) struct Seen<'a> {
    pub job: &'a Job,
    /// Every pod of the Job, the ones that are gone included, as each was seen last.
    pub pods: Vec<&'a Pod>,
    /// What the Job controller was told when it last could not make a pod.
    pub refusal: Option<&'a str>,
    /// Whether the load has begun by now, where it could.
    pub has_begun: bool,
    pub parallelism: u32,
    pub deadline_seconds: u64,
}

/// What it comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Judgement {
    NotYet,
    /// A pod is being deleted, and nobody has said yet why. The Job's own word may come a moment later.
    Unexplained(JobFailure),
    /// The pods that hold the results, by index.
    Complete(Vec<String>),
    Failed(JobFailure),
    /// A pod failed by itself; its log tells why.
    FailedPod {
        pod: String,
        index: u32,
        reason: String,
    },
}

pub(super) fn judge(seen: &Seen) -> Judgement {
    let early = index_twice(seen).or_else(|| changed(seen)).or_else(|| late(seen));
    if let Some(failure) = early {
        return Judgement::Failed(failure);
    }
    if let Some(judgement) = seen.pods.iter().find_map(|pod| own_failure(pod)) {
        return judgement;
    }
    match (condition(seen.job, &["Failed", "FailureTarget"]), deleted(seen)) {
        (Some(_), Some(deleted)) => return Judgement::Failed(deleted),
        (Some((reason, message)), None) => {
            return Judgement::Failed(JobFailure::JobFailed { reason, message });
        }
        (None, Some(deleted)) => return Judgement::Unexplained(deleted),
        (None, None) => {}
    }
    if condition(seen.job, &["Complete"]).is_some() {
        return complete(seen);
    }
    hopeless(seen).map_or(Judgement::NotYet, Judgement::Failed)
}

/// Whether it has ended well.
pub(super) fn has_succeeded(pod: &Pod) -> bool {
    phase(pod) == "Succeeded"
}

/// The index of a pod; `None` where it carries none.
pub(super) fn index(pod: &Pod) -> Option<u32> {
    pod.annotations().get(INDEX_ANNOTATION)?.parse().ok()
}

fn of_index<'a>(seen: &'a Seen, wanted: u32) -> impl Iterator<Item = &'a Pod> {
    seen.pods.iter().copied().filter(move |pod| index(pod) == Some(wanted))
}

fn index_twice(seen: &Seen) -> Option<JobFailure> {
    let twice = (0..seen.parallelism).find(|index| of_index(seen, *index).count() > 1)?;
    Some(JobFailure::IndexTwice { index: twice })
}

fn changed(seen: &Seen) -> Option<JobFailure> {
    let spec = seen.job.spec.as_ref()?;
    let completions = spec.completions.unwrap_or_default().min(spec.parallelism.unwrap_or_default());
    (u32::try_from(completions) != Ok(seen.parallelism))
        .then_some(JobFailure::Changed { completions, of: seen.parallelism })
}

/// Past its deadline the Job's pods are deleted: they are not what went wrong.
fn late(seen: &Seen) -> Option<JobFailure> {
    let (reason, _) = condition(seen.job, &["Failed", "FailureTarget"])?;
    (reason == "DeadlineExceeded").then_some(JobFailure::Late { seconds: seen.deadline_seconds })
}

/// Reason and message of the first of these conditions that is true.
fn condition(job: &Job, kinds: &[&str]) -> Option<(String, String)> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|c| c.status == "True" && kinds.contains(&c.type_.as_str()))?;
    let words = clip(found.message.as_deref().unwrap_or_default(), WORDS_MAX_CHARS);
    Some((found.reason.clone().unwrap_or_default(), words))
}

/// What a pod failed of that was not simply deleted.
fn own_failure(pod: &Pod) -> Option<Judgement> {
    let index = index(pod)?;
    if phase(pod) != "Failed" && !is_leaving(pod) {
        return None;
    }
    if let Some(reason) = disruption(pod) {
        return Some(Judgement::Failed(JobFailure::Evicted { index, reason }));
    }
    let terminated = containers(pod).find_map(|status| terminated(status));
    let reason = match terminated {
        Some((_, "OOMKilled")) => return Some(Judgement::Failed(JobFailure::OutOfMemory { index })),
        // A pod that is deleted is killed: its exit code tells nothing.
        _ if is_leaving(pod) => return None,
        Some((code, "Error")) => format!("exit code {code}"),
        Some((_, reason)) => reason.to_owned(),
        None => {
            let reason = pod.status.as_ref().and_then(|status| status.reason.clone());
            reason.unwrap_or_else(|| "no reason given".to_owned())
        }
    };
    Some(Judgement::FailedPod { pod: pod.name_any(), index, reason })
}

/// The pod that was deleted first: the Job controller deletes the others once one is gone.
fn deleted(seen: &Seen) -> Option<JobFailure> {
    let leaving = seen.pods.iter().filter(|pod| is_leaving(pod));
    let first = leaving.min_by_key(|pod| pod.metadata.deletion_timestamp.as_ref().map(|time| time.0))?;
    Some(JobFailure::PodDeleted { index: index(first)? })
}

fn is_leaving(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some() && !has_succeeded(pod)
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// Why Kubernetes took the pod away.
fn disruption(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let disrupted = pod_condition(pod, "DisruptionTarget").filter(|(value, ..)| *value == "True");
    let reason = disrupted.map(|(_, reason, _)| reason.to_owned());
    reason.or_else(|| status.reason.clone().filter(|reason| reason == "Evicted"))
}

/// Status, reason and message.
fn pod_condition<'a>(pod: &'a Pod, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|condition| condition.type_ == kind)?;
    Some((
        &found.status,
        found.reason.as_deref().unwrap_or_default(),
        found.message.as_deref().unwrap_or_default(),
    ))
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten())
}

/// Exit code and reason.
fn terminated(status: &ContainerStatus) -> Option<(i32, &str)> {
    let state: &ContainerState = status.state.as_ref()?;
    let terminated = state.terminated.as_ref().filter(|end| end.exit_code != 0)?;
    Some((terminated.exit_code, terminated.reason.as_deref().unwrap_or("Error")))
}

fn complete(seen: &Seen) -> Judgement {
    let succeeded = |index| of_index(seen, index).find(|pod| has_succeeded(pod));
    let pods: Result<Vec<String>, u32> =
        (0..seen.parallelism).map(|index| succeeded(index).map(ResourceExt::name_any).ok_or(index)).collect();
    match pods {
        Ok(pods) => Judgement::Complete(pods),
        Err(index) => Judgement::Failed(JobFailure::IndexMissing { index }),
    }
}

/// What will not get better, and from the load's begin on also what only was not there in time.
fn hopeless(seen: &Seen) -> Option<JobFailure> {
    // A pull, or a Secret that the node does not have yet, is tried again and may still come in time.
    let is_told = |reason: &str| HOPELESS.contains(&reason) || seen.has_begun && !USUAL.contains(&reason);
    if let Some(failure) = seen.pods.iter().find_map(|pod| unstartable(pod, is_told)) {
        return Some(failure);
    }
    let is_there = |pod: &Pod| matches!(phase(pod), "Running" | "Succeeded");
    let missing = (0..seen.parallelism).filter(|index| !of_index(seen, *index).any(is_there)).count();
    let refusal = seen.refusal.filter(|words| missing > 0 && (seen.has_begun || words.contains("forbidden")));
    if let Some(words) = refusal {
        return Some(JobFailure::PodsRefused { message: clip(words, WORDS_MAX_CHARS) });
    }
    if missing == 0 || !seen.has_begun {
        return None;
    }
    let missing = u32::try_from(missing).unwrap_or(seen.parallelism);
    let not_started = JobFailure::NotStarted { missing, of: seen.parallelism };
    Some(seen.pods.iter().find_map(|pod| unscheduled(pod)).unwrap_or(not_started))
}

fn unstartable(pod: &Pod, is_told: impl Fn(&str) -> bool) -> Option<JobFailure> {
    let waiting = containers(pod).find_map(|status| status.state.as_ref()?.waiting.as_ref())?;
    let reason = waiting.reason.clone().filter(|reason| is_told(reason))?;
    let message = clip(waiting.message.as_deref().unwrap_or_default(), WORDS_MAX_CHARS);
    Some(JobFailure::Unstartable { index: index(pod)?, reason, message })
}

fn unscheduled(pod: &Pod) -> Option<JobFailure> {
    let (status, _, message) = pod_condition(pod, "PodScheduled")?;
    let message = clip(message, WORDS_MAX_CHARS);
    (status == "False").then_some(JobFailure::Unschedulable { index: index(pod)?, message })
}

#[cfg(test)]
mod tests;
