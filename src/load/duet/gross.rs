//! Gross faults: the last seconds leave no doubt. Looked for every half second, and only towards `Fail`: a candidate that is
//! plainly worse must not be measured for minutes.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{
    HALVES_PER_SECOND,
    evidence::{Arm, Evidence, Group, Pair},
    failures, number,
    rules::FAIL_ALPHA_GROSS,
};

/// Latency: last seconds that are looked at. Every one must be above 1.5 times, wherever it may begin, and their mean above
/// 1.3 times by Student's test.
const LATENCY_SECONDS: [usize; 3] = [4, 5, 10];
const LONGEST: usize = LATENCY_SECONDS[2];
/// The first window is looked at every half second, and only for a ratio that has been this steady for so long, up to the
/// gap before it: what it did before then tells how far it strays by itself.
const CALM_SECONDS: usize = 8;
const CALM: f64 = 0.12;
const CALM_GAP: usize = 1;
const RATIO_EACH: f64 = 1.5;
const RATIO: f64 = 1.3;
/// Failures: last seconds that are looked at; every one must have some, and all more than this beyond legacy's
/// share.
const FAILED_SECONDS: [usize; 2] = [3, 5];
const FAILED_BEYOND: f64 = 0.02;
/// Windows of both.
const WINDOWS: f64 = 5.0;

/// What slows one of two machines for ten seconds is no fault of its database: where the ratio went up and down in
/// the seconds before with a spread above this, one that stays up is gross only if it is far beyond that.
const BEFORE_SECONDS: usize = 60;
const STEADY: f64 = 0.2;
const FAR_BEYOND: f64 = 6.0;
/// Where legacy's own p50 has become this many times what it was at the load's beginning, both stand in a queue that may be of any
/// length: that the candidate's is longer says nothing of its database, unless it is longer by more than legacy's has become.
const QUEUE_TIMES: f64 = 3.0;

const HALVES: usize = HALVES_PER_SECOND as usize;

/// The chance of a false alarm at any one second, which is divided between the windows, and between the processes that each
/// look at their part of one schedule.
fn alpha(processes: u32) -> f64 {
    FAIL_ALPHA_GROSS / WINDOWS / f64::from(processes.max(1))
}

/// The gross fault of the last half seconds, if there is one, as one of so many processes sees it.
pub(super) fn fault(evidence: &impl Evidence, halves: usize, processes: u32) -> Option<String> {
    let alpha = alpha(processes);
    if halves.is_multiple_of(HALVES) {
        more_failures(evidence, halves / HALVES, processes)
            .or_else(|| slower(evidence, halves, &LATENCY_SECONDS, alpha))
    } else {
        slower(evidence, halves, &LATENCY_SECONDS[..1], alpha)
    }
}

/// More failures than legacy has, in the last of so many seconds.
pub(super) fn more_failures(evidence: &impl Evidence, seconds: usize, processes: u32) -> Option<String> {
    steadily_failing(evidence, Arm::Candidate, seconds, |from| {
        let calls = |arm| evidence.calls(Group::All, arm, from, seconds);
        let (legacy, candidate) = (calls(Arm::Legacy), calls(Arm::Candidate));
        let is_gross = failures::p_more(candidate, legacy, FAILED_BEYOND) < alpha(processes);
        is_gross.then(|| {
            format!(
                "gross fault: {} of the candidate's {} calls of the last {} s failed, {} of legacy's {}",
                candidate.failed,
                candidate.ended,
                seconds - from,
                legacy.failed,
                legacy.ended
            )
        })
    })
}

/// More failures of one server alone than `allowed`, a share, in the last of so many seconds.
pub(super) fn failures_alone(
    evidence: &impl Evidence,
    arm: Arm,
    seconds: usize,
    allowed: f64,
    processes: u32,
) -> Option<String> {
    steadily_failing(evidence, arm, seconds, |from| {
        let calls = evidence.calls(Group::All, arm, from, seconds);
        let is_gross = failures::p_as_many(calls, allowed + FAILED_BEYOND) < alpha(processes);
        let length = seconds - from;
        is_gross.then(|| {
            format!("gross fault: {} of {} calls of the last {length} s failed", calls.failed, calls.ended)
        })
    })
}

/// What `judge` finds in a window, of those whose every second has a failure; it is given the window's beginning.
fn steadily_failing(
    evidence: &impl Evidence,
    arm: Arm,
    seconds: usize,
    judge: impl Fn(usize) -> Option<String>,
) -> Option<String> {
    let fails = |second| evidence.calls(Group::All, arm, second, second + 1).failed > 0;
    let windows = FAILED_SECONDS.iter().filter_map(|length| seconds.checked_sub(*length));
    windows.filter(|from| (*from..seconds).all(fails)).find_map(judge)
}

fn slower(evidence: &impl Evidence, halves: usize, windows: &[usize], alpha: f64) -> Option<String> {
    // At a low rate many a half second has no call on one side.
    let recent = evidence.halves(halves.saturating_sub(2 * LONGEST * HALVES)..halves);
    let last = |seconds: &usize| recent.get(recent.len().checked_sub(seconds * HALVES)?..);
    windows.iter().filter_map(last).find_map(|last| {
        let differences: Vec<_> = last.iter().map(|pair| pair.difference()).collect();
        if !is_slow(&differences) {
            return None;
        }
        let (by_second, length) = (by_second(&differences), last.len() / HALVES);
        let mean = gross_mean(&differences_before(evidence, halves, length), &by_second, alpha)?;
        let times = mean.exp();
        (!is_queue(evidence, halves, last, mean)).then(|| {
            format!(
                "gross fault: p50 of the candidate was {times:.1} times legacy's through the last {length} s"
            )
        })
    })
}

/// Whether both stand in a queue in these last half seconds, and the candidate is slower by no more than legacy has become. Held
/// against the faster quarter of the warm-up, or of the first minute if that was faster: a queue that lasts is not to be taken for
/// what legacy does.
fn is_queue(evidence: &impl Evidence, halves: usize, last: &[Pair], difference: f64) -> bool {
    let end = halves.saturating_sub(last.len() + CALM_GAP * HALVES);
    let first = evidence.halves(0..end.min(BEFORE_SECONDS * HALVES));
    let quicker = [quantile(evidence.warm_up(), 4), quantile(&first, 4)].into_iter().flatten();
    let rise = quicker.min_by(f64::total_cmp).zip(quantile(last, 2)).map(|(before, now)| now - before);
    rise.is_some_and(|rise| rise > QUEUE_TIMES.ln() && difference <= rise)
}

/// Legacy's, above one of so many parts of them.
fn quantile(pairs: &[Pair], parts: usize) -> Option<f64> {
    let mut legacy: Vec<_> = pairs.iter().map(|pair| pair.legacy).collect();
    legacy.sort_unstable_by(f64::total_cmp);
    legacy.get(legacy.len() / parts).copied()
}

/// The seconds before a window of that length, at that moment; not those shortly before it, in which what it shows may have
/// begun. For the first window the warm-up counts, too: the others do without, and must not be hindered by its noise.
fn differences_before(evidence: &impl Evidence, halves: usize, seconds: usize) -> Vec<f64> {
    let is_first = seconds == LATENCY_SECONDS[0];
    let back = HALVES * if is_first { seconds + CALM_GAP } else { LONGEST };
    let (end, longest) = (halves.saturating_sub(back), BEFORE_SECONDS * HALVES);
    let measured = evidence.halves(end.saturating_sub(longest)..end);
    let warm_up = if is_first { evidence.warm_up() } else { &[] };
    let warm_up = &warm_up[..warm_up.len().saturating_sub(back.saturating_sub(halves))];
    let warm_up = &warm_up[warm_up.len().saturating_sub(longest.saturating_sub(end))..];
    by_second(&warm_up.iter().chain(&measured).map(|pair| pair.difference()).collect::<Vec<_>>())
}

/// Whether every second of it was, wherever it may begin.
fn is_slow(last: &[f64]) -> bool {
    last.windows(2).all(|second| f64::midpoint(second[0], second[1]) > RATIO_EACH.ln())
}

/// The mean of the last seconds' differences, if it is gross beside those before.
fn gross_mean(before: &[f64], last: &[f64], alpha: f64) -> Option<f64> {
    let (mean, own_spread) = spread(last)?;
    let (before_mean, before_spread) = spread(before).filter(|_| before.len() > 2).unwrap_or((0.0, 0.0));
    let is_watched = before.len() >= CALM_SECONDS;
    let is_far = is_watched && mean - before_mean > FAR_BEYOND * before_spread;
    if !(before_spread <= STEADY || is_far) {
        return None;
    }
    let own = number(last.len() - 1);
    let (spread, freedom, alpha) = if last.len() > LATENCY_SECONDS[0] {
        (own_spread, own, alpha)
    } else if is_watched && before_spread <= CALM {
        let other = number(before.len() - 1);
        let pooled = (own * own_spread.powi(2) + other * before_spread.powi(2)) / (own + other);
        // It is looked at twice in a second.
        (pooled.sqrt(), own + other, alpha / 2.0)
    } else {
        return None;
    };
    let distance = (mean - RATIO.ln()) * number(last.len()).sqrt() / spread.max(f64::MIN_POSITIVE);
    let student = StudentsT::new(0.0, 1.0, freedom).ok()?;
    (student.sf(distance) < alpha).then_some(mean)
}

/// The means of neighbouring halves, which are not independent of each other.
fn by_second(halves: &[f64]) -> Vec<f64> {
    halves.rchunks_exact(2).map(|second| f64::midpoint(second[0], second[1])).collect()
}

/// Mean and standard deviation; `None` of fewer than two.
fn spread(values: &[f64]) -> Option<(f64, f64)> {
    let n = number(values.len());
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (n > 1.0).then(|| (mean, variance.sqrt()))
}
