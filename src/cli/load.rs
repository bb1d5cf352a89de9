//! `cutover load`: a load check without a cluster.
//!
//! Decides nothing about the databases: it puts the same load on as the operator, once, and writes what came of it.
//! Exit code: 0 pass or warn, 1 fail, 2 could not run, 3 inconclusive.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

use super::{
    exit_code,
    side::{CANDIDATE, LEGACY, named},
    traffic_file, written,
};
use crate::{
    api::{
        Access, ArrivalProcess, Guard, LatencyLimits, Load, LoadMode, MaxIncreasePercent, RatePoint, Traffic,
    },
    load::{self, LoadSpec, Targets},
};

mod scripts;
mod told;
mod watch;

#[derive(Args)]
pub(super) struct Options {
    /// The database that the application comes from: `postgresql://user:password@host:port/database`; else the environment
    /// variable `CUTOVER_LEGACY_URI`, which others on this machine don't see. With both sides the load is a duet: each
    /// arrival goes to one of them by chance, and the candidate is judged against legacy. With one side alone, only absolute
    /// limits are.
    #[arg(long)]
    legacy: Option<String>,
    /// The database that it moves to; else `CUTOVER_CANDIDATE_URI`.
    #[arg(long)]
    candidate: Option<String>,
    /// A file with the statements: one entry of a rollout's `spec.traffic`, as YAML.
    #[arg(long, required_unless_present = "file")]
    traffic: Option<PathBuf>,
    /// Instead of --traffic: a script in the language of pgbench, with its weight; may be repeated.
    #[arg(short, long, value_name = "SCRIPT[@WEIGHT]", conflicts_with = "traffic")]
    file: Vec<String>,
    /// The value of `:scale` in scripts.
    #[arg(short, long, default_value_t = 1, requires = "file")]
    scale: i32,
    /// Scripts may write. Without it every session is read-only.
    #[arg(long, requires = "file")]
    read_write: bool,
    /// Arrivals per second, of both sides together.
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=20_000))]
    rate: i32,
    /// How the rate changes: so many percent of it at that moment, in a straight line from one to the next; may be repeated, in
    /// the order of the moments.
    #[arg(long, value_name = "AT=PERCENT", value_parser = rate_point)]
    shape: Vec<RatePoint>,
    /// How long is measured, such as `60s` or `4m`. A duet warms up before that: a sixth of it, at most 10 s; and it can't pass
    /// in less than 60 s.
    #[arg(long)]
    duration: String,
    /// A duet that is neither a pass nor a failure by then goes on until this.
    #[arg(long)]
    max_duration: Option<String>,
    /// Connections to each side, as the application's pool would hold them.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(i32).range(1..=500))]
    connections: i32,
    /// How arrivals follow each other.
    #[arg(long, value_enum, default_value_t = Arrivals::Poisson)]
    arrivals: Arrivals,
    /// The candidate's highest acceptable median latency, such as `5ms`.
    #[arg(long)]
    max_p50: Option<String>,
    /// Its highest acceptable 95th percentile.
    #[arg(long)]
    max_p95: Option<String>,
    /// Its highest acceptable 99th percentile.
    #[arg(long)]
    max_p99: Option<String>,
    /// By how many percent its median may be above legacy's: more than this fails.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(i32).range(2..=1_000))]
    max_increase_p50: i32,
    /// The same of the 95th percentile.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(i32).range(2..=1_000))]
    max_increase_p95: i32,
    /// The same of the 99th percentile.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(i32).range(2..=1_000))]
    max_increase_p99: i32,
    /// Highest acceptable share of failed statements, in percent. To tell that it is kept takes 300 statements divided by it:
    /// 3,000 for 0.1.
    #[arg(long, default_value = "0.1")]
    max_error_percent: String,
    /// Fewest answers per second of the candidate. A duet sends half of the rate to each side.
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=20_000))]
    min_throughput: Option<i32>,
    /// Loads one side alone, even if the other one is named, too, as by the environment.
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// A duet may carry statements that write out on legacy, too.
    #[arg(long)]
    write_to_legacy: bool,
    /// Connections that must stay free on each server for the application.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(i32).range(0..=10_000))]
    free_connections: i32,
    /// The load ends when legacy's 95th percentile stays above this.
    #[arg(long)]
    max_legacy_p95: Option<String>,
    /// The same seed gives the same arrivals, sides and parameters; drawn where it is left out.
    #[arg(long, value_parser = clap::value_parser!(u64).range(..1 << 48))]
    seed: Option<u64>,
    /// How the report is written.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Arrivals {
    /// As independent users come.
    Poisson,
    /// At equal distances.
    Fixed,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Only {
    /// What the application runs on today.
    Legacy,
    /// What it moves to.
    Candidate,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// One JSON object.
    Json,
    /// A page without outside resources.
    Html,
}

fn rate_point(text: &str) -> Result<RatePoint, String> {
    let (at, percent) = text.split_once('=').ok_or("give a moment and a percentage, such as 3m=100")?;
    let percent = percent.parse().map_err(|_| format!("{percent:?} is no whole number of percent"))?;
    Ok(RatePoint { at: at.to_owned(), percent })
}

pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    super::install_tls_provider()?;
    // The load itself has a thread of its own.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(put_on(options))
}

async fn put_on(options: &Options) -> anyhow::Result<ExitCode> {
    let traffic = traffic(options)?;
    let seed = options.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let targets = targets(options)?;
    let spec = LoadSpec::from_load(&asked(options, &traffic), &traffic, seed)?;
    let (progress, told) = tokio::sync::watch::channel(load::LoadProgress::default());
    let mut outcome = watch::watched(told, Box::pin(load::run(&spec, &targets, progress))).await;
    let command = &mut outcome.report.settings.command;
    *command = with_files(command, options, &traffic);
    written(told::print(&outcome.report, options.output))?;
    Ok(exit_code(outcome.report.verdict))
}

/// The command that runs a load again, with the scripts that it was of in place of a traffic model.
fn with_files(command: &str, options: &Options, traffic: &Traffic) -> String {
    if options.file.is_empty() {
        return command.to_owned();
    }
    let files = scripts::options(&options.file, traffic.access, options.scale);
    command.replacen(&format!("--traffic {}.yaml", traffic.name), &files, 1)
}

fn traffic(options: &Options) -> anyhow::Result<Traffic> {
    if let Some(path) = &options.traffic {
        return traffic_file::read(path).context("--traffic");
    }
    let access = if options.read_write { Access::ReadWrite } else { Access::ReadOnly };
    scripts::read(&options.file, access, options.scale).context("--file")
}

fn targets(options: &Options) -> anyhow::Result<Targets> {
    let wanted = |side, option: &Option<String>, names| match options.only {
        Some(only) if only != side => Ok(None),
        _ => named(option.as_ref(), names, || Ok(None)),
    };
    let legacy = wanted(Only::Legacy, &options.legacy, LEGACY)?;
    let candidate = wanted(Only::Candidate, &options.candidate, CANDIDATE)?;
    Ok(match (legacy, candidate) {
        (Some(legacy), Some(candidate)) => {
            Targets::Duet { legacy: legacy.into(), candidate: candidate.into() }
        }
        (Some(legacy), None) => Targets::Legacy(legacy),
        (None, Some(candidate)) => Targets::Candidate(candidate),
        (None, None) => bail!("name a database with --legacy or --candidate, or both for a duet"),
    })
}

/// The options as a stage would have them.
fn asked(options: &Options, traffic: &Traffic) -> Load {
    let limits = LatencyLimits {
        p50: options.max_p50.clone(),
        p95: options.max_p95.clone(),
        p99: options.max_p99.clone(),
    };
    Load {
        traffic: traffic.name.clone(),
        mode: LoadMode::Duet,
        rate: options.rate,
        shape: options.shape.clone(),
        arrivals: match options.arrivals {
            Arrivals::Poisson => ArrivalProcess::Poisson,
            Arrivals::Fixed => ArrivalProcess::Fixed,
        },
        duration: options.duration.clone(),
        max_duration: options.max_duration.clone(),
        connections: options.connections,
        parallelism: 1,
        max_latency: Some(limits),
        max_increase_percent: Some(MaxIncreasePercent {
            p50: Some(options.max_increase_p50),
            p95: Some(options.max_increase_p95),
            p99: Some(options.max_increase_p99),
        }),
        max_error_percent: options.max_error_percent.clone(),
        min_throughput: options.min_throughput,
        legacy_access: if options.write_to_legacy { Access::ReadWrite } else { Access::ReadOnly },
        guard: Guard {
            free_connections: options.free_connections,
            legacy_p95: options.max_legacy_p95.clone(),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        options: Options,
    }

    fn options_of(line: &str) -> Options {
        Alone::try_parse_from(line.split_whitespace().skip(1)).unwrap().options
    }

    #[test]
    fn the_command_of_a_report_names_the_scripts_that_were_given() {
        let files = "-f often.sql@9 -f seldom.sql --scale 10 --read-write";
        let options = options_of(&format!("cutover load {files} --rate 5 --duration 1m"));
        let traffic = Traffic {
            name: "scripts".to_owned(),
            access: Access::ReadWrite,
            statements: vec![],
            scripts: vec![],
        };
        let told = with_files("cutover load --traffic scripts.yaml --rate 5", &options, &traffic);
        assert_eq!(told, format!("cutover load {files} --rate 5"));
    }

    fn spec_of(line: &str) -> LoadSpec {
        let options = options_of(line);
        let traffic = "{name: orders, statements: [{name: one, weight: 1, sql: SELECT 1}]}";
        let traffic: Traffic = serde_saphyr::from_str(traffic).unwrap();
        LoadSpec::from_load(&asked(&options, &traffic), &traffic, options.seed.unwrap_or_default()).unwrap()
    }

    #[test]
    fn the_command_of_a_report_runs_the_same_load_again() {
        let plain =
            "cutover load --traffic orders.yaml --rate 200 --duration 1m30s --connections 10 --seed 7";
        let all = format!(
            "{plain} --shape 0s=10 --shape 20s500ms=100 --max-duration 4m --arrivals fixed --max-p50 5ms --max-p95 20ms \
             --max-p99 1s --max-increase-p50 7 --max-increase-p95 12 --max-increase-p99 29 --max-error-percent 0.25 \
             --min-throughput 150 --write-to-legacy --free-connections 9 --max-legacy-p95 250ms"
        );
        for line in [plain, &all] {
            assert_eq!(load::report::command(&spec_of(line), None), line);
        }
        let alone = format!("{plain} --only candidate");
        assert_eq!(load::report::command(&spec_of(&alone), Some(load::Arm::Candidate)), alone);
    }
}
