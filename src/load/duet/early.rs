//! What fails before the next look: a candidate that is plainly worse must not be measured for minutes.
//!
//! Two ways, and only towards `Fail`. Gross faults: the last seconds leave no doubt. And a bet on each block, at
//! every moment: the stake grows as long as the candidate is slower than its margin (Ville's inequality). A `Pass`
//! never comes early: the effect of a fixed delay is small while a machine is busy.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{
    HALVES_PER_SECOND,
    compare::subject,
    evidence::{Arm, Evidence, Group, Pair, Percentile},
    failures,
    look::Metric,
    number,
    paired::Paired,
    rules::{FAIL_ALPHA_EARLY, FAIL_ALPHA_GROSS, Rules},
};

/// Latency: last seconds that are looked at. Every one must be above 1.5 times, wherever it may begin, and their mean above
/// 1.3 times by Student's test.
const GROSS_LATENCY_SECONDS: [usize; 3] = [4, 5, 10];
const LONGEST: usize = GROSS_LATENCY_SECONDS[2];
/// The first window is looked at every half second, and only for a ratio that has been this steady for so long, up to the
/// gap before it: what it did before then tells how far it strays by itself.
const CALM_SECONDS: usize = 8;
const CALM: f64 = 0.12;
const CALM_GAP: usize = 1;
const GROSS_RATIO_EACH: f64 = 1.5;
const GROSS_RATIO: f64 = 1.3;
/// Failures: last seconds that are looked at; every one must have some, and all more than this beyond legacy's
/// share.
const GROSS_FAILED_SECONDS: [usize; 2] = [3, 5];
const GROSS_FAILED: f64 = 0.02;
/// Windows of both.
const WINDOWS: f64 = 5.0;

/// What slows one of two machines for ten seconds is no fault of its database: where the ratio went up and down in
/// the seconds before with a spread above this, one that stays up is gross only if it is far beyond that.
const BEFORE_SECONDS: usize = 60;
const STEADY: f64 = 0.2;
const FAR_BEYOND: f64 = 6.0;

const HALVES: usize = HALVES_PER_SECOND as usize;

/// The chance of a false alarm at any one second, which is divided between the windows, and between the processes that each
/// look at their part of one schedule.
fn gross_alpha(processes: u32) -> f64 {
    FAIL_ALPHA_GROSS / WINDOWS / f64::from(processes.max(1))
}

/// The gross fault of the last half seconds, if there is one, as one of so many processes sees it.
pub(super) fn gross_fault(evidence: &impl Evidence, halves: usize, processes: u32) -> Option<String> {
    let alpha = gross_alpha(processes);
    if halves.is_multiple_of(HALVES) {
        gross_failures(evidence, halves / HALVES, processes)
            .or_else(|| gross_latency(evidence, halves, &GROSS_LATENCY_SECONDS, alpha))
    } else {
        gross_latency(evidence, halves, &GROSS_LATENCY_SECONDS[..1], alpha)
    }
}

/// More failures than legacy has, in the last of so many seconds.
pub(super) fn gross_failures(evidence: &impl Evidence, seconds: usize, processes: u32) -> Option<String> {
    steadily_failing(evidence, Arm::Candidate, seconds, |from| {
        let calls = |arm| evidence.calls(Group::All, arm, from, seconds);
        let (legacy, candidate) = (calls(Arm::Legacy), calls(Arm::Candidate));
        let is_gross = failures::p_more(candidate, legacy, GROSS_FAILED) < gross_alpha(processes);
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
pub(super) fn gross_failures_alone(
    evidence: &impl Evidence,
    arm: Arm,
    seconds: usize,
    allowed: f64,
    processes: u32,
) -> Option<String> {
    steadily_failing(evidence, arm, seconds, |from| {
        let calls = evidence.calls(Group::All, arm, from, seconds);
        let is_gross = failures::p_as_many(calls, allowed + GROSS_FAILED) < gross_alpha(processes);
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
    let windows = GROSS_FAILED_SECONDS.iter().filter_map(|length| seconds.checked_sub(*length));
    windows.filter(|from| (*from..seconds).all(fails)).find_map(judge)
}

fn gross_latency(evidence: &impl Evidence, halves: usize, windows: &[usize], alpha: f64) -> Option<String> {
    let differences = |range| evidence.halves(range).into_iter().map(Pair::difference).collect::<Vec<_>>();
    // At a low rate many a half second has no call on one side.
    let recent = differences(halves.saturating_sub(2 * LONGEST * HALVES)..halves);
    let last = |seconds: &usize| recent.get(recent.len().checked_sub(seconds * HALVES)?..);
    let slow: Vec<_> = windows.iter().filter_map(last).filter(|last| is_slow(last)).collect();
    if slow.is_empty() {
        return None;
    }
    slow.into_iter().map(by_second).find_map(|last| {
        let (times, length) =
            (gross_mean(&before(evidence, halves, last.len()), &last, alpha)?.exp(), last.len());
        Some(format!(
            "gross fault: p50 of the candidate was {times:.1} times legacy's through the last {length} s"
        ))
    })
}

/// The seconds before a window of that length, at that moment; not those shortly before it, in which what it shows may have
/// begun. For the first window the warm-up counts, too: the others do without, and must not be hindered by its noise.
fn before(evidence: &impl Evidence, halves: usize, seconds: usize) -> Vec<f64> {
    let is_first = seconds == GROSS_LATENCY_SECONDS[0];
    let back = HALVES * if is_first { seconds + CALM_GAP } else { LONGEST };
    let end = halves.saturating_sub(back);
    let measured = evidence.halves(end.saturating_sub(BEFORE_SECONDS * HALVES)..end);
    let warm_up = if is_first { evidence.warm_up() } else { &[] };
    let warm_up = &warm_up[..warm_up.len().saturating_sub(back.saturating_sub(halves))];
    let wanted = (BEFORE_SECONDS * HALVES).saturating_sub(measured.len());
    let warm_up = &warm_up[warm_up.len().saturating_sub(wanted)..];
    by_second(&warm_up.iter().chain(&measured).map(|pair| pair.difference()).collect::<Vec<_>>())
}

/// Whether every second of it was, wherever it may begin.
fn is_slow(last: &[f64]) -> bool {
    last.windows(2).all(|second| f64::midpoint(second[0], second[1]) > GROSS_RATIO_EACH.ln())
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
    let (spread, freedom, alpha) = if last.len() > GROSS_LATENCY_SECONDS[0] {
        (own_spread, own, alpha)
    } else if is_watched && before_spread <= CALM {
        let other = number(before.len() - 1);
        let pooled = (own * own_spread.powi(2) + other * before_spread.powi(2)) / (own + other);
        // It is looked at twice in a second.
        (pooled.sqrt(), own + other, alpha / 2.0)
    } else {
        return None;
    };
    let distance = (mean - GROSS_RATIO.ln()) * number(last.len()).sqrt() / spread.max(f64::MIN_POSITIVE);
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

/// What the bets found to be worse than its margin.
pub(super) struct Bet {
    group: Group,
    percentile: Percentile,
    won: usize,
    blocks: usize,
    block_seconds: usize,
}

impl Bet {
    pub(super) fn told(&self, classes: &[String], rules: &Rules) -> String {
        format!(
            "{} was more than {:.0} % above legacy's in {} of {} blocks of {} s: no need to wait for the next look",
            subject(classes, self.group, Metric::Latency(self.percentile)),
            rules.margin(self.percentile).fail * 100.0,
            self.won,
            self.blocks,
            self.block_seconds,
        )
    }
}

/// What is worse than its margin, if all stakes together have grown enough.
pub(super) fn betting(paired: &[Paired], rules: &Rules) -> Option<Bet> {
    let stakes: Vec<_> = paired.iter().map(|paired| (paired, paired.part * stake(paired, rules))).collect();
    if stakes.iter().map(|(_, stake)| stake).sum::<f64>() < 1.0 / FAIL_ALPHA_EARLY {
        return None;
    }
    let (worst, _) = stakes.into_iter().max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let blocks = worst.blocks.as_ref().ok()?;
    Some(Bet {
        group: worst.group,
        percentile: worst.percentile,
        won: won(worst, rules),
        blocks: blocks.differences.len(),
        block_seconds: blocks.seconds,
    })
}

/// Blocks in which the candidate was worse than its margin.
fn won(paired: &Paired, rules: &Rules) -> usize {
    let margin = rules.margin(paired.percentile).fail.ln_1p();
    paired.blocks.iter().flat_map(|blocks| &blocks.differences).filter(|d| **d > margin).count()
}

/// What a stake of one has become: a bet on every block that the candidate is worse than its margin, the mean over
/// several sizes of the bet. If it is not worse, the stake does not grow on average.
fn stake(paired: &Paired, rules: &Rules) -> f64 {
    let Ok(blocks) = &paired.blocks else { return 0.0 };
    let won = number(won(paired, rules));
    let lost = number(blocks.differences.len()) - won;
    let bets = (1..=9).map(|tenths| {
        let bet = f64::from(tenths) / 10.0;
        (won * bet.ln_1p() + lost * (-bet).ln_1p()).exp()
    });
    bets.sum::<f64>() / 9.0
}
