//! What checks are asked when, how often they may fail, and where their whole answers are.

use cutover::{
    api::{CheckResult, DatabaseRollout, Phase, StagePhase, Verdict},
    checks::CheckReport,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    ResourceExt,
    api::{DeleteParams, PostParams},
    runtime::wait::{await_condition, conditions},
};
use serde_json::{Value, json};

use crate::{
    http_server::{Act, HttpServer},
    shop::{PATIENCE, ROLLOUT, Shop, condition, message_of, phase_of, spec, stage, with},
};

/// A stage that is watched for five seconds, with an endpoint asked every second.
fn watched(server: &HttpServer, failure_limit: i32) -> Value {
    let health =
        json!({"name": "health", "failureLimit": failure_limit, "http": {"url": server.url("/healthz")}});
    let soak = json!({"duration": "5s", "interval": "1s", "checks": [health]});
    with(stage("Deployment", "api"), json!({"soak": soak}))
}

fn result_of<'a>(rollout: &'a DatabaseRollout, check: &str) -> &'a CheckResult {
    let stages = &rollout.status.as_ref().unwrap().recorded.stages;
    stages[0].checks.iter().find(|result| result.name == check).expect("the check was asked")
}

#[tokio::test]
async fn a_rollout_waits_for_the_endpoint_that_it_needs() {
    let server = HttpServer::that_in_turn(vec![Act::answer(503, "canary"), Act::answer(200, "")]).await;
    let shop = Shop::open("prerequisite", &[("Deployment", "api")]).await;
    let mut rollout = spec(&[stage("Deployment", "api")]);
    rollout["prerequisites"] = json!([{"name": "api-is-up", "http": {"url": server.url("/healthz")}}]);
    shop.roll_out(rollout).await;
    let waiting = shop.until("waits", |r| message_of(r).contains("answers 503")).await;
    assert_eq!(phase_of(&waiting), Phase::Pending);
    assert_eq!(condition(&waiting, "Stalled"), Some(("True".into(), "PrerequisiteUnmet".into())));
    assert!(message_of(&waiting).contains("prerequisite api-is-up"), "{}", message_of(&waiting));
    assert!(waiting.status.unwrap().recorded.legacy.is_none(), "preserved before the prerequisites held");

    let done = shop.until_phase(Phase::Completed).await;
    let record = done.status.unwrap().recorded.prerequisites.unwrap();
    assert_eq!((record.attempt, record.checks[0].verdict), (2, Verdict::Pass));
    assert_eq!(server.requests().len(), 2);
    let reasons = shop.event_reasons().await;
    for reason in ["PrerequisiteUnmet", "PrerequisitesMet"] {
        assert!(reasons.iter().any(|r| r == reason), "no event {reason}: {reasons:?}");
    }
    shop.close().await;
}

#[tokio::test]
async fn a_soak_forgives_as_many_rounds_as_its_check_allows_and_no_more() {
    let (well, ill) = (Act::answer(200, ""), Act::answer(503, "canary"));
    let forgiven = HttpServer::that_in_turn(vec![well.clone(), ill.clone(), well]).await;
    let shop = Shop::open("soak-limit", &[("Deployment", "api")]).await;
    shop.roll_out(spec(&[watched(&forgiven, 1)])).await;
    let done = shop.until_phase(Phase::Completed).await;
    let health = result_of(&done, "health");
    assert_eq!(health.verdict, Verdict::Pass);
    assert!(health.message.starts_with("1 of "), "{}", health.message);
    assert!(
        health.message.contains("rounds failed, at most 1 may; the last of them: "),
        "{}",
        health.message
    );
    assert!(health.samples >= 3, "{health:?}");

    shop.edit(json!({"activeConfig": "Legacy"})).await;
    shop.until_phase(Phase::RolledBack).await;
    let never = HttpServer::that(ill).await;
    let mut again = spec(&[watched(&never, 1)]);
    again["activeConfig"] = json!("Candidate");
    shop.edit(again).await;
    let back = shop.until("fails", |r| r.status.as_ref().is_some_and(|s| s.recorded.failure.is_some())).await;
    let failure = back.status.unwrap().recorded.failure.unwrap();
    assert_eq!(failure.reason, "SoakFailed");
    assert!(failure.message.contains("2 of 2 rounds failed, at most 1 may"), "{}", failure.message);
    assert_eq!(never.requests().len(), 2);
    shop.until_phase(Phase::RolledBack).await;
    shop.close().await;
}

#[tokio::test]
async fn an_endpoint_that_says_nothing_holds_up_no_rollback() {
    let server = HttpServer::that(Act::Silent).await;
    let shop = Shop::open("silent", &[("Deployment", "api")]).await;
    let health = json!({"name": "health", "timeout": "1h", "http": {"url": server.url("/healthz")}});
    let soak = json!({"soak": {"duration": "1h", "checks": [health]}});
    shop.roll_out(spec(&[with(stage("Deployment", "api"), soak)])).await;
    shop.until_stage("api", StagePhase::Soaking).await;
    tokio::time::timeout(PATIENCE, server.is_asked()).await.expect("the endpoint is asked");
    shop.edit(json!({"activeConfig": "Legacy"})).await;
    shop.until_phase(Phase::RolledBack).await;
    assert!(shop.is_on_legacy("api").await);
    shop.close().await;
}

#[tokio::test]
async fn the_whole_reports_are_in_a_config_map_that_goes_with_the_rollout() {
    let server = HttpServer::that(Act::answer(200, "")).await;
    let shop = Shop::open("reports", &[("Deployment", "api")]).await;
    shop.roll_out(spec(&[watched(&server, 0)])).await;
    let done = shop.until_phase(Phase::Completed).await;

    let map = shop.api::<ConfigMap>().get("shop-checks").await.expect("the reports");
    let data = map.data.clone().unwrap();
    let keys: Vec<&str> = data.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["api.reachable.json", "api.way-back.json", "final.api.reachable.json", "soak.api.health.json"]
    );
    for (key, text) in &data {
        let report: CheckReport = serde_json::from_str(text).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!(report.verdict, Verdict::Pass, "{key}");
        assert!(!text.contains("canary"), "{text}");
    }
    assert_eq!(map.owner_references()[0].uid, done.uid().unwrap());
    assert_eq!(map.labels()["app.kubernetes.io/managed-by"], "cutover");
    assert_eq!(result_of(&done, "reachable").report.as_deref(), Some("shop-checks/api.reachable.json"));
    assert_eq!(result_of(&done, "health").report.as_deref(), Some("shop-checks/soak.api.health.json"));
    let validation = done.status.unwrap().recorded.final_validation.unwrap();
    assert_eq!(validation.checks[0].report.as_deref(), Some("shop-checks/final.api.reachable.json"));

    shop.api::<DatabaseRollout>().delete(ROLLOUT, &DeleteParams::default()).await.unwrap();
    let uid = map.uid().unwrap();
    let gone = await_condition(shop.api::<ConfigMap>(), "shop-checks", conditions::is_deleted(&uid));
    tokio::time::timeout(PATIENCE, gone).await.expect("it goes with the rollout").expect("a watch");
    shop.close().await;
}

#[tokio::test]
async fn reports_that_cannot_be_written_hold_nothing_up_and_overwrite_nothing() {
    let shop = Shop::open("foreign-reports", &[("Deployment", "api")]).await;
    let foreign: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "shop-checks"}, "data": {"mine": "1"}})).unwrap();
    shop.api::<ConfigMap>().create(&PostParams::default(), &foreign).await.unwrap();
    shop.roll_out(spec(&[stage("Deployment", "api")])).await;
    let done = shop.until_phase(Phase::Completed).await;
    assert_eq!(result_of(&done, "reachable").report, None);
    let map = shop.api::<ConfigMap>().get("shop-checks").await.unwrap();
    assert_eq!(map.data, foreign.data);
    assert!(shop.operator().log().contains("the whole reports of the checks could not be written"));
    shop.close().await;
}
