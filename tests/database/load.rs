//! Load against a real server: it keeps its books, measures from the schedule, and ends when it must.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use cutover::{
    api::{
        Access, Baseline, ChoiceParameter, IntegerParameter, LoadResult, Parameter, Skew, Statement, Traffic,
        TransactionStatement, Verdict, Via,
    },
    load::{self, LatencyLimitsUs, LoadProgress, LoadSpec, Targets},
    postgres::Target,
};
use serde_json::json;
use tokio::sync::watch;

use crate::{
    fake,
    postgres::{Database, Server, assert_shows_no_secret},
};

pub fn int(min: i64, max: i64, skew: Skew) -> Parameter {
    Parameter { int: Some(IntegerParameter { min, max, skew }), ..Parameter::default() }
}

pub fn statement(sql: &str, weight: i32, params: Vec<Parameter>) -> Statement {
    Statement { sql: Some(sql.to_owned()), weight, params, ..Statement::default() }
}

pub fn spec(access: Access, statements: Vec<Statement>) -> LoadSpec {
    let asked = json!({"traffic": "checkout", "rate": 200, "duration": "2s", "connections": 4});
    // The statements come after: not all that the tests try out could be told from them beforehand.
    let one = Traffic {
        name: "checkout".to_owned(),
        access,
        statements: vec![statement("SELECT 1", 1, vec![])],
        scripts: vec![],
    };
    let baseline: Baseline = serde_json::from_value(asked).unwrap();
    LoadSpec {
        traffic: Traffic { statements, ..one.clone() },
        statement_timeout: Duration::from_secs(2),
        ..LoadSpec::from_baseline(&baseline, &one, 7).unwrap()
    }
}

/// The candidate alone.
pub fn candidate(target: &Target) -> Targets {
    Targets::Candidate(target.clone())
}

fn reads() -> Vec<Statement> {
    let kinds = ["a", "b c"].map(str::to_owned).to_vec();
    let choice = Parameter { choice: Some(ChoiceParameter { values: kinds }), ..Parameter::default() };
    vec![
        statement("SELECT * FROM stock WHERE id = $1", 8, vec![int(1, 1000, Skew::Zipf)]),
        statement(
            "SELECT $1::text, $2::numeric, $3::smallint",
            2,
            vec![choice, int(-5, 5, Skew::Uniform), int(1, 9, Skew::Uniform)],
        ),
    ]
}

pub async fn stocked(server: &Server) -> Database<'_> {
    let database = server.database().await;
    let table = "CREATE TABLE stock (id int PRIMARY KEY, quantity int)";
    let rows = "INSERT INTO stock SELECT n, 0 FROM generate_series(1, 1000) n";
    database.execute(&format!("{table}; {rows}; ALTER TABLE stock OWNER TO {}", database.name)).await;
    database
}

pub async fn run(spec: &LoadSpec, target: &Target) -> LoadResult {
    run_and(spec, target, 0, async {}).await
}

/// Runs the load, and does something else once `arrivals` were due.
async fn run_and(
    spec: &LoadSpec,
    target: &Target,
    arrivals: u64,
    other: impl Future<Output = ()>,
) -> LoadResult {
    let (progress, mut told) = watch::channel(LoadProgress::default());
    let last = told.clone();
    let other = async {
        if told.wait_for(|progress| progress.scheduled >= arrivals).await.is_ok() {
            other.await;
        }
    };
    let targets = candidate(target);
    let (outcome, ()) = tokio::join!(load::run(spec, &targets, progress), other);
    assert_shows_no_secret(&outcome);
    let result = outcome.result;
    assert_conserves(&result);
    let told = *last.borrow();
    if result.scheduled > 0 {
        assert_eq!(
            i64::try_from(told.ok + told.errors + told.timeouts).unwrap() + result.skipped,
            result.scheduled
        );
    }
    result
}

#[track_caller]
pub fn assert_conserves(result: &LoadResult) {
    assert_eq!(result.scheduled, result.ok + result.errors + result.timeouts + result.skipped, "{result:?}");
}

#[track_caller]
pub fn assert_verdict(result: &LoadResult, verdict: Verdict, parts: &[&str]) {
    assert_eq!(result.verdict, verdict, "{}", result.message);
    for part in parts {
        assert!(result.message.contains(part), "{part:?} is not in {:?}", result.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_measures_and_conserves_and_is_the_same_again_for_the_same_seed() {
    let database = stocked(Server::shared()).await;
    let spec = LoadSpec {
        max_latency: LatencyLimitsUs { p50: Some(1_000_000), p95: Some(1_900_000), p99: None },
        ..spec(Access::ReadOnly, reads())
    };
    let result = run(&spec, &database.target()).await;
    assert!(matches!(result.verdict, Verdict::Pass | Verdict::Inconclusive), "{}", result.message);
    assert!((300..500).contains(&result.scheduled) && result.ok == result.scheduled, "{result:?}");
    assert!(
        Some(0) < result.p50_us && result.p50_us <= result.p95_us && result.p95_us <= Some(result.max_us),
        "{result:?}"
    );
    assert!((100_000..250_000).contains(&result.throughput_milli), "{result:?}");
    assert_eq!((result.seed, result.error_classes.len()), (7, 0));
    assert_eq!(run(&spec, &database.target()).await.scheduled, result.scheduled);
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_carried_out_only_where_the_traffic_says_so() {
    let database = stocked(Server::shared()).await;
    let update = || {
        vec![statement(
            "UPDATE stock SET quantity = quantity + 1 WHERE id = $1",
            1,
            vec![int(1, 1000, Skew::Uniform)],
        )]
    };
    let result = run(&spec(Access::ReadOnly, update()), &database.target()).await;
    assert_verdict(
        &result,
        Verdict::Fail,
        &["more than half of the statements failed", "no statement was answered"],
    );
    assert!(result.error_classes[0].starts_with("25006 write in a read-only session: "), "{result:?}");
    assert_eq!(sum(&database).await, 0);
    let result = run(&spec(Access::ReadWrite, update()), &database.target()).await;
    assert_eq!((result.ok, result.errors), (result.scheduled, 0), "{result:?}");
    assert_eq!(sum(&database).await, result.ok);
}

/// What the updates added up to, asked by the check that a user would write.
async fn sum(database: &Database<'_>) -> i64 {
    use crate::sql;
    sql::number(database.target(), "SELECT sum(quantity) FROM stock").await
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_no_setting_outlives_its_transaction() {
    let mut database = stocked(Server::shared()).await;
    let relay = fake::relay("127.0.0.1", (database.host.clone(), database.port)).await;
    (database.host, database.port) = (relay.ip().to_string(), relay.port());
    // Fails where a statement finds the session itself restricted, or the transaction not.
    let probe = "SELECT 1 / (current_setting('default_transaction_read_only') = 'off' \
        AND current_setting('transaction_read_only') = 'on' AND current_setting('statement_timeout') = '2s' \
        AND (SELECT setting <> reset_val FROM pg_settings WHERE name = 'statement_timeout'))::int";
    let result = run(&spec(Access::ReadOnly, vec![statement(probe, 1, vec![])]), &database.target()).await;
    assert_eq!((result.ok, result.errors, result.via), (result.scheduled, 0, Via::Proxy), "{result:?}");
    let write = vec![statement("UPDATE stock SET quantity = quantity + 1 WHERE id = 1", 1, vec![])];
    let result = run(&spec(Access::ReadOnly, write.clone()), &database.target()).await;
    assert!(result.ok == 0 && result.error_classes[0].starts_with("25006"), "{result:?}");
    let result = run(&spec(Access::ReadWrite, write), &database.target()).await;
    assert_eq!((result.ok, sum(&database).await), (result.scheduled, result.scheduled), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_statements_are_counted_by_their_sqlstate() {
    let database = stocked(Server::shared()).await;
    let division =
        statement("SELECT 1 / (id % 2) FROM stock WHERE id = $1", 1, vec![int(1, 1000, Skew::Uniform)]);
    let statements = vec![statement("SELECT 1", 3, vec![]), division];
    let result = run(&spec(Access::ReadOnly, statements), &database.target()).await;
    assert_verdict(&result, Verdict::Fail, &["statements failed", "above 1 %"]);
    assert!(result.ok > 0 && result.errors > 0);
    assert_eq!(result.error_classes, [format!("22012 value or constraint: {}", result.errors)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_timeout_is_recorded_at_its_value() {
    let database = stocked(Server::shared()).await;
    let statements = vec![statement("SELECT 1", 60, vec![]), statement("SELECT pg_sleep(30)", 1, vec![])];
    let spec = LoadSpec {
        statement_timeout: Duration::from_millis(300),
        connections: 8,
        ..spec(Access::ReadOnly, statements)
    };
    let result = run(&spec, &database.target()).await;
    assert!(result.timeouts > 0 && result.errors == 0, "{result:?}");
    assert!(result.max_us >= 300_000, "{result:?}");
    assert_eq!(result.error_classes, [format!("statement timeout: {}", result.timeouts)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn latency_counts_from_the_schedule_so_a_busy_connection_can_not_hide_it() {
    let database = stocked(Server::shared()).await;
    // 20 a second, 100 ms each, on one connection: twice what it can carry, so the last waits for about two seconds.
    let slow = vec![statement("SELECT pg_sleep(0.1)", 1, vec![])];
    let spec = LoadSpec {
        rate: 20,
        connections: 1,
        max_latency: LatencyLimitsUs { p50: Some(150_000), ..LatencyLimitsUs::default() },
        ..spec(Access::ReadOnly, slow)
    };
    let result = run(&spec, &database.target()).await;
    assert_verdict(&result, Verdict::Fail, &["p50", "is above 150.0 ms"]);
    assert!(result.p50_us.unwrap() > 500_000 && result.max_us > 1_000_000, "{result:?}");
    assert_eq!(result.ok, result.scheduled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_of_standstill_shows_in_the_percentiles_as_arithmetic_says() {
    let mut database = stocked(Server::shared()).await;
    let (freeze, frozen) = watch::channel(false);
    let relay = fake::freezable_relay("127.0.0.1", (database.host.clone(), database.port), frozen).await;
    (database.host, database.port) = (relay.ip().to_string(), relay.port());
    let lasted = Mutex::new(Duration::ZERO);
    let standstill = async {
        freeze.send_replace(true);
        let begun = Instant::now();
        tokio::time::sleep(Duration::from_secs(1)).await;
        freeze.send_replace(false);
        *lasted.lock().unwrap() = begun.elapsed();
    };
    // A thousand statements tell p99.
    let spec = LoadSpec { rate: 250, duration: Duration::from_secs(5), ..spec(Access::ReadOnly, reads()) };
    let target = database.target();
    let result = run_and(&spec, &target, 200, standstill).await;
    // Of all arrivals the share that came in the standstill waited for between nothing and all of it: a twentieth of all
    // for longer than all but 0.25 s of it, a hundredth for all but 0.05 s. A generator that waited for the answers would
    // have sent four statements in that second, and report next to nothing.
    let lasted = i64::try_from(lasted.into_inner().unwrap().as_micros()).unwrap();
    assert!(
        result.p95_us.unwrap() > lasted - 350_000 && result.p99_us.unwrap() > lasted - 150_000,
        "{lasted}: {result:?}"
    );
    assert!(result.p50_us.unwrap() < lasted / 2 && result.ok == result.scheduled, "{lasted}: {result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn arrivals_that_nobody_was_free_for_are_skipped_not_forgotten() {
    let database = stocked(Server::shared()).await;
    let slow = vec![statement("SELECT pg_sleep(1)", 1, vec![])];
    let spec = LoadSpec { rate: 50, connections: 1, ..spec(Access::ReadOnly, slow) };
    let result = run(&spec, &database.target()).await;
    assert_verdict(&result, Verdict::Fail, &["arrivals found no free connection until the end"]);
    assert!(result.skipped > 0 && result.ok > 0 && result.duration_ms < 10_000, "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_behind_for_good_ends_the_load_early() {
    let database = stocked(Server::shared()).await;
    let slow = vec![statement("SELECT pg_sleep(1)", 1, vec![])];
    let spec = LoadSpec {
        rate: 2000,
        duration: Duration::from_mins(10),
        connections: 1,
        ..spec(Access::ReadOnly, slow)
    };
    let started = Instant::now();
    let result = run(&spec, &database.target()).await;
    assert_verdict(&result, Verdict::Fail, &["fell behind", "ended early"]);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_in_the_middle_fails_and_leaves_nothing_out() {
    let server = Server::start("stopped");
    let database = stocked(&server).await;
    let target = database.target();
    let spec = LoadSpec { duration: Duration::from_secs(3), ..spec(Access::ReadOnly, reads()) };
    let stop = async {
        tokio::task::block_in_place(|| server.stop());
    };
    let result = run_and(&spec, &target, 200, stop).await;
    assert_eq!(result.verdict, Verdict::Fail, "{}", result.message);
    assert!(result.ok > 0 && result.errors > 0 && result.skipped > 0, "{result:?}");
    assert!(
        result.error_classes.iter().any(|class| class.contains("57P01") || class.contains("connection")),
        "{result:?}"
    );
    assert!(result.duration_ms < 15_000, "{result:?}");
    let result = run(&spec, &target).await;
    assert_verdict(&result, Verdict::Fail, &["candidate can't be connected to", "TCP failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_opened_again() {
    let database = stocked(Server::shared()).await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cutover/load' AND usename = ";
    let name = &database.name;
    let target = database.target();
    let interruption = async {
        database.execute(&format!("{end} '{name}'")).await;
    };
    let spec = spec(Access::ReadOnly, reads());
    let result = run_and(&spec, &target, 200, interruption).await;
    assert!((1..=8).contains(&result.errors) && result.skipped == 0, "{result:?}");
    assert!(result.ok > 300, "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_connected_to_or_prepared_fails_before_anything_is_sent() {
    let database = stocked(Server::shared()).await;
    let reads = spec(Access::ReadOnly, reads());
    let result = run(&reads, &database.target_with_password("canary mistaken")).await;
    assert_verdict(&result, Verdict::Fail, &["authentication failed", "28P01"]);
    let result = run(&reads, &Server::shared().superuser()).await;
    assert_verdict(&result, Verdict::Fail, &["superuser", "use the application's own role"]);
    let missing = spec(
        Access::ReadOnly,
        vec![statement("SELECT 1", 1, vec![]), statement("SELECT * FROM gone", 1, vec![])],
    );
    let result = run(&missing, &database.target()).await;
    assert_verdict(&result, Verdict::Fail, &["statement 2", "42P01", "\"gone\""]);
    let parameters = spec(Access::ReadOnly, vec![statement("SELECT $1::int", 1, vec![])]);
    let result = run(&parameters, &database.target()).await;
    assert_verdict(&result, Verdict::Error, &["statement 1", "takes 1 parameters, and the model gives 0"]);
    database.execute(&format!("ALTER ROLE {} CONNECTION LIMIT 2", database.name)).await;
    let result = run(&reads, &database.target()).await;
    assert_verdict(&result, Verdict::Error, &["guard.freeConnections", "role's CONNECTION LIMIT"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_load_closes_its_connections_promptly() {
    let database = stocked(Server::shared()).await;
    let spec = LoadSpec { duration: Duration::from_mins(10), ..spec(Access::ReadOnly, reads()) };
    let target = database.target();
    tokio::time::timeout(Duration::from_secs(1), run(&spec, &target)).await.unwrap_err();
    let started = Instant::now();
    let name = &database.name;
    let count = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cutover/load' AND usename = '{name}'"
    );
    while crate::sql::number(database.target(), &count).await > 0 {
        assert!(started.elapsed() < Duration::from_secs(2), "connections are still open");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_on_keeps_its_place_until_the_server_has_ended_it() {
    let database = stocked(Server::shared()).await;
    // Each within the statement timeout: the transaction is given up on in its third, which the server goes on with.
    let sleep = || TransactionStatement { sql: "SELECT pg_sleep(0.7)".to_owned(), params: vec![] };
    let statement = Statement {
        weight: 1,
        transaction: vec![sleep(), sleep(), sleep(), sleep()],
        ..Statement::default()
    };
    let spec = LoadSpec {
        duration: Duration::from_secs(6),
        statement_timeout: Duration::from_secs(1),
        ..spec(Access::ReadOnly, vec![statement])
    };
    let (target, connections) = (database.target(), i64::try_from(spec.connections).unwrap());
    let load = tokio::spawn({
        let target = target.clone();
        async move { run(&spec, &target).await }
    });
    let count = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cutover/load' AND usename = '{}'",
        database.name
    );
    let mut most = 0;
    while !load.is_finished() {
        most = most.max(crate::sql::number(target.clone(), &count).await);
    }
    let result = load.await.unwrap();
    assert!(result.timeouts > connections, "given up on and opened again: {result:?}");
    assert_eq!(most, connections);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_answer_is_cut_off_and_counted() {
    let database = stocked(Server::shared()).await;
    let statements =
        vec![statement("SELECT 1", 30, vec![]), statement("SELECT repeat('x', 50000000)", 1, vec![])];
    let result = run(&LoadSpec { rate: 100, ..spec(Access::ReadOnly, statements) }, &database.target()).await;
    assert!(result.errors > 0 && result.ok > 0, "{result:?}");
    assert_eq!(result.error_classes, [format!("too much data: {}", result.errors)]);
}
