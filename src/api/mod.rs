//! The `cutover.dev/v1alpha1` API: what users write (`spec`) and what they read (`status`).
//!
//! Types, their schema and the CEL rules the API server enforces at admission. No behaviour lives here: what a spec
//! *means* is decided by [`crate::plan`], what happens next by [`crate::engine`].

mod check;
mod rollout;
mod stage;
mod status;
mod traffic;

pub use check::{
    AcceptedFinding, ActivityCheck, Check, CheckSeverity, ConnectivityCheck, DataCheck, DataMode, Heartbeat,
    HttpCheck, LegacyUnusedCheck, OtherConnections, PlansCheck, PoolCheck, PoolWorkload, Pooler,
    PrivilegesCheck, PrometheusCheck, Question, ReplicationCheck, SchemaCheck, ServerCheck, SizeReference,
    SqlCheck, SqlTarget, WorkloadCheck,
};
pub use rollout::{
    ActiveConfig, Configuration, Connection, DatabaseRollout, DatabaseRolloutSpec, Prerequisite,
    RolloutReference, SecretKeyReference, TlsMode, TlsSettings,
};
pub use stage::{
    Access, Approval, ConfigChange, OnFailure, Soak, Stage, ValueSource, WorkloadKind, WorkloadReference,
};
pub use status::{
    ActiveNow, BaselineRecord, BindingRecord, CheckResult, DatabaseRolloutStatus, Failure, FinalValidation,
    HistoryEntry, Intent, LatencySoFar, LoadComparison, LoadInProgress, LoadResult, Phase,
    PrerequisitesRecord, PreservedLegacy, Recorded, Rollback, RollbackPhase, RollbackTrigger, StagePhase,
    StageRecord, Timeline, Verdict, Via,
};
pub use traffic::{
    ArrivalProcess, Baseline, ChoiceParameter, Guard, IntegerParameter, LatencyLimits, Load, LoadMode,
    MaxIncreasePercent, Parameter, RatePoint, SampleParameter, Script, SequenceParameter, Skew, Statement,
    Traffic, TransactionStatement,
};

/// The pattern of a duration such as `90s`, `5m` or `1h30m`. Whether it is above zero is a CEL rule where it matters.
pub(crate) const DURATION_PATTERN: &str = "^([0-9]{1,9}(ms|s|m|h))+$";
/// A DNS label: the names of stages, checks, traffic models.
pub(crate) const LABEL_PATTERN: &str = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$";
/// A DNS subdomain: the names of Secrets, ConfigMaps, workloads, rollouts.
pub(crate) const NAME_PATTERN: &str = "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$";
/// A key of a Secret or a ConfigMap.
pub(crate) const DATA_KEY_PATTERN: &str = "^[-._a-zA-Z0-9]{1,253}$";
/// A decimal number in a string: the API has no floats.
pub(crate) const DECIMAL_PATTERN: &str = "^-?[0-9]{1,18}(\\.[0-9]{1,9})?$";
