//! Where each comparison stands at a look.
//!
//! Decides between worse, not worse and open, for one percentile or the failures of one group. Never decides about
//! the whole.

use super::{
    evidence::{Arm, Calls, Evidence, Group},
    failures::{p_as_many, p_fewer, p_more},
    look::{Comparison, LatencyFigures, Metric, Standing},
    paired::{Blocks, Paired},
    rules::{FAILED_MARGIN, FAILED_PASS_MARGIN, Margin, Rules},
};

fn class(group: Group) -> Option<usize> {
    match group {
        Group::All => None,
        Group::Class(class) => Some(class),
    }
}

/// "statement 2 (lookup): p95", in which names are clipped.
pub(super) fn subject(classes: &[String], group: Group, metric: Metric) -> String {
    format!("{}: {}", named(classes, group), metric.name())
}

pub(super) fn named(classes: &[String], group: Group) -> String {
    match group {
        Group::All => "all statements".to_owned(),
        Group::Class(class) => {
            let name: String = classes.get(class).map_or("", String::as_str).chars().take(60).collect();
            format!("statement {} ({name})", class + 1)
        }
    }
}

/// Where a percentile stands. Worse is looked at first; not worse also needs an estimate below the margin of
/// failure.
pub(super) fn standing(paired: &Paired, look: usize, rules: &Rules) -> Standing {
    let blocks = match &paired.blocks {
        Ok(blocks) => blocks,
        Err(unpaired) if unpaired.lacks_calls => return Standing::TooFew,
        Err(_) => return Standing::Unpaired,
    };
    let margin = rules.margin(paired.percentile);
    let ranked = blocks.ranked();
    if ranked.p_above(margin.fail.ln_1p()) < rules.fail_alpha(look, paired.part) {
        Standing::Worse
    } else if ranked.p_below(margin.pass.ln_1p()) < rules.pass_alpha()
        && ranked.is_centred_below(margin.fail.ln_1p())
    {
        Standing::NotWorse
    } else {
        Standing::Open
    }
}

/// The figures of a percentile that stands there, and in a sentence why.
pub(super) fn latency(
    paired: &Paired,
    standing: Standing,
    look: usize,
    rules: &Rules,
    classes: &[String],
) -> Comparison {
    let metric = Metric::Latency(paired.percentile);
    let subject = subject(classes, paired.group, metric);
    let (latency, said) = match &paired.blocks {
        Ok(blocks) => {
            let figures = figures(blocks, rules.fail_alpha(look, paired.part), rules.pass_alpha());
            let said = figures.map(|figures| told(&figures, standing, rules.margin(paired.percentile)));
            (figures, said.unwrap_or_default())
        }
        Err(unpaired) => (None, unpaired.why.clone()),
    };
    Comparison { class: class(paired.group), metric, latency, standing, reason: format!("{subject} {said}") }
}

fn figures(blocks: &Blocks, fail_alpha: f64, pass_alpha: f64) -> Option<LatencyFigures> {
    let ranked = blocks.ranked();
    let mut shifts = blocks.shifts_us.clone();
    shifts.sort_unstable_by(f64::total_cmp);
    Some(LatencyFigures {
        ratio: ranked.estimate()?.exp(),
        low: ranked.lower_bound(fail_alpha).map(f64::exp),
        high: ranked.upper_bound(pass_alpha).map(f64::exp),
        shift_us: shifts.get(shifts.len() / 2).map_or(0, |shift| micros(*shift)),
        blocks: ranked.len(),
        block_seconds: blocks.seconds,
    })
}

#[allow(clippy::cast_possible_truncation, reason = "latencies are at most 60 s; the cast saturates")]
fn micros(shift: f64) -> i64 {
    shift.round() as i64
}

fn told(figures: &LatencyFigures, standing: Standing, margin: Margin) -> String {
    let bound = |bound: Option<f64>| bound.map_or_else(|| "unknown".to_owned(), change);
    let (fail, pass) = (change(1.0 + margin.fail), change(1.0 + margin.pass));
    let end = match standing {
        Standing::Worse => format!("worse than {fail}"),
        Standing::NotWorse => format!("not worse than {pass}"),
        _ => format!("neither shown worse than {fail} nor shown better than {pass}"),
    };
    format!(
        "{} ({:+} µs), between {} and {} by {} blocks of {} s: {end}",
        change(figures.ratio),
        figures.shift_us,
        bound(figures.low),
        bound(figures.high),
        figures.blocks,
        figures.block_seconds,
    )
}

/// "+12.3 %"; a ratio that stands for failed calls is no figure.
fn change(ratio: f64) -> String {
    match ratio {
        1e6.. => "beyond all".to_owned(),
        _ if ratio < 1e-6 => "below all".to_owned(),
        _ => format!("{:+.1} %", (ratio - 1.0) * 100.0),
    }
}

/// "1.55 times legacy's"; where as many calls failed as would be at that percentile, there is no number.
pub(super) fn times(ratio: f64) -> String {
    if ratio < 1e6 { format!("{ratio:.2} times legacy's") } else { "beyond all of legacy's".to_owned() }
}

/// The calls of a group, counted.
pub(super) struct Counted {
    group: Group,
    legacy: Calls,
    candidate: Calls,
}

impl Counted {
    pub(super) fn of(evidence: &impl Evidence, group: Group, seconds: usize) -> Self {
        let calls = |arm| evidence.calls(group, arm, 0, seconds);
        Self { group, legacy: calls(Arm::Legacy), candidate: calls(Arm::Candidate) }
    }

    /// Where the failures stand.
    pub(super) fn standing(&self, look: usize, classes: usize, rules: &Rules) -> Standing {
        let (legacy, candidate) = (self.legacy, self.candidate);
        let none = Calls { ended: candidate.ended, failed: 0 };
        let seen = candidate.share() - legacy.share();
        let alpha = rules.failures_alpha(look, self.group, classes);
        // The share that is forgiven is a count without chance, so by itself Fisher's test would fail what is just at the margin.
        let is_beyond = p_as_many(candidate, legacy.share() + FAILED_MARGIN) < alpha;
        if is_beyond && p_more(candidate, legacy, FAILED_MARGIN) < alpha {
            Standing::Worse
        } else if legacy.share() <= FAILED_PASS_MARGIN
            && p_fewer(candidate, legacy.share() + FAILED_PASS_MARGIN) < rules.pass_alpha()
        {
            Standing::NotWorse
        } else if seen <= FAILED_PASS_MARGIN && p_fewer(none, FAILED_PASS_MARGIN) >= rules.pass_alpha() {
            Standing::TooFew
        } else {
            Standing::Open
        }
    }

    pub(super) fn told(&self, standing: Standing, classes: &[String]) -> Comparison {
        let (legacy, candidate) = (self.legacy, self.candidate);
        let end = match standing {
            Standing::Worse => "more than 0.1 % beyond legacy's share",
            Standing::NotWorse => "less than 1 % beyond legacy's share",
            Standing::Open if legacy.share() > FAILED_PASS_MARGIN => {
                "legacy itself fails, and is nothing to compare with"
            }
            Standing::Open => "neither shown to be 0.1 % beyond legacy's share nor to be within 1 % of it",
            Standing::TooFew | Standing::Unpaired => "too few calls to rule out 1 %",
        };
        let reason = format!(
            "{} {} of {} on the candidate, {} of {} on legacy: {end}",
            subject(classes, self.group, Metric::Failed),
            candidate.failed,
            candidate.ended,
            legacy.failed,
            legacy.ended
        );
        Comparison { class: class(self.group), metric: Metric::Failed, latency: None, standing, reason }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Of 30,000 calls on each side, none of which failed on legacy.
    fn standing(failed: u64) -> Standing {
        let calls = |failed| Calls { ended: 30_000, failed };
        let counted = Counted { group: Group::All, legacy: calls(0), candidate: calls(failed) };
        let minute = Duration::from_secs(60);
        counted.standing(0, 1, &Rules::lasting(minute, minute))
    }

    /// Of a candidate at the margin, 30 fail on average, and 44 or more of one in a hundred.
    #[test]
    fn failures_at_the_margin_are_not_shown_to_be_beyond_it() {
        assert_eq!([0, 30, 44].map(standing), [Standing::NotWorse; 3]);
        assert_eq!([55, 150, 600].map(standing), [Standing::Worse; 3]);
    }
}
