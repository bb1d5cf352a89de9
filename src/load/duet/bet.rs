//! A bet on each block, at the looks and between them, and only towards `Fail`: the stake grows as long as the candidate is slower than
//! its margin (Ville's inequality). A `Pass` never comes early: the effect of a fixed delay is small while a machine is busy.

use super::{
    compare::subject,
    evidence::{Group, Percentile},
    look::Metric,
    number,
    paired::Paired,
    rules::{FAIL_ALPHA_BETS, Rules},
};

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
pub(super) fn worse(paired: &[Paired], rules: &Rules) -> Option<Bet> {
    let stakes: Vec<_> = paired.iter().map(|paired| (paired, paired.part * stake(paired, rules))).collect();
    if stakes.iter().map(|(_, stake)| stake).sum::<f64>() < 1.0 / FAIL_ALPHA_BETS {
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
