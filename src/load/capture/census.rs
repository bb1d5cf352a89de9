//! What `pg_stat_statements` has of the current database.

use tokio_postgres::types::Type;

use super::{
    CaptureError, CaptureOptions,
    entry::{Entry, Fate},
    limits,
};
use crate::postgres::{Fault, Session};

/// Most texts that are read, those that are called most.
const MAX_TEXTS: i64 = 5_000;
/// Longest text that a traffic model takes, in bytes.
pub(super) const MAX_TEXT: usize = 8_192;
/// What stands in place of a text that the role may not see.
const HIDDEN: &str = "<insufficient privilege>";

/// A statement and how often it was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) text: String,
    pub(super) calls: i64,
}

/// All that was seen.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// Most called first.
    pub(super) statements: Vec<Seen>,
    pub(super) database: String,
    /// Calls in all.
    pub(super) calls: i64,
    /// Calls whose texts the role may not see.
    pub(super) hidden: i64,
    /// Calls whose texts the server lost, or that are too long.
    pub(super) lost: i64,
}

impl Census {
    pub(super) async fn read(session: &Session) -> Result<Self, CaptureError> {
        let explain = |error: tokio_postgres::Error| unread(session.explain(&error));
        session.begin(&limits()).await.map_err(CaptureError::Read)?;
        let client = session.client();
        client.batch_execute("SET LOCAL search_path = pg_catalog").await.map_err(explain)?;
        let (view, toplevel) = find(session).await?;
        let condition = if toplevel { "AND s.toplevel" } else { "" };
        let question = format!(
            "SELECT current_database()::text, left(s.query, $1), sum(s.calls)::int8 FROM {view} s \
             WHERE s.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) {condition} \
             GROUP BY 2 ORDER BY 3 DESC, 2 LIMIT {MAX_TEXTS}"
        );
        let longest = i32::try_from(MAX_TEXT + 1).unwrap_or(i32::MAX);
        let rows = client.query_typed(&question, &[(&longest, Type::INT4)]).await.map_err(explain)?;
        let mut census = Self::default();
        for row in rows {
            census.database = row.try_get(0).map_err(explain)?;
            census.add(row.try_get(1).map_err(explain)?, row.try_get(2).map_err(explain)?);
        }
        client.batch_execute("COMMIT").await.map_err(explain)?;
        Ok(census)
    }

    fn add(&mut self, text: Option<String>, calls: i64) {
        self.calls = self.calls.saturating_add(calls);
        match text {
            Some(text) if text == HIDDEN => self.hidden += calls,
            Some(text) if text.len() <= MAX_TEXT => self.statements.push(Seen { text, calls }),
            _ => self.lost += calls,
        }
    }

    pub(super) fn is_all_hidden(&self) -> bool {
        self.hidden > 0 && self.hidden * 2 > self.calls
    }

    /// Of all calls, in percent with one decimal.
    pub(super) fn share(&self, calls: i64) -> String {
        let thousandths = i128::from(calls) * 1000 / i128::from(self.calls.max(1));
        format!("{}.{} %", thousandths / 10, thousandths % 10)
    }

    /// What was taken and what was not.
    pub(super) fn summary(&self, entries: &[Entry], options: &CaptureOptions) -> Vec<String> {
        let of = |fate: &Fate| {
            let calls = entries.iter().filter(|entry| entry.fate == *fate).map(|entry| entry.calls);
            (calls.clone().count(), self.share(calls.sum()))
        };
        let mut lines = Vec::new();
        let mut tell = |fate: &Fate, what: &str| {
            let (count, share) = of(fate);
            if count > 0 {
                lines.push(format!("{count} {what} ({share} of the calls)"));
            }
        };
        tell(&Fate::Taken, "statements taken");
        if !options.writes {
            tell(&Fate::Writes, "statements that write or lock rows left out; --writes takes them");
        }
        tell(
            &Fate::NotForLoad,
            "statements left out that are no queries: transaction control, settings, definitions",
        );
        tell(&Fate::OfTheServer, "statements left out that ask the server about itself");
        tell(&Fate::Literal, "statements left out whose texts the server did not strip of literals");
        tell(
            &Fate::Unusable,
            "statements left out that can't be prepared, or whose values nobody knows or a model has no room for",
        );
        if self.hidden > 0 {
            let share = self.share(self.hidden);
            lines.push(format!(
                "statements of other roles are hidden ({share} of the calls): grant pg_read_all_stats to see them"
            ));
        }
        if self.lost > 0 {
            let share = self.share(self.lost);
            lines.push(format!("statements without a text, or with one of more than {MAX_TEXT} bytes, left out ({share} of the calls)"));
        }
        lines
    }
}

/// The view, which may be in any schema, and whether it tells statements from those that run inside functions.
async fn find(session: &Session) -> Result<(String, bool), CaptureError> {
    let question = "SELECT format('%I.pg_stat_statements', n.nspname), EXISTS (SELECT FROM pg_attribute a \
         JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = n.oid AND c.relname = 'pg_stat_statements' \
         AND a.attname = 'toplevel') \
         FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'";
    let explain = |error: tokio_postgres::Error| CaptureError::Read(session.explain(&error));
    let rows = session.client().query_typed(question, &[]).await.map_err(explain)?;
    let row = rows.first().ok_or(CaptureError::NotInstalled)?;
    Ok((row.try_get(0).map_err(explain)?, row.try_get(1).map_err(explain)?))
}

/// The view refuses to be read where its library is not loaded (`object_not_in_prerequisite_state`).
fn unread(fault: Fault) -> CaptureError {
    if fault.sqlstate.as_deref() == Some("55000") {
        CaptureError::NotLoaded
    } else {
        CaptureError::Read(fault)
    }
}
