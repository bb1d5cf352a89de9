//! `cutover report`: what the loads of a rollout measured, fetched from the cluster.
//!
//! Decides which reports go on the page, and what to say where there is none yet. Reads the rollout and the ConfigMaps
//! that its status names, as whoever the kubeconfig in use says, and writes nothing to the cluster.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use kube::{Api, Client, Config};

use super::say;
use crate::{
    api::{DatabaseRollout, DatabaseRolloutSpec},
    cluster::{self, LoadPlace, Namespace},
    load::report::{LoadReport, RolloutLoads, html_of_rollout},
};

#[derive(Args)]
pub(super) struct Options {
    /// Name of the DatabaseRollout.
    rollout: String,
    /// Its namespace. Left out: that of the kubeconfig's context.
    #[arg(short, long)]
    namespace: Option<String>,
    /// Only the loads of this stage.
    #[arg(long)]
    stage: Option<String>,
    /// How the reports are written.
    #[arg(short, long, value_enum, default_value_t = Format::Html)]
    output: Format,
}

/// How reports are written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One page that stands alone.
    Html,
    /// One object, a report by name.
    Json,
}

pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    super::install_tls_provider()?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(fetch(options))
}

async fn fetch(options: &Options) -> anyhow::Result<()> {
    let config = Config::infer().await.context("no kubeconfig can be read; set KUBECONFIG")?;
    let name = options.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let namespace = Namespace { client: Client::try_from(config)?, name };
    let rollout = find(&namespace, &options.rollout).await?;
    let reports = read_all(&namespace, &rollout, options).await?;
    let written = match options.output {
        Format::Html => html_of_rollout(&sorted(&namespace, options, reports)),
        Format::Json => to_json(reports)?,
    };
    writeln!(std::io::stdout().lock(), "{written}")?;
    Ok(())
}

async fn find(namespace: &Namespace, name: &str) -> anyhow::Result<DatabaseRollout> {
    let api: Api<DatabaseRollout> = Api::namespaced(namespace.client.clone(), &namespace.name);
    cluster::read_rollout(&api, name).await?.with_context(|| {
        format!(
            "there is no DatabaseRollout {name} in namespace {}; name another one with --namespace",
            namespace.name
        )
    })
}

/// The reports that can be read, in the order of the rollout's life. Says which can't.
async fn read_all(
    namespace: &Namespace,
    rollout: &DatabaseRollout,
    options: &Options,
) -> anyhow::Result<Vec<(LoadPlace, LoadReport)>> {
    let stage = options.stage.as_deref();
    if let Some(stage) = stage
        && !rollout.spec.stages.iter().any(|other| other.name == stage)
    {
        let names: Vec<&str> = rollout.spec.stages.iter().map(|stage| stage.name.as_str()).collect();
        bail!("there is no stage {stage}; the stages are {}", names.join(", "));
    }
    let is_asked_for = |place: &LoadPlace| match place {
        LoadPlace::Baseline | LoadPlace::Final => stage.is_none(),
        LoadPlace::Stage(name) | LoadPlace::Soak(name) => stage.is_none_or(|stage| stage == name),
    };
    let mut reports = Vec::new();
    let mut unreadable = Vec::new();
    for (place, result) in cluster::loads_of(rollout).into_iter().filter(|(place, _)| is_asked_for(place)) {
        match cluster::read_load(namespace, &place, result).await {
            Ok(report) if report.seed != result.seed.cast_unsigned() => {
                let name = place.name();
                unreadable.push(format!(
                    "the report of {name} is of another try than the status tells of; ask again in a while"
                ));
            }
            // The status knows more than the load itself did: what legacy had in the baseline.
            Ok(report) => {
                let (verdict, message) = (result.verdict, result.message.clone());
                reports.push((place, LoadReport { verdict, message, ..report }));
            }
            Err(error) => unreadable.push(error.to_string()),
        }
    }
    if !reports.is_empty() {
        unreadable.iter().for_each(|error| say(format_args!("Warning: {error}")));
        return Ok(reports);
    }
    if unreadable.is_empty() {
        bail!(nothing_yet(rollout, stage));
    }
    bail!(unreadable.join("; "))
}

/// What has to happen before there is a report.
fn nothing_yet(rollout: &DatabaseRollout, stage: Option<&str>) -> String {
    let expected = expected(&rollout.spec, stage);
    let Some(first) = expected.first() else {
        let place = stage.map_or("the rollout".to_owned(), |stage| format!("stage {stage}"));
        return format!(
            "{place} puts no load on, so there is nothing to report; give its spec a baseline, or a stage a load"
        );
    };
    let status = rollout.status.clone().unwrap_or_default();
    format!(
        "no load is over yet: the first report will be that of {first}. Now it is {:?}: {}",
        status.phase, status.message
    )
}

/// The loads that the spec asks for, in the order in which they come, in words.
fn expected(spec: &DatabaseRolloutSpec, stage: Option<&str>) -> Vec<String> {
    let baseline = spec.baseline.iter().filter(|_| stage.is_none()).map(|_| "the baseline".to_owned());
    let stages = spec.stages.iter().filter(|other| stage.is_none_or(|stage| stage == other.name));
    let loads = stages.flat_map(|stage| {
        let load = stage.load.iter().map(|_| format!("the load of stage {}", stage.name));
        let soak = stage.soak.iter().filter_map(|soak| soak.load.as_ref());
        load.chain(soak.map(|_| format!("the load during the soak of stage {}", stage.name)))
    });
    baseline.chain(loads).collect()
}

fn sorted(namespace: &Namespace, options: &Options, reports: Vec<(LoadPlace, LoadReport)>) -> RolloutLoads {
    let mut loads = RolloutLoads {
        rollout: format!("{}/{}", namespace.name, options.rollout),
        ..RolloutLoads::default()
    };
    for (place, report) in reports {
        match place {
            LoadPlace::Baseline => loads.baseline = Some(report),
            LoadPlace::Final => loads.last = Some(report),
            LoadPlace::Stage(_) | LoadPlace::Soak(_) => loads.others.push((place.name(), report)),
        }
    }
    loads
}

fn to_json(reports: Vec<(LoadPlace, LoadReport)>) -> anyhow::Result<String> {
    let named = reports.into_iter().map(|(place, report)| Ok((place.name(), serde_json::to_value(report)?)));
    let object: serde_json::Map<String, serde_json::Value> = named.collect::<anyhow::Result<_>>()?;
    Ok(serde_json::to_string(&object)?)
}
