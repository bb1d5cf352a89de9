//! Is anything going on that would get in the way of the move?
//!
//! Decides by what each server shows of its sessions, locks and maintenance at one moment: old transactions, prepared
//! ones, waits for locks, schema changes, builds and vacuums. What a role may not see is a finding of its own. Never shows the text of a statement, never ends or signals a session, and
//! does not count this program's own.

use std::time::Duration;

use super::{Answer, Asking, Finding, FindingKind, Trouble, shown::shown};
use crate::{api::ActivityCheck, duration, postgres::Target};

mod judge;
mod seen;

/// What it can find.
pub(super) const KINDS: &[FindingKind] = &[
    judge::LONG,
    judge::IDLE,
    judge::PREPARED,
    judge::WAITING,
    judge::EXCLUSIVE,
    judge::MAINTENANCE,
    judge::WRAPAROUND,
    judge::HIDDEN,
];

/// Longest that a transaction may have been open, where the spec does not say.
const MAX_TRANSACTION_AGE: Duration = Duration::from_mins(5);

pub(super) async fn ask(question: &ActivityCheck, asking: &Asking<'_>) -> Result<Answer, Trouble> {
    let max_age = match question.max_transaction_age.as_deref().map(duration::parse).transpose() {
        Ok(age) => age.unwrap_or(MAX_TRANSACTION_AGE),
        Err(error) => return Err(Trouble::error(format!("maxTransactionAge can't be read: {error}"))),
    };
    let (legacy, candidate) = tokio::join!(
        look(asking, asking.legacy()?, "legacy", max_age),
        look(asking, asking.candidate()?, "candidate", max_age)
    );
    let (legacy, candidate) = (legacy?, candidate?);
    let compared = format!("{} sessions", legacy.sessions + candidate.sessions);
    Ok(asking.conclude(legacy.found.into_iter().chain(candidate.found), &compared))
}

/// What a side came to.
struct Side {
    found: Vec<Finding>,
    sessions: i64,
}

async fn look(asking: &Asking<'_>, target: &Target, side: &str, max_age: Duration) -> Result<Side, Trouble> {
    let seen = seen::read(asking, target, max_age).await.map_err(|trouble| trouble.about(side))?;
    Ok(Side { sessions: seen.sessions(), found: judge::judge(&seen, side, max_age) })
}
