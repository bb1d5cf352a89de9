//! What a server itself counts while a load runs.
//!
//! Decides which of PostgreSQL's counters are read (`table`), what they grew by between two looks, and how legacy's and
//! the candidate's stand side by side. What a role may not see, a version does not have or a setting turns off is left out
//! and said, never shown as zero; a counter that was reset in between has no growth. They are the server's: whatever
//! else it did in that time is in them, and how much that was is said (`others_per_second`). Never resets a counter.
//!
//! A session reports what it did at most once a second, and at its end. [`read_settled`] therefore waits until the load's
//! own sessions are gone from the server; so it has to be called after they were closed.

use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::time::sleep;

use super::glance::Glance;
use crate::postgres::{ErrorClass, Target};

mod grown;
mod table;

pub use grown::{Growth, grown, side_by_side};

use table::{View, views};

/// `application_name` of the connection is `cutover/` and this.
const PURPOSE: &str = "load counters";
/// Longest that each step of connecting, and each answer, may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest that the load's own sessions are waited for: behind a pooler they may stay.
const SESSIONS_GONE: Duration = Duration::from_secs(2);
/// How often is asked whether they are gone.
const INTERVAL: Duration = Duration::from_millis(50);
/// How old what is read may be where sessions stay, and before PostgreSQL 15, which reads statistics from a file.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// From here on statistics are in shared memory.
const SHARED_MEMORY: i32 = 15;

/// Which server it is, and what it counts at all.
const SERVER: &str = "SELECT row_to_json(s)::text FROM (SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8 AS started, \
    pg_is_in_recovery() AS is_standby, current_setting('track_counts') AS track_counts, \
    current_setting('track_io_timing') AS track_io_timing, \
    current_setting('track_wal_io_timing', true) AS track_wal_io_timing, \
    (SELECT json_object_agg(relname, has_table_privilege(oid, 'SELECT')) FROM pg_class \
      WHERE relnamespace = 'pg_catalog'::regnamespace AND (relname LIKE 'pg\\_stat\\_%' OR relname = 'pg_locks')) AS views) s";

/// Sessions of a load, whichever process holds them.
const OWN_SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cutover/load' AND usename = session_user";

/// What a server had counted at one moment.
#[derive(Debug, Clone)]
pub struct Counted {
    /// Version of the server, such as `15.18`.
    pub version: String,
    /// What could not be read, each with its reason.
    pub left_out: Vec<String>,
    at: Instant,
    /// When the server was started: a restart, or another server, makes two moments incomparable.
    started: String,
    views: Vec<(&'static View, Map<String, Value>)>,
}

/// Reads what the server of `target` has counted so far, on one short connection.
///
/// # Errors
/// Why nothing could be read, for people. A single view that can't be read is no error.
pub async fn read(target: &Target) -> Result<Counted, String> {
    let glance = open(target).await?;
    read_on(glance).await
}

/// The same after a load, whose connections are closed: waits, at most 3 s, until the server has counted all they did.
///
/// # Errors
/// As [`read`].
pub async fn read_settled(target: &Target) -> Result<Counted, String> {
    let glance = open(target).await?;
    let until = Instant::now() + SESSIONS_GONE;
    let mut is_gone = false;
    while !is_gone && Instant::now() < until {
        let row = glance.row(OWN_SESSIONS).await.map_err(|fault| fault.to_string())?;
        is_gone = row.get(0) == Some("0");
        if !is_gone {
            sleep(INTERVAL).await;
        }
    }
    let is_at_once = glance.facts().major_version().is_some_and(|major| major >= SHARED_MEMORY);
    if !(is_gone && is_at_once && glance.facts().is_direct()) {
        sleep(REPORT_INTERVAL).await;
    }
    read_on(glance).await
}

async fn open(target: &Target) -> Result<Glance, String> {
    let glance = Glance::open(target, PURPOSE, STEP_TIMEOUT, STEP_TIMEOUT).await;
    glance.map_err(|error| format!("the server's counters could not be read: {error}"))
}

async fn read_on(glance: Glance) -> Result<Counted, String> {
    let server = object(&glance, SERVER).await?;
    let mut counted = Counted {
        version: glance.facts().version.clone(),
        left_out: Vec::new(),
        at: Instant::now(),
        started: server.get("started").map(Value::to_string).unwrap_or_default(),
        views: Vec::new(),
    };
    for view in views() {
        match question(view, &server) {
            Ask::Skip => {}
            Ask::Not(why) => counted.left_out.push(format!("{}: {why}", view.name)),
            Ask::For(question) => match object(&glance, &question).await {
                Ok(values) => counted.take(view, values, &server),
                Err(why) if glance.is_closed() => return Err(why),
                Err(why) => counted.left_out.push(format!("{}: {why}", view.name)),
            },
        }
    }
    glance.close().await;
    Ok(counted)
}

/// What to do about a view.
enum Ask {
    For(String),
    /// There is nothing to miss.
    Skip,
    Not(String),
}

fn question(view: &View, server: &Map<String, Value>) -> Ask {
    let is_on = |setting: &str| server.get(setting).and_then(Value::as_str) == Some("on");
    let may_read = server.get("views").and_then(|views| views.get(view.relation)).and_then(Value::as_bool);
    let is_standby = server.get("is_standby").and_then(Value::as_bool) != Some(false);
    match may_read {
        None if view.since > 0 => Ask::Not(format!("only PostgreSQL {} and later have it", view.since)),
        None => Ask::Skip,
        Some(false) => Ask::Not("the role may not read it".to_owned()),
        Some(true) if view.is_of_primary && is_standby => Ask::Not("the server is a standby".to_owned()),
        Some(true) if view.needs_counts && !is_on("track_counts") => {
            Ask::Not("track_counts is off".to_owned())
        }
        Some(true) => Ask::For(format!("SELECT row_to_json(s)::text FROM ({}) s", view.source)),
    }
}

/// The one row of an answer, as JSON: columns are told by their names, whichever of them a version has.
async fn object(glance: &Glance, question: &str) -> Result<Map<String, Value>, String> {
    let row = glance.row(question).await.map_err(|fault| match fault.class {
        ErrorClass::Privilege => "the role may not read it".to_owned(),
        _ => fault.to_string(),
    })?;
    let text = row.try_get(0).ok().flatten().unwrap_or_default();
    serde_json::from_str(text).map_err(|_| "the answer can't be read".to_owned())
}

impl Counted {
    /// Takes an answer in, less what its settings make a zero of.
    fn take(&mut self, view: &'static View, mut values: Map<String, Value>, server: &Map<String, Value>) {
        for (column, setting) in table::TIMED {
            let is_off = server.get(*setting).and_then(Value::as_str) == Some("off");
            if is_off && view.has(column) && values.remove(*column).is_some_and(|value| !value.is_null()) {
                self.left_out.push(format!("{}.{column}: {setting} is off", view.name));
            }
        }
        self.views.push((view, values));
    }
}
