//! One table, on both sides.
//!
//! Decides in which way a table is gone through. What differs is left open: it is looked at again later.

use std::{pin::pin, sync::Arc, time::Instant};

use futures::{TryStreamExt, future::BoxFuture};

use super::{
    chunks,
    connections::Loss,
    doubt::Doubt,
    hash::Method,
    inventory::Table,
    narrow,
    open::Open,
    pace::ChunkRows,
    plan::{self, Common, Path, Plan},
    recheck,
    run::{CANDIDATE, LEGACY, Run},
    shape,
    statements::{Digest, Range, Subject},
};

/// Compares the rows of a table.
pub(super) async fn rows(run: &Run<'_>, table: &Table, method: Method, common: Common) -> Result<Open, Loss> {
    let (legacy, candidate) = tokio::try_join!(
        shape::ask(&run.servers[LEGACY], table.oids[LEGACY]),
        shape::ask(&run.servers[CANDIDATE], table.oids[CANDIDATE])
    )?;
    let (plan, notes) = plan::make(&table.shown, &[legacy, candidate], common);
    notes.into_iter().for_each(|note| run.find(note));
    let is_keyset = matches!(plan.path, Path::Keyset(_));
    let mut open = Open::new(Subject::new(table.clone(), plan, method, run.sample()));
    if is_keyset {
        Box::pin(along_the_key(run, &mut open)).await?;
    } else {
        in_one_scan(run, &mut open).await?;
    }
    Ok(open)
}

/// Compares the number of rows of a table.
pub(super) async fn count(run: &Run<'_>, table: &Table) -> Result<Open, Loss> {
    let plan = Plan { columns: Vec::new(), key: Vec::new(), path: Path::Scan("only counted") };
    let mut open = Open::new(Subject::new(table.clone(), plan, Method::Record, None));
    let now = recheck::whole(run, &open).await?;
    open.compared = now[LEGACY].rows;
    run.went_on(table, open.compared);
    if now[LEGACY] != now[CANDIDATE] {
        open.whole = Some(Doubt::new(now));
    }
    Ok(open)
}

async fn along_the_key(run: &Run<'_>, open: &mut Open) -> Result<(), Loss> {
    let size = ChunkRows::new(&run.pace);
    let subject = Arc::clone(&open.subject);
    let digests =
        chunks::walk(run, LEGACY, &subject, &size).map_ok(|range| part(run, &subject, &size, range));
    let mut digests = pin!(digests.try_buffer_unordered(run.parallelism));
    while let Some((range, digests)) = digests.try_next().await? {
        open.compared += digests[LEGACY].rows;
        run.went_on(&subject.table, digests[LEGACY].rows);
        if digests[LEGACY] != digests[CANDIDATE] {
            narrow::range(run, open, range, digests).await?;
        }
        if open.is_cut_short {
            break;
        }
    }
    Ok(())
}

/// What both sides make of one part, and how long that takes.
fn part<'a>(
    run: &'a Run<'_>,
    subject: &'a Subject,
    size: &'a ChunkRows,
    range: Range,
) -> BoxFuture<'a, Result<(Range, [Digest; 2]), Loss>> {
    Box::pin(async move {
        run.pace.wait_for(size.get()).await;
        let started = Instant::now();
        let digests = narrow::digests(run, subject, &range).await?;
        size.learn(digests[LEGACY].rows.max(digests[CANDIDATE].rows), started.elapsed());
        Ok((range, digests))
    })
}

async fn in_one_scan(run: &Run<'_>, open: &mut Open) -> Result<(), Loss> {
    let now = recheck::whole(run, open).await?;
    open.compared = now[LEGACY].rows;
    run.went_on(&open.subject.table, open.compared);
    if now[LEGACY] != now[CANDIDATE] {
        let rows = now[LEGACY].rows.max(now[CANDIDATE].rows);
        open.whole = Some(Doubt::new(now));
        if !open.subject.plan.key.is_empty() {
            narrow::buckets(run, open, rows).await?;
        }
    }
    Ok(())
}
