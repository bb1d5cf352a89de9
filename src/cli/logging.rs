//! Structured logs on standard error.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt};

/// How logs are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Starts logging; `filter` as `RUST_LOG` has it, such as `info` or `cutover=debug`.
pub(super) fn start(filter: &str, format: Format) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)?;
    // Colours are for a terminal; a pod's log is a file.
    let ansi = std::io::stderr().is_terminal();
    let logs = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi);
    match format {
        Format::Json => logs.json().flatten_event(true).with_span_list(false).init(),
        Format::Text => logs.with_target(false).init(),
    }
    Ok(())
}
