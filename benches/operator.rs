//! What the operator adds to what Kubernetes needs: the way back, and the cost of rollouts at rest. Needs the local
//! cluster that `make bench` starts. Names of parts, such as `settled`, run only those.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "as in tests")]

#[path = "../tests/support/cluster.rs"]
mod cluster;
#[path = "support/figures.rs"]
#[allow(dead_code, reason = "shared by the benchmarks")]
mod figures;
#[path = "operator/first_key.rs"]
mod first_key;
#[path = "operator/gross.rs"]
mod gross;
#[path = "operator/idle.rs"]
mod idle;
#[path = "../tests/support/operator.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod operator;
#[path = "operator/pods.rs"]
mod pods;
#[path = "../tests/support/postgres.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod postgres;
#[path = "operator/process.rs"]
mod process;
#[path = "operator/settled.rs"]
mod settled;
#[path = "../tests/support/shop.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod shop;

use std::process::ExitCode;

use figures::Targets;

#[tokio::main]
async fn main() -> ExitCode {
    if !figures::is_bench() {
        return ExitCode::SUCCESS;
    }
    if !cluster::directory().join("kubeconfig").exists() {
        eprintln!("these benchmarks need the local cluster: run `make bench`");
        return ExitCode::FAILURE;
    }
    let parts: Vec<String> = std::env::args().skip(1).filter(|part| !part.starts_with("--")).collect();
    let asked = |part: &str| parts.is_empty() || parts.iter().any(|name| name == part);
    let mut targets = Targets::default();
    if asked("first-key") {
        first_key::run(&mut targets).await;
    }
    if asked("gross") {
        gross::run(&mut targets).await;
    }
    if asked("pods") {
        pods::run(&mut targets).await;
    }
    if asked("settled") {
        settled::run(&mut targets).await;
    }
    targets.exit_code()
}
