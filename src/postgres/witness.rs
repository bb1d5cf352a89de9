//! Whether a session's server process goes on to others between transactions.
//!
//! Decides it by process ids alone: two sessions are open, one of them within a transaction. A server, a proxy or a
//! pooler in session mode gives each its own process throughout. A pooler in transaction mode gives the idle one's
//! process to the other, or a new one to the first. Never sets anything: what is set on a pooled connection may stay.

use super::{Fault, Session};

/// A session outside of any transaction, and the process that served it first.
#[derive(Debug)]
pub struct Witness {
    session: Session,
    process: i32,
}

impl Witness {
    /// Asks who serves it now, before the other begins its transaction.
    pub async fn begin(session: Session) -> Result<Self, Fault> {
        let process = session.process().await?;
        Ok(Self { session, process })
    }

    /// `holding` holds its process for as long as its transaction is open.
    pub async fn is_handed_on(self, holding: &Session) -> Result<bool, Fault> {
        let held = holding.process().await?;
        let now = self.session.process().await?;
        self.session.close().await;
        Ok(held == self.process || now != self.process)
    }
}
