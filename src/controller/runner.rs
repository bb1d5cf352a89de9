//! What an attempt does: asks the checks, or puts the load on, and brings back a report. Owns what it is about: nothing
//! that changes meanwhile changes its question.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::ResourceExt;

use crate::{
    api::{
        Baseline, Check, CheckResult, Configuration, DatabaseRolloutSpec, Load, LoadResult, Stage, Traffic,
        Verdict,
    },
    checks::{self, Moment, Progress, Sides},
    cluster::{ClusterReader, Namespace, Snapshot},
    duration,
    engine::{AttemptId, AttemptScope, Report},
    load::{self, LoadProgress, LoadSpec},
    postgres::{ConnectionUri, Roles, Target},
};

/// Longest message or measurement of a check in the status.
const EVIDENCE_MAX_CHARS: usize = 256;

/// One attempt, ready to run.
pub(super) struct Job {
    digest: String,
    work: Work,
}

enum Work {
    Checks {
        checks: Vec<Check>,
        sides: Sides,
        asks_legacy: bool,
    },
    Soak {
        checks: Vec<Check>,
        sides: Sides,
        interval: Duration,
        until: Timestamp,
    },
    Final {
        groups: Vec<(String, Vec<Check>, Sides)>,
    },
    Load {
        spec: LoadSpec,
        target: Target,
    },
    ProbeLegacy {
        target: Target,
    },
    /// It cannot even be asked; why.
    Impossible {
        name: &'static str,
        why: String,
    },
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
        Self { digest: digest.to_owned(), work }
    }

    /// Runs it to its end. Dropping the future ends it at once.
    pub async fn run(self) -> Report {
        tracing::info!("the attempt begins");
        let report = Report { digest: self.digest, ..carry_out(self.work).await };
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
    let sides = |stage: &Stage| sides(namespace, snapshot, stage);
    Ok(match &id.scope {
        AttemptScope::Checks(name) => {
            let stage = stage(spec, name)?;
            Work::Checks {
                checks: stage.checks.clone(),
                sides: sides(stage)?,
                asks_legacy: !is_touched(snapshot),
            }
        }
        AttemptScope::Soak(name) => {
            let stage = stage(spec, name)?;
            let soak = stage.soak.as_ref().ok_or("the stage has no soak")?;
            Work::Soak {
                checks: soak.checks.clone(),
                sides: sides(stage)?,
                interval: duration::parse(&soak.interval).map_err(|error| error.to_string())?,
                until: until.unwrap_or(Timestamp::MIN),
            }
        }
        AttemptScope::Final => {
            let groups =
                spec.stages.iter().map(|stage| Ok((stage.name.clone(), stage.checks.clone(), sides(stage)?)));
            Work::Final { groups: groups.collect::<Result<_, String>>()? }
        }
        AttemptScope::Load(name) => {
            let load = stage(spec, name)?.load.as_ref().ok_or("the stage has no load")?;
            let candidate = spec.candidate.as_ref().ok_or("there is no candidate to load")?;
            Work::Load { spec: stage_load(spec, load, snapshot, id)?, target: target(snapshot, candidate)? }
        }
        AttemptScope::Baseline => {
            let baseline = spec.baseline.as_ref().ok_or("there is no baseline to measure")?;
            Work::Load {
                spec: baseline_load(spec, baseline, snapshot, id)?,
                target: target(snapshot, &spec.legacy)?,
            }
        }
        AttemptScope::LegacyProbe => Work::ProbeLegacy { target: target(snapshot, &spec.legacy)? },
    })
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
) -> Result<LoadSpec, String> {
    LoadSpec::from_load(load, traffic(spec, &load.traffic)?, seed(snapshot, id))
        .map_err(|error| error.to_string())
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
        legacy: target(snapshot, &spec.legacy)?,
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

async fn carry_out(work: Work) -> Report {
    match work {
        Work::Checks { checks, sides, asks_legacy } => {
            let mut answers = ask_all(&checks, &sides, Moment::Before).await;
            if asks_legacy {
                answers.push(checks::probe(&sides.legacy, "way-back").await.result());
            }
            checks_report(answers)
        }
        Work::Soak { checks, sides, interval, until } => soak(&checks, &sides, interval, until).await,
        Work::Final { groups } => {
            let mut answers = Vec::new();
            for (stage, checks, sides) in &groups {
                let asked = ask_all(checks, sides, Moment::After).await.into_iter();
                answers.extend(
                    asked.map(|answer| CheckResult { name: format!("{stage}/{}", answer.name), ..answer }),
                );
            }
            checks_report(answers)
        }
        Work::Load { spec, target } => {
            let (progress, _) = tokio::sync::watch::channel(LoadProgress::default());
            Report { load: Some(load::run(&spec, &target, progress).await), ..Report::default() }
        }
        Work::ProbeLegacy { target } => checks_report(vec![checks::probe(&target, "legacy").await.result()]),
        Work::Impossible { name, why } => impossible(name, &why),
    }
}

/// One after the other: checks share the databases with the application.
async fn ask_all(questions: &[Check], sides: &Sides, moment: Moment) -> Vec<CheckResult> {
    let mut answers = Vec::with_capacity(questions.len());
    for check in questions {
        answers.push(bounded(checks::run(check, sides, moment, &Progress::default()).await.result()));
    }
    answers
}

/// Rounds of all checks until the time is over, at least one; the first answer that is no pass ends it.
async fn soak(questions: &[Check], sides: &Sides, interval: Duration, until: Timestamp) -> Report {
    let mut rounds = 0;
    loop {
        let mut answers = ask_all(questions, sides, Moment::Before).await;
        rounds += 1;
        for answer in &mut answers {
            answer.samples = answer.samples.max(rounds);
        }
        let passed = answers.iter().all(|answer| matches!(answer.verdict, Verdict::Pass | Verdict::Warn));
        let left = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
        if !passed || left.is_zero() {
            return checks_report(answers);
        }
        tokio::time::sleep(interval.min(left)).await;
    }
}

/// All evidence of a rollout must fit into its status.
fn bounded(mut answer: CheckResult) -> CheckResult {
    answer.message = clip(answer.message);
    answer.measured = answer.measured.map(clip);
    answer.expected = answer.expected.map(clip);
    answer.baseline = answer.baseline.map(clip);
    answer
}

fn clip(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(EVIDENCE_MAX_CHARS) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn checks_report(checks: Vec<CheckResult>) -> Report {
    Report { checks, ..Report::default() }
}

fn impossible(name: &str, why: &str) -> Report {
    let check = CheckResult {
        name: name.to_owned(),
        verdict: Verdict::Error,
        message: why.to_owned(),
        ..CheckResult::default()
    };
    let load = LoadResult { verdict: Verdict::Error, message: why.to_owned(), ..LoadResult::default() };
    Report { digest: String::new(), checks: vec![check], load: Some(load) }
}
