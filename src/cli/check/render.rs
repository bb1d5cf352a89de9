//! Reports, for people and for programs.

use std::io::Write;

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::{
    api::Verdict,
    checks::{CheckReport, Finding},
};

/// How reports are written to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Table,
    /// One JSON object.
    Json,
    /// The same as YAML.
    Yaml,
}

/// The reports of all checks of a manifest.
#[derive(Serialize)]
struct Reports<'a> {
    verdict: Verdict,
    checks: &'a [CheckReport],
}

/// Writes one report, as itself.
pub(super) fn one(format: Format, report: &CheckReport, out: &mut impl Write) -> anyhow::Result<()> {
    match format {
        Format::Table => Ok(write!(out, "{}", describe(report))?),
        Format::Json | Format::Yaml => structured(format, report, out),
    }
}

/// Writes the reports of a manifest, with the worst of their verdicts.
pub(super) fn all(format: Format, reports: &[CheckReport], out: &mut impl Write) -> anyhow::Result<()> {
    if format != Format::Table {
        return structured(format, &Reports { verdict: worst(reports), checks: reports }, out);
    }
    for report in reports {
        writeln!(out, "{}", describe(report))?;
    }
    let mut table = table();
    table.set_header(["check", "kind", "verdict", "findings", "took"]);
    for report in reports {
        let (took, findings) = (seconds(report.duration_ms), report.findings_total.to_string());
        table.add_row([&report.name, &report.check, &format!("{:?}", report.verdict), &findings, &took]);
    }
    Ok(writeln!(out, "{table}")?)
}

/// The worst of the verdicts.
pub(super) fn worst(reports: &[CheckReport]) -> Verdict {
    reports.iter().map(|report| report.verdict).max().unwrap_or(Verdict::Error)
}

fn structured(format: Format, value: &impl Serialize, out: &mut impl Write) -> anyhow::Result<()> {
    match format {
        Format::Yaml => write!(out, "{}", serde_saphyr::to_string(value)?)?,
        _ => writeln!(out, "{}", serde_json::to_string_pretty(value)?)?,
    }
    Ok(())
}

fn describe(report: &CheckReport) -> String {
    let mut lines = vec![format!("{:?}: {}: {}", report.verdict, report.name, report.message)];
    let facts =
        [("measured", &report.measured), ("expected", &report.expected), ("on legacy", &report.baseline)];
    lines
        .extend(facts.into_iter().filter_map(|(what, value)| Some(format!("  {what}: {}", value.as_ref()?))));
    if !report.findings.is_empty() {
        let mut table = table();
        table.set_header(["weighs", "kind", "object", "finding"]);
        for finding in &report.findings {
            table.add_row([
                &format!("{:?}", finding.severity),
                &finding.kind,
                &finding.object,
                &told(finding),
            ]);
        }
        lines.push(table.to_string());
    }
    let hidden = report.findings_total - i64::try_from(report.findings.len()).unwrap_or(i64::MAX);
    if hidden > 0 {
        lines.push(format!("and {hidden} more"));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn told(finding: &Finding) -> String {
    let evidence = finding.evidence.iter().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{name}: {value}")
    });
    std::iter::once(finding.message.clone()).chain(evidence).collect::<Vec<_>>().join("\n")
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table
}

fn seconds(milliseconds: i64) -> String {
    format!("{}.{:03} s", milliseconds / 1000, milliseconds % 1000)
}
