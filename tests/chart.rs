//! The Helm chart, installed by the real Helm on a real cluster: the operator runs as a pod, and carries a rollout to its
//! end, and back, under exactly the rights that the chart gives it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test's panic is its verdict, and its name is its documentation"
)]

#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/operator.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod operator;
#[path = "support/postgres.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod postgres;
#[path = "support/shop.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod shop;

use std::{process::Command, time::Duration};

use cutover::{
    api::Phase,
    cluster::{
        Namespace,
        job::{JobFailure, JobRequest, Jobs, PodSettings, frame},
    },
    engine::{AttemptId, AttemptScope},
};
use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
    core::v1::{ConfigMap, Pod, ResourceQuota},
};
use kube::{
    Api, Client, Config, Resource, ResourceExt,
    api::{ListParams, LogParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::wait::await_condition,
};
use serde_json::json;
use shop::{Shop, spec, stage, with};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/cutover");

/// Helm, as the local cluster's tool links it.
fn helm(arguments: &[&str]) -> String {
    let tool = std::env::var("CUTOVER_LOCALCLUSTER")
        .unwrap_or_else(|_| format!("{}/target/localcluster/localcluster", env!("CARGO_MANIFEST_DIR")));
    let output = Command::new(tool).arg("helm").args(arguments).output().expect("helm runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "helm {arguments:?}: {told}{}", String::from_utf8_lossy(&output.stderr));
    told
}

fn install(namespace: &str) {
    let kubeconfig = cluster::kubeconfig();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    helm(&[
        "install",
        "cutover",
        CHART,
        "--namespace",
        namespace,
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
        // The tests install the CRD, for all of them.
        "--skip-crds",
        "--wait",
        "--timeout",
        "120s",
        "--set",
        "image.tag=dev",
        "--set",
        "image.pullPolicy=Never",
        "--set",
        "hostNetwork=true",
        "--set",
        &format!("metrics.port={port}"),
    ]);
}

/// What the operator's pod has logged.
async fn operator_log(shop: &Shop) -> String {
    let pods: Api<Pod> = shop.api();
    let selector = ListParams::default().labels("app.kubernetes.io/name=cutover");
    let pod = pods.list(&selector).await.unwrap().items.pop().expect("the operator's pod");
    pods.logs(&pod.name_any(), &LogParams::default()).await.unwrap()
}

async fn may(shop: &Shop, verb: &str, group: &str, resource: &str, namespace: &str) -> bool {
    let attributes = ResourceAttributes {
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        namespace: Some(namespace.to_owned()),
        ..ResourceAttributes::default()
    };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(format!("system:serviceaccount:{}:cutover", shop.namespace)),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let api: Api<SubjectAccessReview> = Api::all(shop.client.clone());
    api.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
}

#[tokio::test]
async fn the_chart_runs_an_operator_that_carries_a_rollout_to_its_end_and_back_under_its_own_rights() {
    let shop =
        Shop::open_without_operator("chart", &[("Deployment", "api"), ("StatefulSet", "workers")]).await;
    install(&shop.namespace);
    let sizes = json!([{"kind": "Deployment", "name": "api", "sizeFrom": {"configMap": "api-db", "key": "DB_POOL_MAX"}},
        {"kind": "StatefulSet", "name": "workers", "size": 2}]);
    let load = json!({"checks": [{"name": "fits", "pool": {"workloads": sizes}}],
        "load": {"mode": "Candidate", "traffic": "reads", "rate": 100, "duration": "1s", "connections": 1, "maxLatency": {"p50": "2s"}, "maxErrorPercent": "20"},
        "soak": {"duration": "2s", "interval": "1s", "checks": [{"name": "pods", "workload": {}}]}});
    let last_soak = json!({"dependsOn": ["api"],
        "soak": {"duration": "1s", "interval": "1s", "checks": [{"name": "gone", "legacyUnused": {}}]}});
    let mut rollout =
        spec(&[with(stage("Deployment", "api"), load), with(stage("StatefulSet", "workers"), last_soak)]);
    rollout["baseline"] = json!({"traffic": "reads", "rate": 20, "duration": "1s", "connections": 1});
    shop.roll_out(rollout).await;
    shop.until_phase(Phase::Completed).await;
    assert!(shop.is_on_candidate("workers").await);
    shop.edit(json!({"activeConfig": "Legacy"})).await;
    shop.until_phase(Phase::RolledBack).await;

    // Pods that crash: the operator needs its right to delete those that a StatefulSet would keep.
    let broken = json!({"config": [{"configMap": "workers-db", "set": {"DB_POOL_MAX": {"value": "many"}}}],
        "progressDeadline": "15s"});
    let mut again = spec(&[with(stage("StatefulSet", "workers"), broken)]);
    again["rollbackWindow"] = json!("1s");
    shop.roll_out(again).await;
    shop.edit(json!({"activeConfig": "Candidate"})).await;
    shop.until("rolled back by itself", |r| {
        r.status.as_ref().is_some_and(|s| s.phase == Phase::RolledBack && s.recorded.run == 2)
    })
    .await;

    // Once more to the end of the rollback window, when the copies go.
    let mut last = spec(&[stage("StatefulSet", "workers")]);
    last["rollbackWindow"] = json!("1s");
    shop.roll_out(last).await;
    shop.until("the copies are gone", |r| {
        r.status.as_ref().is_some_and(|s| s.recorded.released_at.is_some())
    })
    .await;

    let log = operator_log(&shop).await;
    assert!(!log.contains("Forbidden") && !log.contains("forbidden"), "a right is missing: {log}");
    for secret in ["canary", "%63%61%6E", "postgresql://"] {
        assert!(!log.contains(secret), "a secret is logged");
    }
    shop.close().await;
}

#[tokio::test]
async fn the_chart_gives_no_right_beyond_what_the_operator_does() {
    let shop = Shop::open_without_operator("rights", &[]).await;
    install(&shop.namespace);
    let own = shop.namespace.as_str();
    let given = [
        ("get", "", "secrets"),
        ("patch", "apps", "deployments"),
        ("list", "apps", "deployments"),
        ("list", "", "pods"),
        ("list", "batch", "jobs"),
        ("create", "batch", "jobs"),
        ("delete", "batch", "jobs"),
        ("watch", "", "pods"),
        ("get", "", "pods/log"),
        ("list", "batch", "cronjobs"),
        ("list", "autoscaling", "horizontalpodautoscalers"),
        ("create", "coordination.k8s.io", "leases"),
    ];
    for (verb, group, resource) in given {
        assert!(may(&shop, verb, group, resource, own).await, "{verb} {resource}");
        assert!(!may(&shop, verb, group, resource, "default").await, "{verb} {resource} elsewhere");
    }
    let refused = [
        ("list", "", "secrets"),
        ("watch", "", "secrets"),
        ("update", "", "secrets"),
        ("update", "", "configmaps"),
        ("list", "", "configmaps"),
        ("delete", "", "configmaps"),
        ("create", "", "pods"),
        ("create", "", "pods/exec"),
        ("delete", "apps", "deployments"),
        ("create", "apps", "deployments"),
        ("patch", "batch", "cronjobs"),
        ("patch", "batch", "jobs"),
        ("update", "batch", "jobs"),
        ("patch", "autoscaling", "horizontalpodautoscalers"),
        ("update", "cutover.dev", "databaserollouts"),
        ("patch", "cutover.dev", "databaserollouts"),
        ("update", "coordination.k8s.io", "leases"),
        ("delete", "coordination.k8s.io", "leases"),
        ("escalate", "rbac.authorization.k8s.io", "roles"),
    ];
    for (verb, group, resource) in refused {
        assert!(!may(&shop, verb, group, resource, own).await, "{verb} {resource}");
    }
    shop.close().await;
}

/// A client with the operator's rights.
async fn as_operator(namespace: &str) -> Client {
    let mut kubeconfig = Kubeconfig::read_from(cluster::kubeconfig()).unwrap();
    for named in &mut kubeconfig.auth_infos {
        let account = format!("system:serviceaccount:{namespace}:cutover");
        named.auth_info.as_mut().unwrap().impersonate = Some(account);
    }
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

#[tokio::test]
async fn load_in_pods_needs_no_right_that_the_chart_does_not_give() {
    let shop = Shop::open_without_operator("job-rights", &[]).await;
    install(&shop.namespace);
    let namespace = Namespace { client: as_operator(&shop.namespace).await, name: shop.namespace.clone() };
    let image = PodSettings { image: "sh:dev".to_owned(), host_network: true, ..PodSettings::default() };
    let jobs = Jobs::new(Some(image));
    let map = serde_json::from_value(json!({"metadata": {"name": "owner"}})).unwrap();
    let owner: ConfigMap = shop.api().create(&PostParams::default(), &map).await.unwrap();
    let uid = owner.uid().unwrap();
    let mut framed = Vec::new();
    frame::write(&mut framed, &format!("{uid}/baseline//1"), 0, b"result").unwrap();
    let mut request = JobRequest {
        rollout: "shop".to_owned(),
        rollout_uid: uid,
        owner: owner.owner_ref(&()).unwrap(),
        attempt: AttemptId { scope: AttemptScope::Baseline, number: 1 },
        args: vec!["-c".to_owned(), "printf '%s' \"$FRAME\"".to_owned()],
        env: vec![("FRAME".to_owned(), String::from_utf8(framed).unwrap())],
        secret_env: Vec::new(),
        files: Vec::new(),
        parallelism: 1,
        resources: None,
        schedule: Duration::from_secs(30),
        deadline: Duration::from_secs(60),
        ends_all: |_| None,
    };
    assert_eq!(jobs.run_indexed(&namespace, &request, &|_| {}).await.unwrap(), [b"result"]);
    jobs.remove_leftovers(&namespace.client, std::slice::from_ref(&namespace.name)).await;

    // Why pods are missing is to be told, too.
    let quota = json!({"metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}});
    let quota: ResourceQuota = serde_json::from_value(quota).unwrap();
    shop.api().create(&PostParams::default(), &quota).await.unwrap();
    let in_force = |quota: Option<&ResourceQuota>| {
        quota.and_then(|quota| quota.status.as_ref()).is_some_and(|status| status.hard.is_some())
    };
    let waited = tokio::time::timeout(shop::PATIENCE, await_condition(shop.api(), "few", in_force)).await;
    waited.expect("it gets in force").expect("a watch");
    request.attempt.number = 2;
    let failure = jobs.run_indexed(&namespace, &request, &|_| {}).await.unwrap_err();
    assert!(
        matches!(&failure, JobFailure::PodsRefused { message } if message.contains("exceeded quota: few")),
        "{failure}"
    );
    shop.close().await;
}

#[test]
fn the_chart_is_clean_to_helms_own_eye_and_refuses_values_that_do_not_exist() {
    helm(&["lint", "--strict", CHART]);
    let rendered =
        helm(&["template", "cutover", CHART, "--namespace", "ops", "--set", "watchNamespaces={a,b}"]);
    assert_eq!(rendered.matches("\nkind: Role\n").count(), 2, "a Role a namespace");
    assert!(!rendered.contains("ClusterRole"), "rights in the whole cluster");
    assert!(rendered.contains("readOnlyRootFilesystem: true") && rendered.contains("runAsNonRoot: true"));
    assert!(rendered.contains("name: CUTOVER_IMAGE\n          value: \"cutover:"));
    assert!(rendered.contains("resources: [pods/log]"));
    let without = helm(&["template", "cutover", CHART, "--set", "rbac.loadJobs=false"]);
    for right in ["resources: [pods/log]", "verbs: [create, get, delete]", "verbs: [watch]"] {
        assert!(!without.contains(right), "{right}");
    }
    let refused = std::panic::catch_unwind(|| helm(&["template", "cutover", CHART, "--set", "imagge.tag=x"]));
    assert!(refused.is_err());
}
