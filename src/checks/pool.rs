//! Do all connections that the application can open fit into what the server grants?
//!
//! Sums up the worst case (`count`, `demand`): every pod that the controllers may run at once, an update's and the
//! autoscaler's among them, with every pool full; against the lowest limit on the server (`grant`). Then asks both
//! servers how many sessions there are now, which shows what the sum forgot. Never opens more than one session a side,
//! and never guesses a size that nobody has given.

mod count;
mod demand;
mod grant;

use std::{sync::Arc, time::Instant};

use super::{Answer, Asking, Finding, FindingKind, Moment, NoCluster, Progress, Severity, Sides, Trouble};
use crate::{
    api::{Check, PoolCheck, Via},
    postgres::Target,
};

use count::{Behind, Counted};
use grant::{Grant, Seen};

/// Above this share of what is granted, in percent, it is time to look.
const NEAR_PERCENT: i64 = 80;

const NEED_EXCEEDS_GRANT: FindingKind = FindingKind::fail(
    "need-exceeds-grant",
    "with every pool full the server turns connections away (53300), and the application sees errors",
);
const LEGACY_EXCEEDS_GRANT: FindingKind = FindingKind::fail(
    "legacy-exceeds-grant",
    "the application holds more connections on legacy now than it would get",
);
const SIZE_UNKNOWN: FindingKind = FindingKind::fail(
    "size-unknown",
    "a workload whose pool's size nobody has given may open any number of connections",
);
const POOLER_CLIENTS_EXCEEDED: FindingKind = FindingKind::fail(
    "pooler-clients-exceeded",
    "the pooler turns clients away beyond its limit, and the application sees errors",
);
const NEED_NEAR_GRANT: FindingKind = FindingKind::warn(
    "need-near-grant",
    "above 80 % of what is granted one more pod, or a larger pool, may be one too many",
);
const MORE_THAN_COUNTED: FindingKind = FindingKind::warn(
    "more-than-counted",
    "more sessions than the sum accounts for: a workload or a pool is missing in it",
);
const OTHERS_PRESENT: FindingKind = FindingKind::warn(
    "others-present",
    "the slots of a server are shared: with the sessions that others hold now the need does not fit",
);
const THROUGH_POOLER: FindingKind = FindingKind::warn(
    "through-pooler",
    "something between counts connections of its own, and its limits can't be asked of the server",
);

/// What it can find.
pub(super) const KINDS: &[FindingKind] = &[
    NEED_EXCEEDS_GRANT,
    LEGACY_EXCEEDS_GRANT,
    SIZE_UNKNOWN,
    POOLER_CLIENTS_EXCEEDED,
    NEED_NEAR_GRANT,
    MORE_THAN_COUNTED,
    OTHERS_PRESENT,
    THROUGH_POOLER,
];

pub(super) async fn ask(question: &PoolCheck, asking: &Asking<'_>) -> Result<Answer, Trouble> {
    let count = count::count(question, asking.sides.cluster.as_ref());
    let legacy = look(asking, "legacy", asking.sides.legacy.as_ref());
    let candidate = look(asking, "candidate", asking.sides.candidate.as_ref());
    let (counted, legacy, candidate) = tokio::try_join!(count, legacy, candidate)?;
    if counted.terms.is_empty() && counted.unknown.is_empty() {
        return Err(Trouble::error("there is nothing to count: name workloads, poolers or others"));
    }
    judge(question, asking, &counted, legacy.as_ref(), candidate.as_ref())
}

async fn look(asking: &Asking<'_>, side: &str, target: Option<&Target>) -> Result<Option<Seen>, Trouble> {
    match target {
        Some(target) => grant::look(asking, target).await.map(Some).map_err(|trouble| trouble.about(side)),
        None => Ok(None),
    }
}

/// The sum, the grant and what is said of it.
fn judge(
    question: &PoolCheck,
    asking: &Asking<'_>,
    counted: &Counted,
    legacy: Option<&Seen>,
    candidate: Option<&Seen>,
) -> Result<Answer, Trouble> {
    // Without a candidate only settings change: the server stays, and the new pools must fit there.
    let (side, server) = match (candidate, legacy) {
        (Some(candidate), _) => ("candidate", candidate),
        (None, Some(legacy)) => ("legacy", legacy),
        (None, None) => {
            return Err(Trouble::error("there is no server to fit into: name the candidate or legacy"));
        }
    };
    let grant = server.grant(question.reserve);
    let need = demand::sum(&counted.terms);
    let sum = format!("{need} of {}: {}", grant.connections, demand::told(&counted.terms));
    let mut found = counted.unknown.clone();
    found.extend(fit(need, &grant, side, server));
    found.extend(counted.behind.iter().filter_map(clients_fit));
    found.extend(between(question, need, side, server));
    if let Some(legacy) = legacy {
        found.extend(present("legacy", legacy, &grant, need, candidate.is_some()));
    }
    if let Some(candidate) = candidate {
        found.extend(present("candidate", candidate, &grant, need, false));
    }
    let answer = asking.conclude(found, &format!("{} terms", counted.terms.len()));
    let is_clean = answer.findings.fails + answer.findings.warnings == 0;
    Ok(Answer {
        message: if is_clean { sum } else { format!("{sum}; {}", answer.message) },
        measured: Some(need.to_string()),
        expected: Some(format!("at most {} ({})", grant.connections, grant.terms)),
        baseline: legacy.map(|legacy| {
            format!(
                "legacy has {} sessions of the role now, {} in the database",
                legacy.sessions, legacy.backends
            )
        }),
        ..answer
    })
}

/// Does the sum fit, by itself and beside what others hold?
fn fit(need: i64, grant: &Grant, side: &str, server: &Seen) -> Option<Finding> {
    let Grant { connections: have, terms } = grant;
    let others = server.sessions_of_others;
    let finding = if need > *have {
        let message =
            format!("{need} connections are {} more than the {have} granted ({terms})", need - have);
        Finding::new(&NEED_EXCEEDS_GRANT, side, message)
    } else if need.saturating_add(others) > server.slots() && !server.is_neon_pooler {
        let message = format!(
            "{need} connections and the {others} that others hold now are more than its {} slots",
            server.slots()
        );
        Finding::new(&OTHERS_PRESENT, side, message).with("others", others)
    } else if need.saturating_mul(100) > have.saturating_mul(NEAR_PERCENT) {
        let message =
            format!("{need} connections are more than {NEAR_PERCENT} % of the {have} granted ({terms})");
        Finding::new(&NEED_NEAR_GRANT, side, message)
    } else {
        return None;
    };
    Some(finding.with("need", need).with("granted", *have))
}

fn clients_fit(behind: &Behind) -> Option<Finding> {
    let clients = demand::sum(&behind.clients);
    (clients > behind.limit).then(|| {
        let terms = demand::told(&behind.clients);
        let message =
            format!("{clients} clients are more than the {} that it lets in: {terms}", behind.limit);
        Finding::new(&POOLER_CLIENTS_EXCEEDED, behind.pooler.as_str(), message)
            .with("clients", clients)
            .with("limit", behind.limit)
    })
}

/// What it means that the server does not see us as its client. A pooler that the check describes is known.
fn between(question: &PoolCheck, need: i64, side: &str, server: &Seen) -> Option<Finding> {
    if server.is_neon_pooler {
        let pool = server.neon_pool();
        let message = format!(
            "Neon's pooler passes on {pool} connections of a user to a database at once (0.9 × max_connections); \
             of {need}, the others wait in its queue, up to 120 s"
        );
        let severity = if need > pool { Severity::Warn } else { Severity::Info };
        return Some(Finding::new(&THROUGH_POOLER, side, message).weighing(severity));
    }
    (server.via != Via::Direct).then(|| {
        let severity = if question.poolers.is_empty() { Severity::Warn } else { Severity::Info };
        let message = "the server does not see cutover's own socket: a pooler, a proxy or NAT is between, and what it \
                       lets in or passes on is not counted unless pool.poolers describes it";
        Finding::new(&THROUGH_POOLER, side, message).weighing(severity)
    })
}

/// What the sessions that are there now say about the sum.
fn present(side: &str, server: &Seen, grant: &Grant, need: i64, must_fit: bool) -> Option<Finding> {
    let now = server.sessions;
    let finding = if must_fit && now > grant.connections {
        let message = format!("{now} sessions are there now, and the candidate grants {}", grant.connections);
        Finding::new(&LEGACY_EXCEEDS_GRANT, side, message)
    } else if now > need {
        let message = format!("{now} sessions of the role are there now, and the sum comes to {need}");
        Finding::new(&MORE_THAN_COUNTED, side, message)
    } else {
        return None;
    };
    Some(finding.with("sessions", now).with("backends", server.backends))
}

/// What a server has to spare for a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spare {
    /// Connections that may be opened now, without touching the reserve.
    pub connections: i64,
    /// What is between, and may have limits of its own.
    pub via: Via,
}

/// How many connections may be opened on `target` now without touching what is reserved.
///
/// # Errors
/// Why it can't be asked.
pub async fn spare_connections(target: &Target) -> Result<Spare, String> {
    let sides = Sides {
        legacy: Some(target.clone()),
        candidate: None,
        traffic: Arc::new([]),
        cluster: Arc::new(NoCluster::default()),
    };
    let (check, progress) = (Check::default(), Progress::default());
    let (timeout, started, moment) = (super::PROBE_TIMEOUT, Instant::now(), Moment::Before);
    let asking = Asking { sides: &sides, check: &check, timeout, started, moment, progress: &progress };
    let seen = grant::look(&asking, target).await.map_err(|trouble| trouble.message)?;
    Ok(Spare { connections: seen.spare(), via: seen.via })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_neons_pooler_lets_queue_is_noted_and_warned_of_only_where_somebody_queues() {
        let neon = Seen {
            max_connections: 419,
            reserved: 7,
            sessions_of_others: 400,
            is_neon_pooler: true,
            ..Seen::default()
        };
        let weigh = |need| {
            let severity = between(&PoolCheck::default(), need, "candidate", &neon).map(|f| f.severity);
            (severity, fit(need, &neon.grant(None), "candidate", &neon).map(|finding| finding.kind))
        };
        assert_eq!(weigh(377), (Some(Severity::Info), None), "0.9 × max_connections");
        assert_eq!(weigh(378), (Some(Severity::Warn), None));
        assert_eq!(weigh(9001), (Some(Severity::Warn), Some("need-exceeds-grant".to_owned())));
    }
}
