//! The verdict of a whole load, from its parts: the absolute limits, the duet, and what ended it early.
//!
//! `Fail` needs a limit that was broken (that of failures not by legacy as well), or a comparison that is shown to be worse. `Pass` of a
//! duet needs the duet's own, and every limit. Where the servers do not share their noise the comparison may stay open for longer than anyone can wait: then
//! absolute limits carry the gate, as a `Warn` that says so, and only where the spec has some for the tail. Pure.

use crate::{api::Verdict, text::micros};

use super::{
    duet::{Arm, Comparison, Look, LookVerdict, Metric, Percentile, Standing},
    taken::Stop,
    verdict::LatencyLimitsUs,
};

/// What a duet is concluded from.
pub(super) struct Parts<'a> {
    /// By the absolute limits, of the candidate.
    pub(super) limits: (Verdict, String),
    pub(super) latency_limits: LatencyLimitsUs,
    pub(super) look: Option<&'a Look>,
    /// How one of several processes saw the candidate to be plainly bad, if so: in place of a look.
    pub(super) plain: Option<&'a str>,
    pub(super) comparisons: &'a [Comparison],
    /// Median lateness of the generator on legacy's and on the candidate's lane, in microseconds.
    pub(super) lags_us: [u64; 2],
    /// Legacy's median latency.
    pub(super) p50_us: Option<u64>,
    /// Why the generator itself had no time for the answers, if so.
    pub(super) starved: Option<String>,
    /// How legacy fails more than the limit allows, if so, and the candidate breaks no other limit.
    pub(super) legacy_fails: Option<String>,
}

/// What a load comes to that was ended before its schedule by something else than its own verdict.
pub(super) fn cut_short(stop: &Stop, is_duet: bool) -> Option<(Verdict, String)> {
    match stop {
        Stop::Bug => {
            Some((Verdict::Error, "the load's books are damaged; this is a bug of cutover".to_owned()))
        }
        Stop::Guard(why) | Stop::TooSlow(why) => Some((
            Verdict::Inconclusive,
            format!("ended early, to leave the servers to the application: {why}"),
        )),
        Stop::WarmUp(fault) => Some((Verdict::Fail, format!("in the warm-up already: {fault}"))),
        Stop::Plain(fault) if !is_duet => Some((Verdict::Fail, fault.clone())),
        Stop::GrossFault(Arm::Legacy) if is_duet => Some((
            Verdict::Inconclusive,
            "more than half of legacy's statements failed, so there is nothing to compare with; see their SQLSTATEs, and mend \
             the traffic or legacy"
                .to_owned(),
        )),
        Stop::Backlog(Arm::Legacy) if is_duet => Some((
            Verdict::Inconclusive,
            "legacy fell behind the rate by more than could be caught up with; lower the rate".to_owned(),
        )),
        Stop::Stalled(Arm::Legacy) if is_duet => Some((
            Verdict::Inconclusive,
            "legacy did not answer most of what was due any more, so there is nothing to compare with; lower the rate, or see \
             what holds legacy up"
                .to_owned(),
        )),
        Stop::GrossFault(_) | Stop::Backlog(_) | Stop::Stalled(_) | Stop::Plain(_) | Stop::Verdict => None,
    }
}

/// The verdict of a duet and its message.
pub(super) fn conclude(parts: &Parts<'_>) -> (Verdict, String) {
    let (limits, summary) = &parts.limits;
    let (verdict, relative) = match (parts.plain, parts.look) {
        (Some(fault), _) => (LookVerdict::Fail, fault),
        (None, Some(look)) => (look.verdict, look.reason.as_str()),
        (None, None) => (LookVerdict::Continue, "no second of it was complete"),
    };
    let told = |first: &str| format!("{first}; candidate: {summary}");
    if *limits == Verdict::Fail {
        return match &parts.legacy_fails {
            // What the traffic, or both servers, are at fault for says nothing about the candidate.
            Some(fails) if verdict != LookVerdict::Fail => (
                Verdict::Inconclusive,
                told(&format!(
                    "{fails}, so limits can't tell the candidate by this traffic; see the SQLSTATEs of the failures, and mend \
                     the traffic, or raise maxErrorPercent; against legacy: {relative}"
                )),
            ),
            _ => (Verdict::Fail, told(&format!("beyond the absolute limits; against legacy: {relative}"))),
        };
    }
    if let Some(doubt) = uneven(parts, verdict).or_else(|| parts.starved.clone()) {
        return (Verdict::Inconclusive, told(&doubt));
    }
    match (verdict, limits) {
        (LookVerdict::Fail, _) => (Verdict::Fail, told(relative)),
        (LookVerdict::Pass, Verdict::Pass) => (Verdict::Pass, told(relative)),
        (LookVerdict::Pass, _) => {
            (Verdict::Inconclusive, told(&format!("{relative}, and an absolute limit is open")))
        }
        (LookVerdict::Continue | LookVerdict::Inconclusive, Verdict::Pass) if limits_carry(parts) => (
            Verdict::Warn,
            told(
                "the servers do not share their noise, so the comparison with legacy is open; the absolute limits were kept",
            ),
        ),
        (LookVerdict::Continue | LookVerdict::Inconclusive, _) => {
            (Verdict::Inconclusive, told(&too_short(parts, relative)))
        }
    }
}

fn too_short(parts: &Parts<'_>, relative: &str) -> String {
    match parts.look {
        Some(look) if look.seconds < 60 => {
            format!("a duet can't pass in less than 60 s, and this one took {} s", look.seconds)
        }
        _ => relative.to_owned(),
    }
}

/// Whether the absolute limits are all that can be gone by, and the spec has one for the tail. They are of all statements
/// together, so every class must look well by itself, as far as its median can tell.
fn limits_carry(parts: &Parts<'_>) -> bool {
    let is_open_for_noise = |look: &Look| look.noise_shared() == Some(false) && !look.is_worse_as_a_whole;
    let has_tail = parts.latency_limits.p95.is_some() || parts.latency_limits.p99.is_some();
    parts.look.is_some_and(is_open_for_noise) && has_tail && parts.comparisons.iter().all(looks_well)
}

/// Not shown to be worse, and not likely to be.
fn looks_well(comparison: &Comparison) -> bool {
    let is_median = comparison.metric == Metric::Latency(Percentile::P50);
    match (comparison.standing, comparison.latency) {
        (Standing::NotWorse, _) => true,
        (Standing::Worse, _) | (Standing::Open, None) => false,
        (_, Some(figures)) => figures.ratio < 1.0 + LIKELY,
        (Standing::Unpaired | Standing::TooFew, None) => !is_median,
    }
}

/// An estimate above this is no sign of health, however wide its interval.
const LIKELY: f64 = 0.1;

/// Lateness that counts for nothing, and the part of a median latency above which the generator did not send what the
/// schedule says. What is compared leaves lateness out, so that it can't hide a difference.
const ACCEPTABLE_LAG_US: u64 = 200;
const ACCEPTABLE_PART: u64 = 2;
/// How far apart the lanes' lateness may be: as an absolute figure, and as a part of a median latency.
const UNEVEN_US: u64 = 20;
const UNEVEN_PART: u64 = 50;

/// Why the generator can't be trusted with a ratio that says so, if so. Being late alike on both sides is harmless, within bounds; and
/// being late for legacy never made a candidate look worse: where all connections of one are busy, what its arrivals wait for
/// is not the generator.
fn uneven(parts: &Parts<'_>, verdict: LookVerdict) -> Option<String> {
    let [legacy, candidate] = parts.lags_us;
    let p50 = parts.p50_us.unwrap_or(0);
    let advice =
        "so the ratio of latencies is not the servers'; give the load generator more CPU or lower the rate";
    let (latest, apart) = match verdict {
        LookVerdict::Fail => (candidate, candidate.saturating_sub(legacy)),
        _ => (legacy.max(candidate), legacy.abs_diff(candidate)),
    };
    if latest > ACCEPTABLE_LAG_US.max(p50 / ACCEPTABLE_PART) {
        let lag = micros(latest);
        return Some(format!("the load generator itself was late by {lag} at the median, {advice}"));
    }
    (apart > UNEVEN_US.max(p50 / UNEVEN_PART)).then(|| {
        format!(
            "the load generator was late by {} at the median for legacy and by {} for the candidate, {advice}",
            micros(legacy),
            micros(candidate)
        )
    })
}

#[cfg(test)]
mod tests;
