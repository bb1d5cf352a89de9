//! What checks and loads came to, as the status holds it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::is_zero;

/// The verdict of a check, a load or a baseline.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy, Default, JsonSchema)]
pub enum Verdict {
    /// As expected.
    Pass,
    /// Worth a look, and no reason to stop.
    Warn,
    /// It could not be told. Never promotes.
    Inconclusive,
    /// It could not be asked. Never promotes.
    #[default]
    Error,
    /// Not as expected.
    Fail,
}

/// What is between the operator and a server, as far as it shows in what is measured there.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy, Default, JsonSchema)]
pub enum Via {
    /// Nothing that the server could see: statements are prepared, under limits of their session.
    #[default]
    Direct,
    /// A proxy, a load balancer or NAT: each statement is in a transaction that brings its limits along.
    Proxy,
    /// A pooler, which hands connections on: each statement is prepared anew as well.
    Pooler,
}

impl Via {
    /// For people, as in "it was measured directly".
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Self::Direct => "directly",
            Self::Proxy => "by way of a proxy, a load balancer or NAT",
            Self::Pooler => "by way of a pooler",
        }
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_direct(&self) -> bool {
        *self == Self::Direct
    }
}

/// The answer to a check, with its evidence.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckResult {
    /// Name of the check.
    pub name: String,
    /// The verdict.
    pub verdict: Verdict,
    /// In a sentence.
    pub message: String,
    /// What was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<String>,
    /// What was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What legacy measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// Number of samples behind the measurement.
    pub samples: i64,
    /// Number of findings; the report has them.
    #[serde(skip_serializing_if = "is_zero")]
    pub findings: i64,
    /// Where the whole report is: a ConfigMap and its key, such as `shop-checks/api.schema.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<MicroTime>,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
}

/// What a load measured. `scheduled = ok + errors + timeouts + skipped`, always.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LoadResult {
    /// The verdict.
    pub verdict: Verdict,
    /// In a sentence, measured against expected.
    pub message: String,
    /// Arrivals that the schedule had.
    pub scheduled: i64,
    /// Statements that were answered.
    pub ok: i64,
    /// Statements that failed.
    pub errors: i64,
    /// Statements that ran into the statement timeout.
    pub timeouts: i64,
    /// Arrivals that no connection was free for until the end.
    pub skipped: i64,
    /// Median latency from the scheduled arrival, in microseconds; so are the next. Each is absent where too few statements tell it,
    /// or so many failed that there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_us: Option<i64>,
    /// 95th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_us: Option<i64>,
    /// 99th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_us: Option<i64>,
    /// The slowest.
    pub max_us: i64,
    /// Statements answered per second, in thousandths.
    pub throughput_milli: i64,
    /// Seed of the schedule: the same seed gives the same arrivals and parameters.
    pub seed: i64,
    /// The SQLSTATE classes of the failures, with their numbers, most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub error_classes: Vec<String>,
    /// The candidate against legacy, worst first, at most eight; the report has all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comparison: Vec<LoadComparison>,
    /// Whether legacy and candidate felt the same noise; only of a duet, and only where it could be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise_shared: Option<bool>,
    /// What is between the load and its servers; of several the one that asks the most of each statement, which is then the same on
    /// all of them. `Direct` where it is left out.
    #[serde(skip_serializing_if = "Via::is_direct")]
    pub via: Via,
    /// Where the whole report is: a ConfigMap and its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<MicroTime>,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
}

/// A percentile of the candidate against legacy's.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LoadComparison {
    /// The statement class; `all` for all of them together.
    pub class: String,
    /// `p50`, `p95` or `p99`.
    pub percentile: String,
    /// Candidate by legacy, in thousandths.
    pub ratio_permille: i64,
    /// Lower end of the interval around it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_permille: Option<i64>,
    /// Upper end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_permille: Option<i64>,
    /// Its own verdict.
    pub verdict: Verdict,
}

/// A load that runs, as it looked a moment ago. For people; nothing is decided by it.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LoadInProgress {
    /// `baseline`, `final`, `<stage>.load` or `<stage>.soak`.
    pub name: String,
    /// How much of its schedule is over, in seconds.
    pub elapsed_seconds: i64,
    /// How long its schedule is.
    pub duration_seconds: i64,
    /// Arrivals a second so far.
    pub rate: i64,
    /// Statements that were answered.
    pub ok: i64,
    /// Statements that failed or ran into the statement timeout.
    pub failed: i64,
    /// Legacy's latencies so far, from the scheduled arrival, in microseconds; left out where legacy is not loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legacy: Option<LatencySoFar>,
    /// The candidate's, in the same way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<LatencySoFar>,
}

/// What one side's statements took so far, from the scheduled arrival, in microseconds; each is there once it can be told.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LatencySoFar {
    /// Median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_us: Option<i64>,
    /// 95th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_us: Option<i64>,
    /// 99th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_us: Option<i64>,
}
