//! Loads of a rollout: their reports, what is seen of them while they run, and where they are held against the baseline.

use std::{
    process::{Command, Output},
    time::Instant,
};

use cutover::{
    api::{DatabaseRollout, DatabaseRolloutStatus, Phase, StagePhase, Verdict},
    load::report::LoadReport,
};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

use crate::{
    cluster,
    shop::{ROLLOUT, Shop, condition, message_of, spec, stage, stage_of, with},
};

/// A load of the candidate alone, with more, or other, fields.
fn load(fields: Value) -> Value {
    let few = json!({"mode": "Candidate", "traffic": "reads", "rate": 50, "duration": "2s", "connections": 2, "maxLatency": {"p50": "2s"}, "maxErrorPercent": "20"});
    with(few, fields)
}

fn baseline() -> Value {
    json!({"traffic": "reads", "rate": 50, "duration": "2s", "connections": 2})
}

fn recorded(rollout: &DatabaseRollout) -> DatabaseRolloutStatus {
    rollout.status.clone().unwrap_or_default()
}

fn has_failed(rollout: &DatabaseRollout) -> bool {
    rollout.status.as_ref().is_some_and(|status| status.recorded.failure.is_some())
}

/// `cutover report`, as a person with the cluster's kubeconfig runs it.
fn report(shop: &Shop, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(["report", "--namespace", &shop.namespace])
        .args(arguments)
        .env("KUBECONFIG", cluster::kubeconfig())
        .output()
        .expect("cutover runs")
}

fn complaint(output: &Output) -> String {
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn every_load_of_a_rollout_is_kept_and_shown_on_one_page() {
    let shop = Shop::open("reports", &[("Deployment", "api")]).await;
    let unknown = complaint(&report(&shop, &[ROLLOUT]));
    assert!(unknown.contains("there is no DatabaseRollout shop in namespace"), "{unknown}");
    let soak = json!({"duration": "3s", "load": load(json!({}))});
    let mut rollout =
        spec(&[with(stage("Deployment", "api"), json!({"load": load(json!({})), "soak": soak}))]);
    rollout["baseline"] = baseline();
    rollout["paused"] = json!(true);
    shop.roll_out(rollout).await;
    shop.until_phase(Phase::Paused).await;
    let early = complaint(&report(&shop, &[ROLLOUT]));
    assert!(early.contains("the first report will be that of the baseline. Now it is Paused"), "{early}");

    shop.edit(json!({"paused": false})).await;
    let status = recorded(&shop.until_phase(Phase::Completed).await).recorded;
    let (stage, last) = (&status.stages[0], status.final_validation.clone().unwrap().load.unwrap());
    let results = [
        (status.baseline.unwrap().result.unwrap(), "shop-load/baseline.json"),
        (stage.load.clone().unwrap(), "shop-load-api/api.load.json"),
        (stage.soak_load.clone().unwrap(), "shop-load-api/api.soak.json"),
        (last.clone(), "shop-load/final.json"),
    ];
    for (result, place) in results {
        assert_eq!(result.report.as_deref(), Some(place));
        let (map, key) = place.split_once('/').unwrap();
        let map = shop.api::<ConfigMap>().get(map).await.expect("the ConfigMap");
        assert_eq!(map.metadata.owner_references.clone().unwrap()[0].kind, "DatabaseRollout");
        serde_json::from_str::<LoadReport>(&map.data.unwrap()[key]).expect("a report");
    }
    assert!(matches!(last.verdict, Verdict::Pass | Verdict::Warn), "{}", last.message);
    assert!(last.message.contains("p50") && last.message.contains(" / "), "{}", last.message);

    let page = report(&shop, &[ROLLOUT]);
    let text = String::from_utf8(page.stdout).unwrap();
    for part in ["<!DOCTYPE html>", "baseline", "api.load", "api.soak", "final"] {
        assert!(text.contains(part), "{part} is not on the page");
    }
    assert!(!text.contains("canary"));
    let names = |arguments: &[&str]| {
        let output = report(&shop, arguments);
        let object: serde_json::Map<String, Value> = serde_json::from_slice(&output.stdout).expect("JSON");
        object.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(&[ROLLOUT, "-o", "json"]), ["api.load", "api.soak", "baseline", "final"]);
    assert_eq!(names(&[ROLLOUT, "-o", "json", "--stage", "api"]), ["api.load", "api.soak"]);
    let none = complaint(&report(&shop, &[ROLLOUT, "--stage", "other"]));
    assert!(none.contains("there is no stage other; the stages are api"), "{none}");
    shop.close().await;
}

#[tokio::test]
async fn a_load_is_seen_while_it_runs_and_the_status_is_not_written_more_than_every_ten_seconds() {
    let shop = Shop::open("progress", &[("Deployment", "api")]).await;
    let loaded = with(stage("Deployment", "api"), json!({"load": load(json!({"duration": "35s"}))}));
    shop.roll_out(spec(&[loaded])).await;
    shop.until_stage("api", StagePhase::Loading).await;
    let (writes, begun) = (shop.operator().metric("cutover_status_writes_total").await, Instant::now());
    let seen = shop.until("shows the load", |r| !recorded(r).loads.is_empty()).await;
    let load = recorded(&seen).loads.remove(0);
    assert_eq!((load.name.as_str(), load.duration_seconds), ("api.load", 35));
    assert!((1..35).contains(&load.elapsed_seconds), "{load:?}");
    assert!(load.ok > 0 && load.rate > 0, "{load:?}");
    let told = format!("; api.load: {} of 35 s", load.elapsed_seconds);
    assert!(message_of(&seen).contains(&told), "{}", message_of(&seen));

    let over = shop.until("has put its load on", |r| stage_of(r, "api") != StagePhase::Loading).await;
    assert!(recorded(&over).loads.is_empty(), "it is over");
    let wrote = shop.operator().metric("cutover_status_writes_total").await - writes;
    // Figures, and the writes of the promotion that may be counted by now.
    let most = begun.elapsed().as_secs_f64() / 10.0 + 4.0;
    assert!((2.0..=most).contains(&wrote), "{wrote} writes, at most {most}");
    shop.until_phase(Phase::Completed).await;
    shop.close().await;
}

#[tokio::test]
async fn a_load_that_fails_while_a_stage_soaks_puts_the_application_back() {
    let shop = Shop::open("soak-load", &[("Deployment", "api")]).await;
    let soak =
        json!({"duration": "5s", "load": load(json!({"maxLatency": {"p50": "1ms"}, "traffic": "slow"}))});
    let mut rollout = spec(&[with(stage("Deployment", "api"), json!({"soak": soak}))]);
    slow(&mut rollout);
    shop.roll_out(rollout).await;
    let failed = shop.until("fails", has_failed).await;
    let failure = recorded(&failed).recorded.failure.unwrap();
    assert_eq!(failure.reason, "SoakFailed");
    assert!(failure.message.starts_with("load: p50"), "{}", failure.message);
    shop.until_phase(Phase::RolledBack).await;
    assert!(shop.is_on_legacy("api").await);
    shop.close().await;
}

/// Adds a traffic model whose statement takes ten milliseconds at least.
fn slow(rollout: &mut Value) {
    let slow = json!({"name": "slow", "statements": [{"sql": "SELECT pg_sleep(0.01)", "weight": 1}]});
    rollout["traffic"].as_array_mut().unwrap().push(slow);
}

#[tokio::test]
async fn a_limit_that_legacy_does_not_keep_is_told_before_the_load_and_beside_its_failure() {
    let shop = Shop::open("light", &[("Deployment", "api")]).await;
    let limited = load(json!({"traffic": "slow", "maxLatency": {"p50": "1ms"}}));
    let mut rollout = spec(&[with(stage("Deployment", "api"), json!({"load": limited}))]);
    slow(&mut rollout);
    rollout["baseline"] = with(baseline(), json!({"traffic": "slow"}));
    shop.roll_out(rollout).await;
    let warned = shop.until("warns", |r| condition(r, "LimitBelowBaseline").is_some()).await;
    assert!(recorded(&warned).recorded.stages[0].load.is_none(), "the load came first");
    let failed = shop.until("fails", has_failed).await;
    let told = recorded(&failed).recorded.failure.unwrap().message;
    assert!(
        told.contains("is above 1.00 ms") && told.contains("; the baseline on legacy had p50 "),
        "{told}"
    );
    shop.until_phase(Phase::RolledBack).await;
    let reasons = shop.event_reasons().await;
    assert!(reasons.iter().any(|reason| reason == "LimitBelowBaseline"), "{reasons:?}");
    shop.close().await;
}

/// A stage whose soak is so long, with a load that is a duet unless told otherwise.
fn soaking_under_load(soak: &str, fields: Value) -> Value {
    let load = json!({"traffic": "reads", "rate": 10, "duration": "1m", "connections": 1, "maxLatency": {"p50": "2s"}, "maxErrorPercent": "20"});
    let soak = json!({"duration": soak, "load": with(load, fields)});
    spec(&[with(stage("Deployment", "api"), json!({"soak": soak}))])
}

#[tokio::test]
async fn a_soak_s_load_that_does_not_fit_or_has_no_candidate_is_refused_at_admission() {
    let shop = Shop::open_without_operator("soak-admission", &[]).await;
    for (soak, fields) in [("70s", json!({})), ("1m", json!({"mode": "Candidate"}))] {
        shop.try_roll_out("good", soaking_under_load(soak, fields)).await.expect("it just fits");
    }
    let mut settings_only = soaking_under_load("2m", json!({}));
    settings_only.as_object_mut().unwrap().remove("candidate");
    settings_only["stages"][0]["checks"] = json!([]);
    for (spec, word) in [
        (soaking_under_load("69s", json!({})), "soak.load does not fit into the soak: make soak.duration"),
        (soaking_under_load("2m", json!({"maxDuration": "2m"})), "soak.load does not fit into the soak"),
        (soaking_under_load("59s", json!({"mode": "Candidate"})), "soak.load does not fit into the soak"),
        (soaking_under_load("2m", json!({"traffic": "nothing"})), "soak.load.traffic names a traffic model"),
        (settings_only, "need spec.candidate"),
    ] {
        let answer = shop.try_roll_out("bad", spec).await;
        let Err(kube::Error::Api(status)) = answer else { panic!("admitted, and not refused with {word}") };
        assert!(status.message.contains(word), "{word}: {}", status.message);
    }
    shop.close().await;
}
