//! Asks a check as the operator does, without a cluster.

use std::sync::Arc;

use cutover::{
    api::Check,
    checks::{self, CheckReport, Moment, Progress, Sides, WorkloadPods, WorkloadSource},
    postgres::Target,
};
use futures::future::BoxFuture;

use crate::postgres::assert_shows_no_secret;

/// Where there is no cluster.
pub struct NoWorkloads;

impl WorkloadSource for NoWorkloads {
    fn observe(&self) -> BoxFuture<'_, Result<Vec<WorkloadPods>, String>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

pub fn sides(legacy: Target, candidate: Target) -> Sides {
    Sides {
        legacy: Some(legacy),
        candidate: Some(candidate),
        traffic: Arc::new([]),
        workloads: Arc::new(NoWorkloads),
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
