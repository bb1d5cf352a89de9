//! From the edit to `activeConfig: Legacy` to all pods on legacy, next to a plain restart of the same Deployment.

use std::{
    collections::BTreeMap,
    pin::pin,
    time::{Duration, Instant},
};

use cutover::{
    api::{DatabaseRollout, Phase},
    cluster::RESTART_ANNOTATION,
};
use futures::StreamExt;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{wait::await_condition, watcher, watcher::Event},
};
use serde_json::json;

use crate::{
    figures::{Samples, Targets, millis, ratio},
    idle,
    operator::Operator,
    shop::{ROLLOUT, Shop, spec, stage},
};

const RUNS: usize = 20;
const REPLICAS: usize = 2;
const TARGET_MILLIS: f64 = 1000.0;
/// What `kubectl rollout restart` sets.
const KUBECTL_ANNOTATION: &str = "kubectl.kubernetes.io/restartedAt";

pub async fn run(targets: &mut Targets) {
    let shop = Shop::open_without_operator("bench-pods", &[("Deployment", "api")]).await;
    let deployments: Api<Deployment> = shop.api();
    patch(&deployments, json!({"spec": {"replicas": REPLICAS}})).await;
    let _operator = Operator::start_plain(&shop.namespace);
    shop.roll_out(spec(&[stage("Deployment", "api")])).await;
    let (mut plain, mut back, mut commanded) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..RUNS {
        shop.until_phase(Phase::Completed).await;
        dephase().await;
        plain.push(restart(&shop, &deployments, run).await);
        dephase().await;
        let (restarted, all_back) = roll_back(&shop, &deployments).await;
        back.push(all_back);
        commanded.push(restarted);
        shop.until_phase(Phase::RolledBack).await;
        idle::edit(&shop.api(), ROLLOUT, json!({"activeConfig": "Candidate"})).await;
    }
    shop.close().await;
    report(plain, back, commanded, targets);
}

/// The kubelet looks at pods once a second. What begins when it has just looked would always take longer, or always less
/// long, than what begins at any moment.
async fn dephase() {
    tokio::time::sleep(Duration::from_secs_f64(rand::random())).await;
}

fn report(plain: Vec<Duration>, back: Vec<Duration>, commanded: Vec<Duration>, targets: &mut Targets) {
    let (plain, back, commanded) = (Samples::new(plain), Samples::new(back), Samples::new(commanded));
    println!(
        "to all {REPLICAS} pods on legacy; the ratio is to a plain restart of the same Deployment; {RUNS} runs"
    );
    println!("{:30} {:>6} {:>8} {:>8} {:>8}", "", "ratio", "mean ms", "p50 ms", "max ms");
    let rows = [
        ("plain restart", &plain),
        ("edit to all pods on legacy", &back),
        ("edit to the restart commanded", &commanded),
    ];
    for (name, samples) in rows {
        let (mean, p50, max) = (samples.mean(), samples.median(), samples.max());
        let ratio = ratio(mean, plain.mean());
        println!("{name:30} {ratio:>6.2} {:>8.1} {:>8.1} {:>8.1}", millis(mean), millis(p50), millis(max));
    }
    let more = millis(back.mean()) - millis(plain.mean());
    targets.below("all pods on legacy, beyond a plain restart (means)", more, TARGET_MILLIS, "ms");
}

/// As `kubectl rollout restart`, until every pod is new and ready.
async fn restart(shop: &Shop, deployments: &Api<Deployment>, run: usize) -> Duration {
    let mark = run.to_string();
    let annotations = json!({KUBECTL_ANNOTATION: mark});
    let begun = Instant::now();
    let edit = patch(deployments, json!({"spec": {"template": {"metadata": {"annotations": annotations}}}}));
    let all = all_pods(shop, |pod| pod.annotations().get(KUBECTL_ANNOTATION) == Some(&mark));
    tokio::join!(edit, all);
    begun.elapsed()
}

/// From the edit: until the Deployment carries the legacy restart, and until every pod is new and ready.
async fn roll_back(shop: &Shop, deployments: &Api<Deployment>) -> (Duration, Duration) {
    let is_legacy = |token: Option<&String>| token.is_some_and(|token| token.contains("/legacy/"));
    let condition = |deployment: Option<&Deployment>| {
        let template = deployment.and_then(|d| d.spec.as_ref()).map(|spec| &spec.template);
        let annotations = template.and_then(|t| t.metadata.as_ref()).and_then(|m| m.annotations.as_ref());
        is_legacy(annotations.and_then(|all| all.get(RESTART_ANNOTATION)))
    };
    let rollouts: Api<DatabaseRollout> = shop.api();
    let begun = Instant::now();
    let commanded = async {
        await_condition(deployments.clone(), "api", condition).await.expect("a watch");
        begun.elapsed()
    };
    let all = async {
        all_pods(shop, |pod| is_legacy(pod.annotations().get(RESTART_ANNOTATION))).await;
        begun.elapsed()
    };
    let edit = idle::edit(&rollouts, ROLLOUT, json!({"activeConfig": "Legacy"}));
    let ((), commanded, all) = tokio::join!(edit, commanded, all);
    (commanded, all)
}

async fn patch(deployments: &Api<Deployment>, change: serde_json::Value) {
    let patch = Patch::Merge(change);
    deployments.patch("api", &PatchParams::default(), &patch).await.expect("a Deployment");
}

/// Waits, on a watch, until there are exactly the wanted pods, all of them as described and ready.
async fn all_pods(shop: &Shop, is_new: impl Fn(&Pod) -> bool) {
    let mut events = pin!(watcher(shop.api::<Pod>(), watcher::Config::default().labels("app=api")));
    let mut pods = BTreeMap::new();
    while let Some(event) = events.next().await {
        match event.expect("a watch") {
            Event::Init => pods.clear(),
            Event::InitApply(pod) | Event::Apply(pod) => {
                pods.insert(pod.uid(), pod);
            }
            Event::Delete(pod) => {
                pods.remove(&pod.uid());
            }
            Event::InitDone => {}
        }
        if pods.len() == REPLICAS && pods.values().all(|pod| is_new(pod) && is_ready(pod)) {
            return;
        }
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
}
