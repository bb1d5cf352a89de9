//! `schema`: each kind of difference, and what is none.

use cutover::{
    api::{Check, SchemaCheck, Verdict},
    checks::{CheckReport, Finding, Severity},
};

use crate::pair::{Pair, assert_only, of_kind};

#[path = "schema/access.rs"]
mod access;
#[path = "schema/code.rs"]
mod code;
#[path = "schema/columns.rs"]
mod columns;
#[path = "schema/constraints.rs"]
mod constraints;
#[path = "schema/equal.rs"]
mod equal;
#[path = "schema/objects.rs"]
mod objects;
#[path = "schema/sequences.rs"]
mod sequences;
#[path = "schema/tables.rs"]
mod tables;
#[path = "schema/types.rs"]
mod types;
#[path = "schema/whole.rs"]
mod whole;

fn check() -> Check {
    Check { name: "same-schema".to_owned(), schema: Some(SchemaCheck::default()), ..Check::default() }
}

/// The statements run as the side's owner, as an application's migrations would; `RESET ROLE` makes them a superuser's.
fn as_owner(statements: &str) -> String {
    if statements.is_empty() { String::new() } else { format!("SET ROLE {{owner}}; {statements}") }
}

async fn pair(both: &str, legacy: &str, candidate: &str) -> Pair {
    Pair::of(&as_owner(both), &as_owner(legacy), &as_owner(candidate)).await
}

async fn report(both: &str, legacy: &str, candidate: &str) -> CheckReport {
    pair(both, legacy, candidate).await.ask(check()).await
}

/// One finding fails the check, and nothing else has weight.
async fn fails(both: &str, legacy: &str, candidate: &str, kind: &str, object: &str) -> Finding {
    assert_only(&report(both, legacy, candidate).await, Verdict::Fail, kind, object).clone()
}

async fn warns(both: &str, legacy: &str, candidate: &str, kind: &str, object: &str) -> Finding {
    assert_only(&report(both, legacy, candidate).await, Verdict::Warn, kind, object).clone()
}

/// Beside a table that both sides have: a legacy database without any object is no pass.
async fn report_of_some(both: &str, legacy: &str, candidate: &str) -> CheckReport {
    report(&format!("CREATE TABLE something_else (); {both}"), legacy, candidate).await
}

/// The check passes, and says so much.
async fn notes(both: &str, legacy: &str, candidate: &str, kind: &str, object: &str) -> Finding {
    let report = report_of_some(both, legacy, candidate).await;
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.message);
    let found = of_kind(&report, kind);
    let [finding] = found.as_slice() else {
        panic!("not exactly one note of that kind: {:#?}", report.findings);
    };
    assert_eq!((finding.severity, finding.object.as_str()), (Severity::Info, object));
    (*finding).clone()
}

/// Nothing at all is found.
async fn equal(both: &str, legacy: &str, candidate: &str) {
    let report = report_of_some(both, legacy, candidate).await;
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.message);
    assert_eq!(report.findings, []);
}

/// One finding of that kind fails the check, beside others that follow from it.
async fn fails_of_two(both: &str, legacy: &str, candidate: &str, kind: &str, object: &str) -> Finding {
    let report = report(both, legacy, candidate).await;
    assert_eq!(report.verdict, Verdict::Fail, "{}", report.message);
    let found = of_kind(&report, kind);
    let [finding] = found.as_slice() else {
        panic!("not exactly one of that kind: {:#?}", report.findings);
    };
    assert_eq!((finding.severity, finding.object.as_str()), (Severity::Fail, object));
    (*finding).clone()
}
