//! Load by way of a pooler that hands the server's connections on after each transaction, and of a proxy that does not.

use std::time::Duration;

use cutover::{
    api::{Access, Statement, TransactionStatement, Verdict, Via},
    load::{self, CaptureError, CaptureOptions, LoadOutcome, LoadProgress, LoadSpec, Targets, capture},
    postgres::{ConnectOptions, Session, Target},
};
use tokio::{sync::watch, time::timeout};

use crate::{
    fake,
    load::{run, spec, statement, stocked},
    pgbouncer::PgBouncer,
    postgres::{Server, assert_shows_no_secret},
    sql::number,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// Fails where the connection keeps something of the load, or the transaction is not under its limits.
const LEAVES_NOTHING: &str = "SELECT 1 / (NOT EXISTS (SELECT FROM pg_catalog.pg_prepared_statements) \
    AND current_setting('default_transaction_read_only') = 'off' AND current_setting('transaction_read_only') = 'on' \
    AND current_setting('statement_timeout') = '2s')::int";
/// Fails where the transaction is not under its limits, or is so only by the session, or nothing is prepared.
const IS_PREPARED: &str = "SELECT 1 / (EXISTS (SELECT FROM pg_catalog.pg_prepared_statements) \
    AND current_setting('default_transaction_read_only') = 'off' AND current_setting('transaction_read_only') = 'on' \
    AND current_setting('statement_timeout') = '2s')::int";

fn reads(sql: &str) -> LoadSpec {
    let part = |sql: &str| TransactionStatement { sql: sql.to_owned(), params: vec![] };
    let transaction = ["SELECT * FROM stock WHERE id = 1", sql].map(part).to_vec();
    let transaction = Statement { weight: 1, transaction, ..Statement::default() };
    let spec = spec(Access::ReadOnly, vec![statement(sql, 2, vec![]), transaction]);
    LoadSpec { duration: Duration::from_secs(3), ..spec }
}

async fn duet(spec: &LoadSpec, legacy: Target, candidate: Target) -> LoadOutcome {
    let targets = Targets::Duet { legacy: Box::new(legacy), candidate: Box::new(candidate) };
    let outcome = load::run(spec, &targets, watch::channel(LoadProgress::default()).0).await;
    assert_shows_no_secret(&outcome);
    outcome
}

#[track_caller]
fn assert_all_answered(outcome: &LoadOutcome, via: Via, note: &str) {
    let arms = &outcome.report.arms;
    for arm in [&arms.legacy, &arms.candidate] {
        let arm = arm.as_ref().unwrap_or_else(|| panic!("{outcome:?}"));
        assert!(arm.ok > 100 && arm.ok == arm.scheduled, "{}: {arm:?}", outcome.report.message);
    }
    assert_eq!(outcome.result.via, via);
    let notes = &outcome.report.notes;
    let told =
        notes.iter().filter(|told| told.starts_with("candidate is reached") || told.contains(note)).count();
    assert_eq!(told, 2, "{notes:?}");
}

/// Whatever a statement needs for a pooler's sake takes its time, and legacy, which has none, must not look faster for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_is_left_nothing_and_legacy_without_one_has_the_same_to_do() {
    let (legacy, candidate) = (stocked(Server::shared()).await, stocked(Server::shared()).await);
    let bouncer = PgBouncer::before(&candidate, "transaction").await;
    let outcome = duet(&reads(LEAVES_NOTHING), legacy.target(), bouncer.target()).await;
    assert_all_answered(&outcome, Via::Pooler, "prepared anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn by_way_of_a_proxy_statements_are_prepared_and_legacy_without_one_has_the_same_to_do() {
    let (legacy, mut candidate) = (stocked(Server::shared()).await, stocked(Server::shared()).await);
    let relay = fake::relay("127.0.0.1", (candidate.host.clone(), candidate.port)).await;
    (candidate.host, candidate.port) = (relay.ip().to_string(), relay.port());
    let outcome = duet(&reads(IS_PREPARED), legacy.target(), candidate.target()).await;
    assert_all_answered(&outcome, Via::Proxy, "brought its timeouts along, on all servers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_in_session_mode_is_one_too() {
    let database = stocked(Server::shared()).await;
    let bouncer = PgBouncer::before(&database, "session").await;
    let result = run(&reads(LEAVES_NOTHING), &bouncer.target()).await;
    assert_eq!((result.ok, result.errors, result.via), (result.scheduled, 0, Via::Pooler), "{result:?}");
}

/// A session that waits for a lock does not notice that whoever asked has gone; and what it holds meanwhile, others wait for.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_locked_keeps_no_session_of_the_pooler_waiting_nor_other_tables_locked() {
    let database = stocked(Server::shared()).await;
    database.execute("CREATE TABLE other (); GRANT ALL ON other TO PUBLIC").await;
    let options = ConnectOptions { purpose: "test", step_timeout: PATIENCE, byte_budget: 1 << 20 };
    let holds = Session::connect(&database.target(), &options).await.unwrap();
    holds.client().batch_execute("BEGIN; LOCK TABLE other").await.unwrap();
    let bouncer = PgBouncer::before(&database, "transaction").await;
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'other'::regclass";
    let others = "SELECT count(*) FROM pg_locks WHERE relation = 'stock'::regclass";
    let meanwhile = async {
        while number(bouncer.target(), waiting).await == 0 {}
        number(bouncer.target(), others).await
    };
    let traffic = ["SELECT FROM stock", "SELECT FROM other"].map(|sql| statement(sql, 1, vec![])).to_vec();
    let spec = LoadSpec {
        connections: 1,
        statement_timeout: Duration::from_secs(5),
        ..spec(Access::ReadOnly, traffic)
    };
    let target = bouncer.target();
    let both = async { tokio::join!(run(&spec, &target), meanwhile) };
    let (result, locks) = timeout(PATIENCE, both).await.expect("the server gives up");
    assert_eq!((result.verdict, locks), (Verdict::Fail, 0), "{result:?}");
    assert!(result.message.contains("can't be prepared"), "{result:?}");
    let gone = async { while number(bouncer.target(), waiting).await > 0 {} };
    timeout(PATIENCE, gone).await.expect("nobody waits any more");
    holds.close().await;
}

#[tokio::test]
async fn traffic_is_not_captured_by_way_of_a_pooler_that_hands_connections_on() {
    let database = stocked(Server::shared()).await;
    let name = "captured".to_owned();
    let options = CaptureOptions { name, top: 1, min_calls: 1, with_values: false, writes: false };
    let bouncer = PgBouncer::before(&database, "transaction").await;
    let refused = capture(&bouncer.target(), &options).await.unwrap_err();
    assert_eq!(refused, CaptureError::Pooled);
    assert!(refused.to_string().ends_with("name the direct endpoint"), "{refused}");
    // In session mode it is asked, and has no statistics to tell.
    let bouncer = PgBouncer::before(&database, "session").await;
    assert_eq!(capture(&bouncer.target(), &options).await.unwrap_err(), CaptureError::NotInstalled);
}
