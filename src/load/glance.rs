//! A glance at a server beside the load: a session of its own, and one small question at a time.
//!
//! Decides the frame: read-only, under a timeout, names looked up among PostgreSQL's own alone, and all of it within the
//! question's own transaction, so that a pooler hands nothing of it on. One round trip a question.
//! Never waits for a lock that the application wants, and never keeps a transaction open.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

use crate::postgres::{
    ConnectError, ConnectOptions, ErrorClass, Fault, Limits, ServerFacts, Session, Target,
};

/// Most bytes that the server may send in answer to one question: a row or two.
const BYTE_BUDGET: u64 = 1 << 20;
/// How much longer than the server an answer is waited for.
const GRACE: Duration = Duration::from_millis(500);

/// A session that asks. Dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Glance {
    session: Session,
    begin: String,
    /// How long an answer is waited for.
    patience: Duration,
}

impl Glance {
    /// Connects. Each of the steps may take `step_timeout`, and each answer after them `patience`.
    pub(super) async fn open(
        target: &Target,
        purpose: &'static str,
        step_timeout: Duration,
        patience: Duration,
    ) -> Result<Self, ConnectError> {
        let options = ConnectOptions { purpose, step_timeout, byte_budget: BYTE_BUDGET };
        let session = Session::connect(target, &options).await?;
        let limits = Limits {
            read_only: true,
            statement_timeout: patience.saturating_sub(GRACE).max(GRACE),
            lock_timeout: GRACE,
            idle_in_transaction_timeout: patience,
        };
        let begin = format!("{}; SET LOCAL search_path = pg_catalog, pg_temp", limits.begin());
        Ok(Self { session, begin, patience })
    }

    /// What is known about the server.
    pub(super) fn facts(&self) -> &ServerFacts {
        self.session.facts()
    }

    /// The first row of the answer. After an answer that did not come in time the session is of no more use.
    pub(super) async fn row(&self, question: &str) -> Result<SimpleQueryRow, Fault> {
        self.session.refill_budget();
        let lost = |_| Err(Fault::local(ErrorClass::Connection));
        timeout(self.patience, self.ask(question)).await.unwrap_or_else(lost)
    }

    async fn ask(&self, question: &str) -> Result<SimpleQueryRow, Fault> {
        // The simple protocol: nothing is prepared that a pooler could lose.
        let statements = format!("{}; {question}; COMMIT", self.begin);
        let messages = match self.session.client().simple_query(&statements).await {
            Ok(messages) => messages,
            Err(error) => {
                let fault = self.session.explain(&error);
                // Where this fails, too, the next question says so.
                let _ = self.session.client().batch_execute("ROLLBACK").await;
                return Err(fault);
            }
        };
        let row = messages.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        row.ok_or(Fault::local(ErrorClass::Other))
    }

    /// Whether the connection is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.session.is_closed()
    }

    /// Closes the connection in order.
    pub(super) async fn close(self) {
        self.session.close().await;
    }
}
