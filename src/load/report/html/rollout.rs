//! The loads of a whole rollout as one page: before and after side by side, then each load as a page of its own has it.
//!
//! Decides what is compared with what, in words that do not conclude more than two runs at different times can show.

use maud::{Markup, html as markup};

use super::{body, charts, figure, known, number, page, verdict};
use crate::load::report::{Arm, Arms, Counter, LoadReport};

/// The loads of a rollout that are over.
#[derive(Debug, Clone, Default)]
pub struct RolloutLoads {
    /// The rollout, as people call it.
    pub rollout: String,
    /// Legacy, before anything was changed.
    pub baseline: Option<LoadReport>,
    /// The candidate under the same load, after the last stage.
    pub last: Option<LoadReport>,
    /// The others, by name, in the order of the rollout's life.
    pub others: Vec<(String, LoadReport)>,
}

impl RolloutLoads {
    /// All of them by name, in the order of the rollout's life.
    fn each(&self) -> impl Iterator<Item = (&str, &LoadReport)> {
        let baseline = self.baseline.iter().map(|report| ("baseline", report));
        let last = self.last.iter().map(|report| ("final", report));
        baseline.chain(self.others.iter().map(|(name, report)| (name.as_str(), report))).chain(last)
    }
}

/// The loads of a rollout as one page that stands alone.
#[must_use]
pub fn html_of_rollout(loads: &RolloutLoads) -> String {
    let title = format!("Loads of {}", loads.rollout);
    page(
        &title,
        &markup! {
            h1 { (title) }
            (contents(loads))
            @if let (Some(before), Some(after)) = (&loads.baseline, &loads.last) { (before_and_after(before, after)) }
            @for (name, report) in loads.each() { section { (body(name, report)) } }
        },
    )
}

fn contents(loads: &RolloutLoads) -> Markup {
    markup! {
        table {
            thead { tr { th { "load" } th { "verdict" } th { "" } } }
            tbody { @for (name, report) in loads.each() {
                tr { td { (name) } td { (verdict(report.verdict)) } td { (report.message) } }
            } }
        }
    }
}

/// Legacy before anything was changed, and the candidate after the last stage, under the same load.
fn before_and_after(before: &LoadReport, after: &LoadReport) -> Markup {
    let (Some(legacy), Some(candidate)) = (&before.arms.legacy, &after.arms.candidate) else {
        return markup! {};
    };
    let both = Arms { legacy: Some(legacy.clone()), candidate: Some(candidate.clone()) };
    markup! {
        h2 { "Before and after" }
        p { "Legacy in the baseline, before anything was changed, and the candidate after the last stage, under the same traffic, rate and duration." }
        table {
            thead { tr { th { "" } th.n { "legacy, before" } th.n { "candidate, after" } th.n { "candidate / legacy" } } }
            tbody { @for (name, of) in LATENCIES { (row(name, of(legacy), of(candidate))) }
                tr { td { "failed, timeouts included" } td.n { (failed(legacy)) } td.n { (failed(candidate)) } td {} }
                tr { td { "answered" } td.n { (per_second(legacy, before)) } td.n { (per_second(candidate, after)) } td {} }
                tr { td { "server" } td.n { "PostgreSQL " (legacy.server_version) } td.n { "PostgreSQL " (candidate.server_version) } td {} }
            }
        }
        p.note { "Measured at different times, so noise is in the difference: of servers that are alike, one in six to two in three such comparisons would call one slower. What fails a stage is the load that both had at the same time." }
        (figure("How latency is spread, before and after", charts::curve(&both).ok().flatten(), "Further right are the slower statements. The two were measured at different times."))
        (figure("Latency over time, before and after", charts::latency(&both).ok().flatten(), "Both from the beginning of their own measurement."))
        (counters(before, after))
    }
}

type Latency = fn(&Arm) -> Option<u64>;

const LATENCIES: [(&str, Latency); 5] = [
    ("p50", |arm| arm.latency.p50_us),
    ("p95", |arm| arm.latency.p95_us),
    ("p99", |arm| arm.latency.p99_us),
    ("slowest", |arm| Some(arm.latency.max_us)),
    ("p95 from the sending", |arm| arm.service.p95_us),
];

fn row(name: &str, before: Option<u64>, after: Option<u64>) -> Markup {
    let ratio = before.zip(after).filter(|(before, _)| *before > 0);
    markup! { tr {
        td { (name) } td.n { (known(before)) } td.n { (known(after)) }
        td.n { @if let Some((before, after)) = ratio { (format!("{:.2}", charts::count(after) / charts::count(before))) } }
    } }
}

fn failed(arm: &Arm) -> String {
    let failed = arm.errors + arm.timeouts;
    let share = 100.0 * charts::count(failed) / charts::count((arm.ok + failed).max(1));
    format!("{failed} ({share:.3} %)")
}

fn per_second(arm: &Arm, report: &LoadReport) -> String {
    if report.duration_s > 0.0 {
        format!("{:.1}/s", charts::count(arm.ok) / report.duration_s)
    } else {
        known(None)
    }
}

/// What either server counted while it was measured, by name.
fn counters(before: &LoadReport, after: &LoadReport) -> Markup {
    let find =
        |counters: &[Counter], name: &str| counters.iter().find(|counter| counter.name == name).cloned();
    let only_after = after.counters.iter().filter(|counter| find(&before.counters, &counter.name).is_none());
    let names: Vec<_> =
        before.counters.iter().chain(only_after).map(|counter| counter.name.as_str()).collect();
    let legacy = |name| find(&before.counters, name)?.legacy;
    let candidate = |name| find(&after.counters, name)?.candidate;
    markup! { @if !names.is_empty() {
        h2 { "What the servers counted, before and after" }
        table {
            thead { tr { th { "counter" } th.n { "legacy, before" } th.n { "candidate, after" } } }
            tbody { @for name in names {
                tr { td { code { (name) } } td.n { (number(legacy(name))) } td.n { (number(candidate(name))) } }
            } }
        }
        p.note { "The candidate has the application's own load in it by now. A dash: this server does not tell." }
    } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::html::tests::sample;

    fn one_sided(is_legacy: bool) -> LoadReport {
        let whole = sample();
        let arms = if is_legacy {
            Arms { legacy: whole.arms.legacy.clone(), candidate: None }
        } else {
            Arms { legacy: None, candidate: whole.arms.candidate.clone() }
        };
        let counter = |name: &str, value| Counter {
            name: name.to_owned(),
            legacy: is_legacy.then_some(value),
            candidate: (!is_legacy).then_some(value),
        };
        let mut counters =
            vec![counter("pg_stat_database.blks_hit", if is_legacy { 4711.0 } else { 4712.0 })];
        // A newer server tells more.
        counters.extend((!is_legacy).then(|| counter("pg_stat_io.reads", 815.0)));
        LoadReport { arms, comparison: Vec::new(), counters, ..whole }
    }

    fn all() -> RolloutLoads {
        RolloutLoads {
            rollout: "shop/shop-to-candidate".to_owned(),
            baseline: Some(one_sided(true)),
            last: Some(one_sided(false)),
            others: vec![("api.load".to_owned(), sample()), ("a<b.soak".to_owned(), sample())],
        }
    }

    #[test]
    fn before_and_after_stand_side_by_side_on_one_page_that_stands_alone() {
        let page = html_of_rollout(&all());
        if let Some(path) = std::env::var_os("CUTOVER_SAMPLE_ROLLOUT_REPORT") {
            std::fs::write(path, &page).unwrap();
        }
        for part in ["Before and after", "800 µs", "896 µs", "1.12", "candidate / legacy", "a&lt;b.soak"] {
            assert!(page.contains(part), "{part} is not on the page");
        }
        let counted = |name: &str, legacy: &str, candidate: &str, times: usize| {
            let row = format!(
                "<td><code>{name}</code></td><td class=\"n\">{legacy}</td><td class=\"n\">{candidate}</td>"
            );
            assert_eq!(page.matches(&row).count(), times, "{row}");
        };
        counted("pg_stat_database.blks_hit", "4711", "4712", 1);
        // In the report of the candidate alone as well.
        counted("pg_stat_io.reads", "–", "815", 2);
        for outside in ["<script", "src=", "href=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside} leads outside");
        }
        assert_eq!(page.matches("<html").count(), 1);
        // Two of before and after, three of each side alone, four of each duet.
        assert_eq!(page.matches("<svg").count(), 2 + 3 + 3 + 4 + 4);
        assert_eq!(page.matches("How to read this").count(), 1);
    }

    #[test]
    fn without_a_measurement_at_the_end_nothing_is_compared() {
        let page = html_of_rollout(&RolloutLoads { last: None, ..all() });
        assert!(!page.contains("Before and after"));
        assert!(page.contains("api.load"));
    }
}
