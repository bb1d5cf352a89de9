//! What a server grants, and who has taken how much of it.
//!
//! Decides which of the limits that PostgreSQL knows is the lowest: its slots less the reserved ones, the database's and
//! the role's own. Counts sessions by what every role may see of them. What a pooler in between adds or takes can't be
//! asked of the server; Neon's is known from its documentation.

use crate::{
    api::Via,
    checks::{Asking, reading::Reading, trouble::Trouble},
    postgres::Target,
};

/// Bytes that the server may answer with: one row.
const BYTE_BUDGET: u64 = 1 << 20;
/// Clients that Neon's pooler lets in (`max_client_conn`).
const NEON_CLIENTS: i64 = 10_000;
/// Of these at least so many are kept free, unless the check says otherwise.
const RESERVE_MIN: i64 = 3;

/// `NULL` is what a role may not see, or what this version does not have.
const QUESTION: &str = "SELECT current_setting('max_connections')::int8, \
    current_setting('superuser_reserved_connections')::int8, \
    coalesce(current_setting('reserved_connections', true), '0')::int8 \
        + coalesce(current_setting('rds.rds_superuser_reserved_connections', true), '0')::int8, \
    (SELECT datconnlimit::int8 FROM pg_database WHERE datname = current_database()), \
    (SELECT rolconnlimit::int8 FROM pg_roles WHERE rolname = session_user), \
    (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = session_user \
        AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name NOT LIKE 'cutover/%'), \
    (SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL \
        AND NOT (datname = current_database() AND usename = session_user)), \
    (SELECT numbackends::int8 FROM pg_stat_database WHERE datname = current_database())";

/// What was seen on a side.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Seen {
    pub(super) max_connections: i64,
    /// Of these, for superusers and for those with `pg_use_reserved_connections`.
    pub(super) reserved: i64,
    pub(super) database_limit: Option<i64>,
    pub(super) role_limit: Option<i64>,
    /// Sessions of the connection's role in its database, without cutover's own.
    pub(super) sessions: i64,
    /// Sessions of others, in this database and in all others.
    pub(super) sessions_of_others: i64,
    /// All sessions in this database, as the statistics count them.
    pub(super) backends: i64,
    pub(super) via: Via,
    pub(super) is_neon_pooler: bool,
}

/// What may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    /// Connections that may be open, the reserve taken off.
    pub(super) connections: i64,
    /// Where the number comes from.
    pub(super) terms: String,
}

pub(super) async fn look(asking: &Asking<'_>, target: &Target) -> Result<Seen, Trouble> {
    let reading = Reading::begin(asking, target, BYTE_BUDGET).await?;
    let rows = reading.rows(QUESTION, &[]).await?;
    let facts = reading.session().facts();
    let row = rows.first().ok_or_else(|| Trouble::error("the server did not say what it grants"))?;
    let number = |index: usize| row.try_get::<_, Option<i64>>(index).ok().flatten();
    let needed = |index: usize| {
        number(index).ok_or_else(|| Trouble::error("the server did not say what it grants, or to whom"))
    };
    let limit = |index: usize| Ok::<_, Trouble>(Some(needed(index)?).filter(|limit| *limit >= 0));
    let seen = Seen {
        max_connections: needed(0)?,
        reserved: needed(1)?.saturating_add(needed(2)?),
        database_limit: limit(3)?,
        role_limit: limit(4)?,
        sessions: needed(5)?,
        sessions_of_others: needed(6)?,
        backends: needed(7)?,
        via: facts.via,
        is_neon_pooler: is_neon_pooler(&target.uri.endpoint().host),
    };
    reading.end().await;
    Ok(seen)
}

/// Neon's poolers are told by the first label of their host, such as `ep-cool-name-123-pooler`.
fn is_neon_pooler(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let label = host.split('.').next().unwrap_or_default();
    label.ends_with("-pooler") && (host.ends_with(".neon.tech") || host.ends_with(".neon.build"))
}

impl Seen {
    /// Slots for ordinary roles.
    pub(super) fn slots(&self) -> i64 {
        (self.max_connections - self.reserved).max(0)
    }

    /// What Neon's pooler opens to the server for each user and database, at the most.
    pub(super) fn neon_pool(&self) -> i64 {
        self.max_connections * 9 / 10
    }

    pub(super) fn grant(&self, reserve: Option<i32>) -> Grant {
        let (mut lowest, mut terms) = if self.is_neon_pooler {
            (NEON_CLIENTS, format!("{NEON_CLIENTS} clients of Neon's pooler"))
        } else {
            let (max, reserved) = (self.max_connections, self.reserved);
            (self.slots(), format!("max_connections {max} − {reserved} reserved"))
        };
        // Behind the pooler these limit its own sessions, not its clients.
        let limits = [("database", self.database_limit), ("role", self.role_limit)];
        for (whose, limit) in limits.into_iter().filter(|_| !self.is_neon_pooler) {
            if let Some(limit) = limit.filter(|limit| *limit < lowest) {
                (lowest, terms) = (limit, format!("CONNECTION LIMIT {limit} of the {whose}"));
            }
        }
        let reserve = reserve.map_or_else(|| default_reserve(lowest), i64::from);
        Grant { connections: (lowest - reserve).max(0), terms: format!("{terms} − {reserve} kept free") }
    }

    /// What may be opened now beside all that is open.
    pub(super) fn spare(&self) -> i64 {
        let slots = self.slots();
        let free = slots - default_reserve(slots) - self.sessions - self.sessions_of_others;
        let in_database = self.database_limit.map_or(i64::MAX, |limit| limit - self.backends);
        let of_role = self.role_limit.map_or(i64::MAX, |limit| limit - self.sessions);
        free.min(in_database).min(of_role).max(0)
    }
}

fn default_reserve(granted: i64) -> i64 {
    (granted / 10).max(RESERVE_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Seen {
        Seen { max_connections: 100, reserved: 3, ..Seen::default() }
    }

    #[test]
    fn the_lowest_limit_is_what_is_granted() {
        let grant = |seen: Seen, reserve| seen.grant(reserve).connections;
        assert_eq!(grant(seen(), None), 88);
        assert_eq!(grant(seen(), Some(0)), 97);
        assert_eq!(grant(Seen { database_limit: Some(40), ..seen() }, Some(10)), 30);
        assert_eq!(grant(Seen { database_limit: Some(40), role_limit: Some(20), ..seen() }, None), 17);
        assert_eq!(grant(Seen { role_limit: Some(2), ..seen() }, None), 0);
    }

    #[test]
    fn what_is_open_and_the_reserve_are_not_to_spare() {
        let busy = Seen { sessions: 10, sessions_of_others: 20, backends: 25, ..seen() };
        assert_eq!(busy.spare(), 97 - 9 - 30);
        assert_eq!(Seen { database_limit: Some(30), ..busy.clone() }.spare(), 5);
        assert_eq!(Seen { role_limit: Some(9), ..busy }.spare(), 0);
    }

    #[test]
    fn neons_pooler_is_told_by_its_host_and_counts_clients() {
        assert!(is_neon_pooler("ep-cool-name-123-pooler.eu-central-1.aws.neon.tech"));
        assert!(!is_neon_pooler("ep-cool-name-123.eu-central-1.aws.neon.tech"));
        assert!(!is_neon_pooler("shop-pooler.example.org"));
        let neon = Seen { max_connections: 419, is_neon_pooler: true, role_limit: Some(5), ..seen() };
        assert_eq!(neon.grant(None).connections, 9000);
        assert_eq!(neon.neon_pool(), 377);
    }
}
