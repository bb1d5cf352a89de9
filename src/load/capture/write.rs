//! The model as a file: one entry of `spec.traffic`, in YAML, with what a person should know beside it.
//!
//! Decides nothing about the model; that the text reads as the model that it was written from is proven by the caller.
//! Comments hold no text of a statement that may have user data in it.

use std::fmt::Write as _;

use super::{
    CaptureOptions,
    census::Census,
    draw::Drawn,
    entry::{Entry, Fate},
};
use crate::api::{Access, Parameter, Statement, Traffic};

/// Longest part of a comment, in characters.
const MAX_COMMENT: usize = 300;

pub(super) fn yaml(
    traffic: &Traffic,
    entries: &[Entry],
    census: &Census,
    summary: &[String],
    options: &CaptureOptions,
) -> String {
    let mut out = String::new();
    header(&mut out, census, summary, options);
    let access = match traffic.access {
        Access::ReadOnly => "ReadOnly",
        Access::ReadWrite => "ReadWrite",
    };
    line(&mut out, 0, &format!("name: {}", text(&traffic.name)));
    line(&mut out, 0, &format!("access: {access}"));
    line(&mut out, 0, "statements:");
    let taken = entries.iter().filter(|entry| entry.fate == Fate::Taken);
    for (statement, entry) in traffic.statements.iter().zip(taken) {
        out.push('\n');
        write_statement(&mut out, statement, entry, &census.share(entry.calls));
    }
    let left: Vec<_> = entries.iter().filter(|entry| entry.fate == Fate::Unusable).collect();
    if !left.is_empty() {
        out.push('\n');
        comment(&mut out, 0, "Left out; put right what is said, and they can go in:");
    }
    for entry in left {
        comment(&mut out, 0, "");
        let reason = entry.reason.as_deref().unwrap_or("it can't be used");
        comment(&mut out, 0, &format!("{} of the calls: {reason}", census.share(entry.calls)));
        entry.sql.lines().for_each(|sql| comment(&mut out, 0, &format!("  {sql}")));
    }
    out
}

fn header(out: &mut String, census: &Census, summary: &[String], options: &CaptureOptions) {
    let values = if options.with_values {
        "It holds values from the statistics of the columns, which are user data (--with-values)."
    } else {
        "No value of a table is in this file: parameters are sampled from their columns when a load starts."
    };
    let lines = [
        format!("The traffic that database {} has seen, as pg_stat_statements has it.", census.database),
        "One entry of spec.traffic of a DatabaseRollout; weights are calls. Edit it as you see fit."
            .to_owned(),
        values.to_owned(),
    ];
    for text in lines.iter().map(String::as_str) {
        comment(out, 0, text);
    }
    for text in summary {
        comment(out, 0, &format!("- {text}"));
    }
    out.push('\n');
}

fn write_statement(out: &mut String, statement: &Statement, entry: &Entry, share: &str) {
    comment(out, 0, &format!("{share} of the calls"));
    line(out, 0, &format!("- sql: {}", sql(statement.sql.as_deref().unwrap_or_default())));
    if statement.access == Some(Access::ReadOnly) {
        line(out, 2, "access: ReadOnly");
    }
    line(out, 2, &format!("weight: {}", statement.weight));
    if !entry.params.is_empty() {
        line(out, 2, "params:");
    }
    for (index, Drawn { parameter, note }) in entry.params.iter().enumerate() {
        let number = index + 1;
        line(out, 2, &format!("- {} # ${number}: {}", flow(parameter), printable(note)));
    }
}

fn flow(parameter: &Parameter) -> String {
    // JSON is YAML; one line of it is what a person can edit.
    let json = serde_json::to_string(parameter).unwrap_or_default();
    let bare = |key: &str| (format!("\"{key}\":"), format!("{key}: "));
    let mut out = json;
    // A key in a value would have its quotes escaped, and so never looks like one.
    for key in [
        "int", "min", "max", "skew", "sequence", "start", "step", "choice", "values", "sample", "table",
        "column", "count",
    ] {
        let (quoted, plain) = bare(key);
        out = out.replace(&format!("{{{quoted}"), &format!("{{{plain}"));
        out = out.replace(&format!(",{quoted}"), &format!(", {plain}"));
    }
    // Names of the API's own need no quotes.
    ["Uniform", "Zipf"]
        .iter()
        .fold(out, |out, skew| out.replace(&format!("skew: \"{skew}\""), &format!("skew: {skew}")))
}

/// A block where the text allows it, so that it reads as it was written.
fn sql(sql: &str) -> String {
    let is_plain = |line: &str| {
        !line.ends_with(char::is_whitespace)
            && !line.chars().any(|c| {
                c.is_control() || c == '\u{feff}' || c == '\u{2028}' || c == '\u{2029}' || c == '\u{85}'
            })
    };
    let first_is_flush = !sql.starts_with(char::is_whitespace);
    if !sql.is_empty()
        && first_is_flush
        && sql.lines().all(is_plain)
        && !sql.ends_with('\n')
        && !sql.contains('\r')
    {
        let mut block = "|-".to_owned();
        for line in sql.lines() {
            let _ = write!(block, "\n{}{line}", if line.is_empty() { "" } else { "    " });
        }
        return block;
    }
    text(sql)
}

fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn line(out: &mut String, indent: usize, text: &str) {
    let _ = writeln!(out, "{}{text}", " ".repeat(indent));
}

fn comment(out: &mut String, indent: usize, text: &str) {
    let text = printable(text);
    line(out, indent, format!("# {text}").trim_end());
}

fn printable(text: &str) -> String {
    let printable = |c: char| {
        if c.is_control() || c == '\u{2028}' || c == '\u{2029}' || c == '\u{feff}' { ' ' } else { c }
    };
    text.chars().take(MAX_COMMENT).map(printable).collect()
}
