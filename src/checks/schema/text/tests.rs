use proptest::prelude::*;

use super::*;

fn body(text: &str) -> Value {
    Value::read(Form::Marked, &format!("b{text}"))
}

#[test]
fn formatting_means_nothing_to_a_body() {
    let plain = body("BEGIN RETURN a.x + 1; END");
    for other in [
        "begin\n  return a.x+1;\nend",
        "BEGIN -- adds one\n RETURN a.x + 1; END\n",
        "BEGIN /* a /* nested */ comment */ RETURN a.x + 1 ; END",
        "\r\nBEGIN\tRETURN a.x\n+ 1; END",
    ] {
        assert_eq!(plain, body(other), "{other}");
    }
}

#[test]
fn what_is_quoted_is_compared_as_it_is() {
    for (one, other) in [
        ("SELECT 'a  b'", "SELECT 'a b'"),
        ("SELECT 'A'", "SELECT 'a'"),
        ("SELECT \"A\"", "SELECT \"a\""),
        ("SELECT x.\"A b\"", "SELECT x.\"A  b\""),
        ("SELECT $q$a  b$q$", "SELECT $q$a b$q$"),
        ("SELECT E'a\\'  b'", "SELECT E'a\\' b'"),
        ("SELECT 'it''s  so'", "SELECT 'it''s so'"),
        ("SELECT '--a'", "SELECT '--b'"),
        ("SELECT 1 -- one", "SELECT 2 -- one"),
        ("SELECT 1 -- one\r + 1", "SELECT 1 -- one\r + 2"),
        ("SELECT a - -b", "SELECT a"),
        ("SELECT /*+ SeqScan(t) */ 1", "SELECT 1"),
        ("SELECT a b", "SELECT ab"),
        ("SELECT $1", "SELECT $2"),
    ] {
        assert_ne!(body(one), body(other), "{one} | {other}");
    }
}

#[test]
fn a_verbatim_text_is_compared_with_its_white_space() {
    let verbatim = |text: &str| Value::read(Form::Marked, &format!("v{text}"));
    assert_ne!(verbatim("if x:\n  y()"), verbatim("if x:\n    y()"));
}

#[test]
fn between_versions_a_definition_that_differs_in_qualifiers_is_rewritten() {
    let older = Value::read(Form::Deparsed, "SELECT t.a,\n (t.b + 1.5) FROM app.t WHERE (t.a = 'x.y'::text)");
    let newer = Value::read(Form::Deparsed, "SELECT a, b + 1.5 FROM app.t WHERE a = 'x.y'::text");
    let other = Value::read(Form::Deparsed, "SELECT a, b + 1.5 FROM app.t WHERE a = 'z.y'::text");
    assert_eq!(relate(Some(&older), Some(&newer), true), Relation::Rewritten);
    assert_eq!(relate(Some(&older), Some(&newer), false), Relation::Different);
    assert_eq!(relate(Some(&older), Some(&other), true), Relation::Unsure);
    assert_eq!(relate(Some(&older), None, true), Relation::Different);
    assert_eq!(older.mark(true), newer.mark(true));
    assert_ne!(older.mark(false), newer.mark(false));
}

#[test]
fn what_is_shown_is_short_and_harmless() {
    let shown = |text: &str| Value::read(Form::Shown, text).shown();
    assert_eq!(shown("a\u{1b}[31m\nb").as_deref(), Some("a\u{fffd}[31m\u{fffd}b"));
    assert!(shown(&"ü".repeat(500)).is_some_and(|shown| shown.chars().count() < 500));
    assert_eq!(Value::read(Form::Deparsed, "'a password'::text").shown(), None);
}

proptest! {
    #[test]
    fn any_text_is_taken_apart_without_a_panic(text in "[-/*'\"$eE\\\\a.ü \n(1]{0,24}") {
        let length: usize = tokens(&text).iter().map(String::len).sum();
        prop_assert!(length <= text.len());
    }
}
