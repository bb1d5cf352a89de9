//! The connection URI, as applications keep it in a Secret.
//!
//! Decides which texts name exactly one server, one database and one role. What libpq would accept is accepted,
//! except what this program can't honour (several hosts, unix sockets), which is refused with the reason. Parameters
//! about TLS are kept aside, because the rollout's `tls` settings govern; those of other drivers are dropped, because the
//! text belongs to the application and its driver reads more than libpq's.
//!
//! Never prints the text or a part of it: an error names what is wrong, not what is written there.

use std::{fmt, time::Duration};

use super::endpoint::Endpoint;

mod parse;

/// A parsed `postgresql://` URI. A secret: neither `Debug` nor anything else shows more than its [`Endpoint`].
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionUri {
    endpoint: Endpoint,
    user: String,
    password: Option<Vec<u8>>,
    options: Option<String>,
    connect_timeout: Option<Duration>,
    session_attrs: SessionAttrs,
    ssl_mode: Option<String>,
    ssl_root_cert: Option<String>,
}

/// `target_session_attrs`: what kind of server the application insists on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum SessionAttrs {
    /// Any server.
    #[default]
    Any,
    /// One that accepts writes by default (`read-write`, `primary`).
    ReadWrite,
    /// One that does not (`read-only`, `standby`).
    ReadOnly,
}

/// Why a text can't be used as a connection URI. Shows nothing of the text.
#[derive(thiserror::Error, Debug, PartialEq, Eq, Clone, Copy)]
pub enum UriError {
    /// Another form of connection string, or something else altogether.
    #[error("the connection is not a URI: it must begin with postgresql:// or postgres://")]
    NotAUri,
    /// The form `host=… user=…`.
    #[error(
        "the connection is written in keyword=value form; write it as postgresql://user:password@host:port/database"
    )]
    KeywordValue,
    /// White space or a control character inside.
    #[error(
        "the connection URI contains white space or a control character; percent-encode it (a space is %20)"
    )]
    Whitespace,
    /// The user name or the password has a character that ends it early.
    #[error(
        "the user name or password in the connection URI contains an unencoded special character; \
         percent-encode it: @ is %40, / is %2F, ? is %3F, # is %23, % is %25, : is %3A"
    )]
    Unencoded,
    /// A `%` that two hexadecimal digits don't follow.
    #[error(
        "the {0} in the connection URI contains a % that is not followed by two hexadecimal digits; a % itself is written %25"
    )]
    Percent(&'static str),
    /// Percent-encoded bytes that are not UTF-8 or hold a zero byte.
    #[error("the {0} in the connection URI decodes to bytes that are not text")]
    NotText(&'static str),
    /// No user name: there is no operating system user to fall back to.
    #[error("the connection URI names no user; write postgresql://user:password@host:port/database")]
    NoUser,
    /// No host: libpq would fall back to a unix socket.
    #[error("the connection URI names no host; write postgresql://user:password@host:port/database")]
    NoHost,
    /// A path instead of a host name.
    #[error(
        "the connection URI names a unix socket, which can't be reached from another pod; name the server's host and port"
    )]
    UnixSocket,
    /// More than one host or port.
    #[error(
        "the connection URI names several hosts, so a check could not tell which one it asked; \
         name exactly one host and one port, such as the service or the pooler in front of them"
    )]
    SeveralHosts,
    /// `hostaddr`.
    #[error("the connection URI sets hostaddr, which is not supported; name the server by its host alone")]
    HostAddress,
    /// Not a number between 1 and 65535.
    #[error("the port in the connection URI is not a number between 1 and 65535")]
    Port,
    /// A host that is no name and no address.
    #[error(
        "the host in the connection URI is neither a name nor an IP address; an IPv6 address is written in brackets"
    )]
    Host,
    /// A parameter without a value.
    #[error("a parameter after the ? in the connection URI has no value; write name=value, joined by &")]
    Parameter,
    /// A number of seconds was expected.
    #[error("connect_timeout in the connection URI is not a whole number of seconds")]
    ConnectTimeout,
    /// Not one of libpq's words.
    #[error(
        "target_session_attrs in the connection URI is none of any, read-write, read-only, primary, standby and prefer-standby"
    )]
    SessionAttrs,
}

impl ConnectionUri {
    /// Reads the text of a Secret's key; white space around it (a newline, as editors leave one) does not count.
    ///
    /// # Errors
    /// Says what is wrong and how to write it, without showing any of it.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        parse::parse(text)
    }

    /// Where the database is; the part that may be shown.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The role that logs in. Not for messages.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The URI's own `connect_timeout`, where it sets one.
    pub(super) fn connect_timeout(&self) -> Option<Duration> {
        self.connect_timeout
    }

    /// The URI's own `sslmode`, as written. A rollout's `tls` settings govern instead; this is for the command line.
    #[must_use]
    pub fn ssl_mode(&self) -> Option<&str> {
        self.ssl_mode.as_deref()
    }

    /// The URI's own `sslrootcert`: a file of PEM certificates. For the command line, as [`Self::ssl_mode`].
    #[must_use]
    pub fn ssl_root_cert(&self) -> Option<&str> {
        self.ssl_root_cert.as_deref()
    }

    /// The kind of server that the URI insists on.
    pub(super) fn session_attrs(&self) -> SessionAttrs {
        self.session_attrs
    }

    /// What the driver needs to log in as `application_name`; without hosts, because the stream is connected already.
    pub(super) fn login(&self, application_name: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.user(&self.user).dbname(&self.endpoint.database).application_name(application_name);
        if let Some(password) = &self.password {
            config.password(password);
        }
        if let Some(options) = &self.options {
            config.options(options);
        }
        config
    }
}

impl fmt::Debug for ConnectionUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionUri({})", self.endpoint)
    }
}

#[cfg(test)]
mod tests;
