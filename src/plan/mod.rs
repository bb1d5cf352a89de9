//! From a spec to a validated plan: the stage graph in an order that works, what each stage writes, how long it may take.
//!
//! A [`Plan`] that exists has no cycle, no stages side by side that contradict each other, and no duration that cannot
//! be read. All faults of a spec are found and reported together. Nothing here looks at a cluster.

mod claims;
mod fault;
mod graph;
mod rules;
mod stages;
#[cfg(test)]
mod tests;
mod timeline;

use std::{collections::BTreeMap, fmt, time::Duration};

pub use claims::conflicts_with_others;
pub use fault::Fault;
pub use timeline::timeline;

use crate::{
    api::{
        ActiveConfig, Check, DatabaseRolloutSpec, OnFailure, Prerequisite, TlsMode, ValueSource,
        WorkloadReference,
    },
    digest, duration,
    load::LatencyLimitsUs,
};

/// A validated spec.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Identifies the spec without its commands (`activeConfig`, `paused`, `retry`, `approvedStages`).
    pub fingerprint: String,
    /// The stages, every one after those that it depends on.
    pub stages: Vec<PlannedStage>,
    /// Identifies the prerequisites that have to be asked; `None` where there are none.
    pub prerequisites: Option<String>,
    /// The measurement of legacy.
    pub baseline: Option<PlannedBaseline>,
    /// Whether the candidate is another connection, so that writes to it are lost by going back.
    pub moves_database: bool,
    /// How long the preserved copy stays after completion.
    pub rollback_window: Duration,
    /// Whether every connection of cutover itself verifies the server.
    pub tls_verified: bool,
}

/// What is measured on legacy before anything is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedBaseline {
    /// Identifies what is measured: the traffic, the rate, the connection.
    pub digest: String,
    /// How long it takes.
    pub duration: Duration,
}

impl Plan {
    /// The stage of that name.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<&PlannedStage> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    /// Whether there is anything for the final validation to ask or to measure.
    #[must_use]
    pub fn has_final_validation(&self) -> bool {
        self.has_final_load() || self.stages.iter().any(|stage| stage.has_final_checks)
    }

    /// Whether the baseline's load is put on the candidate at the end.
    #[must_use]
    pub fn has_final_load(&self) -> bool {
        self.baseline.is_some() && self.moves_database
    }
}

/// A validated stage.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts of a stage, none of them an argument")]
pub struct PlannedStage {
    /// Its name.
    pub name: String,
    /// Names of the stages that must be done before.
    pub depends_on: Vec<String>,
    /// What it writes and what it restarts.
    pub footprint: Footprint,
    /// The values it writes.
    pub values: BTreeMap<ObjectReference, BTreeMap<String, ValueSource>>,
    /// Whether going back loses what its workloads wrote meanwhile.
    pub writes: bool,
    /// Whether it has checks that the final validation asks.
    pub has_final_checks: bool,
    /// The duration of its load.
    pub load: Option<Duration>,
    /// The absolute limits of its load; none where it has none.
    pub load_limits: LatencyLimitsUs,
    /// How long it is watched.
    pub soak: Option<Duration>,
    /// Whether checks run during the soak.
    pub soak_has_checks: bool,
    /// The absolute limits of the load during the soak; `None` where there is no such load.
    pub soak_load: Option<LatencyLimitsUs>,
    /// Whether a person has to let it go on.
    pub needs_approval: bool,
    /// What its failure does.
    pub on_failure: OnFailure,
    /// How long promoting may take.
    pub progress_deadline: Duration,
}

/// What a stage touches: the keys of objects, and workloads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Footprint {
    /// Keys by object.
    pub bindings: BTreeMap<ObjectReference, Vec<String>>,
    /// The workloads, in the order of their restart.
    pub workloads: Vec<WorkloadReference>,
}

impl Footprint {
    /// Whether everything in `other` is also in `self`.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.bindings.iter().all(|(object, keys)| {
            self.bindings.get(object).is_some_and(|held| keys.iter().all(|key| held.contains(key)))
        }) && other.workloads.iter().all(|workload| self.workloads.contains(workload))
    }
}

/// An object whose keys workloads read their configuration from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectReference {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ObjectReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{}", self.kind, self.name)
    }
}

/// The kinds of object that hold configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum ObjectKind {
    /// `v1` Secret.
    Secret,
    /// `v1` ConfigMap.
    ConfigMap,
}

/// Builds the plan of a spec.
///
/// # Errors
/// Every fault of the spec, not just the first.
pub fn build(name: &str, spec: &DatabaseRolloutSpec) -> Result<Plan, Vec<Fault>> {
    let mut faults = rules::check(name, spec);
    let order = graph::order(&spec.stages).unwrap_or_else(|found| {
        faults.extend(found);
        Vec::new()
    });
    let stages = stages::build(spec, &order, &mut faults);
    let baseline = plan_baseline(spec, &mut faults);
    let rollback_window = read_duration(&spec.rollback_window, "rollbackWindow", &mut faults);
    if faults.is_empty() {
        Ok(Plan {
            fingerprint: fingerprint(spec),
            stages,
            prerequisites: prerequisites_digest(spec),
            baseline,
            moves_database: spec.candidate.is_some(),
            rollback_window: rollback_window.unwrap_or_default(),
            tls_verified: tls_verified(spec),
        })
    } else {
        Err(faults)
    }
}

fn prerequisites_digest(spec: &DatabaseRolloutSpec) -> Option<String> {
    let asked: Vec<Check> = spec.prerequisites.iter().filter_map(Prerequisite::check).collect();
    let text = || serde_json::to_vec(&asked).unwrap_or_else(|_| format!("{asked:?}").into_bytes());
    (!asked.is_empty()).then(|| digest::public(&text()))
}

fn plan_baseline(spec: &DatabaseRolloutSpec, faults: &mut Vec<Fault>) -> Option<PlannedBaseline> {
    let baseline = spec.baseline.as_ref()?;
    let duration = read_duration(&baseline.duration, "baseline.duration", faults)?;
    let traffic = spec.traffic.iter().find(|traffic| traffic.name == baseline.traffic);
    let about = (baseline, traffic, &spec.legacy);
    let text = serde_json::to_vec(&about).unwrap_or_else(|_| format!("{about:?}").into_bytes());
    Some(PlannedBaseline { digest: digest::public(&text), duration })
}

fn tls_verified(spec: &DatabaseRolloutSpec) -> bool {
    [Some(&spec.legacy), spec.candidate.as_ref()].into_iter().flatten().all(|configuration| {
        configuration.connection.tls.as_ref().is_none_or(|tls| tls.mode == TlsMode::VerifyFull)
    })
}

/// Identifies a spec without its commands: pausing, approving or retrying voids no evidence.
fn fingerprint(spec: &DatabaseRolloutSpec) -> String {
    let plan_only = DatabaseRolloutSpec {
        active_config: ActiveConfig::Candidate,
        paused: false,
        retry: String::new(),
        approved_stages: Vec::new(),
        // How long the copy stays says nothing about what is moved where.
        rollback_window: String::new(),
        ..spec.clone()
    };
    // Serializing plain structs with string keys cannot fail; the Debug form identifies the spec just as well.
    let text = serde_json::to_vec(&plan_only).unwrap_or_else(|_| format!("{plan_only:?}").into_bytes());
    digest::public(&text)
}

/// Reads a duration that must be above zero; what is wrong with it becomes a fault.
fn read_duration(text: &str, field: &str, faults: &mut Vec<Fault>) -> Option<Duration> {
    match duration::parse(text) {
        Ok(duration) if !duration.is_zero() => Some(duration),
        Ok(_) => {
            faults.push(Fault::new("InvalidDuration", format!("{field} must be longer than zero")));
            None
        }
        Err(error) => {
            faults.push(Fault::new(
                "InvalidDuration",
                format!("{field}: {error}; write it like 90s, 5m or 1h30m"),
            ));
            None
        }
    }
}
