//! The subcommands of the `cutover` binary, over the same code that the library has.

mod check;
mod controller;
mod crd;
mod load;
mod load_worker;
mod logging;
mod report;
mod side;
mod target;
mod traffic;
mod traffic_file;
mod tune;

use std::{io::ErrorKind, process::ExitCode};

use anyhow::anyhow;
use clap::{Parser, Subcommand};

use crate::api::Verdict;

/// Moves applications between database configurations, in validated and reversible stages.
#[derive(Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the operator, in a cluster or from a kubeconfig.
    Controller(controller::Options),
    /// Ask the checks of a stage, without a cluster.
    Check(Box<check::Options>),
    /// Put load on two databases side by side, or on one, and judge what they answer.
    Load(Box<load::Options>),
    /// Carry out a part of a load, as the operator says.
    #[command(hide = true)]
    LoadWorker(load_worker::Options),
    /// Make traffic models.
    Traffic(traffic::Options),
    /// Fetch the reports of a rollout's loads, as a page or as JSON, from the cluster of the kubeconfig in use.
    Report(report::Options),
    /// Print the CustomResourceDefinition of DatabaseRollout as YAML.
    Crd,
    /// Measure what a setting should be.
    Tune(tune::Options),
}

impl Cli {
    /// Carries the command out, and says on standard error what kept it from being carried out.
    #[must_use]
    pub fn run(self) -> ExitCode {
        // Of a measuring command the exit code 1 is a verdict; that it could not be run is 2.
        let (result, trouble) = match self.command {
            Command::Controller(options) => (controller::run(&options).map(|()| ExitCode::SUCCESS), 1),
            Command::Check(options) => (check::run(*options), 2),
            Command::Load(options) => (load::run(&options), 2),
            Command::LoadWorker(options) => (load_worker::run(&options), 2),
            Command::Traffic(options) => (traffic::run(options).map(|()| ExitCode::SUCCESS), 1),
            Command::Report(options) => (report::run(&options).map(|()| ExitCode::SUCCESS), 1),
            Command::Tune(options) => (tune::run(&options), 2),
            Command::Crd => (crd::print().map(|()| ExitCode::SUCCESS), 1),
        };
        result.unwrap_or_else(|error| {
            // Whoever reads has had enough, as `head` has.
            if is_closed(&error) {
                return ExitCode::SUCCESS;
            }
            say(format_args!("Error: {error:#}"));
            ExitCode::from(trouble)
        })
    }
}

/// Of a command that measures: 0 pass or warn, 1 fail, 2 could not run, 3 inconclusive.
fn exit_code(verdict: Verdict) -> ExitCode {
    ExitCode::from(match verdict {
        Verdict::Pass | Verdict::Warn => 0,
        Verdict::Fail => 1,
        Verdict::Error => 2,
        Verdict::Inconclusive => 3,
    })
}

/// Says something on standard error. Whoever closed it does not want to know, and what is under way goes on.
fn say(line: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What came of writing the outcome of a command that measures: whoever reads may have had enough, as `head` has, and the exit
/// code is the verdict all the same.
fn written(result: anyhow::Result<()>) -> anyhow::Result<()> {
    result.or_else(|error| if is_closed(&error) { Ok(()) } else { Err(error) })
}

fn is_closed(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// kube and the database sessions share one rustls; this makes its one provider explicit.
fn install_tls_provider() -> anyhow::Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow!("a TLS provider is installed already"))
}
