//! Finds out whether a pooler hands server connections on between transactions.
//!
//! A server that is reached directly is asked over one session at a time: a role may have no more.

use crate::{
    checks::{Asking, Trouble, options, reading::Reading},
    postgres::{Session, Target, Witness},
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

/// `None` where nothing is between, so that nothing has to be found out.
pub(super) async fn witness(asking: &Asking<'_>, target: &Target) -> Result<Option<Witness>, Trouble> {
    let session = Session::connect(target, &options("check", asking.timeout)).await?;
    if session.facts().is_direct() {
        session.close().await;
        return Ok(None);
    }
    Ok(Some(Witness::begin(session).await?))
}

/// `reading` is in a transaction.
pub(super) async fn observe(witness: Witness, reading: &Reading) -> Result<Pooling, Trouble> {
    let is_handed_on = witness.is_handed_on(reading.session()).await?;
    Ok(if is_handed_on { Pooling::Transaction } else { Pooling::Session })
}
