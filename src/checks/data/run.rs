//! One run of the check: its servers, and what it has come to so far.
//!
//! Decides how the tables share the connections: a few tables at a time, each with as many parts at a time as there are
//! connections. Everything runs within one future: dropping it ends it all.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::{
    StreamExt, TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use tokio_postgres::Row;

use super::{
    super::{Asking, Finding, finding::Findings, trouble::Trouble},
    connections::{Loss, Server, value},
    hash::{METHODS, Method, Sample},
    inventory::Table,
    kinds,
    pace::Pace,
    statements::Statement,
};
use crate::{
    api::{DataCheck, DataMode},
    postgres::ErrorClass,
};

/// Position of each side in a pair.
pub(super) const LEGACY: usize = 0;
pub(super) const CANDIDATE: usize = 1;
/// Connections on each side where the spec says nothing.
const PARALLELISM: usize = 2;
/// Longest that the part of a table may take, which is made to take less than a second.
const PART_LIMIT: Duration = Duration::from_mins(5);

/// A run of the check.
pub(super) struct Run<'a> {
    pub(super) question: &'a DataCheck,
    pub(super) asking: &'a Asking<'a>,
    pub(super) servers: [Server<'a>; 2],
    pub(super) parallelism: usize,
    pub(super) pace: Pace,
    tally: Mutex<Tally>,
}

/// What a run has come to.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) findings: Findings,
    pub(super) tables: u64,
    pub(super) rows: u64,
    /// Whether a table was left out because somebody held a lock on it.
    pub(super) is_any_locked: bool,
    /// Zero until it is known.
    pub(super) tables_total: u64,
    pub(super) rows_total: u64,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        question: &'a DataCheck,
        asking: &'a Asking<'a>,
        targets: [&'a crate::postgres::Target; 2],
    ) -> Self {
        let parallelism = question
            .parallelism
            .and_then(|wanted| usize::try_from(wanted).ok())
            .unwrap_or(PARALLELISM)
            .max(1);
        Self {
            question,
            asking,
            // One more on legacy looks for the next part while the others read theirs.
            servers: [
                Server::new("legacy", targets[0], asking, parallelism + 1),
                Server::new("candidate", targets[1], asking, parallelism),
            ],
            parallelism,
            pace: Pace::new(question.max_rows_per_second),
            tally: Mutex::new(Tally::default()),
        }
    }

    /// Which rows are looked at, if not all.
    pub(super) fn sample(&self) -> Option<Sample> {
        let seed = self.question.seed.unwrap_or(0);
        (self.question.mode == DataMode::Sample)
            .then(|| Sample { percent: self.question.percent.unwrap_or(1).clamp(1, 100), seed })
    }

    pub(super) fn tally(&self) -> Tally {
        self.with_tally(|tally| tally.clone())
    }

    pub(super) fn with_tally<T>(&self, act: impl FnOnce(&mut Tally) -> T) -> T {
        act(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn find(&self, finding: Finding) {
        self.with_tally(|tally| tally.findings.add(finding, &self.asking.check.accept));
    }

    /// Tells how far it has come.
    pub(super) fn went_on(&self, table: &Table, rows: u64) {
        let (done, total) = self.with_tally(|tally| {
            tally.rows += rows;
            (tally.rows, tally.rows_total.max(tally.rows))
        });
        self.asking.progress.tell(table.shown.clone(), done, total);
    }

    /// Tells what the pauses are for.
    pub(super) fn looks_again(&self) {
        let (done, total) = self.with_tally(|tally| (tally.rows, tally.rows_total.max(tally.rows)));
        self.asking.progress.tell("once more what differed", done, total);
    }

    /// A part of a table, from one side.
    pub(super) async fn part(&self, side: usize, statement: &Statement) -> Result<Vec<Row>, Loss> {
        self.servers[side].rows(&statement.sql, &statement.parameters, PART_LIMIT).await
    }

    /// A whole table, from one side: for as long as the check has time.
    pub(super) async fn whole(&self, side: usize, statement: &Statement) -> Result<Vec<Row>, Loss> {
        self.servers[side].rows(&statement.sql, &statement.parameters, self.asking.left()).await
    }

    /// The fastest way of hashing that is the same on these sides.
    pub(super) async fn method(&self, sides: &[usize]) -> Result<Method, Loss> {
        for method in METHODS {
            match self.self_test(method, sides).await {
                Ok(sums) if sums.iter().all(|sum| *sum == sums[0] && !sum.is_empty()) => return Ok(method),
                Ok(_) => {}
                // An older server does not know the function.
                Err(Loss::Statement(_, fault)) if fault.class == ErrorClass::Undefined => {}
                Err(loss) => return Err(loss),
            }
        }
        let message =
            "both servers answer the same question about hashes differently; neither can be trusted";
        Err(Loss::Side(Trouble::error(message)))
    }

    async fn self_test(&self, method: Method, sides: &[usize]) -> Result<Vec<String>, Loss> {
        let mut sums = Vec::new();
        for side in sides {
            let rows = self.servers[*side].rows(&method.self_test(), &[], PART_LIMIT).await?;
            sums.push(rows.first().map_or(Ok(String::new()), |row| value(row, 1))?);
        }
        Ok(sums)
    }

    /// Looks at all tables, some at a time. A table that a server refuses to read is a finding, and the others go on.
    pub(super) fn each<'r, T: Send + 'r>(
        &'r self,
        tables: Vec<Table>,
        look: impl Fn(Table) -> BoxFuture<'r, Result<T, Loss>> + Send + 'r,
    ) -> BoxStream<'r, Result<T, Loss>> {
        let looks = stream::iter(tables).map(move |table| -> BoxFuture<'r, Result<Option<T>, Loss>> {
            let looked = look(table.clone());
            Box::pin(async move {
                let outcome = looked.await;
                self.with_tally(|tally| tally.tables += 1);
                self.unless_refused(&table, outcome)
            })
        });
        let seen = looks.buffer_unordered(self.parallelism);
        Box::pin(seen.try_filter_map(|outcome| futures::future::ready(Ok(outcome))))
    }

    /// Makes a finding of what a server refuses about one table.
    pub(super) fn unless_refused<T>(
        &self,
        table: &Table,
        outcome: Result<T, Loss>,
    ) -> Result<Option<T>, Loss> {
        match outcome {
            Ok(outcome) => Ok(Some(outcome)),
            Err(Loss::Statement(side, fault)) => {
                // A lock is given back: it says nothing about the table.
                let is_locked = fault.class == ErrorClass::LockTimeout;
                let kind = if is_locked { &kinds::TABLE_LOCKED } else { &kinds::TABLE_UNREADABLE };
                self.with_tally(|tally| tally.is_any_locked |= is_locked);
                self.find(Finding::new(kind, &table.shown, format!("{side}: {fault}")));
                Ok(None)
            }
            Err(loss) => Err(loss),
        }
    }
}
