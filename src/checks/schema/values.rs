//! Reads where sequences are, and where the columns end that they feed.
//!
//! Decides what has to be read: a sequence that was used tells its last value to a function, over all at once; of one
//! that was not, or was set to a value that it has yet to hand out, the row must be read. Asks for an end of a column
//! only where an index answers.

use std::collections::HashMap;

use super::{
    family::Object,
    sequences::{END_COLUMN, INCREMENT, LAST, MAY_SELECT, is_descending},
    side::Side,
};
use crate::checks::trouble::Trouble;

/// Most parts of one statement: few enough to plan quickly.
const BATCH: usize = 200;

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
    let mut reaches = HashMap::new();
    let mut unused: Vec<&Object> = Vec::new();
    for sequence in sequences {
        let number = |index: usize| sequence.text(index)?.parse::<i128>().ok();
        match (number(LAST), number(INCREMENT)) {
            (Some(last), Some(increment)) => {
                reaches.insert(sequence.name.clone(), Reach::Next(last + increment));
            }
            _ if sequence.text(MAY_SELECT).is_some() => unused.push(sequence),
            _ => {
                reaches.insert(sequence.name.clone(), Reach::Unknown);
            }
        }
    }
    let select = |index: usize, sequence: &Object| {
        let increment = sequence.text(INCREMENT).and_then(|text| text.parse::<i64>().ok()).unwrap_or(1);
        format!(
            "SELECT {index}, (last_value::numeric + CASE WHEN is_called THEN {increment} ELSE 0 END)::text FROM {}",
            sequence.name
        )
    };
    for (name, next) in batches(side, &unused, select).await? {
        reaches.insert(name, next.map_or(Reach::Unknown, Reach::Next));
    }
    Ok(reaches)
}

/// The largest value of each column that has a sequence; the smallest where that counts down.
pub(super) async fn ends<'a>(
    side: &Side<'_>,
    sequences: impl Iterator<Item = &'a Object>,
) -> Result<HashMap<Box<str>, i128>, Trouble> {
    let owned: Vec<&Object> = sequences.filter(|sequence| sequence.text(END_COLUMN).is_some()).collect();
    let select = |index: usize, sequence: &Object| {
        let end = if is_descending(sequence) { "min" } else { "max" };
        let (column, table) = (sequence.text(END_COLUMN).unwrap_or_default(), sequence.parent.as_deref());
        format!("SELECT {index}, (SELECT {end}({column}) FROM {})::text", table.unwrap_or_default())
    };
    let ends = batches(side, &owned, select).await?;
    Ok(ends.into_iter().filter_map(|(name, end)| Some((name, end?))).collect())
}

async fn batches(
    side: &Side<'_>,
    sequences: &[&Object],
    select: impl Fn(usize, &Object) -> String,
) -> Result<Vec<(Box<str>, Option<i128>)>, Trouble> {
    let mut answers = Vec::new();
    for batch in sequences.chunks(BATCH) {
        let parts: Vec<String> =
            batch.iter().enumerate().map(|(index, sequence)| select(index, sequence)).collect();
        let read = |row: &tokio_postgres::Row| {
            let index: i32 = row.try_get(0)?;
            let value: Option<&str> = row.try_get(1)?;
            Ok((index, value.and_then(|text| text.parse::<i128>().ok())))
        };
        for (index, value) in side.read(&parts.join("\nUNION ALL "), read).await? {
            if let Some(sequence) = usize::try_from(index).ok().and_then(|index| batch.get(index)) {
                answers.push((sequence.name.clone(), value));
            }
        }
    }
    Ok(answers)
}
