//! A read-only look at one side: a session, and in it one transaction that sees one moment.
//!
//! Decides the frame in which this program's own questions run: read-only, one snapshot, no wait behind the
//! application's locks, values in a text form that does not depend on settings, and a `search_path` on which only
//! PostgreSQL's own names are found. All of it is `SET LOCAL`: a pooler hands on nothing of it. Never commits.

use std::time::Duration;

use futures::{Stream, TryStreamExt};
use tokio::time::timeout;
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use super::{Asking, options, trouble::Trouble};
use crate::postgres::{ConnectOptions, Limits, Session, Target};

/// How long ending a transaction may take.
const GOODBYE: Duration = Duration::from_millis(200);
/// Longest wait for a lock: a check must not queue up behind, and so hold up, the application.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes a value's text the same on both sides, whatever their settings.
pub(super) const TEXT_FORM: &str = "SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL timezone = 'UTC'; \
     SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 3; SET LOCAL quote_all_identifiers = off; \
     SET LOCAL standard_conforming_strings = on";

/// A parameter of a statement, with its type: nothing has to be prepared, so no pooler can lose it.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// What opens such a transaction.
pub(super) fn begin(limits: &Limits) -> String {
    format!(
        "{}; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL search_path = pg_catalog, pg_temp; {TEXT_FORM}",
        limits.begin()
    )
}

/// A session within its one transaction. Dropping it ends both.
pub(super) struct Reading {
    session: Session,
    begin: String,
}

impl Reading {
    /// Connects and opens the transaction. The server may send `byte_budget` bytes in answer to each statement.
    pub(super) async fn begin(
        asking: &Asking<'_>,
        target: &Target,
        byte_budget: u64,
    ) -> Result<Self, Trouble> {
        let options = ConnectOptions { byte_budget, ..options("check", asking.timeout) };
        let session = Session::connect(target, &options).await?;
        session.refill_budget();
        let left = asking.left() * 9 / 10;
        let limits = Limits {
            read_only: true,
            statement_timeout: left,
            lock_timeout: LOCK_TIMEOUT,
            idle_in_transaction_timeout: left,
        };
        let begin = begin(&limits);
        session.client().batch_execute(&begin).await.map_err(|error| session.explain(&error))?;
        Ok(Self { session, begin })
    }

    /// Ends the transaction and begins the next, which sees another moment: lets go of every lock. For questions about
    /// thousands of objects, whose locks would take the room that the application needs for its own.
    pub(super) async fn again(&self) -> Result<(), Trouble> {
        let statements = format!("ROLLBACK; {}", self.begin);
        let answer = self.session.client().batch_execute(&statements).await;
        Ok(answer.map_err(|error| self.session.explain(&error))?)
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// All rows of a statement; for answers that are known to be small, or bounded by the byte budget.
    pub(super) async fn rows(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Trouble> {
        self.stream(statement, parameters).await?.try_collect().await
    }

    /// The rows of a statement, as they come.
    pub(super) async fn stream(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<impl Stream<Item = Result<Row, Trouble>> + Unpin, Trouble> {
        self.session.refill_budget();
        let parameters = parameters.iter().map(|(value, kind)| (*value, kind.clone()));
        let rows = self.session.client().query_typed_raw(statement, parameters).await;
        let rows = Box::pin(rows.map_err(|error| Trouble::from(self.session.explain(&error)))?);
        Ok(rows.map_err(|error| Trouble::from(self.session.explain(&error))))
    }

    /// Ends the transaction, then its session: a pooler throws a server connection away whose client leaves within one.
    pub(super) async fn end(self) {
        // Without it the connection is closed all the same.
        let _ = timeout(GOODBYE, self.session.client().batch_execute("ROLLBACK")).await;
        self.session.close().await;
    }
}
