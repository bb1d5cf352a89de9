//! How far the candidate is behind, in bytes and in time.
//!
//! Bytes: where legacy's WAL ends, less what the candidate has confirmed or replayed. Time: how long the candidate
//! takes to get to where legacy was when it was asked; that needs no privilege, no clock of the other server and no
//! traffic, and an idle pair of servers is not taken for a slow one.

use std::time::{Duration, Instant};

use tokio_postgres::types::Type;

use super::{Both, Bounds, LAG_BYTES, LAG_TIME, LAG_UNKNOWN, one, size};
use crate::{
    checks::{Asking, Finding, Trouble, reading::Reading},
    duration,
};

/// Between two looks at how far the candidate has come.
const PAUSE: Duration = Duration::from_millis(50);

/// Where legacy's WAL ends, in bytes; a legacy that is itself a standby has what it has replayed. The end is what was
/// inserted: an asynchronous commit is visible before its WAL is written.
pub(super) const END_OF_WAL: &str = "pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() \
     ELSE pg_current_wal_insert_lsn() END, '0/0')::int8";

/// The longest header of a WAL page, which no record fits into.
const PAGE_HEADER: i64 = 40;

/// The end of the last record before `inserted`. After a record that fills its page, the place for the next one is
/// behind the header of the next page, and nobody confirms what is only a header.
fn end_of_last_record(inserted: i64, page: i64) -> i64 {
    let in_page = if page > 0 { inserted % page } else { 0 };
    if in_page <= PAGE_HEADER { inserted - in_page } else { inserted }
}

async fn end_of_wal(legacy: &Reading) -> Result<Option<i64>, Trouble> {
    let page: i64 = one(legacy, "SELECT current_setting('wal_block_size')::int8", &[]).await?;
    let inserted: Option<i64> = one(legacy, &format!("SELECT {END_OF_WAL}"), &[]).await?;
    Ok(inserted.map(|inserted| end_of_last_record(inserted, page)))
}

/// Through what the candidate confirms what it has.
pub(super) enum Follower {
    /// Slots on legacy.
    Slots(Vec<String>),
    /// It is a standby.
    Standby,
}

impl Follower {
    /// How far the candidate has come, in bytes of WAL; `None` if that can't be told.
    async fn position(&self, both: &Both) -> Result<Option<i64>, Trouble> {
        match self {
            Self::Standby => {
                one(&both.candidate, "SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::int8", &[])
                    .await
            }
            Self::Slots(names) => {
                // The one that is furthest behind; a slot that has no position has none to be ahead of either.
                let statement = "SELECT CASE WHEN count(confirmed_flush_lsn) = cardinality($1) \
                     THEN min(pg_wal_lsn_diff(confirmed_flush_lsn, '0/0'))::int8 END \
                     FROM pg_replication_slots WHERE slot_name::text = ANY ($1)";
                one(&both.legacy, statement, &[(names, Type::TEXT_ARRAY)]).await
            }
        }
    }
}

/// What was measured.
pub(super) struct Lag {
    pub(super) findings: Vec<Finding>,
    /// Whether the candidate has got to where legacy was.
    pub(super) is_caught_up: bool,
    /// In a few words.
    pub(super) told: String,
}

impl Lag {
    /// There is nothing to measure.
    pub(super) fn unknown(object: &str, why: &str) -> Self {
        let finding = Finding::new(&LAG_UNKNOWN, object, format!("the lag can't be told: {why}"));
        Self { findings: vec![finding], is_caught_up: false, told: "lag unknown".to_owned() }
    }
}

pub(super) async fn measure(
    follower: &Follower,
    object: &str,
    both: &Both,
    bounds: &Bounds,
    asking: &Asking<'_>,
) -> Result<Lag, Trouble> {
    let end = end_of_wal(&both.legacy).await?;
    let started = Instant::now();
    let (Some(end), Some(position)) = (end, follower.position(both).await?) else {
        return Ok(Lag::unknown(object, "the server does not say how far the candidate has come"));
    };
    let behind = (end - position).max(0);
    let mut findings = Vec::new();
    if behind > bounds.lag_bytes {
        let message = format!(
            "the candidate is {} behind, and at most {} are accepted",
            size(behind),
            size(bounds.lag_bytes)
        );
        findings.push(Finding::new(&LAG_BYTES, object, message).with("lagBytes", behind));
    }
    // What is left after a look is taken must be enough to say so.
    let patience = bounds.lag.min(asking.left() * 4 / 5);
    let caught_up = catch_up(follower, both, end, started, patience).await?;
    let told = match caught_up {
        Some(taken) => format!("{} and {} behind", size(behind), duration::format(taken)),
        None => format!("{} and more than {} behind", size(behind), duration::format(patience)),
    };
    if caught_up.is_none() {
        findings.push(late(object, patience, bounds.lag));
    }
    Ok(Lag { findings, is_caught_up: caught_up.is_some(), told })
}

/// How long it took the candidate to get to `end`, unless it takes longer than `patience`. Between two looks nothing is
/// held: a snapshot, or a lock that an earlier question took, can itself keep a standby from replaying.
async fn catch_up(
    follower: &Follower,
    both: &Both,
    end: i64,
    started: Instant,
    patience: Duration,
) -> Result<Option<Duration>, Trouble> {
    loop {
        if follower.position(both).await?.is_some_and(|position| position >= end) {
            return Ok(Some(started.elapsed().min(patience)));
        }
        if started.elapsed() >= patience {
            return Ok(None);
        }
        tokio::try_join!(both.legacy.again(), both.candidate.again())?;
        tokio::time::sleep(PAUSE).await;
    }
}

fn late(object: &str, waited: Duration, accepted: Duration) -> Finding {
    let waited_for = duration::format(waited);
    if waited < accepted {
        let message = format!(
            "the candidate did not catch up within {waited_for}, which is all the time that the check has, and {} are \
             accepted: give the check a longer timeout",
            duration::format(accepted)
        );
        return Finding::new(&LAG_UNKNOWN, object, message);
    }
    let message = format!("after {waited_for} the candidate did not have what legacy had when asked");
    Finding::new(&LAG_TIME, object, message)
        .with("waitedMs", u64::try_from(waited.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_a_page_is_nothing_that_could_be_confirmed() {
        for (inserted, end) in
            [(81_920, 81_920), (81_944, 81_920), (81_960, 81_920), (81_968, 81_968), (0, 0)]
        {
            assert_eq!(end_of_last_record(inserted, 8192), end);
        }
    }
}
