//! What fails before the next look: a candidate that is plainly worse must not be measured for minutes.
//!
//! Two ways, and only towards `Fail`. Gross faults: the last seconds leave no doubt. And a bet on each block, at
//! every moment: the stake grows as long as the candidate is slower than its margin (Ville's inequality). A `Pass`
//! never comes early: the effect of a fixed delay is small while a machine is busy.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{
    compare::subject,
    evidence::{Arm, Evidence, Group, Percentile},
    failures,
    look::Metric,
    number,
    paired::Paired,
    rules::{FAIL_ALPHA_EARLY, FAIL_ALPHA_GROSS, Rules},
};

/// Latency: last seconds that are looked at. Every one must be above 1.5 times, and their mean above 1.3 times by
/// Student's test.
const GROSS_LATENCY_SECONDS: [usize; 2] = [5, 10];
const GROSS_RATIO_EACH: f64 = 1.5;
const GROSS_RATIO: f64 = 1.3;
/// Failures: last seconds that are looked at; every one must have some, and all more than this beyond legacy's
/// share.
const GROSS_FAILED_SECONDS: [usize; 2] = [3, 5];
const GROSS_FAILED: f64 = 0.02;
/// The chance of a false alarm, at any one second, is divided between the four windows.
const GROSS_ALPHA: f64 = FAIL_ALPHA_GROSS / 4.0;

/// What slows one of two machines for ten seconds is no fault of its database: where the ratio went up and down in
/// the seconds before with a spread above this, one that stays up is not yet gross.
const BEFORE_SECONDS: usize = 60;
const STEADY: f64 = 0.2;

/// The gross fault of the last seconds, if there is one.
pub(super) fn gross_fault(evidence: &impl Evidence, seconds: usize) -> Option<String> {
    gross_failures(evidence, seconds).or_else(|| gross_latency(evidence, seconds))
}

pub(super) fn gross_failures(evidence: &impl Evidence, seconds: usize) -> Option<String> {
    let window = |length: &usize| {
        let from = seconds.checked_sub(*length)?;
        let calls = |arm, from, to| evidence.calls(Group::All, arm, from, to);
        let (legacy, candidate) = (calls(Arm::Legacy, from, seconds), calls(Arm::Candidate, from, seconds));
        let is_steady = (from..seconds).all(|second| calls(Arm::Candidate, second, second + 1).failed > 0);
        let is_gross = is_steady && failures::p_more(candidate, legacy, GROSS_FAILED) < GROSS_ALPHA;
        is_gross.then(|| {
            format!(
                "gross fault: {} of the candidate's {} calls of the last {length} s failed, {} of legacy's {}",
                candidate.failed, candidate.ended, legacy.failed, legacy.ended
            )
        })
    };
    GROSS_FAILED_SECONDS.iter().find_map(window)
}

fn gross_latency(evidence: &impl Evidence, seconds: usize) -> Option<String> {
    let start = seconds.saturating_sub(GROSS_LATENCY_SECONDS[1]);
    let blocks = evidence.blocks(Group::All, 1, start, seconds);
    let median = Percentile::P50.index();
    let window = |length: &usize| {
        let last = blocks.get(blocks.len().checked_sub(*length)?..)?;
        let last: Vec<_> = last.iter().map(|block| block[median].difference()).collect();
        let (mean, spread) = spread(&last)?;
        let distance = (mean - GROSS_RATIO.ln()) * number(*length).sqrt() / spread.max(f64::MIN_POSITIVE);
        let student = StudentsT::new(0.0, 1.0, number(length - 1)).ok()?;
        let is_gross = last.iter().all(|d| *d > GROSS_RATIO_EACH.ln()) && student.sf(distance) < GROSS_ALPHA;
        is_gross.then(|| {
            let times = mean.exp();
            format!(
                "gross fault: p50 of the candidate was {times:.1} times legacy's through the last {length} s"
            )
        })
    };
    let fault = GROSS_LATENCY_SECONDS.iter().find_map(window)?;
    let before = evidence.blocks(Group::All, 1, start.saturating_sub(BEFORE_SECONDS), start);
    let before: Vec<_> = before.iter().map(|block| block[median].difference()).collect();
    let is_steady = before.len() < 3 || spread(&before).is_some_and(|(_, spread)| spread <= STEADY);
    is_steady.then_some(fault)
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
