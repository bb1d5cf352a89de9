//! Looks again at what differed.
//!
//! Decides when: three times, each pause twice as long as the one before. Only what is still in doubt is looked at.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream};
use tokio::time::sleep;

use super::{
    connections::Loss,
    narrow::{FETCHED_MAX, by_key},
    open::Open,
    plan::Path,
    run::{CANDIDATE, LEGACY, Run},
    statements::{Digest, Key, Range, Statement, digest},
};
use crate::api::DataMode;

/// The pauses before each look.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// Keys of one statement.
const KEYS_AT_ONCE: usize = 100;

/// Looks again at one table, whose rest is still to be compared, and closes its doubts about rows.
pub(super) async fn now(run: &Run<'_>, open: &mut Open) -> Result<(), Loss> {
    for pause in PAUSES {
        if !open.is_in_doubt() {
            break;
        }
        sleep(pause).await;
        look(run, open).await?;
    }
    open.settle();
    Ok(())
}

/// Looks again at all of these tables, and says what came of it.
pub(super) async fn all(run: &Run<'_>, opens: Vec<Open>) -> Result<(), Loss> {
    let mut opens = opens;
    for pause in PAUSES {
        if !opens.iter().any(Open::is_in_doubt) {
            break;
        }
        run.looks_again();
        sleep(pause).await;
        opens = again(run, opens).await?;
    }
    let is_count = run.question.mode == DataMode::Count;
    for finding in opens.into_iter().flat_map(|open| open.findings(is_count)) {
        run.find(finding);
    }
    Ok(())
}

/// One more look at each table; those that a server refuses to read by now are left out, and a finding.
async fn again(run: &Run<'_>, opens: Vec<Open>) -> Result<Vec<Open>, Loss> {
    let looks = stream::iter(opens).map(|mut open| -> BoxFuture<'_, Result<Option<Open>, Loss>> {
        Box::pin(async move {
            let outcome = look(run, &mut open).await;
            Ok(run.unless_refused(&open.subject.table, outcome)?.map(|()| open))
        })
    });
    let looked: Vec<Option<Open>> = looks.buffer_unordered(run.parallelism).try_collect().await?;
    Ok(looked.into_iter().flatten().collect())
}

async fn look(run: &Run<'_>, open: &mut Open) -> Result<(), Loss> {
    if open.whole.as_ref().is_some_and(|doubt| !doubt.is_settled()) {
        let now = whole(run, open).await?;
        if let Some(doubt) = &mut open.whole {
            doubt.look(now);
        }
    }
    let is_keyset = matches!(open.subject.plan.path, Path::Keyset(_));
    let positions: Vec<usize> =
        (0..open.suspects.len()).filter(|index| !open.suspects[*index].doubt.is_settled()).collect();
    for some in positions.chunks(KEYS_AT_ONCE) {
        run.pace.go_ahead_with(u64::try_from(some.len()).unwrap_or(u64::MAX)).await;
        let keys: Vec<&Key> = some.iter().map(|index| &open.suspects[*index].key).collect();
        let ask = |side| {
            let statement = open.subject.named(side, &keys, FETCHED_MAX);
            async move {
                if is_keyset { run.part(side, &statement).await } else { run.whole(side, &statement).await }
            }
        };
        let (legacy, candidate) = tokio::try_join!(ask(LEGACY), ask(CANDIDATE))?;
        let mut now = by_key(&[legacy, candidate])?;
        for index in some {
            let suspect = &mut open.suspects[*index];
            suspect.doubt.look(now.remove(&suspect.key).unwrap_or_default());
        }
    }
    Ok(())
}

/// What both sides make of a whole table, at the same time, in one scan each.
pub(super) async fn whole(run: &Run<'_>, open: &Open) -> Result<[Digest; 2], Loss> {
    run.pace.wait_for(open.subject.table.estimate).await;
    let ask = |side| {
        let statement: Statement = match run.question.mode {
            DataMode::Count => open.subject.count(side),
            DataMode::Sample | DataMode::Full => open.subject.digest(side, &Range::default()),
        };
        async move { digest(&run.whole(side, &statement).await?) }
    };
    let (legacy, candidate) = tokio::try_join!(ask(LEGACY), ask(CANDIDATE))?;
    Ok([legacy, candidate])
}
