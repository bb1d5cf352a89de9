//! 500 rollouts that are done: what the operator holds in memory, and what it does in a minute.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use cutover::api::DatabaseRollout;
use futures::{StreamExt, stream};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Secret},
        events::v1::Event,
    },
};
use kube::{Api, Client, Resource, ResourceExt, api::ListParams};
use serde_json::json;

use crate::{figures::Targets, idle, operator::Operator, process, shop::Shop};

const ROLLOUTS: u32 = 500;
const CREATED_AT_ONCE: usize = 8;
const TARGET_MIB: f64 = 64.0;
const PATIENCE: Duration = Duration::from_secs(900);
/// Events are written beside the loop; they are not what a settled rollout costs.
const QUIET: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);

pub async fn run(targets: &mut Targets) {
    let shop = Shop::open_without_operator("bench-settled", &[]).await;
    let (client, namespace) = (shop.client.clone(), shop.namespace.clone());

    let mut operator = Operator::start_plain(&namespace);
    await_ready(&operator).await;
    let empty = process::memory(operator.process_id(), "VmRSS");
    let begun = Instant::now();
    stream::iter(0..ROLLOUTS)
        .for_each_concurrent(CREATED_AT_ONCE, |n| roll_out(&client, &namespace, n))
        .await;
    println!("{ROLLOUTS} rollouts created in {:.0} s", begun.elapsed().as_secs_f64());
    await_completed(&operator, begun).await;
    let busy = process::processor_time(operator.process_id());
    println!(
        "all completed after {:.0} s and {:.1} s of the operator's processor time",
        begun.elapsed().as_secs_f64(),
        busy.as_secs_f64()
    );
    tokio::time::sleep(QUIET).await;
    measure(&client, &namespace, &mut operator, empty, targets).await;
    drop(operator);
    shop.close().await;
}

async fn measure(
    client: &Client,
    namespace: &str,
    operator: &mut Operator,
    empty: f64,
    targets: &mut Targets,
) {
    let process = operator.process_id();
    let resident = process::memory(process, "VmRSS");
    let (writes, used) =
        (operator.metric("cutover_status_writes_total").await, process::processor_time(process));
    let before = versions(client, namespace).await;
    tokio::time::sleep(MINUTE).await;
    let status_writes = operator.metric("cutover_status_writes_total").await - writes;
    let used = process::processor_time(process).saturating_sub(used);
    let resident = resident.max(process::memory(process, "VmRSS"));
    let peak = process::memory(process, "VmHWM");
    operator.kill();
    operator.start_again();
    await_ready(operator).await;
    await_completed(operator, Instant::now()).await;
    let restarted = process::memory(operator.process_id(), "VmRSS");
    let after = versions(client, namespace).await;

    println!(
        "operator memory: {empty:.1} MiB with no rollout, {resident:.1} MiB with {ROLLOUTS} settled ones ({restarted:.1} MiB after a restart), {peak:.1} MiB at most"
    );
    println!(
        "in a settled minute: {status_writes} status writes, {:.2} s of processor time",
        used.as_secs_f64()
    );
    let changed = before.iter().filter(|(object, version)| after.get(*object) != Some(version)).count();
    let new = after.keys().filter(|object| !before.contains_key(*object)).count();
    targets.below(
        &format!("resident memory with {ROLLOUTS} settled rollouts"),
        resident.max(restarted),
        TARGET_MIB,
        "MiB",
    );
    targets.none(
        &format!("objects of {} changed or created in a settled minute and a restart", before.len()),
        changed + new + usize::from(status_writes > 0.0),
    );
}

/// A rollout of one setting, with objects of its own.
async fn roll_out(client: &Client, namespace: &str, number: u32) {
    let name = format!("app-{number:03}");
    let map = json!({"metadata": {"name": name}, "data": {"DB_POOL_MAX": "10"}});
    idle::create::<ConfigMap>(client, namespace, map).await;
    idle::deployment(client, namespace, &name).await;
    let rollout = json!({
        "apiVersion": "cutover.dev/v1alpha1", "kind": "DatabaseRollout", "metadata": {"name": name},
        "spec": {
            "legacy": {"connection": {"secretRef": {"name": "old", "key": "uri"}, "tls": {"caKey": "ca.crt"}}},
            "stages": [{"name": "pool",
                "config": [{"configMap": name, "set": {"DB_POOL_MAX": {"value": "20"}}}],
                "workloads": [{"kind": "Deployment", "name": name}]}]}});
    idle::create::<DatabaseRollout>(client, namespace, rollout).await;
}

async fn await_ready(operator: &Operator) {
    // Its port is not even open at first.
    tokio::time::sleep(Duration::from_secs(2)).await;
    while !operator.get("/readyz").await.starts_with("HTTP/1.1 200") {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// By the operator's own count, so that asking costs the API server nothing.
async fn await_completed(operator: &Operator, begun: Instant) {
    let mut told = 0.0;
    loop {
        let completed = operator.metric("cutover_rollouts{phase=\"Completed\"}").await;
        if completed + 0.5 > f64::from(ROLLOUTS) {
            return;
        }
        if completed >= told + 100.0 {
            println!("{completed} completed after {:.0} s", begun.elapsed().as_secs_f64());
            told = completed;
        }
        assert!(begun.elapsed() < PATIENCE, "only {completed} of {ROLLOUTS} completed");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The resource versions of everything that the operator could write to.
async fn versions(client: &Client, namespace: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    collect::<DatabaseRollout>(client, namespace, &mut all).await;
    collect::<ConfigMap>(client, namespace, &mut all).await;
    collect::<Secret>(client, namespace, &mut all).await;
    collect::<Deployment>(client, namespace, &mut all).await;
    collect::<Event>(client, namespace, &mut all).await;
    all
}

async fn collect<K>(client: &Client, namespace: &str, all: &mut BTreeMap<String, String>)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug,
    K: serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let listed = api.list_metadata(&ListParams::default()).await.expect("a list");
    for object in listed.items {
        let name = format!("{}/{}", K::kind(&()), object.name_any());
        all.insert(name, object.resource_version().unwrap_or_default());
    }
}
