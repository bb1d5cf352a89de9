//! The age of the latest heartbeat that the candidate has.
//!
//! Judged by legacy's clock alone, which is also the one that writes the heartbeat: two servers' clocks differ. A
//! heartbeat that stands still on legacy tells nothing about the candidate. Never shows a row of the table.

use std::time::Duration;

use tokio_postgres::types::Type;

use super::{Both, LAG_TIME, LAG_UNKNOWN, one, unexpected};
use crate::{
    api::Heartbeat,
    checks::{Finding, Trouble, reading::Reading, shown::shown},
    duration,
};

/// The table by its name, quoted, and whether it can be asked.
const COLUMN: &str = "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), quote_ident(a.attname), \
     a.atttypid = 'timestamptz'::regtype, \
     has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT') \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid \
     WHERE n.nspname::text || '.' || c.relname::text = $1 AND a.attname::text = $2 AND a.attnum > 0 AND NOT a.attisdropped";

pub(super) async fn ask(
    heartbeat: &Heartbeat,
    both: &Both,
    max_lag: Duration,
) -> Result<Vec<Finding>, Trouble> {
    let (legacy, candidate) =
        tokio::try_join!(latest(heartbeat, &both.legacy), latest(heartbeat, &both.candidate))?;
    let now_ms: i64 =
        one(&both.legacy, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8", &[]).await?;
    let object = shown(&heartbeat.table);
    Ok(judge(legacy, candidate, now_ms, max_lag)
        .map(|finding| match finding {
            Verdict::Unknown(why) => {
                Finding::new(&LAG_UNKNOWN, object, format!("the heartbeat tells nothing: {why}"))
            }
            Verdict::Behind(behind) => Finding::new(
                &LAG_TIME,
                object,
                format!(
                    "the candidate's latest heartbeat is {} old, and at most {} are accepted",
                    duration::format(behind),
                    duration::format(max_lag)
                ),
            )
            .with("ageMs", u64::try_from(behind.as_millis()).unwrap_or(u64::MAX)),
        })
        .into_iter()
        .collect())
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Unknown(String),
    Behind(Duration),
}

/// `None` if all is well. Times are in milliseconds, by legacy's clock.
fn judge(
    legacy: Result<i64, &'static str>,
    candidate: Result<i64, &'static str>,
    now_ms: i64,
    max_lag: Duration,
) -> Option<Verdict> {
    let (legacy, candidate) = match (legacy, candidate) {
        (Err(why), _) => return Some(Verdict::Unknown(format!("on legacy {why}"))),
        (_, Err(why)) => return Some(Verdict::Unknown(format!("on the candidate {why}"))),
        (Ok(legacy), Ok(candidate)) => (age(legacy, now_ms), age(candidate, now_ms)),
    };
    if candidate <= max_lag {
        None
    } else if legacy > max_lag {
        let age = duration::format(legacy);
        Some(Verdict::Unknown(format!("on legacy itself the latest is {age} old, so nothing writes it")))
    } else {
        Some(Verdict::Behind(candidate))
    }
}

fn age(at_ms: i64, now_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(now_ms.saturating_sub(at_ms)).unwrap_or(0))
}

/// The latest heartbeat, in milliseconds since 1970; or why there is none.
async fn latest(heartbeat: &Heartbeat, side: &Reading) -> Result<Result<i64, &'static str>, Trouble> {
    let named = [(&heartbeat.table as _, Type::TEXT), (&heartbeat.column as _, Type::TEXT)];
    let rows = side.rows(COLUMN, &named).await?;
    let row = match rows.as_slice() {
        [] => return Ok(Err("there is no such table with such a column")),
        [row] => row,
        _ => return Ok(Err("more than one table has that name, for the names of its parts have dots")),
    };
    let (table, column, is_time, is_readable): (String, String, bool, bool) =
        match (row.try_get(0), row.try_get(1), row.try_get(2), row.try_get(3)) {
            (Ok(table), Ok(column), Ok(is_time), Ok(is_readable)) => (table, column, is_time, is_readable),
            _ => return Err(unexpected()),
        };
    if !is_time {
        return Ok(Err("the column is not of type timestamp with time zone"));
    }
    if !is_readable {
        return Ok(Err("the role may not read it: GRANT SELECT"));
    }
    let statement = format!("SELECT (extract(epoch FROM max({column})) * 1000)::int8 FROM {table}");
    let latest: Option<i64> = one(side, &statement, &[]).await?;
    Ok(latest.ok_or("the table is empty"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_heartbeat_that_goes_on_on_legacy_tells_a_lag() {
        let second = Duration::from_secs(1);
        assert_eq!(judge(Ok(9_500), Ok(9_000), 10_000, second), None);
        assert_eq!(
            judge(Ok(9_500), Ok(8_999), 10_000, second),
            Some(Verdict::Behind(Duration::from_millis(1001)))
        );
        let still = judge(Ok(1), Ok(1), 10_000, second);
        assert!(matches!(still, Some(Verdict::Unknown(why)) if why.contains("nothing writes it")));
        assert!(
            matches!(judge(Ok(1), Err("x"), 10_000, second), Some(Verdict::Unknown(why)) if why.contains("candidate x"))
        );
        assert_eq!(judge(Ok(10_001), Ok(10_001), 10_000, second), None);
    }
}
