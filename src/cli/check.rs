//! `cutover check`: the checks of a stage, without a cluster.
//!
//! Decides nothing about the databases: it asks the same questions as the operator, once, and writes what they found.
//! Exit code: 0 pass or warn, 1 fail, 2 could not run, 3 inconclusive.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::bail;
use clap::Args;

use super::{
    exit_code,
    side::{CANDIDATE, LEGACY, named},
    traffic_file, written,
};
use crate::{
    api::{AcceptedFinding, Check, Traffic},
    checks::{self, CheckReport, Moment, NoCluster, Progress, Sides},
};

mod kind;
mod manifest;
mod render;
mod watch;

use manifest::Manifest;

#[derive(Args)]
#[command(subcommand_negates_reqs = true)]
pub(super) struct Options {
    #[command(subcommand)]
    kind: Option<kind::Kind>,
    /// A manifest whose checks are asked, all of them; `-` is standard input. The Secrets that its rollout names may be
    /// in the same file.
    #[arg(short, long, required = true)]
    file: Option<PathBuf>,
    /// Ask only the checks of this stage of the manifest.
    #[arg(long, requires = "file")]
    stage: Option<String>,
    /// The database that the application comes from: `postgresql://user:password@host:port/database`. When left out: that of
    /// the manifest's Secret, else the environment variable `CUTOVER_LEGACY_URI`, which others on this machine don't see.
    #[arg(long, global = true)]
    legacy: Option<String>,
    /// The database that it moves to. When left out: as for legacy, and `CUTOVER_CANDIDATE_URI`.
    #[arg(long, global = true)]
    candidate: Option<String>,
    /// The whole check must be over after this long, such as `90s` or `2h`.
    #[arg(long, global = true)]
    timeout: Option<String>,
    /// A finding that is accepted: its kind, or kind=object with `*` for any characters; may be repeated.
    #[arg(long, global = true, value_name = "KIND[=OBJECT]")]
    accept: Vec<String>,
    /// How the report is written.
    #[arg(short, long, global = true, value_enum, default_value_t = render::Format::Table)]
    output: render::Format,
}

pub(super) fn run(options: Options) -> anyhow::Result<ExitCode> {
    super::install_tls_provider()?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(ask(options))
}

async fn ask(mut options: Options) -> anyhow::Result<ExitCode> {
    match (options.kind.take(), options.file.take()) {
        (Some(_), Some(_)) => bail!("give a kind of check or a manifest, not both"),
        (Some(kind), None) => ask_kind(kind, &options).await,
        (None, Some(file)) => ask_manifest(&Manifest::read(&file)?, &options).await,
        (None, None) => bail!("name a kind of check, or a manifest with -f"),
    }
}

async fn ask_kind(kind: kind::Kind, options: &Options) -> anyhow::Result<ExitCode> {
    let mut check = adjusted(kind.into_check(), options)?;
    let sides = Sides {
        legacy: named(options.legacy.as_ref(), LEGACY, || Ok(None))?,
        candidate: named(options.candidate.as_ref(), CANDIDATE, || Ok(None))?,
        traffic: plans_traffic(&mut check)?.into(),
        cluster: Arc::new(NoCluster::default()),
    };
    let report = ask_one(&check, &sides).await;
    written(render::one(options.output, &report, &mut std::io::stdout().lock()))?;
    Ok(exit_code(report.verdict))
}

async fn ask_manifest(manifest: &Manifest, options: &Options) -> anyhow::Result<ExitCode> {
    let checks = manifest.checks(options.stage.as_deref())?;
    let sides = Sides {
        legacy: named(options.legacy.as_ref(), LEGACY, || manifest.legacy())?,
        candidate: named(options.candidate.as_ref(), CANDIDATE, || manifest.candidate())?,
        traffic: manifest.traffic().into(),
        cluster: Arc::new(NoCluster { workloads: manifest.workloads() }),
    };
    let mut reports = Vec::new();
    for check in checks {
        reports.push(ask_one(&adjusted(check, options)?, &sides).await);
    }
    written(render::all(options.output, &reports, &mut std::io::stdout().lock()))?;
    Ok(exit_code(render::worst(&reports)))
}

async fn ask_one(check: &Check, sides: &Sides) -> CheckReport {
    let progress = Progress::default();
    watch::watched(&check.name, &progress, checks::run(check, sides, Moment::Before, &progress)).await
}

fn adjusted(mut check: Check, options: &Options) -> anyhow::Result<Check> {
    if let Some(timeout) = &options.timeout {
        let limit = crate::duration::parse(timeout).map_err(|error| anyhow::anyhow!("--timeout: {error}"))?;
        if limit.is_zero() {
            bail!("--timeout must be longer than zero");
        }
        check.timeout = Some(timeout.clone());
    }
    for rule in &options.accept {
        let (kind, object) =
            rule.split_once('=').map_or((rule.as_str(), None), |(kind, object)| (kind, Some(object)));
        if kind.is_empty() {
            bail!("--accept takes the kind of a finding, such as owner-differs, or kind=object");
        }
        check.accept.push(AcceptedFinding { kind: kind.to_owned(), object: object.map(str::to_owned) });
    }
    Ok(check)
}

/// At the command line the statements of `plans` are in a file of their own: one entry of `spec.traffic`.
fn plans_traffic(check: &mut Check) -> anyhow::Result<Vec<Traffic>> {
    let Some(named) = check.plans.as_mut().and_then(|plans| plans.traffic.as_mut()) else {
        return Ok(Vec::new());
    };
    let traffic = traffic_file::read(Path::new(named))?;
    named.clone_from(&traffic.name);
    Ok(vec![traffic])
}
