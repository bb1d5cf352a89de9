//! How a side plans a statement.
//!
//! Decides how a statement with parameters is planned: once for any values, as a pooler's prepared statements are
//! after their first runs (`force_generic_plan`), and with given values, as a statement that is sent once is. Names in
//! it mean what they mean to the application: its `search_path` is in force for that long.
//!
//! Everything is undone behind it: settings with a savepoint, the prepared statement by name. If this program ends in
//! between, the connection ends within a transaction, and no pooler hands such a server connection on. Executes nothing
//! unless asked to, and then only within the read-only transaction.

use std::time::Duration;

use futures::TryStreamExt;
use tokio_postgres::{
    Row,
    types::{FromSql, Type},
};

use super::tree::Node;
use crate::{
    checks::{Trouble, reading::Reading},
    load::Value,
    postgres::{ErrorClass, Fault},
};

/// Longest that a statement may run where it is carried out.
pub(super) const EXECUTION_TIMEOUT: Duration = Duration::from_secs(5);

/// What the statement is planned for.
#[derive(Clone, Copy)]
pub(super) enum For<'a> {
    /// Any values of its parameters.
    Any,
    /// These values.
    Values(&'a [Value]),
    /// These values, and carried out.
    Execution(&'a [Value]),
}

/// The plan, or why the statement can't be planned, or carried out in time. `Err` is trouble with the side.
pub(super) async fn explain(
    side: &Reading,
    sql: &str,
    what: For<'_>,
) -> Result<Result<Node, Fault>, Trouble> {
    let more = match what {
        // Else EXPLAIN would leave out the partitions that no row with NULL can be in.
        For::Any => {
            "SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_partition_pruning = off"
                .to_owned()
        }
        For::Values(_) => String::new(),
        For::Execution(_) => format!("SET LOCAL statement_timeout = {}", EXECUTION_TIMEOUT.as_millis()),
    };
    let begin = format!(
        "SAVEPOINT cutover_plan; SET LOCAL search_path TO DEFAULT; SET LOCAL datestyle TO DEFAULT; \
         SET LOCAL intervalstyle TO DEFAULT; SET LOCAL timezone TO DEFAULT; {more}"
    );
    execute(side, &begin).await?;
    let rows = match what {
        For::Any => explain_any(side, sql).await,
        For::Values(values) => run(side, &format!("EXPLAIN (VERBOSE, FORMAT JSON) {sql}"), values).await,
        For::Execution(values) => {
            let options = "ANALYZE, BUFFERS, TIMING OFF, VERBOSE, FORMAT JSON";
            run(side, &format!("EXPLAIN ({options}) {sql}"), values).await
        }
    };
    let rows = match rows {
        Err(fault) if !is_its_own(side, &fault, what) => return Err(Trouble::from(fault)),
        rows => rows,
    };
    execute(side, "ROLLBACK TO SAVEPOINT cutover_plan; RELEASE SAVEPOINT cutover_plan").await?;
    if matches!(what, For::Any) {
        // Outlives a rollback, and is not there if it could not be prepared.
        let prepared = "SELECT FROM pg_prepared_statements WHERE name = 'cutover_plan'";
        if !side.rows(prepared, &[]).await?.is_empty() {
            execute(side, "DEALLOCATE cutover_plan").await?;
        }
    }
    Ok(match rows {
        Ok(rows) => {
            Ok(plan(&rows).ok_or_else(|| Trouble::error("the server sent a plan that can't be read"))?)
        }
        Err(fault) => Err(fault),
    })
}

async fn explain_any(side: &Reading, sql: &str) -> Result<Vec<Row>, Fault> {
    run(side, &format!("PREPARE cutover_plan AS {sql}"), &[]).await?;
    let count = "SELECT pg_catalog.cardinality(parameter_types) FROM pg_catalog.pg_prepared_statements \
         WHERE name OPERATOR(pg_catalog.=) 'cutover_plan'";
    let count =
        run(side, count, &[]).await?.first().and_then(|row| row.try_get::<_, i32>(0).ok()).unwrap_or(0);
    let nulls = vec!["NULL"; usize::try_from(count).unwrap_or(0)].join(", ");
    let arguments = if nulls.is_empty() { nulls } else { format!("({nulls})") };
    run(side, &format!("EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE cutover_plan{arguments}"), &[]).await
}

/// One statement, and no second: the extended protocol takes no more.
async fn run(side: &Reading, statement: &str, values: &[Value]) -> Result<Vec<Row>, Fault> {
    let session = side.session();
    session.refill_budget();
    // The server infers the types, as it does for the application.
    let values = values.iter().map(|value| (value, Type::UNKNOWN));
    let rows = session.client().query_typed_raw(statement, values).await;
    let rows = rows.map_err(|error| session.explain(&error))?;
    rows.try_collect().await.map_err(|error| session.explain(&error))
}

/// Statements of this program.
async fn execute(side: &Reading, statements: &str) -> Result<(), Trouble> {
    let session = side.session();
    session.client().batch_execute(statements).await.map_err(|error| Trouble::from(session.explain(&error)))
}

/// Whether the statement is at fault, not the server or the connection.
fn is_its_own(side: &Reading, fault: &Fault, what: For<'_>) -> bool {
    let is_canceled = matches!(fault.class, ErrorClass::Canceled);
    let is_trouble = matches!(
        fault.class,
        ErrorClass::Resources
            | ErrorClass::TooManyConnections
            | ErrorClass::NotAccepting
            | ErrorClass::OperatorIntervention
            | ErrorClass::LockTimeout
            | ErrorClass::PreparedStatement
            | ErrorClass::TooMuchData
    );
    let is_executed = matches!(what, For::Execution(_));
    fault.sqlstate.is_some() && !side.session().is_closed() && !is_trouble && (is_executed || !is_canceled)
}

fn plan(rows: &[Row]) -> Option<Node> {
    let json: Json = rows.first()?.try_get(0).ok()?;
    Node::parse(&json.0)
}

/// The text of a `json`.
struct Json(String);

impl FromSql<'_> for Json {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(std::str::from_utf8(raw)?.to_owned()))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::JSON
    }
}
