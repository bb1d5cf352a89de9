//! `cutover load-worker`: a part of a load, in a pod of its own. The operator starts it; nobody else does.
//!
//! Is told what to do by environment variables, writes what it took down to standard output, and ends with 0 only then.

use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::Args;
use jiff::Timestamp;

use crate::{
    api::TlsSettings,
    cluster::job::frame,
    load::{
        LoadSpec, Share, Targets,
        shard::{self, CANDIDATE, LEGACY, ORDER, Order},
    },
    postgres::{ConnectionUri, Roles, Target},
};

#[derive(Args)]
pub(super) struct Options {
    /// When all processes of the load begin.
    #[arg(long)]
    start_at: Timestamp,
    /// What the result is marked with.
    #[arg(long)]
    key: String,
}

/// The variable with the number of this process, which Kubernetes sets.
const INDEX: &str = "JOB_COMPLETION_INDEX";

pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    super::install_tls_provider()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut out = std::io::stdout();
    let done = told().and_then(|told| {
        let spec = LoadSpec { begin_at: Some(options.start_at), ..told.spec };
        let index = spec.share.index;
        // Nothing depends on it: where it can't be written, neither can the result, and that is told.
        let mut tell = |line: &str| drop(frame::write_progress(&mut out, &options.key, index, line));
        let taken = runtime.block_on(Box::pin(shard::run_share(&spec, &told.targets, &mut tell)));
        Ok((index, taken.map_err(|why| anyhow!(why))?))
    });
    let written = done.and_then(|(index, taken)| Ok(frame::write(&mut out, &options.key, index, &taken)?));
    if let Err(why) = written {
        frame::write_failure(&mut out, &format!("{why:#}"))?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

struct Told {
    spec: LoadSpec,
    targets: Targets,
}

fn told() -> anyhow::Result<Told> {
    let order: Order =
        serde_json::from_str(&variable(ORDER)?).with_context(|| format!("{ORDER} can't be read"))?;
    let index = variable(INDEX)?.parse().with_context(|| format!("{INDEX} is no number"))?;
    let candidate = target(CANDIDATE, &order.candidate)?;
    let targets = match &order.legacy {
        Some(tls) => Targets::Duet { legacy: target(LEGACY, tls)?.into(), candidate: candidate.into() },
        None => Targets::Candidate(candidate),
    };
    let spec = LoadSpec::from_load(&order.load, &order.traffic, order.seed)?;
    let share = Share { index, count: order.count };
    Ok(Told { spec: LoadSpec { share, application_on: order.application_on, ..spec }, targets })
}

fn target([uri, ca]: [&str; 2], tls: &TlsSettings) -> anyhow::Result<Target> {
    let ca_pem = match std::env::var_os(ca) {
        Some(path) => Some(std::fs::read(path).with_context(|| format!("the file of {ca} can't be read"))?),
        None => None,
    };
    let uri = ConnectionUri::parse(&variable(uri)?).with_context(|| uri.to_owned())?;
    Ok(Target { uri, tls: tls.clone(), ca_pem, roles: Roles::Ordinary })
}

fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set"))
}
