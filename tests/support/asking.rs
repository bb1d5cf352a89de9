//! Asks a check as the operator does, without a cluster.

use std::sync::Arc;

use cutover::{
    api::Check,
    checks::{self, CheckReport, Moment, NoCluster, Progress, Sides},
    postgres::Target,
};

use crate::postgres::assert_shows_no_secret;

pub fn sides(legacy: Target, candidate: Target) -> Sides {
    Sides {
        legacy: Some(legacy),
        candidate: Some(candidate),
        traffic: Arc::new([]),
        cluster: Arc::new(NoCluster::default()),
    }
}

/// Before the move.
pub async fn ask(check: &Check, sides: &Sides) -> CheckReport {
    ask_at(Moment::Before, check, sides).await
}

pub async fn ask_at(moment: Moment, check: &Check, sides: &Sides) -> CheckReport {
    let report = checks::run(check, sides, moment, &Progress::default()).await;
    assert_shows_no_secret(&report);
    assert_eq!(report.name, check.name);
    report
}
