//! Load: statements at a rate, as the application would send them, and whether the database kept within the limits.
//!
//! Decides what a traffic model means (`model`, `script`), what arrives when (`schedule`) and at whom (`deal`), how it is
//! sent (`driver`, `pacer`, `queue`, `worker`), what is kept of it (`books`, `measure`, `timeline`) and what that means: against limits
//! (`verdict`), against legacy (`duet`), as a whole (`conclude`). Latency counts from the scheduled arrival, never from the sending, so a server that
//! stalls can't hide it; nothing is dropped silently: `scheduled = ok + errors + timeouts + skipped`, always.
//! Never retries a statement, never judges one run by another, and never leaves a connection or a thread behind.

use std::time::Instant;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tokio::sync::watch;

use crate::{
    api::{LoadResult, Verdict, Via},
    postgres::Target,
};

mod act;
mod alarm;
mod apart;
mod books;
mod capture;
mod closed;
mod conclude;
mod connection;
pub mod counters;
mod course;
mod deal;
mod distribution;
mod driver;
pub mod duet;
#[cfg(test)]
mod fixtures;
mod glance;
pub mod guard;
mod histogram;
mod keys;
mod measure;
mod model;
mod outcome;
mod overseer;
mod pacer;
mod parameter;
mod patience;
mod prepared;
mod processor;
mod progress;
mod queue;
pub mod report;
mod sampler;
mod scan;
mod schedule;
mod script;
mod servers;
pub mod shard;
mod spec;
mod step;
mod taken;
mod timeline;
mod verdict;
mod worker;
mod zipf;

pub use capture::{CaptureError, CaptureOptions, Captured, capture};
pub use closed::{ClosedLoop, closed_loop};
pub use course::{Course, ShapeError};
pub use duet::Arm;
pub use model::{TrafficError, check};
pub(crate) use parameter::Value;
pub use progress::{ArmProgress, LoadProgress};
pub(crate) use script::statements_of;
pub use script::{ScriptError, from_pgbench};
pub(crate) use spec::latency_limits;
pub use spec::{DEFAULT_STATEMENT_TIMEOUT, Guard, LoadSpec, LoadSpecError, Share};
pub use verdict::{ErrorLimit, LatencyLimitsUs};

use driver::NotRun;
use guard::Watch;
use progress::Standing;
use servers::Before;
use taken::Taken;

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

impl Targets {
    /// Legacy first, where there are both.
    fn sides(&self) -> Vec<(Arm, &Target)> {
        match self {
            Self::Legacy(legacy) => vec![(Arm::Legacy, legacy)],
            Self::Candidate(candidate) => vec![(Arm::Candidate, candidate)],
            Self::Duet { legacy, candidate } => vec![(Arm::Legacy, legacy), (Arm::Candidate, candidate)],
        }
    }
}

/// What a load came to.
#[derive(Debug, Clone)]
pub struct LoadOutcome {
    /// For the status.
    pub result: LoadResult,
    /// The whole of it.
    pub report: report::LoadReport,
}

/// Puts the load on and judges what was measured. Takes as long as the warm-up and the schedule, a few seconds to connect and to
/// read the servers' counters before and after, up to 30 s for each column that keys are read of, and at most 5 s and the
/// statement timeout to drain. Runs on a thread of its own. Dropping the future ends the load and closes its connections.
///
/// A database that can't be connected to fails: the caller knows whether that is the candidate's fault or no baseline.
pub async fn run(spec: &LoadSpec, targets: &Targets, progress: watch::Sender<LoadProgress>) -> LoadOutcome {
    let (own, targets) = (spec.clone(), targets.clone());
    let load = apart::apart(move || async move { run_here(&own, &targets, progress).await });
    load.await.unwrap_or_else(|ended| not_run_at_all(spec, Verdict::Error, &ended.to_string()))
}

async fn run_here(spec: &LoadSpec, targets: &Targets, progress: watch::Sender<LoadProgress>) -> LoadOutcome {
    let mut show = |standing: Standing| {
        progress.send_replace(standing.shown());
    };
    let load = async move |guard: Watch| driver::drive(spec, targets, guard, &mut show).await;
    Box::pin(told(spec, carried_out(spec, targets, spec.connections, load))).await
}

/// The same of a load whose parts so many other processes carry out: `parts` gives what each of them handed over, in the order of
/// their numbers, or why there is nothing, and what verdict that is. A part alone is never judged.
pub async fn run_elsewhere(
    spec: &LoadSpec,
    targets: &Targets,
    processes: usize,
    parts: impl Future<Output = Result<Vec<Vec<u8>>, (Verdict, String)>>,
) -> LoadOutcome {
    let load = async move |guard: Watch| {
        // The processes watch the servers themselves.
        drop(guard);
        shard::merged(spec, targets, parts.await).await
    };
    // Every process has a connection of its own that watches.
    Box::pin(told(spec, carried_out(spec, targets, spec.connections + processes, load))).await
}

async fn told(spec: &LoadSpec, load: impl Future<Output = Result<LoadOutcome, NotRun>>) -> LoadOutcome {
    let started = Instant::now();
    let mut outcome =
        load.await.unwrap_or_else(|not_run| not_run_at_all(spec, not_run.verdict, &not_run.message));
    outcome.result.seed = spec.seed.cast_signed();
    outcome.result.finished_at = Some(MicroTime(jiff::Timestamp::now()));
    outcome.result.duration_ms = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
    outcome
}

/// What goes before and after every load, whoever carries it out.
async fn carried_out(
    spec: &LoadSpec,
    targets: &Targets,
    connections: usize,
    load: impl AsyncFnOnce(Watch) -> Result<Taken, NotRun>,
) -> Result<LoadOutcome, NotRun> {
    let guard = Watch::open(targets, &spec.guard).await?;
    guard.admit(connections).await?;
    let (notes, before) = (notes(targets, &guard), Before::read(targets, &guard).await);
    let taken = load(guard).await?;
    let (taken, mut outcome) = judged(spec.clone(), taken).await?;
    outcome.report.notes = notes;
    outcome.report.notes.extend(by_the_way(taken.via).map(str::to_owned));
    before.report(targets, &taken, &mut outcome.report).await;
    Ok(outcome)
}

/// Sorting the calls of a long load takes seconds, which nothing else of this process must wait for.
async fn judged(spec: LoadSpec, taken: Taken) -> Result<(Taken, LoadOutcome), NotRun> {
    let judging = tokio::task::spawn_blocking(move || {
        let outcome = outcome::outcome(&spec, &taken);
        (taken, outcome)
    });
    judging
        .await
        .map_err(|_| NotRun::error("what was measured could not be judged; this is a bug of cutover"))
}

/// What a reader must know before anything was measured.
fn notes(targets: &Targets, guard: &Watch) -> Vec<String> {
    let alone = matches!(targets, Targets::Candidate(_)).then(|| {
        "legacy was not loaded: this is what absolute limits are worth, and a candidate that is slower than legacy passes as \
         long as it keeps within them"
            .to_owned()
    });
    alone.into_iter().chain(guard.notes()).collect()
}

/// What is in the latencies that an application does not have, or not always, if so.
fn by_the_way(via: Via) -> Option<&'static str> {
    match via {
        Via::Direct => None,
        Via::Proxy => Some(
            "so that nothing would be left on connections that somebody else goes on with, each statement was in a transaction that brought \
             its timeouts along, on all servers of this load alike: that is a part of the latencies, also where they are held against limits, \
             and makes differences look smaller",
        ),
        Via::Pooler => Some(
            "so that nothing would be left on connections that the pooler hands on, each statement was an unnamed one, prepared anew in a \
             transaction that brought its timeouts along, on all servers of this load alike: that is a part of the latencies, also where \
             they are held against limits, and makes differences look smaller",
        ),
    }
}

fn not_run_at_all(spec: &LoadSpec, verdict: Verdict, message: &str) -> LoadOutcome {
    LoadOutcome {
        result: LoadResult { verdict, message: message.to_owned(), ..LoadResult::default() },
        report: report::LoadReport {
            verdict,
            message: message.to_owned(),
            seed: spec.seed,
            ..report::LoadReport::default()
        },
    }
}
