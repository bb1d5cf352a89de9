use proptest::prelude::*;

use super::*;
use crate::load::scan::tokens;

fn used(sql: &str, number: usize) -> String {
    let shown = |name: Name| match name.qualifier {
        Some(qualifier) => format!("{qualifier}.{}", name.column),
        None => name.column,
    };
    match use_of(&tokens(sql).unwrap(), number) {
        Use::Compared(name) => shown(name),
        Use::Inserted(name) => format!("+{}", shown(name)),
        Use::Limit => "limit".to_owned(),
        Use::Offset => "offset".to_owned(),
        Use::Unknown => "?".to_owned(),
    }
}

#[test]
fn a_parameter_is_for_the_column_that_it_is_compared_with() {
    for (sql, expected) in [
        ("SELECT * FROM t WHERE a = $1", vec!["a"]),
        ("SELECT * FROM t WHERE x.a >= $1 AND \"B\" <> $2", vec!["x.a", "B"]),
        ("SELECT * FROM t WHERE $1 = t.a", vec!["t.a"]),
        ("SELECT * FROM t WHERE a IN ($1, $2) AND b NOT IN ($3)", vec!["a", "a", "b"]),
        ("SELECT * FROM t WHERE a = ANY ($1) AND b <> ALL($2)", vec!["a", "b"]),
        ("SELECT * FROM t WHERE a BETWEEN $1 AND $2", vec!["a", "a"]),
        ("SELECT * FROM t WHERE A NOT LIKE $1 AND b ILIKE $2", vec!["a", "b"]),
        ("SELECT * FROM t WHERE a::text = $1", vec!["a"]),
        ("SELECT * FROM t LIMIT $1 OFFSET $2", vec!["limit", "offset"]),
        ("SELECT * FROM t FETCH FIRST $1 ROWS ONLY", vec!["limit"]),
        ("SELECT $1, a + b = $2, lower(a) = $3, f($4), $5 = f(a) FROM t", vec!["?", "?", "?", "?", "?"]),
        ("UPDATE t SET a = $1, b = b + $2 WHERE c = $3", vec!["a", "?", "c"]),
        (
            "INSERT INTO s.t (a, b, c) VALUES ($1, $2 + $3, $4), ($5, now(), $6)",
            vec!["+a", "?", "?", "+c", "+a", "+c"],
        ),
        ("INSERT INTO t VALUES ($1)", vec!["?"]),
    ] {
        let seen: Vec<_> = (1..=expected.len()).map(|number| used(sql, number)).collect();
        assert_eq!(seen, expected, "{sql}");
    }
}

#[test]
fn tables_have_the_names_and_aliases_that_the_statement_gives_them() {
    for (sql, expected) in [
        ("SELECT 1 FROM t WHERE a", vec![("t", "t")]),
        ("SELECT 1 FROM s.t AS x JOIN \"U\" y ON true, only v", vec![("s.t", "x"), ("\"U\"", "y")]),
        ("SELECT 1 FROM a, b c, d WHERE x", vec![("a", "a"), ("b", "c"), ("d", "d")]),
        ("UPDATE t SET a = 1 FROM u", vec![("t", "t"), ("u", "u")]),
        ("DELETE FROM t USING u WHERE 1", vec![("t", "t"), ("u", "u")]),
        ("SELECT extract(epoch FROM now()) FROM t, u", vec![("t", "t"), ("u", "u")]),
        ("INSERT INTO t (a) SELECT 1 FROM (SELECT 2 FROM u) z", vec![("t", "t"), ("u", "u")]),
    ] {
        let seen = tables(&tokens(sql).unwrap());
        let seen: Vec<_> = seen.iter().map(|t| (t.name.as_str(), t.alias.as_str())).collect();
        assert_eq!(seen, expected, "{sql}");
    }
}

proptest! {
    #[test]
    fn no_tokens_make_it_panic(pieces in prop::collection::vec(prop::sample::select(vec![
        "SELECT ", "FROM ", "t ", ".", ",", "(", ")", "=", "<", "$1", "$2", "IN ", "ANY", "BETWEEN ", "AND ", "VALUES ", "INTO ",
        "NOT ", "LIKE ", "::", "\"", "AS ", "LIMIT ", "* ", "ONLY ", "é",
    ]), 0..30)) {
        let text = pieces.concat();
        if let Ok(tokens) = tokens(&text) {
            tables(&tokens);
            use_of(&tokens, 1);
            use_of(&tokens, 2);
        }
    }
}
