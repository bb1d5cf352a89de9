//! The loop that joins the engine with the cluster, the attempts beside it, and their end.
//!
//! Watches rollouts, and for each: looks, decides, records, does one thing, and looks again. Holds nothing in memory
//! that it could not do without after a restart.

mod attempts;
mod context;
mod leadership;
mod metrics;
mod progress;
mod reconcile;
mod runner;

use std::{future::Future, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt};
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
pub use leadership::Leadership;
pub use metrics::Metrics;

use crate::{api::DatabaseRollout, cluster::Namespace};

/// Rollouts that are reconciled at once, in one namespace or watch.
const CONCURRENCY: u16 = 8;
/// How soon the attempts of a deleted rollout end.
const LOOK_FOR_DELETED: Duration = Duration::from_secs(2);
/// Longest that the end of the process waits for the Jobs of its attempts to be deleted; Kubernetes gives a pod 30 s to end.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Runs the operator until `shutdown` is done.
///
/// Watches `namespaces`, or all of them where the list is empty. Acts in each of them only while it holds the lease there; that
/// of all namespaces is in the client's own.
pub async fn run(
    client: Client,
    namespaces: &[String],
    context: Arc<Context>,
    shutdown: impl Future<Output = ()> + Send + Sync + Clone + 'static,
) {
    let watched: Vec<Watched> = if namespaces.is_empty() {
        vec![Watched::all(&client)]
    } else {
        namespaces.iter().map(|name| Watched::one(&client, name)).collect()
    };
    let (stores, terms): (Vec<_>, Vec<_>) = watched
        .into_iter()
        .map(|watched| {
            let (controller, store) = watch(watched.api.clone(), &context, shutdown.clone());
            (store.clone(), serve_term(watched, controller, store, &context, shutdown.clone()))
        })
        .unzip();
    tokio::select! {
        _ = futures::future::join_all(terms) => {}
        () = forget_what_is_gone(&stores, &context) => {}
    }
    context.attempts.stop_all();
    context.jobs.settle(SETTLE_TIMEOUT).await;
    context.leadership.release().await;
}

/// What one watch is of.
struct Watched {
    /// A namespace, or [`leadership::ALL`].
    name: String,
    api: Api<DatabaseRollout>,
    /// Where its lease is.
    lease: Namespace,
}

impl Watched {
    fn one(client: &Client, name: &str) -> Self {
        let lease = Namespace { client: client.clone(), name: name.to_owned() };
        Self { name: name.to_owned(), api: Api::namespaced(client.clone(), name), lease }
    }

    fn all(client: &Client) -> Self {
        let lease = Namespace { client: client.clone(), name: client.default_namespace().to_owned() };
        Self { name: leadership::ALL.to_owned(), api: Api::all(client.clone()), lease }
    }

    /// As a list of namespaces, in which none stands for all.
    fn names(&self) -> &[String] {
        if self.name == leadership::ALL { &[] } else { std::slice::from_ref(&self.name) }
    }
}

/// Waits for the lease, and reconciles from then on.
async fn serve_term(
    watched: Watched,
    controller: impl Future<Output = ()>,
    store: Store<DatabaseRollout>,
    context: &Context,
    shutdown: impl Future<Output = ()> + Clone,
) {
    // A rolling update waits for the new operator to be ready, and only then ends the one that holds the lease.
    let stands_by = || context.is_ready_for(&watched.name);
    tokio::select! {
        () = context.leadership.acquire(&watched.name, &watched.lease, stands_by) => {}
        () = shutdown.clone() => return,
    }
    let listed = async {
        if store.wait_until_ready().await.is_ok() {
            context.is_ready_for(&watched.name);
        }
        std::future::pending::<()>().await;
    };
    // Nothing waits for this: a Job of a lost attempt ends by its own deadline, too.
    let leftovers = async {
        context.jobs.remove_leftovers(&watched.lease.client, watched.names()).await;
        std::future::pending::<()>().await;
    };
    // What was never listed was never reconciled; the controller would wait for its list and not end.
    let unlisted = async {
        shutdown.await;
        if store.wait_until_ready().now_or_never().is_some() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = controller => {}
        () = listed => {}
        () = leftovers => {}
        () = unlisted => {}
    }
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
