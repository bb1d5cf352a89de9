//! How long the whole takes: the chain of stages that decides, against all work one after the other.

use std::{collections::BTreeMap, time::Duration};

use super::{Plan, PlannedStage};
use crate::api::{StageRecord, Timeline};

/// The expected course of a plan. A stage counts with what it took where that is known, else with what its load and
/// soak are set to: checks and restarts are unknown until they were measured once.
#[must_use]
pub fn timeline(plan: &Plan, records: &[StageRecord]) -> Timeline {
    let mut ends: BTreeMap<&str, (Duration, Option<&str>)> = BTreeMap::new();
    let mut total = Duration::ZERO;
    for stage in &plan.stages {
        let record = records.iter().find(|record| record.name == stage.name);
        let took = expected(stage, record);
        total += took;
        let latest = stage
            .depends_on
            .iter()
            .filter_map(|name| ends.get_key_value(name.as_str()))
            .max_by_key(|(_, (end, _))| *end)
            .map(|(name, (end, _))| (*name, *end));
        let begin = latest.map_or(Duration::ZERO, |(_, end)| end);
        ends.insert(&stage.name, (begin + took, latest.map(|(name, _)| name)));
    }
    let last = ends.iter().max_by_key(|(_, (end, _))| *end);
    let mut critical_path = Vec::new();
    let mut at = last.map(|(name, _)| *name);
    while let Some(name) = at {
        critical_path.push(name.to_owned());
        at = ends.get(name).and_then(|(_, before)| *before);
    }
    critical_path.reverse();
    let measured_twice = if plan.has_final_load() { 2 } else { 1 };
    let around_stages =
        plan.baseline.as_ref().map(|baseline| baseline.duration * measured_twice).unwrap_or_default();
    Timeline {
        critical_path,
        expected_seconds: seconds(last.map_or(Duration::ZERO, |(_, (end, _))| *end) + around_stages),
        total_work_seconds: seconds(total + around_stages),
    }
}

fn expected(stage: &PlannedStage, record: Option<&StageRecord>) -> Duration {
    let measured = record
        .and_then(|record| Some(record.done_at.as_ref()?.0.duration_since(record.started_at.as_ref()?.0)))
        .and_then(|took| Duration::try_from(took).ok());
    measured.unwrap_or_else(|| stage.load.unwrap_or_default() + stage.soak.unwrap_or_default())
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
