//! PostgreSQL as a client sees it: where a server is, whether it is the right one, and what its errors mean.
//!
//! Decides how a connection URI is read ([`ConnectionUri`]), how a server is verified (`tls`), in which steps a
//! session comes about ([`Session`]), what a session may do, how statements are sent where their cost counts ([`Wire`]), and
//! what an error is called ([`Fault`]).
//!
//! Never decides whether a fault matters: that is what [`crate::checks`] and [`crate::load`] are for. Never lets a
//! password, a connection string or a value from a table into an error, a `Debug` or a `Display`. Never changes a
//! setting that could outlive its transaction on a connection that a pooler shares with the application.

mod budget;
mod connect;
mod endpoint;
mod error;
mod greeting;
mod lent;
mod limits;
mod login;
mod role;
mod session;
mod tls;
mod uri;
mod wire;
mod witness;

pub use connect::{ConnectCause, ConnectError, ConnectOptions, Step, Target};
pub use endpoint::Endpoint;
pub use error::{ErrorClass, Fault, describe};
pub use limits::Limits;
pub use role::{RoleError, Roles};
pub use session::{ServerFacts, Session};
pub use tls::{TlsError, TlsSeen};
pub(crate) use tls::{explain as explain_tls, verify_with_system_store};
pub use uri::{ConnectionUri, UriError};
pub use wire::{Column, Row, Rows, Scope, Statement, Wire};
pub use witness::Witness;
