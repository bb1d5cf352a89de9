//! `activity`.

use std::time::Duration;

use cutover::{
    api::{ActivityCheck, Check, Verdict},
    checks::Severity,
    postgres::{ConnectOptions, ConnectionUri, Session, Target},
};
use tokio::time::timeout;

use crate::{
    pair::{Pair, assert_only, of_kind},
    postgres::{Database, Server},
};

const PATIENCE: Duration = Duration::from_secs(60);

fn check() -> Check {
    check_with("5m")
}

fn check_with(max_transaction_age: &str) -> Check {
    let activity = ActivityCheck { max_transaction_age: Some(max_transaction_age.to_owned()) };
    Check { name: "quiet".to_owned(), activity: Some(activity), ..Check::default() }
}

/// The owners see everybody's sessions.
async fn seeing_pair() -> Pair {
    let pair = Pair::new().await;
    for database in [&pair.legacy, &pair.candidate] {
        Server::shared().execute("postgres", &format!("GRANT pg_read_all_stats TO {}", database.name)).await;
    }
    pair
}

/// A session of the application.
async fn session(target: &Target) -> Session {
    let session = program(target).await;
    session.client().batch_execute("SET application_name = 'shop'").await.unwrap();
    session
}

/// A session of this program.
async fn program(target: &Target) -> Session {
    let options = ConnectOptions { purpose: "test", step_timeout: PATIENCE, byte_budget: 1 << 20 };
    Session::connect(target, &options).await.unwrap()
}

async fn open(database: &Database<'_>, statements: &str) -> Session {
    let session = session(&database.target()).await;
    // One by one: what is sent together with a BEGIN is within its transaction, also what stands before it.
    for statement in statements.split(';') {
        session.client().batch_execute(statement).await.unwrap();
    }
    session
}

/// Carries out what does not end by itself.
fn start(session: Session, statement: &'static str) {
    tokio::spawn(async move { session.client().batch_execute(statement).await });
}

/// Until the condition holds. The server tells nobody of its own accord.
async fn until(database: &Database<'_>, condition: &str) {
    let session = program(&database.target()).await;
    let question = format!("SELECT {condition}, pg_sleep(0.02)");
    let holds = async {
        while !session.client().query_one(&question, &[]).await.unwrap().get::<_, bool>(0) {
            session.refill_budget();
        }
    };
    timeout(PATIENCE, holds).await.expect("the condition comes to hold");
}

const SOMEBODY_WAITS: &str = "EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
                              WHERE NOT l.granted AND a.datname = current_database())";

async fn another_role(database: &Database<'_>) -> Target {
    let name = format!("other_{}", database.name);
    let create = format!("CREATE ROLE {name} LOGIN PASSWORD 'of-no-worth'");
    Server::shared().execute("postgres", &create).await;
    let Database { host, port, name: shop, .. } = database;
    let uri = format!("postgresql://{name}:of-no-worth@{host}:{port}/{shop}");
    Target { uri: ConnectionUri::parse(&uri).unwrap(), ..database.target() }
}

#[tokio::test]
async fn quiet_databases_pass() {
    let pair = Pair::new().await;
    let _idle = (open(&pair.legacy, "SELECT 1").await, open(&pair.candidate, "SELECT 1").await);
    let report = pair.ask(check()).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
}

#[tokio::test]
async fn a_long_statement_fails_and_its_text_is_not_shown() {
    let pair = Pair::new().await;
    start(session(&pair.legacy.target()).await, "SELECT 'canary', pg_sleep(600)");
    let runs = "EXISTS (SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(600)' \
                AND datname = current_database())";
    until(&pair.legacy, runs).await;
    assert_eq!(pair.ask(check()).await.verdict, Verdict::Pass);
    let report = pair.ask(check_with("1ms")).await;
    let finding =
        assert_only(&report, Verdict::Fail, "transaction-long", &format!("legacy.{}", pair.legacy.name));
    assert_eq!(finding.evidence["transactions"], 1);
}

#[tokio::test]
async fn a_transaction_that_stands_idle_fails() {
    let pair = Pair::new().await;
    let _open = open(&pair.candidate, "BEGIN; SELECT 1").await;
    assert_eq!(pair.ask(check()).await.verdict, Verdict::Pass);
    let report = pair.ask(check_with("1ms")).await;
    let object = format!("candidate.{}", pair.candidate.name);
    assert_only(&report, Verdict::Fail, "transaction-idle", &object);
}

#[tokio::test]
async fn a_transaction_that_was_aborted_and_left_open_fails() {
    let pair = Pair::new().await;
    let open = open(&pair.legacy, "BEGIN").await;
    open.client().batch_execute("SELECT 1 / 0").await.unwrap_err();
    let report = pair.ask(check_with("1ms")).await;
    assert_only(&report, Verdict::Fail, "transaction-idle", &format!("legacy.{}", pair.legacy.name));
}

#[tokio::test]
async fn a_prepared_transaction_warns_and_fails_once_it_is_old() {
    let server = Box::leak(Box::new(Server::start_with("prepared", &["max_prepared_transactions=5"])));
    let pair = Pair { legacy: server.database().await, candidate: server.database().await };
    let prepare = "BEGIN; CREATE TABLE orders (id int); PREPARE TRANSACTION 'canary'";
    open(&pair.legacy, prepare).await.close().await;
    let object = format!("legacy.{}", pair.legacy.name);
    assert_only(&pair.ask(check()).await, Verdict::Warn, "transaction-prepared", &object);
    assert_only(&pair.ask(check_with("1ms")).await, Verdict::Fail, "transaction-prepared", &object);
}

#[tokio::test]
async fn a_lock_that_a_prepared_transaction_holds_is_seen() {
    let server = Box::leak(Box::new(Server::start_with("prepared-lock", &["max_prepared_transactions=5"])));
    let pair = Pair { legacy: server.database().await, candidate: server.database().await };
    let prepare = "CREATE TABLE orders (id int); BEGIN; LOCK TABLE orders; PREPARE TRANSACTION 'stuck'";
    open(&pair.candidate, prepare).await.close().await;
    let report = pair.ask(check()).await;
    let finding = of_kind(&report, "exclusive-lock")[0];
    assert!(finding.message.contains("a prepared transaction holds"), "{finding:?}");
}

#[tokio::test]
async fn a_session_that_waits_for_a_lock_warns_and_tells_for_whom() {
    let pair = seeing_pair().await;
    let _holder = open(
        &pair.legacy,
        "CREATE TABLE orders (id int); INSERT INTO orders VALUES (1); BEGIN; UPDATE orders SET id = 2",
    )
    .await;
    start(session(&pair.legacy.target()).await, "UPDATE orders SET id = 3");
    until(&pair.legacy, SOMEBODY_WAITS).await;
    let report = pair.ask(check()).await;
    let name = &pair.legacy.name;
    let waits = of_kind(&report, "lock-wait");
    assert_eq!(waits.len(), 1, "{report:#?}");
    assert_eq!(waits[0].object, format!("legacy.{name}"));
    assert!(waits[0].message.ends_with(&format!("held by {name}")), "{waits:?}");
}

#[tokio::test]
async fn a_schema_change_that_is_under_way_fails() {
    let pair = seeing_pair().await;
    let ddl = "CREATE TABLE orders (id int); BEGIN; ALTER TABLE orders ADD COLUMN note text";
    let _ddl = open(&pair.candidate, ddl).await;
    let report = pair.ask(check()).await;
    let finding = assert_only(&report, Verdict::Fail, "exclusive-lock", "candidate.public.orders");
    assert_eq!(finding.evidence["mode"], "AccessExclusiveLock");
}

#[tokio::test]
async fn locks_of_readers_and_writers_and_on_temporary_tables_are_no_schema_changes() {
    let pair = seeing_pair().await;
    let write = "CREATE TABLE orders (id int); CREATE TEMPORARY TABLE mine (id int); BEGIN; \
                 INSERT INTO orders VALUES (1); SELECT * FROM orders FOR UPDATE; LOCK TABLE mine";
    let _writer = open(&pair.candidate, write).await;
    let report = pair.ask(check()).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
}

#[tokio::test]
async fn an_index_that_is_being_built_warns() {
    let pair = seeing_pair().await;
    let _writer =
        open(&pair.candidate, "CREATE TABLE orders (id int); BEGIN; INSERT INTO orders VALUES (1)").await;
    start(session(&pair.candidate.target()).await, "CREATE INDEX CONCURRENTLY ON orders (id)");
    until(&pair.candidate, SOMEBODY_WAITS).await;
    let report = pair.ask(check()).await;
    let running = of_kind(&report, "maintenance-running");
    // Autovacuum may be at work beside it.
    let building = running.iter().find(|finding| finding.severity == Severity::Warn).unwrap();
    assert_eq!(building.object, "candidate.public.orders");
    assert!(building.message.starts_with("CREATE INDEX CONCURRENTLY is running"), "{building:?}");
}

#[tokio::test]
async fn transaction_ids_that_are_nearly_used_up_warn_and_then_fail() {
    let server = Box::leak(Box::new(Server::start_with("wraparound", &["autovacuum=off"])));
    let pair = Pair { legacy: server.database().await, candidate: server.database().await };
    for (age, verdict) in [(1_100_000_000_u32, Verdict::Warn), (1_700_000_000, Verdict::Fail)] {
        let name = &pair.candidate.name;
        // Counted backwards from a young server's first transactions.
        let frozen = 1000_u32.wrapping_sub(age);
        let pretend = format!("UPDATE pg_database SET datfrozenxid = '{frozen}' WHERE datname = '{name}'");
        server.execute("postgres", &pretend).await;
        assert_only(&pair.ask(check()).await, verdict, "wraparound-near", "candidate.transaction ids");
    }
}

#[tokio::test]
async fn sessions_that_are_not_shown_warn_until_the_role_may_see_them() {
    let pair = Pair::new().await;
    let other = session(&another_role(&pair.candidate).await).await;
    other.client().batch_execute("BEGIN; SELECT 'canary'").await.unwrap();
    let report = pair.ask(check_with("1ms")).await;
    let finding = assert_only(&report, Verdict::Warn, "activity-hidden", "candidate");
    assert!(finding.message.contains("GRANT pg_read_all_stats"), "{finding:?}");
    let grant = format!("GRANT pg_read_all_stats TO {}", pair.candidate.name);
    Server::shared().execute("postgres", &grant).await;
    let report = pair.ask(check_with("1ms")).await;
    let object = format!("candidate.other_{}", pair.candidate.name);
    assert_only(&report, Verdict::Fail, "transaction-idle", &object);
}

#[tokio::test]
async fn sessions_that_are_not_tracked_are_hidden_from_everybody() {
    let pair = seeing_pair().await;
    let other = another_role(&pair.candidate).await;
    let untracked = format!("ALTER ROLE other_{} SET track_activities = off", pair.candidate.name);
    Server::shared().execute("postgres", &untracked).await;
    let other = session(&other).await;
    other.client().batch_execute("BEGIN; SELECT 1").await.unwrap();
    let finding =
        assert_only(&pair.ask(check_with("1ms")).await, Verdict::Warn, "activity-hidden", "candidate")
            .clone();
    assert!(finding.message.contains("track_activities"), "{finding:?}");
}

#[tokio::test]
async fn sessions_of_this_program_do_not_count() {
    let pair = Pair::new().await;
    let own = program(&pair.legacy.target()).await;
    own.client().batch_execute("BEGIN; SELECT 1").await.unwrap();
    let strangers = program(&another_role(&pair.candidate).await).await;
    strangers.client().batch_execute("BEGIN; SELECT 1").await.unwrap();
    let report = pair.ask(check_with("1ms")).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
}

#[tokio::test]
async fn a_side_that_cannot_be_asked_is_an_error() {
    let mut pair = Pair::new().await;
    pair.legacy.port = 1;
    let report = pair.ask(check()).await;
    assert_eq!(report.verdict, Verdict::Error, "{}", report.message);
    assert!(report.message.starts_with("legacy: "), "{}", report.message);
}
