//! What an error of the server is called.
//!
//! Decides the class of an error by its SQLSTATE and the fixed text that goes with it. The server's own message is
//! shown only for faults in a statement's text (syntax, unknown names), where it repeats the statement, which is in
//! the rollout's spec anyway; and not even there if the fault lies inside a function, whose text may be data.
//! Never shows DETAIL, HINT, CONTEXT, a value or what a driver's error wraps.

use std::fmt;

use tokio_postgres::error::{DbError, ErrorPosition};

/// Longest part of a server's message that is shown, in characters.
const MAX_MESSAGE: usize = 200;

/// Classes of errors that call for different answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorClass {
    /// The connection was lost, refused or out of step (SQLSTATE 08, or no SQLSTATE at all).
    Connection,
    /// The login was refused (28).
    Authentication,
    /// The database does not exist (3D).
    NoSuchDatabase,
    /// No connection slots (53300).
    TooManyConnections,
    /// Disk, memory, a limit (53 otherwise, 54).
    Resources,
    /// Starting up, shutting down, in recovery (57P03).
    NotAccepting,
    /// The session was ended by the server (57 otherwise).
    OperatorIntervention,
    /// The statement ran into its timeout, or was canceled (57014).
    Canceled,
    /// A lock could not be had in time (55P03).
    LockTimeout,
    /// Serialization failure or deadlock (40).
    TransactionRollback,
    /// A write in a read-only transaction (25006).
    ReadOnly,
    /// A privilege is missing (42501).
    Privilege,
    /// The statement can't be parsed (42601 and alike).
    Syntax,
    /// A table, column, function, schema or type does not exist (42P01 and alike, 3F000).
    Undefined,
    /// The prepared statement is gone or exists twice (26000, 42P05): a pooler between.
    PreparedStatement,
    /// A value can't be processed (22), a constraint is broken (23), or an application's own error (P0).
    Data,
    /// The server sent more than a session may receive.
    TooMuchData,
    /// Anything else.
    Other,
}

impl ErrorClass {
    /// The class of a five-character SQLSTATE.
    #[must_use]
    pub fn of(sqlstate: &str) -> Self {
        match (sqlstate, sqlstate.get(..2).unwrap_or("")) {
            ("53300", _) => Self::TooManyConnections,
            ("57P03", _) => Self::NotAccepting,
            ("57014", _) => Self::Canceled,
            ("55P03", _) => Self::LockTimeout,
            ("25006", _) => Self::ReadOnly,
            ("42501", _) => Self::Privilege,
            ("26000" | "42P05", _) => Self::PreparedStatement,
            ("42P01" | "42P02" | "42703" | "42704" | "42883" | "3F000", _) => Self::Undefined,
            (_, "08") => Self::Connection,
            (_, "28") => Self::Authentication,
            (_, "3D") => Self::NoSuchDatabase,
            (_, "53" | "54") => Self::Resources,
            (_, "57") => Self::OperatorIntervention,
            (_, "40") => Self::TransactionRollback,
            (_, "42") => Self::Syntax,
            (_, "22" | "23" | "P0") => Self::Data,
            _ => Self::Other,
        }
    }

    /// What it is and what to do, in a fixed text.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Connection => "the connection was lost, or the server does not speak PostgreSQL's protocol",
            Self::Authentication => {
                "the server refused the login: check the user and password in the connection URI, and pg_hba.conf"
            }
            Self::NoSuchDatabase => {
                "the database does not exist on the server: check its name in the connection URI"
            }
            Self::TooManyConnections => {
                "the server has no connection left: raise its limit, or lower the pools that use it"
            }
            Self::Resources => "the server is out of disk, memory or another resource",
            Self::NotAccepting => {
                "the server does not accept connections: it is starting up, shutting down or recovering"
            }
            Self::OperatorIntervention => {
                "the server ended the session: it was shut down, or an administrator ended it"
            }
            Self::Canceled => "the statement ran into its timeout, or was canceled",
            Self::LockTimeout => "a lock was not available in time",
            Self::TransactionRollback => {
                "the transaction lost against another one (serialization failure or deadlock)"
            }
            Self::ReadOnly => "the statement writes, and the session is read-only",
            Self::Privilege => "the role lacks a privilege that the statement needs: grant it",
            Self::Syntax => "the statement is not valid",
            Self::Undefined => "the statement names something that does not exist",
            Self::PreparedStatement => {
                "prepared statements do not survive the pooler: raise its max_prepared_statements, or name the direct endpoint"
            }
            Self::Data => "a value or a constraint stopped the statement",
            Self::TooMuchData => "the server sent more data than a session may receive",
            Self::Other => "the server reported an error",
        }
    }

    /// A short name for tables and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection lost",
            Self::Authentication => "login refused",
            Self::NoSuchDatabase => "no such database",
            Self::TooManyConnections => "too many connections",
            Self::Resources => "out of resources",
            Self::NotAccepting => "not accepting connections",
            Self::OperatorIntervention => "session ended",
            Self::Canceled => "canceled",
            Self::LockTimeout => "lock timeout",
            Self::TransactionRollback => "transaction rolled back",
            Self::ReadOnly => "write in a read-only session",
            Self::Privilege => "privilege missing",
            Self::Syntax => "invalid statement",
            Self::Undefined => "undefined name",
            Self::PreparedStatement => "prepared statement lost",
            Self::Data => "value or constraint",
            Self::TooMuchData => "too much data",
            Self::Other => "other",
        }
    }
}

/// An error, reduced to what may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The class.
    pub class: ErrorClass,
    /// The five characters, where the server gave any.
    pub sqlstate: Option<String>,
    /// The server's message, where it can't hold data.
    message: Option<String>,
}

impl Fault {
    /// Reduces a driver's error.
    #[must_use]
    pub fn of(error: &tokio_postgres::Error) -> Self {
        error.as_db_error().map_or_else(|| Self::local(ErrorClass::Connection), Self::of_server)
    }

    /// A fault that this side noticed.
    #[must_use]
    pub fn local(class: ErrorClass) -> Self {
        Self { class, sqlstate: None, message: None }
    }

    fn of_server(error: &DbError) -> Self {
        let is_inside_a_function =
            error.where_().is_some() || matches!(error.position(), Some(ErrorPosition::Internal { .. }));
        Self::reported(error.code().code(), error.message(), is_inside_a_function)
    }

    /// What a server reports, with its SQLSTATE.
    pub(super) fn reported(code: &str, message: &str, is_inside_a_function: bool) -> Self {
        // A hostile server may send anything as its SQLSTATE; a text of its choice must not get through this way.
        let is_sqlstate =
            code.len() == 5 && code.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
        let class = if is_sqlstate { ErrorClass::of(code) } else { ErrorClass::Other };
        Self {
            class,
            sqlstate: is_sqlstate.then(|| code.to_owned()),
            message: showable_message(message, class, is_inside_a_function),
        }
    }

    /// A short name with the SQLSTATE, for counters: `42P01 undefined name`.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.sqlstate {
            Some(sqlstate) => format!("{sqlstate} {}", self.class.name()),
            None => self.class.name().to_owned(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.class.text())?;
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        match &self.sqlstate {
            Some(sqlstate) => write!(f, " (SQLSTATE {sqlstate})"),
            None => Ok(()),
        }
    }
}

/// A sentence about a driver's error: its class's fixed text, its SQLSTATE, and nothing that could be data.
#[must_use]
pub fn describe(error: &tokio_postgres::Error) -> String {
    Fault::of(error).to_string()
}

fn showable_message(message: &str, class: ErrorClass, is_inside_a_function: bool) -> Option<String> {
    let is_about_the_text = matches!(class, ErrorClass::Syntax | ErrorClass::Undefined);
    if !is_about_the_text || is_inside_a_function {
        return None;
    }
    let message: String = message.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE).collect();
    (!message.is_empty()).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sqlstate_has_its_class() {
        for (sqlstate, class) in [
            ("08006", ErrorClass::Connection),
            ("28P01", ErrorClass::Authentication),
            ("3D000", ErrorClass::NoSuchDatabase),
            ("53300", ErrorClass::TooManyConnections),
            ("53100", ErrorClass::Resources),
            ("57P03", ErrorClass::NotAccepting),
            ("57P01", ErrorClass::OperatorIntervention),
            ("57014", ErrorClass::Canceled),
            ("55P03", ErrorClass::LockTimeout),
            ("40001", ErrorClass::TransactionRollback),
            ("25006", ErrorClass::ReadOnly),
            ("42501", ErrorClass::Privilege),
            ("42601", ErrorClass::Syntax),
            ("42804", ErrorClass::Syntax),
            ("42P01", ErrorClass::Undefined),
            ("42P05", ErrorClass::PreparedStatement),
            ("23505", ErrorClass::Data),
            ("XX000", ErrorClass::Other),
            ("", ErrorClass::Other),
            ("é", ErrorClass::Other),
        ] {
            assert_eq!(ErrorClass::of(sqlstate), class, "{sqlstate}");
        }
    }

    #[test]
    fn a_fault_without_a_sqlstate_is_about_the_connection() {
        let fault = Fault::local(ErrorClass::Connection);
        assert_eq!(fault.label(), "connection lost");
        assert!(!fault.to_string().contains("SQLSTATE"));
    }
}
