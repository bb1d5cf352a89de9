//! Whether a statement may be carried out to measure it.
//!
//! It may if nothing in it can do more than read: a SELECT, none of whose words is the name of a function that is
//! declared volatile, of a view, of a foreign table or a table that has one below it (whose server would run it), or of a
//! table with row security (whose text this program would have to understand), in a database whose own operators, casts
//! and domains are not volatile. A word that only looks like such a
//! name counts, too: what is not proven is not carried out. The read-only transaction is the wall behind it.

use tokio_postgres::types::Type;

use super::lexer::Lexed;
use crate::checks::{Trouble, reading::Reading};

/// Words of statements that lock or write.
const WRITES: [&str; 7] = ["insert", "update", "delete", "merge", "into", "share", "call"];

/// OIDs below are PostgreSQL's own. A domain's condition is read as the server keeps it: what it depends on leaves out
/// PostgreSQL's own functions.
const QUESTION: &str = "SELECT \
     NOT EXISTS (SELECT FROM pg_proc p WHERE p.proname::text = ANY ($1) \
       AND (p.provolatile = 'v' OR (p.prokind = 'a' AND p.oid >= 16384))) \
     AND NOT EXISTS (SELECT FROM pg_class c WHERE c.relname::text = ANY ($1) AND c.oid >= 16384 \
       AND (c.relkind IN ('v', 'f') OR c.relrowsecurity)) \
     AND NOT EXISTS (SELECT FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode \
       WHERE o.oid >= 16384 AND p.provolatile = 'v') \
     AND NOT EXISTS (SELECT FROM pg_cast t JOIN pg_proc p ON p.oid = t.castfunc \
       WHERE t.oid >= 16384 AND p.provolatile = 'v') \
     AND NOT EXISTS (SELECT FROM pg_constraint k \
       CROSS JOIN regexp_matches(k.conbin::text, 'funcid ([0-9]+)', 'g') f JOIN pg_proc p ON p.oid = f[1]::oid \
       WHERE k.contypid <> 0 AND k.contype = 'c' AND p.provolatile = 'v') \
     AND NOT EXISTS ( \
       WITH RECURSIVE named AS ( \
         SELECT c.oid FROM pg_class c WHERE c.relname::text = ANY ($1) AND c.relkind IN ('r', 'p') AND c.oid >= 16384 \
         UNION SELECT i.inhrelid FROM pg_inherits i JOIN named n ON i.inhparent = n.oid) \
       SELECT FROM named n JOIN pg_class c ON c.oid = n.oid WHERE c.relkind = 'f')";

/// Whether the text alone rules it out.
pub(super) fn may_only_read(lexed: &Lexed) -> bool {
    lexed.is_certain
        && matches!(lexed.first.as_str(), "select" | "with" | "values")
        && !WRITES.iter().any(|word| lexed.words.contains(*word))
}

/// Whether that side's catalog has nothing against it.
pub(super) async fn only_reads(side: &Reading, lexed: &Lexed) -> Result<bool, Trouble> {
    let words: Vec<&str> = lexed.words.iter().map(String::as_str).collect();
    let rows = side.rows(QUESTION, &[(&words as _, Type::TEXT_ARRAY)]).await?;
    Ok(rows.first().and_then(|row| row.try_get(0).ok()).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::{super::lexer::lex, *};

    #[test]
    fn a_statement_that_may_write_or_can_not_be_read_for_sure_is_not_carried_out() {
        for sql in [
            "DELETE FROM a",
            "WITH d AS (DELETE FROM a RETURNING 1) SELECT * FROM d",
            "SELECT 1 INTO b",
            "SELECT * FROM a FOR SHARE",
            "SELECT U&\"f\"()",
            "CALL p()",
            "TABLE a",
        ] {
            assert!(!may_only_read(&lex(sql)), "{sql}");
        }
        assert!(may_only_read(&lex("/* x */ SELECT a FROM b WHERE c = 'delete'")));
    }
}
