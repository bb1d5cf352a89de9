//! `pool`: the sum, the limits, and what keeps the sum from being known.

use std::sync::Arc;

use cutover::{
    api::{Check, Verdict, Via},
    checks::{CheckReport, NoCluster, Severity, Sides, Size, spare_connections},
    postgres::{ConnectionUri, Target},
};
use serde_json::{Value, json};

use crate::{
    asking::{ask, sides},
    fake::relay,
    fake_cluster::FakeCluster,
    pair::{Pair, assert_only, of_kind},
    postgres::Server,
};

fn check(question: &Value) -> Check {
    serde_json::from_value(json!({"name": "fits", "pool": question})).unwrap()
}

fn with_cluster(pair: &Pair, cluster: FakeCluster) -> Sides {
    Sides { cluster: Arc::new(cluster), ..sides(pair.legacy.target(), pair.candidate.target()) }
}

/// Asks of a candidate database that grants `limit` connections, none of them kept free unless the question says so.
async fn ask_with_limit(limit: i32, cluster: FakeCluster, mut question: Value) -> CheckReport {
    let pair = Pair::of("", "", &format!("ALTER DATABASE {{owner}} CONNECTION LIMIT {limit}")).await;
    if question.get("reserve").is_none() {
        question["reserve"] = json!(0);
    }
    ask(&check(&question), &with_cluster(&pair, cluster)).await
}

fn one_size(name: &str, size: i64) -> Value {
    json!({"workloads": [{"kind": "Deployment", "name": name, "size": size}]})
}

/// Sessions of the database's owner, held open.
async fn sessions(target: &Target, count: usize) -> Vec<cutover::postgres::Session> {
    crate::pair::sessions(target, "app", count).await
}

#[tokio::test]
async fn a_sum_that_fits_passes_and_is_shown_term_by_term() {
    let cluster = FakeCluster::of(&[("api", 3, 1), ("workers", 2, 0)]);
    let question = json!({"workloads": [
        {"kind": "Deployment", "name": "api", "processes": 2, "size": 2},
        {"kind": "Deployment", "name": "workers", "size": 3}], "others": [{"name": "nightly", "connections": 4}]});
    let report = ask_with_limit(50, cluster, question).await;
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.message);
    assert_eq!(
        report.message,
        "26 of 50: Deployment/api 3+1 pods × 2 × 2 = 16, Deployment/workers 2 pods × 1 × 3 = 6, nightly = 4"
    );
    assert_eq!(report.measured.as_deref(), Some("26"));
    assert_eq!(
        report.expected.as_deref(),
        Some("at most 50 (CONNECTION LIMIT 50 of the database − 0 kept free)")
    );
}

#[tokio::test]
async fn more_than_is_granted_fails() {
    let cluster = FakeCluster::of(&[("api", 3, 1)]);
    let report = ask_with_limit(50, cluster, one_size("api", 20)).await;
    let finding = assert_only(&report, Verdict::Fail, "need-exceeds-grant", "candidate");
    assert_eq!((&finding.evidence["need"], &finding.evidence["granted"]), (&json!(80), &json!(50)));
    assert!(
        report.message.starts_with("80 of 50: Deployment/api 3+1 pods × 1 × 20 = 80; "),
        "{}",
        report.message
    );
}

#[tokio::test]
async fn the_pods_of_an_update_are_what_makes_it_too_much() {
    let fits = ask_with_limit(19, FakeCluster::of(&[("api", 3, 0)]), one_size("api", 5)).await;
    assert_eq!(fits.verdict, Verdict::Pass, "{}", fits.message);
    let report = ask_with_limit(19, FakeCluster::of(&[("api", 3, 1)]), one_size("api", 5)).await;
    assert_only(&report, Verdict::Fail, "need-exceeds-grant", "candidate");
}

#[tokio::test]
async fn what_is_kept_free_is_not_granted() {
    let kept = json!({"workloads": [{"kind": "Deployment", "name": "api", "size": 7}], "reserve": 4});
    let report = ask_with_limit(10, FakeCluster::of(&[("api", 1, 0)]), kept).await;
    assert_only(&report, Verdict::Fail, "need-exceeds-grant", "candidate");
}

#[tokio::test]
async fn the_roles_limit_counts_as_the_databases_does() {
    let pair = Pair::of("", "", "ALTER ROLE {owner} CONNECTION LIMIT 5").await;
    let mut question = one_size("api", 6);
    question["reserve"] = json!(0);
    let report = ask(&check(&question), &with_cluster(&pair, FakeCluster::of(&[("api", 1, 0)]))).await;
    let finding = assert_only(&report, Verdict::Fail, "need-exceeds-grant", "candidate");
    assert!(finding.message.contains("CONNECTION LIMIT 5 of the role"), "{finding:?}");
}

#[tokio::test]
async fn more_than_four_fifths_of_what_is_granted_warns() {
    let at = |size| ask_with_limit(20, FakeCluster::of(&[("api", 1, 0)]), one_size("api", size));
    assert_eq!(at(16).await.verdict, Verdict::Pass);
    assert_only(&at(17).await, Verdict::Warn, "need-near-grant", "candidate");
}

#[tokio::test]
async fn a_workload_whose_size_nobody_gives_fails_and_says_what_to_write() {
    let cluster = FakeCluster::of(&[("api", 1, 0), ("workers", 1, 0)]);
    let report = ask_with_limit(50, cluster, one_size("api", 2)).await;
    let finding = assert_only(&report, Verdict::Fail, "size-unknown", "Deployment/workers");
    assert!(finding.message.contains("add {kind: Deployment, name: workers, size: …}"), "{finding:?}");
}

#[tokio::test]
async fn a_size_is_read_from_where_the_workload_reads_it() {
    let from = json!({"workloads": [{"kind": "Deployment", "name": "api", "sizeFrom": {"configMap": "api-db", "key": "POOL"}}]});
    let mut cluster = FakeCluster::of(&[("api", 2, 0)]);
    cluster.sizes.insert("POOL".to_owned(), Size::Known(7));
    let report = ask_with_limit(50, cluster, from.clone()).await;
    assert_eq!(report.message, "14 of 50: Deployment/api 2 pods × 1 × 7 = 14");
    let report = ask_with_limit(50, FakeCluster::of(&[("api", 2, 0)]), from).await;
    let finding = assert_only(&report, Verdict::Fail, "size-unknown", "Deployment/api");
    assert!(finding.message.contains("there is no key POOL"), "{finding:?}");
}

#[tokio::test]
async fn a_cluster_that_can_not_be_seen_is_an_error() {
    let mut cluster = FakeCluster::of(&[("api", 2, 0)]);
    cluster.refuses = Some("it may not list horizontalpodautoscalers");
    let report = ask_with_limit(50, cluster, one_size("api", 2)).await;
    assert_eq!(report.verdict, Verdict::Error, "{}", report.message);
    assert!(report.message.contains("may not list horizontalpodautoscalers"), "{}", report.message);
}

#[tokio::test]
async fn without_a_cluster_the_pods_are_given_or_it_is_an_error() {
    let pair = Pair::of("", "", "").await;
    let sides = Sides {
        cluster: Arc::new(NoCluster::default()),
        ..sides(pair.legacy.target(), pair.candidate.target())
    };
    let given = json!({"workloads": [{"kind": "Deployment", "name": "api", "pods": 2, "size": 3}]});
    assert_eq!(ask(&check(&given), &sides).await.measured.as_deref(), Some("6"));
    let needed = json!({"others": [{"name": "all", "connections": 12}]});
    assert_eq!(ask(&check(&needed), &sides).await.measured.as_deref(), Some("12"));
    for unknown in [one_size("api", 2), json!({})] {
        let report = ask(&check(&unknown), &sides).await;
        assert_eq!(report.verdict, Verdict::Error, "{}", report.message);
    }
}

#[tokio::test]
async fn behind_a_pooler_its_pools_are_the_need_and_the_workloads_are_its_clients() {
    let question = |max_clients| {
        json!({"workloads": [{"kind": "Deployment", "name": "api", "size": 50, "pooler": "bouncer"}],
        "poolers": [{"name": "bouncer", "replicas": 2, "users": 2, "poolSize": 10, "maxDbConnections": 15,
            "maxClientConnections": max_clients}]})
    };
    let report = ask_with_limit(50, FakeCluster::of(&[("api", 3, 1)]), question(100)).await;
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.message);
    assert_eq!(report.message, "30 of 50: bouncer 2 poolers × 1 databases × min(2 users × 10, 15) = 30");
    let report = ask_with_limit(50, FakeCluster::of(&[("api", 3, 1)]), question(99)).await;
    let finding = assert_only(&report, Verdict::Fail, "pooler-clients-exceeded", "bouncer");
    assert!(finding.message.contains("200 clients are more than the 198"), "{finding:?}");
}

#[tokio::test]
async fn a_pooler_of_the_cluster_is_counted_like_a_workload_and_needs_no_pool_of_its_own() {
    let question = json!({"workloads": [{"kind": "Deployment", "name": "api", "size": 1, "pooler": "bouncer"}],
        "poolers": [{"name": "bouncer", "workload": {"kind": "Deployment", "name": "pgbouncer"}, "poolSize": 5}]});
    let cluster = || FakeCluster::of(&[("api", 1, 0), ("pgbouncer", 2, 1)]);
    let report = ask_with_limit(50, cluster(), question.clone()).await;
    assert_eq!(report.message, "15 of 50: bouncer 2+1 poolers × 1 databases × 1 users × 5 = 15");
    // The pod of an update opens connections of its own, but is not there to take clients.
    let mut crowded = question;
    crowded["workloads"][0]["size"] = json!(201);
    let report = ask_with_limit(50, cluster(), crowded).await;
    assert_only(&report, Verdict::Fail, "pooler-clients-exceeded", "bouncer");
}

#[tokio::test]
async fn a_pooler_that_is_not_described_is_an_error() {
    let question =
        json!({"workloads": [{"kind": "Deployment", "name": "api", "size": 1, "pooler": "bouncer"}]});
    let report = ask_with_limit(50, FakeCluster::of(&[("api", 1, 0)]), question).await;
    assert_eq!(report.verdict, Verdict::Error, "{}", report.message);
}

#[tokio::test]
async fn sessions_on_legacy_that_the_candidate_would_not_grant_fail() {
    let pair = Pair::of("", "", "ALTER DATABASE {owner} CONNECTION LIMIT 3").await;
    let held = sessions(&pair.legacy.target(), 4).await;
    let mut question = one_size("api", 2);
    question["reserve"] = json!(0);
    let report = ask(&check(&question), &with_cluster(&pair, FakeCluster::of(&[("api", 1, 0)]))).await;
    let finding = assert_only(&report, Verdict::Fail, "legacy-exceeds-grant", "legacy");
    assert_eq!(finding.evidence["sessions"], json!(4));
    assert!(report.baseline.unwrap().starts_with("legacy has 4 sessions of the role now"));
    drop(held);
}

#[tokio::test]
async fn more_sessions_than_the_sum_accounts_for_warn() {
    let pair = Pair::new().await;
    let held = sessions(&pair.legacy.target(), 4).await;
    let report =
        ask(&check(&one_size("api", 3)), &with_cluster(&pair, FakeCluster::of(&[("api", 1, 0)]))).await;
    assert_only(&report, Verdict::Warn, "more-than-counted", "legacy");
    drop(held);
    let held = sessions(&pair.candidate.target(), 4).await;
    let cutovers_own = crate::pair::sessions(&pair.candidate.target(), "cutover/load", 4).await;
    let report =
        ask(&check(&one_size("api", 3)), &with_cluster(&pair, FakeCluster::of(&[("api", 1, 0)]))).await;
    let finding =
        of_kind(&report, "more-than-counted").into_iter().find(|f| f.object == "candidate").unwrap();
    assert_eq!(finding.evidence["sessions"], json!(4), "cutover's own do not count");
    drop((held, cutovers_own));
}

#[tokio::test]
async fn the_sessions_of_others_on_the_candidates_server_warn_where_the_need_does_not_fit_beside_them() {
    let server = Server::start("pool-others");
    let (legacy, candidate) = (Server::shared().database().await, server.database().await);
    let stranger = server.database_named("stranger".to_owned()).await;
    let held = sessions(&stranger.target(), 30).await;
    let sides = Sides {
        cluster: Arc::new(FakeCluster::of(&[("api", 1, 0)])),
        ..sides(legacy.target(), candidate.target())
    };
    let report = ask(&check(&one_size("api", 70)), &sides).await;
    let finding = assert_only(&report, Verdict::Warn, "others-present", "candidate");
    assert!(finding.evidence["others"].as_i64().unwrap() >= 30, "{finding:?}");
    assert!(report.message.starts_with("70 of 88: "), "{}", report.message);
    // What a measurement may open: slots, less a tenth, less what is open.
    let spare = spare_connections(&candidate.target()).await.unwrap();
    assert!(spare.via == Via::Direct && (50..=58).contains(&spare.connections), "{spare:?}");
    drop(held);
}

#[tokio::test]
async fn something_in_between_warns_unless_the_check_describes_it() {
    let pair = Pair::new().await;
    let relay = relay("127.0.0.1", (pair.candidate.host.clone(), pair.candidate.port)).await;
    let direct = pair.candidate.uri();
    let through = direct.replace(&format!(":{}/", pair.candidate.port), &format!(":{}/", relay.port()));
    let candidate = Target { uri: ConnectionUri::parse(&through).unwrap(), ..pair.candidate.target() };
    let at = |cluster| Sides { cluster: Arc::new(cluster), ..sides(pair.legacy.target(), candidate.clone()) };
    let report = ask(&check(&one_size("api", 2)), &at(FakeCluster::of(&[("api", 1, 0)]))).await;
    assert_only(&report, Verdict::Warn, "through-pooler", "candidate");
    let described = json!({"poolers": [{"name": "bouncer", "replicas": 1, "poolSize": 2}]});
    let report = ask(&check(&described), &at(FakeCluster::default())).await;
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.message);
    assert_eq!(of_kind(&report, "through-pooler")[0].severity, Severity::Info);
}

#[tokio::test]
async fn without_a_candidate_it_is_asked_of_legacy() {
    let pair = Pair::of("", "ALTER DATABASE {owner} CONNECTION LIMIT 3", "").await;
    let mut sides = with_cluster(&pair, FakeCluster::of(&[("api", 1, 0)]));
    sides.candidate = None;
    let mut question = one_size("api", 4);
    question["reserve"] = json!(0);
    assert_only(&ask(&check(&question), &sides).await, Verdict::Fail, "need-exceeds-grant", "legacy");
}
