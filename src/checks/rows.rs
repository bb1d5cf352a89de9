//! Runs a check's statement on one side and brings its rows.
//!
//! Decides what may run at all: one statement that returns rows and takes no parameters, in a read-only transaction,
//! for as long as the check has time, with a bounded answer. That is depth, not the wall: the wall is that the session
//! logs in as an ordinary role. Values are kept as text and never shown here.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use futures::TryStreamExt;
use tokio_postgres::{SimpleQueryMessage, types::Type};

use super::{
    options,
    reading::{LOCK_TIMEOUT, TEXT_FORM},
    trouble::Trouble,
};
use crate::{
    api::Verdict,
    duration,
    postgres::{ErrorClass, Fault, Limits, Session, Target},
};

/// Most rows of an answer.
pub(super) const MAX_ROWS: usize = 1000;
/// Most bytes of an answer's values.
const MAX_BYTES: usize = 1 << 20;
/// What a column's values are, as far as it matters to showing them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Boolean,
    Other,
}

/// An answer: values in PostgreSQL's text form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Rows {
    pub(super) columns: Vec<Kind>,
    pub(super) rows: Vec<Vec<Option<String>>>,
}

/// The rows of `query`; at the latest when `timeout` is over.
pub(super) async fn fetch(target: &Target, query: &str, timeout: Duration) -> Result<Rows, Trouble> {
    let started = Instant::now();
    let session = Session::connect(target, &options("check", timeout)).await?;
    session.refill_budget();
    // Less than what is left, so that it is the server that gives up first and can say so.
    let statement_timeout = timeout.saturating_sub(started.elapsed()) * 9 / 10;
    let rows = fetch_in(&session, query, statement_timeout).await;
    // The transaction ends with the session: nothing in it is worth a commit.
    session.close().await;
    rows
}

async fn fetch_in(session: &Session, query: &str, statement_timeout: Duration) -> Result<Rows, Trouble> {
    let limits = Limits {
        read_only: true,
        statement_timeout,
        lock_timeout: LOCK_TIMEOUT,
        idle_in_transaction_timeout: statement_timeout,
    };
    let explain = |error: &tokio_postgres::Error| judge(&session.explain(error), statement_timeout);
    session.begin(&limits).await.map_err(|fault| judge(&fault, statement_timeout))?;
    session.client().batch_execute(TEXT_FORM).await.map_err(|error| explain(&error))?;
    let columns = inspect(session, query, &explain).await?;
    // The simple protocol gives every type in its text form, which the driver's extended protocol does not. It would
    // also run several statements; that this is a single one was just proved by preparing it.
    let stream = session.client().simple_query_raw(query).await.map_err(|error| explain(&error))?;
    let mut stream = pin!(stream);
    let mut answer = Rows { columns, rows: Vec::new() };
    let mut bytes = 0;
    while let Some(message) = stream.try_next().await.map_err(|error| explain(&error))? {
        let SimpleQueryMessage::Row(row) = message else {
            continue;
        };
        let values = (0..row.len()).map(|index| Ok(row.try_get(index)?.map(str::to_owned)));
        let values: Vec<Option<String>> =
            values.collect::<Result<_, _>>().map_err(|error| explain(&error))?;
        bytes += values.iter().flatten().map(String::len).sum::<usize>();
        if answer.rows.len() == MAX_ROWS {
            return Err(Trouble::fail(format!(
                "the statement returns more than {MAX_ROWS} rows; aggregate them, or add a LIMIT"
            )));
        }
        if bytes > MAX_BYTES {
            return Err(too_much());
        }
        answer.rows.push(values);
    }
    Ok(answer)
}

/// Prepares the statement, which proves that it is one and tells its columns.
async fn inspect(
    session: &Session,
    query: &str,
    explain: &impl Fn(&tokio_postgres::Error) -> Trouble,
) -> Result<Vec<Kind>, Trouble> {
    let statement = session.client().prepare(query).await.map_err(|error| explain(&error))?;
    if !statement.params().is_empty() {
        return Err(Trouble::fail(
            "the statement has parameters ($1, …), and a check has none to give; write the values",
        ));
    }
    if statement.columns().is_empty() {
        return Err(Trouble::fail(
            "the statement returns no rows; a check needs one that does, such as a SELECT",
        ));
    }
    Ok(statement.columns().iter().map(|column| kind(column.type_())).collect())
}

fn kind(column: &Type) -> Kind {
    match *column {
        Type::INT2 | Type::INT4 | Type::INT8 | Type::NUMERIC | Type::FLOAT4 | Type::FLOAT8 | Type::OID => {
            Kind::Number
        }
        Type::BOOL => Kind::Boolean,
        _ => Kind::Other,
    }
}

fn too_much() -> Trouble {
    let kib = MAX_BYTES >> 10;
    Trouble::fail(format!(
        "the statement returns more than {kib} KiB; select fewer rows or columns, or a digest of them"
    ))
}

/// What a fault means for the check: the statement's own fault fails it, trouble with the server is an error.
fn judge(fault: &Fault, statement_timeout: Duration) -> Trouble {
    let verdict = match fault.class {
        ErrorClass::ReadOnly => {
            return Trouble::fail("the statement writes; checks are read-only (SQLSTATE 25006)");
        }
        ErrorClass::TooMuchData => return too_much(),
        ErrorClass::Canceled => {
            let limit = duration::format(statement_timeout);
            let message = format!(
                "the statement did not finish within {limit}: give the check a longer timeout, or make it faster ({fault})"
            );
            return Trouble { verdict: Verdict::Error, message };
        }
        ErrorClass::Privilege | ErrorClass::Syntax | ErrorClass::Undefined | ErrorClass::Data => {
            Verdict::Fail
        }
        _ => Verdict::Error,
    };
    Trouble { verdict, message: fault.to_string() }
}
