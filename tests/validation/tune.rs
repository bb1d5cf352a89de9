//! `cutover tune pool`, as it is run from a command line.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;

use crate::{
    pgbouncer::PgBouncer,
    postgres::{Database, Server, assert_shows_no_secret},
};

fn traffic(name: &str, yaml: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("traffic-{}-{name}.yaml", std::process::id()));
    std::fs::File::create(&path).unwrap().write_all(yaml.as_bytes()).unwrap();
    path
}

fn one_statement(name: &str, sql: &str) -> PathBuf {
    traffic(name, &format!("name: t\nstatements:\n- {{sql: \"{sql}\", weight: 1}}\n"))
}

/// Runs it to its end, without holding up the test's other tasks.
async fn tune(database: &Database<'_>, traffic: PathBuf, arguments: &[&str]) -> (i32, Value, String) {
    tune_at(database.uri().trim(), traffic, arguments).await
}

async fn tune_at(uri: &str, traffic: PathBuf, arguments: &[&str]) -> (i32, Value, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.args(["tune", "pool", "-o", "json", "--traffic"]).arg(&traffic).args(arguments);
    command.env("CUTOVER_URI", uri);
    let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let _ = std::fs::remove_file(traffic);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_shows_no_secret(&(&told, &printed));
    (output.status.code().unwrap(), serde_json::from_str(&printed).unwrap_or_default(), told)
}

#[tokio::test]
async fn the_largest_size_is_recommended_and_said_to_gain_still_where_nothing_gets_in_the_way() {
    let database = Server::shared().database().await;
    let waits = one_statement("waits", "SELECT 1 FROM pg_sleep(0.05)");
    let (code, outcome, told) = tune(&database, waits, &["--sizes", "4,1,2", "--duration", "3s"]).await;
    assert_eq!(code, 0, "{told}");
    assert_eq!((outcome["recommended"].as_i64(), outcome["stillGrows"].as_bool()), (Some(4), Some(true)));
    let sizes: Vec<_> =
        outcome["sizes"].as_array().unwrap().iter().map(|s| s["size"].as_i64().unwrap()).collect();
    assert_eq!(sizes, [1, 2, 4]);
    assert!(outcome["sizes"][0]["p99Us"].as_i64().unwrap() >= 50_000, "{outcome}");
    assert_eq!(outcome["sizes"][0]["rounds"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_small_size_is_recommended_where_statements_wait_for_each_other() {
    let database = Server::shared().database().await;
    // What only reads may not lock by itself.
    let lock = "CREATE FUNCTION public.lock() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(1); END $$";
    database.execute(lock).await;
    let sql = "SELECT 1 FROM (SELECT public.lock()) AS held, pg_sleep(0.05)";
    let queue = one_statement("queue", sql);
    let (code, outcome, told) = tune(&database, queue, &["--sizes", "1,4,8", "--duration", "6s"]).await;
    assert_eq!(code, 0, "{told}");
    assert!(outcome["recommended"].as_i64().unwrap() < 8, "{outcome}");
    assert_eq!(outcome["stillGrows"].as_bool(), Some(false));
}

#[tokio::test]
async fn no_more_connections_are_opened_than_the_server_can_spare() {
    let database = Server::shared().database().await;
    database.execute(&format!("ALTER ROLE {} CONNECTION LIMIT 3", database.name)).await;
    let short = || one_statement("limit", "SELECT 1");
    let (_, outcome, told) = tune(&database, short(), &["--sizes", "1,2,8", "--duration", "1s"]).await;
    assert_eq!(outcome["sizes"].as_array().map(Vec::len), Some(2), "{told}");
    assert!(outcome["notes"][0].as_str().unwrap().ends_with("left out: 8"), "{outcome}");
    let (code, _, told) = tune(&database, short(), &["--sizes", "8", "--duration", "1s"]).await;
    assert_eq!(code, 2);
    assert!(told.contains("3 connections to spare"), "{told}");
}

#[tokio::test]
async fn what_is_between_is_measured_too_and_said() {
    let database = Server::shared().database().await;
    let notes = |outcome: &Value| outcome["notes"].as_array().map(Vec::len).unwrap_or_default();
    let arguments = ["--sizes", "1", "--duration", "1s"];
    let (_, outcome, told) = tune(&database, one_statement("direct", "SELECT 1"), &arguments).await;
    assert!(notes(&outcome) == 0 && outcome["sizes"][0]["p99Us"].is_i64(), "{outcome} {told}");
    let bouncer = PgBouncer::before(&database, "transaction").await;
    let (_, outcome, told) = tune_at(&bouncer.uri(), one_statement("pooled", "SELECT 1"), &arguments).await;
    assert!(outcome["sizes"][0]["p99Us"].is_i64(), "{outcome} {told}");
    let note = outcome["notes"][0].as_str().unwrap_or_default();
    assert!(
        notes(&outcome) == 1 && note.starts_with("a pooler is between: what is measured is its pool, too"),
        "{outcome}"
    );
}

#[tokio::test]
async fn traffic_that_writes_is_not_run() {
    let database = Server::shared().database().await;
    let declared =
        traffic("declared", "name: t\naccess: ReadWrite\nstatements:\n- {sql: SELECT 1, weight: 1}\n");
    let (code, _, told) = tune(&database, declared, &[]).await;
    assert!(code == 2 && told.contains("only read-only traffic is measured"), "{told}");
    database.execute(&format!("SET ROLE {}; CREATE TABLE kept (id int)", database.name)).await;
    let hidden = one_statement("hidden", "INSERT INTO kept VALUES (1)");
    let (code, outcome, told) = tune(&database, hidden, &["--sizes", "1", "--duration", "1s"]).await;
    assert_eq!((code, outcome["recommended"].as_i64()), (3, None), "{told}");
    database.execute("DO $$ BEGIN ASSERT (SELECT count(*) FROM kept) = 0, 'it wrote'; END $$").await;
}

#[tokio::test]
async fn what_can_not_be_run_says_why_and_exits_with_2() {
    let database = Server::shared().database().await;
    let unknown = one_statement("unknown", "SELECT 1 FROM nowhere");
    let (code, _, told) = tune(&database, unknown, &["--sizes", "1"]).await;
    assert!(code == 2 && told.contains("statement 1 of the traffic model can't be prepared"), "{told}");
    let (code, _, told) = tune(&database, PathBuf::from("/nowhere.yaml"), &[]).await;
    assert!(code == 2 && told.contains("--traffic: cannot read /nowhere.yaml"), "{told}");
    let no_yaml = traffic("no-yaml", "- just a list\n");
    assert_eq!(tune(&database, no_yaml, &[]).await.0, 2);
    let (code, _, told) = tune(&database, one_statement("long", "SELECT 1"), &["--duration", "1h"]).await;
    assert!(code == 2 && told.contains("--duration"), "{told}");
}
