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

pub(super) fn act(tokens: &[Token<'_>]) -> Act {
    let Some(first) = tokens.iter().find(|token| !token.is_symbol("(")) else {
        return Act::Other;
    };
    if first.kind != Kind::Word {
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
}
