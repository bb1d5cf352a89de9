//! `data` in full: against `SELECT count(*)`, against the tools that others would use, and what it holds in memory.
//!
//! All of it in one run on one machine, so that the figures are ratios. `CUTOVER_BENCH_ROWS` says how many rows there
//! are; the tools are measured where they can be installed, else it is said that they are not.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use cutover::{
    api::{Check, DataCheck, DataMode, Verdict},
    checks::{self, Moment, Progress},
    postgres::{ConnectOptions, Session, Target},
};

use crate::{
    asking::sides,
    figures::{Samples, Targets, ratio},
    postgres::{Database, Server},
    process,
};

const ROWS: u64 = 10_000_000;
const RUNS: usize = 3;
const TIMES_COUNT: f64 = 4.0;
const TIMES_FASTER: f64 = 4.0;
const TARGET_MIB: f64 = 64.0;
const PATIENCE: Duration = Duration::from_hours(2);
/// For the tools, which are given a URI on their command line.
const READER: &str = "CREATE ROLE reader LOGIN PASSWORD 'reader'; GRANT SELECT ON items TO reader";
const COLUMNS: &str = "id bigint PRIMARY KEY, customer int, note text, at timestamptz";

pub async fn run(targets: &mut Targets) {
    let rows = std::env::var("CUTOVER_BENCH_ROWS").map_or(ROWS, |rows| rows.parse().expect("a number"));
    let servers = [Server::start("bench-legacy"), Server::start("bench-candidate")];
    let legacy = loaded(&servers[0], rows).await;
    let candidate = loaded(&servers[1], rows).await;

    let count = median_of(async || count_both(&legacy, &candidate, rows).await).await;
    println!("{rows} rows: count(*) on both sides: {:.2} s", count.as_secs_f64());
    let full = median_of(async || compare(&legacy, &candidate, rows).await).await;
    let rate = f64::from(u32::try_from(rows).unwrap_or(u32::MAX)) / full.as_secs_f64();
    println!("{rows} rows: data, mode Full: {:.2} s, {:.1} million rows/s", full.as_secs_f64(), rate / 1e6);
    let most = process::memory(std::process::id(), "VmHWM");
    targets.below("data, mode Full, against count(*)", ratio(full, count), TIMES_COUNT, "times");
    targets.below("data, mode Full: most memory", most, TARGET_MIB, "MiB");

    let uris = servers
        .each_ref()
        .map(|server| format!("postgresql://reader:reader@{}:{}/bench", server.host, server.port));
    match data_diff(&uris) {
        // A target is missed where the other is not slow enough: its inverse has to be below.
        Ok(took) => {
            println!("{rows} rows: data-diff: {:.1} s, {:.1} times", took.as_secs_f64(), ratio(took, full));
            targets.below(
                "data, mode Full, of the time of data-diff",
                ratio(full, took),
                1.0 / TIMES_FASTER,
                "times",
            );
        }
        Err(why) => println!("data-diff: not measured: {why}"),
    }
    match pgcopydb(&uris) {
        Ok(took) => {
            println!(
                "{rows} rows: pgcopydb compare data: {:.1} s, {:.1} times",
                took.as_secs_f64(),
                ratio(took, full)
            );
            targets.below("data, mode Full, of the time of pgcopydb", ratio(full, took), 1.0, "times");
        }
        Err(why) => println!("pgcopydb: not measured: {why}"),
    }
}

/// Rows of about 100 bytes, as the application's role owns them.
async fn loaded(server: &Server, rows: u64) -> Database<'_> {
    let database = server.database_named("bench".to_owned()).await;
    let load = format!(
        "SET ROLE bench; CREATE TABLE items ({COLUMNS});
         INSERT INTO items SELECT i, (i * 7919) % 1000003, 'a note of fifty-two characters or so, number ' || i,
           timestamptz '2024-01-01 00:00Z' + i * interval '1 second' FROM generate_series(1, {rows}::bigint) i;
         RESET ROLE; {READER};"
    );
    database.execute(&load).await;
    database.execute("VACUUM (FREEZE, ANALYZE) items").await;
    database.execute("CHECKPOINT").await;
    database
}

async fn median_of(mut measure: impl AsyncFnMut()) -> Duration {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let started = Instant::now();
        measure().await;
        times.push(started.elapsed());
    }
    Samples::new(times).median()
}

async fn count_both(legacy: &Database<'_>, candidate: &Database<'_>, rows: u64) {
    let (one, other) = tokio::join!(count(legacy.target()), count(candidate.target()));
    assert_eq!((one, other), (rows, rows));
}

async fn count(target: Target) -> u64 {
    let step_timeout = Duration::from_secs(10);
    let options = ConnectOptions { purpose: "bench", step_timeout, byte_budget: 1 << 20 };
    let session = Session::connect(&target, &options).await.expect("a session");
    let row = session.client().query_one("SELECT count(*) FROM items", &[]).await.expect("a count");
    u64::try_from(row.get::<_, i64>(0)).expect("a number")
}

async fn compare(legacy: &Database<'_>, candidate: &Database<'_>, rows: u64) {
    let data = DataCheck { mode: DataMode::Full, ..DataCheck::default() };
    let timeout = Some(cutover::duration::format(PATIENCE));
    let check = Check { name: "same-rows".to_owned(), data: Some(data), timeout, ..Check::default() };
    let sides = sides(legacy.target(), candidate.target());
    let report = checks::run(&check, &sides, Moment::Before, &Progress::default()).await;
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.message);
    assert_eq!(u64::try_from(report.samples), Ok(rows));
}

/// In an environment of its own. The last release before it came to need dbt, of which a part no longer builds.
fn data_diff(uris: &[String; 2]) -> Result<Duration, String> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("data-diff");
    let tool = folder.join("bin/data-diff");
    if !tool.exists() {
        run_quietly(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run_quietly(Command::new(folder.join("bin/pip")).args([
            "install",
            "-q",
            "data-diff[postgresql]==0.3.2",
            "setuptools<81",
        ]))?;
    }
    let columns = ["-c", "customer", "-c", "note", "-c", "at"];
    let [legacy, candidate] = uris;
    let mut command = Command::new(tool);
    command.args([legacy, "items", candidate, "items", "-k", "id", "--stats"]).args(columns);
    let (took, said) = run_quietly(&mut command)?;
    // It ends with 0 where it could not compare, too.
    if said.contains("0.00% difference score") {
        Ok(took)
    } else {
        Err("it did not find them alike".to_owned())
    }
}

fn pgcopydb(uris: &[String; 2]) -> Result<Duration, String> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pgcopydb");
    let [legacy, candidate] = uris;
    let mut command = Command::new("pgcopydb");
    command
        .args(["compare", "data", "--source", legacy, "--target", candidate, "--restart", "--dir"])
        .arg(folder);
    run_quietly(&mut command).map(|(took, _)| took)
}

/// How long it takes and what it says, or why it fails: its last words.
fn run_quietly(command: &mut Command) -> Result<(Duration, String), String> {
    let started = Instant::now();
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok((started.elapsed(), String::from_utf8_lossy(&output.stdout).into_owned()));
    }
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{name}: {}", words.lines().last().unwrap_or("no reason given")))
}
