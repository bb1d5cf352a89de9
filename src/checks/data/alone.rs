//! The candidate by itself, after the move.
//!
//! Decides that every table can be read to its end: what legacy holds is history by then. Never asks legacy anything.

use std::{pin::pin, time::Instant};

use futures::{TryStreamExt, future::BoxFuture};

use super::{
    chunks,
    connections::Loss,
    hash::Method,
    inventory::Table,
    pace::ChunkRows,
    plan::{self, Common, Path},
    run::{CANDIDATE, Run},
    shape,
    statements::{Digest, Range, Subject, digest},
};
use crate::api::DataMode;

/// Reads all rows of a table, or counts them.
pub(super) async fn read(run: &Run<'_>, table: &Table, method: Method) -> Result<(), Loss> {
    let shape = shape::ask(&run.servers[CANDIDATE], table.oids[CANDIDATE]).await?;
    let (plan, _) = plan::make(&table.shown, &[shape.clone(), shape], Common { is_same_encoding: true });
    let is_keyset = matches!(plan.path, Path::Keyset(_)) && run.question.mode != DataMode::Count;
    let subject = Subject::new(table.clone(), plan, method, run.sample());
    if is_keyset {
        return along_the_key(run, &subject).await;
    }
    let statement = match run.question.mode {
        DataMode::Count => subject.count(CANDIDATE),
        DataMode::Sample | DataMode::Full => subject.digest(CANDIDATE, &Range::default()),
    };
    run.pace.wait_for(table.estimate).await;
    let rows = digest(&run.whole(CANDIDATE, &statement).await?)?.rows;
    run.went_on(table, rows);
    Ok(())
}

async fn along_the_key(run: &Run<'_>, subject: &Subject) -> Result<(), Loss> {
    let size = ChunkRows::new(&run.pace);
    let parts = chunks::walk(run, CANDIDATE, subject, &size)
        .map_ok(|range| -> BoxFuture<'_, _> { Box::pin(read_part(run, subject, &size, range)) });
    let mut parts = pin!(parts.try_buffer_unordered(run.parallelism));
    while let Some(part) = parts.try_next().await? {
        run.went_on(&subject.table, part.rows);
    }
    Ok(())
}

async fn read_part(run: &Run<'_>, subject: &Subject, size: &ChunkRows, range: Range) -> Result<Digest, Loss> {
    run.pace.wait_for(size.get()).await;
    let started = Instant::now();
    let part = digest(&run.part(CANDIDATE, &subject.digest(CANDIDATE, &range)).await?)?;
    size.learn(part.rows, started.elapsed());
    Ok(part)
}
