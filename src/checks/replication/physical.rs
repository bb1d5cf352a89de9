//! A candidate that is a standby: of legacy, receiving and replaying?

use tokio_postgres::types::Type;

use super::{
    APPLY_STOPPED, Both, Bounds, Found, NOT_REPLICATED, SLOT_MISSING, SLOT_UNKNOWN, UNLOGGED_TABLE,
    lag::{self, Follower},
    one, slot, unexpected,
};
use crate::checks::{Asking, Finding, Severity, Trouble, shown::qualified};

/// What findings are about that have no object of their own.
const OBJECT: &str = "standby";

pub(super) async fn ask(both: &Both, bounds: &Bounds, asking: &Asking<'_>) -> Result<Found, Trouble> {
    let identifier = "SELECT system_identifier FROM pg_control_system()";
    let (legacy, candidate) = tokio::try_join!(
        one::<i64>(&both.legacy, identifier, &[]),
        one::<i64>(&both.candidate, identifier, &[])
    )?;
    if legacy != candidate {
        let message = "the candidate is a standby, but not of legacy: their system identifiers differ";
        let findings = vec![Finding::new(&NOT_REPLICATED, OBJECT, message)];
        return Ok(Found { findings, compared: "a standby of another server".to_owned() });
    }
    let (mut findings, is_moving) = receiver(both, bounds).await?;
    findings.extend(unlogged(both).await?);
    let lag = if is_moving {
        lag::measure(&Follower::Standby, OBJECT, both, bounds, asking).await?
    } else {
        lag::Lag::unknown(OBJECT, "the standby receives or replays nothing")
    };
    findings.extend(lag.findings);
    Ok(Found { findings, compared: format!("physical replication, {}", lag.told) })
}

/// Whether the standby receives and replays, and what is wrong with that.
async fn receiver(both: &Both, bounds: &Bounds) -> Result<(Vec<Finding>, bool), Trouble> {
    let is_paused: bool = one(&both.candidate, "SELECT pg_is_wal_replay_paused()", &[]).await?;
    let mut findings = Vec::new();
    if is_paused {
        let message = "replay is paused on the candidate: SELECT pg_wal_replay_resume()";
        findings.push(Finding::new(&APPLY_STOPPED, OBJECT, message));
    }
    let rows = both.candidate.rows("SELECT status, slot_name FROM pg_stat_wal_receiver", &[]).await?;
    let Some(row) = rows.first() else {
        let message = "the candidate has no WAL receiver: it is not connected to legacy";
        findings.push(Finding::new(&APPLY_STOPPED, OBJECT, message));
        return Ok((findings, false));
    };
    let (status, slot): (Option<String>, Option<String>) = match (row.try_get(0), row.try_get(1)) {
        (Ok(status), Ok(slot)) => (status, slot),
        _ => return Err(unexpected()),
    };
    match (status, slot.filter(|name| !name.is_empty())) {
        (None, _) => {
            let message = "the slot can't be seen: GRANT pg_read_all_stats TO the role, on legacy (the standby replays it)";
            findings.push(Finding::new(&SLOT_UNKNOWN, OBJECT, message));
        }
        (Some(_), None) => {
            let message = "the standby uses no slot: legacy may remove WAL before the candidate has it";
            findings.push(Finding::new(&SLOT_MISSING, OBJECT, message).weighing(Severity::Warn));
        }
        (Some(_), Some(name)) => {
            let names = vec![name];
            findings.extend(slot::find(both, &names).await?.iter().flat_map(|slot| slot.judge(bounds)));
        }
    }
    Ok((findings, !is_paused))
}

async fn unlogged(both: &Both) -> Result<Vec<Finding>, Trouble> {
    let statement = "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'r' AND c.relpersistence = 'u' ORDER BY 1, 2 LIMIT $1";
    let rows = both.legacy.rows(statement, &[(&10_000_i64, Type::INT8)]).await?;
    rows.iter()
        .map(|row| match (row.try_get(0), row.try_get(1)) {
            (Ok(schema), Ok(name)) => Ok(Finding::new(
                &UNLOGGED_TABLE,
                qualified(schema, name),
                "the table is unlogged: the candidate has it without its rows",
            )),
            _ => Err(unexpected()),
        })
        .collect()
}
