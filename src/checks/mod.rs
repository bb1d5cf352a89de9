//! Checks: one question each, with a verdict and its evidence.
//!
//! Decides which file answers a question, that the answer comes within the check's timeout, and how it is recorded.
//! Each kind has the same shape: `ask` takes the spec's question and what it is about, and returns an `Answer`.
//!
//! Never changes anything: no write, no setting that stays, no lock that outlives the question. Never decides what a
//! verdict leads to. Never shows a password, a connection string or a value that isn't a number or a boolean.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use crate::{
    api::{Check, CheckResult, ConnectivityCheck, Verdict},
    duration,
    postgres::{ConnectOptions, Target},
};

mod connectivity;
mod decimal;
mod rows;
mod sql;
mod workload;

/// Longest that a step of connecting may take, whatever the check's timeout.
const MAX_STEP: Duration = Duration::from_secs(10);
/// Longest that a probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(15);
/// Most bytes that a server may send in answer to a check: the largest answer of a statement, with room for framing.
const BYTE_BUDGET: u64 = 4 << 20;

/// What checks are about.
#[derive(Clone)]
pub struct Sides {
    /// The database that the application comes from.
    pub legacy: Target,
    /// The one it moves to; `None` when only settings change.
    pub candidate: Option<Target>,
    /// The stage's workloads.
    pub workloads: Arc<dyn WorkloadSource>,
}

/// Where the state of pods comes from.
pub trait WorkloadSource: Send + Sync {
    /// The pods of each workload, now; or why they can't be seen, in a sentence for the status.
    fn observe(&self) -> BoxFuture<'_, Result<Vec<WorkloadPods>, String>>;
}

/// The pods of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadPods {
    /// The workload, such as `Deployment/api`.
    pub workload: String,
    /// Pods that it shall have.
    pub desired: i64,
    /// Pods that are ready.
    pub ready: i64,
    /// Restarts of the current pods' containers, in all.
    pub restarts: i64,
}

/// The verdict and its evidence, before name and times are added.
#[derive(Debug, Clone, PartialEq, Default)]
struct Answer {
    verdict: Verdict,
    message: String,
    measured: Option<String>,
    expected: Option<String>,
    baseline: Option<String>,
    samples: i64,
}

impl Answer {
    fn new(verdict: Verdict, message: impl Into<String>) -> Self {
        Self { verdict, message: message.into(), ..Self::default() }
    }
}

/// Asks `check` and brings its answer, at the latest when its timeout is over. Dropping the future ends the question
/// and closes its connections.
pub async fn run(check: &Check, sides: &Sides) -> CheckResult {
    let started = Instant::now();
    let answer = match duration::parse(&check.timeout) {
        Ok(timeout) => within(timeout, Box::pin(ask(check, sides, timeout))).await,
        Err(error) => Answer::new(Verdict::Error, format!("the check's timeout can't be read: {error}")),
    };
    record(&check.name, answer, started)
}

/// Asks whether one side can be reached and logged in to, within 15 s.
pub async fn probe(target: &Target, name: &str) -> CheckResult {
    let started = Instant::now();
    let question = ConnectivityCheck::default();
    let answer =
        within(PROBE_TIMEOUT, connectivity::ask(&question, target, options("probe", PROBE_TIMEOUT))).await;
    record(name, answer, started)
}

async fn ask(check: &Check, sides: &Sides, timeout: Duration) -> Answer {
    if let Some(question) = &check.connectivity {
        return match &sides.candidate {
            Some(candidate) => connectivity::ask(question, candidate, options("check", timeout)).await,
            None => Answer::new(Verdict::Error, NO_CANDIDATE),
        };
    }
    if let Some(question) = &check.sql {
        return sql::ask(question, sides, timeout).await;
    }
    if let Some(question) = &check.workload {
        return workload::ask(question, sides.workloads.as_ref()).await;
    }
    Answer::new(Verdict::Error, "the check asks nothing: give one of connectivity, sql and workload")
}

const NO_CANDIDATE: &str = "the check is about the candidate, and spec.candidate is not set: set it, or ask legacy (against: Legacy)";

async fn within(timeout: Duration, question: impl Future<Output = Answer>) -> Answer {
    tokio::time::timeout(timeout, question).await.unwrap_or_else(|_| {
        let limit = duration::format(timeout);
        Answer::new(Verdict::Error, format!("no answer within the check's timeout of {limit}"))
    })
}

/// A step gets less than the whole timeout, so that the answer can still name the step that took too long.
fn options(purpose: &'static str, timeout: Duration) -> ConnectOptions {
    ConnectOptions { purpose, step_timeout: (timeout * 4 / 5).min(MAX_STEP), byte_budget: BYTE_BUDGET }
}

fn record(name: &str, answer: Answer, started: Instant) -> CheckResult {
    CheckResult {
        name: name.to_owned(),
        verdict: answer.verdict,
        message: answer.message,
        measured: answer.measured,
        expected: answer.expected,
        baseline: answer.baseline,
        samples: answer.samples,
        finished_at: Some(MicroTime(jiff::Timestamp::now())),
        duration_ms: i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX),
    }
}
