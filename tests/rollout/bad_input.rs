//! Bad input gets a clear answer, and nothing is touched.

use cutover::api::{DatabaseRollout, Phase};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::shop::{Shop, candidate_server, condition, message_of, spec, stage, with};

/// A specification that the API server itself refuses, and a word of its answer.
fn refused_at_admission() -> Vec<(&'static str, Value, &'static str)> {
    let api = || stage("Deployment", "api");
    let one = |fields: Value| spec(&[with(api(), fields)]);
    let load = |fields: Value| {
        let load = json!({"mode": "Candidate", "traffic": "reads", "rate": 10, "duration": "5s", "connections": 1, "maxLatency": {"p50": "2s"}, "maxErrorPercent": "20"});
        one(json!({"load": with(load, fields)}))
    };
    let check = |check: Value| one(json!({"checks": [with(json!({"name": "c"}), check)]}));
    vec![
        (
            "an unknown stage in dependsOn",
            one(json!({"dependsOn": ["nobody"]})),
            "dependsOn names a stage that does not exist",
        ),
        ("two stages of one name", spec(&[api(), api()]), "duplicate entries"),
        ("a duration of zero", one(json!({"soak": {"duration": "0s"}})), "longer than zero"),
        ("a duration that is none", one(json!({"soak": {"duration": "soon"}})), "soak.duration"),
        ("a rate above the bound", load(json!({"rate": 20_001})), "less than or equal to 20000"),
        ("a pool above the bound", load(json!({"connections": 501})), "less than or equal to 500"),
        ("unknown traffic", load(json!({"traffic": "nothing"})), "traffic model that does not exist"),
        ("a stage that sets nothing", one(json!({"config": []})), "config"),
        (
            "a write whose loss nobody has accepted",
            {
                let mut stage = with(api(), json!({"access": "ReadWrite"}));
                stage.as_object_mut().unwrap().remove("onFailure");
                spec(&[stage])
            },
            "must choose onFailure",
        ),
        ("a check of no kind", check(json!({})), "exactly one kind of check"),
        (
            "a check of two kinds",
            check(json!({"connectivity": {}, "workload": {}})),
            "exactly one kind of check",
        ),
        (
            "an expectation of two kinds",
            check(json!({"sql": {"query": "SELECT 1", "equals": "1", "min": "1"}})),
            "in one way",
        ),
        (
            "a failureLimit without a soak",
            check(json!({"connectivity": {}, "failureLimit": 1})),
            "belongs to soak.checks",
        ),
        (
            "credentials in a URL",
            check(json!({"http": {"url": "http://user:word@api/"}})),
            "a spec is no place for a secret",
        ),
        (
            "credentials in a URL of a prerequisite",
            with(
                spec(&[api()]),
                json!({"prerequisites": [{"name": "p",
                "prometheus": {"url": "https://token@p:9090", "query": "up", "min": "1"}}]}),
            ),
            "a spec is no place for a secret",
        ),
        (
            "a prerequisite of two kinds",
            with(
                spec(&[api()]),
                json!({"prerequisites": [{"name": "p",
                "rollout": {"name": "other"}, "http": {"url": "http://api/"}}]}),
            ),
            "exactly one kind of prerequisite",
        ),
        (
            "a metric without a bound",
            check(json!({"prometheus": {"url": "http://p:9090", "query": "up"}})),
            "give a bound",
        ),
        ("a field that does not exist", one(json!({"lod": {}})), "lod"),
        (
            "an approval of nobody",
            with(spec(&[api()]), json!({"approvedStages": ["nobody"]})),
            "approvedStages",
        ),
        (
            "a value that is two",
            one(json!({"config": [{"secret": "api-db",
            "set": {"DATABASE_URL": {"value": "x", "fromSecret": {"name": "new", "key": "uri"}}}}]})),
            "exactly one of value and fromSecret",
        ),
    ]
}

#[tokio::test]
async fn what_the_schema_can_tell_is_refused_at_admission() {
    let shop = Shop::open("admission", &[]).await;
    for (what, spec, word) in refused_at_admission() {
        let answer = shop.try_roll_out("bad", spec).await;
        let Err(kube::Error::Api(status)) = answer else { panic!("{what} was admitted") };
        assert!(status.message.contains(word), "{what}: {}", status.message);
    }
    shop.close().await;
}

/// A specification that only the plan can refuse, and words of the answer.
#[tokio::test]
async fn what_only_the_plan_can_tell_is_answered_with_every_fault() {
    let shop = Shop::open("faults", &[("Deployment", "api")]).await;
    let other = |name: &str| with(stage("Deployment", "api"), json!({"name": name}));
    let load = json!({"mode": "Candidate", "traffic": "reads", "rate": 10, "duration": "5s", "connections": 1, "maxLatency": {"p99": "10ms"}, "maxErrorPercent": "20"});
    shop.roll_out(spec(&[
        with(other("a"), json!({"dependsOn": ["b"], "load": load})),
        with(
            other("b"),
            json!({"dependsOn": ["a"], "config": [{"secret": "old", "set": {"uri": {"value": "x"}}}]}),
        ),
    ]))
    .await;
    let refused =
        shop.until("refused", |r| condition(r, "Accepted").is_some_and(|(s, _)| s == "False")).await;
    let message = message_of(&refused);
    for word in ["a -> b -> a", "needs 1000", "the legacy connection", "nothing is touched"] {
        assert!(message.contains(word), "{word}: {message}");
    }
    assert!(shop.is_on_legacy("api").await);
    shop.close().await;
}

#[tokio::test]
async fn what_does_not_exist_holds_by_name_and_is_picked_up_when_it_appears() {
    let shop = Shop::open("missing", &[("Deployment", "api")]).await;
    shop.api::<Secret>().delete("new", &DeleteParams::default()).await.unwrap();
    let stages = [with(
        stage("Deployment", "api"),
        json!({
        "config": [
            {"secret": "api-db", "set": {"DATABASE_URL": {"fromSecret": {"name": "new", "key": "uri"}}}},
            {"configMap": "extra", "set": {"POOL": {"value": "2"}}}],
        "workloads": [{"kind": "Deployment", "name": "api"}]}),
    )];
    shop.roll_out(spec(&stages)).await;
    let held = shop.until("held", |r| message_of(r).contains("Secret/new does not exist")).await;
    assert!(message_of(&held).contains("ConfigMap/extra does not exist"), "{}", message_of(&held));
    let ca = String::from_utf8(candidate_server().ca_pem()).unwrap();
    shop.create_secret("new", json!({"uri": "postgresql://app:canary@/nowhere:port", "ca.crt": ca})).await;
    let malformed =
        shop.until("malformed", |r| message_of(r).contains("spec.candidate: key uri of Secret/new")).await;
    assert!(!message_of(&malformed).contains("canary"));
    shop.api::<Secret>().delete("new", &DeleteParams::default()).await.unwrap();
    shop.create_secret("new", json!({"uri": shop.candidate.uri(), "ca.crt": ca})).await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra"}, "data": {"OTHER": "1"}});
    let maps = shop.api::<k8s_openapi::api::core::v1::ConfigMap>();
    maps.patch("extra", &PatchParams::apply("test"), &Patch::Apply(&map)).await.unwrap();
    shop.until("key missing", |r| message_of(r).contains("ConfigMap/extra has no key POOL")).await;
    maps.patch("extra", &PatchParams::default(), &Patch::Merge(json!({"data": {"POOL": "1"}})))
        .await
        .unwrap();
    shop.until_phase(Phase::Completed).await;
    shop.close().await;
}

#[tokio::test]
async fn a_copy_that_is_not_ours_is_never_taken_for_ours() {
    let shop = Shop::open("foreign", &[("Deployment", "api")]).await;
    shop.create_secret("shop-legacy-1", json!({"copy.json": "{}"})).await;
    shop.roll_out(spec(&[stage("Deployment", "api")])).await;
    let held = shop.until("held", |r| message_of(r).contains("exists already")).await;
    assert_eq!(condition(&held, "Stalled").unwrap().1, "ForeignCopy");
    assert!(shop.is_on_legacy("api").await);
    shop.api::<Secret>().delete("shop-legacy-1", &DeleteParams::default()).await.unwrap();
    shop.until_phase(Phase::Completed).await;
    shop.close().await;
}

async fn fails_its_check(purpose: &str, check: Value, word: &str) {
    let shop = Shop::open(purpose, &[("Deployment", "api")]).await;
    shop.roll_out(spec(&[with(stage("Deployment", "api"), json!({"checks": [check]}))])).await;
    let back = shop.until_phase(Phase::RolledBack).await;
    assert!(failure(&back).contains(word), "{}", failure(&back));
    assert!(shop.is_on_legacy("api").await);
    shop.close().await;
}

fn failure(rollout: &DatabaseRollout) -> String {
    rollout.status.clone().unwrap().recorded.failure.unwrap().message
}

#[tokio::test]
async fn sql_with_two_statements_is_refused() {
    fails_its_check(
        "two-sql",
        json!({"name": "c", "sql": {"query": "SELECT 1; SELECT 2", "equals": "1"}}),
        "multiple commands",
    )
    .await;
}

#[tokio::test]
async fn sql_that_writes_is_refused() {
    let query = "UPDATE stock SET quantity = 0 RETURNING 1";
    fails_its_check("writing-sql", json!({"name": "c", "sql": {"query": query, "equals": "1"}}), "read-only")
        .await;
}

#[tokio::test]
async fn a_superuser_is_refused() {
    let shop = Shop::open("super", &[("Deployment", "api")]).await;
    candidate_server()
        .execute("postgres", &format!("ALTER ROLE {} SUPERUSER", shop.namespace.replace('-', "_")))
        .await;
    shop.roll_out(spec(&[stage("Deployment", "api")])).await;
    let back = shop.until_phase(Phase::RolledBack).await;
    assert!(failure(&back).contains("superuser"), "{}", failure(&back));
    shop.close().await;
}
