//! The subcommands of the `cutover` binary, over the same code that the library has.

mod controller;
mod crd;
mod logging;

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
}

impl Cli {
    /// Carries the command out.
    ///
    /// # Errors
    /// What keeps it from being carried out, for people.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Controller(options) => controller::run(&options),
            Command::Crd => crd::print(),
        }
    }
}
