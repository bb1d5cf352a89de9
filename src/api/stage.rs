//! A stage: the keys it sets, the workloads it restarts, and what guards it.

use std::{collections::BTreeMap, fmt};

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Check, DURATION_PATTERN, LABEL_PATTERN, Load, NAME_PATTERN, SecretKeyReference};

/// One step of the move.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.checks) || self.checks.all(c, !has(c.failureLimit))").message("failureLimit counts the rounds of a soak: it belongs to soak.checks"))]
pub struct Stage {
    /// Name of the stage.
    #[schemars(regex(pattern = LABEL_PATTERN))]
    #[schemars(length(max = 63))]
    pub name: String,
    /// Stages that must be done before this one begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 31), inner(length(max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub depends_on: Vec<String>,
    /// The configuration keys that the stage sets.
    #[schemars(length(min = 1, max = 16))]
    pub config: Vec<ConfigChange>,
    /// The workloads that read those keys; they are restarted after the keys were written.
    #[schemars(length(min = 1, max = 16))]
    pub workloads: Vec<WorkloadReference>,
    /// Whether the workloads write through this configuration. Decides what a rollback may lose.
    #[serde(default)]
    pub access: Access,
    /// Questions that must all be answered with `Pass` (or `Warn`) before the stage is promoted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub checks: Vec<Check>,
    /// Load on legacy and candidate, after the checks and before the promotion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// `Manual`: promoted only after the stage's name was added to `spec.approvedStages`.
    #[serde(default)]
    pub approval: Approval,
    /// How long the workloads may take from the first written key until every pod runs the new configuration.
    #[serde(default = "default_progress_deadline")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(validation = Rule::new("duration(self) > duration('0s')").message("progressDeadline must be longer than zero"))]
    pub progress_deadline: String,
    /// How the promoted stage is watched before the stages that depend on it may begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Soak>,
    /// What a failure of this stage does. Must be chosen where the stage may write to another server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
}

fn default_progress_deadline() -> String {
    "10m".to_owned()
}

/// Keys of one Secret or one ConfigMap, and their new values.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.secret) != has(self.configMap)").message("name exactly one of secret and configMap"))]
pub struct ConfigChange {
    /// The Secret to write to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub secret: Option<String>,
    /// The ConfigMap to write to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub config_map: Option<String>,
    /// The keys and their candidate values.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 32))]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[-._a-zA-Z0-9]{1,253}$'))").message("a key consists of letters, digits, '-', '_' and '.'"))]
    pub set: BTreeMap<String, ValueSource>,
}

/// Where a value comes from.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.value) != has(self.fromSecret)").message("give exactly one of value and fromSecret"))]
pub struct ValueSource {
    /// The value itself; for what is not a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub value: Option<String>,
    /// The value of a Secret's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_secret: Option<SecretKeyReference>,
}

/// A workload of the rollout's namespace.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadReference {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
}

impl fmt::Display for WorkloadReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{}", self.kind, self.name)
    }
}

/// The kinds of workload that can be restarted.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy, JsonSchema)]
pub enum WorkloadKind {
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` StatefulSet with update strategy `RollingUpdate`.
    StatefulSet,
    /// `apps/v1` DaemonSet with update strategy `RollingUpdate`.
    DaemonSet,
}

/// What a stage's workloads do with the database.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema)]
pub enum Access {
    /// They read and write.
    #[default]
    ReadWrite,
    /// They only read: going back loses nothing.
    ReadOnly,
}

/// Who lets a stage be promoted.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema)]
pub enum Approval {
    /// Passing the checks and the load is enough.
    #[default]
    Automatic,
    /// A person adds the stage's name to `spec.approvedStages`.
    Manual,
}

/// What a stage's failure does.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema)]
pub enum OnFailure {
    /// Put every promoted stage back on legacy.
    #[default]
    Rollback,
    /// Stop here, change nothing, and wait for a person.
    Hold,
}

/// The watch over a promoted stage.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.load) || (has(self.load.mode) && self.load.mode == 'Candidate' ? duration(self.load.duration) : duration(has(self.load.maxDuration) ? self.load.maxDuration : self.load.duration) + duration('10s')) <= duration(self.duration)").message("soak.load does not fit into the soak: make soak.duration at least load.duration (of a duet: load.maxDuration, where there is one, else load.duration, and 10s to warm up), or the load shorter"))]
pub struct Soak {
    /// How long to watch.
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(validation = Rule::new("duration(self) > duration('0s')").message("soak.duration must be longer than zero"))]
    pub duration: String,
    /// How often the checks are asked meanwhile.
    #[serde(default = "default_soak_interval")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s')").message("soak.interval must be at least 1s"))]
    pub interval: String,
    /// Questions asked every interval; the first answer that is no pass ends the soak, unless the check's `failureLimit`
    /// allows for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub checks: Vec<Check>,
    /// Load from the soak's beginning on, beside its checks. The soak is not over before the load has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
}

fn default_soak_interval() -> String {
    "10s".to_owned()
}
