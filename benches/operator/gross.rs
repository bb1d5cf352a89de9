//! A candidate that breaks while a stage that was promoted soaks under load: from the fault to the first key that is legacy's again.
//!
//! What the load takes to see it, what the operator takes to decide, the question whether legacy serves, and the write.

use std::time::{Duration, Instant};

use cutover::api::{DatabaseRollout, Phase};
use futures::StreamExt;
use kube::Api;
use serde_json::json;

use crate::{
    figures::{Samples, Targets},
    first_key, idle,
    operator::Operator,
    shop::{Shop, phase_of, spec, stage, with},
};

/// Of each fault.
const RUNS: usize = 3;
const TARGET_SECONDS: f64 = 10.0;
/// Of the load's schedule, the warm-up included, before the fault.
const BEFORE_SECONDS: i64 = 25;

/// What a call does, and what it does when it is broken.
const WELL: &str = "PERFORM pg_sleep(0.002)";
const FAULTS: [(&str, &str); 2] = [
    ("latency doubled", "PERFORM pg_sleep(0.0045)"),
    ("5 % errors", "PERFORM pg_sleep(0.002); IF number % 20 = 0 THEN RAISE 'broken'; END IF"),
];

pub async fn run(targets: &mut Targets) {
    let shop = Shop::open_without_operator("bench-gross", &[]).await;
    first_key::furnish(&shop, "api").await;
    for database in [&shop.legacy, &shop.candidate] {
        database.execute(&function(WELL)).await;
    }
    let _operator = Operator::start_plain(&shop.namespace);
    let load = json!({"traffic": "calls", "rate": 500, "duration": "10m", "connections": 8});
    let soaked = with(stage("Deployment", "api"), json!({"soak": {"duration": "11m", "load": load}}));
    let mut rollout = spec(&[soaked]);
    let number = json!({"int": {"min": 1, "max": 1000}});
    rollout["traffic"] = json!([{"name": "calls", "statements": [{"sql": "SELECT public.answer($1)", "weight": 1, "params": [number]}]}]);
    shop.try_roll_out("shop", rollout).await.expect("admitted");

    println!("from a fault of the candidate, in a soak with load, to the first restored key");
    for (name, broken) in FAULTS {
        let mut took = Vec::new();
        for run in 0..RUNS {
            took.push(measure(&shop, &format!("{name}, {run}"), broken).await);
        }
        let took = Samples::new(took);
        println!("{name:16} median {:.1?}, worst {:.1?}", took.median(), took.max());
        let worst = took.max().as_secs_f64();
        targets.below(&format!("{name}: to the first restored key, worst"), worst, TARGET_SECONDS, "s");
    }
    shop.close().await;
}

fn function(body: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION public.answer(number int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN number; END $$"
    )
}

/// One fault, and forward again.
async fn measure(shop: &Shop, retry: &str, broken: &str) -> Duration {
    let is_loaded = |rollout: &DatabaseRollout| {
        let loads = rollout.status.iter().flat_map(|status| &status.loads);
        loads.into_iter().any(|load| load.name == "api.soak" && load.elapsed_seconds >= BEFORE_SECONDS)
    };
    shop.until_named("shop", "is loaded", is_loaded).await;
    let legacy = shop.legacy.uri();
    let mut seen = first_key::values(shop, "api-db");
    // The watch stands, and the candidate's value is there.
    while seen.next().await.expect("a watch goes on") == legacy {}
    let begun = Instant::now();
    shop.candidate.execute(&function(broken)).await;
    while seen.next().await.expect("a watch goes on") != legacy {}
    let took = begun.elapsed();
    shop.until_named("shop", "is back", |rollout| phase_of(rollout) == Phase::RolledBack).await;
    shop.candidate.execute(&function(WELL)).await;
    let api: Api<DatabaseRollout> = shop.api();
    idle::edit(&api, "shop", json!({"retry": retry})).await;
    took
}
