use super::*;

fn question() -> SqlCheck {
    SqlCheck {
        query: String::new(),
        against: SqlTarget::Both,
        equals: None,
        min: None,
        max: None,
        same: false,
    }
}

fn equals(text: &str) -> SqlCheck {
    SqlCheck { equals: Some(text.to_owned()), ..question() }
}

fn range(min: Option<&str>, max: Option<&str>) -> SqlCheck {
    SqlCheck { min: min.map(str::to_owned), max: max.map(str::to_owned), ..question() }
}

fn single(kind: Kind, value: Option<&str>) -> Rows {
    Rows { columns: vec![kind], rows: vec![vec![value.map(str::to_owned)]] }
}

fn column(values: &[&str]) -> Rows {
    let rows = values.iter().map(|value| vec![Some((*value).to_owned())]).collect();
    Rows { columns: vec![Kind::Other], rows }
}

fn verdict(question: &SqlCheck, kind: Kind, value: Option<&str>) -> Verdict {
    judge(question, Ok(single(kind, value))).verdict
}

#[test]
fn equals_compares_texts() {
    assert_eq!(verdict(&equals("0"), Kind::Number, Some("0")), Verdict::Pass);
    assert_eq!(verdict(&equals("0"), Kind::Number, Some("0.0")), Verdict::Fail);
    assert_eq!(verdict(&equals(""), Kind::Other, None), Verdict::Fail);
    assert_eq!(verdict(&equals("true"), Kind::Boolean, Some("t")), Verdict::Pass);
    assert_eq!(verdict(&equals("t"), Kind::Boolean, Some("t")), Verdict::Pass);
    assert_eq!(verdict(&equals("true"), Kind::Other, Some("t")), Verdict::Fail);
}

#[test]
fn min_and_max_are_inclusive_and_exact() {
    let between = range(Some("-1.5"), Some("9007199254740992"));
    for (value, expected) in [
        ("-1.5", Verdict::Pass),
        ("-1.50000001", Verdict::Fail),
        ("9007199254740992", Verdict::Pass),
        ("9007199254740993", Verdict::Fail),
        ("NaN", Verdict::Fail),
        ("Infinity", Verdict::Fail),
    ] {
        assert_eq!(verdict(&between, Kind::Number, Some(value)), expected, "{value}");
    }
    assert_eq!(verdict(&range(Some("1"), None), Kind::Number, None), Verdict::Fail);
    assert_eq!(verdict(&range(None, Some("x")), Kind::Number, Some("1")), Verdict::Fail);
}

#[test]
fn a_statement_that_finds_nothing_or_too_much_never_passes() {
    for rows in [
        column(&[]),
        column(&["0", "0"]),
        Rows { columns: vec![Kind::Number; 2], rows: vec![vec![None, None]] },
    ] {
        assert_eq!(judge(&equals("0"), Ok(rows)).verdict, Verdict::Fail);
    }
}

#[test]
fn only_numbers_and_booleans_are_shown() {
    assert_eq!(show(Kind::Number, Some("-1.5")), "-1.5");
    assert_eq!(show(Kind::Boolean, Some("f")), "false");
    assert_eq!(show(Kind::Other, Some("canary")), "text of 6 bytes");
    assert_eq!(show(Kind::Number, Some("canary")), "text of 6 bytes");
    assert_eq!(show(Kind::Boolean, Some("canary")), "text of 6 bytes");
    assert_eq!(show(Kind::Number, Some(&"9".repeat(50))), "a number of 50 characters");
    let answer = judge(&equals("x"), Ok(single(Kind::Other, Some("canary"))));
    assert!(!format!("{answer:?}").contains("canary"));
}

#[test]
fn same_means_every_row_in_order() {
    let compare = |legacy: Rows, candidate: Rows| compare(Some(Ok(legacy)), Some(Ok(candidate)));
    assert_eq!(compare(column(&["a", "b"]), column(&["a", "b"])).verdict, Verdict::Pass);
    assert_eq!(compare(column(&[]), column(&[])).verdict, Verdict::Pass);
    assert_eq!(compare(column(&["a", "b"]), column(&["b", "a"])).verdict, Verdict::Fail);
    assert_eq!(compare(column(&["a"]), column(&["a", "b"])).verdict, Verdict::Fail);
    assert_eq!(compare(single(Kind::Other, None), column(&[""])).verdict, Verdict::Fail);
    let answer = compare(column(&["canary1"]), column(&["canary22"]));
    assert!(
        answer
            .message
            .starts_with("row 1, column 1: legacy has text of 7 bytes, the candidate text of 8 bytes")
    );
    let wider = Rows { columns: vec![Kind::Other; 2], rows: vec![] };
    assert_eq!(compare(column(&[]), wider).verdict, Verdict::Fail);
}

#[test]
fn the_worse_of_two_sides_counts() {
    let trouble = Err(Trouble { verdict: Verdict::Error, message: "x".to_owned() });
    let answer = combine(
        Some(judge(&equals("1"), trouble)),
        Some(judge(&equals("1"), Ok(single(Kind::Number, Some("1"))))),
    );
    assert_eq!(answer.verdict, Verdict::Error);
    assert_eq!(answer.measured.as_deref(), Some("1"));
}
