//! The report of a load check: everything that its verdict rests on, for people and for programs.
//!
//! Decides the report's shape and words; the figures come from the run, the verdict from the duet or the limits. The names of
//! the fields are an interface: scripts read them. Times are microseconds, from the scheduled arrival unless they are under
//! `service`; shares are fractions. Never holds a parameter, a password or a connection string.

use serde::{Deserialize, Serialize};

use crate::api::Verdict;

mod charts;
mod command;
mod describe;
mod html;

pub(crate) use command::command;
pub(super) use describe::{class_name, describe, noise, of_standing, percentiles};
pub use html::{RolloutLoads, html, html_of_rollout};

/// What a load check measured and decided.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default)]
#[serde(default)]
pub struct LoadReport {
    /// The verdict.
    pub verdict: Verdict,
    /// In a sentence, measured against expected.
    pub message: String,
    /// What each side did.
    pub arms: Arms,
    /// The candidate against legacy, by statement class and percentile; empty where one side was loaded.
    pub comparison: Vec<Comparison>,
    /// What each statement class did.
    pub classes: Vec<Class>,
    /// Whether both servers felt the same noise; where not, only long runs can tell them apart.
    pub noise_shared: Option<bool>,
    /// What that is told from; only of a duet that lasted long enough to tell it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<NoiseFigures>,
    /// What the load generator did itself.
    pub generator: Generator,
    /// What the servers counted while it ran.
    pub counters: Vec<Counter>,
    /// What a reader must know beside the figures.
    pub notes: Vec<String>,
    /// What it takes to run it again.
    pub settings: Settings,
    /// Of the schedule: the same seed gives the same arrivals, sides and parameters.
    pub seed: u64,
    /// How long it took, without warming up, in seconds.
    pub duration_s: f64,
}

/// How both sides moved from second to second, by p50 and p95 of all statements.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Copy, Default)]
pub struct NoiseFigures {
    /// Correlation between the sides' logarithms of p50, and of p95.
    pub correlation: [f64; 2],
    /// The same between one side and the other's next second: what lasts is noise; what is not may be what both were asked.
    pub with_the_next_second: Option<[f64; 2]>,
    /// The longer autocorrelation time of their ratios, in seconds. 1 is none; from 1.5 on blocks are not shorter.
    pub autocorrelation_s: f64,
}

/// The sides; one alone where only one was loaded.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default)]
#[serde(default)]
pub struct Arms {
    /// Legacy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legacy: Option<Arm>,
    /// The candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Arm>,
}

impl Arms {
    /// Those that there are, by name, legacy first.
    pub(crate) fn each(&self) -> Vec<(&'static str, &Arm)> {
        let named = [("legacy", self.legacy.as_ref()), ("candidate", self.candidate.as_ref())];
        named.into_iter().filter_map(|(name, arm)| Some((name, arm?))).collect()
    }
}

/// What one side did. `scheduled = ok + errors + timeouts + skipped`, always.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default)]
#[serde(default)]
pub struct Arm {
    /// Version of its server, such as `15.18`.
    pub server_version: String,
    /// Arrivals that the schedule sent its way.
    pub scheduled: u64,
    /// Answered.
    pub ok: u64,
    /// Failed.
    pub errors: u64,
    /// Ran into the statement timeout.
    pub timeouts: u64,
    /// No connection was free for them until the end.
    pub skipped: u64,
    /// From the scheduled arrival to the answer.
    #[serde(flatten)]
    pub latency: Percentiles,
    /// From the sending to the answer: what is left is waiting for a connection.
    pub service: Percentiles,
    /// Median of the generator's own lateness for this side; what is far apart between two sides makes their ratio worthless.
    pub send_lag_p50_us: u64,
    /// 99th percentile of it.
    pub send_lag_p99_us: u64,
    /// The latency that shares of the statements stayed within, from half of them to nearly all.
    pub curve: Vec<CurvePoint>,
    /// What it did in each second.
    pub seconds: Vec<Second>,
    /// The SQLSTATE classes of the failures, with their numbers, most frequent first.
    pub error_classes: Vec<String>,
}

/// Latencies, in microseconds; `None` where there are too few to tell ([`enough`]), or so many did not come back.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default)]
#[serde(default)]
pub struct Percentiles {
    /// Half of the statements were faster.
    pub p50_us: Option<u64>,
    /// 95 % were faster.
    pub p95_us: Option<u64>,
    /// 99 % were faster.
    pub p99_us: Option<u64>,
    /// The slowest.
    pub max_us: u64,
}

/// Whether so many samples tell that percentile: ten are beyond it.
#[must_use]
pub fn enough(samples: u64, percent: u64) -> bool {
    samples * (100 - percent) >= 10 * 100
}

/// A point of the curve of latencies.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Copy, Default)]
pub struct CurvePoint {
    /// Share of the statements, between 0 and 1.
    pub share: f64,
    /// The latency that they stayed within.
    pub us: u64,
}

/// What one side did in one second.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default)]
pub struct Second {
    /// Seconds since the measurement began.
    pub at: u32,
    /// Answered.
    pub ok: u64,
    /// Failed, timeouts included.
    pub failed: u64,
    /// Median latency.
    pub p50_us: u64,
    /// 95th percentile.
    pub p95_us: u64,
}

/// The candidate against legacy in one percentile of one statement class.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default)]
pub struct Comparison {
    /// The class; `all` for all of them together.
    pub class: String,
    /// `p50`, `p95` or `p99`.
    pub percentile: String,
    /// Candidate divided by legacy.
    pub ratio: f64,
    /// Lower end of the interval around it; `None` where nothing can be said about it.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Above this ratio the candidate is too slow.
    pub margin: f64,
    /// The difference in microseconds.
    pub shift_us: i64,
    /// Its own verdict.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub reason: String,
}

/// What one statement class did.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// How its statements begin, with `?` in place of values; empty of a script.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Its share of the arrivals, between 0 and 1.
    pub share: f64,
    /// On legacy.
    pub legacy: Option<ClassSide>,
    /// On the candidate.
    pub candidate: Option<ClassSide>,
}

/// What one statement class did on one side.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default)]
pub struct ClassSide {
    /// Answered.
    pub ok: u64,
    /// Failed, timeouts included.
    pub failed: u64,
    /// From the scheduled arrival.
    #[serde(flatten)]
    pub latency: Percentiles,
}

/// What the load generator did itself.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default)]
#[serde(default)]
pub struct Generator {
    /// Median of its own lateness.
    pub send_lag_p50_us: u64,
    /// 99th percentile of its own lateness.
    pub send_lag_p99_us: u64,
    /// Processor time that a statement cost it.
    pub cpu_us_per_statement: f64,
}

/// One of the servers' own counters.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default)]
pub struct Counter {
    /// PostgreSQL's name for it, such as `pg_stat_database.blks_hit`.
    pub name: String,
    /// How much it grew on legacy.
    pub legacy: Option<f64>,
    /// How much it grew on the candidate.
    pub candidate: Option<f64>,
}

/// What it takes to run it again.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default)]
#[serde(default)]
pub struct Settings {
    /// Version of cutover.
    pub version: String,
    /// Name of the traffic model.
    pub traffic: String,
    /// Arrivals per second, both sides together.
    pub rate: u32,
    /// Connections of each side.
    pub connections: usize,
    /// Processes that shared the schedule.
    pub parallelism: u32,
    /// Discarded at the beginning, in seconds.
    pub warm_up_s: f64,
    /// Longest that a statement may run, in milliseconds.
    pub statement_timeout_ms: u64,
    /// The command that runs it again, without the connections.
    pub command: String,
}
