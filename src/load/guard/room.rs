//! How many connections are free on a server, and whether that is enough.
//!
//! Decides within which limits a connection counts (the server's slots for ordinary roles, the database's and the role's own
//! limit), and what a load takes of each, also where legacy and candidate are one server. What a process of another role is, an
//! ordinary role may not see: it counts as a connection, even if it is a parallel worker. Autovacuum has no role and does not count.
//! Pure but for reading an answer's columns; never takes what is reserved for superusers for free.

use std::fmt;

use tokio_postgres::SimpleQueryRow;

use super::Arm;

/// The moment the server started is which server it is: a copy, or a standby, has the same system identifier and slots of
/// its own. `NULL` is what this version or this server does not have.
pub(super) const QUESTION: &str = "SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8, \
    current_setting('max_connections')::int8 - current_setting('superuser_reserved_connections')::int8 \
      - coalesce(current_setting('reserved_connections', true), '0')::int8 \
      - coalesce(current_setting('rds.rds_superuser_reserved_connections', true), '0')::int8, \
    count(*), \
    (SELECT oid FROM pg_database WHERE datname = current_database()), \
    (SELECT datconnlimit FROM pg_database WHERE datname = current_database()), \
    count(*) FILTER (WHERE datname = current_database()), \
    (SELECT oid FROM pg_roles WHERE rolname = session_user), \
    (SELECT rolconnlimit FROM pg_roles WHERE rolname = session_user), \
    count(*) FILTER (WHERE usename = session_user), \
    count(*) FILTER (WHERE usename = session_user AND wait_event_type = 'Lock') \
    FROM pg_stat_activity WHERE datname IS NOT NULL AND usesysid IS NOT NULL \
      AND coalesce(backend_type, 'client backend') = 'client backend'";

/// Which limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// `max_connections`, less what is reserved.
    Server,
    /// `CONNECTION LIMIT` of the database.
    Database,
    /// `CONNECTION LIMIT` of the role.
    Role,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "of max_connections less what is reserved",
            Self::Database => "of the database's CONNECTION LIMIT",
            Self::Role => "of the role's CONNECTION LIMIT",
        })
    }
}

/// What is left within a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) scope: Scope,
    /// The same on two sides that share it.
    key: String,
    /// All that there are.
    limit: i64,
    /// Of these, free now.
    pub(super) free: i64,
}

/// What one look at a server showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) rooms: Vec<Room>,
    /// Sessions of the role that wait for a lock.
    pub(super) waiting: i64,
}

impl Seen {
    /// Where the least is left.
    pub(super) fn tightest(&self) -> Option<&Room> {
        self.rooms.iter().min_by_key(|room| room.free)
    }
}

/// Reads an answer to [`QUESTION`]; `None` if a number is missing.
pub(super) fn read(row: &SimpleQueryRow) -> Option<Seen> {
    let text = |index| row.try_get(index).ok().flatten();
    let number = |index| text(index)?.parse::<i64>().ok();
    let server = text(0)?;
    let rooms = [
        (Scope::Server, String::new(), number(1)?, number(2)?),
        (Scope::Database, text(3)?.to_owned(), number(4)?, number(5)?),
        (Scope::Role, text(6)?.to_owned(), number(7)?, number(8)?),
    ];
    // Below zero is no limit.
    let limited = rooms.into_iter().filter(|(scope, _, limit, _)| *scope == Scope::Server || *limit >= 0);
    let room = |(scope, of, limit, taken): (_, String, i64, i64)| Room {
        scope,
        key: format!("{server} {of}"),
        limit,
        free: limit - taken,
    };
    Some(Seen { rooms: limited.map(room).collect(), waiting: number(9)? })
}

/// A load that does not fit beside the application.
#[derive(thiserror::Error, Debug, Clone, PartialEq, Eq)]
#[error("{} has {} connections free ({}), and the load's {} would leave fewer than the {} kept free for the \
         application (guard.freeConnections); {}", .arm.name(), .free, .scope, .needed, .least, self.remedy())]
pub struct TooFew {
    /// On which server.
    pub arm: Arm,
    /// Within which limit.
    pub scope: Scope,
    /// What is free, the connection that watches taken off.
    pub free: i64,
    /// Connections that the load opens there, on both sides together where they are one server.
    pub needed: i64,
    /// What has to stay free.
    pub least: u32,
    /// The limit itself.
    limit: i64,
    /// Sides that share it.
    sides: i64,
}

impl TooFew {
    /// Whether it does not fit even with nobody else there.
    #[must_use]
    pub fn is_forever(&self) -> bool {
        self.limit - self.sides - self.needed < i64::from(self.least)
    }

    fn remedy(&self) -> String {
        let most = (self.free - i64::from(self.least)) / self.sides.max(1);
        let shared = if self.sides > 1 { " to each side, which are one server" } else { "" };
        match most {
            1.. => format!("lower connections to at most {most}{shared}"),
            _ if self.is_forever() => "raise the server's limit, or lower guard.freeConnections".to_owned(),
            _ => "wait until fewer are in use".to_owned(),
        }
    }
}

/// Whether a load with so many connections to each side leaves `least` free everywhere. Of what was seen in use, `passing` to each
/// side are the load's own and will be gone.
pub(super) fn admit(
    seen: &[(Arm, Seen)],
    connections: usize,
    passing: u32,
    least: u32,
) -> Result<(), TooFew> {
    let connections = i64::try_from(connections).unwrap_or(i64::MAX);
    let all = || seen.iter().flat_map(|(arm, seen)| seen.rooms.iter().map(move |room| (*arm, room)));
    let short = all().filter_map(|(arm, room)| {
        let sharing = all().filter(|(_, other)| (other.scope, &other.key) == (room.scope, &room.key)).count();
        let sides = i64::try_from(sharing).unwrap_or(1);
        let needed = connections.saturating_mul(sides);
        let free = room.free + i64::from(passing) * sides;
        let is_short = free.saturating_sub(needed) < i64::from(least);
        is_short.then_some(TooFew { arm, scope: room.scope, free, needed, least, limit: room.limit, sides })
    });
    // The tightest one: what helps there helps everywhere.
    short.min_by_key(|short| (short.free - short.needed) / short.sides).map_or(Ok(()), Err)
}

#[cfg(test)]
impl Seen {
    /// A server with 97 slots, so many of them free.
    pub(super) fn of_server(key: &str, free: i64) -> Self {
        let room = Room { scope: Scope::Server, key: key.to_owned(), limit: 97, free };
        Self { rooms: vec![room], waiting: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(scope: Scope, key: &str, limit: i64, free: i64) -> Room {
        Room { scope, key: key.to_owned(), limit, free }
    }

    #[test]
    fn what_a_load_opens_must_leave_the_applications_connections_free() {
        let seen = [(Arm::Candidate, Seen::of_server("a", 25))];
        assert_eq!(admit(&seen, 20, 0, 5), Ok(()));
        let refused = admit(&seen, 21, 0, 5).unwrap_err();
        assert!(!refused.is_forever());
        assert_eq!(
            refused.to_string(),
            "candidate has 25 connections free (of max_connections less what is reserved), and the load's 21 would leave \
             fewer than the 5 kept free for the application (guard.freeConnections); lower connections to at most 20"
        );
    }

    #[test]
    fn connections_of_ones_own_that_will_be_gone_are_free_on_each_side() {
        let seen = [(Arm::Candidate, Seen::of_server("a", 24))];
        assert_eq!(admit(&seen, 20, 1, 5), Ok(()));
        let refused = admit(&seen, 21, 1, 5).unwrap_err();
        assert_eq!((refused.free, refused.needed), (25, 21));
        let both = [(Arm::Legacy, Seen::of_server("a", 23)), (Arm::Candidate, Seen::of_server("a", 23))];
        assert_eq!(admit(&both, 10, 1, 5), Ok(()));
        assert!(admit(&both, 11, 1, 5).is_err());
    }

    #[test]
    fn the_tightest_limit_of_the_tightest_side_is_the_one_that_is_named() {
        let mut legacy = Seen::of_server("a", 50);
        legacy.rooms.push(room(Scope::Role, "a 7", 30, 12));
        let refused = admit(&[(Arm::Legacy, legacy), (Arm::Candidate, Seen::of_server("b", 20))], 18, 0, 5)
            .unwrap_err();
        assert_eq!((refused.arm, refused.scope, refused.free), (Arm::Legacy, Scope::Role, 12));
        assert!(refused.to_string().ends_with("lower connections to at most 7"), "{refused}");
    }

    #[test]
    fn one_server_on_both_sides_bears_both_loads() {
        let both = |candidate| {
            [(Arm::Legacy, Seen::of_server("a", 30)), (Arm::Candidate, Seen::of_server(candidate, 30))]
        };
        assert_eq!(admit(&both("b"), 20, 0, 5), Ok(()));
        let refused = admit(&both("a"), 20, 0, 5).unwrap_err();
        assert_eq!((refused.free, refused.needed), (30, 40));
        assert!(refused.to_string().ends_with("at most 12 to each side, which are one server"), "{refused}");
    }

    #[test]
    fn a_load_that_can_never_fit_is_told_from_a_server_that_is_busy() {
        let never = admit(&[(Arm::Legacy, Seen::of_server("a", 90))], 93, 0, 5).unwrap_err();
        assert!(never.is_forever(), "97 slots, one watches");
        assert!(!admit(&[(Arm::Legacy, Seen::of_server("a", 90))], 91, 0, 5).unwrap_err().is_forever());
        let busy = admit(&[(Arm::Legacy, Seen::of_server("a", 3))], 1, 0, 5).unwrap_err();
        assert!(busy.to_string().ends_with("wait until fewer are in use"), "{busy}");
        let full = Seen { rooms: vec![room(Scope::Role, "a 7", 4, 3)], waiting: 0 };
        let full = admit(&[(Arm::Legacy, full)], 1, 0, 5).unwrap_err();
        assert!(full.to_string().ends_with("or lower guard.freeConnections"), "{full}");
    }
}
