//! A connection of the pool: a session under limits, and one statement at a time on it.
//!
//! Decides when a statement counts as done: where a pooler may be between, only after its transaction was committed.
//! Never retries: the caller throws the connection away after any fault, so none is ever in a doubtful state.

use std::{future::Future, time::Duration};

use cutover::{
    api::Access,
    postgres::{ConnectError, ConnectOptions, ErrorClass, Fault, Limits, Session, Target},
};
use tokio::time::timeout;

/// Longest that each step of connecting may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(2);
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2);
/// The server ends a statement; this ends the wait for a server that is gone.
const PATIENCE: Duration = Duration::from_secs(3);
/// Plenty for a row; a batch of `verify` needs more than all others.
const BYTE_BUDGET: u64 = 4 * 1024 * 1024;

/// Why there is no connection.
#[derive(thiserror::Error, Debug)]
pub enum OpenError {
    /// The session did not come about.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It could not be put under its limits.
    #[error("the session could not be set up: {0}")]
    Limits(Fault),
}

/// A session under limits.
#[derive(Debug)]
pub struct Connection {
    session: Session,
    limits: Limits,
}

impl Connection {
    /// Connects and sets the limits.
    pub async fn open(target: &Target, access: Access) -> Result<Self, OpenError> {
        let options =
            ConnectOptions { purpose: "shop", step_timeout: STEP_TIMEOUT, byte_budget: BYTE_BUDGET };
        let limits = Limits {
            read_only: access == Access::ReadOnly,
            statement_timeout: STATEMENT_TIMEOUT,
            lock_timeout: STATEMENT_TIMEOUT / 2,
            idle_in_transaction_timeout: STATEMENT_TIMEOUT,
        };
        let session = Session::connect(target, &options).await?;
        session.restrict(&limits).await.map_err(OpenError::Limits)?;
        let connection = Self { session, limits };
        // A pooler's server connection is not ours to rename.
        if connection.session.facts().is_direct() {
            let rename = connection.session.client().batch_execute("SET application_name = 'shop'");
            connection.run(rename).await.map_err(OpenError::Limits)?;
        }
        Ok(connection)
    }

    /// The session, to make a statement for [`Self::run`] with.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Runs one statement, which is committed when this returns `Ok`.
    pub async fn run<T>(
        &self,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fault> {
        self.session.refill_budget();
        let whole = async {
            if !self.session.facts().is_direct() {
                self.session.begin(&self.limits).await?;
            }
            let answer = statement.await.map_err(|error| self.session.explain(&error))?;
            if !self.session.facts().is_direct() {
                let commit = self.session.client().batch_execute("COMMIT").await;
                commit.map_err(|error| self.session.explain(&error))?;
            }
            Ok(answer)
        };
        timeout(PATIENCE, whole).await.unwrap_or_else(|_| Err(Fault::local(ErrorClass::Canceled)))
    }

    /// Says goodbye to the server.
    pub async fn close(self) {
        self.session.close().await;
    }
}
