//! Checks: one question each, with a verdict and its evidence.
//!
//! Decides which file answers a question, that the answer comes within the check's timeout, and how it is recorded.
//! Each kind has the same shape: `ask` takes the spec's question and how it is asked ([`Asking`]), and returns an
//! `Answer`; the kinds that look at many objects return it with findings, whose kinds `catalogue` lists.
//!
//! Never changes anything: no write, no setting that stays, no lock that outlives the question. Never decides what a
//! verdict leads to. Never shows a password, a connection string or a value that isn't a number or a boolean; the report
//! alone, and not the status, holds the keys of rows that `data` found.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    api::{Check, ConnectivityCheck, Question, Traffic, Verdict},
    duration,
    postgres::{ConnectOptions, Target},
};

mod activity;
mod answer;
mod bounds;
mod cluster;
mod connectivity;
mod data;
mod decimal;
mod endpoint;
mod finding;
mod http;
mod legacy_unused;
mod plans;
mod pool;
mod privileges;
mod progress;
mod prometheus;
mod reading;
mod replication;
mod rows;
mod schema;
mod server;
mod shown;
mod sql;
mod trouble;
mod workload;

use answer::Answer;
pub use answer::CheckReport;
pub use cluster::{Capacity, ClusterView, NoCluster, SecretReferences, Size, WorkloadPods};
use finding::Findings;
pub use finding::{FINDINGS_MAX, Finding, FindingKind, Severity};
pub use pool::{Spare, spare_connections};
pub use progress::{Progress, Step};
use trouble::Trouble;

/// Longest that a step of connecting may take, whatever the check's timeout.
const MAX_STEP: Duration = Duration::from_secs(10);
/// Longest that a probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(15);
/// Most bytes that a server may send in answer to a check: the largest answer of a statement, with room for framing.
const BYTE_BUDGET: u64 = 4 << 20;

/// What checks are about.
#[derive(Clone)]
pub struct Sides {
    /// The database that the application comes from; `None` only where a person at the command line named none.
    pub legacy: Option<Target>,
    /// The one it moves to; `None` when only settings change.
    pub candidate: Option<Target>,
    /// The traffic models that the spec has.
    pub traffic: Arc<[Traffic]>,
    /// The cluster that the application runs in.
    pub cluster: Arc<dyn ClusterView>,
}

/// How a question is asked.
struct Asking<'a> {
    sides: &'a Sides,
    check: &'a Check,
    timeout: Duration,
    started: Instant,
    moment: Moment,
    progress: &'a Progress,
}

/// When checks are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Moment {
    /// Before the move: what legacy holds is what candidate must hold.
    #[default]
    Before,
    /// From the first promoted stage on that writes to the candidate: legacy's rows are history, and what can be asked of
    /// the candidate alone is asked of it alone.
    After,
}

impl<'a> Asking<'a> {
    /// What is left of the check's timeout.
    fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.started.elapsed())
    }

    fn legacy(&self) -> Result<&'a Target, Trouble> {
        self.sides
            .legacy
            .as_ref()
            .ok_or_else(|| Trouble::error("the check is about legacy, too, and it was not named"))
    }

    fn candidate(&self) -> Result<&'a Target, Trouble> {
        self.sides.candidate.as_ref().ok_or_else(|| Trouble::error(NO_CANDIDATE))
    }

    /// The answer that findings come to, with what the spec accepts taken into account.
    fn conclude(&self, found: impl IntoIterator<Item = Finding>, compared: &str) -> Answer {
        Answer::from_findings(Findings::judge(found, &self.check.accept), compared)
    }
}

/// Asks `check` and brings its answer, at the latest when its timeout is over. Dropping the future ends the question
/// and closes its connections.
pub async fn run(check: &Check, sides: &Sides, moment: Moment, progress: &Progress) -> CheckReport {
    let started = Instant::now();
    answered(check, started, |timeout| async move {
        ask(&Asking { sides, check, timeout, started, moment, progress }).await
    })
    .await
}

/// Asks a check that is about no database: `http` or `prometheus`. A prerequisite is one.
pub async fn run_without_sides(check: &Check) -> CheckReport {
    let asked = |timeout| async move {
        let answer = match check.question() {
            Some(Question::Http(question)) => http::ask(question, request_limit(timeout)).await,
            Some(Question::Prometheus(question)) => prometheus::ask(question, request_limit(timeout)).await,
            _ => Err(Trouble::error("only http and prometheus can be asked where there is no database")),
        };
        answer.unwrap_or_else(Answer::from)
    };
    answered(check, Instant::now(), asked).await
}

async fn answered<F>(check: &Check, started: Instant, ask: impl FnOnce(Duration) -> F) -> CheckReport
where
    F: Future<Output = Answer>,
{
    let answer = match duration::parse(check.timeout()) {
        Ok(timeout) => within(timeout, Box::pin(ask(timeout))).await,
        Err(error) => Answer::new(Verdict::Error, format!("the check's timeout can't be read: {error}")),
    };
    CheckReport::new(check, answer, started)
}

/// Asks whether one side can be reached and logged in to, within 15 s.
pub async fn probe(target: &Target, name: &str) -> CheckReport {
    let started = Instant::now();
    let question = ConnectivityCheck::default();
    let answer =
        within(PROBE_TIMEOUT, connectivity::ask(&question, target, options("probe", PROBE_TIMEOUT))).await;
    CheckReport::record(name, "connectivity", answer, started)
}

async fn ask(asking: &Asking<'_>) -> Answer {
    if let Some(unknown) = unknown_accepted(asking.check) {
        return Answer::new(
            Verdict::Error,
            format!("accept names {unknown}, which this check never finds; see its report for the kinds"),
        );
    }
    let answer = match asking.check.question() {
        None => Err(Trouble::error("the check asks nothing: give it one kind, such as connectivity: {}")),
        Some(Question::Connectivity(question)) => match asking.candidate() {
            Ok(candidate) => {
                Ok(connectivity::ask(question, candidate, options("check", asking.timeout)).await)
            }
            Err(trouble) => Err(trouble),
        },
        Some(Question::Sql(question)) => sql::ask(question, asking).await,
        Some(Question::Workload(question)) => {
            Ok(workload::ask(question, asking.sides.cluster.as_ref()).await)
        }
        Some(Question::Activity(question)) => activity::ask(question, asking).await,
        Some(Question::Data(question)) => data::ask(question, asking).await,
        Some(Question::Http(question)) => http::ask(question, request_limit(asking.timeout)).await,
        Some(Question::LegacyUnused(question)) => legacy_unused::ask(question, asking).await,
        Some(Question::Plans(question)) => plans::ask(question, asking).await,
        Some(Question::Pool(question)) => pool::ask(question, asking).await,
        Some(Question::Privileges(question)) => privileges::ask(question, asking).await,
        Some(Question::Prometheus(question)) => {
            prometheus::ask(question, request_limit(asking.timeout)).await
        }
        Some(Question::Replication(question)) => replication::ask(question, asking).await,
        Some(Question::Schema(question)) => schema::ask(question, asking).await,
        Some(Question::Server(question)) => server::ask(question, asking).await,
    };
    answer.unwrap_or_else(Answer::from)
}

/// The first finding that the check accepts and never makes: a slip that would otherwise go unnoticed.
fn unknown_accepted(check: &Check) -> Option<&str> {
    let kind = check.question()?.kind();
    let made: &[FindingKind] =
        catalogue().into_iter().find(|(check, _)| *check == kind).map_or(&[], |(_, made)| made);
    let accepted = check.accept.iter().map(|accepted| accepted.kind.as_str());
    accepted.into_iter().find(|name| made.iter().all(|kind| kind.name != *name))
}

/// Every kind of finding, by the check that makes it; what docs/checks.md lists.
#[must_use]
pub fn catalogue() -> Vec<(&'static str, &'static [FindingKind])> {
    vec![
        ("server", server::KINDS),
        ("schema", schema::KINDS),
        ("data", data::KINDS),
        ("privileges", privileges::KINDS),
        ("plans", plans::KINDS),
        ("pool", pool::KINDS),
        ("replication", replication::KINDS),
        ("activity", activity::KINDS),
        ("legacyUnused", legacy_unused::KINDS),
    ]
}

const NO_CANDIDATE: &str = "the check is about the candidate, and there is none: set spec.candidate, or ask legacy (against: Legacy)";

async fn within(timeout: Duration, question: impl Future<Output = Answer>) -> Answer {
    tokio::time::timeout(timeout, question).await.unwrap_or_else(|_| {
        let limit = duration::format(timeout);
        Answer::new(Verdict::Error, format!("no answer within the check's timeout of {limit}"))
    })
}

/// As much of a check's timeout as one request may take, so that the answer can still name what took too long.
fn request_limit(timeout: Duration) -> Duration {
    timeout * 9 / 10
}

/// A step gets less than the whole timeout, so that the answer can still name the step that took too long.
fn options(purpose: &'static str, timeout: Duration) -> ConnectOptions {
    ConnectOptions { purpose, step_timeout: (timeout * 4 / 5).min(MAX_STEP), byte_budget: BYTE_BUDGET }
}
