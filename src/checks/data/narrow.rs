//! From a part that differs to the rows that do.
//!
//! Decides how a part is split: into sixteen, by the keys of the side that has more rows, until few enough are left to
//! fetch the keys and hashes of all of them. Never fetches anything else.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::{
    connections::{Loss, value},
    doubt::Doubt,
    open::{Hashes, Open, SUSPECTS_MAX, Suspect},
    recheck,
    run::{CANDIDATE, LEGACY, Run},
    statements::{Digest, Key, Range, Subject, digest, read_digest, read_key},
};

/// Pieces that a part is split into.
const PIECES: u64 = 16;
/// Rows of a part whose rows are fetched.
const LEAF_ROWS: u64 = 500;
/// Most rows that are fetched of a part, which may have grown since it was counted.
pub(super) const FETCHED_MAX: usize = 2000;
/// Rows that a bucket shall have.
const BUCKET_ROWS: u64 = 250;
/// Most buckets, which a server answers with a row each.
const BUCKETS_MAX: u64 = 16_384;

/// What both sides make of a range, at the same time.
pub(super) async fn digests(run: &Run<'_>, subject: &Subject, range: &Range) -> Result<[Digest; 2], Loss> {
    let ask = |side| {
        let statement = subject.digest(side, range);
        async move { digest(&run.part(side, &statement).await?) }
    };
    let (legacy, candidate) = tokio::try_join!(ask(LEGACY), ask(CANDIDATE))?;
    Ok([legacy, candidate])
}

/// Finds the rows of `range` that differ, or stops once that many are certain that more of them would tell nothing.
pub(super) async fn range(
    run: &Run<'_>,
    open: &mut Open,
    range: Range,
    digests_of_it: [Digest; 2],
) -> Result<(), Loss> {
    let mut parts = vec![(range, digests_of_it)];
    while let Some((part, digests_of_it)) = parts.pop() {
        let [legacy, candidate] = &digests_of_it;
        let larger = if legacy.rows >= candidate.rows { LEGACY } else { CANDIDATE };
        let rows = digests_of_it[larger].rows;
        run.pace.go_ahead_with(rows).await;
        let found = if rows <= LEAF_ROWS { leaf(run, open, &part).await? } else { None };
        let found = if let Some(found) = found {
            found
        } else {
            // It is too large, or has become so since it was counted.
            let pieces = split(run, open, &part, larger, rows.max(LEAF_ROWS)).await?;
            let found = pieces.len();
            parts.extend(pieces);
            found
        };
        if found == 0 {
            open.has_settled();
        }
        if open.suspects.len() >= SUSPECTS_MAX {
            recheck::now(run, open).await?;
            if open.is_certain() {
                open.is_cut_short = true;
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The pieces of a part that differ.
async fn split(
    run: &Run<'_>,
    open: &Open,
    part: &Range,
    side: usize,
    rows: u64,
) -> Result<Vec<(Range, [Digest; 2])>, Loss> {
    let step = rows.div_ceil(PIECES).max(1);
    let statement = open.subject.boundaries(side, part, step);
    let mut bounds = Vec::new();
    for row in run.part(side, &statement).await? {
        bounds.push(Some(read_key(&row, 0)?));
    }
    bounds.push(part.up_to.clone());
    let mut pieces = Vec::new();
    let mut after = part.after.clone();
    for up_to in bounds {
        // The last boundary may be the end itself.
        if after.is_some() && after == up_to {
            continue;
        }
        let piece = Range { after: after.clone(), up_to: up_to.clone() };
        run.pace.go_ahead_with(step).await;
        let of_it = digests(run, &open.subject, &piece).await?;
        if of_it[LEGACY] != of_it[CANDIDATE] {
            pieces.push((piece, of_it));
        }
        after = up_to;
    }
    Ok(pieces)
}

/// Compares the rows of a part one by one; tells how many differ, or nothing where not all of them were fetched.
async fn leaf(run: &Run<'_>, open: &mut Open, part: &Range) -> Result<Option<usize>, Loss> {
    let ask = |side| {
        let statement = open.subject.rows(side, part, FETCHED_MAX);
        async move { run.part(side, &statement).await }
    };
    let (legacy, candidate) = tokio::try_join!(ask(LEGACY), ask(CANDIDATE))?;
    if legacy.len().max(candidate.len()) >= FETCHED_MAX {
        return Ok(None);
    }
    suspect(open, &[legacy, candidate]).map(Some)
}

/// Finds the differing rows of a table that can't be followed along its key: those of as many differing buckets as
/// can be fetched. The other buckets are in doubt as a whole.
pub(super) async fn buckets(run: &Run<'_>, open: &mut Open, rows: u64) -> Result<(), Loss> {
    run.pace.go_ahead_with(rows).await;
    let buckets = (rows / BUCKET_ROWS).next_power_of_two().clamp(1, BUCKETS_MAX);
    let ask = |side| {
        let statement = open.subject.buckets(side, buckets);
        async move { read_buckets(&run.whole(side, &statement).await?) }
    };
    let (mut legacy, candidate) = tokio::try_join!(ask(LEGACY), ask(CANDIDATE))?;
    let mut differing: BTreeMap<i64, u64> = BTreeMap::new();
    for (bucket, digest) in candidate {
        let other = legacy.remove(&bucket).unwrap_or_default();
        if other != digest {
            differing.insert(bucket, digest.rows.max(other.rows));
        }
    }
    differing.extend(legacy.into_iter().map(|(bucket, digest)| (bucket, digest.rows)));
    let mut fetched = 0;
    let all = differing.len();
    let limit = u64::try_from(FETCHED_MAX).unwrap_or(u64::MAX);
    let some: Vec<i64> = differing
        .into_iter()
        .take_while(|(_, rows)| {
            fetched += rows;
            fetched <= limit
        })
        .map(|(bucket, _)| bucket)
        .collect();
    let is_all = some.len() == all;
    if !some.is_empty() {
        run.pace.go_ahead_with(rows).await;
        let ask = |side| {
            let statement = open.subject.bucket_rows(side, buckets, &some, FETCHED_MAX);
            async move { run.whole(side, &statement).await }
        };
        let (legacy, candidate) = tokio::try_join!(ask(LEGACY), ask(CANDIDATE))?;
        suspect(open, &[legacy, candidate])?;
    }
    if is_all {
        // Every difference has a name, or is gone.
        open.whole = None;
        if open.suspects.is_empty() {
            open.has_settled();
        }
    }
    Ok(())
}

fn read_buckets(rows: &[Row]) -> Result<BTreeMap<i64, Digest>, Loss> {
    rows.iter().map(|row| Ok((value(row, 2)?, read_digest(row)?))).collect()
}

/// Suspects every key whose rows are not the same in both answers; tells how many there are.
fn suspect(open: &mut Open, answers: &[Vec<Row>; 2]) -> Result<usize, Loss> {
    let before = open.suspects.len();
    for (key, now) in by_key(answers)? {
        if now[LEGACY] != now[CANDIDATE] {
            open.suspects.push(Suspect { key, doubt: Doubt::new(now) });
        }
    }
    Ok(open.suspects.len() - before)
}

/// The hashes of each key's rows, by side.
pub(super) fn by_key(answers: &[Vec<Row>; 2]) -> Result<BTreeMap<Key, [Hashes; 2]>, Loss> {
    let mut rows: BTreeMap<Key, [Hashes; 2]> = BTreeMap::new();
    for (side, answer) in answers.iter().enumerate() {
        for row in answer {
            rows.entry(read_key(row, 1)?).or_default()[side].push(value(row, 0)?);
        }
    }
    rows.values_mut().flatten().for_each(|hashes| hashes.sort_unstable());
    Ok(rows)
}
