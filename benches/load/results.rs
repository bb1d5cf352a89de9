//! Verdicts that are kept, so that runs of many evenings add up, and what they are worth together.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
};

use cutover::api::Verdict;
use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF};

use crate::{
    command::Ran,
    machine::{self, Processors, figure},
};

/// One `cutover load`.
#[derive(Serialize, Deserialize)]
pub struct Line {
    /// When it ended.
    at: String,
    /// What was done, such as `shared` or `index-gone`.
    pub what: String,
    /// Seconds that it was asked to take.
    pub asked_s: u32,
    /// Seconds until its verdict.
    pub duration_s: f64,
    pub verdict: Verdict,
    /// Whether both sides were asked the same in what only reads; else a coin sent each call to one of them, as until
    /// 2026-11-29. What the verdicts are worth is not the same.
    #[serde(default)]
    asked_alike: bool,
    seed: u64,
    noise_shared: Option<bool>,
    /// Candidate by legacy, of all statements: p50, p95, p99; 0 where too few blocks were independent to tell.
    pub ratios: [f64; 3],
    /// Legacy's own p95, in microseconds.
    legacy_p95_us: Option<u64>,
    /// How busy the processors were, in percent, and the load at the end.
    busy_percent: f64,
    load: f64,
    /// Where it was no `Pass`: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl Line {
    pub fn new(what: &str, asked_s: u32, ran: &Ran, processors: Processors) -> Self {
        let report = &ran.report;
        let ratio = |percentile: &str| {
            let of =
                |row: &&cutover::load::report::Comparison| row.class == "all" && row.percentile == percentile;
            report.comparison.iter().find(of).map_or(0.0, |row| thousandths(row.ratio))
        };
        Self {
            at: jiff::Timestamp::now().strftime("%FT%TZ").to_string(),
            what: what.to_owned(),
            asked_s,
            duration_s: report.duration_s,
            verdict: report.verdict,
            asked_alike: true,
            seed: report.seed,
            noise_shared: report.noise_shared,
            ratios: ["p50", "p95", "p99"].map(ratio),
            legacy_p95_us: report.arms.legacy.as_ref().and_then(|arm| arm.latency.p95_us),
            busy_percent: processors.busy_percent().round(),
            load: machine::load(),
            why: (report.verdict != Verdict::Pass).then(|| report.message.clone()),
        }
    }

    /// What its verdict can be counted with.
    fn group(&self) -> (&str, u32, bool) {
        (&self.what, self.asked_s, self.asked_alike)
    }
}

fn thousandths(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/load/results").join(format!("{name}.jsonl"))
}

/// One line in one write: an interruption leaves no half of one.
pub fn add(name: &str, line: &Line) {
    let mut text = serde_json::to_string(line).expect("it can be written");
    text.push('\n');
    let mut file =
        OpenOptions::new().create(true).append(true).open(file(name)).expect("the folder is there");
    file.write_all(text.as_bytes()).expect("the disk has room");
}

pub fn all(name: &str) -> Vec<Line> {
    let text = std::fs::read_to_string(file(name)).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a line of results")).collect()
}

/// `count` of `all` in percent, with the bounds of Clopper and Pearson (95 %, two-sided).
pub fn share(count: usize, all: usize) -> String {
    let number = |count: usize| figure(u64::try_from(count).expect("few"));
    let bound = |a: f64, b: f64, at: f64| Beta::new(a, b).expect("positive").inverse_cdf(at) * 100.0;
    let (hits, misses) = (number(count), number(all - count));
    let low = if count == 0 { 0.0 } else { bound(hits, misses + 1.0, 0.025) };
    let high = if count == all { 100.0 } else { bound(hits + 1.0, misses, 0.975) };
    format!("{count} of {all}, {:.1} % [{low:.1}, {high:.1}]", 100.0 * hits / number(all))
}

/// For each thing that was done, for as long: the shares of the verdicts, and what the loads themselves measured when they ended,
/// which a `Fail` that came early makes look worse than it is.
pub fn summary(name: &str) {
    let lines = all(name);
    let mut groups: Vec<_> = lines.iter().map(Line::group).collect();
    groups.sort_unstable();
    groups.dedup();
    for group in groups {
        let of: Vec<_> = lines.iter().filter(|line| line.group() == group).collect();
        let count = |verdict| share(of.iter().filter(|line| line.verdict == verdict).count(), of.len());
        let ratio = |at: usize| {
            let mut ratios: Vec<_> =
                of.iter().map(|line| line.ratios[at]).filter(|ratio| *ratio > 0.0).collect();
            ratios.sort_by(f64::total_cmp);
            ratios.get(ratios.len() / 2).map_or(f64::NAN, |median| 100.0 * (median - 1.0))
        };
        let (what, asked_s, asked_alike) = group;
        let dealt = if asked_alike { "" } else { " (each call by a coin)" };
        println!(
            "{name} {what}{dealt}, {asked_s} s: Fail {}; Pass {}; Inconclusive {}; median p50 {:+.1} %, p95 {:+.1} %, p99 {:+.1} %",
            count(Verdict::Fail),
            count(Verdict::Pass),
            count(Verdict::Inconclusive),
            ratio(0),
            ratio(1),
            ratio(2),
        );
    }
}

/// The value of a word such as `runs=20`.
pub fn runs(words: &[String]) -> Option<u32> {
    words.iter().find_map(|word| word.strip_prefix("runs=")).map(|runs| runs.parse().expect("runs=NUMBER"))
}

/// The length of each run, such as `120s`.
pub fn seconds(words: &[String]) -> u32 {
    words.iter().find_map(|word| word.strip_suffix('s')?.parse().ok()).unwrap_or(60)
}
