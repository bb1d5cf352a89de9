//! `cutover traffic`: traffic models, made from what a server has seen.
//!
//! Decides where the model is written: to a file, or to standard output; what a person should know of it goes to standard
//! error. Never overwrites a file that is there: it may have been edited.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use super::{say, target::target};
use crate::load::{self, CaptureOptions};

#[derive(Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the traffic that a server has seen as one entry of `spec.traffic`, from `pg_stat_statements`. No value of a
    /// table is in it unless asked for.
    Capture(Capture),
}

#[derive(Args)]
struct Capture {
    /// The database that the application uses today: `postgresql://user:password@host:port/database`. As an environment
    /// variable it is not seen by others on this machine.
    #[arg(long, env = "CUTOVER_LEGACY_URI", hide_env_values = true)]
    legacy: String,
    /// The name of the traffic model.
    #[arg(long, default_value = "captured", value_parser = name)]
    name: String,
    /// Most statements that are taken, those that are called most.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=64))]
    top: u8,
    /// Leave out what was called less often.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
    min_calls: i64,
    /// Where the model is written; without it, or with `-`, to standard output. A file that is there is not overwritten.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Take values from the statistics of the columns into the model. They are user data.
    #[arg(long)]
    with_values: bool,
    /// Take statements that write or lock rows, too.
    #[arg(long)]
    writes: bool,
}

pub(super) fn run(options: Options) -> anyhow::Result<()> {
    super::install_tls_provider()?;
    let Command::Capture(capture) = options.command;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(write(capture))
}

async fn write(capture: Capture) -> anyhow::Result<()> {
    let target = target(&capture.legacy).context("--legacy")?;
    let options = CaptureOptions {
        name: capture.name,
        top: capture.top.into(),
        min_calls: capture.min_calls,
        with_values: capture.with_values,
        writes: capture.writes,
    };
    let captured = load::capture(&target, &options).await?;
    captured.summary.iter().for_each(say);
    match capture.output.as_deref().filter(|path| path.as_os_str() != "-") {
        Some(path) => write_new(path, &captured.yaml),
        None => std::io::stdout().write_all(captured.yaml.as_bytes()).context("cannot write the model"),
    }
}

fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let shown = path.display();
    let mut file = match file {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{shown} is there already, and may have been edited; name another file")
        }
        file => file.with_context(|| format!("cannot write {shown}"))?,
    };
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {shown}"))
}

/// A DNS label, as the API wants it.
fn name(text: &str) -> Result<String, String> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_label = (1..=63).contains(&text.len())
        && text.chars().all(is_inner)
        && !text.starts_with('-')
        && !text.ends_with('-');
    if is_label {
        Ok(text.to_owned())
    } else {
        Err("lower-case letters, digits and - make a name".to_owned())
    }
}
