//! One table, on both sides.
//!
//! Decides in which way a table is gone through. What differs is left open: it is looked at again later.

use std::{pin::pin, sync::Arc, time::Instant};

use futures::{TryStreamExt, future::BoxFuture};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

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

/// Compares part after part, and beside it narrows down those that differ. Both have to go on at once: a statement that
/// nobody waits for keeps its session, and there are few of them.
async fn along_the_key(run: &Run<'_>, open: &mut Open) -> Result<(), Loss> {
    let size = ChunkRows::new(&run.pace);
    let subject = Arc::clone(&open.subject);
    let room = Semaphore::new(PARTS_MAX);
    // At most as many as there is room for.
    let (differing, mut parts) = mpsc::unbounded_channel();
    let compared = async {
        let digests = chunks::walk(run, LEGACY, &subject, &size)
            .map_ok(|range| part(run, &subject, &size, &room, range));
        let mut digests = pin!(digests.try_buffer_unordered(run.parallelism));
        let mut compared = 0;
        while let Some(part) = digests.try_next().await? {
            compared += part.digests[LEGACY].rows;
            run.went_on(&subject.table, part.digests[LEGACY].rows);
            let is_same = part.digests[LEGACY] == part.digests[CANDIDATE];
            if !is_same && differing.send(part).is_err() {
                break;
            }
        }
        drop(differing);
        Ok(compared)
    };
    let narrowed = async {
        while let Some(Part { range, digests, _room }) = parts.recv().await {
            narrow::range(run, open, range, digests).await?;
            if open.is_cut_short {
                break;
            }
        }
        parts.close();
        // Gives back the room that whatever still waits for it needs to come to its end.
        while parts.try_recv().is_ok() {}
        Ok(())
    };
    let (compared, ()) = tokio::try_join!(compared, narrowed)?;
    open.compared = compared;
    Ok(())
}

/// Most parts of a table that differ and wait to be looked into.
const PARTS_MAX: usize = 64;

/// A part of a table, and what both sides make of it.
struct Part<'a> {
    range: Range,
    digests: [Digest; 2],
    _room: Option<SemaphorePermit<'a>>,
}

/// What both sides make of one part, and how long that takes.
fn part<'a>(
    run: &'a Run<'_>,
    subject: &'a Subject,
    size: &'a ChunkRows,
    room: &'a Semaphore,
    range: Range,
) -> BoxFuture<'a, Result<Part<'a>, Loss>> {
    Box::pin(async move {
        let room = room.acquire().await.ok();
        run.pace.wait_for(size.get()).await;
        let started = Instant::now();
        let digests = narrow::digests(run, subject, &range).await?;
        size.learn(digests[LEGACY].rows.max(digests[CANDIDATE].rows), started.elapsed());
        Ok(Part { range, digests, _room: room })
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
