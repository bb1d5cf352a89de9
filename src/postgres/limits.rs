//! What statements may do, and for how long, as PostgreSQL is told.
//!
//! Decides the words: `SET LOCAL`, which ends with its transaction, or `SET`, for a session that is ours alone. Never
//! turns a limit off: PostgreSQL takes zero for "no limit".

use std::time::Duration;

/// What statements may do, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Whether a write is an error (SQLSTATE 25006).
    pub read_only: bool,
    /// Longest that a statement may run (57014).
    pub statement_timeout: Duration,
    /// Longest that it may wait for a lock (55P03).
    pub lock_timeout: Duration,
    /// Longest that a transaction may stand idle before the server ends the session.
    pub idle_in_transaction_timeout: Duration,
}

impl Limits {
    /// The statements that open a transaction under these limits, which end with it.
    #[must_use]
    pub fn opening(&self) -> Vec<String> {
        let access = if self.read_only { "READ ONLY" } else { "READ WRITE" };
        let timeouts = self.timeouts().map(|(name, value)| format!("SET LOCAL {name} = {value}"));
        std::iter::once(format!("BEGIN {access}")).chain(timeouts).collect()
    }

    /// The same as one text.
    #[must_use]
    pub fn begin(&self) -> String {
        self.opening().join("; ")
    }

    /// The statements that put the timeouts into force for a session.
    pub(super) fn settings(&self) -> String {
        self.timeouts().map(|(name, value)| format!("SET {name} = {value}")).join("; ")
    }

    fn timeouts(&self) -> [(&'static str, i32); 3] {
        [
            ("statement_timeout", milliseconds(self.statement_timeout)),
            ("lock_timeout", milliseconds(self.lock_timeout)),
            ("idle_in_transaction_session_timeout", milliseconds(self.idle_in_transaction_timeout)),
        ]
    }
}

/// Zero would turn a limit off, and PostgreSQL takes no more than an `i32`.
fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_end_with_their_transaction_and_are_never_off() {
        let zero = Duration::ZERO;
        let limits = Limits {
            read_only: true,
            statement_timeout: zero,
            lock_timeout: zero,
            idle_in_transaction_timeout: Duration::MAX,
        };
        assert_eq!(
            limits.begin(),
            "BEGIN READ ONLY; SET LOCAL statement_timeout = 1; SET LOCAL lock_timeout = 1; \
             SET LOCAL idle_in_transaction_session_timeout = 2147483647"
        );
    }
}
