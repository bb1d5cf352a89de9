//! Runs pods of cutover's own image as an Indexed Job, and brings back what each of them wrote to its standard output.
//!
//! Knows nothing of load. Gives the results of all indexes or a [`JobFailure`], never a part. A Job belongs to one
//! attempt, never takes over one that it finds, and is deleted with its pods when the attempt is over, however it ends:
//! what runs on after that would be load that nobody measures. Never gives a pod a right in the API, and never puts a
//! secret into the Job.

mod failure;
mod follow;
pub mod frame;
mod judge;
mod listen;
mod object;
mod output;
mod presence;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::{batch::v1::Job, core::v1::ResourceRequirements},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{ResourceExt, api::PostParams};

pub use failure::JobFailure;
pub use frame::{FrameFault, RESULT_MAX_BYTES};
pub use presence::Jobs;

use super::{CALL_TIMEOUT, ClusterError, FIELD_MANAGER, Namespace};
use crate::{api::SecretKeyReference, engine::AttemptId, text::clip};
use follow::Followed;

/// How long after its creation the pods of a Job begin, all at the same moment: time to be scheduled and pulled.
pub const START_LEAD: Duration = Duration::from_secs(20);
/// Longest words of the API server that are passed on.
const REFUSAL_MAX_CHARS: usize = 300;

/// What the pods of this operator have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodSettings {
    /// The operator's own image, with its tag or digest.
    pub image: String,
    /// Secrets of the rollout's namespace that the image is pulled with.
    pub image_pull_secrets: Vec<String>,
    /// Whether pods share their node's network, as the operator does then.
    pub host_network: bool,
}

/// Pods to run, and what they are given.
///
/// Beside `args` each pod is given `--start-at TIME` (RFC 3339; a pod that is not ready by then must fail) and `--key KEY`,
/// and its index as `JOB_COMPLETION_INDEX`. It writes its result with [`frame::write`] under that key and index and ends
/// with 0, or says with [`frame::write_failure`] why not and ends otherwise.
#[derive(Debug, Clone)]
pub struct JobRequest {
    /// The rollout's name.
    pub rollout: String,
    /// Its uid.
    pub rollout_uid: String,
    /// The rollout as the Job's owner: when it goes, so does the Job.
    pub owner: OwnerReference,
    /// The attempt that this is done for. Has at most one Job, ever.
    pub attempt: AttemptId,
    /// Arguments of the image's entrypoint.
    pub args: Vec<String>,
    /// Environment variables that anybody may read.
    pub env: Vec<(String, String)>,
    /// Environment variables from Secrets.
    pub secret_env: Vec<(String, SecretKeyReference)>,
    /// Files from Secrets, by their name; [`Self::path_of`] tells where they are.
    pub files: Vec<(String, SecretKeyReference)>,
    /// How many pods.
    pub parallelism: u32,
    /// What each of them asks for, and may use.
    pub resources: Option<ResourceRequirements>,
    /// How long they take from their common beginning on, where nothing ends one of them early.
    pub schedule: Duration,
    /// How long they may take.
    pub deadline: Duration,
    /// Why the result of a pod that ended before its schedule leaves nothing for the others to add to, if so: they are ended then.
    pub ends_all: fn(&[u8]) -> Option<String>,
}

impl Jobs {
    /// Runs the pods to their end: what each wrote as its result, in the order of their indexes. Meanwhile `told` is given, now
    /// and then, what each of them said last with [`frame::write_progress`].
    ///
    /// Dropping the future deletes the Job in the background; see [`Jobs::settle`].
    ///
    /// # Errors
    /// Why there is no result. A part of one is never given.
    pub async fn run_indexed(
        &self,
        namespace: &Namespace,
        request: &JobRequest,
        told: &(dyn Fn(&[String]) + Sync),
    ) -> Result<Vec<Vec<u8>>, JobFailure> {
        let settings = self.settings().ok_or(JobFailure::ImageUnknown)?;
        self.wait_for_earlier(request).await;
        let start_at = Timestamp::now() + START_LEAD;
        let object = request.object(settings, start_at)?;
        let mut presence = self.announce(namespace, request);
        let outcome = async {
            let uid = create(namespace, &object).await?;
            presence.created(uid.clone());
            let job = Followed { namespace, request, uid, name: object.name_any(), start_at };
            let pods = tokio::select! {
                pods = job.follow() => pods?,
                never = job.listen(told) => match never {},
            };
            job.outputs(&pods).await
        };
        let outcome = outcome.await;
        match &outcome {
            Err(JobFailure::NameTaken { .. }) => presence.disown(),
            _ => presence.remove().await,
        }
        outcome
    }
}

/// Creates the Job and gives its uid.
async fn create(namespace: &Namespace, object: &Job) -> Result<String, JobFailure> {
    let job = object.name_any();
    let attempted = format!("create Job/{job}");
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let created = tokio::time::timeout(CALL_TIMEOUT, namespace.api::<Job>().create(&params, object)).await;
    match created {
        Ok(Ok(created)) => Ok(created.uid().unwrap_or_default()),
        Ok(Err(kube::Error::Api(status))) if status.reason == "AlreadyExists" => {
            Err(JobFailure::NameTaken { job })
        }
        // What was refused is made of the spec alone and holds no secret, so the reason may be told.
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 403 | 422) => {
            Err(JobFailure::Refused { job, message: clip(&status.message, REFUSAL_MAX_CHARS) })
        }
        Ok(Err(error)) => Err(ClusterError::of(attempted, &error).into()),
        Err(_) => Err(ClusterError::timeout(attempted, CALL_TIMEOUT).into()),
    }
}

/// Whether this is the Job of a load, or one of its pods.
pub(super) fn is_load(object: &impl ResourceExt) -> bool {
    object.labels().contains_key(object::ATTEMPT_LABEL)
}
