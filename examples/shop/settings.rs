//! The configuration, from environment variables alone, as a pod gets it from its Secret and ConfigMap.
//!
//! Decides what can be used; whatever cannot ends the process at start, with a sentence that says which variable and
//! what is wrong with it. Never shows a part of `DATABASE_URL`, and never looks again later: that is why a changed
//! binding needs a restart.

use std::path::PathBuf;

use cutover::{
    api::{Access, TlsMode, TlsSettings},
    postgres::{ConnectionUri, Roles, Target, UriError},
};

/// More sessions than a test's server would give.
const POOL_MAX: u16 = 1000;
/// Fewer than this, and [`crate::readiness`] could not tell an idle shop from a broken one.
const RATE_MIN: u32 = 1;
const RATE_MAX: u32 = 10_000;
const RATE_DEFAULT: u32 = 20;
/// Stands in for the Secret's key where the CA came by an environment variable.
const CA_KEY: &str = "DATABASE_CA";

/// What the service needs to know.
#[derive(Debug)]
pub struct Settings {
    /// The database.
    pub target: Target,
    /// Sessions that are kept open.
    pub pool: u16,
    /// Whether orders are inserted, too.
    pub access: Access,
    /// Statements per second, of all sessions together.
    pub rate: u32,
    /// Name of the pod: the first part of every order's id.
    pub pod: String,
    /// Where the ledger goes, if one is kept.
    pub ledger_dir: Option<PathBuf>,
    /// The file whose age says whether the shop is ready.
    pub ready_file: PathBuf,
}

/// Why the shop cannot start.
#[derive(thiserror::Error, Debug, PartialEq, Eq)]
pub enum SettingsError {
    /// No database is named.
    #[error("DATABASE_URL is not set")]
    NoUrl,
    /// It names one that cannot be used.
    #[error("DATABASE_URL cannot be used")]
    Url(#[from] UrlError),
    /// Not a number, or out of bounds.
    #[error("{name} must be a whole number from {min} to {max}, but is {value:?}")]
    Number {
        /// The variable.
        name: &'static str,
        /// What it holds; none of the variables that are read as numbers is secret.
        value: String,
        /// Its lower bound.
        min: u32,
        /// Its upper bound.
        max: u32,
    },
    /// The pool's size has no default: no service should guess it.
    #[error("DB_POOL_MAX is not set")]
    NoPool,
    /// Not one of the two words.
    #[error("SHOP_ACCESS must be ReadOnly or ReadWrite")]
    Access,
}

/// Why a URI cannot be used. Shows nothing of it.
#[derive(thiserror::Error, Debug, PartialEq, Eq)]
pub enum UrlError {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] UriError),
    /// A word that libpq knows and the shop does not, or nobody knows.
    #[error("its sslmode must be disable, require or verify-full")]
    SslMode,
}

impl Settings {
    /// Reads the variables that `environment` finds by name.
    pub fn read(environment: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let pool = environment("DB_POOL_MAX").ok_or(SettingsError::NoPool)?;
        let pool = number("DB_POOL_MAX", &pool, 1, u32::from(POOL_MAX))?;
        let rate = match environment("SHOP_RATE") {
            Some(rate) => number("SHOP_RATE", &rate, RATE_MIN, RATE_MAX)?,
            None => RATE_DEFAULT,
        };
        let access = match environment("SHOP_ACCESS").as_deref() {
            None | Some("ReadOnly") => Access::ReadOnly,
            Some("ReadWrite") => Access::ReadWrite,
            Some(_) => return Err(SettingsError::Access),
        };
        // On the host's network HOSTNAME is the node's name, and the same for every pod there.
        let pod = environment("POD_NAME").or_else(|| environment("HOSTNAME"));
        Ok(Self {
            target: target(&environment)?,
            pool: u16::try_from(pool).unwrap_or(POOL_MAX),
            access,
            rate,
            pod: pod.unwrap_or_else(|| "shop".to_owned()),
            ledger_dir: environment("SHOP_LEDGER_DIR").map(PathBuf::from),
            ready_file: ready_file(&environment),
        })
    }
}

/// The database of `DATABASE_URL`.
pub fn target(environment: impl Fn(&str) -> Option<String>) -> Result<Target, SettingsError> {
    let url = environment("DATABASE_URL").ok_or(SettingsError::NoUrl)?;
    // A key that is there and empty is how a binding says "none".
    let ca = environment("DATABASE_CA").filter(|pem| !pem.trim().is_empty());
    Ok(target_of(&url, ca.map(String::into_bytes))?)
}

/// The database of a URI, verified against `ca_pem` where there is one, else as the URI's `sslmode` says.
pub fn target_of(url: &str, ca_pem: Option<Vec<u8>>) -> Result<Target, UrlError> {
    let mode = if ca_pem.is_some() { TlsMode::VerifyFull } else { tls_mode(url)? };
    Ok(Target {
        uri: ConnectionUri::parse(url)?,
        tls: TlsSettings { mode, ca_key: ca_pem.is_some().then(|| CA_KEY.to_owned()) },
        ca_pem,
        roles: Roles::Ordinary,
    })
}

/// cutover itself goes by the rollout's TLS settings; the application has only its URI. Without a word there, the
/// strongest.
fn tls_mode(url: &str) -> Result<TlsMode, UrlError> {
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
    let sslmode = parameters.trim_end().split('&').find_map(|parameter| parameter.strip_prefix("sslmode="));
    match sslmode {
        None | Some("verify-full") => Ok(TlsMode::VerifyFull),
        Some("require") => Ok(TlsMode::Require),
        Some("disable") => Ok(TlsMode::Disable),
        Some(_) => Err(UrlError::SslMode),
    }
}

/// The file whose age says whether the shop is ready.
pub fn ready_file(environment: impl Fn(&str) -> Option<String>) -> PathBuf {
    environment("SHOP_READY_FILE").map_or_else(|| PathBuf::from("/tmp/ready"), PathBuf::from)
}

fn number(name: &'static str, text: &str, min: u32, max: u32) -> Result<u32, SettingsError> {
    text.trim()
        .parse()
        .ok()
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| SettingsError::Number { name, value: text.to_owned(), min, max })
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "postgresql://shop:s3cret@db.example:5433/orders";

    fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_url_and_a_pool_size_are_enough() {
        let settings = read(&[("DATABASE_URL", URL), ("DB_POOL_MAX", "5\n")]).unwrap();
        assert_eq!(settings.pool, 5);
        assert_eq!(settings.rate, RATE_DEFAULT);
        assert_eq!(settings.access, Access::ReadOnly);
        assert_eq!(settings.target.tls.mode, TlsMode::VerifyFull);
        assert_eq!(settings.ledger_dir, None);
        assert_eq!(settings.ready_file, PathBuf::from("/tmp/ready"));
    }

    #[test]
    fn a_pool_size_must_be_a_number_of_at_least_one() {
        for size in ["0", "-1", "many", "", "1.5", "1001"] {
            let error = read(&[("DATABASE_URL", URL), ("DB_POOL_MAX", size)]).unwrap_err();
            assert!(error.to_string().starts_with("DB_POOL_MAX must be"), "{error}");
        }
        assert_eq!(read(&[("DATABASE_URL", URL)]).unwrap_err(), SettingsError::NoPool);
    }

    #[test]
    fn a_url_that_cannot_be_read_is_refused_without_showing_it() {
        let error = read(&[("DATABASE_URL", "mysql://shop:s3cret@db/x"), ("DB_POOL_MAX", "5")]).unwrap_err();
        assert_eq!(error, SettingsError::Url(UrlError::Unreadable(UriError::NotAUri)));
        assert!(!format!("{:#}", anyhow::Error::from(error)).contains("s3cret"));
    }

    #[test]
    fn neither_debug_nor_an_error_shows_the_password() {
        let settings = read(&[("DATABASE_URL", URL), ("DB_POOL_MAX", "5")]).unwrap();
        assert!(!format!("{settings:?}").contains("s3cret"));
    }

    #[test]
    fn a_ca_of_ones_own_means_full_verification_whatever_the_url_says() {
        let weak = format!("{URL}?sslmode=disable");
        let with = target_of(&weak, Some(b"pem".to_vec())).unwrap();
        assert_eq!(with.tls.mode, TlsMode::VerifyFull);
        assert!(with.tls.ca_key.is_some());
        assert_eq!(target_of(&weak, None).unwrap().tls.mode, TlsMode::Disable);
        let odd = format!("{URL}?connect_timeout=3&sslmode=prefer");
        assert_eq!(target_of(&odd, None).unwrap_err(), UrlError::SslMode);
    }

    #[test]
    fn the_pods_name_comes_before_the_hosts() {
        let base = [("DATABASE_URL", URL), ("DB_POOL_MAX", "1"), ("HOSTNAME", "node")];
        assert_eq!(read(&base).unwrap().pod, "node");
        let named = [base.as_slice(), &[("POD_NAME", "api-1")]].concat();
        assert_eq!(read(&named).unwrap().pod, "api-1");
    }
}
