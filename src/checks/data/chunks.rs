//! A table in parts.
//!
//! Decides where one part ends and the next begins: so many rows further along the key, on the side that is followed.
//! The first part has no beginning and the last one no end, so no row on either side is outside. Never holds more than
//! one boundary, and never goes by how many rows the statistics say there are: they may be as old as they like.

use futures::{Stream, stream};

use super::{
    connections::Loss,
    pace::ChunkRows,
    run::Run,
    statements::{Key, Range, Subject, read_key},
};

/// Boundaries in a row that are reckoned instead of asked for, once the key has no gaps.
const RECKONED_MAX: u32 = 8;

/// Where a walk is.
struct Walk {
    rest: Range,
    /// Boundaries that may still be reckoned before the next is asked for: it shows whether there still are no gaps, and
    /// where the table ends.
    reckoned_left: u32,
}

/// The parts of a table, as `side` has it.
pub(super) fn walk<'a>(
    run: &'a Run<'a>,
    side: usize,
    subject: &'a Subject,
    size: &'a ChunkRows,
) -> impl Stream<Item = Result<Range, Loss>> + 'a {
    let begin = Walk { rest: Range::default(), reckoned_left: 0 };
    stream::try_unfold(Some(begin), move |walk| async move {
        let Some(Walk { rest, reckoned_left }) = walk else {
            return Ok(None);
        };
        let rows = size.get();
        let reckoned = reckon(subject.integer_key(), rest.after.as_ref(), rows);
        let (up_to, reckoned_left) = match (reckoned_left.checked_sub(1), reckoned) {
            (Some(left), Some(reckoned)) => (Some(reckoned), left),
            (_, reckoned) => {
                let statement = subject.boundary(side, &rest, rows);
                let found =
                    run.part(side, &statement).await?.first().map(|row| read_key(row, 0)).transpose()?;
                let has_no_gaps = found.is_some() && found == reckoned;
                (found, if has_no_gaps { RECKONED_MAX } else { 0 })
            }
        };
        let next = up_to
            .clone()
            .map(|after| Walk { rest: Range { after: Some(after), up_to: None }, reckoned_left });
        Ok(Some((Range { up_to, ..rest }, next)))
    })
}

/// The key that lies so many whole numbers further on, of a key that is one whole number and not above `most`. There are
/// no more rows than that in between, for keys are unique; where the key has no gaps, exactly as many.
fn reckon(most: Option<i64>, after: Option<&Key>, rows: u64) -> Option<Key> {
    let [after] = after?.as_slice() else {
        return None;
    };
    let further = after.parse::<i64>().ok()?.checked_add_unsigned(rows)?;
    (further <= most?).then(|| vec![further.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_is_reckoned_only_within_the_type_of_a_single_whole_number() {
        let key = |text: &str| Some(vec![text.to_owned()]);
        let reckoned = |most, after: Option<Key>| reckon(most, after.as_ref(), 100);
        assert_eq!(reckoned(Some(i64::MAX), key("-40")), key("60"));
        assert_eq!(reckoned(Some(2_147_483_647), key("2147483547")), key("2147483647"));
        assert_eq!(reckoned(Some(2_147_483_647), key("2147483548")), None, "beyond the type");
        assert_eq!(reckoned(Some(i64::MAX), key("9223372036854775807")), None, "beyond all whole numbers");
        assert_eq!(reckoned(None, key("1")), None, "another type");
        assert_eq!(reckoned(Some(i64::MAX), Some(vec!["1".to_owned(), "2".to_owned()])), None, "two columns");
        assert_eq!(reckoned(Some(i64::MAX), None), None, "no beginning");
    }
}
