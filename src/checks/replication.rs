//! Is the candidate a complete and current replica of legacy?
//!
//! Decides how the candidate follows, from both sides' catalogs: by subscriptions in its database, or as a standby; then
//! whether everything takes part, whether what keeps it going is healthy, and how far it is behind. The lag is what
//! legacy has written and the candidate has not confirmed: what was sent does not count, for a sender that stands still
//! has sent all that it ever will. What can't be told is a finding of its own, never a lag of zero.
//! Never sets anything up, never moves a slot, and never reads a connection string.

use std::time::Duration;

use super::{
    Answer, Asking, Finding, FindingKind, Trouble,
    reading::{Parameter, Reading},
};
use crate::{api::ReplicationCheck, duration};

mod heartbeat;
mod lag;
mod logical;
mod physical;
mod slot;
mod tables;

const NOT_REPLICATED: FindingKind =
    FindingKind::fail("not-replicated", "what legacy writes does not reach the candidate");
const SUBSCRIPTION_DISABLED: FindingKind = FindingKind::fail(
    "subscription-disabled",
    "a disabled subscription applies nothing, and legacy keeps WAL for it",
);
const APPLY_STOPPED: FindingKind =
    FindingKind::fail("apply-stopped", "nothing receives or applies what legacy writes");
const APPLY_ERRORS: FindingKind = FindingKind::fail(
    "apply-errors",
    "a change that can't be applied holds up all that follow; it is a warning once the candidate has caught up",
);
const PUBLICATION_MISSING: FindingKind = FindingKind::fail(
    "publication-missing",
    "a subscription to a publication that is gone stops with an error",
);
const PARTLY_PUBLISHED: FindingKind = FindingKind::fail(
    "partly-published",
    "rows, columns or kinds of changes that are left out never reach the candidate",
);
const TABLE_NOT_PUBLISHED: FindingKind = FindingKind::fail(
    "table-not-published",
    "its changes never reach the candidate; a warning for a table that belongs to an extension",
);
const TABLE_NOT_COPIED: FindingKind = FindingKind::fail(
    "table-not-copied",
    "the candidate does not have the rows from before the replication began",
);
const REPLICA_IDENTITY_MISSING: FindingKind = FindingKind::fail(
    "replica-identity-missing",
    "UPDATE and DELETE fail on legacy once the table is published, since the rows can't be told apart",
);
const SLOT_MISSING: FindingKind = FindingKind::fail(
    "slot-missing",
    "without its slot a subscription can't go on; a warning for a standby, which can as long as legacy has the WAL",
);
const SLOT_INACTIVE: FindingKind =
    FindingKind::fail("slot-inactive", "nobody receives what legacy writes, and WAL piles up there");
const SLOT_LOST: FindingKind =
    FindingKind::fail("slot-lost", "the WAL that the candidate needs is gone: only a new copy helps");
const LAG_BYTES: FindingKind =
    FindingKind::fail("lag-bytes", "the candidate lacks that much of what legacy has written");
const LAG_TIME: FindingKind =
    FindingKind::fail("lag-time", "the application would see a past that is older than the spec accepts");
const LAG_UNKNOWN: FindingKind =
    FindingKind::fail("lag-unknown", "a lag that can't be told is not a lag of zero");
const LARGE_OBJECTS: FindingKind =
    FindingKind::fail("large-objects", "logical replication leaves large objects out");
const SLOT_AT_RISK: FindingKind = FindingKind::warn(
    "slot-at-risk",
    "legacy may remove WAL that the candidate needs at its next checkpoint",
);
const SLOT_UNKNOWN: FindingKind = FindingKind::warn(
    "slot-unknown",
    "the role may not see which slot the standby uses, so its health is not known",
);
const WAL_RETAINED: FindingKind = FindingKind::warn(
    "wal-retained",
    "WAL that is kept for the candidate can fill legacy's disk, which stops it",
);
const UNLOGGED_TABLE: FindingKind =
    FindingKind::warn("unlogged-table", "replication leaves the rows of unlogged tables out");
const SEQUENCES: FindingKind = FindingKind::info(
    "sequences",
    "logical replication leaves sequences out: they must be set before the application writes to the candidate",
);
const MATERIALIZED_VIEWS: FindingKind = FindingKind::info(
    "materialized-views",
    "logical replication leaves materialized views out: they must be refreshed on the candidate",
);

/// What it can find.
pub(super) const KINDS: &[FindingKind] = &[
    NOT_REPLICATED,
    SUBSCRIPTION_DISABLED,
    APPLY_STOPPED,
    APPLY_ERRORS,
    PUBLICATION_MISSING,
    PARTLY_PUBLISHED,
    TABLE_NOT_PUBLISHED,
    TABLE_NOT_COPIED,
    REPLICA_IDENTITY_MISSING,
    SLOT_MISSING,
    SLOT_INACTIVE,
    SLOT_LOST,
    LAG_BYTES,
    LAG_TIME,
    LAG_UNKNOWN,
    LARGE_OBJECTS,
    SLOT_AT_RISK,
    SLOT_UNKNOWN,
    WAL_RETAINED,
    UNLOGGED_TABLE,
    SEQUENCES,
    MATERIALIZED_VIEWS,
];

/// Most bytes that a side may send in answer to one statement: a row of the list of tables is below 500 bytes.
const BYTE_BUDGET: u64 = 64 << 20;

/// What the spec accepts.
struct Bounds {
    lag_bytes: i64,
    lag: Duration,
    retained_bytes: i64,
}

impl Bounds {
    fn of(question: &ReplicationCheck) -> Result<Self, Trouble> {
        let lag = duration::parse(question.max_lag.as_deref().unwrap_or("10s"))
            .map_err(|error| Trouble::error(format!("maxLag can't be read: {error}")))?;
        Ok(Self {
            lag_bytes: question.max_lag_bytes.unwrap_or(16 << 20),
            lag,
            retained_bytes: question.max_retained_bytes.unwrap_or(10 << 30),
        })
    }
}

/// Both sides, each within its transaction.
struct Both {
    legacy: Reading,
    candidate: Reading,
}

/// What was looked at, in a few words, and what was found.
struct Found {
    findings: Vec<Finding>,
    compared: String,
}

pub(super) async fn ask(question: &ReplicationCheck, asking: &Asking<'_>) -> Result<Answer, Trouble> {
    let bounds = Bounds::of(question)?;
    let target = asking.candidate()?;
    let (legacy, candidate) = tokio::join!(
        Reading::begin(asking, asking.legacy()?, BYTE_BUDGET),
        Reading::begin(asking, target, BYTE_BUDGET)
    );
    let both = Both {
        legacy: legacy.map_err(|trouble| trouble.about("legacy"))?,
        candidate: candidate.map_err(|trouble| trouble.about("candidate"))?,
    };
    // First, for each side's snapshot is that of its first statement.
    let mut findings = match &question.heartbeat {
        Some(heartbeat) => heartbeat::ask(heartbeat, &both, bounds.lag).await?,
        None => Vec::new(),
    };
    let is_standby: bool = one(&both.candidate, "SELECT pg_is_in_recovery()", &[]).await?;
    let found = if is_standby {
        physical::ask(&both, &bounds, asking).await?
    } else {
        logical::ask(&both, &bounds, asking).await?
    };
    findings.extend(found.findings);
    tokio::join!(both.legacy.end(), both.candidate.end());
    Ok(asking.conclude(findings, &found.compared))
}

/// The value of a statement that returns one row with one column.
async fn one<T>(side: &Reading, statement: &str, parameters: &[Parameter<'_>]) -> Result<T, Trouble>
where
    T: for<'a> tokio_postgres::types::FromSql<'a>,
{
    let rows = side.rows(statement, parameters).await?;
    let row = rows.first().ok_or_else(|| Trouble::error("a statement that returns one row returned none"))?;
    row.try_get(0).map_err(|_| unexpected())
}

fn unexpected() -> Trouble {
    Trouble::error("the server answered with a type that was not expected")
}

/// Bytes in the largest unit that leaves a figure.
fn size(bytes: i64) -> String {
    match bytes {
        ..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        10_485_760..10_737_418_240 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_a_unit_that_leaves_a_figure() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (10_239, "10239 bytes"),
            (16 << 20, "16 MiB"),
            (11 << 20, "11 MiB"),
            (10 << 30, "10 GiB"),
            (20_480, "20 KiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
