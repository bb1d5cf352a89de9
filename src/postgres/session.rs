//! A session: a logged-in connection, what is known about its server, and the limits that it works under.
//!
//! Decides how limits are set so that they can't outlive their purpose. A pooler in transaction mode hands the server
//! connection on to the application after each transaction, with every `SET` still in force; one `SET
//! default_transaction_read_only` would break the application. So limits are `SET LOCAL` in a transaction, and set for
//! the session only where the server sees this very socket as its client, which is to say that no pooler is between. Where it sees
//! another one, but the process that answers is the one that the login was answered for, something passes TCP on.
//! Never changes `search_path`, and never outlives its owner: dropping a session closes the connection at once.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::api::Via;

use super::{
    budget::Budget,
    connect::ConnectCause,
    error::{ErrorClass, Fault},
    lent::{Lender, Socket},
    limits::Limits,
    role::{self, ROLE_COLUMNS, Roles},
    tls::TlsSeen,
    uri::SessionAttrs,
};

/// How long a session that is closed in order may take to say goodbye.
pub(super) const GOODBYE: Duration = Duration::from_millis(200);
/// Longest part of the server's version that is shown.
const MAX_VERSION: usize = 16;

/// What is known about a session's server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// Its version, such as `15.18`; empty where it did not say.
    pub version: String,
    /// The encryption of this session.
    pub tls: TlsSeen,
    /// What is between.
    pub via: Via,
}

impl ServerFacts {
    /// Whether the server sees this session's own socket. If not, something is between: a pooler, a proxy, NAT.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.via == Via::Direct
    }

    /// The major version: the first number.
    #[must_use]
    pub fn major_version(&self) -> Option<i32> {
        self.version.split('.').next()?.parse().ok()
    }
}

/// The task that drives a connection; ends with its owner.
#[derive(Debug)]
pub(super) struct Driver(pub(super) JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A session. Dropping it closes the connection; [`Session::close`] also says goodbye to the server.
#[derive(Debug)]
pub struct Session {
    client: Client,
    driver: Driver,
    end: Arc<OnceLock<Fault>>,
    budget: Budget,
    /// Of the socket that the driver uses.
    lender: Option<Lender>,
    facts: ServerFacts,
}

/// What comes of a login.
pub(super) struct LoggedIn {
    pub(super) client: Client,
    pub(super) driver: Driver,
    pub(super) end: Arc<OnceLock<Fault>>,
    pub(super) budget: Budget,
    pub(super) lender: Option<Lender>,
    pub(super) tls: TlsSeen,
    pub(super) version: Option<String>,
}

impl Session {
    pub(super) fn new(login: LoggedIn) -> Self {
        let LoggedIn { client, driver, end, budget, lender, tls, version } = login;
        let version = version.unwrap_or_default();
        // A hostile server chooses this text, and it ends up in the status.
        let version =
            version.chars().take_while(|c| c.is_ascii_digit() || *c == '.').take(MAX_VERSION).collect();
        // The least that can be relied on, until it is known.
        let facts = ServerFacts { version, tls, via: Via::Pooler };
        Self { client, driver, end, budget, lender, facts }
    }

    /// The socket without the driver. An error says why it is lost.
    pub(super) fn into_socket(self) -> Result<(Box<dyn Socket>, Budget), Fault> {
        let Self { client, driver, end, budget, lender, .. } = self;
        let socket = lender.and_then(|lender| lender.take_back());
        drop(driver);
        // Not before: without a client the driver says goodbye to the server.
        drop(client);
        let lost = || end.get().cloned().unwrap_or_else(|| Fault::local(ErrorClass::Connection));
        Ok((socket.ok_or_else(lost)?, budget))
    }

    /// The driver's client, for statements.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What is known about the server.
    #[must_use]
    pub fn facts(&self) -> &ServerFacts {
        &self.facts
    }

    /// Whether the connection is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Lets the server send as much again as [`super::ConnectOptions::byte_budget`]; before each statement of many.
    pub fn refill_budget(&self) {
        self.budget.refill();
    }

    /// What an error of this session's client means. Knows more than the error alone: why the connection is gone.
    #[must_use]
    pub fn explain(&self, error: &tokio_postgres::Error) -> Fault {
        if error.as_db_error().is_some() {
            return Fault::of(error);
        }
        let known = self.budget.fault().or_else(|| self.end.get().cloned());
        known.unwrap_or_else(|| Fault::of(error))
    }

    /// Opens a transaction under `limits`.
    pub async fn begin(&self, limits: &Limits) -> Result<(), Fault> {
        self.client.batch_execute(&limits.begin()).await.map_err(|error| self.explain(&error))
    }

    /// Puts `limits` into force for the whole session, where nobody else can come by them; else does nothing, and each transaction
    /// has to begin with [`Limits::begin`].
    pub async fn restrict(&self, limits: &Limits) -> Result<(), Fault> {
        if !self.facts.is_direct() {
            return Ok(());
        }
        let read_only = if limits.read_only { "SET default_transaction_read_only = on; " } else { "" };
        let settings = format!("{read_only}{}", limits.settings());
        self.client.batch_execute(&settings).await.map_err(|error| self.explain(&error))
    }

    /// The server process that serves it now. The simple protocol: a pooler may not keep prepared statements.
    pub async fn process(&self) -> Result<i32, Fault> {
        let answer = self.client.simple_query("SELECT pg_catalog.pg_backend_pid()").await;
        let answer = answer.map_err(|error| self.explain(&error))?;
        let process = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.try_get(0).ok().flatten()?.parse().ok(),
            _ => None,
        });
        process.ok_or(Fault::local(ErrorClass::Other))
    }

    /// Closes the connection in order, so that the server's log has no complaint about it.
    pub async fn close(self) {
        let Self { client, mut driver, .. } = self;
        drop(client);
        // If the goodbye does not get through, the connection is closed without.
        let _ = timeout(GOODBYE, &mut driver.0).await;
    }

    /// Refuses what must not be used, and finds out whether a pooler is between.
    pub(super) async fn examine(
        mut self,
        wanted: SessionAttrs,
        roles: Roles,
        local: Option<SocketAddr>,
    ) -> Result<Self, ConnectCause> {
        let answer = self.ask_facts().await.map_err(ConnectCause::Server)?;
        let [rolsuper, memberships, address, port, is_in_recovery, is_read_only, process] = &answer;
        match role::judge(rolsuper.as_deref(), memberships.as_deref()) {
            Err(error) if roles == Roles::Ordinary => return Err(error.into()),
            _ => {}
        }
        let accepts_writes = is_in_recovery.as_deref() == Some("f") && is_read_only.as_deref() == Some("off");
        let is_wanted = match wanted {
            SessionAttrs::Any => true,
            SessionAttrs::ReadWrite => accepts_writes,
            SessionAttrs::ReadOnly => !accepts_writes,
        };
        if !is_wanted {
            return Err(ConnectCause::SessionAttrs);
        }
        let greeted_by = self.lender.as_ref().and_then(Lender::process);
        self.facts.via = if is_same_socket(local, address.as_deref(), port.as_deref()) {
            Via::Direct
        } else if greeted_by.is_some()
            && greeted_by == process.as_deref().and_then(|process| process.parse().ok())
        {
            Via::Proxy
        } else {
            Via::Pooler
        };
        Ok(self)
    }

    async fn ask_facts(&self) -> Result<[Option<String>; 7], Fault> {
        // The simple protocol: a pooler may not keep prepared statements.
        let question = format!(
            "SELECT {ROLE_COLUMNS}, pg_catalog.host(pg_catalog.inet_client_addr()), pg_catalog.inet_client_port(), \
             pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only'), \
             pg_catalog.pg_backend_pid()"
        );
        let messages = self.client.simple_query(&question).await.map_err(|error| self.explain(&error))?;
        let row = messages.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let row = row.ok_or(Fault::local(ErrorClass::Other))?;
        Ok(std::array::from_fn(|index| row.try_get(index).ok().flatten().map(str::to_owned)))
    }
}

/// Address and port: the port alone is the same by chance once in some 30,000 connections.
fn is_same_socket(local: Option<SocketAddr>, address: Option<&str>, port: Option<&str>) -> bool {
    let (Some(local), Some(address), Some(port)) = (local, address, port) else {
        return false;
    };
    let address: Option<IpAddr> = address.parse().ok();
    address.map(|address| address.to_canonical()) == Some(local.ip().to_canonical())
        && port.parse() == Ok(local.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_direct_only_if_the_server_sees_this_very_socket() {
        let local = "10.0.0.7:40000".parse().ok();
        assert!(is_same_socket(local, Some("10.0.0.7"), Some("40000")));
        assert!(!is_same_socket(local, Some("10.0.0.8"), Some("40000")));
        assert!(!is_same_socket(local, Some("10.0.0.7"), Some("40001")));
        assert!(!is_same_socket(local, None, None));
        assert!(!is_same_socket(None, Some("10.0.0.7"), Some("40000")));
        assert!(is_same_socket("[::ffff:10.0.0.7]:1".parse().ok(), Some("10.0.0.7"), Some("1")));
    }
}
