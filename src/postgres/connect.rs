//! How a session comes about: DNS, TCP, TLS, authentication, startup; each with its own deadline.
//!
//! Decides in which step a server failed and what that means, because "connection failed" sends people to the wrong
//! place. Never retries (the caller knows whether that is wise), never goes on to a second host, and never shows more
//! of the connection than its endpoint.

use std::{fmt, io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout, timeout_at},
};

use super::{
    budget::{Budget, ByteBudget},
    endpoint::Endpoint,
    error::{ErrorClass, Fault},
    login,
    role::{RoleError, Roles},
    session::Session,
    tls::{TlsError, Verification},
    uri::ConnectionUri,
};
use crate::api::TlsSettings;

/// Most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// A database, and how its server is verified.
#[derive(Clone)]
pub struct Target {
    /// The connection, from the Secret's key.
    pub uri: ConnectionUri,
    /// From the rollout's spec.
    pub tls: TlsSettings,
    /// The bytes under `tls.caKey` of the same Secret.
    pub ca_pem: Option<Vec<u8>>,
    /// Who may log in.
    pub roles: Roles,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("uri", &self.uri).field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// How to connect.
#[derive(Debug, Clone, Copy)]
pub struct ConnectOptions {
    /// What the session is for; its `application_name` is `cutover/<purpose>`.
    pub purpose: &'static str,
    /// Longest that each of the steps may take.
    pub step_timeout: Duration,
    /// Most bytes that the server may send, until [`Session::refill_budget`].
    pub byte_budget: u64,
}

/// The steps of connecting, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The host name is resolved.
    Dns,
    /// The connection is opened.
    Tcp,
    /// The server is verified and the connection encrypted.
    Tls,
    /// The role logs in.
    Authentication,
    /// The server accepts the session, and the session is as it must be.
    Startup,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "DNS",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Authentication => "authentication",
            Self::Startup => "startup",
        })
    }
}

/// The step that failed, where, and why.
#[derive(thiserror::Error, Debug, PartialEq, Eq, Clone)]
#[error("{step} failed for {endpoint}: {cause}")]
pub struct ConnectError {
    /// The step.
    pub step: Step,
    /// The database.
    pub endpoint: Endpoint,
    /// The reason.
    pub cause: ConnectCause,
}

impl ConnectError {
    /// Whether all connections that the server, the database or the role has are in use: somebody else's may be, and in a while
    /// no more.
    #[must_use]
    pub fn is_for_lack_of_connections(&self) -> bool {
        matches!(&self.cause, ConnectCause::Server(fault) if fault.class == ErrorClass::TooManyConnections)
    }
}

/// Why a step failed.
#[derive(thiserror::Error, Debug, PartialEq, Eq, Clone)]
pub enum ConnectCause {
    /// The step's deadline passed.
    #[error("no answer within {}", crate::duration::format(*.0))]
    TimedOut(Duration),
    /// The name does not resolve.
    #[error("the host name does not resolve; check the host in the connection URI, and DNS")]
    NameNotFound,
    /// Nothing listens.
    #[error(
        "the connection was refused; check that the server listens on this port and that no firewall is between"
    )]
    Refused,
    /// No route.
    #[error("the host can't be reached; check routes, firewalls and network policies")]
    Unreachable,
    /// The server hung up or spoke another protocol.
    #[error("the server broke off the connection, or does not speak PostgreSQL's protocol")]
    BrokenOff,
    /// Verification could not be set up.
    #[error(transparent)]
    TlsSetup(#[from] TlsError),
    /// The server has no TLS.
    #[error(
        "the server does not offer TLS; turn ssl on there, or set the connection's tls.mode to Disable to talk in the clear"
    )]
    TlsUnsupported,
    /// The handshake failed.
    #[error("{0}")]
    TlsHandshake(&'static str),
    /// The server wants a password.
    #[error("the server asks for a password, and the connection URI has none")]
    NoPassword,
    /// Kerberos, a wrong SCRAM signature, and so on.
    #[error(
        "the server asks for an authentication method that is not supported, or could not prove that it knows the password; \
         use scram-sha-256"
    )]
    Method,
    /// The server's own error.
    #[error("{0}")]
    Server(Fault),
    /// The role is one that must not be used.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// `target_session_attrs`.
    #[error(
        "the connection URI's target_session_attrs asks for another kind of server than this one (read-write or standby)"
    )]
    SessionAttrs,
}

impl ConnectError {
    /// Whether the role, not the server, is at fault.
    #[must_use]
    pub fn is_refused_role(&self) -> bool {
        matches!(self.cause, ConnectCause::Role(_))
    }
}

/// A failed step before its endpoint is known.
pub(super) type StepError = (Step, ConnectCause);

impl Session {
    /// Opens a session: connected, verified, logged in by an ordinary role. Takes at most four times the step timeout.
    pub async fn connect(target: &Target, options: &ConnectOptions) -> Result<Self, ConnectError> {
        connect(target, options).await.map_err(|(step, cause)| ConnectError {
            step,
            endpoint: target.uri.endpoint().clone(),
            cause,
        })
    }
}

async fn connect(target: &Target, options: &ConnectOptions) -> Result<Session, StepError> {
    let endpoint = target.uri.endpoint();
    let verification = Verification::new(&target.tls, target.ca_pem.as_deref())
        .map_err(|error| (Step::Tls, ConnectCause::TlsSetup(error)))?;
    let addresses = resolve(endpoint, options.step_timeout).await.map_err(|cause| (Step::Dns, cause))?;
    let patience =
        target.uri.connect_timeout().map_or(options.step_timeout, |own| own.min(options.step_timeout));
    let stream = open(&addresses, patience).await.map_err(|cause| (Step::Tcp, cause))?;
    let local = stream.local_addr().ok();
    let budget = Budget::new(options.byte_budget);
    let stream = ByteBudget::new(stream, budget.clone());
    let session = login::login(stream, target, verification, budget, options).await?;
    match timeout(options.step_timeout, session.examine(target.uri.session_attrs(), target.roles, local))
        .await
    {
        Ok(examined) => examined.map_err(|cause| (Step::Startup, cause)),
        Err(_) => Err((Step::Startup, ConnectCause::TimedOut(options.step_timeout))),
    }
}

async fn resolve(endpoint: &Endpoint, limit: Duration) -> Result<Vec<SocketAddr>, ConnectCause> {
    let lookup = lookup_host((endpoint.host.as_str(), endpoint.port));
    let addresses: Vec<_> = timeout(limit, lookup)
        .await
        .map_err(|_| ConnectCause::TimedOut(limit))?
        .map_err(|_| ConnectCause::NameNotFound)?
        .take(MAX_ADDRESSES)
        .collect();
    if addresses.is_empty() { Err(ConnectCause::NameNotFound) } else { Ok(addresses) }
}

/// The first address that answers. Each gets its share of the time, so that a silent one does not take it all.
async fn open(addresses: &[SocketAddr], limit: Duration) -> Result<TcpStream, ConnectCause> {
    let deadline = Instant::now() + limit;
    let mut failure = ConnectCause::TimedOut(limit);
    for (index, address) in addresses.iter().enumerate() {
        let remaining = deadline.saturating_duration_since(Instant::now());
        let share = remaining / u32::try_from(addresses.len() - index).unwrap_or(1);
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Best effort: without it, small messages wait for acknowledgements, and nothing else goes wrong.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => failure = tcp_cause(&error),
            Err(_) => failure = ConnectCause::TimedOut(limit),
        }
    }
    Err(failure)
}

fn tcp_cause(error: &io::Error) -> ConnectCause {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectCause::Refused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => ConnectCause::BrokenOff,
        _ => ConnectCause::Unreachable,
    }
}
