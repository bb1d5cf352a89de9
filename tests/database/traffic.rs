//! Traffic models against a real server: transactions, sequences, keys of a table, classes that read and classes that
//! write, and the shape of a rate.

use std::time::Duration;

use cutover::{
    api::{
        Access, ArrivalProcess, LoadResult, Parameter, RatePoint, SampleParameter, SequenceParameter, Skew,
        Statement, TransactionStatement, Verdict,
    },
    load::{self, Course, LoadProgress, LoadSpec, report::ClassSide},
    postgres::Target,
};
use tokio::sync::watch;

use crate::{
    fake,
    load::{assert_conserves, assert_verdict, candidate, int, run, spec, statement, stocked},
    postgres::{Database, Server, assert_shows_no_secret},
    sql::number,
};

fn sample(table: &str, column: &str, count: i32) -> Parameter {
    let (table, column) = (table.to_owned(), column.to_owned());
    Parameter { sample: Some(SampleParameter { table, column, count }), ..Parameter::default() }
}

fn sequence(start: i64, step: i64) -> Parameter {
    Parameter { sequence: Some(SequenceParameter { start, step }), ..Parameter::default() }
}

fn transaction(parts: Vec<(&str, Vec<Parameter>)>) -> Statement {
    let part = |(sql, params): (&str, Vec<Parameter>)| TransactionStatement { sql: sql.to_owned(), params };
    Statement { weight: 1, transaction: parts.into_iter().map(part).collect(), ..Statement::default() }
}

/// The load's result, and what each class came to.
pub async fn run_by_class(spec: &LoadSpec, target: &Target) -> (LoadResult, Vec<ClassSide>) {
    let outcome = load::run(spec, &candidate(target), watch::channel(LoadProgress::default()).0).await;
    assert_shows_no_secret(&outcome);
    assert_conserves(&outcome.result);
    let classes: Vec<_> = outcome.report.classes.iter().map(|class| class.candidate.unwrap()).collect();
    let sum = |part: fn(&ClassSide) -> u64| i64::try_from(classes.iter().map(part).sum::<u64>()).unwrap();
    let LoadResult { ok, errors, timeouts, .. } = outcome.result;
    let parts = (sum(|class| class.ok), sum(|class| class.failed));
    assert_eq!(parts, (ok, errors + timeouts), "classes are parts of the whole");
    (outcome.result, classes)
}

async fn count(database: &Database<'_>, query: &str) -> i64 {
    number(database.target(), query).await
}

async fn with_log(server: &Server) -> Database<'_> {
    let database = stocked(server).await;
    let name = &database.name;
    database.execute(&format!("CREATE TABLE log (entry bigint); ALTER TABLE log OWNER TO {name}")).await;
    database
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_runs_from_begin_to_commit_on_one_connection() {
    let database = with_log(Server::shared()).await;
    let insert = "INSERT INTO log VALUES (txid_current())";
    let update = "UPDATE stock SET quantity = quantity + $2 WHERE id = $1";
    let update = (update, vec![int(1, 1000, Skew::Uniform), int(1, 1, Skew::Uniform)]);
    let statements = vec![transaction(vec![(insert, vec![]), update, (insert, vec![])])];
    let result = run(&spec(Access::ReadWrite, statements), &database.target()).await;
    assert_eq!((result.ok, result.errors), (result.scheduled, 0), "{result:?}");
    assert_eq!(count(&database, "SELECT count(*) FROM log").await, 2 * result.ok);
    assert_eq!(count(&database, "SELECT count(DISTINCT entry) FROM log").await, result.ok);
    assert_eq!(count(&database, "SELECT sum(quantity) FROM stock").await, result.ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transactions_latency_is_that_of_the_whole() {
    let database = stocked(Server::shared()).await;
    let half = ("SELECT pg_sleep(0.1)", vec![]);
    let spec = LoadSpec {
        rate: 10,
        connections: 8,
        ..spec(Access::ReadOnly, vec![transaction(vec![half.clone(), half])])
    };
    let result = run(&spec, &database.target()).await;
    assert!(result.p50_us.unwrap() >= 200_000, "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_a_transaction_rolls_it_back_and_counts_once() {
    let database = with_log(Server::shared()).await;
    let insert = ("INSERT INTO log VALUES (1)", vec![]);
    let divide = ("SELECT 1 / $1::int", vec![int(0, 1, Skew::Uniform)]);
    let statements = vec![transaction(vec![insert.clone(), divide, insert])];
    // Half of all would end the load early.
    let harmless = statement("SELECT 1", 2, vec![]);
    let spec = LoadSpec { connections: 2, ..spec(Access::ReadWrite, [statements, vec![harmless]].concat()) };
    let (result, classes) = run_by_class(&spec, &database.target()).await;
    assert!(result.errors > 20 && result.skipped == 0, "{result:?}");
    assert_eq!(result.error_classes, [format!("22012 value or constraint: {}", result.errors)]);
    let ok = i64::try_from(classes[0].ok).unwrap();
    assert!(ok > 20 && classes[1].failed == 0, "{classes:?}");
    assert_eq!(count(&database, "SELECT count(*) FROM log").await, 2 * ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_times_out_leaves_nothing_behind() {
    let database = with_log(Server::shared()).await;
    let insert = ("INSERT INTO log VALUES (1)", vec![]);
    let slow = ("SELECT pg_sleep(30)", vec![]);
    let statements = vec![transaction(vec![insert, slow]), statement("SELECT 1", 20, vec![])];
    let spec = LoadSpec {
        statement_timeout: Duration::from_millis(300),
        connections: 8,
        ..spec(Access::ReadWrite, statements)
    };
    let result = run(&spec, &database.target()).await;
    assert!(result.timeouts > 0 && result.errors == 0 && result.skipped == 0, "{result:?}");
    assert_eq!(count(&database, "SELECT count(*) FROM log").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_gives_every_arrival_a_value_of_its_own() {
    let database = with_log(Server::shared()).await;
    database.execute("ALTER TABLE log ADD PRIMARY KEY (entry)").await;
    let insert = statement("INSERT INTO log VALUES ($1)", 1, vec![sequence(100, 5)]);
    let result = run(&spec(Access::ReadWrite, vec![insert]), &database.target()).await;
    assert_eq!((result.ok, result.errors), (result.scheduled, 0), "{result:?}");
    assert_eq!(count(&database, "SELECT min(entry) FROM log").await, 100);
    assert_eq!(count(&database, "SELECT max(entry) FROM log").await, 100 + 5 * (result.ok - 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn sampled_keys_are_keys_that_the_table_has() {
    let database = stocked(Server::shared()).await;
    let tables = "CREATE SCHEMA \"Shop\"; \
        CREATE TABLE \"Shop\".\"Order\" (\"Key\" text PRIMARY KEY, filler text); \
        INSERT INTO \"Shop\".\"Order\" SELECT 'canary''' || n * 7919, repeat('x', 500) FROM generate_series(1, 20000) n; \
        CREATE TABLE part (id uuid, day int) PARTITION BY RANGE (day); \
        CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (5); \
        CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (5) TO (10); \
        INSERT INTO part SELECT md5(n::text)::uuid, n % 10 FROM generate_series(1, 1000) n; \
        INSERT INTO part VALUES (NULL, 1); \
        CREATE MATERIALIZED VIEW seen AS SELECT n::bigint * 1000003 AS id FROM generate_series(1, 50) n; \
        GRANT USAGE ON SCHEMA \"Shop\" TO PUBLIC; GRANT SELECT ON \"Shop\".\"Order\", part, seen TO PUBLIC";
    database.execute(tables).await;
    // Fails where there is no row of that key.
    let statements = vec![
        statement(
            "SELECT 1 / count(*) FROM \"Shop\".\"Order\" WHERE \"Key\" = $1",
            1,
            vec![sample("\"Shop\".\"Order\"", "Key", 100)],
        ),
        statement("SELECT 1 / count(*) FROM part WHERE id = $1", 1, vec![sample("part", "id", 10_000)]),
        statement("SELECT 1 / count(*) FROM seen WHERE id = $1", 1, vec![sample("seen", "id", 10)]),
    ];
    let (result, classes) = run_by_class(&spec(Access::ReadOnly, statements), &database.target()).await;
    assert_eq!((result.ok, result.errors), (result.scheduled, 0), "{result:?}");
    assert!(classes.iter().all(|class| class.ok > 50), "{classes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_can_not_be_sampled_are_named_with_the_reason() {
    let database = stocked(Server::shared()).await;
    database
        .execute("CREATE TABLE hidden (id int); CREATE TABLE empty (id int); CREATE VIEW v AS SELECT 1 AS id")
        .await;
    let sparse = "CREATE TABLE sparse (id int, filler text); \
        INSERT INTO sparse SELECT NULL, repeat('x', 500) FROM generate_series(1, 20000); \
        CREATE TABLE parent (id int, filler text); CREATE TABLE child () INHERITS (parent); \
        INSERT INTO child SELECT * FROM sparse";
    database.execute(&format!("{sparse}; GRANT SELECT ON empty, sparse, parent, v TO PUBLIC")).await;
    for (table, column, verdict, reason) in [
        ("gone", "id", Verdict::Fail, "keys of gone.id could not be sampled: there is no such table"),
        (
            "stock",
            "gone",
            Verdict::Fail,
            "keys of stock.gone could not be sampled: the table has no such column",
        ),
        ("hidden", "id", Verdict::Fail, "42501"),
        ("empty", "id", Verdict::Error, "no row"),
        ("sparse", "id", Verdict::Error, "of its blocks that were read"),
        ("parent", "id", Verdict::Error, "of its blocks that were read"),
        ("v", "id", Verdict::Error, "neither a table nor a materialized view"),
        ("a b c", "id", Verdict::Fail, "keys of a b c.id could not be sampled"),
        ("stock; DROP TABLE stock", "id", Verdict::Fail, "could not be sampled"),
    ] {
        let statements = vec![statement("SELECT $1::text", 1, vec![sample(table, column, 10)])];
        let result = run(&spec(Access::ReadOnly, statements), &database.target()).await;
        assert_verdict(&result, verdict, &[reason]);
        assert_eq!(result.scheduled, 0);
    }
    assert_eq!(count(&database, "SELECT count(*) FROM stock").await, 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_that_only_reads_can_not_write_in_a_model_that_does() {
    for is_pooled in [false, true] {
        let mut database = stocked(Server::shared()).await;
        if is_pooled {
            let relay = fake::relay("127.0.0.1", (database.host.clone(), database.port)).await;
            (database.host, database.port) = (relay.ip().to_string(), relay.port());
        }
        let update = "UPDATE stock SET quantity = quantity + 1 WHERE id = 1";
        let only =
            |statement: Statement, weight| Statement { access: Some(Access::ReadOnly), weight, ..statement };
        let statements = vec![
            statement(update, 8, vec![]),
            only(statement(update, 1, vec![]), 1),
            only(transaction(vec![(update, vec![])]), 1),
            only(statement("SELECT 1", 1, vec![]), 4),
        ];
        let (result, classes) = run_by_class(&spec(Access::ReadWrite, statements), &database.target()).await;
        assert!(
            classes[1].ok + classes[2].ok == 0 && classes[0].failed + classes[3].failed == 0,
            "{classes:?}"
        );
        assert!(classes.iter().all(|class| class.ok + class.failed > 5), "{classes:?}");
        assert_eq!(result.error_classes, [format!("25006 write in a read-only session: {}", result.errors)]);
        let written = i64::try_from(classes[0].ok).unwrap();
        assert_eq!(count(&database, "SELECT sum(quantity) FROM stock").await, written);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_would_feel_of_a_read_only_transaction_is_refused() {
    let database = stocked(Server::shared()).await;
    let locks = transaction(vec![("LOCK TABLE stock", vec![]), ("SELECT 1", vec![])]);
    let notifies = statement("NOTIFY jobs", 1, vec![]);
    for (refused, place) in [(locks, "part 1 of statement 1"), (notifies, "statement 1")] {
        let result = run(&spec(Access::ReadOnly, vec![refused.clone()]), &database.target()).await;
        assert_verdict(&result, Verdict::Error, &[place, "others feel them"]);
        assert_eq!(result.scheduled, 0);
        let allowed = run(&spec(Access::ReadWrite, vec![refused]), &database.target()).await;
        assert_eq!((allowed.ok, allowed.errors), (allowed.scheduled, 0), "{allowed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_pooler_a_transaction_brings_its_limits_along() {
    let mut database = with_log(Server::shared()).await;
    let relay = fake::relay("127.0.0.1", (database.host.clone(), database.port)).await;
    (database.host, database.port) = (relay.ip().to_string(), relay.port());
    let probe = "SELECT 1 / (current_setting('default_transaction_read_only') = 'off' \
        AND current_setting('transaction_read_only') = 'off' AND current_setting('statement_timeout') = '2s' \
        AND (SELECT setting <> reset_val FROM pg_settings WHERE name = 'statement_timeout'))::int";
    let insert = ("INSERT INTO log VALUES (txid_current())", vec![]);
    let statements = vec![transaction(vec![insert.clone(), (probe, vec![]), insert])];
    let result = run(&spec(Access::ReadWrite, statements), &database.target()).await;
    assert_eq!((result.ok, result.errors), (result.scheduled, 0), "{result:?}");
    assert_eq!(count(&database, "SELECT count(DISTINCT entry) FROM log").await, result.ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_follows_its_shape_and_nothing_is_lost() {
    let database = stocked(Server::shared()).await;
    let point = |at: &str, percent| RatePoint { at: at.to_owned(), percent };
    let shape = [point("0s", 0), point("1s", 100), point("1s", 50), point("2s", 50)];
    let spec = LoadSpec {
        course: Course::new(&shape, ArrivalProcess::Fixed).unwrap(),
        ..spec(Access::ReadOnly, vec![statement("SELECT 1", 1, vec![])])
    };
    let result = run(&spec, &database.target()).await;
    // Half of 200 in the first second, and half in the second.
    assert!((199..=201).contains(&result.scheduled) && result.ok == result.scheduled, "{result:?}");
}
