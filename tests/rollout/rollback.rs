//! The way back: by itself, and by an edit of the spec at every moment.

use cutover::api::{ActiveNow, Phase, RollbackTrigger, StagePhase};
use serde_json::{Value, json};

use crate::{
    postgres::Server,
    shop::{Shop, condition, message_of, spec, stage, with},
};

/// A stage that lingers in every phase: a test can act in each.
fn lingering() -> Value {
    with(
        stage("Deployment", "api"),
        json!({
            "checks": [{"name": "slow", "sql": {"query": "SELECT 1 FROM pg_sleep(3)", "equals": "1"}}],
            "load": {"mode": "Candidate", "traffic": "reads", "rate": 50, "duration": "4s", "connections": 1, "maxLatency": {"p50": "2s"}, "maxErrorPercent": "20"},
            "soak": {"duration": "1h", "interval": "1s", "checks": [{"name": "pods", "workload": {"maxRestarts": 5}}]}}),
    )
}

async fn rolls_back_from(phase: StagePhase, purpose: &str) {
    let shop = Shop::open(purpose, &[("Deployment", "api")]).await;
    shop.roll_out(spec(&[lingering()])).await;
    shop.until_stage("api", phase).await;
    shop.edit(json!({"activeConfig": "Legacy"})).await;
    let back = shop.until_phase(Phase::RolledBack).await;
    let rollback = back.status.clone().unwrap().recorded.rollback.unwrap();
    assert_eq!(rollback.trigger, RollbackTrigger::Commanded);
    assert!(rollback.duration_ms.is_some());
    assert!(shop.is_on_legacy("api").await);
    assert_eq!(back.status.clone().unwrap().active_config, ActiveNow::Legacy);
    // Whatever ran is over: no session of cutover is left on the candidate.
    let left = "DO $$ BEGIN FOR i IN 1..200 LOOP
        PERFORM pg_stat_clear_snapshot();
        EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'cutover/%' AND datname = current_database());
        PERFORM pg_sleep(0.05); END LOOP;
        ASSERT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'cutover/%' AND datname = current_database());
        END $$";
    shop.candidate.execute(left).await;
    shop.close().await;
}

#[tokio::test]
async fn the_rollback_edit_is_acted_on_while_checks_run() {
    rolls_back_from(StagePhase::Checking, "checking").await;
}

#[tokio::test]
async fn the_rollback_edit_is_acted_on_while_load_runs() {
    rolls_back_from(StagePhase::Loading, "loading").await;
}

#[tokio::test]
async fn the_rollback_edit_is_acted_on_while_a_stage_is_promoted() {
    rolls_back_from(StagePhase::Promoting, "promoting").await;
}

#[tokio::test]
async fn the_rollback_edit_is_acted_on_while_a_stage_soaks() {
    rolls_back_from(StagePhase::Soaking, "soaking").await;
}

#[tokio::test]
async fn a_completed_rollout_goes_back_and_forth_by_editing_its_spec() {
    let shop = Shop::open("forth", &[("Deployment", "api"), ("Deployment", "reports")]).await;
    shop.roll_out(spec(&[
        stage("Deployment", "reports"),
        with(stage("Deployment", "api"), json!({"dependsOn": ["reports"]})),
    ]))
    .await;
    shop.until_phase(Phase::Completed).await;
    shop.edit(json!({"activeConfig": "Legacy"})).await;
    let back = shop.until_phase(Phase::RolledBack).await;
    assert!(shop.is_on_legacy("api").await && shop.is_on_legacy("reports").await);
    assert!(message_of(&back).contains("verified against the preserved digest"), "{}", message_of(&back));
    assert_eq!(condition(&back, "Ready"), Some(("True".into(), "RolledBack".into())));
    shop.assert_no_acknowledged_write_is_lost();
    shop.edit(json!({"activeConfig": "Candidate"})).await;
    let again = shop.until_phase(Phase::Completed).await;
    assert_eq!(again.status.unwrap().recorded.run, 2);
    assert!(shop.is_on_candidate("api").await);
    shop.close().await;
}

#[tokio::test]
async fn a_failed_check_puts_promoted_stages_back_by_itself_and_stays_there() {
    let shop = Shop::open("failing", &[("Deployment", "api"), ("Deployment", "reports")]).await;
    shop.candidate.execute("UPDATE stock SET quantity = -1 WHERE sku = 7").await;
    let no_negative = json!({"dependsOn": ["reports"], "checks": [
        {"name": "no-negative-stock", "sql": {"query": "SELECT count(*) FROM stock WHERE quantity < 0", "equals": "0"}}]});
    shop.roll_out(spec(&[stage("Deployment", "reports"), with(stage("Deployment", "api"), no_negative)]))
        .await;
    let back = shop.until_phase(Phase::RolledBack).await;
    assert!(shop.is_on_legacy("reports").await && shop.is_on_legacy("api").await);
    let failure = back.status.clone().unwrap().recorded.failure.unwrap();
    assert_eq!((failure.stage.as_str(), failure.reason.as_str()), ("api", "CheckFailed"));
    let api = back.status.clone().unwrap().recorded.stages.into_iter().find(|s| s.name == "api").unwrap();
    assert_eq!(
        (api.checks[0].measured.as_deref(), api.checks[0].expected.as_deref()),
        (Some("1"), Some("0"))
    );

    // Mended, and told so.
    shop.candidate.execute("UPDATE stock SET quantity = 1 WHERE sku = 7").await;
    let latched = shop.until("latched", |r| condition(r, "Stalled").is_some()).await;
    assert!(message_of(&latched).contains("spec.retry"), "{}", message_of(&latched));
    shop.edit(json!({"retry": "mended"})).await;
    shop.until_phase(Phase::Completed).await;
    shop.close().await;
}

#[tokio::test]
async fn a_candidate_that_dies_while_a_stage_soaks_is_left_by_itself() {
    let candidate: &'static Server = Box::leak(Box::new(Server::start("dying")));
    let shop = Shop::open_with("dying", &[("Deployment", "api")], candidate).await;
    let soak = json!({"soak": {"duration": "1h", "interval": "1s", "checks": [{"name": "reachable", "connectivity": {}}]}});
    shop.roll_out(spec(&[with(stage("Deployment", "api"), soak)])).await;
    shop.until_stage("api", StagePhase::Soaking).await;
    candidate.stop();
    let back = shop.until_phase(Phase::RolledBack).await;
    assert_eq!(back.status.clone().unwrap().recorded.failure.unwrap().reason, "SoakFailed");
    assert_eq!(back.status.unwrap().recorded.rollback.unwrap().trigger, RollbackTrigger::Automatic);
    assert!(shop.is_on_legacy("api").await);
    shop.close().await;
}

#[tokio::test]
async fn pods_that_crash_on_the_candidate_are_replaced_by_legacy_ones_even_in_a_stateful_set() {
    let shop = Shop::open("crashing", &[("StatefulSet", "workers")]).await;
    let broken = json!({"config": [{"configMap": "workers-db", "set": {"DB_POOL_MAX": {"value": "many"}}}], "progressDeadline": "20s"});
    shop.roll_out(spec(&[with(stage("StatefulSet", "workers"), broken)])).await;
    let back = shop.until_phase(Phase::RolledBack).await;
    assert_eq!(back.status.unwrap().recorded.failure.unwrap().reason, "RestartFailed");
    assert!(shop.is_on_legacy("workers").await);
    shop.close().await;
}

#[tokio::test]
async fn load_beyond_its_limit_fails_the_stage_before_anything_is_written() {
    let shop = Shop::open("overload", &[("Deployment", "api")]).await;
    let load = json!({"load": {"mode": "Candidate", "traffic": "reads", "rate": 100, "duration": "2s", "connections": 1, "maxLatency": {"p50": "1ms"}, "maxErrorPercent": "20"}});
    let mut rollout = spec(&[with(stage("Deployment", "api"), load)]);
    rollout["traffic"][0]["statements"][0] = json!({"sql": "SELECT 1 FROM pg_sleep(0.02)", "weight": 1});
    shop.roll_out(rollout).await;
    let back = shop.until_phase(Phase::RolledBack).await;
    assert_eq!(back.status.unwrap().recorded.failure.unwrap().reason, "LoadFailed");
    assert!(shop.is_on_legacy("api").await);
    shop.close().await;
}
