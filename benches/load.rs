//! How far a load check can be believed: its latencies, its cost, its verdicts about real pairs of servers.
//!
//! Needs PostgreSQL's server programs, pgbench and the tool that starts servers, but no cluster. Names of parts run only
//! those; `alike` and `slower` take hours to mean something, so they run only where they are named, keep what they found
//! in `benches/load/results/`, and add to it. Talks to loopback only; the servers go with this process, however it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "as in tests")]

#[path = "load/alike.rs"]
mod alike;
#[path = "load/command.rs"]
mod command;
#[path = "load/cost.rs"]
mod cost;
#[path = "support/figures.rs"]
#[allow(dead_code, reason = "shared by the benchmarks")]
mod figures;
#[path = "load/freeze.rs"]
mod freeze;
#[path = "load/gross.rs"]
mod gross;
#[path = "load/lag.rs"]
mod lag;
#[path = "load/machine.rs"]
mod machine;
#[path = "load/noise.rs"]
mod noise;
#[path = "load/pgbench.rs"]
mod pgbench;
#[path = "../tests/support/postgres.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod postgres;
#[path = "load/proxy.rs"]
mod proxy;
#[path = "load/results.rs"]
mod results;
#[path = "load/side.rs"]
mod side;
#[path = "load/slower.rs"]
mod slower;

use std::process::ExitCode;

use figures::Targets;

#[tokio::main]
async fn main() -> ExitCode {
    if !figures::is_bench() {
        return ExitCode::SUCCESS;
    }
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let named = |part: &str| words.iter().any(|word| word == part);
    let asked = |part: &str| words.is_empty() || named(part);
    let mut targets = Targets::default();
    if asked("freeze") {
        freeze::run(&mut targets).await;
    }
    if asked("cost") {
        cost::run(&mut targets).await;
    }
    if asked("lag") {
        lag::run(&mut targets).await;
    }
    if asked("gross") {
        gross::run(&mut targets, &words).await;
    }
    if named("alike") {
        alike::run(&words).await;
    }
    if named("slower") {
        slower::run(&words).await;
    }
    targets.exit_code()
}
