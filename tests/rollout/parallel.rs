//! Load by pods of cutover's own image: one schedule, carried out together, and judged as a whole or not at all.

use cutover::{
    api::{DatabaseRollout, LoadResult, StagePhase, Verdict},
    load::report::LoadReport,
};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ConfigMap, ResourceQuota},
};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::shop::{PATIENCE, ROLLOUT, Shop, message_of, spec, stage, with};

/// A stage whose load is carried out by that many pods.
fn loaded(parallelism: i32, fields: Value) -> Value {
    let load = json!({"traffic": "reads", "rate": 120, "duration": "1m", "connections": 4, "parallelism": parallelism});
    with(stage("Deployment", "api"), json!({"load": with(load, fields), "onFailure": "Hold"}))
}

/// The stage's load and its whole report, once there is one.
async fn measured(shop: &Shop) -> (LoadResult, LoadReport) {
    let load = |rollout: &DatabaseRollout| rollout.status.as_ref()?.recorded.stages.first()?.load.clone();
    let rollout = shop.until("its load was measured", |rollout| load(rollout).is_some()).await;
    let result = load(&rollout).unwrap();
    let place = result.report.clone().expect("a report");
    let (map, key) = place.split_once('/').unwrap();
    let map = shop.api::<ConfigMap>().get(map).await.expect("the ConfigMap");
    (result, serde_json::from_str(&map.data.unwrap()[key]).expect("a report"))
}

async fn jobs(shop: &Shop) -> Vec<Job> {
    shop.api::<Job>().list(&ListParams::default()).await.unwrap().items
}

#[tokio::test]
async fn pods_carry_one_schedule_out_together_and_it_is_judged_as_a_whole() {
    let shop = Shop::open("parallel", &[("Deployment", "api")]).await;
    shop.roll_out(spec(&[loaded(
        3,
        json!({"mode": "Candidate", "duration": "5s", "maxLatency": {"p50": "2s"}, "maxErrorPercent": "1"}),
    )]))
    .await;
    let (result, report) = measured(&shop).await;
    assert_eq!(result.verdict, Verdict::Pass, "{}", result.message);
    assert_eq!((report.settings.parallelism, report.seed), (3, result.seed.cast_unsigned()));
    let arm = report.arms.candidate.as_ref().unwrap();
    assert_eq!(
        (arm.scheduled, arm.ok),
        (result.scheduled.cast_unsigned(), arm.scheduled),
        "{}",
        result.message
    );
    // 600 arrivals on average: a third of them would be what one pod alone was to send.
    assert!((450..750).contains(&arm.scheduled), "{}", arm.scheduled);
    assert_eq!(arm.seconds.iter().map(|second| second.ok).sum::<u64>(), arm.ok);
    assert!(jobs(&shop).await.is_empty(), "nothing of it is left");
    shop.until_phase(cutover::api::Phase::Completed).await;
    shop.close().await;
}

#[tokio::test]
async fn a_duet_by_pods_compares_what_all_of_them_saw_together() {
    let shop = Shop::open("parallel-duet", &[("Deployment", "api")]).await;
    shop.roll_out(spec(&[loaded(2, json!({}))])).await;
    let seen = |rollout: &DatabaseRollout| rollout.status.as_ref()?.loads.first().cloned();
    let running = shop.until("how far it is is told", |rollout| seen(rollout).is_some()).await;
    let progress = seen(&running).unwrap();
    // One pod alone sends 60 a second.
    assert!((80..160).contains(&progress.rate), "{progress:?}");
    let told = [progress.legacy, progress.candidate].map(|side| side.and_then(|side| side.p95_us));
    assert!(told.iter().all(Option::is_some), "{progress:?}");
    let (result, report) = measured(&shop).await;
    // Whether two servers on a busy machine are alike is not asked here: that it was told from both pods' calls is.
    assert_ne!(result.verdict, Verdict::Error, "{}", result.message);
    assert_eq!(report.settings.parallelism, 2);
    let (legacy, candidate) = (report.arms.legacy.as_ref().unwrap(), report.arms.candidate.as_ref().unwrap());
    assert!((6_400..8_000).contains(&(legacy.scheduled + candidate.scheduled)), "{}", report.message);
    assert!(legacy.scheduled.abs_diff(candidate.scheduled) < 500);
    // Beside other tests the noise may last so long that a minute has too few independent blocks.
    let has_p50 = report.comparison.iter().any(|row| row.class == "all" && row.percentile == "p50");
    assert!(has_p50 || report.message.contains("all statements: p50 too few blocks"), "{}", report.message);
    shop.close().await;
}

#[tokio::test]
async fn the_rollback_edit_ends_the_pods_of_a_load() {
    let shop = Shop::open("parallel-edit", &[("Deployment", "api")]).await;
    shop.roll_out(spec(&[loaded(2, json!({"duration": "10m"}))])).await;
    shop.until_stage("api", StagePhase::Loading).await;
    let running = async {
        // Each turn of these loops awaits an answer of the API server.
        while jobs(&shop).await.first().and_then(|job| job.status.as_ref()?.active) != Some(2) {}
        shop.edit(json!({"activeConfig": "Legacy"})).await;
        while !jobs(&shop).await.is_empty() {}
    };
    tokio::time::timeout(PATIENCE, running).await.expect("the Job comes and goes");
    assert!(shop.is_on_legacy("api").await);
    shop.close().await;
}

#[tokio::test]
async fn a_rollout_that_is_being_deleted_has_no_load_whoever_still_holds_it() {
    let shop = Shop::open("parallel-held", &[("Deployment", "api")]).await;
    shop.roll_out(spec(&[loaded(2, json!({"duration": "10m"}))])).await;
    let rollouts = shop.api::<DatabaseRollout>();
    let hold = |finalizers: Value| Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    let held = hold(json!(["example.org/held"]));
    rollouts.patch(ROLLOUT, &PatchParams::default(), &held).await.expect("it is held");
    shop.until_stage("api", StagePhase::Loading).await;
    let ended = async {
        // Each turn of these loops awaits an answer of the API server.
        while jobs(&shop).await.is_empty() {}
        rollouts.delete(ROLLOUT, &DeleteParams::default()).await.expect("a deletion");
        while !jobs(&shop).await.is_empty() {}
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("the Job comes and goes");
    assert!(shop.rollout().await.metadata.deletion_timestamp.is_some(), "it is still held");
    rollouts.patch(ROLLOUT, &PatchParams::default(), &hold(json!(null))).await.expect("it goes");
    shop.close().await;
}

#[tokio::test]
async fn pods_that_a_quota_refuses_are_no_verdict_and_the_reason_is_told() {
    let shop = Shop::open("parallel-quota", &[("Deployment", "api")]).await;
    let quota = json!({"metadata": {"name": "no-jobs"}, "spec": {"hard": {"count/jobs.batch": "0"}}});
    let quotas = shop.api::<ResourceQuota>();
    quotas.create(&PostParams::default(), &serde_json::from_value(quota).unwrap()).await.unwrap();
    let counted = async {
        // It counts nothing before its status says so. Each turn awaits an answer of the API server.
        while quotas.get("no-jobs").await.unwrap().status.and_then(|status| status.hard).is_none() {}
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("the quota is counted");
    shop.roll_out(spec(&[loaded(2, json!({}))])).await;
    let refused = shop.until("is refused", |rollout| message_of(rollout).contains("was refused")).await;
    assert!(message_of(&refused).contains("no-jobs"), "{}", message_of(&refused));
    assert!(shop.is_on_legacy("api").await);
    shop.close().await;
}
