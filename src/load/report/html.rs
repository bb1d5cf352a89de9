//! The report as one HTML file, without anything from outside.
//!
//! Decides what a reader sees first: the verdict in a sentence, then what it rests on, then how to read it and how to run it
//! again. Every text is escaped: names of classes and labels of errors come from the spec and from servers.

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

mod rollout;

pub use rollout::{RolloutLoads, html_of_rollout};

use super::{Arm, ClassSide, LoadReport, NoiseFigures, Percentiles, charts};
use crate::{api::Verdict, text::micros};

const STYLE: &str = "
:root { color-scheme: light }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 900px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 0 .5rem } h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem }
.verdict { border-left: 8px solid; padding: .8rem 1rem; background: #f7f7f7 }
.Pass { border-color: #1b7837 } .Fail { border-color: #b2182b } .Warn, .Inconclusive, .Error { border-color: #b8860b }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top }
th { font-weight: 600; border-bottom: 2px solid #999 } td.n, th.n { text-align: right; white-space: nowrap }
section { margin-top: 4rem; border-top: 1px solid #999; padding-top: 1rem }
figure { margin: 0; overflow-x: auto } figcaption, .note { color: #555; font-size: 13px }
svg { max-width: 100%; height: auto } code { background: #f2f2f2; padding: .1em .3em; overflow-wrap: anywhere }
@media print { body { margin: 0; max-width: none } h2 { break-after: avoid } figure, tr { break-inside: avoid } }
";

/// The report as a page that stands alone: no script, no font, no picture from outside.
#[must_use]
pub fn html(report: &LoadReport) -> String {
    let title = format!("Load check: {}", verdict(report.verdict));
    page(&title, &markup! { (body("Load check", report)) })
}

/// A page around `content`, and how to read it.
fn page(title: &str, content: &Markup) -> String {
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (content) (how_to_read()) }
        }
    };
    page.into_string()
}

/// All that there is to see of one load.
fn body(name: &str, report: &LoadReport) -> Markup {
    let over_time = if is_thinned(report) {
        "Each second by itself; the median is the thinner line. Of so long a load not all seconds are kept: of each few, the worst one."
    } else {
        "Each second by itself; the median is the thinner line. A checkpoint, a lock or a pause shows as a step."
    };
    markup! {
        header class={ "verdict " (verdict(report.verdict)) } {
            h1 { (name) ": " (verdict(report.verdict)) }
            p { (report.message) }
            @if let Some(shared) = report.noise_shared { p.note { (noise(shared)) @if let Some(noise) = &report.noise { (noise_figures(noise)) } } }
            @for note in &report.notes { p.note { (note) } }
        }
        (arms(report))
        (figure("How latency is spread", charts::curve(&report.arms).ok().flatten(), "Further right are the slower statements: at 99 %, one in a hundred took longer than the line says. Latency counts from the moment that a statement was due."))
        (figure("Latency over time", charts::latency(&report.arms).ok().flatten(), over_time))
        (figure("Throughput over time", charts::throughput(&report.arms).ok().flatten(), "What was answered in each second, and what failed."))
        (comparison(report))
        (classes(report))
        (counters(report))
        (again(report))
    }
}

/// Whether less than half of the seconds that were measured are there.
fn is_thinned(report: &LoadReport) -> bool {
    report.arms.each().iter().any(|(_, arm)| {
        let last = arm.seconds.last().map_or(0, |second| second.at);
        arm.seconds.len() < usize::try_from(last / 2).unwrap_or(0)
    })
}

fn verdict(verdict: Verdict) -> String {
    format!("{verdict:?}")
}

fn noise(is_shared: bool) -> &'static str {
    if is_shared {
        "Both servers felt the same noise, so small differences between them can be told within minutes."
    } else {
        "The servers did not feel the same noise (they run on different machines, or one was disturbed): small differences between them take 10 to 30 minutes to tell, and the absolute limits carry the verdict."
    }
}

fn noise_figures(noise: &NoiseFigures) -> String {
    let both = |[p50, p95]: [f64; 2]| format!("{p50:.2} for p50 and {p95:.2} for p95");
    let next = noise.with_the_next_second.map(|next| format!(", {} with the next second", both(next)));
    format!(
        " From second to second the sides correlate by {}{}; the ratio's autocorrelation time is {:.1} s.",
        both(noise.correlation),
        next.unwrap_or_default(),
        noise.autocorrelation_s
    )
}

fn arms(report: &LoadReport) -> Markup {
    let arms = report.arms.each();
    markup! {
        h2 { "What each side did" }
        table {
            thead { tr {
                th { "side" } th { "server" } th.n { "scheduled" } th.n { "answered" } th.n { "failed" } th.n { "timed out" } th.n { "skipped" }
                th.n { "p50" } th.n { "p95" } th.n { "p99" } th.n { "slowest" }
            } }
            tbody {
                @for (name, arm) in &arms {
                    tr {
                        td { (name) } td { "PostgreSQL " (arm.server_version) } td.n { (arm.scheduled) } td.n { (arm.ok) } td.n { (arm.errors) }
                        td.n { (arm.timeouts) } td.n { (arm.skipped) } (latencies(&arm.latency)) td.n { (micros(arm.latency.max_us)) }
                    }
                    tr { td colspan="7" { span.note { (name) ", from the sending" } } (latencies(&arm.service)) td.n { (micros(arm.service.max_us)) } }
                    tr { td colspan="7" { span.note { (name) ", sent late by" } } td.n { (micros(arm.send_lag_p50_us)) } td {} td.n { (micros(arm.send_lag_p99_us)) } td {} }
                }
            }
        }
        @for (name, arm) in &arms { (errors(name, arm)) }
    }
}

fn errors(name: &str, arm: &Arm) -> Markup {
    markup! { @if !arm.error_classes.is_empty() { p { "Failures on " (name) ": " (arm.error_classes.join(", ")) } } }
}

fn latencies(percentiles: &Percentiles) -> Markup {
    markup! { @for value in [percentiles.p50_us, percentiles.p95_us, percentiles.p99_us] { td.n { (known(value)) } } }
}

fn known(value: Option<u64>) -> String {
    value.map_or_else(|| "–".to_owned(), micros)
}

fn figure(title: &str, svg: Option<String>, caption: &str) -> Markup {
    markup! {
        @if let Some(svg) = svg {
            h2 { (title) }
            figure { (PreEscaped(svg)) figcaption { (caption) } }
        }
    }
}

fn comparison(report: &LoadReport) -> Markup {
    let picture = charts::ratios(&report.comparison).ok().flatten();
    markup! {
        (figure("The candidate against legacy", picture, "The dot is the estimate, the bar its interval, the red line the margin. Right of 1 the candidate is slower. A bar wholly right of its red line fails. One passes whose dot is left of the red line and whose bar ends before the margin to pass, which is five points further right; the others need more time."))
        @if !report.comparison.is_empty() {
            table {
                thead { tr { th { "class" } th { "" } th.n { "ratio" } th.n { "from" } th.n { "to" } th.n { "margin" } th.n { "difference" } th { "verdict" } } }
                tbody { @for compared in &report.comparison {
                    tr {
                        td { (compared.class) } td { (compared.percentile) }
                        @for number in [Some(compared.ratio), compared.low, compared.high, Some(compared.margin)] { td.n { (number.map_or_else(|| "?".to_owned(), |number| format!("{number:.3}"))) } }
                        td.n { (shift(compared.shift_us)) } td { (verdict(compared.verdict)) }
                    }
                    @if !compared.reason.is_empty() { tr { td colspan="8" { span.note { (compared.reason) } } } }
                } }
            }
        }
    }
}

fn shift(us: i64) -> String {
    format!("{}{}", if us < 0 { "−" } else { "+" }, micros(us.unsigned_abs()))
}

fn classes(report: &LoadReport) -> Markup {
    markup! { @if !report.classes.is_empty() {
        h2 { "By statement class" }
        table {
            thead { tr { th { "class" } th.n { "share" } th { "side" } th.n { "answered" } th.n { "failed" } th.n { "p50" } th.n { "p95" } th.n { "p99" } th.n { "slowest" } } }
            tbody { @for class in &report.classes {
                @for (name, side) in [("legacy", class.legacy), ("candidate", class.candidate)] {
                    @if let Some(side) = side { (class_row(&class.name, class.share, name, &side)) }
                }
                @if !class.text.is_empty() { tr { td colspan="9" { code.note { (class.text) } } } }
            } }
        }
    } }
}

fn class_row(class: &str, share: f64, name: &str, side: &ClassSide) -> Markup {
    markup! { tr {
        td { (class) } td.n { (format!("{:.1} %", 100.0 * share)) } td { (name) } td.n { (side.ok) } td.n { (side.failed) }
        (latencies(&side.latency)) td.n { (micros(side.latency.max_us)) }
    } }
}

/// A ratio with its decimals, a count without.
fn number(value: Option<f64>) -> String {
    value.map_or_else(
        || "–".to_owned(),
        |value| if value < 1.0 && value > 0.0 { format!("{value:.3}") } else { format!("{value:.0}") },
    )
}

fn counters(report: &LoadReport) -> Markup {
    markup! { @if !report.counters.is_empty() {
        h2 { "What the servers counted meanwhile" }
        table {
            thead { tr { th { "counter" } th.n { "legacy" } th.n { "candidate" } } }
            tbody { @for counter in &report.counters {
                tr { td { code { (counter.name) } } td.n { (number(counter.legacy)) } td.n { (number(counter.candidate)) } }
            } }
        }
        p.note { "Of the whole database, so whatever else ran there is in it. A dash: this server does not tell." }
    } }
}

fn how_to_read() -> Markup {
    markup! {
        h2 { "How to read this" }
        ul {
            li { "Statements arrive on a schedule that does not wait for the servers, and latency counts from the scheduled moment. A server that stands still for two seconds is seen to." }
            li { "Nothing is dropped: scheduled = answered + failed + timed out + skipped, on each side. Skipped are those for which no connection was free until the end." }
            li { "Where both sides are loaded, arrivals of a class go to the sides in turns, and a coin decides which comes first of each two. What only reads is asked of both, with the same parameters. What disturbs the machine disturbs both alike, and the comparison is of blocks of the same seconds." }
            li { "Pass needs evidence that the candidate is not worse than its margin, Fail evidence that it is. Inconclusive is neither, and promotes nothing." }
            li { "Late is what the load generator itself was, in sending to that side. It is part of the latencies of that side, and of no comparison." }
            li { "A dash stands for a percentile that can't be told: it has too few samples beyond it, or so many statements failed that there is no latency at that place. What failed ranks as slower than every answer." }
        }
    }
}

fn again(report: &LoadReport) -> Markup {
    let settings = &report.settings;
    let rows = [
        ("traffic model", settings.traffic.clone()),
        ("arrivals per second", settings.rate.to_string()),
        ("connections of each side", settings.connections.to_string()),
        ("processes", settings.parallelism.to_string()),
        ("measured", format!("{:.1} s, after {:.1} s of warming up", report.duration_s, settings.warm_up_s)),
        ("statement timeout", format!("{} ms", settings.statement_timeout_ms)),
        ("seed", report.seed.to_string()),
        (
            "lateness of the generator",
            format!(
                "p50 {}, p99 {}",
                micros(report.generator.send_lag_p50_us),
                micros(report.generator.send_lag_p99_us)
            ),
        ),
        ("its processor time", format!("{:.1} µs a statement", report.generator.cpu_us_per_statement)),
        ("cutover", settings.version.clone()),
    ];
    markup! {
        h2 { "To run it again" }
        table { tbody { @for (name, value) in &rows { tr { th { (name) } td { (value) } } } } }
        @if !settings.command.is_empty() { p { code { (settings.command) } } }
        @if settings.parallelism > 1 { p.note { "It was put on by " (settings.parallelism) " processes; the command puts the same schedule on from one." } }
    }
}

#[cfg(test)]
pub(super) mod tests;
