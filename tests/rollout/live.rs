//! What checks learn from live objects: how many pods there can be, what size their pools have, what refers to a Secret.

use cutover::{
    api::{CheckResult, DatabaseRollout, Phase, SizeReference, Verdict, WorkloadKind, WorkloadReference},
    checks::{Capacity, ClusterView, Size},
    cluster::{ClusterReader, Namespace},
};
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    autoscaling::v2::HorizontalPodAutoscaler,
    batch::v1::{CronJob, Job},
    core::v1::{ConfigMap, Pod},
};
use kube::{
    Client,
    api::{DeleteParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

use crate::{
    cluster,
    shop::{PATIENCE, Shop, message_of, spec, stage, with},
};

async fn create<K>(shop: &Shop, object: Value)
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let object = serde_json::from_value(object).expect("an object");
    shop.api::<K>().create(&PostParams::default(), &object).await.expect("it is created");
}

async fn autoscale(shop: &Shop, name: &str, max: i32) {
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": name});
    let spec = json!({"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": max});
    create::<HorizontalPodAutoscaler>(shop, json!({"metadata": {"name": name}, "spec": spec})).await;
}

fn check(rollout: &DatabaseRollout, stage: usize, name: &str) -> CheckResult {
    let stages = &rollout.status.as_ref().expect("a status").recorded.stages;
    stages[stage].checks.iter().find(|check| check.name == name).cloned().expect("the check was asked")
}

/// A reader for the first stage of that spec, as `client`.
fn reader(client: Client, shop: &Shop, spec: &Value) -> ClusterReader {
    let spec: cutover::api::DatabaseRolloutSpec = serde_json::from_value(spec.clone()).expect("a spec");
    ClusterReader::new(Namespace { client, name: shop.namespace.clone() }, &spec, &spec.stages[0])
}

fn workload(kind: WorkloadKind, name: &str) -> WorkloadReference {
    WorkloadReference { kind, name: name.to_owned() }
}

/// A pod template that is never run: no node has that label.
fn template(name: &str, container: Value) -> Value {
    let mut container =
        with(json!({"name": "c", "image": "shop:dev", "imagePullPolicy": "Never"}), container);
    container["command"] = json!(["/nowhere"]);
    json!({"metadata": {"labels": {"app": name}},
        "spec": {"containers": [container], "nodeSelector": {"no": "node"}, "restartPolicy": "Always"}})
}

fn from_legacy() -> Value {
    json!({"env": [{"name": "URL", "valueFrom": {"secretKeyRef": {"name": "old", "key": "uri"}}}]})
}

#[tokio::test]
async fn a_pool_check_counts_the_pods_that_there_can_be_and_the_size_that_the_stage_sets() {
    let shop = Shop::open("pool", &[("Deployment", "api"), ("StatefulSet", "workers")]).await;
    autoscale(&shop, "api", 4).await;
    let entry = |kind, name: &str| json!({"kind": kind, "name": name, "sizeFrom": {"configMap": format!("{name}-db"), "key": "DB_POOL_MAX"}});
    let fits = |entries: Vec<Value>| json!({"checks": [{"name": "fits", "pool": {"reserve": 0, "workloads": entries}}]});
    let second = with(stage("StatefulSet", "workers"), json!({"dependsOn": ["api"]}));
    // Nothing is said of the workers.
    let incomplete = with(stage("Deployment", "api"), fits(vec![entry("Deployment", "api")]));
    shop.roll_out(spec(&[incomplete, second.clone()])).await;
    let failed = shop.until_phase(Phase::RolledBack).await;
    let answer = check(&failed, 0, "fits");
    assert_eq!((answer.verdict, answer.findings), (Verdict::Fail, 1), "{}", answer.message);
    assert!(
        answer.message.contains("StatefulSet/workers: its pool's size is not known"),
        "{}",
        answer.message
    );

    let entries = vec![entry("Deployment", "api"), entry("StatefulSet", "workers")];
    shop.roll_out(spec(&[with(stage("Deployment", "api"), fits(entries)), second])).await;
    shop.edit(json!({"retry": "complete"})).await;
    let done = shop.until_phase(Phase::Completed).await;
    let answer = check(&done, 0, "fits");
    // The live value is 1, what the stages set is 2; a quarter of four pods on top.
    let sum = "Deployment/api 4+1 (autoscaler) pods × 1 × 2 = 10, StatefulSet/workers 1 pods × 1 × 2 = 2";
    assert!(answer.message.starts_with("12 of ") && answer.message.ends_with(sum), "{}", answer.message);
    assert_eq!(answer.verdict, Verdict::Pass, "{}", answer.message);
    shop.close().await;
}

#[tokio::test]
async fn capacity_is_read_from_every_kind_of_workload() {
    let shop = Shop::open_without_operator("capacity", &[]).await;
    let selector = |name: &str| json!({"matchLabels": {"app": name}});
    let deployment = |name: &str, strategy: Value| {
        json!({"metadata": {"name": name}, "spec": {"replicas": 3, "selector": selector(name), "strategy": strategy,
            "template": template(name, json!({}))}})
    };
    create::<Deployment>(&shop, deployment("rolling", json!({"rollingUpdate": {"maxSurge": "50%"}}))).await;
    create::<Deployment>(&shop, deployment("recreated", json!({"type": "Recreate"}))).await;
    autoscale(&shop, "rolling", 7).await;
    create::<DaemonSet>(
        &shop,
        json!({"metadata": {"name": "agents"}, "spec": {"selector": selector("agents"), "template": template("agents", json!({}))}}),
    )
    .await;
    let reader = reader(shop.client.clone(), &shop, &spec(&[stage("Deployment", "rolling")]));
    let asked = [
        workload(WorkloadKind::Deployment, "rolling"),
        workload(WorkloadKind::Deployment, "recreated"),
        workload(WorkloadKind::DaemonSet, "agents"),
    ];
    let found = reader.capacity(&asked).await.unwrap();
    let expected = [
        Capacity { replicas: 3, autoscaler_max: Some(7), surge: 4 },
        Capacity { replicas: 3, autoscaler_max: None, surge: 0 },
        Capacity { replicas: 0, autoscaler_max: None, surge: 0 },
    ];
    assert_eq!(found, expected);
    let missing = reader.capacity(&[workload(WorkloadKind::StatefulSet, "none")]).await;
    assert_eq!(missing, Err("StatefulSet/none does not exist".to_owned()));
    shop.close().await;
}

#[tokio::test]
async fn a_size_is_what_the_stages_set_else_what_is_there_and_never_a_secret() {
    let shop = Shop::open_without_operator("sizes", &[]).await;
    shop.create_secret("api-db", json!({"DB_POOL_MAX": "canary", "POOL": "7"})).await;
    create::<ConfigMap>(
        &shop,
        json!({"metadata": {"name": "api-db"}, "data": {"DB_POOL_MAX": "1", "OTHER": "5"}}),
    )
    .await;
    let more = json!({"config": [{"configMap": "api-db", "set": {"DB_POOL_MAX": {"value": "9"},
        "FROM": {"fromSecret": {"name": "api-db", "key": "POOL"}}}}], "dependsOn": ["api"], "name": "later"});
    let spec = spec(&[stage("Deployment", "api"), with(stage("Deployment", "api"), more)]);
    let reader = reader(shop.client.clone(), &shop, &spec);
    let size = async |reference: Value| {
        let reference: SizeReference = serde_json::from_value(reference).unwrap();
        reader.size(&reference).await.unwrap()
    };
    // The first stage sets 2, the second 9.
    assert_eq!(size(json!({"configMap": "api-db", "key": "DB_POOL_MAX"})).await, Size::Known(9));
    assert_eq!(size(json!({"configMap": "api-db", "key": "FROM"})).await, Size::Known(7));
    assert_eq!(size(json!({"configMap": "api-db", "key": "OTHER"})).await, Size::Known(5));
    let Size::Unknown(why) = size(json!({"secret": "api-db", "key": "DB_POOL_MAX"})).await else {
        panic!("it is no number")
    };
    assert!(why.contains("not a whole number") && !why.contains("canary"), "{why}");
    let missing = size(json!({"configMap": "none", "key": "X"})).await;
    assert!(matches!(missing, Size::Unknown(why) if why.contains("ConfigMap/none has no key X")));
    shop.close().await;
}

#[tokio::test]
async fn everything_of_the_namespace_that_refers_to_the_legacy_secret_is_found_once() {
    let shop = Shop::open_without_operator("refers", &[("StatefulSet", "workers")]).await;
    let selector = |name: &str| json!({"matchLabels": {"app": name}});
    let spec_of = |name: &str, container| json!({"replicas": 1, "selector": selector(name), "template": template(name, container)});
    create::<Deployment>(&shop, json!({"metadata": {"name": "api"}, "spec": spec_of("api", from_legacy())}))
        .await;
    create::<Deployment>(&shop, json!({"metadata": {"name": "other"}, "spec": spec_of("other", json!({}))}))
        .await;
    let mut job = template("job", from_legacy());
    job["spec"]["restartPolicy"] = json!("Never");
    let cron = json!({"metadata": {"name": "report"}, "spec": {"schedule": "0 0 1 1 *", "suspend": true,
        "jobTemplate": {"spec": {"template": job}}}});
    create::<CronJob>(&shop, cron).await;
    create::<Job>(&shop, json!({"metadata": {"name": "once"}, "spec": {"suspend": true, "template": job}}))
        .await;
    let lone = template("lone", json!({"envFrom": [{"secretRef": {"name": "old"}}]}));
    create::<Pod>(&shop, json!({"metadata": {"name": "lone"}, "spec": lone["spec"]})).await;
    // The Deployment's own pod is there before it is looked for.
    let pods = kube::api::ListParams::default().labels("app=api");
    let made = async {
        while shop.api::<Pod>().list(&pods).await.unwrap().items.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, made).await.expect("a pod");

    let reader = reader(shop.client.clone(), &shop, &spec(&[stage("StatefulSet", "workers")]));
    let references = reader.legacy_references().await.unwrap().unwrap();
    let objects: Vec<&str> = references.found.iter().map(|(object, _)| object.as_str()).collect();
    assert_eq!(objects, ["Deployment/api", "CronJob/report", "Job/once", "Pod/lone"], "{references:?}");
    assert_eq!(references.found[0].1, "containers[c].env[URL].valueFrom.secretKeyRef");
    assert_eq!(references.secret, "old");
    shop.close().await;
}

/// Somebody whom nobody has given any right.
async fn stranger() -> Client {
    let mut kubeconfig = Kubeconfig::read_from(cluster::kubeconfig()).expect("a kubeconfig");
    for user in &mut kubeconfig.auth_infos {
        if let Some(user) = &mut user.auth_info {
            user.impersonate = Some("stranger".to_owned());
        }
    }
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    Client::try_from(config.expect("a config")).expect("a client")
}

#[tokio::test]
async fn what_may_not_be_seen_is_an_error_that_names_the_right() {
    let shop = Shop::open_without_operator("blind", &[]).await;
    let reader = reader(stranger().await, &shop, &spec(&[stage("Deployment", "api")]));
    let capacity = reader.capacity(&[workload(WorkloadKind::Deployment, "api")]).await.unwrap_err();
    assert!(capacity.contains("cannot list resource \"horizontalpodautoscalers\""), "{capacity}");
    let references = reader.legacy_references().await.unwrap_err();
    assert!(references.contains("cannot list resource \"deployments\""), "{references}");
    let from = SizeReference { config_map: Some("api-db".to_owned()), secret: None, key: "X".to_owned() };
    assert!(reader.size(&from).await.unwrap_err().contains("cannot get resource \"configmaps\""));
    shop.close().await;
}

#[tokio::test]
async fn a_legacy_that_is_still_referred_to_is_in_use_and_one_that_nobody_uses_is_let_go() {
    let shop = Shop::open("unused", &[("Deployment", "api")]).await;
    let mut job = template("report", from_legacy());
    job["spec"]["restartPolicy"] = json!("Never");
    let cron = json!({"metadata": {"name": "report"}, "spec": {"schedule": "0 0 1 1 *", "suspend": true,
        "jobTemplate": {"spec": {"template": job}}}});
    create::<CronJob>(&shop, cron).await;
    let soak = json!({"soak": {"duration": "1s", "interval": "1s", "checks": [{"name": "gone", "legacyUnused": {}}]}});
    shop.roll_out(spec(&[with(stage("Deployment", "api"), soak)])).await;
    let failed = shop.until_phase(Phase::RolledBack).await;
    let answer = check(&failed, 0, "gone");
    assert_eq!(answer.verdict, Verdict::Fail, "{}", message_of(&failed));
    assert_eq!(
        answer.message,
        "CronJob/report: it refers to Secret/old in containers[c].env[URL].valueFrom.secretKeyRef"
    );
    // The application is on legacy again, so its sessions are there: they come and go with the stage.
    shop.api::<CronJob>().delete("report", &DeleteParams::default()).await.unwrap();
    shop.edit(json!({"retry": "without-the-report"})).await;
    let done = shop.until_phase(Phase::Completed).await;
    assert_eq!(check(&done, 0, "gone").verdict, Verdict::Pass);
    shop.close().await;
}

#[tokio::test]
async fn a_pool_check_that_contradicts_itself_is_refused_at_admission() {
    let shop = Shop::open_without_operator("pool-bad", &[]).await;
    let workload =
        |more: Value| json!({"workloads": [with(json!({"kind": "Deployment", "name": "api"}), more)]});
    let pooler = |more: Value| json!({"poolers": [with(json!({"name": "bouncer"}), more)]});
    let key = json!({"configMap": "api-db", "key": "DB_POOL_MAX"});
    let twice = json!({"kind": "Deployment", "name": "api", "size": 1});
    for (pool, part) in [
        (workload(json!({})), "exactly one of size and sizeFrom"),
        (workload(json!({"size": 1, "sizeFrom": key})), "exactly one of size and sizeFrom"),
        (
            workload(json!({"sizeFrom": with(key, json!({"secret": "api-db"}))})),
            "exactly one of secret and configMap",
        ),
        (workload(json!({"size": -1})), "size"),
        (workload(json!({"size": 1, "processes": 0})), "processes"),
        (pooler(json!({})), "exactly one of replicas and workload"),
        (json!({"workloads": [twice, twice]}), "duplicate entries"),
    ] {
        let checks = json!({"checks": [{"name": "fits", "pool": pool}]});
        let refused = shop.try_roll_out("bad", spec(&[with(stage("Deployment", "api"), checks)])).await;
        let told = refused.expect_err("it is refused").to_string();
        assert!(told.contains(part), "{told}");
    }
    shop.close().await;
}
