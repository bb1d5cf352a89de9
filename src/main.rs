//! The `cutover` binary.

use clap::Parser;

fn main() -> anyhow::Result<std::process::ExitCode> {
    cutover::cli::Cli::parse().run()
}
