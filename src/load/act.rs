//! What a statement does, as far as its words tell.
//!
//! Decides which statements are for load at all: those that read or change rows. Transaction control is for
//! [`super::model`] to send; settings, definitions and COPY would change what the connection or the database is, or
//! need a client that answers. Never proves that a statement only reads: functions may write. A read-only transaction
//! does that.

use super::scan::{Kind, Token};

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Reads rows, if its functions do no more.
    Reads,
    /// Changes or locks rows, or may.
    Writes,
    /// Opens a transaction.
    Begins,
    /// Ends a transaction.
    Commits,
    /// Anything else.
    Other,
}

/// What the words of a reading statement must not have, lest it write or lock.
const WRITING: [&str; 6] = ["insert", "update", "delete", "merge", "share", "into"];

/// Functions that change the session for what comes after, what others wait for, or the server, be the transaction read-only or
/// not: a prefix each. Any role may end its own sessions by signals, and load logs in as the application's.
const NOT_FOR_LOAD: [&str; 10] = [
    "set_config",
    "pg_advisory_lock",
    "pg_try_advisory_lock",
    "pg_cancel_backend",
    "pg_terminate_backend",
    "pg_reload_conf",
    "pg_rotate_logfile",
    "pg_promote",
    "pg_switch_wal",
    "pg_stat_reset",
];

/// Functions that others feel until the transaction ends or that tell them something; a read-only transaction has them, too.
const FELT: [&str; 3] = ["pg_notify", "pg_advisory_xact_lock", "pg_try_advisory_xact_lock"];

/// What may stand before a parenthesis without being a function that somebody wrote.
const HARMLESS: [&str; 44] = [
    "in",
    "any",
    "all",
    "some",
    "exists",
    "values",
    "and",
    "or",
    "not",
    "as",
    "on",
    "using",
    "over",
    "filter",
    "by",
    "from",
    "where",
    "select",
    "with",
    "when",
    "then",
    "else",
    "union",
    "except",
    "intersect",
    "array",
    "row",
    "cast",
    "coalesce",
    "nullif",
    "greatest",
    "least",
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "lower",
    "upper",
    "length",
    "abs",
    "round",
    "extract",
    "now",
];

/// Whether a statement may run functions of which nothing is known: those could switch a session's being read-only off.
pub(super) fn calls_functions(tokens: &[Token<'_>]) -> bool {
    tokens.windows(2).enumerate().any(|(index, pair)| {
        let is_qualified = index > 0 && tokens[index - 1].is_symbol(".");
        let is_harmless = pair[0].kind == Kind::Word
            && HARMLESS.contains(&pair[0].text.to_ascii_lowercase().as_str())
            && !is_qualified;
        pair[1].is_symbol("(") && !is_harmless && !matches!(pair[0].kind, Kind::Symbol)
    })
}

pub(super) fn act(tokens: &[Token<'_>]) -> Act {
    let Some(first) = tokens.iter().find(|token| !token.is_symbol("(")) else {
        return Act::Other;
    };
    let is_not_for_load =
        |token: &Token<'_>| NOT_FOR_LOAD.iter().any(|function| is_function(token, function));
    if first.kind != Kind::Word || tokens.iter().any(is_not_for_load) {
        return Act::Other;
    }
    match first.text.to_ascii_lowercase().as_str() {
        "select" | "with" | "values" | "table" | "explain" => reads_or_writes(tokens),
        "show" => Act::Reads,
        "insert" | "update" | "delete" | "merge" | "call" | "lock" | "notify" => Act::Writes,
        "begin" | "start" => Act::Begins,
        "commit" | "end" => Act::Commits,
        _ => Act::Other,
    }
}

/// Whether PostgreSQL carries it out in a read-only transaction as well, and others feel it: locks, and messages.
pub(super) fn is_felt_though_read_only(tokens: &[Token<'_>]) -> bool {
    let acts = tokens.first().is_some_and(|first| first.is_word("lock") || first.is_word("notify"));
    acts || tokens.iter().any(|token| FELT.iter().any(|function| is_function(token, function)))
}

fn is_function(token: &Token<'_>, prefix: &str) -> bool {
    matches!(token.kind, Kind::Word | Kind::Quoted)
        && token.text.trim_matches('"').to_ascii_lowercase().starts_with(prefix)
}

fn reads_or_writes(tokens: &[Token<'_>]) -> Act {
    let has = |word: &str| tokens.iter().any(|token| token.is_word(word));
    // SELECT … INTO makes a table; only an INSERT has the word otherwise.
    if has("into") && !has("insert") && !has("merge") {
        Act::Other
    } else if WRITING.iter().any(|word| has(word)) {
        Act::Writes
    } else {
        Act::Reads
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::scan::tokens;

    #[test]
    fn a_statement_is_known_by_its_words() {
        for (sql, expected) in [
            ("SELECT 1", Act::Reads),
            ("/* x */ (select 1)", Act::Reads),
            ("WITH a AS (DELETE FROM t RETURNING 1) SELECT * FROM a", Act::Writes),
            ("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", Act::Writes),
            ("SELECT * FROM t FOR NO KEY UPDATE", Act::Writes),
            ("SELECT 'update', \"update\"", Act::Reads),
            ("SELECT * INTO u FROM t", Act::Other),
            ("insert into t values (1)", Act::Writes),
            ("BEGIN", Act::Begins),
            ("end", Act::Commits),
            ("SET default_transaction_read_only = off", Act::Other),
            ("DROP TABLE t", Act::Other),
            ("COPY t TO STDOUT", Act::Other),
            ("ROLLBACK", Act::Other),
            ("", Act::Other),
        ] {
            assert_eq!(act(&tokens(sql).unwrap()), expected, "{sql}");
        }
    }

    #[test]
    fn what_would_outlast_the_statement_is_not_for_load() {
        for sql in [
            "SELECT set_config('default_transaction_read_only', 'off', false)",
            "select pg_catalog.\"set_config\"('a', 'b', false)",
            "WITH x AS (SELECT pg_try_advisory_lock(1)) SELECT * FROM x",
            "SELECT pg_cancel_backend($1)",
            "select pg_catalog.pg_terminate_backend(pid) FROM pg_stat_activity",
        ] {
            assert_eq!(act(&tokens(sql).unwrap()), Act::Other, "{sql}");
        }
        for (sql, expected) in [
            ("LOCK TABLE t", true),
            ("notify jobs, 'x'", true),
            ("SELECT pg_catalog.pg_notify('jobs', 'x')", true),
            ("SELECT pg_advisory_xact_lock(1)", true),
            ("SELECT pg_try_advisory_xact_lock_shared($1)", true),
            ("SELECT 'pg_notify', lock FROM notify", false),
        ] {
            assert_eq!(is_felt_though_read_only(&tokens(sql).unwrap()), expected, "{sql}");
        }
        assert_eq!(act(&tokens("SELECT 'set_config', pg_advisory_xact_lock(1)").unwrap()), Act::Reads);
    }

    #[test]
    fn a_function_that_is_not_known_is_told_from_what_only_looks_like_one() {
        for (sql, expected) in [
            ("SELECT * FROM t WHERE id = $1 AND (a IN (1, 2) OR EXISTS (SELECT 1))", false),
            ("SELECT count(*), max(a) FROM t", false),
            ("SELECT mine(1)", true),
            ("SELECT other.count(1)", true),
            ("SELECT \"count\"(1)", true),
            ("CALL proc()", true),
        ] {
            assert_eq!(calls_functions(&tokens(sql).unwrap()), expected, "{sql}");
        }
    }
}
