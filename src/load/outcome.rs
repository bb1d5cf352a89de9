//! What a load came to: the verdict, the figures for the status, and the whole report.
//!
//! Decides which side is judged (the candidate, and legacy where it is alone) and brings the parts together. Never measures.

use std::time::Duration;

use super::{
    LoadOutcome, LoadSpec,
    conclude::{Parts, conclude, cut_short},
    duet::{self, Arm, Comparison, Look, Metric},
    measure::Tally,
    report,
    report::{class_name, describe, noise, of_standing},
    taken::{LaneTaken, Stop, Taken},
    verdict::{self, Breakdown, ErrorLimit, Limits, Measured, Purpose},
};
use crate::{
    api::{LoadComparison, LoadResult, Verdict},
    text::clip,
};

/// Most comparisons in a status.
const COMPARISONS_MAX: usize = 8;
/// Longest message in a status; the report has all of it.
const MESSAGE_MAX_CHARS: usize = 600;

/// What was taken down, judged.
pub(super) fn outcome(spec: &LoadSpec, taken: &Taken) -> LoadOutcome {
    let comparisons = comparisons(spec, taken);
    let (verdict, message) = judge(spec, taken, &comparisons);
    let noise_shared = taken.look.as_ref().and_then(Look::noise_shared);
    let report = report::LoadReport {
        verdict,
        message: message.clone(),
        noise_shared,
        noise: taken.look.as_ref().and_then(|look| noise(look.noise)),
        ..describe(spec, taken, &comparisons)
    };
    let result = LoadResult {
        verdict,
        message: clip(&message, MESSAGE_MAX_CHARS),
        comparison: worst(&comparisons, taken),
        noise_shared,
        via: taken.via,
        ..figures(judged(taken))
    };
    let throughput_milli = count(throughput_milli(judged(taken), taken.elapsed));
    LoadOutcome { result: LoadResult { throughput_milli, ..result }, report }
}

/// The side that the verdict is about.
fn judged(taken: &Taken) -> Option<&LaneTaken> {
    taken.lane(Arm::Candidate).or_else(|| taken.lane(Arm::Legacy))
}

/// Those of the look that decided, else those of everything there is.
fn comparisons(spec: &LoadSpec, taken: &Taken) -> Vec<Comparison> {
    match &taken.look {
        Some(look) if look.comparisons.is_empty() => {
            duet::compare(&taken.recording, look.seconds, &spec.rules())
        }
        Some(look) => look.comparisons.clone(),
        None => Vec::new(),
    }
}

fn judge(spec: &LoadSpec, taken: &Taken, comparisons: &[Comparison]) -> (Verdict, String) {
    let is_duet = taken.lanes.len() > 1;
    let Some(lane) = judged(taken) else { return (Verdict::Error, "nothing was loaded".to_owned()) };
    let limits = Limits {
        purpose: match (spec.is_baseline, is_duet) {
            (true, _) => Purpose::Measurement,
            (false, true) => Purpose::Duet,
            (false, false) => Purpose::Alone,
        },
        latency: spec.max_latency,
        errors: spec.max_error,
        min_throughput: spec.min_throughput,
    };
    let seen = measured(lane, taken);
    let (limits, all) = (verdict::judge(&seen, &limits), limits);
    if let (Some(Stop::TooSlow(why)), Verdict::Fail) = (&taken.stop, limits.0) {
        return (Verdict::Fail, format!("{why}; {}", limits.1));
    }
    if let Some((verdict, message)) = taken.stop.as_ref().and_then(|stop| cut_short(stop, is_duet)) {
        // What ends a load in its warm-up leaves nothing to sum up.
        let told = if lane.scheduled > 0 { format!("{message}; {}", limits.1) } else { message };
        return (verdict, told);
    }
    if !is_duet {
        return limits;
    }
    let lag = |arm| taken.lane(arm).and_then(|lane| lane.tally.lag.percentile_us(50, 0)).unwrap_or(0);
    let legacy = taken.lane(Arm::Legacy);
    conclude(&Parts {
        limits,
        latency_limits: spec.max_latency,
        look: taken.look.as_ref(),
        plain: if let Some(Stop::Plain(fault)) = &taken.stop { Some(fault.as_str()) } else { None },
        comparisons,
        lags_us: [lag(Arm::Legacy), lag(Arm::Candidate)],
        p50_us: legacy.and_then(|lane| lane.tally.latency.percentile_us(50, lane.tally.errors)),
        starved: verdict::starved(&seen),
        legacy_fails: legacy
            .and_then(|lane| verdict::too_many_failed(&measured(lane, taken), spec.max_error))
            .filter(|_| keeps_other_limits(lane, taken, &all))
            .map(|told| format!("legacy, too: {told}")),
    })
}

/// Whether nothing but failures breaks a limit: by the statements that were answered, or ran into their timeout. What failed is
/// missing in the throughput, too.
fn keeps_other_limits(lane: &LaneTaken, taken: &Taken, limits: &Limits) -> bool {
    let answered = Measured { errors: 0, ..measured_beside(lane, taken, 0) };
    verdict::judge(&answered, &Limits { errors: ErrorLimit::ALL, min_throughput: None, ..*limits }).0
        != Verdict::Fail
}

/// What was in flight when the load had failed for something else, and was given up on, is no error of the server.
fn errors(tally: &Tally) -> u64 {
    tally.errors - tally.given_up()
}

fn measured(lane: &LaneTaken, taken: &Taken) -> Measured {
    measured_beside(lane, taken, lane.tally.errors)
}

/// With percentiles in which so many failures rank as slower than every answer.
fn measured_beside(lane: &LaneTaken, taken: &Taken, failed: u64) -> Measured {
    let tally = &lane.tally;
    let breakdown = match &taken.stop {
        Some(Stop::GrossFault(arm)) if *arm == lane.arm => Some(Breakdown::GrossFault),
        Some(Stop::Backlog(arm)) if *arm == lane.arm => Some(Breakdown::Backlog),
        Some(Stop::Stalled(arm)) if *arm == lane.arm => Some(Breakdown::Stalled),
        _ => None,
    };
    Measured {
        scheduled: lane.scheduled,
        ok: tally.ok,
        errors: errors(tally),
        timeouts: tally.timeouts,
        skipped: lane.skipped,
        p50_us: tally.latency.percentile_us(50, failed),
        p95_us: tally.latency.percentile_us(95, failed),
        p99_us: tally.latency.percentile_us(99, failed),
        on_time_us: [50, 95, 99].map(|percent| tally.on_time.percentile_us(percent, failed)),
        service_p95_us: tally.service.percentile_us(95, failed),
        lag_p50_us: tally.lag.percentile_us(50, 0).unwrap_or(0),
        longest_lag_us: u64::try_from(taken.longest_lag.as_micros()).unwrap_or(u64::MAX),
        busy_permille: taken.busy_permille,
        breakdown,
        is_cut_short: taken.stop.is_some() && breakdown.is_none(),
        throughput_milli: throughput_milli(Some(lane), taken.elapsed),
        sent_milli: per_second_milli(lane.scheduled, taken.elapsed),
    }
}

/// Answers per second, in thousandths. What was still answered after the schedule counts for nothing, and neither does the time
/// that it took: one slow call at the end is no lack of throughput.
fn throughput_milli(lane: Option<&LaneTaken>, elapsed: Duration) -> u64 {
    per_second_milli(lane.map_or(0, |lane| lane.tally.ok - lane.tally.drained), elapsed)
}

fn per_second_milli(count: u64, elapsed: Duration) -> u64 {
    u64::try_from(u128::from(count) * 1_000_000_000 / elapsed.as_micros().max(1)).unwrap_or(u64::MAX)
}

fn figures(lane: Option<&LaneTaken>) -> LoadResult {
    let Some(lane) = lane else { return LoadResult::default() };
    let tally = &lane.tally;
    let told = report::percentiles(&tally.latency, tally.errors);
    LoadResult {
        scheduled: count(lane.scheduled),
        ok: count(tally.ok),
        errors: count(tally.errors),
        timeouts: count(tally.timeouts),
        skipped: count(lane.skipped),
        p50_us: told.p50_us.map(count),
        p95_us: told.p95_us.map(count),
        p99_us: told.p99_us.map(count),
        max_us: count(told.max_us),
        error_classes: tally.error_classes(),
        ..LoadResult::default()
    }
}

/// The first of what is sorted by how bad it is.
fn worst(comparisons: &[Comparison], taken: &Taken) -> Vec<LoadComparison> {
    let told = comparisons.iter().filter_map(|comparison| {
        let (Metric::Latency(percentile), Some(latency)) = (comparison.metric, comparison.latency) else {
            return None;
        };
        Some(LoadComparison {
            class: class_name(comparison, taken),
            percentile: Metric::Latency(percentile).name().to_owned(),
            ratio_permille: permille(latency.ratio),
            low_permille: latency.low.map(permille),
            high_permille: latency.high.map(permille),
            verdict: of_standing(comparison.standing),
        })
    });
    told.take(COMPARISONS_MAX).collect()
}

#[allow(clippy::cast_possible_truncation, reason = "a ratio of latencies is below 6e7; the cast saturates")]
fn permille(ratio: f64) -> i64 {
    (ratio * 1_000.0).round() as i64
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::measure::{GIVEN_UP, Outcome, Times};

    const TIMES: Times = Times {
        latency: Duration::from_millis(1),
        service: Duration::from_millis(1),
        lag: Duration::ZERO,
        is_drained: false,
    };

    #[test]
    fn what_was_given_up_on_is_no_error_of_the_server() {
        let mut tally = Tally::new().unwrap();
        for label in ["42P01", GIVEN_UP, GIVEN_UP] {
            tally.record(Outcome::Error(label.to_owned()), TIMES, Duration::ZERO);
        }
        assert_eq!((tally.errors, errors(&tally)), (3, 1));
    }

    #[test]
    fn one_slow_call_at_the_end_is_no_lack_of_throughput() {
        let times = |is_drained| Times { is_drained, ..TIMES };
        let mut tally = Tally::new().unwrap();
        (0..600).for_each(|_| tally.record(Outcome::Ok, times(false), Duration::ZERO));
        tally.record(Outcome::Ok, times(true), Duration::ZERO);
        let lane = LaneTaken { arm: Arm::Candidate, scheduled: 601, skipped: 0, tally };
        assert_eq!(throughput_milli(Some(&lane), Duration::from_secs(60)), 10_000);
    }
}
