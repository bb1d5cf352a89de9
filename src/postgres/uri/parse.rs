//! The grammar of a connection URI: `postgresql://user:password@host:port/database?name=value&…`.
//!
//! Follows libpq's `conninfo_uri_parse_options`: user and password end at the `@` before the first `/` or `?`, and
//! parameters after the `?` may name the parts again. What libpq would misread silently (a password with an unencoded
//! `/` or `@`) is told apart here, because the resulting error would otherwise be about a host that nobody wrote.

use std::{net::Ipv6Addr, time::Duration};

use super::{ConnectionUri, Endpoint, SessionAttrs, UriError};

const DEFAULT_PORT: u16 = 5432;

/// What was found so far; the parameters after the `?` come last and win, as in libpq.
#[derive(Default)]
struct Parts {
    user: Option<String>,
    password: Option<Vec<u8>>,
    host: Option<String>,
    port: Option<u16>,
    database: Option<String>,
    options: Option<String>,
    connect_timeout: Option<Duration>,
    session_attrs: SessionAttrs,
    ssl_mode: Option<String>,
    ssl_root_cert: Option<String>,
}

pub(super) fn parse(text: &str) -> Result<ConnectionUri, UriError> {
    let rest = strip_scheme(text.trim())?;
    if rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(UriError::Whitespace);
    }
    let (before_query, query) = rest.split_once('?').map_or((rest, ""), |(before, query)| (before, query));
    let (authority, path) =
        before_query.split_once('/').map_or((before_query, ""), |(before, path)| (before, path));
    let mut parts = Parts::default();
    parts.authority(authority, &rest[authority.len()..])?;
    // A database name with an `@` is far rarer than a password with a `/`, and can be encoded just the same.
    if path.contains('@') {
        return Err(UriError::Unencoded);
    }
    if !path.is_empty() {
        parts.database = Some(decode_text(path, "database")?);
    }
    parts.query(query)?;
    parts.finish()
}

fn strip_scheme(text: &str) -> Result<&str, UriError> {
    if let Some(rest) = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://")) {
        return Ok(rest);
    }
    let keyword_value = ["host=", "dbname=", "user=", "port=", "hostaddr=", "service="];
    if keyword_value.iter().any(|key| text.starts_with(key)) {
        return Err(UriError::KeywordValue);
    }
    Err(UriError::NotAUri)
}

impl Parts {
    /// `user:password@host:port`; `after` is what follows it.
    fn authority(&mut self, authority: &str, after: &str) -> Result<(), UriError> {
        match authority.matches('@').count() {
            0 => self.server(authority).map_err(|error| {
                // `user:pass/word@host` reads as the host `user` with a bad port, followed by a path with an `@`.
                if after.contains('@') { UriError::Unencoded } else { error }
            }),
            1 => {
                let (credentials, server) = authority.split_once('@').unwrap_or(("", authority));
                self.credentials(credentials)?;
                self.server(server)
            }
            _ => Err(UriError::Unencoded),
        }
    }

    fn credentials(&mut self, credentials: &str) -> Result<(), UriError> {
        let (user, password) = credentials
            .split_once(':')
            .map_or((credentials, None), |(user, password)| (user, Some(password)));
        if !user.is_empty() {
            self.user = Some(decode_text(user, "user name")?);
        }
        self.password = password.map(|password| decode(password, "password")).transpose()?;
        Ok(())
    }

    fn server(&mut self, server: &str) -> Result<(), UriError> {
        if server.contains(',') {
            return Err(UriError::SeveralHosts);
        }
        let (host, port) = if let Some(bracketed) = server.strip_prefix('[') {
            let (address, rest) = bracketed.split_once(']').ok_or(UriError::Host)?;
            address.parse::<Ipv6Addr>().map_err(|_| UriError::Host)?;
            let port = if rest.is_empty() { "" } else { rest.strip_prefix(':').ok_or(UriError::Host)? };
            (address, port)
        } else {
            server.split_once(':').unwrap_or((server, ""))
        };
        if !port.is_empty() {
            self.port = Some(parse_port(port)?);
        }
        if !host.is_empty() {
            self.host = Some(parse_host(host)?);
        }
        Ok(())
    }

    fn query(&mut self, query: &str) -> Result<(), UriError> {
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').ok_or(UriError::Parameter)?;
            let name = decode_text(name, "name of a parameter")?;
            self.parameter(&name, value)?;
        }
        Ok(())
    }

    fn parameter(&mut self, name: &str, value: &str) -> Result<(), UriError> {
        match name {
            "user" => self.user = Some(decode_text(value, "user name")?),
            "password" => self.password = Some(decode(value, "password")?),
            "host" if self.host.is_some() => return Err(UriError::SeveralHosts),
            "host" => self.host = Some(parse_host(value)?),
            "port" if self.port.is_some() => return Err(UriError::SeveralHosts),
            "port" => self.port = Some(parse_port(value)?),
            "hostaddr" => return Err(UriError::HostAddress),
            "dbname" => self.database = Some(decode_text(value, "database")?),
            "options" => self.options = Some(decode_text(value, "options parameter")?),
            "connect_timeout" => self.connect_timeout = parse_connect_timeout(value)?,
            "target_session_attrs" => self.session_attrs = parse_session_attrs(value)?,
            "sslmode" => self.ssl_mode = Some(decode_text(value, "sslmode parameter")?),
            "sslrootcert" => self.ssl_root_cert = Some(decode_text(value, "sslrootcert parameter")?),
            // The rest is another driver's business,
            // and `application_name` is ours to set, so that a DBA can tell these sessions from the application's.
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<ConnectionUri, UriError> {
        let user = self.user.filter(|user| !user.is_empty()).ok_or(UriError::NoUser)?;
        let host = self.host.ok_or(UriError::NoHost)?;
        let database = self.database.filter(|database| !database.is_empty()).unwrap_or_else(|| user.clone());
        Ok(ConnectionUri {
            endpoint: Endpoint { host, port: self.port.unwrap_or(DEFAULT_PORT), database },
            user,
            password: self.password.filter(|password| !password.is_empty()),
            options: self.options,
            connect_timeout: self.connect_timeout,
            session_attrs: self.session_attrs,
            ssl_mode: self.ssl_mode,
            ssl_root_cert: self.ssl_root_cert,
        })
    }
}

fn parse_host(host: &str) -> Result<String, UriError> {
    let host = decode_text(host, "host")?;
    if host.starts_with(['/', '@']) {
        return Err(UriError::UnixSocket);
    }
    if host.contains(',') {
        return Err(UriError::SeveralHosts);
    }
    let is_name = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    if host.is_empty() || host.len() > 253 || !(is_name || host.parse::<Ipv6Addr>().is_ok()) {
        return Err(UriError::Host);
    }
    Ok(host)
}

fn parse_port(port: &str) -> Result<u16, UriError> {
    if port.contains(',') {
        return Err(UriError::SeveralHosts);
    }
    port.parse().ok().filter(|port| *port > 0).ok_or(UriError::Port)
}

/// Seconds; zero and less mean no limit, as in libpq.
fn parse_connect_timeout(value: &str) -> Result<Option<Duration>, UriError> {
    let seconds: i32 = value.parse().map_err(|_| UriError::ConnectTimeout)?;
    Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs))
}

fn parse_session_attrs(value: &str) -> Result<SessionAttrs, UriError> {
    match value {
        "any" | "prefer-standby" => Ok(SessionAttrs::Any),
        "read-write" | "primary" => Ok(SessionAttrs::ReadWrite),
        "read-only" | "standby" => Ok(SessionAttrs::ReadOnly),
        _ => Err(UriError::SessionAttrs),
    }
}

fn decode_text(text: &str, part: &'static str) -> Result<String, UriError> {
    String::from_utf8(decode(text, part)?).map_err(|_| UriError::NotText(part))
}

/// Undoes percent-encoding. A zero byte is refused: the protocol ends strings with it.
fn decode(text: &str, part: &'static str) -> Result<Vec<u8>, UriError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'%' {
            let (high, low) = (bytes.next().and_then(hex), bytes.next().and_then(hex));
            let (Some(high), Some(low)) = (high, low) else {
                return Err(UriError::Percent(part));
            };
            high * 16 + low
        } else {
            byte
        };
        if byte == 0 {
            return Err(UriError::NotText(part));
        }
        decoded.push(byte);
    }
    Ok(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
