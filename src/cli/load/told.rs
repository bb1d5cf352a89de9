//! How the report of a load is printed.

use std::{fmt::Write as _, io::Write as _};

use comfy_table::{ContentArrangement, Table, presets};

use super::Output;
use crate::{
    load::report::{self, Arm, Comparison, LoadReport, Percentiles},
    text::milliseconds,
};

pub(super) fn print(report: &LoadReport, output: Output) -> anyhow::Result<()> {
    let text = match output {
        Output::Table => describe(report),
        Output::Json => serde_json::to_string_pretty(report)? + "\n",
        Output::Html => report::html(report),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn describe(report: &LoadReport) -> String {
    let mut text = format!("{:?}: {}\n", report.verdict, report.message);
    // Writing to a String can't fail.
    let _ = write!(text, "\n{}\n", sides(report));
    for (name, arm) in report.arms.each() {
        for class in &arm.error_classes {
            let _ = writeln!(text, "{name}: {class}");
        }
    }
    if !report.comparison.is_empty() {
        let _ = write!(text, "\n{}\n", comparison(&report.comparison));
    }
    match report.noise_shared {
        Some(true) => text.push_str("\nnoise: shared by both servers\n"),
        Some(false) => text.push_str(
            "\nnoise: not shared by the servers; a ratio needs 10 to 30 minutes, absolute limits carry the verdict\n",
        ),
        None => {}
    }
    for note in &report.notes {
        let _ = writeln!(text, "note: {note}");
    }
    let generator = &report.generator;
    let _ = writeln!(
        text,
        "generator: late by {} (p50) and {} (p99), {:.1} µs of processor time a statement; {:.1} s measured; seed {}",
        milliseconds(generator.send_lag_p50_us),
        milliseconds(generator.send_lag_p99_us),
        generator.cpu_us_per_statement,
        report.duration_s,
        report.seed
    );
    text
}

fn sides(report: &LoadReport) -> Table {
    let mut table = table();
    table.set_header([
        "",
        "scheduled",
        "ok",
        "errors",
        "timeouts",
        "skipped",
        "p50",
        "p95",
        "p99",
        "slowest",
        "service p95",
    ]);
    for (name, arm) in report.arms.each() {
        let Arm { scheduled, ok, errors, timeouts, skipped, .. } = arm;
        let counts = [scheduled, ok, errors, timeouts, skipped].map(ToString::to_string);
        let samples = ok + errors + timeouts;
        let latencies = percentiles(&arm.latency, samples);
        let service = shown(arm.service.p95_us, samples, 95);
        table.add_row([name.to_owned()].into_iter().chain(counts).chain(latencies).chain([service]));
    }
    table
}

fn percentiles(latency: &Percentiles, samples: u64) -> [String; 4] {
    let Percentiles { p50_us, p95_us, p99_us, max_us } = *latency;
    [shown(p50_us, samples, 50), shown(p95_us, samples, 95), shown(p99_us, samples, 99), milliseconds(max_us)]
}

/// A percentile, or why there is none.
fn shown(us: Option<u64>, samples: u64, percent: u64) -> String {
    let why = if report::enough(samples, percent) { "failed" } else { "too few" };
    us.map_or_else(|| why.to_owned(), milliseconds)
}

fn comparison(compared: &[Comparison]) -> Table {
    let mut table = table();
    table.set_header(["class", "", "ratio", "from", "to", "margin", "difference", "verdict"]);
    for row in compared {
        let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "?".to_owned(), |ratio| format!("{ratio:.3}"));
        table.add_row([
            row.class.clone(),
            row.percentile.clone(),
            ratio(Some(row.ratio)),
            ratio(row.low),
            ratio(row.high),
            ratio(Some(row.margin)),
            format!("{:+} µs", row.shift_us),
            format!("{:?}", row.verdict),
        ]);
    }
    table
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_failures_are_not_told_as_too_few_statements() {
        let told =
            |samples| percentiles(&Percentiles { p50_us: Some(400), ..Percentiles::default() }, samples);
        assert_eq!(told(999)[1..3], ["failed", "too few"]);
        assert_eq!(told(1_000)[1..3], ["failed", "failed"]);
        assert_eq!(told(199)[1..3], ["too few", "too few"]);
    }
}
