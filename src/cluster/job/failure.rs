//! Why the pods of a Job brought back nothing, each in a sentence for people. None of them leaves a part of a result.

use super::{FrameFault, START_LEAD};
use crate::cluster::ClusterError;

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobFailure {
    /// The operator does not know what to run.
    #[error(
        "load with parallelism above 1 runs in pods of cutover's own image, and the operator was not told its name: set \
         --image or CUTOVER_IMAGE (the chart does), or load.parallelism to 1"
    )]
    ImageUnknown,
    /// What the pods are to be given does not fit.
    #[error("the pods of Job/{job} cannot be given what they need: {why}")]
    Unsuitable {
        /// The Job's name.
        job: String,
        /// What does not fit.
        why: String,
    },
    /// The API server refused the Job: rights, quota, admission.
    #[error("Job/{job} was refused: {message}")]
    Refused {
        /// The Job's name.
        job: String,
        /// The API server's words.
        message: String,
    },
    /// There is a Job of that name already, another rollout's or one of an attempt that was lost.
    #[error(
        "Job/{job} exists already and is not of this attempt; it is left alone. Delete it, if nobody needs it"
    )]
    NameTaken {
        /// The Job's name.
        job: String,
    },
    /// The Job's pods were refused: quota, limits, admission, pod security.
    #[error(
        "pods of the load were refused: {message}; make room in the namespace's quota, or lower load.parallelism, or see what \
         admits pods there"
    )]
    PodsRefused {
        /// The API server's words.
        message: String,
    },
    /// No node takes a pod.
    #[error("the pod of index {index} found no node in time: {message}")]
    Unschedulable {
        /// The pod's index.
        index: u32,
        /// The scheduler's words.
        message: String,
    },
    /// A pod's container cannot be made; often its image can't be pulled.
    #[error("the pod of index {index} cannot start ({reason}): {message}")]
    Unstartable {
        /// The pod's index.
        index: u32,
        /// The kubelet's CamelCase word.
        reason: String,
        /// The kubelet's words.
        message: String,
    },
    /// Pods were not running when the load was to begin.
    #[error(
        "{missing} of {of} pods did not run within {} s, so the load could not begin everywhere at once; see with kubectl \
         describe what held them up, the pull of the image or room on the nodes",
        START_LEAD.as_secs()
    )]
    NotStarted {
        /// How many.
        missing: u32,
        /// Of how many.
        of: u32,
    },
    /// One pod's part was ended early by something that the others' parts do not change.
    #[error("{why} (said the pod of index {index}, and the others were ended)")]
    EndedEarly {
        /// The pod's index.
        index: u32,
        /// What it said.
        why: String,
    },
    /// A pod was evicted, preempted or drained.
    #[error(
        "the pod of index {index} was evicted ({reason}), so a part of the load is missing; try again when its node is left \
         alone"
    )]
    Evicted {
        /// The pod's index.
        index: u32,
        /// Kubernetes' CamelCase word.
        reason: String,
    },
    /// A pod used more memory than it may.
    #[error(
        "the pod of index {index} was killed for using more memory than its limit; raise load.parallelism, or lower \
         load.connections, load.rate or load.duration"
    )]
    OutOfMemory {
        /// The pod's index.
        index: u32,
    },
    /// A pod ended with an error.
    #[error("the pod of index {index} failed ({reason}): {told}")]
    PodFailed {
        /// The pod's index.
        index: u32,
        /// The exit code, or Kubernetes' CamelCase word.
        reason: String,
        /// What the worker said itself; never another line of its log.
        told: String,
    },
    /// A pod was deleted.
    #[error(
        "the pod of index {index} was deleted before its end, so a part of the load is missing; see who deletes pods there, and \
         try again"
    )]
    PodDeleted {
        /// The pod's index.
        index: u32,
    },
    /// Nothing of an index is there although the Job is complete.
    #[error("there is no result of index {index} although the Job is complete")]
    IndexMissing {
        /// The index.
        index: u32,
    },
    /// Two pods had the same index.
    #[error("two pods ran as index {index}, so more load was put on than was scheduled; try again")]
    IndexTwice {
        /// The index.
        index: u32,
    },
    /// A pod's log is not believed.
    #[error(
        "the result of index {index} cannot be used: {fault}; see whether something else writes to its log, and try again"
    )]
    Unreadable {
        /// The index.
        index: u32,
        /// Why.
        fault: FrameFault,
    },
    /// The Job failed in another way.
    #[error("the Job failed ({reason}): {message}")]
    JobFailed {
        /// Kubernetes' CamelCase word.
        reason: String,
        /// The Job controller's words.
        message: String,
    },
    /// Somebody changed how many pods the Job has.
    #[error(
        "the Job was changed while it ran: {completions} pods instead of {of}; leave it alone, and set load.parallelism"
    )]
    Changed {
        /// What it says now.
        completions: i32,
        /// What it was made with.
        of: u32,
    },
    /// The Job was deleted by somebody else.
    #[error("the Job was deleted while it ran; see who deletes Jobs there, and try again")]
    Deleted,
    /// The pods took longer than they may.
    #[error("the pods did not end within {seconds} s; see with kubectl describe what held them up")]
    Late {
        /// The deadline.
        seconds: u64,
    },
    /// The API server could not be asked.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}
