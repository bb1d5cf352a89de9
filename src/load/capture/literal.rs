//! Whether a text still holds literals.
//!
//! `pg_stat_statements` replaces constants by `$1`, `$2`, …, but not always: where an entry was dropped while its statement
//! ran, the text is kept as it was sent, and its constants are user data. Comments are kept, too, and tools put values
//! into them. Decides on the safe side: what can't be told from data counts as data. Pure.

use crate::load::scan::{Kind, Token};

/// Types that take numbers in parentheses.
const SIZED: [&str; 12] = [
    "numeric",
    "decimal",
    "varchar",
    "varying",
    "char",
    "character",
    "bpchar",
    "bit",
    "varbit",
    "timestamp",
    "timestamptz",
    "time",
];
/// Longest number that counts as the position of a column in `ORDER BY 1`.
const POSITION: usize = 2;

/// Whether there may be a value in it.
pub(super) fn has_literal(tokens: &[Token<'_>]) -> bool {
    tokens.iter().enumerate().any(|(index, token)| match token.kind {
        Kind::Text => true,
        Kind::Number => !is_structure(tokens, index),
        _ => false,
    })
}

/// A number that is part of a type, or the position of a column.
fn is_structure(tokens: &[Token<'_>], index: usize) -> bool {
    let before = &tokens[..index];
    let is_plain = tokens[index].text.bytes().all(|byte| byte.is_ascii_digit());
    let opening = before.iter().rposition(|token| token.is_symbol("("));
    let is_sized = opening.is_some_and(|opening| {
        let inside = &before[opening + 1..];
        let is_size = inside.iter().all(|token| token.kind == Kind::Number || token.is_symbol(","));
        let name = opening.checked_sub(1).map(|index| before[index]);
        is_size && name.is_some_and(|name| SIZED.iter().any(|word| name.is_word(word)))
    });
    let is_position = tokens[index].text.len() <= POSITION && {
        let list = before.iter().rev().find(|token| !(token.kind == Kind::Number || token.is_symbol(",")));
        list.is_some_and(|token| token.is_word("by") || token.is_word("asc") || token.is_word("desc"))
    };
    is_plain && (is_sized || is_position)
}

/// The text without its comments.
pub(super) fn without_comments(text: &str, tokens: &[Token<'_>]) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut end = tokens.first().map_or(0, |token| token.start);
    for token in tokens {
        let gap = &text[end..token.start];
        kept.push_str(if gap.trim().is_empty() { gap } else { " " });
        kept.push_str(token.text);
        end = token.end();
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::scan::tokens;

    #[test]
    fn what_may_be_data_counts_as_data() {
        for (text, expected) in [
            ("SELECT a FROM t WHERE b = $1 ORDER BY 1, 2 DESC LIMIT $2", false),
            ("SELECT a::numeric(10,2), b::varchar(255) FROM t GROUP BY a, 12", true),
            ("SELECT a::numeric(10,2), b::varchar(255) FROM t GROUP BY 1", false),
            ("SELECT a FROM t WHERE b = 'x'", true),
            ("SELECT a FROM t WHERE b = E'x'", true),
            ("SELECT a FROM t WHERE b = $$x$$", true),
            ("SELECT a FROM t WHERE b = 7", true),
            ("SELECT f(255)", true),
            ("SELECT a FROM t ORDER BY 123456789", true),
            ("SELECT \"a 1\" FROM t2", false),
        ] {
            assert_eq!(has_literal(&tokens(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn comments_are_dropped_and_all_else_stays() {
        let text = "/* user 42 */ SELECT a, -- canary\n  b\nFROM t /*x*/ WHERE c=$1;";
        assert_eq!(without_comments(text, &tokens(text).unwrap()), "SELECT a, b\nFROM t WHERE c=$1;");
    }
}
