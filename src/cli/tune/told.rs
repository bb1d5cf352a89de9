//! How the outcome of a measurement is printed.

use std::{fmt::Write as _, io::Write as _};

use serde_json::{Value, json};

use super::{Advice, Outcome, Output};
use crate::text::milliseconds;

pub(super) fn print(outcome: &Outcome, output: Output) -> anyhow::Result<()> {
    let text = match output {
        Output::Table => table(outcome),
        Output::Json => format!("{:#}\n", object(outcome)),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn table(outcome: &Outcome) -> String {
    let mut text = format!("{:>6}  {:>14}  {:>10}  {}\n", "SIZE", "STATEMENTS/S", "P99", "ROUNDS");
    for measured in &outcome.measured {
        let p99 = measured.p99_us.map_or_else(|| "failed".to_owned(), milliseconds);
        let rounds: Vec<String> = measured.rounds.iter().map(ToString::to_string).collect();
        let (size, rate) = (measured.size, measured.per_second());
        // Writing to a String can't fail.
        let _ = writeln!(text, "{size:>6}  {rate:>14}  {p99:>10}  {}", rounds.join(" "));
    }
    for note in &outcome.notes {
        let _ = writeln!(text, "note: {note}");
    }
    let _ = writeln!(text, "{}", sentence(&outcome.advice));
    text
}

fn sentence(advice: &Advice) -> String {
    match advice {
        Advice::Size { size, still_grows: false } => format!(
            "recommended: {size} connections, of all processes together; more of them get no more than 5 % more through"
        ),
        Advice::Size { size, still_grows: true } => format!(
            "recommended: {size} connections at least, of all processes together; the largest size still gained, so measure larger ones, too"
        ),
        Advice::Unclear(why) => format!("no recommendation: {why}"),
    }
}

fn object(outcome: &Outcome) -> Value {
    let sizes = outcome.measured.iter().map(|measured| {
        json!({"size": measured.size, "perSecond": measured.per_second(), "rounds": measured.rounds,
            "p99Us": measured.p99_us, "ok": measured.ok, "failed": measured.failed})
    });
    let (recommended, still_grows) = match &outcome.advice {
        Advice::Size { size, still_grows } => (Some(*size), *still_grows),
        Advice::Unclear(_) => (None, false),
    };
    json!({"sizes": sizes.collect::<Vec<_>>(), "recommended": recommended, "stillGrows": still_grows,
        "message": sentence(&outcome.advice), "notes": outcome.notes})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tune::Measured;

    fn outcome(advice: Advice) -> Outcome {
        let measured =
            Measured { size: 4, rounds: vec![90, 120, 100], p99_us: Some(1234), ok: 930, failed: 0 };
        Outcome { measured: vec![measured], advice, notes: vec!["left out: 64".to_owned()] }
    }

    #[test]
    fn a_table_has_the_middle_round_and_the_recommendation() {
        let table = table(&outcome(Advice::Size { size: 4, still_grows: true }));
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines[1].split_whitespace().collect::<Vec<_>>(),
            ["4", "100", "1.234", "ms", "90", "120", "100"]
        );
        assert_eq!(lines[2], "note: left out: 64");
        assert!(lines[3].starts_with("recommended: 4 connections at least"), "{table}");
    }

    #[test]
    fn json_has_no_recommendation_where_it_is_unclear() {
        let object = object(&outcome(Advice::Unclear("noise".to_owned())));
        assert_eq!(
            (&object["recommended"], object["sizes"][0]["p99Us"].as_u64()),
            (&Value::Null, Some(1234))
        );
        assert_eq!(object["message"], "no recommendation: noise");
    }
}
