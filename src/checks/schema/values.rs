//! Reads where sequences are, and where the columns end that they feed.
//!
//! Decides how that is asked: of many at once, but not of so many that their locks take the room that the application
//! needs. Asks for an end of a column only where an index answers. Never lets the value of a column out of here but to
//! be compared.

use std::collections::HashMap;

use super::{
    family::Object,
    sequences::{ACCESS, END_COLUMN, INCREMENT, is_descending},
    side::Side,
};
use crate::checks::trouble::Trouble;

/// Most sequences that one transaction reads.
const BATCH: usize = 100;

/// How far a sequence has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The value that it hands out next.
    Next(i128),
    /// The role may not read it.
    Unknown,
}

/// The next value of each sequence.
pub(super) async fn reaches<'a>(
    side: &Side<'_>,
    sequences: impl Iterator<Item = &'a Object>,
) -> Result<HashMap<Box<str>, Reach>, Trouble> {
    let sequences: Vec<&Object> = sequences.collect();
    let next = |sequence: &Object| {
        let increment: i64 = sequence.text(INCREMENT)?.parse().ok()?;
        if sequence.text(ACCESS)? == "row" {
            let step = format!("CASE WHEN is_called THEN {increment} ELSE 0 END");
            return Some(format!("(SELECT last_value::numeric + {step} FROM {})", sequence.name));
        }
        // Says nothing of a sequence that was set, or made, and not used since.
        let oid: u32 = sequence.text(ACCESS)?.parse().ok()?;
        Some(format!("pg_sequence_last_value({oid})::numeric + {increment}"))
    };
    let mut reaches: HashMap<_, _> =
        sequences.iter().map(|sequence| (sequence.name.clone(), Reach::Unknown)).collect();
    for (name, next) in values(side, &sequences, next).await? {
        reaches.insert(name, Reach::Next(next));
    }
    Ok(reaches)
}

/// The largest value of each column that has a sequence; the smallest where that counts down.
pub(super) async fn ends<'a>(
    side: &Side<'_>,
    sequences: impl Iterator<Item = &'a Object>,
) -> Result<HashMap<Box<str>, i128>, Trouble> {
    let end = |sequence: &Object| {
        let end = if is_descending(sequence) { "min" } else { "max" };
        let (column, table) = (sequence.text(END_COLUMN)?, sequence.parent.as_deref()?);
        Some(format!("(SELECT {end}({column}) FROM {table})"))
    };
    values(side, &sequences.collect::<Vec<_>>(), end).await
}

/// What each sequence's expression comes to; of those that have one, and that do not come to nothing.
async fn values(
    side: &Side<'_>,
    sequences: &[&Object],
    expression: impl Fn(&Object) -> Option<String>,
) -> Result<HashMap<Box<str>, i128>, Trouble> {
    let asked: Vec<(&Object, String)> =
        sequences.iter().filter_map(|sequence| Some((*sequence, expression(sequence)?))).collect();
    let mut values = HashMap::new();
    for batch in asked.chunks(BATCH) {
        let expressions: Vec<String> =
            batch.iter().map(|(_, expression)| format!("({expression})::text")).collect();
        let statement = format!("SELECT ARRAY[{}]", expressions.join(", "));
        let answers: Vec<Vec<Option<String>>> = side.read(&statement, None, |row| row.try_get(0)).await?;
        for ((sequence, _), answer) in batch.iter().zip(answers.into_iter().flatten()) {
            if let Some(value) = answer.and_then(|text| text.parse().ok()) {
                values.insert(sequence.name.clone(), value);
            }
        }
        side.let_go().await?;
    }
    Ok(values)
}
