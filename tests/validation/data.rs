//! `data`: each kind of difference, each trap, and what a server may do in the meantime.

use cutover::{
    api::{Check, DataCheck, DataMode, Verdict},
    checks::{CheckReport, Moment, Severity},
};

use crate::pair::{Pair, assert_only, of_kind};

#[path = "data/hostile.rs"]
mod hostile;
#[path = "data/live.rs"]
mod live;
#[path = "data/rows.rs"]
mod rows;
#[path = "data/tables.rs"]
mod tables;
#[path = "data/types.rs"]
mod types;

/// A question that differs from this in nothing that matters to the case.
fn full() -> DataCheck {
    DataCheck { mode: DataMode::Full, ..DataCheck::default() }
}

fn check(data: DataCheck) -> Check {
    Check {
        name: "same-rows".to_owned(),
        data: Some(data),
        timeout: Some("120s".to_owned()),
        ..Check::default()
    }
}

/// The same statements on both sides, then those of one side each; as the owner, and compared in full.
async fn compare(both: &str, legacy: &str, candidate: &str) -> CheckReport {
    owned(both, legacy, candidate).await.ask(check(full())).await
}

async fn owned(both: &str, legacy: &str, candidate: &str) -> Pair {
    let as_owner = |statements: &str| format!("SET ROLE {{owner}}; {statements}");
    Pair::of(&as_owner(both), &as_owner(legacy), &as_owner(candidate)).await
}

/// Nothing that matters.
#[track_caller]
fn assert_passes(report: &CheckReport) {
    assert_eq!(report.verdict, Verdict::Pass, "{}: {:#?}", report.message, report.findings);
    assert!(report.findings.iter().all(|finding| finding.severity == Severity::Info));
}

/// The keys that a finding names.
fn keys(finding: &cutover::checks::Finding) -> Vec<String> {
    let keys = finding.evidence["keys"].as_array().expect("a list of keys");
    let mut keys: Vec<String> = keys
        .iter()
        .map(|key| {
            let columns = key.as_array().expect("a list of columns").iter();
            columns.map(|column| column.as_str().expect("a text")).collect::<Vec<_>>().join("|")
        })
        .collect();
    keys.sort();
    keys
}
