//! The traffic that a server has seen, as a model that a person can read and edit.
//!
//! Decides which statements of `pg_stat_statements` are taken (those that are called most, that can be prepared, and that
//! only read unless asked otherwise), with which weights (their calls), and where their parameters come from: the column
//! that each is compared with, whose values are sampled when a load starts. No value of user data gets into the model
//! unless asked for: texts that still hold literals are left out, and statistics are read only then. Reads catalogs and
//! statistics, never a table, and writes nothing on the server.

use std::time::Duration;

use crate::{
    api::{Access, Statement, Traffic, Via},
    postgres::{ConnectError, ConnectOptions, Fault, Limits, Session, Target, Witness},
};

mod census;
mod columns;
mod draw;
mod entry;
mod literal;
mod write;

use census::Census;
use columns::Catalog;
use entry::{Entry, Fate};

/// Longest that a step of connecting may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest that one question may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Most bytes that the server may send.
const BYTE_BUDGET: u64 = 64 << 20;
/// Most statements that are looked at in vain before the rest is left alone.
const MAX_TRIED: usize = 500;

/// What is wanted of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureOptions {
    /// The name of the model.
    pub name: String,
    /// Most statements that are taken.
    pub top: usize,
    /// Statements that were called less often are not taken.
    pub min_calls: i64,
    /// Whether values from the columns' statistics may be written into the model.
    pub with_values: bool,
    /// Whether statements that write are taken, too.
    pub writes: bool,
}

/// Why nothing was captured.
#[derive(thiserror::Error, Debug, PartialEq, Eq, Clone)]
pub enum CaptureError {
    /// The database can't be connected to.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server could not be asked.
    #[error("the server's statistics could not be read: {0}")]
    Read(Fault),
    /// A statement could not be prepared in time.
    #[error(
        "the server did not prepare a statement within {0} s; a table is locked, it seems: capture again when that is over"
    )]
    Locked(u64),
    /// What is prepared on a pooler's connections stays there for the application.
    #[error(
        "the server is reached by way of a pooler that hands its connections on to the application: name the direct endpoint"
    )]
    Pooled,
    /// The extension is not there.
    #[error(
        "pg_stat_statements is not installed in this database: add it to shared_preload_libraries, restart the server, and \
         run CREATE EXTENSION pg_stat_statements"
    )]
    NotInstalled,
    /// The extension's library is not loaded.
    #[error(
        "pg_stat_statements collects nothing: add it to shared_preload_libraries and restart the server; then let the \
         application run for a while"
    )]
    NotLoaded,
    /// All that there is was sent by others, and is hidden.
    #[error(
        "pg_stat_statements shows this role none of the statements that others sent: grant it pg_read_all_stats, or connect \
         as the application's role"
    )]
    Hidden,
    /// Nothing of what there is can be taken.
    #[error("pg_stat_statements has no statement of this database that can be taken{0}")]
    Nothing(String),
    /// The model that was made is not one.
    #[error("the captured model can't be used; this is a bug of cutover: {0}")]
    Unusable(String),
}

/// What was captured.
#[derive(Debug, Clone, PartialEq)]
pub struct Captured {
    /// The model.
    pub traffic: Traffic,
    /// The same, as one entry of `spec.traffic` in YAML, with comments.
    pub yaml: String,
    /// What was taken and what was not, one thing a line.
    pub summary: Vec<String>,
}

/// Captures the traffic that the server of `target` has seen in its database.
pub async fn capture(target: &Target, options: &CaptureOptions) -> Result<Captured, CaptureError> {
    let connect = ConnectOptions { purpose: "capture", step_timeout: STEP_TIMEOUT, byte_budget: BYTE_BUDGET };
    let session = Session::connect(target, &connect).await?;
    session.refill_budget();
    let captured = match session.facts().via {
        Via::Pooler if is_handed_on(target, &connect).await? => Err(CaptureError::Pooled),
        _ => capture_in(&session, options).await,
    };
    session.close().await;
    captured
}

/// Whether others come by what is prepared. A pooler in session mode, or a proxy that gives out processes of its own making, is none
/// of their doing.
async fn is_handed_on(target: &Target, connect: &ConnectOptions) -> Result<bool, CaptureError> {
    let witness =
        Witness::begin(Session::connect(target, connect).await?).await.map_err(CaptureError::Read)?;
    let holding = Session::connect(target, connect).await?;
    holding.begin(&limits()).await.map_err(CaptureError::Read)?;
    let is_handed_on = witness.is_handed_on(&holding).await.map_err(CaptureError::Read);
    holding.close().await;
    is_handed_on
}

async fn capture_in(session: &Session, options: &CaptureOptions) -> Result<Captured, CaptureError> {
    let census = Census::read(session).await?;
    let mut catalog = Catalog::new(session, options.with_values);
    let mut entries = Vec::new();
    let mut taken = 0;
    let mut samples = Vec::new();
    for seen in census.statements.iter().take(MAX_TRIED) {
        if taken == options.top || seen.calls < options.min_calls {
            break;
        }
        let mut entry = Entry::of(session, &mut catalog, seen, options).await?;
        entry.add_samples(&mut samples);
        taken += usize::from(entry.fate == Fate::Taken);
        entries.push(entry);
    }
    let summary = census.summary(&entries, options);
    let traffic = traffic(&entries, options);
    if traffic.statements.is_empty() {
        let reasons = if summary.is_empty() { String::new() } else { format!(": {}", summary.join("; ")) };
        return Err(if census.is_all_hidden() {
            CaptureError::Hidden
        } else {
            CaptureError::Nothing(reasons)
        });
    }
    let yaml = write::yaml(&traffic, &entries, &census, &summary, options);
    proven(&yaml, &traffic)?;
    Ok(Captured { traffic, yaml, summary })
}

/// What is written must be what was meant, and must be a model that a load takes.
fn proven(yaml: &str, traffic: &Traffic) -> Result<(), CaptureError> {
    let read: Traffic =
        serde_saphyr::from_str(yaml).map_err(|_| CaptureError::Unusable("it is not YAML".to_owned()))?;
    if read != *traffic {
        return Err(CaptureError::Unusable("it does not read as it was written".to_owned()));
    }
    super::check(&read).map_err(|error| CaptureError::Unusable(error.to_string()))
}

fn traffic(entries: &[Entry], options: &CaptureOptions) -> Traffic {
    let taken = || entries.iter().filter(|entry| entry.fate == Fate::Taken);
    let most = taken().map(|entry| entry.calls).max().unwrap_or(1);
    let statement = |entry: &Entry| Statement {
        name: None,
        // In a model that writes, what only reads is told apart.
        access: (options.writes && !entry.writes).then_some(Access::ReadOnly),
        sql: Some(entry.sql.clone()),
        transaction: Vec::new(),
        weight: weight(entry.calls, most),
        params: entry.params.iter().map(|drawn| drawn.parameter.clone()).collect(),
    };
    let access = if options.writes { Access::ReadWrite } else { Access::ReadOnly };
    let statements = taken().map(statement).collect();
    Traffic { name: options.name.clone(), access, statements, scripts: Vec::new() }
}

/// The calls, scaled down where they are more than a weight may be.
fn weight(calls: i64, most: i64) -> i32 {
    const MOST: i64 = 1_000_000;
    let scaled = if most <= MOST {
        calls
    } else {
        i64::try_from(i128::from(calls) * i128::from(MOST) / i128::from(most)).unwrap_or(MOST)
    };
    i32::try_from(scaled.clamp(1, MOST)).unwrap_or(1)
}

/// The limits of every question.
fn limits() -> Limits {
    Limits {
        read_only: true,
        statement_timeout: TIMEOUT,
        lock_timeout: STEP_TIMEOUT,
        idle_in_transaction_timeout: TIMEOUT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_keep_the_proportions_of_the_calls() {
        assert_eq!((weight(5, 10), weight(10, 10)), (5, 10));
        assert_eq!((weight(1, 1_000_000), weight(1_000_000, 1_000_000)), (1, 1_000_000));
        assert_eq!((weight(2_000_000, 4_000_000), weight(4_000_000, 4_000_000)), (500_000, 1_000_000));
        assert_eq!((weight(1, i64::MAX), weight(i64::MAX, i64::MAX)), (1, 1_000_000));
    }
}
