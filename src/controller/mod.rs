//! The loop that joins the engine with the cluster, the attempts beside it, and their end.
//!
//! Watches rollouts, and for each: looks, decides, records, does one thing, and looks again. Holds nothing in memory
//! that it could not do without after a restart.

mod attempts;
mod context;
mod metrics;
mod progress;
mod reconcile;
mod runner;

use std::{future::Future, sync::Arc, time::Duration};

use futures::StreamExt;
use kube::{
    Api, Client, ResourceExt,
    runtime::{
        Controller, WatchStreamExt,
        controller::Action,
        reflector::{self, Store},
        watcher,
    },
};
use tokio::sync::mpsc;

pub use context::Context;
pub use metrics::Metrics;

use crate::api::DatabaseRollout;

/// Rollouts that are reconciled at once, in one namespace or watch.
const CONCURRENCY: u16 = 8;
/// How soon the attempts of a deleted rollout end.
const LOOK_FOR_DELETED: Duration = Duration::from_secs(2);
/// Longest that the end of the process waits for the Jobs of its attempts to be deleted; Kubernetes gives a pod 30 s to end.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Runs the operator until `shutdown` is done.
///
/// Watches `namespaces`, or all of them where the list is empty.
pub async fn run(
    client: Client,
    namespaces: &[String],
    context: Arc<Context>,
    shutdown: impl Future<Output = ()> + Send + Sync + Clone + 'static,
) {
    let apis: Vec<Api<DatabaseRollout>> = if namespaces.is_empty() {
        vec![Api::all(client.clone())]
    } else {
        namespaces.iter().map(|name| Api::namespaced(client.clone(), name)).collect()
    };
    let (controllers, stores): (Vec<_>, Vec<_>) =
        apis.into_iter().map(|api| watch(api, &context, shutdown.clone())).unzip();
    // Nothing waits for this: a Job of a lost attempt ends by its own deadline, too.
    let leftovers = async {
        context.jobs.remove_leftovers(&client, namespaces).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = futures::future::join_all(controllers) => {}
        () = forget_what_is_gone(&stores, &context) => {}
        () = leftovers => {}
    }
    context.attempts.stop_all();
    context.jobs.settle(SETTLE_TIMEOUT).await;
}

fn watch(
    api: Api<DatabaseRollout>,
    context: &Arc<Context>,
    shutdown: impl Future<Output = ()> + Send + Sync + 'static,
) -> (impl Future<Output = ()>, Store<DatabaseRollout>) {
    let (waker, wakes) = mpsc::unbounded_channel();
    context.attempts.wake_through(waker);
    let (store, writer) = reflector::store();
    // What a rollout says is read when it is looked at; here it is only known that it is there.
    let rollouts = watcher(api, watcher::Config::default())
        .modify(|rollout: &mut DatabaseRollout| {
            rollout.metadata.managed_fields = None;
            rollout.status = None;
        })
        .reflect(writer)
        .applied_objects();
    let controller = Controller::for_stream(rollouts, store.clone())
        .with_config(kube::runtime::controller::Config::default().concurrency(CONCURRENCY))
        .reconcile_on(futures::stream::unfold(wakes, |mut wakes| async move {
            Some((wakes.recv().await?, wakes))
        }))
        .graceful_shutdown_on(shutdown);
    let reconciling =
        controller.run(reconcile::reconcile, error_policy, context.clone()).for_each(|result| async move {
            if let Err(error) = result {
                tracing::debug!(%error, "a watch or a reconciliation ended with an error");
            }
        });
    (reconciling, store)
}

/// A rollout that was deleted is never reconciled again, so what runs for it is ended here. Never returns.
async fn forget_what_is_gone(stores: &[Store<DatabaseRollout>], context: &Context) {
    for store in stores {
        if store.wait_until_ready().await.is_ok() {
            context.watch_is_ready();
        }
    }
    loop {
        tokio::time::sleep(LOOK_FOR_DELETED).await;
        let known = stores.iter().flat_map(Store::state).filter_map(|rollout| rollout.uid()).collect();
        context.keep_only(&known);
    }
}

/// Failures are counted and paced where they happen; see [`reconcile`]. This is for what never should.
#[allow(
    clippy::needless_pass_by_value,
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature of kube's error policy"
)]
fn error_policy(_: Arc<DatabaseRollout>, _: &reconcile::Unreachable, _: Arc<Context>) -> Action {
    Action::requeue(Duration::from_secs(5))
}
