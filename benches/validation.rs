//! What validation costs: `schema` against `pg_dump`, `data` against `SELECT count(*)` and against other tools. Needs
//! PostgreSQL's server programs and the tool that starts servers, but no cluster. Names of parts, such as `schema`, run
//! only those.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "as in tests")]

#[path = "../tests/support/asking.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod asking;
#[path = "validation/data.rs"]
mod data;
#[path = "support/figures.rs"]
#[allow(dead_code, reason = "shared by the benchmarks")]
mod figures;
#[path = "../tests/support/postgres.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod postgres;
#[path = "operator/process.rs"]
#[allow(dead_code, reason = "shared by the benchmarks")]
mod process;
#[path = "validation/schema.rs"]
mod schema;

use std::process::ExitCode;

use figures::Targets;

#[tokio::main]
async fn main() -> ExitCode {
    if !figures::is_bench() {
        return ExitCode::SUCCESS;
    }
    let parts: Vec<String> = std::env::args().skip(1).filter(|part| !part.starts_with("--")).collect();
    let asked = |part: &str| parts.is_empty() || parts.iter().any(|name| name == part);
    let mut targets = Targets::default();
    if asked("data") {
        data::run(&mut targets).await;
    }
    if asked("schema") {
        schema::run(&mut targets).await;
    }
    targets.exit_code()
}
