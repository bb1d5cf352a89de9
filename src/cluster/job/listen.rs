//! What running pods say of how far they are, from the last lines of their logs. For people: what can't be had is left out.

use std::{convert::Infallible, time::Duration};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{ListParams, LogParams},
};
use tokio::time::{MissedTickBehavior, interval};

use super::{follow::Followed, frame, judge, output};
use crate::cluster::call;

/// How often they are asked: as often as the status is written at most.
const EVERY: Duration = Duration::from_secs(10);
/// The last lines of a log, among which there may be others.
const LAST_LINES: i64 = 5;

impl Followed<'_> {
    /// Hands on what all pods said last, in the order of their indexes, as long as it is awaited.
    pub async fn listen(&self, told: &(dyn Fn(&[String]) + Sync)) -> Infallible {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(lines) = self.last_lines().await {
                told(&lines);
            }
        }
    }

    /// `None` where one of them said nothing.
    async fn last_lines(&self) -> Option<Vec<String>> {
        let params = ListParams::default().labels(&self.pods_selector());
        let (api, attempted) = (self.namespace.api::<Pod>(), format!("list the pods of Job/{}", self.name));
        let pods = call(attempted, api.list(&params)).await;
        let pods =
            pods.inspect_err(|error| tracing::debug!(%error, "how far the load is is not known")).ok()?;
        let name =
            |wanted| pods.iter().find(|pod| judge::index(pod) == Some(wanted)).map(ResourceExt::name_any);
        let names: Option<Vec<_>> =
            (0..self.request.parallelism).map(|index| Some((name(index)?, index))).collect();
        let lines = names?.into_iter().map(|(pod, index)| self.last_line(pod, index));
        let lines: Vec<_> = stream::iter(lines).buffered(output::CONCURRENCY).collect().await;
        lines.into_iter().collect()
    }

    async fn last_line(&self, pod: String, index: u32) -> Option<String> {
        let params = LogParams { tail_lines: Some(LAST_LINES), ..LogParams::default() };
        let log = self.log(&pod, &params).await.ok()?;
        frame::read_progress(&log, &self.request.key(), index)
    }
}
