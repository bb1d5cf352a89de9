//! `cutover traffic capture` against servers that have seen traffic, and against such as can't tell of any.

use std::{
    path::PathBuf,
    process::{Command, Output},
    sync::OnceLock,
    time::Duration,
};

use cutover::{
    api::{Access, IntegerParameter, SampleParameter, Skew, Statement, Traffic},
    load::{CaptureError, CaptureOptions, Captured, LoadSpec, capture},
};

use crate::{
    load::{int, run, spec, statement},
    postgres::{Database, Server},
};

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start_with("capture", &["shared_preload_libraries=pg_stat_statements"]))
}

const SHOP: &str = "CREATE SCHEMA extensions; CREATE EXTENSION pg_stat_statements SCHEMA extensions; \
    CREATE TYPE state AS ENUM ('open', 'paid'); \
    CREATE TABLE customers (id bigint PRIMARY KEY, email text UNIQUE, \"Born\" date); \
    CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, state state, total numeric(10,2)); \
    CREATE TABLE audit (id bigserial PRIMARY KEY, what text); \
    CREATE VIEW paid AS SELECT * FROM orders WHERE state = 'paid'; \
    INSERT INTO customers SELECT n, 'canary' || n || '@example.org', DATE '1970-01-01' + n FROM generate_series(1001, 1500) n; \
    INSERT INTO orders SELECT n, 1001 + n % 500, CASE WHEN n % 10 = 0 THEN 'open' ELSE 'paid' END::state, n FROM generate_series(1, 5000) n; \
    ANALYZE; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO PUBLIC; \
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO PUBLIC; GRANT USAGE ON SCHEMA extensions TO PUBLIC";

/// What the application of the tests sends; the first is called most.
fn application() -> Vec<Statement> {
    let id = || int(1, 5000, Skew::Uniform);
    vec![
        statement(
            "SELECT o.total, c.email FROM orders o JOIN customers AS c ON c.id = o.customer_id WHERE o.id = $1",
            8,
            vec![id()],
        ),
        statement(
            "SELECT id /* canary@example.org */ FROM customers WHERE email = 'canary1042@example.org' -- canary",
            4,
            vec![],
        ),
        statement(
            "SELECT count(*) FROM orders WHERE customer_id IN (1100, 1200) AND state = 'paid'",
            2,
            vec![],
        ),
        statement(
            "SELECT id FROM customers WHERE \"Born\" BETWEEN '1971-01-01' AND '1972-01-01' ORDER BY 1 LIMIT 5 OFFSET 2",
            2,
            vec![],
        ),
        statement("SELECT total FROM paid WHERE id = 17", 2, vec![]),
        statement("UPDATE orders SET total = total + 1 WHERE id = $1", 2, vec![id()]),
        statement("INSERT INTO audit (what) VALUES ('canary')", 2, vec![]),
    ]
}

/// A database with traffic behind it.
async fn seasoned() -> Database<'static> {
    let database = server().database().await;
    database.execute(SHOP).await;
    let spec =
        LoadSpec { rate: 300, duration: Duration::from_secs(2), ..spec(Access::ReadWrite, application()) };
    let result = run(&spec, &database.target()).await;
    assert_eq!((result.ok, result.errors), (result.scheduled, 0), "{result:?}");
    database
}

fn options() -> CaptureOptions {
    CaptureOptions { name: "seen".to_owned(), top: 20, min_calls: 5, with_values: false, writes: false }
}

async fn captured(database: &Database<'_>, options: &CaptureOptions) -> Captured {
    let captured = capture(&database.target(), options).await.unwrap();
    let read: Traffic = serde_saphyr::from_str(&captured.yaml).unwrap();
    assert_eq!(read, captured.traffic, "{}", captured.yaml);
    captured
}

/// The one statement whose text begins like this.
#[track_caller]
fn of<'a>(captured: &'a Captured, beginning: &str) -> &'a Statement {
    let begins = |statement: &&Statement| statement.sql.as_ref().unwrap().starts_with(beginning);
    let found: Vec<_> = captured.traffic.statements.iter().filter(begins).collect();
    assert_eq!(found.len(), 1, "{}", captured.yaml);
    found[0]
}

fn sampled(statement: &Statement, parameter: usize) -> Option<&SampleParameter> {
    statement.params[parameter].sample.as_ref()
}

#[track_caller]
fn assert_sampled(statement: &Statement, parameter: usize, table: &str, column: &str) {
    let expected = SampleParameter { table: table.to_owned(), column: column.to_owned(), count: 1000 };
    assert_eq!(sampled(statement, parameter), Some(&expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mix_that_the_server_has_seen_becomes_a_model_and_runs_as_load() {
    let database = seasoned().await;
    let captured = captured(&database, &options()).await;
    assert!(!captured.yaml.contains("canary"), "{}", captured.yaml);
    assert_eq!(captured.traffic.access, Access::ReadOnly);

    let join = of(&captured, "SELECT o.total");
    assert_sampled(join, 0, "public.orders", "id");
    let email = of(&captured, "SELECT id FROM customers WHERE email = $1");
    assert_sampled(email, 0, "public.customers", "email");
    let list = of(&captured, "SELECT count(*) FROM orders");
    assert_sampled(list, 0, "public.orders", "customer_id");
    // From PostgreSQL 18 on a list is one parameter.
    assert_sampled(list, list.params.len() - 1, "public.orders", "state");
    let born = of(&captured, "SELECT id FROM customers WHERE \"Born\"");
    assert_sampled(born, 0, "public.customers", "Born");
    assert_sampled(born, 1, "public.customers", "Born");
    assert!(born.params[2].int.is_some() && born.params[3].int.is_some(), "{}", captured.yaml);
    // A view has no rows of its own to sample.
    assert!(of(&captured, "SELECT total FROM paid").params[0].int.is_some());
    assert!(captured.yaml.contains("# $1: a guess: only its type is known, int8"), "{}", captured.yaml);

    // In proportion to the calls: twice as many, give or take.
    let (most, less) = (f64::from(join.weight), f64::from(email.weight));
    assert!((1.5..2.7).contains(&(most / less)), "{most} {less}");
    assert!(
        captured.summary.iter().any(|line| line.starts_with("2 statements that write or lock rows left out"))
    );

    let spec = LoadSpec { traffic: captured.traffic, ..spec(Access::ReadOnly, vec![]) };
    let result = run(&spec, &database.target()).await;
    assert!(result.ok > 300 && result.errors == 0 && result.timeouts == 0, "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_write_are_taken_only_when_asked_for_and_told_apart() {
    let database = seasoned().await;
    let captured = captured(&database, &CaptureOptions { writes: true, ..options() }).await;
    assert_eq!(captured.traffic.access, Access::ReadWrite);
    assert_eq!(of(&captured, "SELECT o.total").access, Some(Access::ReadOnly));
    let update = of(&captured, "UPDATE orders");
    assert_eq!(update.access, None);
    assert_sampled(update, 0, "public.orders", "id");
    assert!(update.params[1].int.is_some(), "{}", captured.yaml);
    assert_sampled(of(&captured, "INSERT INTO audit"), 0, "public.audit", "what");
    assert!(!captured.yaml.contains("canary"), "{}", captured.yaml);
    let spec = LoadSpec { traffic: captured.traffic, ..spec(Access::ReadWrite, vec![]) };
    let result = run(&spec, &database.target()).await;
    assert_eq!((result.ok, result.errors), (result.scheduled, 0), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_leave_the_database_only_when_asked_for() {
    let database = seasoned().await;
    let captured = captured(&database, &CaptureOptions { with_values: true, ..options() }).await;
    let ids = IntegerParameter { min: 1, max: 5000, skew: Skew::Uniform };
    assert_eq!(of(&captured, "SELECT o.total").params[0].int, Some(ids));
    let states = of(&captured, "SELECT count(*) FROM orders").params.last().unwrap().choice.clone().unwrap();
    assert_eq!(states.values, ["paid", "open"]);
    assert!(
        captured.yaml.contains("It holds values from the statistics of the columns"),
        "{}",
        captured.yaml
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn few_and_rare_statements_are_left_out() {
    let database = seasoned().await;
    let top = captured(&database, &CaptureOptions { top: 1, ..options() }).await;
    assert_eq!(top.traffic.statements.len(), 1);
    of(&top, "SELECT o.total");
    let rare = CaptureOptions { min_calls: 1_000_000, ..options() };
    let error = capture(&database.target(), &rare).await.unwrap_err();
    assert!(matches!(error, CaptureError::Nothing(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_used_stays_as_a_comment_with_its_reason() {
    let database = seasoned().await;
    database.execute(&format!("GRANT pg_read_all_stats TO {}", database.name)).await;
    for statement in [
        // Normalised, it is `interval $1`, which is no SQL.
        "SELECT now() - interval '1 day'",
        "SELECT id FROM orders WHERE point(id, id) <@ box(point(0, 0), point(1, 1)) AND (point(id, id) ~= '(1,2)')",
        "SELECT id FROM orders WHERE id = ANY ('{1,2}')",
        // Both tables have the column, and which is meant takes a parser.
        "SELECT total FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE id = 1001)",
        "SELECT count(*) FROM pg_stat_activity",
        "SET application_name = 'canary'",
    ] {
        database.execute(&format!("{statement};").repeat(9)).await;
    }
    let captured = captured(&database, &options()).await;
    let yaml = &captured.yaml;
    assert!(!yaml.contains("canary") && !yaml.contains("pg_stat_activity"), "{yaml}");
    for comment in [
        "it can't be prepared: ",
        "#   SELECT now() - interval $1",
        "is of type point, of which no value is known",
    ] {
        assert!(yaml.contains(comment), "{comment} is not in {yaml}");
    }
    let array = of(&captured, "SELECT id FROM orders WHERE id = ANY").params[0].choice.as_ref().unwrap();
    assert_eq!(array.values, ["{}"]);
    assert!(of(&captured, "SELECT total FROM orders WHERE customer_id").params[0].int.is_some(), "{yaml}");
    for line in [
        "2 statements left out that can't be prepared",
        "that ask the server about itself",
        "that are no queries",
    ] {
        assert!(captured.summary.iter().any(|told| told.contains(line)), "{:?}", captured.summary);
    }
    assert!(
        captured.traffic.statements.iter().all(|s| !s.sql.as_ref().unwrap().contains("to_regclass")),
        "{yaml}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_sent_is_hidden_until_the_privilege_is_granted() {
    let database = server().database().await;
    database.execute(SHOP).await;
    let by_another = "SELECT count(*) FROM orders WHERE id = 42;".repeat(50);
    database.execute(&by_another).await;
    let error = capture(&database.target(), &options()).await.unwrap_err();
    assert_eq!(error, CaptureError::Hidden);
    assert!(error.to_string().contains("pg_read_all_stats"));
    database.execute(&format!("GRANT pg_read_all_stats TO {}", database.name)).await;
    let captured = captured(&database, &options()).await;
    assert_sampled(of(&captured, "SELECT count(*) FROM orders WHERE id = $1"), 0, "public.orders", "id");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_can_not_tell_says_what_to_do() {
    let database = server().database().await;
    let error = capture(&database.target(), &options()).await.unwrap_err();
    assert_eq!(error, CaptureError::NotInstalled);
    assert!(error.to_string().contains("CREATE EXTENSION pg_stat_statements"));
    let without = Server::start_with("unloaded", &["shared_preload_libraries="]);
    let database = without.database().await;
    database.execute("CREATE EXTENSION pg_stat_statements").await;
    let error = capture(&database.target(), &options()).await.unwrap_err();
    assert_eq!(error, CaptureError::NotLoaded);
    let error = capture(&database.target_with_password("mistaken canary"), &options()).await.unwrap_err();
    assert!(error.to_string().contains("28P01") && !error.to_string().contains("canary"), "{error}");
}

fn command(database: &Database<'_>, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(["traffic", "capture"])
        .args(arguments)
        .env("CUTOVER_LEGACY_URI", format!("{}?sslmode=require", database.uri().trim_end()))
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_writes_a_file_and_never_overwrites_one() {
    let database = seasoned().await;
    let file =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("captured-{}.yaml", std::process::id()));
    let _ = std::fs::remove_file(&file);
    let arguments = ["--min-calls", "5", "--name", "checkout", "-o", file.to_str().unwrap()];
    let output = command(&database, &arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && stderr.contains("statements taken"), "{stderr}");
    let written = std::fs::read_to_string(&file).unwrap();
    let traffic: Traffic = serde_saphyr::from_str(&written).unwrap();
    assert_eq!((traffic.name.as_str(), traffic.statements.len()), ("checkout", 5));
    let output = command(&database, &arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && stderr.contains("is there already"), "{stderr}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
    std::fs::remove_file(&file).unwrap();
    let output = command(&database, &["--min-calls", "5"]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("name: \"captured\""));
    let output = command(&database, &["--top", "65"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!String::from_utf8(output.stderr).unwrap().contains("canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_feel_is_no_reading_and_a_model_samples_no_more_columns_than_it_may() {
    let database = seasoned().await;
    database.execute(&format!("GRANT pg_read_all_stats TO {}", database.name)).await;
    let columns: Vec<_> = (0..70).map(|n| format!("c{n}")).collect();
    let table: Vec<_> = columns.iter().map(|column| format!("{column} int")).collect();
    database.execute(&format!("CREATE TABLE wide ({})", table.join(", "))).await;
    database.execute("GRANT SELECT ON wide TO PUBLIC").await;
    let wide: Vec<_> = columns
        .chunks(20)
        .map(|columns| {
            let compared: Vec<_> = columns.iter().map(|column| format!("{column} = 1")).collect();
            format!("SELECT count(*) FROM wide WHERE {}", compared.join(" AND "))
        })
        .collect();
    let felt = ["SELECT pg_notify('jobs', 'x')", "SELECT pg_cancel_backend(0)"].map(str::to_owned);
    for sql in wide.iter().chain(&felt) {
        for _ in 0..6 {
            database.execute(sql).await;
        }
    }
    let reading = captured(&database, &options()).await;
    let texts = |captured: &Captured| -> Vec<String> {
        captured.traffic.statements.iter().filter_map(|statement| statement.sql.clone()).collect()
    };
    let taken = texts(&reading);
    assert!(
        !taken.iter().any(|sql| sql.contains("pg_notify") || sql.contains("pg_cancel_backend")),
        "{taken:?}"
    );
    let wide = taken.iter().filter(|sql| sql.contains("FROM wide")).count();
    assert!((2..4).contains(&wide), "{taken:?}");
    assert!(reading.yaml.contains("more than the 64 columns that a model may have"), "{}", reading.yaml);
    let writing = captured(&database, &CaptureOptions { writes: true, ..options() }).await;
    assert_eq!(of(&writing, "SELECT pg_notify").access, None, "it is of the model that writes");
    assert!(!texts(&writing).iter().any(|sql| sql.contains("pg_cancel_backend")), "{}", writing.yaml);
}
