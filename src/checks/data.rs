//! `data`: do both databases hold the same rows?
//!
//! Decides, table by table, whether the rows are the same: in number, or in every value, as the application would read
//! them. The servers hash, this side compares the hashes: no row is moved, and the memory that it takes does not depend
//! on how many there are. A difference is narrowed down to the keys of its rows, and looked at again before it counts.
//!
//! Never waits behind a lock for long, never holds a snapshot for longer than a part of a table takes, and never fetches
//! a value that is not part of a key. What can't be compared is a finding.

use futures::{TryStreamExt, future::BoxFuture};
use tokio::time::timeout;

use super::{Answer, Asking, Finding, Moment, Trouble};
use crate::{
    api::{DataCheck, DataMode, Verdict},
    duration,
};

mod alone;
mod chunks;
mod compare;
mod connections;
mod doubt;
mod hash;
mod inventory;
mod kinds;
mod narrow;
mod open;
mod pace;
mod plan;
mod recheck;
mod run;
mod shape;
mod statements;

use connections::{Loss, value};
use inventory::{Inventory, Table};
pub(super) use kinds::KINDS;
use open::Open;
use plan::Common;
use run::{CANDIDATE, LEGACY, Run, Tally};

/// Tables whose differences are looked at again together.
const TABLES_AT_ONCE: usize = 100;
/// The share of the check's time after which what has been found so far is said.
const LAST_WORD: (u32, u32) = (19, 20);

pub(super) async fn ask(question: &DataCheck, asking: &Asking<'_>) -> Result<Answer, Trouble> {
    let candidate = asking.candidate()?;
    let run = Run::new(question, asking, [asking.legacy()?, candidate]);
    let limit = asking.left() * LAST_WORD.0 / LAST_WORD.1;
    let work: BoxFuture<'_, Result<(), Loss>> = match asking.moment {
        Moment::Before => Box::pin(both(&run)),
        Moment::After => Box::pin(alone(&run)),
    };
    let trouble = match timeout(limit, work).await {
        Ok(Ok(())) => None,
        Ok(Err(loss)) => Some(trouble(loss)),
        Err(_) => Some(out_of_time(&run)),
    };
    Ok(conclude(&run, trouble))
}

/// Both sides, against each other.
async fn both(run: &Run<'_>) -> Result<(), Loss> {
    let take = |side: usize| inventory::take(&run.servers[side], run.question);
    let (legacy, candidate) = tokio::try_join!(take(LEGACY), take(CANDIDATE))?;
    let (tables, found) = inventory::pair(&legacy, &candidate);
    begin(run, &tables, found, &legacy, "legacy");
    drop((legacy, candidate));
    compare(run, tables).await
}

/// Some tables at a time, so that what they leave open is bounded; it is looked at again together, for the sake of the
/// pauses. Never while tables are being read: those would keep their sessions.
async fn compare(run: &Run<'_>, mut tables: Vec<Table>) -> Result<(), Loss> {
    let is_count = run.question.mode == DataMode::Count;
    let (method, common) = if is_count {
        (hash::Method::Record, Common { is_same_encoding: true })
    } else {
        in_common(run).await?
    };
    while !tables.is_empty() {
        let rest = tables.split_off(tables.len().min(TABLES_AT_ONCE));
        let looks = run.each(std::mem::replace(&mut tables, rest), |table| {
            Box::pin(async move {
                if is_count {
                    compare::count(run, &table).await
                } else {
                    compare::rows(run, &table, method, common).await
                }
            })
        });
        let opens: Vec<Open> = looks.try_collect().await?;
        recheck::all(run, opens).await?;
    }
    Ok(())
}

/// What both servers have in common, and the way of hashing that follows.
async fn in_common(run: &Run<'_>) -> Result<(hash::Method, Common), Loss> {
    let encoding = |side: usize| async move {
        let sql =
            "SELECT pg_encoding_to_char(encoding)::text FROM pg_database WHERE datname = current_database()";
        let rows = run.servers[side].rows(sql, &[], run.asking.left()).await?;
        rows.first().map_or(Ok(String::new()), |row| value::<String>(row, 0))
    };
    let (legacy, candidate) = tokio::try_join!(encoding(LEGACY), encoding(CANDIDATE))?;
    if legacy != candidate {
        return Ok((hash::Method::Digest, Common { is_same_encoding: false }));
    }
    Ok((run.method(&[LEGACY, CANDIDATE]).await?, Common { is_same_encoding: true }))
}

/// The candidate by itself.
async fn alone(run: &Run<'_>) -> Result<(), Loss> {
    let candidate = inventory::take(&run.servers[CANDIDATE], run.question).await?;
    let (tables, found) = inventory::alone(&candidate);
    begin(run, &tables, found, &candidate, "the candidate");
    drop(candidate);
    let method = run.method(&[CANDIDATE]).await?;
    let reads = run.each(tables, |table| Box::pin(async move { alone::read(run, &table, method).await }));
    reads.try_collect().await
}

fn begin(run: &Run<'_>, tables: &[Table], found: Vec<Finding>, entries: &Inventory, side: &str) {
    let unused = inventory::unused(run.question, entries, side);
    found.into_iter().chain(unused).for_each(|finding| run.find(finding));
    run.with_tally(|tally| {
        tally.tables_total = u64::try_from(tables.len()).unwrap_or(u64::MAX);
        tally.rows_total = tables.iter().map(|table| table.estimate).sum();
    });
}

fn trouble(loss: Loss) -> Trouble {
    match loss {
        Loss::Side(trouble) => trouble,
        Loss::Statement(side, fault) => Trouble::from(fault).about(side),
    }
}

fn out_of_time(run: &Run<'_>) -> Trouble {
    let limit = duration::format(run.asking.timeout);
    let last: Vec<String> = run
        .servers
        .iter()
        .filter_map(|server| {
            Some(format!("; the last trouble with {}: {}", server.name, server.last_fault()?))
        })
        .collect();
    Trouble::error(format!(
        "not finished within the check's timeout of {limit}: give it more time, fewer tables or mode: Sample{}",
        last.concat()
    ))
}

/// What was found counts even if the check did not come to its end; a check that did not is never a pass.
fn conclude(run: &Run<'_>, trouble: Option<Trouble>) -> Answer {
    let Tally { mut findings, tables, rows, tables_total, is_any_locked, .. } = run.tally();
    findings.shrink(super::FINDINGS_MAX);
    let how = match (run.asking.moment, run.question.mode) {
        (Moment::After, _) => "read on the candidate alone, for the application writes there now",
        (_, DataMode::Count) => "counted",
        (_, DataMode::Sample) => "compared by a sample of their rows",
        (_, DataMode::Full) => "compared by all of their rows",
    };
    let compared = format!("{tables} of {tables_total} tables, {rows} rows, {how}");
    let has_failed = findings.fails > 0;
    let has_findings = findings.total() > 0;
    let mut answer = Answer::from_findings(findings, &compared);
    if is_any_locked && answer.verdict != Verdict::Fail {
        answer.verdict = Verdict::Inconclusive;
    }
    if tables_total == 0 && answer.verdict != Verdict::Fail {
        answer.verdict = Verdict::Inconclusive;
        answer.message =
            format!("there is no table to look at; is it the right database? {}", answer.message);
    }
    answer.samples = i64::try_from(rows).unwrap_or(i64::MAX);
    if let Some(trouble) = trouble {
        let found = if has_findings { format!("; until then: {}", answer.message) } else { String::new() };
        answer.verdict = if has_failed { Verdict::Fail } else { trouble.verdict };
        answer.message = format!("{}{found}", trouble.message);
    }
    answer
}
