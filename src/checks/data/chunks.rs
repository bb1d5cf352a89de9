//! A table in parts.
//!
//! Decides where one part ends and the next begins: so many rows further along the key, on the side that is followed.
//! The first part has no beginning and the last one no end, so no row on either side is outside. Never holds more than
//! one boundary.

use futures::{Stream, stream};

use super::{
    connections::Loss,
    pace::ChunkRows,
    run::Run,
    statements::{Range, Subject, read_key},
};

/// The parts of a table, as `side` has it.
pub(super) fn walk<'a>(
    run: &'a Run<'a>,
    side: usize,
    subject: &'a Subject,
    size: &'a ChunkRows,
) -> impl Stream<Item = Result<Range, Loss>> + 'a {
    stream::try_unfold(Some(Range::default()), move |rest| async move {
        let Some(rest) = rest else {
            return Ok(None);
        };
        let up_to = if rest.after.is_none() && is_small(subject, size) {
            None
        } else {
            let statement = subject.boundary(side, &rest, size.get());
            run.part(side, &statement).await?.first().map(|row| read_key(row, 0)).transpose()?
        };
        let next = up_to.clone().map(|after| Range { after: Some(after), up_to: None });
        Ok(Some((Range { up_to, ..rest }, next)))
    })
}

/// Whether one part will do; a table that nobody has counted is not taken for small.
fn is_small(subject: &Subject, size: &ChunkRows) -> bool {
    (1..=size.get()).contains(&subject.table.estimate)
}
