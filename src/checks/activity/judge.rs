//! What is in the way, and how much.
//!
//! Decides on what was seen alone. What is over in a moment (a wait of a second, an ordinary autovacuum) weighs less
//! than what stays until somebody ends it.

use std::time::Duration;

use super::{
    Finding, FindingKind, duration,
    seen::{Exclusive, Maintenance, Prepared, RoleSessions, Seen, Waiting},
    shown,
};
use crate::checks::Severity;

pub(super) const LONG: FindingKind = FindingKind::fail(
    "transaction-long",
    "a restart of the application ends it and its work is lost; it holds back vacuum and whatever waits for its locks",
);
pub(super) const IDLE: FindingKind = FindingKind::fail(
    "transaction-idle",
    "a transaction that stands idle for so long was forgotten: it keeps its locks until its session ends",
);
pub(super) const PREPARED: FindingKind = FindingKind::fail(
    "transaction-prepared",
    "it survives restarts with its locks, and on legacy it would be left behind: commit or roll it back; a young one warns",
);
pub(super) const WAITING: FindingKind = FindingKind::warn(
    "lock-wait",
    "sessions stand still behind somebody's lock; beyond ten seconds it fails",
);
pub(super) const EXCLUSIVE: FindingKind = FindingKind::fail(
    "exclusive-lock",
    "a schema change, TRUNCATE, VACUUM FULL or LOCK TABLE is under way: writes wait for it, and the schema may not be final",
);
pub(super) const MAINTENANCE: FindingKind = FindingKind::warn(
    "maintenance-running",
    "it competes for disk and locks, and what it builds is not there yet; an ordinary autovacuum is only noted",
);
pub(super) const WRAPAROUND: FindingKind = FindingKind::warn(
    "wraparound-near",
    "a vacuum that can't be put off is ahead; beyond 1.6 billion it is an emergency that ends in refused writes, and fails",
);
pub(super) const HIDDEN: FindingKind = FindingKind::warn(
    "activity-hidden",
    "what these sessions do can't be seen: any of them may hold an old transaction",
);

/// A wait that is longer is a standstill.
const LONG_WAIT_SECONDS: i64 = 10;
/// Five times `autovacuum_freeze_max_age`: autovacuum does not get through.
const WRAPAROUND_WARN: i64 = 1_000_000_000;
/// `vacuum_failsafe_age`.
const WRAPAROUND_FAIL: i64 = 1_600_000_000;

pub(super) fn judge(seen: &Seen, side: &str, max_age: Duration) -> Vec<Finding> {
    let limit = duration::format(max_age);
    let mut found = Vec::new();
    for role in &seen.sessions {
        found.extend(transactions(role, side, &limit));
    }
    found.extend(seen.prepared.iter().map(|prepared| self::prepared(prepared, side)));
    found.extend(seen.waiting.iter().map(|waiting| self::waiting(waiting, side)));
    found.extend(seen.exclusive.iter().map(|exclusive| self::exclusive(exclusive, side)));
    found.extend(seen.maintenance.iter().map(|maintenance| self::maintenance(maintenance, side)));
    let ages = [("transaction ids", seen.transaction_id_age), ("multixacts", seen.multixact_age)];
    found.extend(ages.into_iter().filter_map(|(what, age)| wraparound(what, age, side)));
    found.extend(hidden(&seen.sessions, side));
    found
}

/// Where it is, for `accept` to match on: `legacy.shop_app`.
fn object(side: &str, name: &str) -> String {
    format!("{side}.{}", shown(name))
}

fn transactions(role: &RoleSessions, side: &str, limit: &str) -> Vec<Finding> {
    let name = shown(&role.role);
    let finding = |kind, count: i64, oldest: Option<i64>, what: &str| {
        let oldest = oldest.unwrap_or(0);
        let message = format!(
            "{count} transactions of {name} {what} for more than {limit}, the oldest for {}",
            age(oldest)
        );
        let finding = Finding::new(kind, object(side, &role.role), message);
        (count > 0).then(|| finding.with("transactions", count).with("oldestSeconds", oldest))
    };
    let long = finding(&LONG, role.long, role.long_seconds, "have been open");
    let idle = finding(&IDLE, role.idle, role.idle_seconds, "have been open and stand idle");
    long.into_iter().chain(idle).collect()
}

fn prepared(prepared: &Prepared, side: &str) -> Finding {
    let Prepared { role, transactions, old, oldest_seconds } = prepared;
    let message = format!(
        "prepared transactions of {}: {transactions}, the oldest for {}; COMMIT PREPARED or ROLLBACK PREPARED them",
        shown(role),
        age(*oldest_seconds)
    );
    let finding = Finding::new(&PREPARED, object(side, role), message).with("transactions", *transactions);
    if *old > 0 { finding } else { finding.weighing(Severity::Warn) }
}

fn waiting(waiting: &Waiting, side: &str) -> Finding {
    let Waiting { role, sessions, longest_seconds, blockers } = waiting;
    let longest = longest_seconds.map_or_else(|| "a time that is not shown".to_owned(), age);
    let blockers = blockers.as_deref().map_or_else(|| "a prepared transaction".to_owned(), shown);
    let message = format!(
        "sessions of {} that wait for locks: {sessions}, the longest for {longest}; held by {blockers}",
        shown(role)
    );
    let finding = Finding::new(&WAITING, object(side, role), message).with("sessions", *sessions);
    let is_standstill = longest_seconds.is_some_and(|seconds| seconds >= LONG_WAIT_SECONDS);
    if is_standstill { finding.weighing(Severity::Fail) } else { finding }
}

fn exclusive(exclusive: &Exclusive, side: &str) -> Finding {
    let Exclusive { relation, mode, role, autovacuum } = exclusive;
    let holder = match role {
        Some(role) => shown(role),
        None if *autovacuum => "autovacuum".to_owned(),
        None => "a prepared transaction".to_owned(),
    };
    let mode = shown(mode);
    let message = format!("{holder} holds {mode} on it");
    let finding = Finding::new(&EXCLUSIVE, object(side, relation), message).with("mode", mode);
    // Autovacuum gives back the end of a table in moments, and gives way to anybody who waits.
    if *autovacuum { finding.weighing(Severity::Info) } else { finding }
}

fn maintenance(maintenance: &Maintenance, side: &str) -> Finding {
    let Maintenance { command, relation, autovacuum, wraparound } = maintenance;
    let command = shown(command);
    let relation = relation.as_deref().unwrap_or("a relation that is not shown");
    let (what, severity) = match (autovacuum, wraparound) {
        (true, true) => ("autovacuum to prevent wraparound, which gives way to nobody", Severity::Warn),
        (true, false) => ("autovacuum", Severity::Info),
        _ => ("a session", Severity::Warn),
    };
    let message = format!("{command} is running, by {what}");
    Finding::new(&MAINTENANCE, object(side, relation), message).with("command", command).weighing(severity)
}

fn wraparound(what: &str, age: i64, side: &str) -> Option<Finding> {
    let severity = match age {
        WRAPAROUND_FAIL.. => Severity::Fail,
        WRAPAROUND_WARN.. => Severity::Warn,
        _ => return None,
    };
    let message = format!("{what} are {age} old, of 2147483648: VACUUM the oldest tables");
    Some(Finding::new(&WRAPAROUND, object(side, what), message).with("age", age).weighing(severity))
}

fn hidden(roles: &[RoleSessions], side: &str) -> Option<Finding> {
    let hidden: i64 = roles.iter().map(|role| role.hidden).sum();
    let count = roles.iter().filter(|role| role.hidden > 0).count();
    let message = format!(
        "sessions that are not shown to the connection's role, or have track_activities off: {hidden}, of {count} \
         roles; GRANT pg_read_all_stats to it for as long as the move lasts, and SET track_activities on"
    );
    (hidden > 0).then(|| Finding::new(&HIDDEN, side, message).with("sessions", hidden))
}

fn age(seconds: i64) -> String {
    duration::format(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_beyond_ten_seconds_is_a_standstill() {
        let weigh = |seconds| {
            let seen = Waiting { sessions: 1, longest_seconds: seconds, ..Waiting::default() };
            waiting(&seen, "legacy").severity
        };
        assert_eq!(weigh(Some(9)), Severity::Warn);
        assert_eq!(weigh(None), Severity::Warn);
        assert_eq!(weigh(Some(10)), Severity::Fail);
    }

    #[test]
    fn an_ordinary_autovacuum_is_only_noted() {
        let weigh = |autovacuum, wraparound| {
            let seen = Maintenance { autovacuum, wraparound, ..Maintenance::default() };
            maintenance(&seen, "legacy").severity
        };
        assert_eq!(weigh(true, false), Severity::Info);
        assert_eq!(weigh(true, true), Severity::Warn);
        assert_eq!(weigh(false, false), Severity::Warn);
    }
}
