//! The validation checks as a gate: what a DBA would find after the move keeps the stage on legacy before it.

use cutover::{
    api::{CheckResult, DatabaseRollout, Phase, Verdict},
    checks::CheckReport,
};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

use crate::shop::{Shop, message_of, phase_of, spec, stage, with};

/// Everything that can be asked of two databases that nothing replicates between.
fn validated() -> Value {
    let pool = json!({"workloads": [{"kind": "Deployment", "name": "api",
        "sizeFrom": {"configMap": "api-db", "key": "DB_POOL_MAX"}}]});
    let checks = json!([
        {"name": "server", "server": {}},
        {"name": "schema", "schema": {}},
        {"name": "stock", "data": {"mode": "Full", "tables": ["public.stock"]}},
        {"name": "privileges", "privileges": {}},
        {"name": "plans", "plans": {"traffic": "reads"}},
        {"name": "pool", "pool": pool},
        {"name": "activity", "severity": "Warn", "activity": {}},
    ]);
    with(stage("Deployment", "api"), json!({"checks": checks}))
}

fn results(rollout: &DatabaseRollout) -> Vec<CheckResult> {
    rollout.status.as_ref().unwrap().recorded.stages[0].checks.clone()
}

async fn report(shop: &Shop, key: &str) -> CheckReport {
    let map = shop.api::<ConfigMap>().get("shop-checks").await.expect("the reports");
    let data = map.data.unwrap_or_default();
    let text = data.get(key).unwrap_or_else(|| panic!("no {key} among {:?}", data.keys()));
    assert!(!text.contains("canary"), "{text}");
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{key}: {error}"))
}

#[tokio::test]
async fn what_would_break_after_the_move_keeps_the_stage_on_legacy_until_it_is_mended() {
    let shop = Shop::open("validation", &[("Deployment", "api")]).await;
    // What a restored copy looks like when it was taken without its indexes, and one row late.
    shop.legacy.execute("CREATE INDEX orders_by_customer ON orders (customer)").await;
    shop.legacy.execute("UPDATE stock SET quantity = quantity + 1 WHERE sku = 7").await;
    for database in [&shop.legacy, &shop.candidate] {
        database.execute("ANALYZE").await;
    }
    shop.roll_out(spec(&[validated()])).await;
    let failed =
        shop.until("fails", |r| r.status.as_ref().is_some_and(|s| s.recorded.failure.is_some())).await;
    let failure = failed.status.unwrap().recorded.failure.unwrap();
    assert_eq!(failure.reason, "CheckFailed");
    for part in ["check schema", "orders_by_customer", "check stock", "public.stock"] {
        assert!(failure.message.contains(part), "{part:?} is not in {}", failure.message);
    }
    let back = shop.until_phase(Phase::RolledBack).await;
    assert!(shop.is_on_legacy("api").await);
    let of = |name: &str| results(&back).into_iter().find(|result| result.name == name).unwrap();
    assert_eq!(of("stock").report.as_deref(), Some("shop-checks/api.stock.json"));
    assert_eq!((of("schema").verdict, of("stock").verdict), (Verdict::Fail, Verdict::Fail));
    let rows = report(&shop, "api.stock.json").await;
    assert_eq!(rows.findings[0].evidence["keys"], json!([["7"]]), "{rows:#?}");
    let kinds: Vec<String> =
        report(&shop, "api.schema.json").await.findings.into_iter().map(|finding| finding.kind).collect();
    assert!(kinds.contains(&"index-missing".to_owned()), "{kinds:?}");

    shop.candidate.execute("CREATE INDEX orders_by_customer ON orders (customer)").await;
    shop.candidate.execute("UPDATE stock SET quantity = quantity + 1 WHERE sku = 7").await;
    shop.edit(json!({"retry": "mended"})).await;
    let done = shop.until("completes or fails", |r| {
        phase_of(r) == Phase::Completed
            || r.status
                .as_ref()
                .is_some_and(|s| s.recorded.failure.as_ref().is_some_and(|f| f.retry == "mended"))
    });
    let done = done.await;
    assert_eq!(phase_of(&done), Phase::Completed, "{}", message_of(&done));
    let asked: Vec<String> =
        done.status.unwrap().recorded.final_validation.unwrap().checks.into_iter().map(|c| c.name).collect();
    assert_eq!(asked, ["api/server", "api/schema", "api/stock", "api/privileges", "api/plans", "api/pool"]);
    shop.close().await;
}
