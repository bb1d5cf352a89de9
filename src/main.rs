//! The `cutover` binary.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cutover::cli::Cli::parse().run()
}
