//! Load: statements at a rate, as the application would send them, and whether the database kept within the limits.
//!
//! Decides what a traffic model means (`model`, `script`), what arrives when (`schedule`), how it is sent (`driver`, `worker`), what is kept of it (`measure`) and what
//! that means (`verdict`). Latency counts from the scheduled arrival, never from the sending, so a server that
//! stalls can't hide it; nothing is dropped silently: `scheduled = ok + errors + timeouts + skipped`, always.
//! Never retries a statement, never judges one run by another, and never leaves a connection or a thread behind.

use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tokio::sync::watch;

use crate::{api::LoadResult, postgres::Target};

mod act;
mod capture;
mod closed;
mod connection;
mod course;
mod distribution;
mod driver;
pub mod duet;
mod histogram;
mod keys;
mod measure;
mod model;
mod pacer;
mod parameter;
mod prepared;
pub mod report;
mod sampler;
mod scan;
mod schedule;
mod script;
mod spec;
mod step;
mod verdict;
mod worker;
mod zipf;

pub use capture::{CaptureError, CaptureOptions, Captured, capture};
pub use closed::{ClosedLoop, closed_loop};
pub use course::{Course, ShapeError};
pub use model::{TrafficError, check};
pub(crate) use parameter::Value;
pub(crate) use script::statements_of;
pub use script::{ScriptError, from_pgbench};
pub(crate) use spec::latency_limits;
pub use spec::{DEFAULT_STATEMENT_TIMEOUT, Guard, LoadSpec, LoadSpecError, Share};
pub use verdict::{ErrorLimit, LatencyLimitsUs};

use driver::Books;
use measure::ClassTally;
use model::{Class, Model};
use verdict::Measured;

/// How far a load is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadProgress {
    /// Arrivals that were due so far.
    pub scheduled: u64,
    /// Answered.
    pub ok: u64,
    /// Failed.
    pub errors: u64,
    /// Ran into the statement timeout.
    pub timeouts: u64,
    /// Of the schedule.
    pub elapsed: Duration,
    /// The schedule's length.
    pub duration: Duration,
}

/// What one class of the traffic model came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClassResult {
    /// As the traffic model names it.
    pub name: String,
    /// Answered.
    pub ok: u64,
    /// Failed.
    pub errors: u64,
    /// Ran into the statement timeout.
    pub timeouts: u64,
    /// Percentiles from the scheduled arrival, in microseconds; `None` where that many did not come back.
    pub p50_us: Option<u64>,
    /// The 95th.
    pub p95_us: Option<u64>,
    /// The 99th.
    pub p99_us: Option<u64>,
}

/// Where the load goes.
#[derive(Debug, Clone)]
pub enum Targets {
    /// To what the application runs on today: a baseline.
    Legacy(Target),
    /// To what it moves to, which is held against absolute limits.
    Candidate(Target),
    /// To both, and the candidate is held against legacy as well.
    Duet {
        /// What the application runs on today.
        legacy: Box<Target>,
        /// What it moves to.
        candidate: Box<Target>,
    },
}

/// What a load came to.
#[derive(Debug, Clone)]
pub struct LoadOutcome {
    /// For the status.
    pub result: LoadResult,
    /// The whole of it.
    pub report: report::LoadReport,
    /// In the model's order; empty where nothing ran.
    pub classes: Vec<ClassResult>,
}

/// Puts the load on and judges what was measured. Takes the schedule's length, a few seconds to connect, and
/// at most 5 s and the statement timeout to drain. Dropping the future ends the load and closes its connections.
///
/// A database that can't be connected to fails: the caller knows whether that is the candidate's fault or no baseline.
pub async fn run(spec: &LoadSpec, targets: &Targets, progress: watch::Sender<LoadProgress>) -> LoadOutcome {
    let started = Instant::now();
    let target = match targets {
        Targets::Legacy(target) | Targets::Candidate(target) => target,
        Targets::Duet { candidate, .. } => candidate,
    };
    let (mut result, classes) = match Box::pin(driver::drive(spec, target, &progress)).await {
        Ok(books) => (report(&books, spec), by_class(&books)),
        Err(not_run) => {
            let result =
                LoadResult { verdict: not_run.verdict, message: not_run.message, ..LoadResult::default() };
            (result, Vec::new())
        }
    };
    result.seed = spec.seed.cast_signed();
    result.finished_at = Some(MicroTime(jiff::Timestamp::now()));
    result.duration_ms = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
    LoadOutcome { result, report: report::LoadReport::default(), classes }
}

fn by_class(books: &Books) -> Vec<ClassResult> {
    let classes = books.model.classes.iter().zip(&books.tally.classes);
    let of_class = |(class, tally): (&Class, &ClassTally)| {
        let percentile = |percent| tally.latency.percentile_us(percent, tally.errors);
        ClassResult {
            name: class.name.clone(),
            ok: tally.ok,
            errors: tally.errors,
            timeouts: tally.timeouts,
            p50_us: percentile(50),
            p95_us: percentile(95),
            p99_us: percentile(99),
        }
    };
    classes.map(of_class).collect()
}

fn report(books: &Books, spec: &LoadSpec) -> LoadResult {
    let measured = measure(books);
    let (verdict, message) = verdict::judge(&measured, spec.max_latency, spec.max_error);
    let max_us = books.tally.latency.max_us();
    // Where a percentile did not come back at all, the slowest that did is what can be shown.
    let percentile = |us: Option<u64>| count(us.unwrap_or(max_us));
    LoadResult {
        verdict,
        message,
        scheduled: count(measured.scheduled),
        ok: count(measured.ok),
        errors: count(measured.errors),
        timeouts: count(measured.timeouts),
        skipped: count(measured.skipped),
        p50_us: percentile(measured.p50_us),
        p95_us: percentile(measured.p95_us),
        p99_us: percentile(measured.p99_us),
        max_us: count(max_us),
        throughput_milli: count(measured.throughput_milli),
        error_classes: books.tally.error_classes(),
        ..LoadResult::default()
    }
}

fn measure(books: &Books) -> Measured {
    let tally = &books.tally;
    let elapsed_us = books.elapsed.as_micros().max(1);
    Measured {
        scheduled: books.scheduled,
        ok: tally.ok,
        errors: tally.errors,
        timeouts: tally.timeouts,
        skipped: books.skipped,
        p50_us: tally.latency.percentile_us(50, tally.errors),
        p95_us: tally.latency.percentile_us(95, tally.errors),
        p99_us: tally.latency.percentile_us(99, tally.errors),
        service_p95_us: tally.service.percentile_us(95, tally.errors),
        lag_p50_us: tally.lag.percentile_us(50, 0).unwrap_or(0),
        stop: books.stop,
        throughput_milli: u64::try_from(u128::from(tally.ok) * 1_000_000_000 / elapsed_us)
            .unwrap_or(u64::MAX),
    }
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
