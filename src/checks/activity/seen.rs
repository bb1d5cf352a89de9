//! What a server shows of what is going on, as one value.
//!
//! Decides what is asked, in one statement, grouped by role so that the answer stays small however many sessions there
//! are. Statements' texts never leave the server. Never judges.

use std::time::Duration;

use serde::Deserialize;
use tokio_postgres::types::Type;

use crate::{
    checks::{Asking, Trouble, reading::Reading},
    postgres::Target,
};

/// Most bytes of the answer; each list in it has its own bound.
const BYTE_BUDGET: u64 = 4 << 20;

/// What is going on in a database.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Seen {
    pub(super) sessions: Vec<RoleSessions>,
    pub(super) prepared: Vec<Prepared>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) exclusive: Vec<Exclusive>,
    pub(super) maintenance: Vec<Maintenance>,
    pub(super) transaction_id_age: i64,
    pub(super) multixact_age: i64,
}

impl Seen {
    /// How many sessions there are.
    pub(super) fn sessions(&self) -> i64 {
        self.sessions.iter().map(|role| role.sessions).sum()
    }
}

/// The sessions of a role.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct RoleSessions {
    pub(super) role: String,
    pub(super) sessions: i64,
    /// Sessions of which nothing is to be seen but that they are there: this program's role may not see more, or they do
    /// not track what they do.
    pub(super) hidden: i64,
    /// Transactions above the limit that carry out a statement, and the age of the oldest.
    pub(super) long: i64,
    pub(super) long_seconds: Option<i64>,
    /// Transactions above the limit that stand idle.
    pub(super) idle: i64,
    pub(super) idle_seconds: Option<i64>,
}

/// The prepared transactions of a role.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Prepared {
    pub(super) role: String,
    pub(super) transactions: i64,
    /// Those above the limit.
    pub(super) old: i64,
    pub(super) oldest_seconds: i64,
}

/// The sessions of a role that wait for locks.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Waiting {
    pub(super) role: String,
    pub(super) sessions: i64,
    /// Not known where the server does not tell since when, or hides it.
    pub(super) longest_seconds: Option<i64>,
    pub(super) blockers: Option<String>,
}

/// A relation that a session has locked against writers.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Exclusive {
    pub(super) relation: String,
    pub(super) mode: String,
    /// `None` for a prepared transaction.
    pub(super) role: Option<String>,
    pub(super) autovacuum: bool,
}

/// A vacuum, a build, a copy.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Maintenance {
    pub(super) command: String,
    pub(super) relation: Option<String>,
    pub(super) autovacuum: bool,
    pub(super) wraparound: bool,
}

/// Asks one side.
pub(super) async fn read(asking: &Asking<'_>, target: &Target, max_age: Duration) -> Result<Seen, Trouble> {
    let reading = Reading::begin(asking, target, BYTE_BUDGET).await?;
    let major = reading.session().facts().major_version().unwrap_or(0);
    // Compared as a double: an age in microseconds may be beyond an interval's text, never beyond this.
    let max_age = max_age.as_secs_f64();
    let rows = reading.rows(&statement(major), &[(&max_age, Type::FLOAT8)]).await?;
    let seen = rows.first().and_then(|row| row.try_get(0).ok());
    let seen = seen.and_then(|text: &str| serde_json::from_str(text).ok());
    reading.end().await;
    seen.ok_or_else(|| Trouble::error("the server's answer about its sessions can't be read"))
}

fn statement(major: i32) -> String {
    // The views of each release; where one is not there yet, the server can't tell.
    let views = [
        (12, "SELECT pid, datname, relid, 'VACUUM' AS command FROM pg_stat_progress_vacuum"),
        (
            12,
            "SELECT pid, datname, relid, coalesce(command, 'CREATE INDEX') FROM pg_stat_progress_create_index",
        ),
        (12, "SELECT pid, datname, relid, coalesce(command, 'CLUSTER') FROM pg_stat_progress_cluster"),
        (13, "SELECT pid, datname, relid, 'ANALYZE' FROM pg_stat_progress_analyze"),
        (13, "SELECT pid, NULL, NULL, 'base backup' FROM pg_stat_progress_basebackup"),
        (14, "SELECT pid, datname, relid, coalesce(command, 'COPY') FROM pg_stat_progress_copy"),
    ];
    let known = views.iter().filter(|(since, _)| *since <= major.max(12)).map(|(_, view)| *view);
    STATEMENT.replace("{progress}", &known.collect::<Vec<_>>().join(" UNION ALL "))
}

/// `$1` is the limit in seconds. A transaction that was aborted and left open has no start any more. A session of which
/// `backend_type` is hidden is hidden altogether, and one that does not track its activities hides them from everybody;
/// background processes have no role. `to_jsonb(l)` reads `waitstart`, which releases before 14 do not have.
const STATEMENT: &str = "\
WITH others AS MATERIALIZED (
  SELECT a.pid, coalesce(a.usename::text, '') AS role, a.backend_type, a.state, a.query_start,
    extract(epoch FROM clock_timestamp() - coalesce(
      a.xact_start, CASE WHEN starts_with(a.state, 'idle in transaction') THEN a.state_change END))::float8 AS age
  FROM pg_stat_activity a
  WHERE a.datname = current_database() AND a.usesysid IS NOT NULL AND a.pid <> pg_backend_pid()
    AND NOT starts_with(coalesce(a.application_name, ''), 'cutover/')
    AND coalesce(a.backend_type, 'client backend') = 'client backend')
SELECT json_build_object(
  'sessions', (
    SELECT coalesce(json_agg(s), '[]') FROM (
      SELECT o.role, count(*) AS sessions,
        count(*) FILTER (WHERE o.backend_type IS NULL OR o.state = 'disabled') AS hidden,
        count(*) FILTER (WHERE o.age > $1 AND NOT starts_with(o.state, 'idle')) AS long,
        floor(max(o.age) FILTER (WHERE o.age > $1 AND NOT starts_with(o.state, 'idle')))::int8 AS long_seconds,
        count(*) FILTER (WHERE o.age > $1 AND starts_with(o.state, 'idle')) AS idle,
        floor(max(o.age) FILTER (WHERE o.age > $1 AND starts_with(o.state, 'idle')))::int8 AS idle_seconds
      FROM others o GROUP BY o.role ORDER BY o.role LIMIT 1000) s),
  'prepared', (
    SELECT coalesce(json_agg(s), '[]') FROM (
      SELECT p.owner::text AS role, count(*) AS transactions,
        count(*) FILTER (WHERE extract(epoch FROM clock_timestamp() - p.prepared)::float8 > $1) AS old,
        floor(extract(epoch FROM clock_timestamp() - min(p.prepared)))::int8 AS oldest_seconds
      FROM pg_prepared_xacts p WHERE p.database = current_database() GROUP BY 1 ORDER BY 1 LIMIT 1000) s),
  'waiting', (
    SELECT coalesce(json_agg(s), '[]') FROM (
      SELECT w.role, count(*) AS sessions,
        floor(extract(epoch FROM clock_timestamp() - min(w.since)))::int8 AS longest_seconds,
        (SELECT string_agg(DISTINCT coalesce(b.usename::text, 'a background process'), ', ')
         FROM unnest(array_agg(w.pid)) AS u(pid) CROSS JOIN LATERAL unnest(pg_blocking_pids(u.pid)) AS k(pid)
         JOIN pg_stat_activity b ON b.pid = k.pid) AS blockers
      FROM (
        SELECT o.role, o.pid, min(coalesce((to_jsonb(l)->>'waitstart')::timestamptz, o.query_start)) AS since
        FROM pg_locks l JOIN others o ON o.pid = l.pid WHERE NOT l.granted GROUP BY 1, 2 LIMIT 1000) w
      GROUP BY w.role ORDER BY w.role) s),
  'exclusive', (
    SELECT coalesce(json_agg(s), '[]') FROM (
      SELECT DISTINCT format('%I.%I', n.nspname, c.relname) AS relation, l.mode, a.usename::text AS role,
        l.pid IS NOT NULL AND a.usesysid IS NULL AS autovacuum
      FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_stat_activity a ON a.pid = l.pid
      WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
        AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
        AND l.mode IN ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock')
        AND c.relkind NOT IN ('i', 'I', 't') AND c.relpersistence <> 't'
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        AND NOT starts_with(coalesce(a.application_name, ''), 'cutover/')
      ORDER BY 1, 2, 3 LIMIT 1000) s),
  'maintenance', (
    SELECT coalesce(json_agg(s), '[]') FROM (
      SELECT p.command, CASE WHEN c.oid IS NOT NULL THEN format('%I.%I', n.nspname, c.relname) END AS relation,
        a.usesysid IS NULL AS autovacuum,
        coalesce(a.query LIKE 'autovacuum:%(to prevent wraparound)', false) AS wraparound
      FROM ({progress}) p LEFT JOIN pg_stat_activity a ON a.pid = p.pid
      LEFT JOIN pg_class c ON c.oid = p.relid LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE coalesce(p.datname, current_database()) = current_database()
        AND NOT starts_with(coalesce(a.application_name, ''), 'cutover/')
      ORDER BY 1, 2 LIMIT 1000) s),
  'transaction_id_age', (SELECT age(d.datfrozenxid) FROM pg_database d WHERE d.datname = current_database()),
  'multixact_age', (SELECT mxid_age(d.datminmxid) FROM pg_database d WHERE d.datname = current_database())
)::text";
