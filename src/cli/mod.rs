//! The subcommands of the `cutover` binary, over the same code that the library has.

mod controller;
mod crd;
mod logging;
mod tune;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    /// Print the CustomResourceDefinition of DatabaseRollout as YAML.
    Crd,
    /// Measure what a setting should be.
    Tune(tune::Options),
}

impl Cli {
    /// Carries the command out, and says with what status to exit.
    ///
    /// # Errors
    /// What keeps it from being carried out, for people.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Controller(options) => controller::run(&options)?,
            Command::Crd => crd::print()?,
            Command::Tune(options) => return Ok(tune::run(&options)),
        }
        Ok(ExitCode::SUCCESS)
    }
}
