//! What loads measured, in the light of each other: a limit beside what legacy had, the candidate at the end beside the
//! baseline, and whether a duet's servers felt the same noise.
//!
//! Decides words, and one warning. A comparison of two runs at different times never fails anything: on servers that are
//! alike it is wrong in 16 to 65 % of trials. What fails a rollout is a load's own verdict.

use crate::{
    api::{LoadResult, Recorded, StagePhase, Verdict, Via},
    load::{LatencyLimitsUs, report::enough},
    plan::{Plan, PlannedStage},
    text::micros,
};

/// By how many percent a percentile, or a throughput, may be worse than the baseline's without a word: what a duet forgives.
const FORGIVEN_PERCENT: [(&str, i64); 3] = [("p50", 5), ("p95", 5), ("p99", 10)];
/// And how many more statements may fail, in thousandths of a percent of all.
const FORGIVEN_FAILURES: i64 = 100;

/// The baseline, where it is one of what the plan asks for.
pub(super) fn baseline<'a>(plan: &Plan, recorded: &'a Recorded) -> Option<&'a LoadResult> {
    let planned = plan.baseline.as_ref()?;
    recorded.baseline.as_ref().filter(|record| record.digest == planned.digest)?.result.as_ref()
}

/// What legacy had where the candidate broke a limit; empty where it broke none, or there is no baseline.
pub(super) fn beside_broken_limits(
    result: &LoadResult,
    limits: LatencyLimitsUs,
    baseline: Option<&LoadResult>,
) -> String {
    let Some(baseline) = baseline else { return String::new() };
    let samples = u64::try_from(result.ok + result.errors + result.timeouts).unwrap_or(0);
    // Of enough statements a percentile that there is none of failed, and is beyond any limit.
    let is_broken = |(percent, limit, measured, _): &Beside| {
        measured.map_or(enough(samples, *percent), |measured| measured > *limit)
    };
    let broken = of_each(limits, result, baseline)
        .filter(is_broken)
        .filter_map(|(percent, _, _, legacy)| Some(format!("p{percent} {}", shown(legacy?))));
    let broken: Vec<String> = broken.collect();
    if broken.is_empty() {
        return String::new();
    }
    let way = if result.via == baseline.via {
        String::new()
    } else {
        format!(", measured {}", baseline.via.told())
    };
    format!("; the baseline on legacy had {}{way}", broken.join(", "))
}

/// The limits that legacy itself does not keep, by stage, of stages that are not done.
pub(super) fn limits_below_baseline(plan: &Plan, recorded: &Recorded) -> Vec<(String, String)> {
    let Some(baseline) = baseline(plan, recorded) else { return Vec::new() };
    let is_done = |stage: &PlannedStage| {
        recorded.stages.iter().any(|r| r.name == stage.name && r.phase == StagePhase::Done)
    };
    let fields = |stage: &PlannedStage| {
        [("load", Some(stage.load_limits)), ("soak.load", stage.soak_load)]
            .into_iter()
            .filter_map(|(field, limits)| Some((field, limits?)))
            .collect::<Vec<_>>()
    };
    let mut found = Vec::new();
    for stage in plan.stages.iter().filter(|stage| !is_done(stage)) {
        for (field, limits) in fields(stage) {
            let below: Vec<String> = of_each(limits, baseline, baseline)
                .filter_map(|(percent, limit, legacy, _)| Some((percent, limit, legacy?)))
                .filter(|(_, limit, legacy)| legacy > limit)
                .map(|(percent, limit, legacy)| {
                    let way = match baseline.via {
                        Via::Direct => String::new(),
                        via => format!(" ({})", via.told()),
                    };
                    format!("p{percent} {}, and legacy itself had {}{way}", shown(limit), shown(legacy))
                })
                .collect();
            if !below.is_empty() {
                let message = format!(
                    "{field}.maxLatency of stage {} asks for what legacy does not keep either: {}",
                    stage.name,
                    below.join("; ")
                );
                found.push((stage.name.clone(), message));
            }
        }
    }
    found
}

/// A percentile in percent, its limit, what was measured, and what the baseline had.
type Beside = (u64, i64, Option<i64>, Option<i64>);

/// Of each percentile with a limit.
fn of_each(
    limits: LatencyLimitsUs,
    result: &LoadResult,
    baseline: &LoadResult,
) -> impl Iterator<Item = Beside> {
    [
        (50, limits.p50, result.p50_us, baseline.p50_us),
        (95, limits.p95, result.p95_us, baseline.p95_us),
        (99, limits.p99, result.p99_us, baseline.p99_us),
    ]
    .into_iter()
    .filter_map(|(percent, limit, measured, legacy)| {
        Some((percent, i64::try_from(limit?).unwrap_or(i64::MAX), measured, legacy))
    })
}

/// The candidate's measurement at the end, beside the baseline: one that passed is a warning where it is worse.
pub(super) fn beside_baseline(load: LoadResult, baseline: Option<&LoadResult>) -> LoadResult {
    let Some(baseline) = baseline.filter(|_| load.verdict == Verdict::Pass) else { return load };
    let worse = worse(&load, baseline);
    let both = side_by_side(&load, baseline);
    if worse.is_empty() {
        return LoadResult { message: format!("candidate / legacy in the baseline: {both}"), ..load };
    }
    let message = format!(
        "worse than legacy was in the baseline ({}): {both}. They were measured at different times, so this is no verdict",
        worse.join(", ")
    );
    LoadResult { verdict: Verdict::Warn, message, ..load }
}

fn worse(load: &LoadResult, baseline: &LoadResult) -> Vec<&'static str> {
    // What is between takes its time, which is not the candidate's.
    let comparable = if load.via == baseline.via { percentiles(load) } else { [None; 3] };
    let latencies = comparable.into_iter().zip(percentiles(baseline)).zip(FORGIVEN_PERCENT);
    let is_worse = |now: i64, before: i64, percent: i64| now * 100 > before * (100 + percent);
    let mut worse: Vec<&str> = latencies
        .filter_map(|((now, before), (name, percent))| is_worse(now?, before?, percent).then_some(name))
        .collect();
    if failed_share(load) > failed_share(baseline) + FORGIVEN_FAILURES {
        worse.push("failures");
    }
    if load.throughput_milli * 100 < baseline.throughput_milli * 95 {
        worse.push("throughput");
    }
    worse
}

fn side_by_side(load: &LoadResult, baseline: &LoadResult) -> String {
    let latencies = percentiles(load).into_iter().zip(percentiles(baseline)).zip(FORGIVEN_PERCENT);
    let mut told: Vec<String> = latencies
        .filter(|((now, before), _)| now.or(*before).is_some())
        .map(|((now, before), (name, _))| format!("{name} {} / {}", told(now), told(before)))
        .collect();
    let share = |load| failed_share(load);
    let percent = |share: i64| format!("{}.{:03}", share / 1000, share % 1000);
    told.push(format!("failed {} % / {} %", percent(share(load)), percent(share(baseline))));
    let rate = |load: &LoadResult| load.throughput_milli / 1000;
    told.push(format!("answered {}/s / {}/s", rate(load), rate(baseline)));
    if load.via != baseline.via {
        let (now, before) = (load.via.told(), baseline.via.told());
        told.push(format!(
            "measured {now} / {before}, which takes a time of its own, so the latencies are not compared"
        ));
    }
    told.join(", ")
}

fn told(us: Option<i64>) -> String {
    us.map_or_else(|| "untold".to_owned(), shown)
}

fn percentiles(load: &LoadResult) -> [Option<i64>; 3] {
    [load.p50_us, load.p95_us, load.p99_us]
}

/// Failures of all that were taken up, in thousandths of a percent.
fn failed_share(load: &LoadResult) -> i64 {
    let failed = load.errors + load.timeouts;
    failed * 100_000 / (load.ok + failed).max(1)
}

/// What follows from the noise of a duet.
pub(super) fn noise(is_shared: bool) -> &'static str {
    if is_shared {
        "legacy and candidate felt the same noise: a few minutes of load tell small differences"
    } else {
        "legacy and candidate do not feel the same noise: comparing them needs 10 to 30 minutes of load (load.maxDuration), and until then the absolute limits (load.maxLatency) carry the gate"
    }
}

/// The noise of the latest duet that could tell.
pub(super) fn latest_noise(recorded: &Recorded) -> Option<bool> {
    let loads = recorded.stages.iter().flat_map(|stage| [&stage.load, &stage.soak_load]).flatten();
    let told = loads.filter(|load| load.noise_shared.is_some());
    told.max_by_key(|load| load.finished_at.as_ref().map(|at| at.0))?.noise_shared
}

fn shown(us: i64) -> String {
    micros(u64::try_from(us).unwrap_or(0))
}

#[cfg(test)]
mod tests;
