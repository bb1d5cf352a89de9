//! What the pods wrote: their results, read from their logs and believed only whole.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use tokio::time::sleep;

use super::{FrameFault, JobFailure, follow::Followed, frame};
use crate::cluster::{ClusterError, call};

/// A node may hand a log out a moment after its pod has ended.
const TRIES: usize = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// Logs that are read at the same time.
pub(super) const CONCURRENCY: usize = 4;
/// Lines of a failed pod's log in which its own words are looked for.
const LAST_LINES: i64 = 50;

impl Followed<'_> {
    /// The results of these pods, in their order.
    pub async fn outputs(&self, pods: &[String]) -> Result<Vec<Vec<u8>>, JobFailure> {
        let mut reads = Vec::new();
        for (pod, index) in pods.iter().zip(0_u32..) {
            reads.push(self.output(pod, index));
        }
        stream::iter(reads).buffered(CONCURRENCY).try_collect().await
    }

    pub(super) async fn output(&self, pod: &str, index: u32) -> Result<Vec<u8>, JobFailure> {
        let mut failure = JobFailure::Unreadable { index, fault: FrameFault::Absent };
        for attempt in 0..TRIES {
            if attempt > 0 {
                sleep(PAUSE).await;
            }
            let params = LogParams { limit_bytes: Some(frame::LOG_MAX_BYTES), ..LogParams::default() };
            failure = match self.log(pod, &params).await {
                Ok(log) => match frame::read(&log, &self.request.key(), index) {
                    Ok(result) => return Ok(result),
                    Err(fault) => JobFailure::Unreadable { index, fault },
                },
                Err(error) => error.into(),
            };
        }
        Err(failure)
    }

    /// What the worker of a failed pod said itself. Its other words may be anybody's.
    pub async fn told_by(&self, pod: &str) -> String {
        let params = LogParams { tail_lines: Some(LAST_LINES), ..LogParams::default() };
        let log = self.log(pod, &params).await.ok();
        let told = log.as_deref().and_then(frame::read_failure);
        told.unwrap_or_else(|| "it did not say why".to_owned())
    }

    pub(super) async fn log(&self, pod: &str, params: &LogParams) -> Result<String, ClusterError> {
        call(format!("read the log of Pod/{pod}"), self.namespace.api::<Pod>().logs(pod, params)).await
    }
}
