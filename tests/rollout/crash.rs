//! `kill -9` of the operator in each phase: after its restart it goes on, and ends in the same place.

use cutover::api::{Phase, RollbackPhase, StagePhase};
use serde_json::{Value, json};

use crate::shop::{Shop, spec, stage, with};

/// Lingers in each phase just long enough to be killed there.
fn lingering() -> Value {
    with(
        stage("Deployment", "api"),
        json!({
            "checks": [{"name": "slow", "sql": {"query": "SELECT 1 FROM pg_sleep(1)", "equals": "1"}}],
            "load": {"mode": "Candidate", "traffic": "reads", "rate": 50, "duration": "2s", "connections": 1, "maxLatency": {"p50": "2s"}, "maxErrorPercent": "20"},
            "soak": {"duration": "3s", "interval": "1s", "checks": [{"name": "pods", "workload": {"maxRestarts": 5}}]}}),
    )
}

async fn goes_on_after_a_kill_in(phase: StagePhase, purpose: &str) {
    let mut shop = Shop::open(purpose, &[("Deployment", "api")]).await;
    shop.roll_out(spec(&[lingering()])).await;
    let before = shop.until_stage("api", phase).await.status.unwrap().recorded;
    shop.operator_mut().kill();
    shop.operator_mut().start_again();
    let done = shop.until_phase(Phase::Completed).await.status.unwrap().recorded;
    assert!(shop.is_on_candidate("api").await);
    assert_eq!(
        before.legacy.unwrap().digest,
        done.legacy.unwrap().digest,
        "the copy is the one that was taken first"
    );
    assert!(done.stages[0].attempt >= before.stages[0].attempt);
    assert_eq!(done.run, 1);
    shop.close().await;
}

#[tokio::test]
async fn killed_while_checks_run() {
    goes_on_after_a_kill_in(StagePhase::Checking, "kill-checking").await;
}

#[tokio::test]
async fn killed_while_load_runs() {
    goes_on_after_a_kill_in(StagePhase::Loading, "kill-loading").await;
}

#[tokio::test]
async fn killed_while_a_stage_is_promoted() {
    goes_on_after_a_kill_in(StagePhase::Promoting, "kill-promoting").await;
}

#[tokio::test]
async fn killed_while_a_stage_soaks() {
    goes_on_after_a_kill_in(StagePhase::Soaking, "kill-soaking").await;
}

#[tokio::test]
async fn killed_while_legacy_is_measured() {
    let mut shop = Shop::open("kill-baseline", &[("Deployment", "api")]).await;
    let mut rollout = spec(&[stage("Deployment", "api")]);
    rollout["baseline"] = json!({"traffic": "reads", "rate": 20, "duration": "3s", "connections": 1});
    shop.roll_out(rollout).await;
    shop.until_phase(Phase::Baselining).await;
    shop.operator_mut().kill();
    shop.operator_mut().start_again();
    let done = shop.until_phase(Phase::Completed).await.status.unwrap().recorded;
    assert!(done.baseline.unwrap().attempt >= 2, "half a measurement counts for nothing");
    shop.close().await;
}

#[tokio::test]
async fn killed_while_it_rolls_back() {
    let mut shop = Shop::open("kill-back", &[("Deployment", "api"), ("Deployment", "reports")]).await;
    shop.roll_out(spec(&[stage("Deployment", "reports"), stage("Deployment", "api")])).await;
    shop.until_phase(Phase::Completed).await;
    shop.edit(json!({"activeConfig": "Legacy"})).await;
    let restoring = |rollout: &cutover::api::DatabaseRollout| {
        let rollback = rollout.status.as_ref().and_then(|status| status.recorded.rollback.as_ref());
        rollback.is_some_and(|rollback| rollback.phase == RollbackPhase::Restoring)
    };
    shop.until("restoring", restoring).await;
    shop.operator_mut().kill();
    shop.operator_mut().start_again();
    shop.until_phase(Phase::RolledBack).await;
    assert!(shop.is_on_legacy("api").await && shop.is_on_legacy("reports").await);
    shop.close().await;
}
