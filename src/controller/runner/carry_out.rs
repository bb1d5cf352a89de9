//! Carrying an attempt out: its questions one after the other, their whole answers into the rollout's ConfigMap, and
//! what the engine goes by into the report. An answer that could not be written down counts all the same.

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use tokio::sync::watch;

use super::{Asked, Place, PreparedLoad, Work, rounds::Rounds};
use crate::{
    api::{CheckResult, LoadResult, Verdict},
    checks::{self, CheckReport, Progress},
    cluster::{Reports, job::JobFailure},
    engine::Report,
    load::{self, LoadOutcome, LoadProgress, shard},
    text::clip,
};

/// Longest message or measurement of a check in the status.
const EVIDENCE_MAX_CHARS: usize = 256;

pub(super) async fn carry_out(
    work: Work,
    place: &Place<'_>,
    progress: watch::Sender<LoadProgress>,
) -> Report {
    let reports = place.reports;
    match work {
        Work::Prerequisites { checks } => {
            // They have nothing to do with each other, so none need wait for another.
            let answers = join_all(checks.iter().map(checks::run_without_sides)).await;
            checks_report(answers.iter().map(|answer| bounded(answer.result())).collect())
        }
        Work::Checks { asked, asks_legacy } => {
            let mut answers = ask_all(&asked).await;
            if let Some(legacy) = asked.sides.legacy.as_ref().filter(|_| asks_legacy) {
                answers.push(checks::probe(legacy, "way-back").await);
            }
            checks_report(publish(reports, keyed(&Reports::key_of_check, &asked.stage, answers)).await)
        }
        Work::Soak { asked, interval, until } => {
            let answers = soak(&asked, interval, until).await;
            checks_report(publish(reports, keyed(&Reports::key_of_soak, &asked.stage, answers)).await)
        }
        Work::Final { groups, load } => {
            let report = validate(&groups, reports).await;
            let load = match load {
                // What has failed already needs no load.
                Some(load) if !report.checks.iter().any(|check| check.verdict == Verdict::Fail) => {
                    Some(put_on(&load, place, progress).await)
                }
                _ => None,
            };
            Report { load, ..report }
        }
        Work::Load(load) => Report { load: Some(put_on(&load, place, progress).await), ..Report::default() },
        Work::ProbeLegacy { target } => checks_report(vec![checks::probe(&target, "legacy").await.result()]),
        Work::Impossible { name, why } => impossible(name, &why),
    }
}

/// One after the other: checks share the databases with the application.
async fn ask_all(asked: &Asked) -> Vec<CheckReport> {
    let mut answers = Vec::with_capacity(asked.checks.len());
    for check in &asked.checks {
        answers.push(checks::run(check, &asked.sides, asked.moment, &Progress::default()).await);
    }
    answers
}

/// Rounds of all checks until the time is over, at least one; one that failed more often than it may ends it.
async fn soak(asked: &Asked, interval: Duration, until: Timestamp) -> Vec<CheckReport> {
    let mut rounds = Rounds::new(&asked.checks);
    loop {
        rounds.add(ask_all(asked).await);
        let left = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
        if !rounds.are_within_limits() || left.is_zero() {
            return rounds.into_reports();
        }
        tokio::time::sleep(interval.min(left)).await;
    }
}

/// All checks once more; in the status their names carry the stage.
async fn validate(groups: &[Asked], reports: &Reports) -> Report {
    let mut keyed_answers = Vec::new();
    for asked in groups {
        let answers = ask_all(asked).await;
        keyed_answers.extend(keyed(&Reports::key_of_final, &asked.stage, answers).into_iter().map(
            |(key, answer)| (key, CheckReport { name: format!("{}/{}", asked.stage, answer.name), ..answer }),
        ));
    }
    checks_report(publish(reports, keyed_answers).await)
}

/// Puts a load on, and keeps its whole report.
async fn put_on(load: &PreparedLoad, place: &Place<'_>, progress: watch::Sender<LoadProgress>) -> LoadResult {
    let LoadOutcome { mut result, report } = match &load.pods {
        None => Box::pin(load::run(&load.spec, &load.targets, progress)).await,
        Some(pods) => {
            // What they hold, and do, would be taken for the application's.
            place.jobs.wait_for_earlier(pods).await;
            let told = |lines: &[String]| {
                if let Some(all) = shard::together(lines) {
                    progress.send_replace(all);
                }
            };
            let parts = async {
                let parts = place.jobs.run_indexed(place.namespace, pods, &told).await;
                parts.map_err(|failure| (verdict(&failure), failure.to_string()))
            };
            let processes = usize::try_from(pods.parallelism).unwrap_or(usize::MAX);
            Box::pin(load::run_elsewhere(&load.spec, &load.targets, processes, parts)).await
        }
    };
    match place.reports.write_load(&load.place, &report).await {
        Ok(location) => result.report = Some(location),
        Err(error) => {
            tracing::warn!(%error, "the whole report of the load could not be written");
            result
                .message
                .push_str(&clip(&format!(" (the whole report is lost: {error})"), EVIDENCE_MAX_CHARS));
        }
    }
    result
}

/// A part that was ended for the application's sake, or for legacy's, says nothing of the candidate; else it could not be put on.
fn verdict(failure: &JobFailure) -> Verdict {
    if matches!(failure, JobFailure::EndedEarly { .. }) { Verdict::Inconclusive } else { Verdict::Error }
}

fn keyed(
    key: &dyn Fn(&str, &str) -> String,
    stage: &str,
    answers: Vec<CheckReport>,
) -> Vec<(String, CheckReport)> {
    answers.into_iter().map(|answer| (key(stage, &answer.name), answer)).collect()
}

/// Writes the whole answers down, and brings what of them goes into the status.
async fn publish(reports: &Reports, answers: Vec<(String, CheckReport)>) -> Vec<CheckResult> {
    let written = reports.write(&answers).await;
    if let Err(error) = &written {
        tracing::warn!(%error, "the whole reports of the checks could not be written");
    }
    let result = |(key, answer): &(String, CheckReport)| {
        let mut result = bounded(answer.result());
        match &written {
            Ok(()) => result.report = Some(reports.location(key)),
            Err(_) if answer.findings.is_empty() => {}
            Err(error) => result
                .message
                .push_str(&clip(&format!(" (the whole report is lost: {error})"), EVIDENCE_MAX_CHARS)),
        }
        result
    };
    answers.iter().map(result).collect()
}

/// All evidence of a rollout must fit into its status.
fn bounded(mut answer: CheckResult) -> CheckResult {
    let texts = [&mut answer.measured, &mut answer.expected, &mut answer.baseline];
    for text in texts.into_iter().flatten().chain([&mut answer.message]) {
        *text = clip(text, EVIDENCE_MAX_CHARS);
    }
    answer
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
