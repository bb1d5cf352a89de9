//! One of the load's connections: a session with every statement prepared, and how a statement is sent on it.
//!
//! Decides what a failed connection means for the load as a whole (what the database can't do fails; what the traffic
//! model gets wrong is an error), and what an outcome is: an answer, an error, or a timeout. Statements are under the
//! session's limits where it is ours alone, and else in a transaction each that brings the limits along: a pooler would
//! pass a session's settings on to the application.

use std::time::{Duration, Instant};

use tokio::time::timeout;
use tokio_postgres::{Error, Statement};

use super::{measure::Outcome, parameter::Value};
use crate::{
    api::{Access, Traffic, Verdict},
    postgres::{ConnectError, ConnectOptions, ErrorClass, Fault, Limits, Scope, Session, Target},
};

/// Longest that a step of connecting may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes that the server may send in answer to one statement.
const BYTE_BUDGET: u64 = 8 << 20;
/// How much longer than the server a statement is waited for: a network that lost the answer.
const GRACE: Duration = Duration::from_secs(1);
/// By how much the server's timeout may seem to come early: its clock starts when the statement arrives there.
const EARLY: Duration = Duration::from_millis(50);

/// Why a connection could not be made ready.
#[derive(thiserror::Error, Debug, PartialEq, Eq, Clone)]
pub(super) enum OpenError {
    /// The database can't be connected to.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The limits could not be set.
    #[error("the session's limits could not be set: {0}")]
    Limits(Fault),
    /// A statement can't be prepared.
    #[error("statement {statement} of the traffic model can't be prepared: {fault}")]
    Prepare {
        /// Which, counted from 1.
        statement: usize,
        /// Why.
        fault: Fault,
    },
    /// The traffic model and the statement disagree.
    #[error(
        "statement {statement} of the traffic model takes {takes} parameters, and the model gives {gives}; \
         give one for each of $1, $2, …"
    )]
    Parameters {
        /// Which, counted from 1.
        statement: usize,
        /// As the server counts them.
        takes: usize,
        /// As the spec gives them.
        gives: usize,
    },
}

impl OpenError {
    /// A candidate that can't be connected to, or lacks a table, fails; a faulty traffic model is an error.
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Connect(_) | Self::Limits(_) | Self::Prepare { .. } => Verdict::Fail,
            Self::Parameters { .. } => Verdict::Error,
        }
    }
}

/// A connection that is ready for load.
#[derive(Debug)]
pub(super) struct Connection {
    session: Session,
    statements: Vec<Statement>,
    scope: Scope,
    limits: Limits,
}

impl Connection {
    pub(super) async fn open(
        target: &Target,
        traffic: &Traffic,
        statement_timeout: Duration,
    ) -> Result<Self, OpenError> {
        let options =
            ConnectOptions { purpose: "load", step_timeout: STEP_TIMEOUT, byte_budget: BYTE_BUDGET };
        let session = Session::connect(target, &options).await?;
        let limits = Limits {
            read_only: traffic.access == Access::ReadOnly,
            statement_timeout,
            lock_timeout: statement_timeout,
            idle_in_transaction_timeout: statement_timeout,
        };
        let prepared = timeout(STEP_TIMEOUT, async {
            let scope = session.restrict(&limits).await.map_err(OpenError::Limits)?;
            Ok((scope, prepare(&session, traffic).await?))
        });
        let silent = || Err(OpenError::Limits(Fault::local(ErrorClass::Connection)));
        let (scope, statements) = prepared.await.unwrap_or_else(|_| silent())?;
        Ok(Self { session, statements, scope, limits })
    }

    /// Whether another statement can be sent.
    pub(super) fn is_usable(&self) -> bool {
        !self.session.is_closed()
    }

    pub(super) async fn close(self) {
        self.session.close().await;
    }

    /// Sends a statement and waits for its end. `false` says that the connection is of no more use: the answer may
    /// still come, and would be taken for that of the next statement.
    pub(super) async fn execute(&self, statement: usize, parameters: &[Value]) -> (Outcome, bool) {
        self.session.refill_budget();
        let started = Instant::now();
        let limit = self.limits.statement_timeout;
        match timeout(limit + GRACE, self.send(&self.statements[statement], parameters)).await {
            Ok(Ok(())) => (Outcome::Ok, true),
            Ok(Err(error)) => {
                let fault = self.session.explain(&error);
                let is_timeout = fault.class == ErrorClass::Canceled && started.elapsed() + EARLY >= limit;
                let outcome = if is_timeout { Outcome::Timeout } else { Outcome::Error(fault.label()) };
                // Only after an error of the server is it clear where the next answer begins.
                (outcome, error.as_db_error().is_some() && self.is_usable())
            }
            Err(_) => (Outcome::Timeout, false),
        }
    }

    async fn send(&self, statement: &Statement, parameters: &[Value]) -> Result<(), Error> {
        let client = self.session.client();
        if self.scope == Scope::Session {
            return client.execute_raw(statement, parameters).await.map(|_| ());
        }
        // Sent at once, without waiting for one answer before the next message: one round trip, as in the other case.
        let opening = self.limits.begin();
        let (begun, done, committed) = futures::join!(
            client.batch_execute(&opening),
            client.execute_raw(statement, parameters),
            client.batch_execute("COMMIT"),
        );
        begun.and(done).and(committed.map(|()| 0)).map(|_| ())
    }
}

async fn prepare(session: &Session, traffic: &Traffic) -> Result<Vec<Statement>, OpenError> {
    let mut statements = Vec::with_capacity(traffic.statements.len());
    for (index, model) in traffic.statements.iter().enumerate() {
        let number = index + 1;
        let prepared = session.client().prepare(&model.sql).await;
        let prepared = prepared
            .map_err(|error| OpenError::Prepare { statement: number, fault: session.explain(&error) })?;
        let (takes, gives) = (prepared.params().len(), model.params.len());
        if takes != gives {
            return Err(OpenError::Parameters { statement: number, takes, gives });
        }
        statements.push(prepared);
    }
    Ok(statements)
}
