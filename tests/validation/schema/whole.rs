//! The check as a whole: what it looks at, what it is bounded by, and when it can't tell.

use cutover::checks::FINDINGS_MAX;

use super::{Check, SchemaCheck, Severity, Verdict, assert_only, check, of_kind, pair, report};
use crate::asking::{ask, sides};

fn of_schemas(schemas: &[&str]) -> Check {
    let schemas = schemas.iter().map(|&schema| schema.to_owned()).collect();
    Check { schema: Some(SchemaCheck { schemas }), ..check() }
}

#[tokio::test]
async fn only_the_schemas_that_are_named_are_compared() {
    let pair = pair("CREATE SCHEMA app", "CREATE TABLE app.t (a int); CREATE TABLE u (a int)", "").await;
    assert_only(&pair.ask(of_schemas(&["app"])).await, Verdict::Fail, "table-missing", "app.t");
    assert_only(&pair.ask(of_schemas(&["public"])).await, Verdict::Fail, "table-missing", "public.u");
}

#[tokio::test]
async fn a_schema_that_is_on_neither_side_fails() {
    let pair = pair("", "", "").await;
    assert_only(&pair.ask(of_schemas(&["public", "typo"])).await, Verdict::Fail, "schema-unknown", "typo");
}

#[tokio::test]
async fn a_legacy_database_without_any_object_is_not_a_pass() {
    let table = "CREATE TABLE t (a int)";
    for candidate in ["", table] {
        let report = report("", "", candidate).await;
        assert_eq!(report.verdict, Verdict::Inconclusive, "{}", report.message);
        assert!(report.message.contains("is it the right database?"), "{}", report.message);
    }
    let elsewhere = pair("CREATE SCHEMA empty; CREATE TABLE t (a int)", "", "").await;
    assert_eq!(elsewhere.ask(of_schemas(&["empty"])).await.verdict, Verdict::Inconclusive);
    // What it has need not be a table.
    let report = report("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "", "").await;
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.message);
}

#[tokio::test]
async fn thousands_of_findings_are_counted_and_a_part_is_kept() {
    let many =
        "DO $$ BEGIN FOR i IN 1..1500 LOOP EXECUTE format('CREATE TABLE t%s (a int)', i); END LOOP; END $$";
    let report = report("", many, "").await;
    assert_eq!((report.verdict, report.findings_total), (Verdict::Fail, 1500));
    assert_eq!(report.findings.len(), FINDINGS_MAX);
    assert!(report.message.len() < 1000, "{}", report.message);
}

#[tokio::test]
async fn a_comparison_of_what_has_nothing_in_common_stops() {
    let many = "DO $$ BEGIN FOR i IN 1..40 LOOP EXECUTE format('CREATE TABLE t%s (a int%s)', i,
        (SELECT string_agg(', c' || j || ' int', '') FROM generate_series(1, 1300) j)); END LOOP; END $$";
    let few =
        "DO $$ BEGIN FOR i IN 1..40 LOOP EXECUTE format('CREATE TABLE t%s (a int)', i); END LOOP; END $$";
    let report = report("", many, few).await;
    assert_eq!((report.verdict, report.findings_total), (Verdict::Fail, 50_001));
    assert_eq!(report.findings.len(), FINDINGS_MAX);
    let pair = pair("", few, "").await;
    assert!(of_kind(&pair.ask(check()).await, "too-many-differences").is_empty());
}

#[tokio::test]
async fn a_difference_that_the_spec_accepts_has_no_weight() {
    let pair = pair("CREATE TABLE t (a int)", "CREATE INDEX i ON t (a)", "").await;
    let mut check = check();
    check.accept.push(cutover::api::AcceptedFinding { kind: "index-missing".to_owned(), object: None });
    let report = pair.ask(check).await;
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.message);
    assert_eq!(of_kind(&report, "index-missing")[0].severity, Severity::Info);
}

#[tokio::test]
async fn a_side_that_cant_be_asked_is_an_error_that_names_it() {
    let pair = pair("", "", "").await;
    let wrong = pair.candidate.target_with_password("wrong");
    let report = ask(&check(), &sides(pair.legacy.target(), wrong)).await;
    assert_eq!(report.verdict, Verdict::Error);
    assert!(report.message.starts_with("candidate: "), "{}", report.message);
}
