//! Does one read-only statement answer as expected?
//!
//! Expected is a text (`equals`), a range (`min`, `max`), or the same rows on both sides (`same`). A single value is
//! demanded where a value is compared, so that a statement which finds nothing never passes by accident.
//! After the move the candidate alone is asked where both were: the application writes there, so legacy is history.
//! Never shows a value that isn't a number or a boolean: it may be user data.

use std::time::Duration;

use super::{
    Answer, Asking, Moment,
    bounds::{Bounds, show_number},
    decimal::Decimal,
    rows::{Kind, Rows, fetch},
    trouble::Trouble,
};
use crate::{
    api::{SqlCheck, SqlTarget, Verdict},
    postgres::Target,
};

pub(super) async fn ask(question: &SqlCheck, asking: &Asking<'_>) -> Result<Answer, Trouble> {
    let timeout = asking.timeout;
    let is_after_the_move = asking.moment == Moment::After;
    let targets = match question.against {
        SqlTarget::Legacy => (Some(asking.legacy()?), None),
        SqlTarget::Both if !is_after_the_move => (Some(asking.legacy()?), Some(asking.candidate()?)),
        SqlTarget::Candidate | SqlTarget::Both => (None, Some(asking.candidate()?)),
    };
    // At once, so that both are asked about the same moment as nearly as two servers can be.
    let (legacy, candidate) =
        tokio::join!(fetch_some(targets.0, question, timeout), fetch_some(targets.1, question, timeout));
    let mut answer = if question.same && is_after_the_move {
        count(candidate)
    } else if question.same {
        compare(legacy, candidate)
    } else {
        combine(legacy.map(|rows| judge(question, rows)), candidate.map(|rows| judge(question, rows)))
    };
    answer.expected = answer.expected.or_else(|| Some(expectation(question)));
    if question.against == SqlTarget::Both && is_after_the_move {
        answer.message.push_str("; legacy is not asked: the application writes to the candidate by now");
    }
    Ok(answer)
}

async fn fetch_some(
    target: Option<&Target>,
    question: &SqlCheck,
    timeout: Duration,
) -> Option<Result<Rows, Trouble>> {
    Some(fetch(target?, &question.query, timeout).await)
}

fn expectation(question: &SqlCheck) -> String {
    let bounds = Bounds::new(question.min.as_deref(), question.max.as_deref()).expectation();
    question.equals.clone().or(bounds).unwrap_or_else(|| "the same rows on both sides".to_owned())
}

/// The worse verdict counts; the evidence of both is kept.
fn combine(legacy: Option<Answer>, candidate: Option<Answer>) -> Answer {
    match (legacy, candidate) {
        (Some(legacy), Some(candidate)) => Answer {
            verdict: legacy.verdict.max(candidate.verdict),
            message: format!("legacy: {}; candidate: {}", legacy.message, candidate.message),
            measured: candidate.measured,
            baseline: legacy.measured,
            samples: candidate.samples,
            ..Answer::default()
        },
        (Some(answer), None) | (None, Some(answer)) => answer,
        (None, None) => Answer::default(),
    }
}

/// One side's answer to `equals`, `min` and `max`.
fn judge(question: &SqlCheck, rows: Result<Rows, Trouble>) -> Answer {
    let rows = match rows {
        Ok(rows) => rows,
        Err(trouble) => return Answer::new(trouble.verdict, trouble.message),
    };
    let samples = i64::try_from(rows.rows.len()).unwrap_or(i64::MAX);
    let (kind, value) = match (rows.columns.as_slice(), rows.rows.as_slice()) {
        ([kind], [row]) if row.len() == 1 => (*kind, row[0].as_deref()),
        (columns, rows) => {
            let message = format!(
                "the statement must return exactly one row with one column to be compared; it returned {} rows with {} columns",
                rows.len(),
                columns.len()
            );
            return Answer { samples, ..Answer::new(Verdict::Fail, message) };
        }
    };
    let shown = show(kind, value);
    let (verdict, message) = match fault(question, kind, value) {
        None => (Verdict::Pass, format!("the statement answers {shown}, as expected")),
        Some(reason) => (Verdict::Fail, format!("the statement answers {shown}, {reason}")),
    };
    Answer { verdict, message, measured: Some(shown), samples, ..Answer::default() }
}

/// What is wrong with the value, if anything.
fn fault(question: &SqlCheck, kind: Kind, value: Option<&str>) -> Option<String> {
    if let Some(expected) = &question.equals {
        let is_equal = value == Some(expected) || (kind == Kind::Boolean && value == boolean(expected));
        return (!is_equal).then(|| format!("not {expected}"));
    }
    Bounds::new(question.min.as_deref(), question.max.as_deref()).fault(value)
}

/// PostgreSQL writes booleans `t` and `f` here, and people `true` and `false`.
fn boolean(text: &str) -> Option<&str> {
    match text {
        "true" => Some("t"),
        "false" => Some("f"),
        _ => None,
    }
}

/// What may be shown of a value. The server says what type a column is, so what it sends is not taken at its word.
fn show(kind: Kind, value: Option<&str>) -> String {
    let Some(text) = value else {
        return "NULL".to_owned();
    };
    match (kind, text) {
        (Kind::Boolean, "t") => "true".to_owned(),
        (Kind::Boolean, "f") => "false".to_owned(),
        (Kind::Number, "NaN" | "Infinity" | "-Infinity") => text.to_owned(),
        (Kind::Number, _) if Decimal::parse(text).is_some() => show_number(text),
        _ => format!("text of {} bytes", text.len()),
    }
}

/// `same`: every row equal, in order.
fn compare(legacy: Option<Result<Rows, Trouble>>, candidate: Option<Result<Rows, Trouble>>) -> Answer {
    let (legacy, candidate) = match (legacy, candidate) {
        (Some(Ok(legacy)), Some(Ok(candidate))) => (legacy, candidate),
        (legacy, candidate) => return combine(trouble(legacy), trouble(candidate)),
    };
    let difference = difference(&legacy, &candidate);
    let samples = i64::try_from(candidate.rows.len()).unwrap_or(i64::MAX);
    let (verdict, message) = match difference {
        None => (Verdict::Pass, format!("{samples} rows, the same on both sides")),
        Some(difference) => (Verdict::Fail, difference),
    };
    Answer {
        verdict,
        message,
        measured: Some(summary(&candidate)),
        baseline: Some(summary(&legacy)),
        samples,
        ..Answer::default()
    }
}

/// `same` where there is nothing left to compare with: the statement must still be answered.
fn count(candidate: Option<Result<Rows, Trouble>>) -> Answer {
    match candidate {
        Some(Ok(rows)) => {
            let samples = i64::try_from(rows.rows.len()).unwrap_or(i64::MAX);
            let (measured, expected) = (Some(summary(&rows)), Some("an answer".to_owned()));
            Answer { measured, expected, samples, ..Answer::new(Verdict::Pass, format!("{samples} rows")) }
        }
        candidate => trouble(candidate).unwrap_or_default(),
    }
}

fn trouble(rows: Option<Result<Rows, Trouble>>) -> Option<Answer> {
    Some(match rows? {
        Ok(rows) => Answer::new(Verdict::Pass, format!("{} rows", rows.rows.len())),
        Err(trouble) => Answer::new(trouble.verdict, trouble.message),
    })
}

fn difference(legacy: &Rows, candidate: &Rows) -> Option<String> {
    if legacy.columns.len() != candidate.columns.len() {
        let (l, c) = (legacy.columns.len(), candidate.columns.len());
        return Some(format!("legacy returns {l} columns, the candidate {c}"));
    }
    for (index, (left, right)) in legacy.rows.iter().zip(&candidate.rows).enumerate() {
        if let Some(column) = left.iter().zip(right).position(|(left, right)| left != right) {
            let kind = legacy.columns.get(column).copied().unwrap_or(Kind::Other);
            let (left, right) = (show(kind, left[column].as_deref()), show(kind, right[column].as_deref()));
            return Some(format!(
                "row {}, column {}: legacy has {left}, the candidate {right}; if the order is open, add an ORDER BY",
                index + 1,
                column + 1
            ));
        }
    }
    let (l, c) = (legacy.rows.len(), candidate.rows.len());
    (l != c).then(|| format!("legacy returns {l} rows, the candidate {c}"))
}

/// A single value where there is one, else the number of rows.
fn summary(rows: &Rows) -> String {
    match (rows.columns.as_slice(), rows.rows.as_slice()) {
        ([kind], [row]) if row.len() == 1 => show(*kind, row[0].as_deref()),
        (_, rows) => format!("{} rows", rows.len()),
    }
}

#[cfg(test)]
mod tests;
