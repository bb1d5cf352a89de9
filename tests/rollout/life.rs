//! From legacy to the candidate, and what a person sees of it.

use cutover::api::{ActiveNow, Phase};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use crate::shop::{PATIENCE, ROLLOUT, Shop, condition, phase_of, spec, stage, stage_of, with};

#[tokio::test]
async fn a_rollout_moves_every_kind_of_workload_and_the_application_really_is_on_the_candidate() {
    let shop = Shop::open(
        "life",
        &[("Deployment", "reports"), ("StatefulSet", "workers"), ("DaemonSet", "writers")],
    )
    .await;
    // Long enough that a machine which is busy for some seconds does not make the generator late for half of it.
    let load = json!({"mode": "Candidate", "traffic": "reads", "rate": 50, "duration": "10s", "connections": 2, "maxLatency": {"p50": "2s"}, "maxErrorPercent": "20"});
    let mut rollout = spec(&[
        with(
            stage("Deployment", "reports"),
            json!({"load": load,
            "soak": {"duration": "2s", "interval": "1s", "checks": [{"name": "pods", "workload": {}}]}}),
        ),
        with(
            stage("StatefulSet", "workers"),
            json!({"dependsOn": ["reports"], "checks": [
            {"name": "same-stock", "sql": {"query": "SELECT count(*) FROM stock", "against": "Both", "same": true}}]}),
        ),
        with(stage("DaemonSet", "writers"), json!({"dependsOn": ["workers"], "access": "ReadWrite"})),
    ]);
    rollout["baseline"] = json!({"traffic": "reads", "rate": 50, "duration": "10s", "connections": 2});
    shop.roll_out(rollout).await;
    let done = shop.until_phase(Phase::Completed).await;

    let status = done.status.clone().unwrap();
    assert_eq!((status.active_config, status.progress.as_str()), (ActiveNow::Candidate, "3/3"));
    for workload in ["reports", "workers", "writers"] {
        assert!(shop.is_on_candidate(workload).await, "{workload}");
    }
    // Not what the Secrets say: who is connected where.
    let sessions = "(SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shop' AND datname = current_database())";
    shop.legacy.execute(&format!("DO $$ BEGIN ASSERT {sessions} = 0, 'still on legacy'; END $$")).await;
    shop.candidate
        .execute(&format!("DO $$ BEGIN ASSERT {sessions} >= 3, 'not on the candidate'; END $$"))
        .await;
    shop.assert_no_acknowledged_write_is_lost();
    let baseline = status.recorded.baseline.clone().unwrap().result.unwrap();
    assert_eq!(baseline.scheduled, baseline.ok + baseline.errors + baseline.timeouts + baseline.skipped);
    assert!(baseline.p50_us.is_some_and(|p50| p50 > 0) && baseline.ok > 0);
    assert_eq!(condition(&done, "Ready"), Some(("True".into(), "Completed".into())));
    assert_eq!(condition(&done, "RollbackSafe"), Some(("False".into(), "WritesOnCandidate".into())));
    assert_eq!(condition(&done, "TLSVerified"), None, "it is verified");
    let copy = shop.api::<Secret>().get(&status.recorded.legacy.unwrap().secret_name).await.unwrap();
    assert_eq!(copy.immutable, Some(true));

    let reasons = shop.event_reasons().await;
    for reason in ["LegacyPreserved", "BaselineCaptured", "LoadPassed", "StagePromoted", "Completed"] {
        assert!(reasons.iter().any(|r| r == reason), "no event {reason}: {reasons:?}");
    }
    assert_eq!(reasons.iter().filter(|r| *r == "StageDone").count(), 3, "one a stage: {reasons:?}");
    shop.close().await;
}

#[tokio::test]
async fn a_settled_rollout_costs_no_write_and_the_operator_says_that_it_is_well() {
    let shop = Shop::open("settled", &[("Deployment", "api")]).await;
    shop.roll_out(spec(&[stage("Deployment", "api")])).await;
    let settled = shop.until_phase(Phase::Completed).await;
    // The pass whose write we saw may not have counted it yet: passes of one rollout follow each other, so it has
    // once another one has ended.
    touch_and_await_a_look(&shop, "once").await;
    let writes = shop.operator().metric("cutover_status_writes_total").await;
    touch_and_await_a_look(&shop, "twice").await;
    let after = shop.rollout().await;
    assert_eq!(after.status, settled.status);
    assert!((shop.operator().metric("cutover_status_writes_total").await - writes).abs() < 0.5);
    assert!(shop.operator().get("/livez").await.starts_with("HTTP/1.1 200"));
    assert!(shop.operator().get("/readyz").await.starts_with("HTTP/1.1 200"));
    shop.close().await;
}

/// Makes a change that concerns nothing: it wakes the operator, which looks and finds nothing to do.
async fn touch_and_await_a_look(shop: &Shop, touched: &str) {
    let looks = shop.operator().metric("cutover_pass_seconds_count").await;
    let label = json!({"metadata": {"labels": {"touched": touched}}});
    let api = shop.api::<cutover::api::DatabaseRollout>();
    api.patch(ROLLOUT, &kube::api::PatchParams::default(), &kube::api::Patch::Merge(label)).await.unwrap();
    let looked = async {
        // Each turn of this loop awaits an answer of the operator.
        while shop.operator().metric("cutover_pass_seconds_count").await < looks + 1.0 {}
    };
    tokio::time::timeout(PATIENCE, looked).await.expect("the operator looks");
}

#[tokio::test]
async fn a_rollout_waits_for_its_prerequisite_and_a_second_one_is_refused_a_key_that_the_first_holds() {
    let shop = Shop::open("two", &[("Deployment", "api"), ("Deployment", "reports")]).await;
    let mut second = spec(&[stage("Deployment", "reports")]);
    second["prerequisites"] = json!([{"name": "first", "rollout": {"name": ROLLOUT}}]);
    shop.try_roll_out("second", second).await.unwrap();
    let waiting = shop
        .until_named("second", "waits", |r| {
            crate::shop::message_of(r).contains("DatabaseRollout/shop does not exist")
        })
        .await;
    assert_eq!(phase_of(&waiting), Phase::Pending);

    shop.roll_out(spec(&[with(stage("Deployment", "api"), json!({"approval": "Manual"}))])).await;
    shop.until("shop holds its keys", |r| r.status.as_ref().is_some_and(|s| s.recorded.legacy.is_some()))
        .await;
    shop.try_roll_out("third", spec(&[stage("Deployment", "api")])).await.unwrap();
    let refused = shop
        .until_named("third", "is refused", |r| condition(r, "Accepted").is_some_and(|(s, _)| s == "False"))
        .await;
    assert_eq!(condition(&refused, "Accepted").unwrap().1, "HeldByOtherRollout");
    let message = crate::shop::message_of(&refused);
    assert!(
        message.contains("DATABASE_URL of Secret/api-db") && message.contains("DatabaseRollout/shop"),
        "{message}"
    );
    assert_eq!(stage_of(&refused, "api"), cutover::api::StagePhase::Waiting);

    shop.edit(json!({"approvedStages": ["api"]})).await;
    shop.until_phase(Phase::Completed).await;
    shop.until_named("second", "goes on", |r| phase_of(r) == Phase::Completed).await;
    shop.close().await;
}
