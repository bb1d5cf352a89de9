//! What is known about a server, as one value.
//!
//! Decides what is asked and in which one statement. Values of settings that are not in the table of `settings` leave
//! the server as digests: they may be secrets. Never compares.

use std::collections::BTreeMap;

use serde::Deserialize;
use tokio_postgres::types::Type;

use super::{
    pooling::{self, Pooling},
    settings,
};
use crate::{
    checks::{Asking, Trouble, reading::Reading},
    postgres::{Endpoint, Target},
};

/// Most bytes of the answer; each list in it has its own bound.
const BYTE_BUDGET: u64 = 4 << 20;
/// Most entries of a list; the statement asks for one more, so that a list that was cut is told from one that was not.
const MAX_LIST: usize = 1000;
const MAX_ROLE_SETTINGS: usize = 5000;
/// The release from which a database has a provider and a version of its collation.
const COLLATION_VERSIONS: i32 = 150_000;

/// What is known about a server.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Facts {
    /// `server_version_num`, such as 150018.
    pub(super) version_num: i32,
    /// `server_version`, such as `15.18 (Debian 15.18-0+deb12u1)`.
    pub(super) version: String,
    /// `pg_is_in_recovery()`.
    pub(super) in_recovery: bool,
    /// The role whose session this is.
    pub(super) login: String,
    pub(super) database: DatabaseFacts,
    /// The collations that columns and indexes use, but for the database's own.
    pub(super) collations: BTreeMap<String, Collation>,
    /// Name to version.
    pub(super) extensions: BTreeMap<String, String>,
    /// Those that could be created, name to version.
    pub(super) available: BTreeMap<String, String>,
    pub(super) settings: BTreeMap<String, Setting>,
    /// What stands before the dot in names of settings: the loaded libraries.
    pub(super) prefixes: Vec<String>,
    /// `ALTER ROLE … SET` and `ALTER DATABASE … SET`.
    pub(super) role_settings: Vec<RoleSetting>,
    /// Roles that only a provider's servers have.
    pub(super) provider_roles: Vec<String>,
    #[serde(skip)]
    pub(super) endpoint: Option<Endpoint>,
    #[serde(skip)]
    pub(super) pooling: Pooling,
}

/// What is known about the database.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct DatabaseFacts {
    pub(super) encoding: String,
    pub(super) collate: String,
    pub(super) ctype: String,
    pub(super) provider: String,
    pub(super) locale: Option<String>,
    pub(super) recorded: Option<String>,
    pub(super) actual: Option<String>,
}

/// A collation.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Collation {
    pub(super) recorded: Option<String>,
    pub(super) actual: Option<String>,
}

/// A setting, as a new session gets it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Setting {
    pub(super) value: Option<String>,
    pub(super) unit: Option<String>,
    /// What it is where nobody sets it.
    pub(super) default: Option<String>,
}

/// A setting of a role, a database, or a role in a database.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct RoleSetting {
    /// Whether it holds in this database alone.
    pub(super) here: bool,
    /// `None` for all roles.
    pub(super) role: Option<String>,
    pub(super) name: String,
    /// Where the setting is a known one.
    pub(super) value: Option<String>,
    pub(super) digest: String,
}

/// Asks one side.
pub(super) async fn read(asking: &Asking<'_>, target: &Target, side: &str) -> Result<Facts, Trouble> {
    ask(asking, target).await.map_err(|trouble| trouble.about(side))
}

async fn ask(asking: &Asking<'_>, target: &Target) -> Result<Facts, Trouble> {
    let witness = pooling::witness(asking, target).await?;
    let reading = Reading::begin(asking, target, BYTE_BUDGET).await?;
    let pooling = match witness {
        Some(witness) => pooling::observe(witness, &reading).await?,
        None => Pooling::Direct,
    };
    let known: Vec<&str> = settings::names().collect();
    // The version comes first: what can be asked depends on it, and a pooler may report another one than the server's.
    let version = "SELECT current_setting('server_version_num')::int4";
    let version: i32 = reading
        .rows(version, &[])
        .await?
        .first()
        .and_then(|row| row.try_get(0).ok())
        .ok_or_else(|| Trouble::error("the server does not tell its version"))?;
    let rows = reading.rows(&statement(version), &[(&known, Type::TEXT_ARRAY)]).await?;
    let text: &str = rows.first().and_then(|row| row.try_get(0).ok()).unwrap_or_default();
    let facts: Facts = serde_json::from_str(text)
        .map_err(|_| Trouble::error("the server's answer about itself can't be read"))?;
    reading.end().await;
    complete(&facts)?;
    Ok(Facts { endpoint: Some(target.uri.endpoint().clone()), pooling, ..facts })
}

/// What was cut off would not be compared, and nobody would know.
fn complete(facts: &Facts) -> Result<(), Trouble> {
    let lists = [
        (facts.collations.len(), MAX_LIST, "collations in use"),
        (facts.extensions.len(), MAX_LIST, "extensions"),
        (facts.available.len(), MAX_LIST, "available extensions"),
        (facts.prefixes.len(), MAX_LIST, "prefixes of settings"),
        (facts.role_settings.len(), MAX_ROLE_SETTINGS, "settings of roles and databases"),
    ];
    match lists.into_iter().find(|(length, most, _)| length > most) {
        Some((_, most, what)) => {
            Err(Trouble::error(format!("there are more than {most} {what}, too many to compare")))
        }
        None => Ok(()),
    }
}

fn statement(version_num: i32) -> String {
    // Before 15 a database has no version of its own; from 13 any other libc locale tells the C library's.
    let actual = if version_num >= COLLATION_VERSIONS {
        "pg_database_collation_actual_version(d.oid)"
    } else {
        "(SELECT max(pg_collation_actual_version(c.oid)) FROM pg_collation c \
          WHERE c.collprovider = 'c' AND c.collcollate = d.datcollate)"
    };
    STATEMENT.replace("{actual}", actual)
}

/// `to_jsonb(d)` reads columns that only some releases have.
const STATEMENT: &str = "\
SELECT json_build_object(
  'version_num', current_setting('server_version_num')::int4,
  'version', current_setting('server_version'),
  'in_recovery', pg_is_in_recovery(),
  'login', current_user,
  'database', (
    SELECT json_build_object(
      'encoding', pg_encoding_to_char(d.encoding), 'collate', d.datcollate, 'ctype', d.datctype,
      'provider', coalesce(to_jsonb(d)->>'datlocprovider', 'c'),
      'locale', coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale'),
      'recorded', to_jsonb(d)->>'datcollversion', 'actual', {actual})
    FROM pg_database d WHERE d.datname = current_database()),
  'collations', (
    SELECT coalesce(json_object_agg(u.name, json_build_object('recorded', u.collversion, 'actual', u.actual)), '{}')
    FROM (
      SELECT format('%I.%I', n.nspname, c.collname) AS name, c.collversion, pg_collation_actual_version(c.oid) AS actual
      FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
      WHERE c.collprovider IN ('c', 'i') AND c.collcollate IS DISTINCT FROM 'C' AND c.collcollate IS DISTINCT FROM 'POSIX'
        AND c.oid IN (
          SELECT a.attcollation FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid
          JOIN pg_namespace s ON s.oid = r.relnamespace
          WHERE s.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND NOT a.attisdropped)
      ORDER BY 1 LIMIT 1001) u),
  'extensions', (
    SELECT coalesce(json_object_agg(e.extname, e.extversion), '{}')
    FROM (SELECT extname, extversion FROM pg_extension ORDER BY extname LIMIT 1001) e),
  'available', (
    SELECT coalesce(json_object_agg(a.name, a.default_version), '{}')
    FROM (SELECT name, default_version FROM pg_available_extensions
          WHERE default_version IS NOT NULL ORDER BY name LIMIT 1001) a),
  'settings', (
    SELECT coalesce(json_object_agg(s.name, json_build_object('value', s.reset_val, 'unit', s.unit, 'default', s.boot_val)), '{}')
    FROM pg_settings s WHERE s.name = ANY ($1) OR starts_with(s.name, 'enable_')),
  'prefixes', (
    SELECT coalesce(json_agg(p.prefix), '[]')
    FROM (SELECT DISTINCT split_part(s.name, '.', 1) AS prefix FROM pg_settings s WHERE strpos(s.name, '.') > 0
          ORDER BY 1 LIMIT 1001) p),
  'role_settings', (
    SELECT coalesce(json_agg(s), '[]') FROM (
      SELECT d.setdatabase <> 0 AS here, r.rolname AS role, c.name,
        CASE WHEN c.name = ANY ($1) THEN c.value END AS value,
        encode(sha256(convert_to(c.value, 'UTF8')), 'hex') AS digest
      FROM pg_db_role_setting d LEFT JOIN pg_roles r ON r.oid = d.setrole
      CROSS JOIN LATERAL (
        SELECT split_part(e.entry, '=', 1) AS name, substr(e.entry, strpos(e.entry, '=') + 1) AS value
        FROM unnest(d.setconfig) AS e(entry)) c
      WHERE d.setdatabase = (SELECT b.oid FROM pg_database b WHERE b.datname = current_database())
        OR d.setdatabase = 0 AND (d.setrole = 0 OR r.rolname IN (current_user, session_user)
          OR d.setrole IN (SELECT o.relowner FROM pg_class o))
      ORDER BY 1, 2, 3 LIMIT 5001) s),
  'provider_roles', (
    SELECT coalesce(json_agg(r.rolname), '[]') FROM pg_roles r
    WHERE r.rolname IN ('rds_superuser', 'neon_superuser', 'azure_pg_admin', 'cloudsqlsuperuser', 'supabase_admin'))
)::text";
