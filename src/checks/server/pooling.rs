//! Finds out whether a pooler hands server connections on between transactions.
//!
//! Decides it by process ids alone: two sessions are open, one of them within a transaction. A server, a proxy or a
//! pooler in session mode gives each its own process throughout. A pooler in transaction mode gives the idle one's
//! process to the other, or a new one to the first. A server that is reached directly is asked over one session at a
//! time: a role may have no more. Never sets anything: what is set on a pooled connection may stay.

use tokio_postgres::SimpleQueryMessage;

use crate::{
    checks::{Asking, Trouble, options, reading::Reading},
    postgres::{ErrorClass, Fault, Session, Target},
};

/// What is between this program and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Pooling {
    /// Nothing: the server sees this very socket.
    #[default]
    Direct,
    /// Something that leaves a session its server process: a proxy, NAT, a pooler in session mode.
    Session,
    /// A pooler in transaction mode.
    Transaction,
}

/// A session outside of any transaction, and the process that served it first.
pub(super) struct Witness {
    session: Session,
    process: i32,
}

impl Witness {
    /// `None` where nothing is between, so that nothing has to be found out.
    pub(super) async fn begin(asking: &Asking<'_>, target: &Target) -> Result<Option<Self>, Trouble> {
        let session = Session::connect(target, &options("check", asking.timeout)).await?;
        if session.facts().is_direct {
            session.close().await;
            return Ok(None);
        }
        let process = process(&session).await?;
        Ok(Some(Self { session, process }))
    }

    /// `reading` holds its process for as long as its transaction is open.
    pub(super) async fn observe(self, reading: &Reading) -> Result<Pooling, Trouble> {
        let held = process(reading.session()).await?;
        let now = process(&self.session).await?;
        self.session.close().await;
        let is_handed_on = held == self.process || now != self.process;
        Ok(if is_handed_on { Pooling::Transaction } else { Pooling::Session })
    }
}

/// The simple protocol: a pooler may not keep prepared statements.
async fn process(session: &Session) -> Result<i32, Trouble> {
    let answer = session.client().simple_query("SELECT pg_catalog.pg_backend_pid()").await;
    let answer = answer.map_err(|error| session.explain(&error))?;
    let process = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.try_get(0).ok().flatten()?.parse().ok(),
        _ => None,
    });
    process.ok_or_else(|| Trouble::from(Fault::local(ErrorClass::Other)))
}
