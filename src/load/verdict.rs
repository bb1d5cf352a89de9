//! Whether what was measured is within the limits.
//!
//! `Fail` outranks `Inconclusive`, which outranks `Pass`; a `Pass` needs evidence for every limit. A percentile of too
//! few samples is no evidence, nor is a share of failures that so few could not tell, nor a latency that the generator was
//! late for. Errors count however late it was.
//! Pure, and exact: shares are compared as integers. The message gives every broken limit with what was measured.

use super::timeline::STALLED_FOR;
use crate::{api::Verdict, text::micros};

/// Highest acceptable latencies, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LatencyLimitsUs {
    /// Median.
    pub p50: Option<u64>,
    /// 95th percentile.
    pub p95: Option<u64>,
    /// 99th percentile.
    pub p99: Option<u64>,
}

/// Highest acceptable share of failed statements, in millionths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorLimit(u64);

impl ErrorLimit {
    /// 1 %.
    pub const ONE_PERCENT: Self = Self(1_000_000);
    /// 0.1 %: what a load of the spec has that says nothing else.
    pub const USUAL: Self = Self(100_000);

    /// None of them may be above this.
    pub(super) const ALL: Self = Self(100_000_000);

    /// Reads a percentage such as `0.1`, with at most six decimals; `None` if it is none, or above 100.
    #[must_use]
    pub fn parse(percent: &str) -> Option<Self> {
        let (whole, fraction) = percent.split_once('.').unwrap_or((percent, "0"));
        let is_number =
            |part: &str, most| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole, 3) || !is_number(fraction, 6) {
            return None;
        }
        let millionths: u64 = format!("{whole}{fraction:0<6}").parse().ok()?;
        (millionths <= 100_000_000).then_some(Self(millionths))
    }

    /// Fewest statements that can tell it: where none of `n` failed, the share is below `3 / n` with 95 % (the rule of three).
    /// None for 0 %, which is about these statements and no others.
    #[must_use]
    pub fn statements_needed(self) -> u64 {
        if self.0 == 0 { 0 } else { 300_000_000_u64.div_ceil(self.0) }
    }

    /// The percentage, as [`Self::parse`] reads it.
    #[must_use]
    pub fn percent(self) -> String {
        let text = format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// Between 0 and 1.
    #[must_use]
    pub(super) fn share(self) -> f64 {
        // At most 1e8, where the conversion is exact.
        f64::from(u32::try_from(self.0).unwrap_or(u32::MAX)) / 1e8
    }

    /// Whether `failed` of `all` is above the limit. Exact.
    fn is_broken(self, failed: u64, all: u64) -> bool {
        u128::from(failed) * 100_000_000 > u128::from(self.0) * u128::from(all)
    }
}

impl std::fmt::Display for ErrorLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} %", self.percent())
    }
}

/// What ended a server's load before its schedule, and is the server's own fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breakdown {
    /// More than half of the statements failed.
    GrossFault,
    /// More arrivals waited than could ever be caught up with.
    Backlog,
    /// Most of what was due had no answer for seconds.
    Stalled,
}

impl Breakdown {
    fn told(self) -> String {
        let what = match self {
            Self::GrossFault => "more than half of the statements failed".to_owned(),
            Self::Backlog => {
                "the server fell behind the rate by more than could be caught up with; see what holds it up, or lower the rate or raise \
                 connections if the application sends less or holds more"
                    .to_owned()
            }
            Self::Stalled => format!(
                "the server fell behind: most of what was due had no answer for {STALLED_FOR} s and more"
            ),
        };
        format!("{what}, so the load was ended early")
    }
}

/// What is judged.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Measured {
    pub(super) scheduled: u64,
    pub(super) ok: u64,
    pub(super) errors: u64,
    pub(super) timeouts: u64,
    pub(super) skipped: u64,
    /// Percentiles over all that was taken up, from the scheduled arrival; `None` where that many did not come back.
    pub(super) p50_us: Option<u64>,
    pub(super) p95_us: Option<u64>,
    pub(super) p99_us: Option<u64>,
    /// The same three without the generator's own lateness.
    pub(super) on_time_us: [Option<u64>; 3],
    /// From the sending: the rest of p95 is waiting for a free connection.
    pub(super) service_p95_us: Option<u64>,
    /// Median of the generator's own lateness.
    pub(super) lag_p50_us: u64,
    /// The latest that it handed an arrival out.
    pub(super) longest_lag_us: u64,
    /// The part of the time that its thread was busy, while it was busiest; of several threads, of the busiest.
    pub(super) busy_permille: u32,
    pub(super) breakdown: Option<Breakdown>,
    /// Whether it was ended early for another reason: what was waiting then was never late.
    pub(super) is_cut_short: bool,
    /// Answers per second, in thousandths.
    pub(super) throughput_milli: u64,
    /// Arrivals per second, in thousandths.
    pub(super) sent_milli: u64,
}

/// Lateness of the generator that is never held against it: what is late by so little still comes as the schedule says,
/// no limit is kept because of it, and one that is broken because of it is known to be.
const ACCEPTABLE_LAG_US: u64 = 10_000;
/// A generator that was later than this, once, stood still.
const STANDSTILL_US: u64 = 1_000_000;
/// A thread that is busier than this keeps answers waiting for as long as it takes to send four statements, at the mean
/// (M/M/1: u / (1 - u) times), and more the busier it is.
const BUSY_MAX_PERMILLE: u32 = 800;

/// What a verdict is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To know what a server does: nothing goes by it but whether it serves at all, and so few calls can tell that.
    Measurement,
    /// A gate beside the comparison of a duet, which judges latency whatever the limits are.
    Duet,
    /// A gate by itself: what is not limited is not judged.
    Alone,
}

/// What is acceptable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) purpose: Purpose,
    pub(super) latency: LatencyLimitsUs,
    pub(super) errors: ErrorLimit,
    /// Answers per second.
    pub(super) min_throughput: Option<u32>,
}

/// The verdict and its message.
pub(super) fn judge(measured: &Measured, limits: &Limits) -> (Verdict, String) {
    let errors = limits.errors;
    if measured.scheduled == 0 {
        return nothing_due(measured);
    }
    let is_late = is_generator_late(measured);
    let has_stood_still = measured.longest_lag_us > STANDSTILL_US;
    let starved = starved(measured);
    let is_excused = is_late || has_stood_still || starved.is_some();
    let mut faults = outright_faults(measured);
    let mut doubts = Vec::new();
    match limits.min_throughput.map_or(Kept::Yes, |least| throughput(least, measured)) {
        Kept::Yes => {}
        Kept::No(fault) => faults.push(fault),
        Kept::Open(doubt) => doubts.push(doubt),
    }
    // A generator that hands out at once what was due long ago makes any server fall behind.
    if is_excused && measured.breakdown != Some(Breakdown::GrossFault) {
        let is_told = has_stood_still && !faults.is_empty();
        doubts.append(&mut faults);
        doubts.extend(is_told.then(|| stood_still(measured)));
    }
    let taken = measured.ok + measured.errors + measured.timeouts;
    if let Some(fault) = too_many_failed(measured, errors) {
        faults.push(fault);
    } else if limits.purpose != Purpose::Measurement && taken < errors.statements_needed() {
        doubts.push(format!(
            "a limit of {errors} failed needs at least {} statements, and there were {taken}; \
             raise the rate, the duration or that limit",
            errors.statements_needed()
        ));
    }
    if is_late {
        doubts.push(format!(
            "the load generator itself was late by {} at the median, so the latencies are not the server's; \
             give the operator more CPU or lower the rate",
            micros(measured.lag_p50_us)
        ));
    }
    doubts.extend(starved);
    for percentile in percentiles(measured, &limits.latency) {
        match percentile.judge(measured, taken, is_excused) {
            Kept::Yes => {}
            Kept::No(fault) => faults.push(fault),
            Kept::Open(doubt) => doubts.push(doubt),
        }
    }
    let summary = summary(measured);
    match (faults.is_empty(), doubts.is_empty()) {
        (false, _) => (Verdict::Fail, format!("{}; {summary}", faults.join("; "))),
        (true, false) => (Verdict::Inconclusive, format!("{}; {summary}", doubts.join("; "))),
        (true, true) => (Verdict::Pass, format!("{}{summary}", unjudged(limits))),
    }
}

/// Nothing was due since the end of the warm-up: what is left is what ended the load before.
fn nothing_due(measured: &Measured) -> (Verdict, String) {
    let told = |breakdown: Breakdown| format!("in the warm-up already, {}", breakdown.told());
    match measured.breakdown {
        None => {
            (Verdict::Inconclusive, "the schedule had no arrivals; raise the rate or the duration".to_owned())
        }
        Some(breakdown) if breakdown != Breakdown::GrossFault && measured.longest_lag_us > STANDSTILL_US => {
            (Verdict::Inconclusive, format!("{}; {}", told(breakdown), stood_still(measured)))
        }
        Some(breakdown) => (Verdict::Fail, told(breakdown)),
    }
}

/// A percentile with a limit.
struct Limited {
    name: &'static str,
    limit: u64,
    seen: Option<u64>,
    on_time: Option<u64>,
    /// Fewest statements that tell it.
    needed: u64,
}

enum Kept {
    Yes,
    No(String),
    /// It can't be told; why.
    Open(String),
}

/// Fewest statements that tell p50, p95 and p99: each needs 10 beyond it, 10 / (1 - q).
const NEEDED: [u64; 3] = [20, 200, 1_000];

/// Those that have one.
fn percentiles(measured: &Measured, limits: &LatencyLimitsUs) -> impl Iterator<Item = Limited> {
    let [p50, p95, p99] = measured.on_time_us;
    [
        ("p50", limits.p50, measured.p50_us, p50, NEEDED[0]),
        ("p95", limits.p95, measured.p95_us, p95, NEEDED[1]),
        ("p99", limits.p99, measured.p99_us, p99, NEEDED[2]),
    ]
    .into_iter()
    .filter_map(|(name, limit, seen, on_time, needed)| {
        Some(Limited { name, limit: limit?, seen, on_time, needed })
    })
}

impl Limited {
    /// `is_excused` says that the generator was late, had no time, or stood still: what then came at once waited for itself.
    fn judge(&self, measured: &Measured, taken: u64, is_excused: bool) -> Kept {
        let Self { name, limit, needed, .. } = *self;
        if taken < needed {
            return Kept::Open(format!(
                "{name} needs at least {needed} statements, and there were {taken}; raise the rate or the duration"
            ));
        }
        let Some(told) = broken(name, limit, self.seen, measured) else { return Kept::Yes };
        // Late arrivals, or a burst of them after a pause of the generator, are not the server's doing.
        if !is_excused && self.on_time.is_none_or(|on_time| on_time > limit) {
            Kept::No(told)
        } else {
            Kept::Open(format!("{told}, with the load generator's own lateness"))
        }
    }
}

/// What a pass is not worth: without a limit of latency, and without legacy beside it, a server however slow has one.
fn unjudged(limits: &Limits) -> &'static str {
    if limits.purpose != Purpose::Alone || limits.latency != LatencyLimitsUs::default() {
        return "";
    }
    match limits.min_throughput {
        None => "only the share of errors was judged, since no latency limit was given; ",
        Some(_) => {
            "only the share of errors and the throughput were judged, since no latency limit was given; "
        }
    }
}

/// What is wrong with a percentile of enough samples, if anything.
fn broken(name: &str, limit: u64, seen: Option<u64>, measured: &Measured) -> Option<String> {
    match seen {
        None => Some(format!("{name} is beyond any limit ({}): too many statements failed", micros(limit))),
        Some(seen) if seen > limit => {
            Some(format!("{name} {} is above {}{}", micros(seen), micros(limit), waiting(name, measured)))
        }
        Some(_) => None,
    }
}

/// How more failed than the limit allows, if so.
pub(super) fn too_many_failed(measured: &Measured, errors: ErrorLimit) -> Option<String> {
    let failed = measured.errors + measured.timeouts;
    let taken = measured.ok + failed;
    let told = || format!("{failed} of {taken} statements failed ({}), above {errors}", share(failed, taken));
    errors.is_broken(failed, taken).then(told)
}

/// Nobody answers more than is asked.
fn throughput(least: u32, measured: &Measured) -> Kept {
    let least_milli = u64::from(least) * 1_000;
    let (answers, sent) = (measured.throughput_milli, measured.sent_milli);
    if answers >= least_milli {
        return Kept::Yes;
    }
    let told = format!("{} answers/s are fewer than {least}", thousandths(answers));
    if sent <= least_milli {
        return Kept::Open(format!(
            "{told}, and no more than {}/s were sent to it; lower minThroughput, or raise the rate (a duet sends half of it to \
             each side)",
            thousandths(sent)
        ));
    }
    Kept::No(told)
}

/// With one decimal.
fn thousandths(milli: u64) -> String {
    format!("{}.{}", milli / 1000, milli % 1000 / 100)
}

/// What fails whatever the limits are.
fn outright_faults(measured: &Measured) -> Vec<String> {
    let mut faults: Vec<_> = measured.breakdown.map(Breakdown::told).into_iter().collect();
    if measured.ok == 0 {
        faults.push("no statement was answered".to_owned());
    }
    if measured.skipped > 0 && !measured.is_cut_short {
        faults.push(format!(
            "{} of {} arrivals found no free connection until the end; raise connections if the application holds more",
            measured.skipped, measured.scheduled
        ));
    }
    faults
}

/// Later than 10 ms and than a fifth of the median latency.
fn is_generator_late(measured: &Measured) -> bool {
    let fifth = measured.p50_us.unwrap_or(0) / 5;
    measured.lag_p50_us > ACCEPTABLE_LAG_US.max(fifth)
}

/// Told only of what it may have led to.
fn stood_still(measured: &Measured) -> String {
    format!(
        "the load generator stood still for {}, and what was due meanwhile came all at once; see what stopped it, or give it more CPU",
        micros(measured.longest_lag_us)
    )
}

/// Why the generator could not send what the schedule says, and took each answer up when it got around to it, if so.
pub(super) fn starved(measured: &Measured) -> Option<String> {
    (measured.busy_permille > BUSY_MAX_PERMILLE).then(|| {
        format!(
            "the load generator's thread was busy for {} % of the time while it was busiest, so the latencies are its own as \
             well; lower the rate, or raise parallelism",
            measured.busy_permille / 10
        )
    })
}

/// Where p95 is mostly waiting for a free connection, the server is not what is slow.
fn waiting(name: &str, measured: &Measured) -> String {
    match (name, measured.p95_us, measured.service_p95_us) {
        ("p95", Some(latency), Some(service)) if service * 2 < latency => {
            format!(" ({} of it in the server, the rest waiting for a free connection)", micros(service))
        }
        _ => String::new(),
    }
}

fn summary(measured: &Measured) -> String {
    let taken = measured.ok + measured.errors + measured.timeouts;
    let percentile = |value: Option<u64>, needed| match value {
        _ if taken < needed => "untold".to_owned(),
        Some(value) => micros(value),
        None => "none".to_owned(),
    };
    let [p50, p95, p99] = NEEDED;
    format!(
        "p50 {}, p95 {}, p99 {}, {} answers/s, {} of {} answered",
        percentile(measured.p50_us, p50),
        percentile(measured.p95_us, p95),
        percentile(measured.p99_us, p99),
        thousandths(measured.throughput_milli),
        measured.ok,
        measured.scheduled,
    )
}

/// In percent with three decimals, rounded down but never down to nothing.
fn share(part: u64, all: u64) -> String {
    let thousandths = u128::from(part) * 100_000 / u128::from(all.max(1));
    if thousandths == 0 {
        return "below 0.001 %".to_owned();
    }
    format!("{}.{:03} %", thousandths / 1000, thousandths % 1000)
}

#[cfg(test)]
mod tests;
