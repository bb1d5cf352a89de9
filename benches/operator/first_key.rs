//! From the edit to `activeConfig: Legacy` to the first restored key: of a rollout at rest, and of one that puts load on
//! the candidate meanwhile.

use std::time::{Duration, Instant};

use cutover::api::{DatabaseRollout, Phase, StagePhase};
use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::json;

use crate::{
    figures::{Samples, Targets, millis, ratio},
    idle,
    operator::Operator,
    shop::{Shop, phase_of, spec, stage, stage_of, with},
};

/// Of each of the two rollouts.
const RUNS: usize = 25;
const TARGET_MILLIS: f64 = 500.0;
/// A plain Secret, for what the API server itself needs.
const PLAIN: &str = "plain";

pub async fn run(targets: &mut Targets) {
    let shop = Shop::open_without_operator("bench-key", &[]).await;
    for name in ["resting", "first", "second"] {
        furnish(&shop, name).await;
    }
    shop.create_secret(PLAIN, json!({"key": "0"})).await;
    let _operator = Operator::start_plain(&shop.namespace);
    let load = json!({"traffic": "reads", "rate": 100, "duration": "1h", "connections": 2});
    let loaded = with(stage("Deployment", "second"), json!({"dependsOn": ["first"], "load": load}));
    shop.try_roll_out("resting", spec(&[stage("Deployment", "resting")])).await.expect("admitted");
    shop.try_roll_out("busy", spec(&[stage("Deployment", "first"), loaded])).await.expect("admitted");

    let (mut resting, mut busy, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..RUNS {
        shop.until_named("resting", "completed", |r| phase_of(r) == Phase::Completed).await;
        resting.push(measure(&shop, "resting", "resting").await);
        plain.push(get_and_patch(&shop, run * 2).await);
        shop.until_named("busy", "loads", |r| stage_of(r, "second") == StagePhase::Loading).await;
        busy.push(measure(&shop, "busy", "first").await);
        plain.push(get_and_patch(&shop, run * 2 + 1).await);
    }
    shop.close().await;
    report(resting, busy, plain, targets);
}

fn report(resting: Vec<Duration>, busy: Vec<Duration>, plain: Vec<Duration>, targets: &mut Targets) {
    let all = Samples::new(resting.iter().chain(&busy).copied().collect());
    let plain = Samples::new(plain);
    println!(
        "from sending the edit to Legacy to the first restored key; the ratio is to one GET and PATCH of a Secret"
    );
    println!("{:22} {:>6} {:>8} {:>8} {:>8}", "rollout", "ratio", "p50 ms", "p99 ms", "max ms");
    let busy = Samples::new(busy);
    let rows = [
        ("completed", &Samples::new(resting)),
        ("under load", &busy),
        ("all", &all),
        ("GET and PATCH", &plain),
    ];
    for (name, samples) in rows {
        let (p50, p99, max) = (samples.median(), samples.p99(), samples.max());
        let ratio = ratio(p50, plain.median());
        println!("{name:22} {ratio:>6.1} {:>8.1} {:>8.1} {:>8.1}", millis(p50), millis(p99), millis(max));
    }
    targets.below("edit to first restored key, p99 of 50 runs", millis(all.p99()), TARGET_MILLIS, "ms");
}

/// A binding on legacy, and a workload without pods.
pub async fn furnish(shop: &Shop, name: &str) {
    let binding = format!("{name}-db");
    shop.create_secret(&binding, json!({"DATABASE_URL": shop.legacy.uri()})).await;
    let map = json!({"metadata": {"name": binding}, "data": {"DB_POOL_MAX": "1"}});
    idle::create::<ConfigMap>(&shop.client, &shop.namespace, map).await;
    idle::deployment(&shop.client, &shop.namespace, name).await;
}

/// One way back, and forward again.
async fn measure(shop: &Shop, rollout: &str, binding: &str) -> Duration {
    let api: Api<DatabaseRollout> = shop.api();
    let legacy = shop.legacy.uri();
    let mut seen = values(shop, &format!("{binding}-db"));
    // The watch stands, and the candidate's value is there.
    while seen.next().await.expect("a watch goes on") == legacy {}
    let begun = Instant::now();
    let restored = async {
        while seen.next().await.expect("a watch goes on") != legacy {}
        begun.elapsed()
    };
    let ((), took) = tokio::join!(idle::edit(&api, rollout, json!({"activeConfig": "Legacy"})), restored);
    shop.until_named(rollout, "is back", |r| phase_of(r) == Phase::RolledBack).await;
    idle::edit(&api, rollout, json!({"activeConfig": "Candidate"})).await;
    took
}

/// The values of a binding's connection, as a watch brings them.
pub fn values(shop: &Shop, binding: &str) -> BoxStream<'static, String> {
    let config = watcher::Config::default().fields(&format!("metadata.name={binding}"));
    watcher(shop.api::<Secret>(), config)
        .applied_objects()
        .map(|secret| {
            let data = secret.expect("a watch").data.expect("data");
            String::from_utf8(data["DATABASE_URL"].0.clone()).expect("text")
        })
        .boxed()
}

async fn get_and_patch(shop: &Shop, value: usize) -> Duration {
    let api: Api<Secret> = shop.api();
    let patch = Patch::Merge(json!({"stringData": {"key": value.to_string()}}));
    let begun = Instant::now();
    api.get(PLAIN).await.expect("a Secret");
    api.patch(PLAIN, &PatchParams::default(), &patch).await.expect("a patch");
    begun.elapsed()
}
