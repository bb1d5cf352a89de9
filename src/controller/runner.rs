//! What an attempt does: asks the checks, or puts the load on, and brings back a report. Owns what it is about: nothing
//! that changes meanwhile changes its question.

mod carry_out;
mod pods;
mod rounds;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::ResourceExt;
use tokio::sync::watch;

use crate::{
    api::{
        Baseline, Check, Configuration, DatabaseRolloutSpec, Load, LoadMode, Prerequisite, Stage, Traffic,
    },
    checks::{Moment, Sides},
    cluster::{
        ClusterReader, LoadPlace, Namespace, Reports, Snapshot,
        job::{JobRequest, Jobs},
    },
    duration,
    engine::{AttemptId, AttemptScope, Report},
    load::{Arm, LoadProgress, LoadSpec, Targets},
    postgres::{ConnectionUri, Roles, Target},
};

/// One attempt, ready to run.
pub(super) struct Job {
    digest: String,
    work: Work,
    /// Where the whole answers go.
    reports: Reports,
    /// Where pods are run.
    namespace: Namespace,
}

/// Where an attempt is made.
struct Place<'a> {
    reports: &'a Reports,
    namespace: &'a Namespace,
    jobs: &'a Jobs,
}

enum Work {
    Prerequisites {
        checks: Vec<Check>,
    },
    Checks {
        asked: Asked,
        asks_legacy: bool,
    },
    Soak {
        asked: Asked,
        interval: Duration,
        until: Timestamp,
    },
    Final {
        groups: Vec<Asked>,
        /// The baseline once more, on the candidate.
        load: Option<PreparedLoad>,
    },
    Load(PreparedLoad),
    ProbeLegacy {
        target: Target,
    },
    /// It cannot even be asked; why.
    Impossible {
        name: &'static str,
        why: String,
    },
}

/// A load, and where its report goes.
struct PreparedLoad {
    place: LoadPlace,
    spec: Box<LoadSpec>,
    targets: Targets,
    /// Those that carry it out, where it is not this process.
    pods: Option<Box<JobRequest>>,
}

/// A stage's checks, and what they are about.
struct Asked {
    stage: String,
    checks: Vec<Check>,
    sides: Sides,
    moment: Moment,
}

impl Job {
    /// Takes what the attempt needs out of the snapshot that was decided about.
    pub fn new(
        namespace: &Namespace,
        snapshot: &Snapshot,
        id: &AttemptId,
        digest: &str,
        until: Option<Timestamp>,
    ) -> Self {
        let work = prepare(namespace, snapshot, id, until)
            .unwrap_or_else(|why| Work::Impossible { name: id.kind(), why });
        Self {
            digest: digest.to_owned(),
            work,
            reports: Reports::of(namespace, snapshot.rollout()),
            namespace: namespace.clone(),
        }
    }

    /// Runs it to its end, and tells how far its load is. Dropping the future ends it at once.
    pub async fn run(self, jobs: &Jobs, progress: watch::Sender<LoadProgress>) -> Report {
        tracing::info!("the attempt begins");
        let place = Place { reports: &self.reports, namespace: &self.namespace, jobs };
        let done = carry_out::carry_out(self.work, &place, progress).await;
        let report = Report { digest: self.digest, ..done };
        for check in &report.checks {
            tracing::info!(check = check.name, verdict = ?check.verdict, "{}", check.message);
        }
        if let Some(load) = &report.load {
            tracing::info!(verdict = ?load.verdict, "{}", load.message);
        }
        report
    }
}

fn prepare(
    namespace: &Namespace,
    snapshot: &Snapshot,
    id: &AttemptId,
    until: Option<Timestamp>,
) -> Result<Work, String> {
    let spec = &snapshot.rollout().spec;
    let asked = |stage: &Stage, checks: &[Check]| {
        let sides = sides(namespace, snapshot, stage)?;
        let moment = moment(snapshot);
        Ok::<_, String>(Asked { stage: stage.name.clone(), checks: checks.to_vec(), sides, moment })
    };
    Ok(match &id.scope {
        AttemptScope::Prerequisites => Work::Prerequisites {
            checks: spec.prerequisites.iter().filter_map(Prerequisite::check).collect(),
        },
        AttemptScope::Checks(name) => {
            let stage = stage(spec, name)?;
            Work::Checks { asked: asked(stage, &stage.checks)?, asks_legacy: !is_touched(snapshot) }
        }
        AttemptScope::Soak(name) => {
            let stage = stage(spec, name)?;
            let soak = stage.soak.as_ref().ok_or("the stage has no soak")?;
            Work::Soak {
                asked: asked(stage, &soak.checks)?,
                interval: duration::parse(&soak.interval).map_err(|error| error.to_string())?,
                until: until.unwrap_or(Timestamp::MIN),
            }
        }
        AttemptScope::Final => {
            let groups = spec.stages.iter().map(|stage| asked(stage, &final_checks(stage)));
            Work::Final {
                groups: groups.collect::<Result<_, String>>()?,
                load: final_load(spec, snapshot, id)?,
            }
        }
        AttemptScope::Load(name) => {
            let load = stage(spec, name)?.load.as_ref().ok_or("the stage has no load")?;
            Work::Load(stage_load(spec, load, snapshot, id, LoadPlace::Stage(name.clone()))?)
        }
        AttemptScope::SoakLoad(name) => {
            let soak = stage(spec, name)?.soak.as_ref().ok_or("the stage has no soak")?;
            let load = soak.load.as_ref().ok_or("the soak has no load")?;
            Work::Load(stage_load(spec, load, snapshot, id, LoadPlace::Soak(name.clone()))?)
        }
        AttemptScope::Baseline => {
            let baseline = spec.baseline.as_ref().ok_or("there is no baseline to measure")?;
            Work::Load(PreparedLoad {
                place: LoadPlace::Baseline,
                spec: baseline_load(spec, baseline, snapshot, id)?.into(),
                targets: Targets::Legacy(target(snapshot, &spec.legacy)?),
                pods: None,
            })
        }
        AttemptScope::LegacyProbe => Work::ProbeLegacy { target: target(snapshot, &spec.legacy)? },
    })
}

/// From the first promoted stage on that writes to another server, what legacy holds is history.
fn moment(snapshot: &Snapshot) -> Moment {
    let stages = snapshot.rollout().status.iter().flat_map(|status| &status.recorded.stages);
    let has_moved = stages.into_iter().any(|stage| stage.promoted_at.is_some() && stage.writes);
    if has_moved { Moment::After } else { Moment::Before }
}

fn final_checks(stage: &Stage) -> Vec<Check> {
    let is_asked =
        |check: &&Check| check.question().is_some_and(|question| question.is_asked_after_the_move());
    stage.checks.iter().filter(is_asked).cloned().collect()
}

/// Before the first promotion legacy must be shown to serve: an automatic rollback will ask the same question, and a way
/// back that was never open is none.
fn is_touched(snapshot: &Snapshot) -> bool {
    let stages = snapshot.rollout().status.iter().flat_map(|status| &status.recorded.stages);
    stages.into_iter().any(|stage| stage.promoted_at.is_some())
}

fn stage<'a>(spec: &'a DatabaseRolloutSpec, name: &str) -> Result<&'a Stage, String> {
    spec.stages.iter().find(|stage| stage.name == name).ok_or_else(|| format!("there is no stage {name}"))
}

fn traffic<'a>(spec: &'a DatabaseRolloutSpec, name: &str) -> Result<&'a Traffic, String> {
    spec.traffic
        .iter()
        .find(|traffic| traffic.name == name)
        .ok_or_else(|| format!("there is no traffic {name}"))
}

fn stage_load(
    spec: &DatabaseRolloutSpec,
    load: &Load,
    snapshot: &Snapshot,
    id: &AttemptId,
    place: LoadPlace,
) -> Result<PreparedLoad, String> {
    let candidate = spec.candidate.as_ref().ok_or("there is no candidate to load")?;
    let candidate = target(snapshot, candidate)?;
    let targets = match load.mode {
        LoadMode::Candidate => Targets::Candidate(candidate),
        LoadMode::Duet => {
            let legacy = target(snapshot, &spec.legacy)?.into();
            Targets::Duet { legacy, candidate: candidate.into() }
        }
    };
    let spec = LoadSpec::from_load(load, traffic(spec, &load.traffic)?, seed(snapshot, id))
        .map_err(|error| error.to_string())?;
    // What soaks was promoted.
    let application_on = if matches!(place, LoadPlace::Soak(_)) { Arm::Candidate } else { Arm::Legacy };
    let spec = LoadSpec { try_number: Some(tries(snapshot, id.stage())), application_on, ..spec };
    let pods = (load.parallelism > 1).then(|| pods::request(load, &spec, snapshot, id));
    Ok(PreparedLoad { place, spec: spec.into(), targets, pods: pods.transpose()?.map(Box::new) })
}

/// The baseline on what the application runs on now; where only settings changed there is no other database to measure.
fn final_load(
    spec: &DatabaseRolloutSpec,
    snapshot: &Snapshot,
    id: &AttemptId,
) -> Result<Option<PreparedLoad>, String> {
    let (Some(baseline), Some(candidate)) = (&spec.baseline, &spec.candidate) else { return Ok(None) };
    Ok(Some(PreparedLoad {
        place: LoadPlace::Final,
        spec: baseline_load(spec, baseline, snapshot, id)?.into(),
        targets: Targets::Candidate(target(snapshot, candidate)?),
        pods: None,
    }))
}

fn baseline_load(
    spec: &DatabaseRolloutSpec,
    baseline: &Baseline,
    snapshot: &Snapshot,
    id: &AttemptId,
) -> Result<LoadSpec, String> {
    LoadSpec::from_baseline(baseline, traffic(spec, &baseline.traffic)?, seed(snapshot, id))
        .map_err(|error| error.to_string())
}

/// How many of the stage's loads in a row had no verdict before this one.
fn tries(snapshot: &Snapshot, stage: &str) -> usize {
    let mut stages = snapshot.rollout().status.iter().flat_map(|status| &status.recorded.stages);
    let record = stages.find(|record| record.name == stage);
    record.map_or(0, |record| usize::try_from(record.inconclusive_loads).unwrap_or(0))
}

/// Every attempt has a schedule of its own, and the status tells its seed.
fn seed(snapshot: &Snapshot, id: &AttemptId) -> u64 {
    let about = format!("{}/{id}", snapshot.rollout().uid().unwrap_or_default());
    let digest = crate::digest::public(about.as_bytes());
    // 12 hexadecimal digits: a status holds it as a positive integer that every JSON reader takes exactly.
    u64::from_str_radix(&digest[..12], 16).unwrap_or_default()
}

fn sides(namespace: &Namespace, snapshot: &Snapshot, stage: &Stage) -> Result<Sides, String> {
    let spec = &snapshot.rollout().spec;
    Ok(Sides {
        legacy: Some(target(snapshot, &spec.legacy)?),
        candidate: spec.candidate.as_ref().map(|candidate| target(snapshot, candidate)).transpose()?,
        traffic: spec.traffic.clone().into(),
        cluster: Arc::new(ClusterReader::new(namespace.clone(), spec, stage)),
    })
}

fn target(snapshot: &Snapshot, configuration: &Configuration) -> Result<Target, String> {
    let reference = &configuration.connection.secret_ref;
    let read = |key: &str| {
        snapshot
            .secret_value(&reference.name, key)
            .ok_or_else(|| format!("Secret/{} has no key {key}, or does not exist", reference.name))
    };
    let text = std::str::from_utf8(read(&reference.key)?)
        .map_err(|_| format!("key {} of Secret/{} is not UTF-8 text", reference.key, reference.name))?;
    let tls = configuration.connection.tls.clone().unwrap_or_default();
    let ca_pem = tls.ca_key.as_deref().map(read).transpose()?.map(<[u8]>::to_vec);
    let uri = ConnectionUri::parse(text)
        .map_err(|error| format!("key {} of Secret/{}: {error}", reference.key, reference.name))?;
    Ok(Target { uri, tls, ca_pem, roles: Roles::Ordinary })
}
