//! One read-only statement, its expectations, and what it must not get away with.

use std::time::Instant;

use cutover::{
    api::{Check, SqlCheck, SqlTarget, Verdict},
    checks::{CheckReport, Moment},
    postgres::Target,
};

use crate::{
    asking::{self, sides},
    fake::{self, Behaviour},
    postgres::Server,
};

fn question(query: &str) -> SqlCheck {
    SqlCheck {
        query: query.to_owned(),
        against: SqlTarget::Candidate,
        equals: None,
        min: None,
        max: None,
        same: false,
    }
}

fn equals(query: &str, expected: &str) -> SqlCheck {
    SqlCheck { equals: Some(expected.to_owned()), ..question(query) }
}

fn same(query: &str) -> SqlCheck {
    SqlCheck { against: SqlTarget::Both, same: true, ..question(query) }
}

async fn ask_for(timeout: &str, legacy: Target, candidate: Target, sql: SqlCheck) -> CheckReport {
    let check = Check {
        name: "question".to_owned(),
        timeout: Some(timeout.to_owned()),
        sql: Some(sql),
        ..Check::default()
    };
    asking::ask(&check, &sides(legacy, candidate)).await
}

/// On a database with a table of three rows.
async fn ask(sql: SqlCheck) -> CheckReport {
    let database = Server::shared().database().await;
    let name = &database.name;
    database
        .execute(&format!(
            "CREATE TABLE stock (id int PRIMARY KEY, quantity numeric, owner text); \
             INSERT INTO stock VALUES (1, 5, 'canary a'), (2, 0.10, 'canary b'), (3, -7, 'canary c'); \
             ALTER TABLE stock OWNER TO {name}; CREATE TABLE hidden (id int)"
        ))
        .await;
    ask_for("10s", database.target(), database.target(), sql).await
}

/// The whole number that a statement answers.
pub async fn number(target: Target, query: &str) -> i64 {
    let any = SqlCheck { min: Some(i64::MIN.to_string()), ..question(query) };
    let result = ask_for("10s", target.clone(), target, any).await;
    result.measured.unwrap_or(result.message).parse().unwrap()
}

#[track_caller]
fn assert_verdict(result: &CheckReport, verdict: Verdict, parts: &[&str]) {
    assert_eq!(result.verdict, verdict, "{}", result.message);
    for part in parts {
        assert!(result.message.contains(part), "{part:?} is not in {:?}", result.message);
    }
}

#[tokio::test]
async fn equals_passes_and_fails_with_the_number_that_was_measured() {
    let result = ask(equals("SELECT count(*) FROM stock WHERE quantity < 0", "1")).await;
    assert_verdict(&result, Verdict::Pass, &[]);
    assert_eq!((result.measured.as_deref(), result.expected.as_deref()), (Some("1"), Some("1")));
    let result = ask(equals("SELECT count(*) FROM stock", "0")).await;
    assert_verdict(&result, Verdict::Fail, &["answers 3, not 0"]);
    assert_verdict(&ask(equals("SELECT bool_and(id > 0) FROM stock", "true")).await, Verdict::Pass, &[]);
    assert_verdict(
        &ask(equals("SELECT owner FROM stock WHERE id = 1", "x")).await,
        Verdict::Fail,
        &["text of 8 bytes"],
    );
    assert_verdict(&ask(equals("SHOW server_encoding;", "UTF8")).await, Verdict::Pass, &[]);
}

#[tokio::test]
async fn min_and_max_are_a_range() {
    let range = |query: &str, min: Option<&str>, max: Option<&str>| SqlCheck {
        min: min.map(str::to_owned),
        max: max.map(str::to_owned),
        ..question(query)
    };
    let sum = "SELECT sum(quantity) FROM stock";
    let result = ask(range(sum, Some("-1.9"), Some("-1.9"))).await;
    assert_verdict(&result, Verdict::Pass, &[]);
    assert_eq!(result.measured.as_deref(), Some("-1.90"));
    assert_verdict(&ask(range(sum, Some("-1.89"), None)).await, Verdict::Fail, &["below -1.89"]);
    assert_verdict(&ask(range(sum, None, Some("-1.91"))).await, Verdict::Fail, &["above -1.91"]);
    assert_verdict(&ask(range("SELECT 1e20::float8", Some("1e20"), None)).await, Verdict::Pass, &[]);
    assert_verdict(
        &ask(range("SELECT owner FROM stock LIMIT 1", Some("0"), None)).await,
        Verdict::Fail,
        &["not a number"],
    );
    let no_row = ask(range("SELECT id FROM stock WHERE false", Some("0"), None)).await;
    assert_verdict(&no_row, Verdict::Fail, &["exactly one row", "0 rows"]);
}

#[tokio::test]
async fn same_compares_every_row_of_both_sides() {
    let (legacy, candidate) = (Server::shared().database().await, Server::shared().database().await);
    for database in [&legacy, &candidate] {
        let owner = &database.name;
        let table = "CREATE TABLE t (id int, at timestamptz, f float8, x bytea)";
        let rows = "INSERT INTO t VALUES (1, '2024-01-01 00:00+00', 0.1, '\\x00ff'), (2, null, 1e300, '')";
        database.execute(&format!("{table}; {rows}; ALTER TABLE t OWNER TO {owner}")).await;
    }
    // Settings that change how values are written, not what they are.
    let name = &candidate.name;
    let settings = [
        "timezone = 'Asia/Tokyo'",
        "datestyle = 'German'",
        "bytea_output = 'escape'",
        "extra_float_digits = -5",
    ];
    for setting in settings {
        candidate.execute(&format!("ALTER ROLE {name} SET {setting}")).await;
    }
    let both = |sql| ask_for("10s", legacy.target(), candidate.target(), sql);
    let result = both(same("SELECT * FROM t ORDER BY id")).await;
    assert_verdict(&result, Verdict::Pass, &["2 rows"]);
    assert_eq!(result.baseline.as_deref(), Some("2 rows"));
    candidate.execute("UPDATE t SET x = 'canary' WHERE id = 2").await;
    assert_verdict(&both(same("SELECT * FROM t ORDER BY id")).await, Verdict::Fail, &["row 2, column 4"]);
    assert_verdict(&both(same("SELECT id FROM t ORDER BY id")).await, Verdict::Pass, &[]);
    candidate.execute("DELETE FROM t WHERE id = 2").await;
    let result = both(same("SELECT id FROM t ORDER BY id")).await;
    assert_verdict(&result, Verdict::Fail, &["legacy returns 2 rows, the candidate 1"]);
    let result = both(SqlCheck { against: SqlTarget::Both, ..equals("SELECT count(*) FROM t", "2") }).await;
    assert_verdict(
        &result,
        Verdict::Fail,
        &["legacy: the statement answers 2, as expected; candidate: the statement answers 1, not 2"],
    );
    assert_eq!((result.measured.as_deref(), result.baseline.as_deref()), (Some("1"), Some("2")));
}

#[tokio::test]
async fn a_side_that_can_not_be_reached_is_an_error_not_a_difference() {
    let database = Server::shared().database().await;
    let mut gone = Server::shared().database().await;
    gone.host = "no-such-host.invalid".to_owned();
    let result = ask_for("10s", gone.target(), database.target(), same("SELECT 1")).await;
    assert_verdict(&result, Verdict::Error, &["legacy: DNS failed", "candidate: 1 rows"]);
    let result =
        ask_for("10s", database.target(), Server::shared().superuser(), equals("SELECT 1", "1")).await;
    assert_verdict(&result, Verdict::Fail, &["superuser"]);
}

#[tokio::test]
async fn only_a_single_statement_that_returns_rows_is_run() {
    for (query, part) in [
        ("SELECT 1; DELETE FROM stock", "multiple commands"),
        ("SELECT 1; COMMIT; DELETE FROM stock", "multiple commands"),
        ("COMMIT", "returns no rows"),
        ("DELETE FROM stock", "returns no rows"),
        ("SET transaction_read_only = off", "returns no rows"),
        ("", "returns no rows"),
        ("SELECT id FROM stock WHERE id = $1", "has parameters"),
        ("SELEC 1", "syntax error at or near"),
        ("SELECT 1 FROM stocks", "relation \"stocks\" does not exist"),
        ("SELECT * FROM hidden", "42501"),
    ] {
        assert_verdict(&ask(equals(query, "1")).await, Verdict::Fail, &[part]);
    }
}

#[tokio::test]
async fn a_write_fails_and_changes_nothing() {
    let database = Server::shared().database().await;
    let name = &database.name;
    database
        .execute(&format!(
            "CREATE TABLE t (id int); ALTER TABLE t OWNER TO {name}; \
             CREATE FUNCTION sly() RETURNS int LANGUAGE plpgsql AS $$ BEGIN \
               PERFORM set_config('transaction_read_only', 'off', true); INSERT INTO t VALUES (1); RETURN 1; END $$"
        ))
        .await;
    let ask = |query| ask_for("10s", database.target(), database.target(), equals(query, "1"));
    let result = ask("INSERT INTO t VALUES (1) RETURNING id").await;
    assert_verdict(&result, Verdict::Fail, &["the statement writes; checks are read-only", "25006"]);
    let result = ask("WITH w AS (INSERT INTO t VALUES (1) RETURNING id) SELECT id FROM w").await;
    assert_verdict(&result, Verdict::Fail, &["25006"]);
    assert_eq!(ask("SELECT sly()").await.verdict, Verdict::Error);
    assert_verdict(
        &ask_for("10s", database.target(), database.target(), equals("SELECT count(*) FROM t", "0")).await,
        Verdict::Pass,
        &[],
    );
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended_on_the_server() {
    let database = Server::shared().database().await;
    let started = Instant::now();
    let result =
        ask_for("1s", database.target(), database.target(), equals("SELECT pg_sleep(60)::text", "")).await;
    assert_verdict(&result, Verdict::Error, &["did not finish within", "57014"]);
    assert!(started.elapsed().as_millis() < 1200);
}

#[tokio::test]
async fn a_dropped_question_leaves_no_statement_running() {
    let database = Server::shared().database().await;
    let asked = ask_for("2s", database.target(), database.target(), equals("SELECT pg_sleep(60)::text", ""));
    tokio::time::timeout(std::time::Duration::from_millis(500), asked).await.unwrap_err();
    let name = &database.name;
    let running = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = '{name}' AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()"
    );
    let started = Instant::now();
    while ask_for("5s", database.target(), database.target(), equals(&running, "0")).await.verdict
        != Verdict::Pass
    {
        assert!(started.elapsed().as_secs() < 5, "the statement still runs");
    }
}

#[tokio::test]
async fn a_lock_is_not_waited_for() {
    let database = Server::shared().database().await;
    database.execute(&format!("CREATE TABLE t (id int); ALTER TABLE t OWNER TO {}", database.name)).await;
    let locked = database.execute("BEGIN; LOCK TABLE t; SELECT pg_sleep(4); COMMIT");
    let asked = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        ask_for("20s", database.target(), database.target(), equals("SELECT count(*) FROM t", "0")).await
    };
    let ((), result) = tokio::join!(locked, asked);
    assert_verdict(&result, Verdict::Error, &["55P03"]);
}

#[tokio::test]
async fn a_large_answer_is_cut_off() {
    let rows = ask(equals("SELECT generate_series(1, 1001)", "1")).await;
    assert_verdict(&rows, Verdict::Fail, &["more than 1000 rows"]);
    let bytes = ask(equals("SELECT repeat('x', 2000) FROM generate_series(1, 900)", "1")).await;
    assert_verdict(&bytes, Verdict::Fail, &["more than 1024 KiB"]);
    let row = ask(equals("SELECT repeat('x', 100000000)", "1")).await;
    assert_verdict(&row, Verdict::Fail, &["more than 1024 KiB"]);
}

#[tokio::test]
async fn a_silent_server_ends_in_an_error_within_the_timeout() {
    let mut database = Server::shared().database().await;
    database.port = fake::server(Behaviour::Silent).await.port();
    let started = Instant::now();
    let result = ask_for("1s", database.target(), database.target(), equals("SELECT 1", "1")).await;
    assert_verdict(&result, Verdict::Error, &["TLS failed", "no answer within"]);
    assert!(started.elapsed().as_millis() < 1100);
}

#[tokio::test]
async fn data_in_a_servers_message_is_not_shown() {
    let database = Server::shared().database().await;
    let ask = |query| ask_for("10s", database.target(), database.target(), equals(query, "1"));
    let result = ask("SELECT 'canary'::int").await;
    assert_verdict(&result, Verdict::Fail, &["22P02"]);
    let dynamic =
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'canary'; RETURN 1; END $$";
    database.execute(dynamic).await;
    assert_verdict(&ask("SELECT f()").await, Verdict::Fail, &["42601"]);
}

/// After the move, with a legacy that holds other rows, or is gone.
async fn ask_after(sql: SqlCheck) -> CheckReport {
    let server = Server::shared();
    let (legacy, candidate) = (server.database().await, server.database().await);
    for (database, count) in [(&legacy, 2), (&candidate, 3)] {
        let name = &database.name;
        database
            .execute(&format!(
                "CREATE TABLE orders AS SELECT generate_series(1, {count}) AS id; ALTER TABLE orders OWNER TO {name}"
            ))
            .await;
    }
    let check = Check { name: "question".to_owned(), sql: Some(sql), ..Check::default() };
    asking::ask_at(Moment::After, &check, &sides(legacy.target(), candidate.target())).await
}

#[tokio::test]
async fn after_the_move_the_candidate_alone_is_asked_where_both_were() {
    let report = ask_after(same("SELECT count(*) FROM orders")).await;
    assert_verdict(&report, Verdict::Pass, &["1 rows; legacy is not asked"]);
    assert_eq!((report.measured.as_deref(), report.expected.as_deref()), (Some("3"), Some("an answer")));
    let both = SqlCheck { against: SqlTarget::Both, ..equals("SELECT count(*) FROM orders", "3") };
    assert_verdict(&ask_after(both).await, Verdict::Pass, &["answers 3, as expected; legacy is not asked"]);
    let report = ask_after(same("SELECT count(*) FROM missing")).await;
    assert_eq!(report.verdict, Verdict::Fail, "{}", report.message);
    let legacy = SqlCheck { against: SqlTarget::Legacy, ..equals("SELECT count(*) FROM orders", "2") };
    assert_verdict(&ask_after(legacy).await, Verdict::Pass, &["answers 2, as expected"]);
}
