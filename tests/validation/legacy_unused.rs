//! `legacyUnused`: sessions that are left, and objects that still refer to the Secret.

use std::sync::Arc;

use cutover::{
    api::{Check, Verdict},
    checks::{CheckReport, NoCluster, SecretReferences, Sides},
    postgres::Target,
};
use serde_json::json;

use crate::{
    asking::{ask, sides},
    fake_cluster::FakeCluster,
    pair::{Pair, assert_only, sessions},
};

fn check() -> Check {
    serde_json::from_value(json!({"name": "gone", "legacyUnused": {}})).unwrap()
}

async fn ask_of(pair: &Pair, cluster: FakeCluster) -> CheckReport {
    let sides = Sides { cluster: Arc::new(cluster), ..sides(pair.legacy.target(), pair.candidate.target()) };
    ask(&check(), &sides).await
}

fn referring(found: &[(&str, &str)]) -> FakeCluster {
    let found = found.iter().map(|(object, place)| ((*object).to_owned(), (*place).to_owned())).collect();
    let references = SecretReferences { secret: "old".to_owned(), looked_at: 7, found };
    FakeCluster { references, ..FakeCluster::default() }
}

#[tokio::test]
async fn a_legacy_that_nobody_uses_passes_and_cutovers_own_sessions_do_not_count() {
    let pair = Pair::new().await;
    let own = sessions(&pair.legacy.target(), "cutover/load", 2).await;
    let report = ask_of(&pair, referring(&[])).await;
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.message);
    assert!(
        report.message.starts_with("sessions on legacy, 7 objects of the namespace"),
        "{}",
        report.message
    );
    drop(own);
}

#[tokio::test]
async fn a_session_that_is_left_fails_and_is_named() {
    let pair = Pair::new().await;
    let left = sessions(&pair.legacy.target(), "api-worker", 3).await;
    let report = ask_of(&pair, referring(&[])).await;
    let finding = assert_only(&report, Verdict::Fail, "session-left", "api-worker");
    assert!(
        finding.message.starts_with("3 sessions from 127.0.0.1, idle, the oldest since 20"),
        "{finding:?}"
    );
    assert_eq!(finding.evidence["sessions"], json!(3));
    drop(left);
}

#[tokio::test]
async fn sessions_in_other_states_are_told_apart_and_no_statement_is_shown() {
    let pair = Pair::new().await;
    let open = sessions(&pair.legacy.target(), "", 2).await;
    open[0].client().batch_execute("BEGIN; SELECT 'canary'").await.unwrap();
    let report = ask_of(&pair, referring(&[])).await;
    assert_eq!((report.verdict, report.findings.len()), (Verdict::Fail, 2), "{}", report.message);
    assert!(report.findings.iter().any(|finding| finding.evidence["state"] == "idle in transaction"));
    assert!(report.findings.iter().all(|finding| finding.object == "(no application_name)"));
    drop(open);
}

#[tokio::test]
async fn a_session_on_the_candidate_is_none_on_legacy() {
    let pair = Pair::new().await;
    let there = sessions(&pair.candidate.target(), "api", 1).await;
    assert_eq!(ask_of(&pair, referring(&[])).await.verdict, Verdict::Pass);
    drop(there);
}

#[tokio::test]
async fn another_roles_session_warns() {
    let pair = Pair::new().await;
    let other = &pair.candidate.name;
    pair.legacy.execute(&format!("GRANT CONNECT ON DATABASE {} TO {other}", pair.legacy.name)).await;
    // The candidate's owner, logged in to the legacy database: both are on one server here.
    let uri = pair.candidate.uri().replace(&format!("/{other}\n"), &format!("/{}", pair.legacy.name));
    let uri = cutover::postgres::ConnectionUri::parse(&uri).unwrap();
    let stranger = sessions(&Target { uri, ..pair.candidate.target() }, "reports", 1).await;
    let report = ask_of(&pair, referring(&[])).await;
    let finding = assert_only(&report, Verdict::Warn, "session-of-another-role", "reports");
    assert!(finding.message.contains(other.as_str()), "{finding:?}");
    drop(stranger);
}

#[tokio::test]
async fn what_refers_to_the_legacy_secret_fails_object_by_object() {
    let pair = Pair::new().await;
    let cluster = referring(&[("CronJob/report", "containers[c].env[URL].valueFrom.secretKeyRef")]);
    let report = ask_of(&pair, cluster).await;
    let finding = assert_only(&report, Verdict::Fail, "secret-referenced", "CronJob/report");
    assert_eq!(finding.message, "it refers to Secret/old in containers[c].env[URL].valueFrom.secretKeyRef");
    let two = referring(&[("CronJob/report", "x"), ("Deployment/api", "y")]);
    assert_eq!(ask_of(&pair, two).await.findings_total, 2);
}

#[tokio::test]
async fn a_namespace_that_can_not_be_seen_is_no_pass() {
    let pair = Pair::new().await;
    let blind = || FakeCluster { refuses: Some("it may not list cronjobs"), ..FakeCluster::default() };
    let report = ask_of(&pair, blind()).await;
    assert_eq!(report.verdict, Verdict::Error, "{}", report.message);
    assert!(report.message.contains("may not list cronjobs"), "{}", report.message);
    let left = sessions(&pair.legacy.target(), "api", 1).await;
    assert_only(&ask_of(&pair, blind()).await, Verdict::Fail, "session-left", "api");
    drop(left);
}

#[tokio::test]
async fn without_a_cluster_it_says_that_references_were_not_asked_for() {
    let pair = Pair::new().await;
    let sides = Sides {
        cluster: Arc::new(NoCluster::default()),
        ..sides(pair.legacy.target(), pair.candidate.target())
    };
    assert_only(&ask(&check(), &sides).await, Verdict::Warn, "references-not-asked", "legacy");
}

#[tokio::test]
async fn without_a_candidate_legacy_is_what_the_application_stays_on() {
    let pair = Pair::new().await;
    let mut sides = sides(pair.legacy.target(), pair.candidate.target());
    sides.candidate = None;
    assert_eq!(ask(&check(), &sides).await.verdict, Verdict::Error);
}
