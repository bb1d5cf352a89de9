//! Everything else that a person commands by the spec.

use cutover::api::{Phase, StagePhase};
use serde_json::json;

use crate::shop::{Shop, condition, message_of, spec, stage, stage_of, with};

#[tokio::test]
async fn a_pause_holds_and_lets_go() {
    let shop = Shop::open("pause", &[("Deployment", "api")]).await;
    let mut rollout = spec(&[stage("Deployment", "api")]);
    rollout["paused"] = json!(true);
    shop.roll_out(rollout).await;
    let paused = shop.until_phase(Phase::Paused).await;
    assert!(message_of(&paused).contains("spec.paused"));
    assert!(shop.is_on_legacy("api").await);
    shop.edit(json!({"paused": false})).await;
    shop.until_phase(Phase::Completed).await;
    shop.close().await;
}

#[tokio::test]
async fn a_stage_with_manual_approval_waits_for_its_name() {
    let shop = Shop::open("approve", &[("Deployment", "api")]).await;
    shop.roll_out(spec(&[with(stage("Deployment", "api"), json!({"approval": "Manual"}))])).await;
    let waiting = shop.until_stage("api", StagePhase::AwaitingApproval).await;
    assert!(message_of(&waiting).contains("spec.approvedStages"), "{}", message_of(&waiting));
    assert!(shop.is_on_legacy("api").await);
    shop.edit(json!({"approvedStages": ["api"]})).await;
    let done = shop.until_phase(Phase::Completed).await;
    assert_eq!(done.status.unwrap().recorded.stages[0].attempt, 1, "an approval voids no evidence");
    shop.close().await;
}

#[tokio::test]
async fn a_failure_with_hold_keeps_what_is_promoted_until_retry() {
    let shop = Shop::open("hold", &[("Deployment", "api"), ("Deployment", "reports")]).await;
    let failing = json!({"dependsOn": ["reports"], "onFailure": "Hold",
        "checks": [{"name": "orders", "sql": {"query": "SELECT count(*) FROM missing", "equals": "0"}}]});
    shop.roll_out(spec(&[stage("Deployment", "reports"), with(stage("Deployment", "api"), failing)])).await;
    let held = shop.until_phase(Phase::Held).await;
    assert!(shop.is_on_candidate("reports").await && shop.is_on_legacy("api").await);
    assert_eq!(condition(&held, "Stalled"), Some(("True".into(), "Held".into())));
    shop.candidate.execute("CREATE TABLE missing (); GRANT SELECT ON missing TO public").await;
    shop.edit(json!({"retry": "1"})).await;
    let done = shop.until_phase(Phase::Completed).await;
    assert_eq!(done.status.unwrap().recorded.run, 1, "it went on where it was held");
    shop.close().await;
}

#[tokio::test]
async fn an_edit_in_the_middle_of_a_stage_voids_its_evidence() {
    let shop = Shop::open("edit", &[("Deployment", "api")]).await;
    let slow =
        json!({"checks": [{"name": "slow", "sql": {"query": "SELECT 1 FROM pg_sleep(2)", "equals": "1"}}]});
    shop.roll_out(spec(&[with(stage("Deployment", "api"), slow)])).await;
    shop.until_stage("api", StagePhase::Checking).await;
    let edited = stage("Deployment", "api");
    shop.roll_out(spec(&[with(edited, json!({"checks": [{"name": "fast", "connectivity": {}}]}))])).await;
    let done = shop.until_phase(Phase::Completed).await;
    let record = done.status.clone().unwrap().recorded.stages[0].clone();
    assert_eq!((record.attempt, record.checks[0].name.as_str()), (2, "fast"));
    assert_eq!(stage_of(&done, "api"), StagePhase::Done);
    shop.close().await;
}
