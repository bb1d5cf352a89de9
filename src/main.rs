//! The `cutover` binary.

use clap::Parser;

fn main() -> anyhow::Result<()> {
    cutover::cli::Cli::parse().run()
}
