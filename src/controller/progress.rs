//! How far a load is, in the status' terms. Formats; decides nothing.

use std::time::Duration;

use crate::{
    api::{LatencySoFar, LoadInProgress},
    engine::AttemptId,
    load::{ArmProgress, LoadProgress},
};

/// What the status shows of a load that runs.
pub(super) fn shown((id, progress): (&AttemptId, &LoadProgress)) -> (AttemptId, LoadInProgress) {
    let shown = LoadInProgress {
        name: id.load_name(),
        elapsed_seconds: seconds(progress.elapsed),
        duration_seconds: seconds(progress.duration),
        rate: per_second(progress.scheduled, progress.elapsed),
        ok: count(progress.ok),
        failed: count(progress.errors + progress.timeouts),
        legacy: progress.legacy.map(latency),
        candidate: progress.candidate.map(latency),
    };
    (id.clone(), shown)
}

fn latency(side: ArmProgress) -> LatencySoFar {
    LatencySoFar {
        p50_us: side.p50_us.map(count),
        p95_us: side.p95_us.map(count),
        p99_us: side.p99_us.map(count),
    }
}

fn per_second(arrivals: u64, elapsed: Duration) -> i64 {
    let ms = elapsed.as_millis().max(1);
    i64::try_from(u128::from(arrivals) * 1000 / ms).unwrap_or(i64::MAX)
}

fn seconds(length: Duration) -> i64 {
    i64::try_from(length.as_secs()).unwrap_or(i64::MAX)
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
