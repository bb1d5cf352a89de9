//! Reads keys that a table has, for parameters that are drawn from them.
//!
//! Decides which rows: of a large table those of some of its blocks, chosen by `TABLESAMPLE SYSTEM`, then as many as asked
//! for by a hash of where they are. The same seed and an unchanged table give the same keys. Read-only, with a timeout,
//! in bounded memory: no value longer than 256 bytes, no more than 10,000 of a column. What was read is shown nowhere.

use std::{sync::Arc, time::Duration};

use tokio_postgres::types::Type;

use super::{
    model::{Model, SharedModel, TrafficError},
    sampler::Keys,
};
use crate::{
    api::{SampleParameter, Traffic, Verdict},
    postgres::{ConnectError, ConnectOptions, ErrorClass, Fault, Limits, Session, Target},
};

/// Longest that reading the keys of one column may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest that a step of connecting may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes that all keys of a model may take on the wire.
const BYTE_BUDGET: u64 = 64 << 20;

/// By how much more is read where the first blocks have none.
const WIDER: f64 = 20.0;

/// Why there are no keys.
#[derive(thiserror::Error, Debug, PartialEq, Clone)]
pub(super) enum KeysError {
    #[error(transparent)]
    Traffic(#[from] TrafficError),
    #[error("keys could not be sampled: {0}")]
    Connect(#[from] ConnectError),
    #[error("keys of {0} could not be sampled: {1}")]
    Read(String, Fault),
    #[error("keys of {0} could not be sampled: there is no such table")]
    NoTable(String),
    #[error("keys of {0} could not be sampled: it is neither a table nor a materialized view")]
    NotATable(String),
    #[error("keys of {0} could not be sampled: the table has no such column")]
    NoColumn(String),
    #[error("keys of {0} could not be sampled: no row has one of at most 256 bytes")]
    Empty(String),
    #[error(
        "keys of {0} could not be sampled: no row in the {1:.3} % of its blocks that were read has one of at most 256 bytes; \
         raise the sample's count, or give values by list"
    )]
    Sparse(String, f64),
}

impl KeysError {
    /// A database that lacks the table fails, as one does that lacks a table of a statement; a table without a row, or
    /// something that is none, says nothing about the database.
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            // What took too long says how large the table is, or how busy.
            Self::Read(_, fault) if matches!(fault.class, ErrorClass::Canceled | ErrorClass::LockTimeout) => {
                Verdict::Error
            }
            Self::Connect(error) if error.is_for_lack_of_connections() => Verdict::Inconclusive,
            Self::Connect(_) | Self::Read(..) | Self::NoTable(_) | Self::NoColumn(_) => Verdict::Fail,
            Self::Traffic(_) | Self::NotATable(_) | Self::Empty(_) | Self::Sparse(..) => Verdict::Error,
        }
    }
}

/// The model of `traffic`, with the keys that the database of `target` has: ready to draw from.
pub(super) async fn model(traffic: &Traffic, target: &Target, seed: u64) -> Result<SharedModel, KeysError> {
    let mut model = Model::new(traffic)?;
    model.keys = read(target, model.samples(), seed).await?;
    Ok(Arc::new(model))
}

/// The keys of each of `samples`, in their order.
async fn read(target: &Target, samples: &[SampleParameter], seed: u64) -> Result<Keys, KeysError> {
    if samples.is_empty() {
        return Ok(Keys::default());
    }
    let options =
        ConnectOptions { purpose: "load keys", step_timeout: STEP_TIMEOUT, byte_budget: BYTE_BUDGET };
    let session = Session::connect(target, &options).await?;
    session.refill_budget();
    let mut keys = Vec::with_capacity(samples.len());
    for sample in samples {
        let name = shown(sample);
        let reading = tokio::time::timeout(TIMEOUT, sampled(&session, sample, seed));
        let timed_out = || Err(KeysError::Read(name, Fault::local(ErrorClass::Canceled)));
        keys.push(reading.await.unwrap_or_else(|_| timed_out())?);
    }
    session.close().await;
    Ok(Keys(keys))
}

/// Names are the spec's own.
fn shown(sample: &SampleParameter) -> String {
    format!("{}.{}", sample.table, sample.column)
}

async fn sampled(session: &Session, sample: &SampleParameter, seed: u64) -> Result<Vec<Arc<str>>, KeysError> {
    let limits = Limits {
        read_only: true,
        statement_timeout: TIMEOUT * 9 / 10,
        lock_timeout: STEP_TIMEOUT,
        idle_in_transaction_timeout: TIMEOUT,
    };
    let fault = |fault| KeysError::Read(shown(sample), fault);
    session.begin(&limits).await.map_err(fault)?;
    let read = async {
        let source = find(session, sample).await?;
        let mut share = source.share(sample.count);
        let mut keys = rows(session, sample, &source, share, seed).await?;
        // Many a block may be empty, or without a value. All of a large table is not read for that: it is somebody's production.
        if keys.is_empty()
            && let Some(first) = share
        {
            share = within_table(first * WIDER);
            keys = rows(session, sample, &source, share, seed).await?;
        }
        match (keys.is_empty(), share) {
            (false, _) => Ok(keys),
            (true, None) => Err(KeysError::Empty(shown(sample))),
            (true, Some(percent)) => Err(KeysError::Sparse(shown(sample), percent)),
        }
    };
    let keys = read.await?;
    session.client().batch_execute("COMMIT").await.map_err(|error| fault(session.explain(&error)))?;
    Ok(keys)
}

/// A table, as it is written in a statement, and its size.
struct Source {
    table: String,
    column: String,
    blocks: i64,
}

impl Source {
    /// The percentage of blocks that is read: with one row in each, enough. `None` for all of them.
    #[allow(clippy::cast_precision_loss, reason = "a share of a size")]
    fn share(&self, count: i32) -> Option<f64> {
        within_table(100.0 * f64::from(count.max(1)) / self.blocks.max(1) as f64)
    }
}

/// A percentage of blocks; `None` for all of them.
fn within_table(percent: f64) -> Option<f64> {
    (percent < 100.0).then_some(percent)
}

async fn find(session: &Session, sample: &SampleParameter) -> Result<Source, KeysError> {
    // The name is resolved as the statements' are, with the role's own search_path; the rest is qualified.
    let question = "SELECT c.relkind::pg_catalog.text, pg_catalog.format('%I.%I', n.nspname, c.relname), \
         (SELECT pg_catalog.quote_ident(a.attname) FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid \
            AND a.attname OPERATOR(pg_catalog.=) $2::pg_catalog.text::pg_catalog.name AND NOT a.attisdropped), \
         (WITH RECURSIVE parts(relid) AS (SELECT c.oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i \
            JOIN parts ON i.inhparent OPERATOR(pg_catalog.=) parts.relid) \
          SELECT pg_catalog.sum(pg_catalog.pg_relation_size(relid) OPERATOR(pg_catalog./) 8192)::pg_catalog.int8 FROM parts) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
         WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1::pg_catalog.text)::pg_catalog.oid";
    let fault = |error: tokio_postgres::Error| KeysError::Read(shown(sample), session.explain(&error));
    let found = session
        .client()
        .query_typed(question, &[(&sample.table, Type::TEXT), (&sample.column, Type::TEXT)])
        .await
        .map_err(fault)?;
    let row = found.first().ok_or_else(|| KeysError::NoTable(shown(sample)))?;
    let kind: String = row.try_get(0).map_err(fault)?;
    // Tables, partitioned ones, materialized views: what TABLESAMPLE is for.
    if !["r", "p", "m"].contains(&kind.as_str()) {
        return Err(KeysError::NotATable(shown(sample)));
    }
    let column: Option<String> = row.try_get(2).map_err(fault)?;
    Ok(Source {
        table: row.try_get(1).map_err(fault)?,
        column: column.ok_or_else(|| KeysError::NoColumn(shown(sample)))?,
        blocks: row.try_get::<_, Option<i64>>(3).map_err(fault)?.unwrap_or(0),
    })
}

async fn rows(
    session: &Session,
    sample: &SampleParameter,
    source: &Source,
    share: Option<f64>,
    seed: u64,
) -> Result<Vec<Arc<str>>, KeysError> {
    let Source { table, column, .. } = source;
    let seed = seed.cast_signed();
    let system = share.map_or_else(String::new, |share| {
        format!("TABLESAMPLE pg_catalog.system ({share:.6}) REPEATABLE ({})", seed % 1_000_000)
    });
    let question = format!(
        "SELECT t.{column}::pg_catalog.text FROM {table} t {system} \
         WHERE pg_catalog.octet_length(t.{column}::pg_catalog.text) OPERATOR(pg_catalog.<=) 256 \
         ORDER BY pg_catalog.hashtextextended(pg_catalog.concat(t.tableoid::pg_catalog.text, t.ctid::pg_catalog.text), {seed}) \
         LIMIT {}",
        sample.count
    );
    let fault = |error: tokio_postgres::Error| KeysError::Read(shown(sample), session.explain(&error));
    let rows = session.client().query_typed(&question, &[]).await.map_err(fault)?;
    rows.iter().map(|row| row.try_get::<_, &str>(0).map(Arc::from).map_err(fault)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        load::connection::OpenError,
        postgres::{ConnectCause, Endpoint, Step},
    };

    #[test]
    fn a_table_that_takes_too_long_to_read_is_no_fault_of_the_database() {
        let verdict = |class| KeysError::Read("t.c".to_owned(), Fault::local(class)).verdict();
        assert_eq!(verdict(ErrorClass::Canceled), Verdict::Error);
        assert_eq!(verdict(ErrorClass::LockTimeout), Verdict::Error);
        assert_eq!(verdict(ErrorClass::Privilege), Verdict::Fail);
    }

    #[test]
    fn a_server_whose_connections_are_all_in_use_says_nothing_about_itself() {
        let refused = |class| ConnectError {
            step: Step::Startup,
            endpoint: Endpoint { host: "h".to_owned(), port: 5432, database: "d".to_owned() },
            cause: ConnectCause::Server(Fault::local(class)),
        };
        for (class, expected) in [
            (ErrorClass::TooManyConnections, Verdict::Inconclusive),
            (ErrorClass::Authentication, Verdict::Fail),
        ] {
            assert_eq!(KeysError::Connect(refused(class)).verdict(), expected);
            assert_eq!(OpenError::Connect(refused(class)).verdict(), expected);
        }
    }
}
