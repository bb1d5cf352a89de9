//! `cutover tune pool`.
//!
//! Measures how much a server gets through with pools of several sizes, in rounds that take turns, so that what else
//! goes on there meanwhile does not decide for one of them. Read-only traffic alone, and never more connections than
//! the server has to spare. Changes nothing, and recommends for what it measured: one mix, on one server, from here.

mod advice;
mod told;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};

use super::{say, target::target, traffic_file, written};
use crate::{
    api::{Access, Traffic, Via},
    checks, duration,
    load::{ClosedLoop, closed_loop},
    postgres::Target,
};
use advice::{Advice, Measured, advise};

/// Rounds that take turns.
const ROUNDS: u32 = 3;
/// Most connections, sizes, and time of each.
const SIZE_MAX: usize = 500;
const SIZES_MAX: usize = 16;
const DURATION_MAX: Duration = Duration::from_secs(600);
const DURATION_MIN: Duration = Duration::from_secs(1);
/// What is measured is the pool, not the luck of the draw: every size gets the same statements.
const SEED: u64 = 1;

/// It was run, and nothing can be told.
const UNCLEAR: u8 = 3;

#[derive(Args)]
pub(super) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Find the pool size beyond which throughput stops growing.
    ///
    /// Exit status: 0 with a recommendation, 2 if it could not be run, 3 if the measurements don't tell.
    Pool(PoolOptions),
}

#[derive(Args)]
struct PoolOptions {
    /// The database's postgresql:// URI. Other users of this machine may see arguments; the variable is not shown to them.
    #[arg(long, env = "CUTOVER_URI", hide_env_values = true)]
    uri: String,
    /// A file with the statements: one entry of a rollout's `spec.traffic`, as YAML.
    #[arg(long)]
    traffic: PathBuf,
    /// The sizes to measure.
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8,16,32,64")]
    sizes: Vec<usize>,
    /// How long each size is measured, over all rounds.
    #[arg(long, default_value = "10s")]
    duration: String,
    /// How to print what was measured.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// One JSON object.
    Json,
}

/// What was measured, and what it comes to.
struct Outcome {
    measured: Vec<Measured>,
    advice: Advice,
    notes: Vec<String>,
}

pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let What::Pool(options) = &options.what;
    super::install_tls_provider()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(tune(options))?;
    written(told::print(&outcome, options.output))?;
    Ok(match outcome.advice {
        Advice::Size { .. } => ExitCode::SUCCESS,
        Advice::Unclear(_) => ExitCode::from(UNCLEAR),
    })
}

/// What is measured beside the server, if so.
fn by_the_way(via: Via) -> Option<&'static str> {
    match via {
        Via::Direct => None,
        Via::Proxy => Some(
            "a proxy, a load balancer or NAT is between: what is measured is its connections, too, and that each statement brings its \
             timeouts along",
        ),
        Via::Pooler => Some(
            "a pooler is between: what is measured is its pool, too, and that each statement is prepared anew and brings its timeouts \
             along",
        ),
    }
}

async fn tune(options: &PoolOptions) -> anyhow::Result<Outcome> {
    let target = target(&options.uri).context("--uri")?;
    let traffic = traffic(&options.traffic)?;
    let length = length(&options.duration)?;
    let wanted = sizes(&options.sizes)?;
    let spare = checks::spare_connections(&target).await.map_err(anyhow::Error::msg)?;
    let mut notes = Vec::new();
    notes.extend(by_the_way(spare.via).map(str::to_owned));
    let room = usize::try_from(spare.connections).unwrap_or(0);
    let (sizes, too_large): (Vec<usize>, Vec<usize>) = wanted.iter().partition(|size| **size <= room);
    if sizes.is_empty() {
        bail!(
            "the server has {room} connections to spare, which is less than the smallest size; give smaller --sizes"
        );
    }
    if !too_large.is_empty() {
        let left_out: Vec<String> = too_large.iter().map(ToString::to_string).collect();
        notes.push(format!("the server has {room} connections to spare; left out: {}", left_out.join(", ")));
    }
    let measured = measure(&target, &traffic, &sizes, length / ROUNDS).await?;
    Ok(Outcome { advice: advise(&measured), measured, notes })
}

/// Up, down, up: what gets slower, or faster, meanwhile does so for the large sizes as for the small ones.
async fn measure(
    target: &Target,
    traffic: &Traffic,
    sizes: &[usize],
    length: Duration,
) -> anyhow::Result<Vec<Measured>> {
    let mut rounds: Vec<Vec<ClosedLoop>> = vec![Vec::new(); sizes.len()];
    for round in 0..ROUNDS {
        let upwards = round % 2 == 0;
        for step in 0..sizes.len() {
            let index = if upwards { step } else { sizes.len() - 1 - step };
            let size = sizes[index];
            let seed = SEED + u64::from(round);
            let measured = Box::pin(closed_loop(target, traffic, size, length, seed)).await;
            let measured = measured.map_err(|why| anyhow::anyhow!("with {size} connections: {why}"))?;
            say(format_args!(
                "round {} of {ROUNDS}, {size} connections: {} a second",
                round + 1,
                measured.per_second()
            ));
            rounds[index].push(measured);
        }
    }
    Ok(sizes.iter().zip(&rounds).filter_map(|(size, rounds)| Measured::new(*size, rounds)).collect())
}

fn sizes(given: &[usize]) -> anyhow::Result<Vec<usize>> {
    let mut sizes = given.to_vec();
    sizes.sort_unstable();
    sizes.dedup();
    if sizes.is_empty() || sizes.len() > SIZES_MAX || sizes.iter().any(|size| !(1..=SIZE_MAX).contains(size))
    {
        bail!("--sizes: give 1 to {SIZES_MAX} numbers between 1 and {SIZE_MAX}");
    }
    Ok(sizes)
}

fn length(text: &str) -> anyhow::Result<Duration> {
    let length = duration::parse(text).context("--duration")?;
    if !(DURATION_MIN..=DURATION_MAX).contains(&length) {
        bail!("--duration: give between 1s and 10m");
    }
    Ok(length)
}

fn traffic(path: &Path) -> anyhow::Result<Traffic> {
    let traffic = traffic_file::read(path).context("--traffic")?;
    if traffic.access != Access::ReadOnly {
        bail!("{} has access: ReadWrite; only read-only traffic is measured", path.display());
    }
    Ok(traffic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_bounded() {
        assert_eq!(sizes(&[8, 1, 8, 2]).unwrap(), [1, 2, 8]);
        for refused in [&[][..], &[0], &[501], &[1; 0]] {
            assert!(sizes(refused).is_err(), "{refused:?}");
        }
        assert!(sizes(&(1..=17).collect::<Vec<_>>()).is_err());
        assert!(length("10s").is_ok());
        for refused in ["11m", "900ms", "ten"] {
            assert!(length(refused).is_err(), "{refused}");
        }
    }
}
