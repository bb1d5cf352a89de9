//! `DatabaseRollout` itself: the commands, the two configurations, the prerequisites.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Baseline, Check, DATA_KEY_PATTERN, DURATION_PATTERN, HttpCheck, LABEL_PATTERN, NAME_PATTERN,
    PrometheusCheck, Stage, Traffic,
};

/// Moves an application from its legacy database configuration to a candidate one, stage by stage, and puts the
/// preserved legacy configuration back when anything fails or when `activeConfig` is set to `Legacy`.
#[allow(clippy::duplicated_attributes, reason = "every printer column has a type and a path")]
#[derive(CustomResource, Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[kube(
    group = "cutover.dev",
    version = "v1alpha1",
    kind = "DatabaseRollout",
    plural = "databaserollouts",
    shortname = "dbr",
    category = "all",
    namespaced,
    status = "super::DatabaseRolloutStatus",
    derive = "PartialEq",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Active", type_ = "string", json_path = ".status.activeConfig"),
    printcolumn(name = "Stage", type_ = "string", json_path = ".status.currentStage"),
    printcolumn(name = "Progress", type_ = "string", json_path = ".status.progress"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.candidate) || self.stages.all(s, (!has(s.checks) || s.checks.all(c, has(c.workload) || has(c.http) || has(c.prometheus) || has(c.pool) || (has(c.sql) && has(c.sql.against) && c.sql.against == 'Legacy'))) && (!has(s.soak) || !has(s.soak.checks) || s.soak.checks.all(c, has(c.workload) || has(c.http) || has(c.prometheus) || has(c.pool) || (has(c.sql) && has(c.sql.against) && c.sql.against == 'Legacy'))) && !has(s.load) && (!has(s.soak) || !has(s.soak.load)))")
        .message("without a candidate only settings change: checks of the candidate database and load need spec.candidate"),
    validation = Rule::new("!has(self.candidate) || self.stages.all(s, (has(s.access) && s.access == 'ReadOnly') || has(s.onFailure))")
        .message("a stage that may write to the candidate must choose onFailure itself: going back loses what was written there since (Hold, or Rollback with that loss accepted); or declare access: ReadOnly"),
    validation = Rule::new("self.stages.all(s, !has(s.dependsOn) || s.dependsOn.all(d, self.stages.exists(o, o.name == d)))")
        .message("dependsOn names a stage that does not exist"),
    validation = Rule::new("!has(self.approvedStages) || self.approvedStages.all(a, self.stages.exists(s, s.name == a))")
        .message("approvedStages names a stage that does not exist"),
    validation = Rule::new("!has(self.baseline) || has(self.traffic) && self.traffic.exists(t, t.name == self.baseline.traffic)")
        .message("baseline.traffic names a traffic model that does not exist in spec.traffic"),
    validation = Rule::new("self.stages.all(s, !has(s.load) || has(self.traffic) && self.traffic.exists(t, t.name == s.load.traffic))")
        .message("load.traffic names a traffic model that does not exist in spec.traffic"),
    validation = Rule::new("self.stages.all(s, !has(s.soak) || !has(s.soak.load) || has(self.traffic) && self.traffic.exists(t, t.name == s.soak.load.traffic))")
        .message("soak.load.traffic names a traffic model that does not exist in spec.traffic"),
    validation = Rule::new("self.stages.all(s, !has(s.checks) || s.checks.all(c, !has(c.plans) || !has(c.plans.traffic) || has(self.traffic) && self.traffic.exists(t, t.name == c.plans.traffic)))")
        .message("plans.traffic names a traffic model that does not exist in spec.traffic")
)]
pub struct DatabaseRolloutSpec {
    /// The configuration that the application shall run on. `Legacy` rolls back, at any moment, whatever is going on.
    #[serde(default)]
    pub active_config: ActiveConfig,
    /// Hold where we are: nothing new is measured, promoted or concluded. A pause never interrupts a rollback.
    #[serde(default)]
    pub paused: bool,
    /// After a failure: any new value starts again from the first unfinished stage (after a rollback: from the first).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    pub retry: String,
    /// Names of stages with `approval: Manual` that may be promoted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub approved_stages: Vec<String>,
    /// The configuration that the application runs on today.
    pub legacy: Configuration,
    /// The configuration that it moves to. Left out when only settings change and the database stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Configuration>,
    /// What must hold before anything is measured or touched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub prerequisites: Vec<Prerequisite>,
    /// Models of the application's statements, for `baseline` and for the `load` of stages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub traffic: Vec<Traffic>,
    /// What is measured on legacy before anything is changed, and on the candidate after the last stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// The steps of the move. Stages without an order between them run side by side.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub stages: Vec<Stage>,
    /// How long after completion the preserved legacy configuration stays restorable; then the copy is deleted.
    #[serde(default = "default_rollback_window")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(validation = Rule::new("duration(self) > duration('0s')").message("rollbackWindow must be longer than zero"))]
    pub rollback_window: String,
}

fn default_rollback_window() -> String {
    "72h".to_owned()
}

/// Which configuration shall be active.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema)]
pub enum ActiveConfig {
    /// Move to the candidate.
    #[default]
    Candidate,
    /// Be, or go back to, the preserved legacy configuration.
    Legacy,
}

/// One database configuration: how to reach a PostgreSQL server or pooler.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// The connection.
    pub connection: Connection,
}

/// A connection. Host and credentials come from one Secret of the rollout's own namespace.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// The key that holds a `postgresql://` URI.
    pub secret_ref: SecretKeyReference,
    /// TLS of cutover's own connections; `VerifyFull` with the system's trust store when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
}

/// How cutover verifies the server that it talks to.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsSettings {
    /// Anything weaker than `VerifyFull` is said by the condition `TLSVerified=False`.
    #[serde(default)]
    pub mode: TlsMode,
    /// Key of the connection's Secret that holds the PEM certificates to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = DATA_KEY_PATTERN))]
    pub ca_key: Option<String>,
}

/// How much of TLS is demanded; the words are libpq's `sslmode`.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema)]
pub enum TlsMode {
    /// Encrypted, the certificate's chain and host name verified.
    #[default]
    VerifyFull,
    /// Encrypted, to whoever answers.
    Require,
    /// In the clear.
    Disable,
}

/// A key of a Secret in the rollout's namespace.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyReference {
    /// The Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Its key.
    #[schemars(regex(pattern = DATA_KEY_PATTERN))]
    pub key: String,
}

/// Something that must hold before the rollout begins. Exactly one of the kinds is given.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.rollout) ? 1 : 0) + (has(self.http) ? 1 : 0) + (has(self.prometheus) ? 1 : 0) == 1")
    .message("give exactly one kind of prerequisite: rollout, http or prometheus"))]
pub struct Prerequisite {
    /// Name of the prerequisite.
    #[schemars(regex(pattern = LABEL_PATTERN))]
    #[schemars(length(max = 63))]
    pub name: String,
    /// Another DatabaseRollout of the namespace must be `Completed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutReference>,
    /// An endpoint must answer as expected, within 30 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
    /// A metric must be within its bounds, and told within 30 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusCheck>,
}

impl Prerequisite {
    /// As a check, where it is one that has to be asked; what other rollouts have come to is seen without asking.
    #[must_use]
    pub fn check(&self) -> Option<Check> {
        let is_asked = self.http.is_some() || self.prometheus.is_some();
        is_asked.then(|| Check {
            name: self.name.clone(),
            http: self.http.clone(),
            prometheus: self.prometheus.clone(),
            ..Check::default()
        })
    }
}

/// Another rollout of the same namespace.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutReference {
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
}
