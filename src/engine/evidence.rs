//! What loads measured, in the light of each other: a limit beside what legacy had, the candidate at the end beside the
//! baseline, and whether a duet's servers felt the same noise.
//!
//! Decides words, and one warning. A comparison of two runs at different times never fails anything: on servers that are
//! alike it is wrong in 16 to 65 % of trials. What fails a rollout is a load's own verdict.

use crate::{
    api::{LoadResult, Recorded, StagePhase, Verdict},
    load::LatencyLimitsUs,
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
    let broken = of_each(limits, result, baseline)
        .filter(|(_, limit, measured, _)| measured > limit)
        .map(|(name, _, _, legacy)| format!("{name} {}", shown(legacy)));
    let broken: Vec<String> = broken.collect();
    if broken.is_empty() {
        return String::new();
    }
    format!("; the baseline on legacy had {}", broken.join(", "))
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
                .filter(|(_, limit, _, legacy)| legacy > limit)
                .map(|(name, limit, _, legacy)| {
                    format!("{name} {}, and legacy itself had {}", shown(limit), shown(legacy))
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

/// The name, the limit, what `result` measured and what `baseline` did, of each percentile with a limit.
fn of_each(
    limits: LatencyLimitsUs,
    result: &LoadResult,
    baseline: &LoadResult,
) -> impl Iterator<Item = (&'static str, i64, i64, i64)> {
    [
        ("p50", limits.p50, result.p50_us, baseline.p50_us),
        ("p95", limits.p95, result.p95_us, baseline.p95_us),
        ("p99", limits.p99, result.p99_us, baseline.p99_us),
    ]
    .into_iter()
    .filter_map(|(name, limit, measured, legacy)| {
        Some((name, i64::try_from(limit?).unwrap_or(i64::MAX), measured, legacy))
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
    let latencies = percentiles(load).into_iter().zip(percentiles(baseline)).zip(FORGIVEN_PERCENT);
    let mut worse: Vec<&str> = latencies
        .filter(|((now, before), (_, percent))| now * 100 > before * (100 + percent))
        .map(|(_, (name, _))| name)
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
        .map(|((now, before), (name, _))| format!("{name} {} / {}", shown(now), shown(before)))
        .collect();
    let share = |load| failed_share(load);
    let percent = |share: i64| format!("{}.{:03}", share / 1000, share % 1000);
    told.push(format!("failed {} % / {} %", percent(share(load)), percent(share(baseline))));
    let rate = |load: &LoadResult| load.throughput_milli / 1000;
    told.push(format!("answered {}/s / {}/s", rate(load), rate(baseline)));
    told.join(", ")
}

fn percentiles(load: &LoadResult) -> [i64; 3] {
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
