//! The verdict at a moment of the duet.
//!
//! `Fail` is looked at first: gross faults every second, bets every few, all comparisons at the fixed looks. `Pass` needs
//! every comparison that can be judged, the median and the failures of all statements among them, and the median of every class.
//! When the time is over and it is neither, it is `Inconclusive`, and says what is missing. Pure.

use std::time::Duration;

use super::{
    compare, early,
    evidence::{Evidence, Percentile},
    look::{Comparison, Look, LookVerdict, Metric, Standing},
    noise::Noise,
    paired::{Paired, groups, pair},
    recording::Recording,
    rules::Rules,
};

/// Seconds before the first bet is counted.
const FIRST_BETS: u32 = 15;

/// Looks at the first `elapsed` of `recording`, of which every call has ended. To be asked once for every whole second: a look
/// at a fixed time is taken in its second, the last however late.
#[must_use]
pub fn decide(recording: &Recording, elapsed: Duration, rules: &Rules) -> Look {
    judge(recording, u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX), rules)
}

pub(super) fn judge(evidence: &impl Evidence, elapsed_seconds: u32, rules: &Rules) -> Look {
    let seconds = usize::try_from(elapsed_seconds).unwrap_or(usize::MAX);
    let look = rules.look_at(elapsed_seconds);
    let mut found = Look {
        verdict: LookVerdict::Continue,
        reason: "the next look has not come yet".to_owned(),
        seconds: elapsed_seconds,
        comparisons: Vec::new(),
        noise: Noise::default(),
        alpha_spent: rules.alpha_spent(elapsed_seconds),
    };
    if let Some(fault) = early::gross_fault(evidence, seconds) {
        (found.verdict, found.reason) = (LookVerdict::Fail, fault);
        return found;
    }
    if look.is_none() && !is_bet_counted(elapsed_seconds) {
        return found;
    }
    let (noise, paired) = pair(evidence, seconds);
    found.noise = noise;
    if let Some((look, is_last)) = look {
        found.comparisons = compare_all(evidence, &paired, seconds, look, rules);
        (found.verdict, found.reason) = conclude(&found.comparisons, &noise, is_last);
    }
    if matches!(found.verdict, LookVerdict::Continue | LookVerdict::Inconclusive)
        && let Some(reason) = bet(evidence, &paired, rules)
    {
        (found.verdict, found.reason) = (LookVerdict::Fail, reason);
    }
    found
}

/// Less often the longer it takes: each count goes through everything recorded.
fn is_bet_counted(elapsed_seconds: u32) -> bool {
    let every = match elapsed_seconds {
        0..=60 => 5,
        61..=240 => 15,
        _ => 60,
    };
    elapsed_seconds >= FIRST_BETS && elapsed_seconds.is_multiple_of(every)
}

fn bet(evidence: &impl Evidence, paired: &[Paired], rules: &Rules) -> Option<String> {
    let (worst, won) = early::betting(paired, rules)?;
    let subject = compare::subject(evidence.classes(), worst.group, Metric::Latency(worst.percentile));
    let margin = rules.margin(worst.percentile).fail * 100.0;
    Some(format!("{subject} was above legacy's by more than {margin:.0} % in {won}: no need to wait for the next look"))
}

fn compare_all(
    evidence: &impl Evidence,
    paired: &[Paired],
    seconds: usize,
    look: usize,
    rules: &Rules,
) -> Vec<Comparison> {
    let latencies = paired.iter().map(|paired| compare::latency(paired, look, rules, evidence.classes()));
    let groups = groups(evidence.classes().len());
    let failures = groups.into_iter().map(|group| compare::failures(evidence, group, seconds, look, rules));
    let mut all: Vec<_> = latencies.chain(failures).collect();
    all.sort_by_key(|comparison| match comparison.standing {
        Standing::Worse => 0,
        Standing::Open => 1,
        Standing::TooFew => 2,
        Standing::NotWorse => 3,
    });
    all
}

fn conclude(comparisons: &[Comparison], noise: &Noise, is_last: bool) -> (LookVerdict, String) {
    let reasons = |wanted: fn(&Comparison) -> bool| {
        let reasons = comparisons.iter().filter(|comparison| wanted(comparison)).map(|c| c.reason.as_str());
        reasons.collect::<Vec<_>>().join("; ")
    };
    let worse = reasons(|comparison| comparison.standing == Standing::Worse);
    if !worse.is_empty() {
        return (LookVerdict::Fail, worse);
    }
    let open = reasons(is_hindrance);
    if open.is_empty() {
        let judged = comparisons.iter().filter(|comparison| comparison.standing == Standing::NotWorse).count();
        return (LookVerdict::Pass, format!("not worse than legacy in {judged} comparisons"));
    }
    if !is_last {
        return (LookVerdict::Continue, open);
    }
    let advice = match noise.is_shared() {
        Some(false) => {
            "the servers do not share their noise, so a ratio needs 10 to 30 minutes, and the absolute limits carry the gate"
        }
        _ => "a longer duration or a higher rate would tell more",
    };
    (LookVerdict::Inconclusive, format!("{open}; {advice}"))
}

/// Whether it stands in the way of a `Pass`.
fn is_hindrance(comparison: &Comparison) -> bool {
    match comparison.standing {
        Standing::Open => true,
        // Of what there is too little of, only the medians must be there, and the failures of all.
        Standing::TooFew => match comparison.metric {
            Metric::Latency(percentile) => percentile == Percentile::P50,
            Metric::Failed => comparison.class.is_none(),
        },
        Standing::Worse | Standing::NotWorse => false,
    }
}
