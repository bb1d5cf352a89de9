//! A small shop: the application that `cutover` moves in the demo and in the tests.
//!
//! It behaves as real services do: it reads its database configuration from its environment once, at start, keeps a
//! pool of the configured size, reads and writes continually, and tells by a file whether it can. What it does more
//! than a real one: it keeps a ledger of the writes that were acknowledged, and by which server, so that a test can say
//! afterwards whether any was lost. It knows nothing of cutover or of Kubernetes, and never logs a password.

mod database;
mod ledger;
mod orders;
mod pause;
mod pool;
mod readiness;
mod schema;
mod settings;
mod verify;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::runtime;
use tracing_subscriber::EnvFilter;

use settings::Settings;

/// A sample application. Without a command it runs as the service.
#[derive(Parser)]
#[command(name = "shop")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run as the service; configured by the environment (`DATABASE_URL`, `DB_POOL_MAX`, ...)
    Run,
    /// Exit with 0 if the service in this container is ready
    Probe,
    /// Create the shop's tables in the database of `DATABASE_URL`; does nothing where they exist
    Schema,
    /// Look for every acknowledged order on the server that acknowledged it
    Verify {
        /// The folder of the pods' ledgers
        #[arg(long)]
        ledger: PathBuf,
        /// A server to look on, as `NAME=URI`; may be repeated
        #[arg(long = "database", value_name = "NAME=URI", required = true)]
        databases: Vec<String>,
        /// PEM certificates to trust instead of the system's
        #[arg(long)]
        ca: Option<PathBuf>,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")))
        // Standard output is for what a command prints.
        .with_writer(std::io::stderr)
        .init();
    let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error.into()),
    };
    let outcome = runtime.block_on(carry_out(arguments.command.unwrap_or(Command::Run)));
    // A name look-up that hangs must not hold up the exit.
    runtime.shutdown_timeout(Duration::ZERO);
    match outcome {
        Ok(code) => code,
        Err(error) => complain(&error),
    }
}

fn complain(error: &anyhow::Error) -> ExitCode {
    tracing::error!("{error:#}");
    ExitCode::FAILURE
}

async fn carry_out(command: Command) -> anyhow::Result<ExitCode> {
    let environment = |name: &str| std::env::var(name).ok();
    match command {
        Command::Run => {
            let settings = Settings::read(environment).context("the shop cannot start")?;
            pool::run(settings).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Probe => Ok(if readiness::probe(&settings::ready_file(environment)) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }),
        Command::Schema => {
            schema::create(&settings::target(environment)?).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Verify { ledger, databases, ca, json } => {
            let is_complete = verify::run(&ledger, &databases, ca.as_deref(), json).await?;
            Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}
