//! A database that a person names at the command line.
//!
//! Decides how its server is verified: as the URI's own `sslmode` says, and without a word there fully, except on this
//! very machine. Never weaker than asked: `verify-ca` becomes `verify-full`, and `prefer` becomes `require`.

use std::net::IpAddr;

use anyhow::{Context as _, bail};

use crate::{
    api::{TlsMode, TlsSettings},
    postgres::{ConnectionUri, Roles, Target},
};

/// The target of a connection URI; errors show nothing of it.
pub(super) fn target(uri: &str) -> anyhow::Result<Target> {
    let uri = ConnectionUri::parse(uri)?;
    let mode = match uri.ssl_mode() {
        Some("disable") => TlsMode::Disable,
        Some("allow" | "prefer" | "require") => TlsMode::Require,
        Some("verify-ca" | "verify-full") => TlsMode::VerifyFull,
        Some(_) => bail!(
            "sslmode in the connection URI is none of disable, allow, prefer, require, verify-ca and verify-full"
        ),
        None if is_loopback(&uri.endpoint().host) => TlsMode::Disable,
        None => TlsMode::VerifyFull,
    };
    let ca_pem = match uri.ssl_root_cert() {
        None | Some("system") => None,
        Some(path) => Some(std::fs::read(path).with_context(|| format!("cannot read sslrootcert {path}"))?),
    };
    let ca_key = ca_pem.as_ref().map(|_| "sslrootcert".to_owned());
    Ok(Target { uri, tls: TlsSettings { mode, ca_key }, ca_pem, roles: Roles::Any })
}

/// What goes to this machine itself can't be read on the way.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(uri: &str) -> TlsMode {
        target(uri).unwrap().tls.mode
    }

    #[test]
    fn the_server_is_verified_unless_the_uri_says_otherwise_or_it_is_this_machine() {
        for (uri, expected) in [
            ("postgresql://u@db.example/d", TlsMode::VerifyFull),
            ("postgresql://u@db.example/d?sslmode=verify-ca", TlsMode::VerifyFull),
            ("postgresql://u@db.example/d?sslmode=prefer", TlsMode::Require),
            ("postgresql://u@db.example/d?sslmode=disable", TlsMode::Disable),
            ("postgresql://u@127.0.0.1/d", TlsMode::Disable),
            ("postgresql://u@[::1]/d", TlsMode::Disable),
            ("postgresql://u@localhost/d?sslmode=verify-full", TlsMode::VerifyFull),
        ] {
            assert_eq!(mode(uri), expected, "{uri}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_being_shown() {
        for uri in ["host=db", "postgresql://u:canary@db/d?sslmode=canary", "postgresql://canary"] {
            let error = format!("{:#}", target(uri).unwrap_err());
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
