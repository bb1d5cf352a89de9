//! The verdict at a moment of the duet.
//!
//! `Fail` is looked at first: gross faults every half second, bets every few seconds, all comparisons at the fixed looks.
//! `Pass` needs every comparison that can be judged, the median and the failures of all statements among them, the
//! median of every class, no tail of all statements that strays too much to be judged, and no tail of any group that is worse
//! over the whole of it. When the time is over and it is neither, it is `Inconclusive`, and says what is missing. Pure.

use super::{
    HALVES_PER_SECOND,
    bet::{self, Bet},
    compare::{self, Counted},
    evidence::{Arm, Evidence, Group, Percentile, float},
    gross,
    look::{Comparison, Look, LookVerdict, Metric, Standing},
    noise::Noise,
    paired::{Paired, groups, pair},
    recording::Recording,
    rules::Rules,
};

/// Seconds before the first bet is counted.
const FIRST_BETS: u32 = 30;
/// Where calls are too few for blocks: how many must be beyond a percentile on each side for it to be told over the whole of it, and the
/// ratio up to which it passes.
const CALLS_BEYOND: f64 = 20.0;
const BEARABLE_TIMES: f64 = 2.0;

/// Looks at the first `halves` half seconds of `recording`, of which every call has ended. To be asked once for every one: a
/// look at a fixed time is taken in its second, the last however late.
#[must_use]
pub fn decide(recording: &Recording, halves: u32, rules: &Rules) -> Look {
    told(recording, halves / HALVES_PER_SECOND, rules, &judge(recording, halves, rules))
}

/// Whether the candidate failed plainly in the last of the first `seconds`, and how: for the warm-up, in which nothing else
/// is judged. Of several processes each sees a part of the schedule.
#[must_use]
pub fn gross_failures(recording: &Recording, seconds: u32, processes: u32) -> Option<String> {
    gross::more_failures(recording, index(seconds), processes)
}

/// Whether a server that is loaded alone failed plainly in the last of the first `seconds`, beyond the share of failures
/// that it is allowed, and how.
#[must_use]
pub fn gross_failures_alone(
    recording: &Recording,
    arm: Arm,
    seconds: u32,
    allowed: f64,
    processes: u32,
) -> Option<String> {
    gross::failures_alone(recording, arm, index(seconds), allowed, processes)
}

/// Whether the candidate is plainly worse in the last of the first `halves` half seconds, and how, as one of so many
/// processes sees it in its part of the schedule. What takes more than the last seconds to tell takes all parts.
#[must_use]
pub fn gross_fault(recording: &Recording, halves: u32, processes: u32) -> Option<String> {
    gross::fault(recording, index(halves), processes)
}

fn index(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Every comparison of the first `seconds`, whether or not a look was due then; as the last look would have it.
#[must_use]
pub fn compare(recording: &Recording, seconds: u32, rules: &Rules) -> Vec<Comparison> {
    let length = index(seconds);
    let look = rules.last_look();
    let (_, paired) = pair(recording, length);
    let standings = standings(recording, &paired, length, look, rules);
    compare_all(recording, &paired, &standings, length, look, rules)
}

/// A verdict and what it came from.
pub(super) struct Judged {
    pub(super) verdict: LookVerdict,
    cause: Cause,
    noise: Noise,
    paired: Vec<Paired>,
    /// In the order of `paired`, then of the groups' failures; at a fixed look.
    standings: Vec<Standing>,
    /// How it is worse over the whole of it, where nothing by blocks shows it to be worse.
    whole: Option<String>,
}

enum Cause {
    Gross(String),
    Bet(Bet),
    /// The look with that number; none is due yet where there is none.
    Look(Option<usize>),
}

pub(super) fn judge(evidence: &impl Evidence, halves: u32, rules: &Rules) -> Judged {
    let elapsed_seconds = halves / HALVES_PER_SECOND;
    let seconds = index(elapsed_seconds);
    let is_whole = halves.is_multiple_of(HALVES_PER_SECOND);
    let look = rules.look_at(elapsed_seconds).filter(|_| is_whole);
    let mut judged = Judged {
        verdict: LookVerdict::Continue,
        cause: Cause::Look(look.map(|(look, _)| look)),
        noise: Noise::default(),
        paired: Vec::new(),
        standings: Vec::new(),
        whole: None,
    };
    if let Some(fault) = gross::fault(evidence, index(halves), 1) {
        (judged.verdict, judged.cause) = (LookVerdict::Fail, Cause::Gross(fault));
        return judged;
    }
    if look.is_none() && !(is_whole && is_bet_counted(elapsed_seconds)) {
        return judged;
    }
    (judged.noise, judged.paired) = pair(evidence, seconds);
    if let Some((look, is_last)) = look {
        judged.standings = standings(evidence, &judged.paired, seconds, look, rules);
        judged.verdict = conclude(&judged.paired, &judged.standings, rules.may_pass(look), is_last);
        // Asked of what is inconclusive, too: absolute limits must not carry the gate for it either.
        if matches!(judged.verdict, LookVerdict::Pass | LookVerdict::Inconclusive) {
            judged.whole = worse_as_a_whole(evidence, &judged.paired, seconds, rules);
        }
        if judged.whole.is_some() {
            judged.verdict = if is_last { LookVerdict::Inconclusive } else { LookVerdict::Continue };
        }
    }
    if matches!(judged.verdict, LookVerdict::Continue | LookVerdict::Inconclusive)
        && let Some(bet) = bet::worse(&judged.paired, rules)
    {
        (judged.verdict, judged.cause) = (LookVerdict::Fail, Cause::Bet(bet));
    }
    judged
}

/// A tail that is bad in a few blocks, or for a part of the time, or of too few calls to be cut into blocks, so that no test of
/// blocks sees it. No test by itself, so it never fails, but nothing passes with it.
fn worse_as_a_whole(
    evidence: &impl Evidence,
    paired: &[Paired],
    seconds: usize,
    rules: &Rules,
) -> Option<String> {
    groups(evidence.classes().len()).into_iter().find_map(|group| {
        let tails = paired
            .iter()
            .filter(|paired| paired.group == group)
            .filter_map(|paired| Some((paired, bearable(evidence, paired, seconds, rules)?)));
        let tails: Vec<_> = tails.collect();
        let whole = if tails.is_empty() { None } else { evidence.blocks(group, seconds.max(1), 0, seconds).pop() }?;
        tails.into_iter().find_map(|(Paired { percentile, .. }, bearable)| {
            let ratio = whole[percentile.index()].difference().exp();
            (ratio > bearable).then(|| {
                format!(
                    "over the whole of it {} of {} was {}, which its blocks do not show: the candidate pauses now and then, is slower for \
                     a part of the time, or in calls that are too few for blocks",
                    percentile.name(),
                    compare::named(evidence.classes(), group),
                    compare::times(ratio),
                )
            })
        })
    })
}

/// Up to which ratio over the whole of it a tail passes, whether or not blocks tell it: twice the margin to pass, because what one
/// server did for a moment is in it, too; and twice legacy's where calls are too few for blocks, and chance is in it as well.
/// `None` where they are too few for that, and for what is no tail.
fn bearable(evidence: &impl Evidence, paired: &Paired, seconds: usize, rules: &Rules) -> Option<f64> {
    if paired.percentile == Percentile::P50 {
        return None;
    }
    if paired.blocks.as_ref().err().is_none_or(|unpaired| !unpaired.lacks_calls) {
        return Some(1.0 + 2.0 * rules.margin(paired.percentile).pass);
    }
    let calls = |arm| evidence.calls(paired.group, arm, 0, seconds).ended;
    let (rank, ..) = paired.percentile.rank_and_band();
    let beyond = float(calls(Arm::Legacy).min(calls(Arm::Candidate))) * (1.0 - rank);
    (beyond >= CALLS_BEYOND).then_some(BEARABLE_TIMES)
}

/// Less often the longer it takes: each count goes through everything recorded.
fn is_bet_counted(elapsed_seconds: u32) -> bool {
    let every = match elapsed_seconds {
        0..=60 => 10,
        61..=240 => 30,
        _ => 60,
    };
    elapsed_seconds >= FIRST_BETS && elapsed_seconds.is_multiple_of(every)
}

fn standings(
    evidence: &impl Evidence,
    paired: &[Paired],
    seconds: usize,
    look: usize,
    rules: &Rules,
) -> Vec<Standing> {
    let latencies = paired.iter().map(|paired| compare::standing(paired, look, rules));
    let failures = groups(evidence.classes().len())
        .into_iter()
        .map(|group| Counted::of(evidence, group, seconds).standing(look, evidence.classes().len(), rules));
    latencies.chain(failures).collect()
}

fn conclude(paired: &[Paired], standings: &[Standing], may_pass: bool, is_last: bool) -> LookVerdict {
    let is_hindered = standings.iter().enumerate().any(|(index, standing)| match paired.get(index) {
        Some(paired) => is_hindrance(*standing, Some(paired.percentile), paired.group == Group::All),
        None => is_hindrance(*standing, None, index == paired.len()),
    });
    match (standings.contains(&Standing::Worse), is_hindered) {
        (true, _) => LookVerdict::Fail,
        (false, false) if may_pass => LookVerdict::Pass,
        (false, _) if is_last => LookVerdict::Inconclusive,
        (false, _) => LookVerdict::Continue,
    }
}

/// What keeps a duet from passing: what is open; what more time could tell of all statements, or of a median; what can't
/// be told at all of a median, or of the failures of all statements.
fn is_hindrance(standing: Standing, latency: Option<Percentile>, is_of_all: bool) -> bool {
    let is_median = latency == Some(Percentile::P50);
    match standing {
        Standing::Open => true,
        Standing::Unpaired => is_of_all || is_median,
        Standing::TooFew => is_median || (latency.is_none() && is_of_all),
        Standing::Worse | Standing::NotWorse => false,
    }
}

fn hinders(comparison: &Comparison) -> bool {
    let latency = match comparison.metric {
        Metric::Latency(percentile) => Some(percentile),
        Metric::Failed => None,
    };
    is_hindrance(comparison.standing, latency, comparison.class.is_none())
}

/// The look in sentences and figures.
fn told(evidence: &impl Evidence, elapsed_seconds: u32, rules: &Rules, judged: &Judged) -> Look {
    let seconds = index(elapsed_seconds);
    let comparisons = match judged.cause {
        Cause::Look(Some(look)) => {
            compare_all(evidence, &judged.paired, &judged.standings, seconds, look, rules)
        }
        _ => Vec::new(),
    };
    let reason = match &judged.cause {
        Cause::Gross(told) => told.clone(),
        Cause::Bet(bet) => bet.told(evidence.classes(), rules),
        Cause::Look(None) => "the next look has not come yet".to_owned(),
        Cause::Look(Some(_)) => match &judged.whole {
            Some(whole) if !comparisons.iter().any(hinders) => whole.clone(),
            Some(whole) => format!("{whole}; {}", why(judged, &comparisons, evidence.classes())),
            None => why(judged, &comparisons, evidence.classes()),
        },
    };
    Look {
        verdict: judged.verdict,
        reason,
        seconds: elapsed_seconds,
        comparisons,
        noise: judged.noise,
        is_worse_as_a_whole: judged.whole.is_some(),
    }
}

/// Every comparison; what failed first, then what is open.
fn compare_all(
    evidence: &impl Evidence,
    paired: &[Paired],
    standings: &[Standing],
    seconds: usize,
    look: usize,
    rules: &Rules,
) -> Vec<Comparison> {
    let classes = evidence.classes();
    let latencies = paired
        .iter()
        .zip(standings)
        .map(|(paired, standing)| compare::latency(paired, *standing, look, rules, classes));
    let groups = groups(classes.len()).into_iter().zip(&standings[paired.len()..]);
    let failures =
        groups.map(|(group, standing)| Counted::of(evidence, group, seconds).told(*standing, classes));
    let mut all: Vec<_> = latencies.chain(failures).collect();
    all.sort_by_key(|comparison| match comparison.standing {
        Standing::Worse => 0,
        Standing::Open => 1,
        Standing::Unpaired => 2,
        Standing::TooFew => 3,
        Standing::NotWorse => 4,
    });
    all
}

/// Most reasons that are told in one sentence; the comparisons have all of them.
const REASONS_MAX: usize = 3;

fn why(judged: &Judged, comparisons: &[Comparison], classes: &[String]) -> String {
    let that_are = |is_told: &dyn Fn(&Comparison) -> bool| {
        let told: Vec<_> = comparisons.iter().filter(|c| is_told(c)).map(|c| c.reason.as_str()).collect();
        let more = match told.len().saturating_sub(REASONS_MAX) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        told[..told.len().min(REASONS_MAX)].join("; ") + &more
    };
    let worse = |comparison: &Comparison| comparison.standing == Standing::Worse;
    let advice = match judged.noise.is_shared() {
        Some(false) => {
            "the servers do not share their noise, so a ratio needs 10 to 30 minutes, and the absolute limits carry \
             the gate"
        }
        _ => "a longer duration or a higher rate would tell more",
    };
    match judged.verdict {
        LookVerdict::Fail => that_are(&worse),
        LookVerdict::Pass => {
            let judged = comparisons.iter().filter(|comparison| comparison.standing == Standing::NotWorse);
            let unjudged = comparisons
                .iter()
                .filter(|comparison| comparison.class.is_none() && comparison.standing == Standing::TooFew)
                .map(|comparison| format!("; not judged: {}", comparison.reason));
            format!(
                "not worse than legacy in {} comparisons{}{}",
                judged.count(),
                unjudged.collect::<String>(),
                unjudged_tails(comparisons, classes.len())
            )
        }
        LookVerdict::Continue => that_are(&hinders),
        LookVerdict::Inconclusive => format!("{}; {advice}", that_are(&hinders)),
    }
}

/// The tails of classes that nothing was told of, by the classes' numbers.
fn unjudged_tails(comparisons: &[Comparison], classes: usize) -> String {
    let why =
        [(Standing::TooFew, "too few calls"), (Standing::Unpaired, "too few blocks that are independent")];
    let tails = [Percentile::P95, Percentile::P99];
    let told = why.into_iter().flat_map(|why| tails.map(|percentile| (why, percentile)));
    told.filter_map(|((standing, why), percentile)| {
        let is_one = |class: &usize| {
            comparisons.iter().any(|comparison| {
                (comparison.class, comparison.metric, comparison.standing)
                    == (Some(*class), Metric::Latency(percentile), standing)
            })
        };
        let numbers: Vec<_> = (0..classes).filter(is_one).map(|class| (class + 1).to_string()).collect();
        let name = percentile.name();
        (!numbers.is_empty()).then(|| format!("; {why} to judge {name} of statement {}", numbers.join(", ")))
    })
    .collect()
}
