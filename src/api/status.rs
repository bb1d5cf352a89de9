//! The status: a recorded part, which the engine goes on from, and a derived part, which is for people.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod results;

pub use results::{CheckResult, LatencySoFar, LoadComparison, LoadInProgress, LoadResult, Verdict, Via};

/// What a rollout has done, is doing, and is waiting for.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DatabaseRolloutStatus {
    /// The spec's generation that this status is about.
    pub observed_generation: i64,
    /// Where the rollout is, in a word. Derived; never an input.
    pub phase: Phase,
    /// What is going on, what it waits for and when it looks next. Derived.
    pub message: String,
    /// The configuration that the application runs on now.
    pub active_config: ActiveNow,
    /// The stages in progress, or the one that failed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub current_stage: String,
    /// Stages done of all, such as `2/4`.
    pub progress: String,
    /// How long the whole takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Timeline>,
    /// The loads that run, as they looked at most 10 s ago. Derived.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub loads: Vec<LoadInProgress>,
    /// `Ready`, `Reconciling`, `Stalled` as kstatus reads them, and `Accepted`, `LegacyPreserved`, `BaselineCaptured`,
    /// `NoiseShared`, `LimitBelowBaseline`, `RollbackSafe`, `TLSVerified`, `OwnershipConflict`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// What the engine goes on from.
    #[serde(flatten)]
    pub recorded: Recorded,
}

/// The recorded part of the status: all that the engine needs beside the spec and a look at the world.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Recorded {
    /// Moves begun from legacy so far; only grows. The preserved copy and the restarts carry its number.
    pub run: i64,
    /// Where the legacy configuration is preserved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legacy: Option<PreservedLegacy>,
    /// The prerequisites that have to be asked, as they answered last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prerequisites: Option<PrerequisitesRecord>,
    /// What legacy measured before anything was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineRecord>,
    /// The stages, in the order of the plan.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageRecord>,
    /// The checks of all stages once more, after the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_validation: Option<FinalValidation>,
    /// What failed. Stays, and nothing moves forward, until `retry` or the plan changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The way back: in progress, or the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// When the last stage was done and the final validation passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<MicroTime>,
    /// When the rollback window was over and the preserved copy deleted. There is no way back from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released_at: Option<MicroTime>,
    /// The effect in flight: written before it is begun, gone when its outcome was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<Intent>,
    /// The latest transitions, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
}

/// Where the rollout is, in a word.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema)]
pub enum Phase {
    /// Not begun: not accepted, or waiting for prerequisites or for something that does not exist yet.
    #[default]
    Pending,
    /// The legacy configuration is being copied.
    Preserving,
    /// Legacy is being measured.
    Baselining,
    /// Stages are being checked, loaded, promoted, soaked.
    Progressing,
    /// `spec.paused` holds it.
    Paused,
    /// A failure holds it, with `onFailure: Hold`.
    Held,
    /// All checks once more.
    Validating,
    /// All stages are done.
    Completed,
    /// The legacy configuration is being put back.
    RollingBack,
    /// The application is on the legacy configuration again; latched.
    RolledBack,
}

/// The configuration that the application runs on.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema)]
pub enum ActiveNow {
    /// No stage is promoted.
    #[default]
    Legacy,
    /// Some are.
    Mixed,
    /// All are.
    Candidate,
}

/// The expected course of the rollout, from the plan's durations and, where there are any, measured ones.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Timeline {
    /// The chain of stages that decides how long it takes.
    pub critical_path: Vec<String>,
    /// Time along the critical path, in seconds.
    pub expected_seconds: i64,
    /// Time of all stages one after the other, in seconds.
    pub total_work_seconds: i64,
}

/// The preserved legacy configuration.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PreservedLegacy {
    /// The immutable Secret that holds the copy.
    pub secret_name: String,
    /// Keyed digest of the copy; verified before every restore.
    pub digest: String,
    /// Number of keys in it.
    pub keys: i64,
    /// When it was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<MicroTime>,
}

/// The prerequisites that have to be asked.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PrerequisitesRecord {
    /// Number of the attempt; only grows.
    pub attempt: i64,
    /// What the attempt is evidence about.
    pub digest: String,
    /// When the attempt in progress began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<MicroTime>,
    /// After one that was not met: they are asked again no earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<MicroTime>,
    /// When all of them were met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub met_at: Option<MicroTime>,
    /// The latest answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckResult>,
}

/// The measurement of legacy.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BaselineRecord {
    /// Number of the attempt; only grows.
    pub attempt: i64,
    /// What the attempt is evidence about.
    pub digest: String,
    /// Attempts in a row that brought no result.
    #[serde(skip_serializing_if = "is_zero")]
    pub setbacks: i64,
    /// When the attempt began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<MicroTime>,
    /// After a setback: the next attempt begins no earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<MicroTime>,
    /// What it measured; there once it has passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<LoadResult>,
    /// Why the last attempt brought no result.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// One stage.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StageRecord {
    /// Name of the stage.
    pub name: String,
    /// Where it is.
    pub phase: StagePhase,
    /// Number of the attempt; only grows, over retries and runs.
    pub attempt: i64,
    /// Number of the attempt at its soak; only grows, too.
    #[serde(skip_serializing_if = "is_zero")]
    pub soak_attempt: i64,
    /// Number of the attempt at its soak's load; only grows, too.
    #[serde(skip_serializing_if = "is_zero")]
    pub soak_load_attempt: i64,
    /// What the attempt's evidence is about: this spec, these values, these objects.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// What it waits for, or what came of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Attempts in a row that ended `Inconclusive` or `Error`.
    #[serde(skip_serializing_if = "is_zero")]
    pub setbacks: i64,
    /// Loads in a row that ended `Inconclusive`, of those before the promotion or of those while it soaks. The tries of a load
    /// share one chance of a false `Pass`.
    #[serde(skip_serializing_if = "is_zero")]
    pub inconclusive_loads: i64,
    /// When the attempt began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<MicroTime>,
    /// After a setback: the next attempt begins no earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<MicroTime>,
    /// When its evidence was complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence_at: Option<MicroTime>,
    /// When the intent to write its first key was recorded. From then on the stage is not on legacy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promoted_at: Option<MicroTime>,
    /// Whether its workloads may write through the candidate configuration, as the spec had it when it was promoted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub writes: bool,
    /// When every pod ran the candidate configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soak_started_at: Option<MicroTime>,
    /// When it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done_at: Option<MicroTime>,
    /// The checks of the attempt, then those of its soak.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckResult>,
    /// The load of the attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadResult>,
    /// The load of its soak.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soak_load: Option<LoadResult>,
    /// What was written: the fields that other managers (`GitOps`) should leave alone meanwhile.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bindings: Vec<BindingRecord>,
}

/// Where a stage is.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema)]
pub enum StagePhase {
    /// For the stages it depends on, or for something that does not exist.
    #[default]
    Waiting,
    /// Its checks run.
    Checking,
    /// Its load runs.
    Loading,
    /// Its name is not in `spec.approvedStages` yet.
    AwaitingApproval,
    /// Its keys are being written, its workloads restarted.
    Promoting,
    /// It is promoted and watched.
    Soaking,
    /// It is promoted and was watched.
    Done,
    /// It failed.
    Failed,
    /// It is being put back.
    RollingBack,
    /// It was put back.
    RolledBack,
}

/// An object that a stage wrote to.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BindingRecord {
    /// The object, such as `Secret/api-db`.
    pub object: String,
    /// The keys owned in it.
    pub keys: Vec<String>,
    /// Keyed digest of the values that were written.
    pub written: String,
    /// Keyed digest of the values whose write was begun last; it may have been carried out or not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub intended: String,
    /// Times that putting the legacy values back was begun.
    #[serde(skip_serializing_if = "is_zero")]
    pub restores: i64,
}

/// All checks once more, and the baseline, after the last stage.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FinalValidation {
    /// Number of the attempt; only grows.
    pub attempt: i64,
    /// What the attempt is evidence about.
    pub digest: String,
    /// Attempts in a row that ended `Inconclusive` or `Error`.
    #[serde(skip_serializing_if = "is_zero")]
    pub setbacks: i64,
    /// After a setback: the next attempt begins no earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<MicroTime>,
    /// Whether it has passed.
    pub passed: bool,
    /// The answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckResult>,
    /// What the candidate measured under the baseline's load; its message has both side by side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadResult>,
}

/// What failed, latched.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Failure {
    /// The stage; empty where the rollout as a whole failed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stage: String,
    /// A CamelCase word, the same as the event's reason.
    pub reason: String,
    /// Measured against expected.
    pub message: String,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<MicroTime>,
    /// Fingerprint of the plan that failed; another plan releases the latch.
    pub plan: String,
    /// `spec.retry` as it was; another value releases the latch.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub retry: String,
}

/// The way back.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Rollback {
    /// Who asked for it.
    pub trigger: RollbackTrigger,
    /// Where it is.
    pub phase: RollbackPhase,
    /// The run that it ends.
    pub run: i64,
    /// Number of the rollback; only grows. The restarts carry it.
    pub number: i64,
    /// Number of the attempt to reach legacy; only grows.
    pub attempt: i64,
    /// What it waits for, or what came of it.
    pub message: String,
    /// When it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<MicroTime>,
    /// After legacy did not answer: it is asked again no earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<MicroTime>,
    /// When it was verified: bytes equal, every pod ready on legacy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<MicroTime>,
    /// From the start to the end, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// Whether legacy could be logged in to, as far as it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legacy_serves: Option<bool>,
}

/// Who asked for a rollback.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema)]
pub enum RollbackTrigger {
    /// A failure. Latched until `retry` or the plan changes.
    #[default]
    Automatic,
    /// `activeConfig: Legacy`.
    Commanded,
}

/// Where a rollback is.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema)]
pub enum RollbackPhase {
    /// Before an automatic rollback: can legacy serve at all?
    #[default]
    Probing,
    /// Keys are written, workloads restarted.
    Restoring,
    /// Over, and verified.
    Done,
}

/// An effect in flight.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Intent {
    /// What is about to be done.
    pub effect: String,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<MicroTime>,
}

/// A transition.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HistoryEntry {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<MicroTime>,
    /// The event's reason.
    pub reason: String,
    /// The event's message.
    pub message: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}
