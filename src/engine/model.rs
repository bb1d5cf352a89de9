//! What the engine is given and what it answers: the world as observed, the decision, the effect.
//!
//! No value of a configuration gets here. The shell compares values and hands over keyed digests.

use std::{collections::BTreeMap, fmt, time::Duration};

use jiff::Timestamp;

use crate::{
    api::{ActiveConfig, CheckResult, LoadInProgress, LoadResult, Phase, Recorded, WorkloadReference},
    plan::{Fault, Footprint, ObjectReference, Plan},
};

/// Everything a decision rests on.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The rollout's name; the preserved copies are named after it.
    pub name: &'a str,
    /// The rollout's uid; the restarts carry it, so that no other rollout's restart is taken for ours.
    pub uid: &'a str,
    /// What the spec commands.
    pub command: &'a Command,
    /// What the spec plans, or every fault of it.
    pub plan: Result<&'a Plan, &'a [Fault]>,
    /// What was recorded.
    pub recorded: &'a Recorded,
    /// What was just seen.
    pub observed: &'a Observed,
    /// The time of the look.
    pub now: Timestamp,
}

/// The commands of a spec: the fields that say what to do now, not what the plan is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Command {
    /// The configuration that shall be active.
    pub active: ActiveConfig,
    /// Hold.
    pub paused: bool,
    /// A new value releases a latched failure.
    pub retry: String,
    /// Stages that a person let go on.
    pub approved: Vec<String>,
}

/// A look at the world.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observed {
    /// Keys that an earlier rollout holds.
    pub conflicts: Vec<Fault>,
    /// Prerequisites that do not hold, and why.
    pub unmet: Vec<String>,
    /// What the rollout as a whole refers to and does not exist, or cannot be used.
    pub missing: Vec<String>,
    /// The preserved copy.
    pub copy: CopyState,
    /// The plan's stages.
    pub forward: BTreeMap<String, StageObserved>,
    /// The stages of the preserved copy: what a rollback restores, whatever the spec says by now.
    pub backward: BTreeMap<String, StageObserved>,
    /// The attempts that this process runs or has finished.
    pub attempts: BTreeMap<AttemptId, AttemptState>,
    /// How far the loads among them are. Shown, and never decided by.
    pub loads: BTreeMap<AttemptId, LoadInProgress>,
}

/// The preserved copy, as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CopyState {
    /// There is none of that name.
    #[default]
    Absent,
    /// There is a Secret of that name that is not this rollout's copy; what it is.
    Foreign(String),
    /// Its digest is not the recorded one, or it cannot be read.
    Damaged(String),
    /// It is as it was written. What it covers, by stage.
    Intact {
        /// Its keyed digest.
        digest: String,
        /// What it holds, by stage.
        footprints: BTreeMap<String, Footprint>,
    },
}

/// A stage's objects.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StageObserved {
    /// What does not exist or cannot be used: Secrets, keys, ConfigMaps, workloads, by name.
    pub missing: Vec<String>,
    /// What evidence about the stage is about: the plan, the values to write, the objects. Unknown before there is a copy.
    pub digest: Option<String>,
    /// The objects it writes.
    pub bindings: Vec<BindingObserved>,
    /// The workloads it restarts.
    pub workloads: Vec<WorkloadObserved>,
}

/// One object that a stage writes, its values as keyed digests over the stage's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindingObserved {
    /// The object.
    pub object: ObjectReference,
    /// The keys.
    pub keys: Vec<String>,
    /// The values that it holds; `None` where it does not exist.
    pub live: Option<String>,
    /// The values that the candidate wants there; `None` where a source is missing.
    pub desired: Option<String>,
    /// The values that legacy wants there; `None` where they were not preserved.
    pub legacy: Option<String>,
    /// The field manager, other than cutover, that last changed one of the keys.
    pub other_manager: Option<String>,
}

/// One workload and its pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadObserved {
    /// The workload.
    pub workload: WorkloadReference,
    /// Whether it exists.
    pub exists: bool,
    /// The restart that its pod template carries.
    pub token: Option<String>,
    /// The pods.
    pub pods: Pods,
}

/// Container restarts of a new pod after which it is taken to be crashing, not starting.
const CRASH_RESTARTS: i64 = 3;

/// The pods of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pods {
    /// The workload's controller has seen the present pod template.
    pub template_seen: bool,
    /// Pods that there should be.
    pub desired: i64,
    /// Pods of the present template that are ready.
    pub ready: i64,
    /// Pods of an earlier template that are not gone.
    pub old: i64,
    /// Container restarts of the pods of the present template, in all.
    pub restarts: i64,
    /// Container restarts of that one of them that restarted most.
    pub most_restarts: i64,
    /// Pods of an earlier template that are not ready and that the workload's controller will not replace.
    pub stuck: Vec<PodReference>,
}

/// One pod, and no other of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodReference {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl Pods {
    /// Every pod runs the present template and is ready, and no other pod is left.
    #[must_use]
    pub fn settled(&self) -> bool {
        self.template_seen && self.old == 0 && self.ready >= self.desired
    }

    /// A pod of the present template has restarted so often that it crashes, rather than starts.
    #[must_use]
    pub fn is_crashing(&self) -> bool {
        self.most_restarts >= CRASH_RESTARTS
    }
}

impl fmt::Display for Pods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ready, {} old, {} restarts", self.ready, self.desired, self.old, self.restarts)
    }
}

/// What an attempt is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttemptScope {
    /// The prerequisites that have to be asked.
    Prerequisites,
    /// Measuring legacy.
    Baseline,
    /// A stage's checks.
    Checks(String),
    /// A stage's load.
    Load(String),
    /// A stage's checks, again and again until the soak is over.
    Soak(String),
    /// A stage's load while it soaks.
    SoakLoad(String),
    /// All checks once more, and the baseline's load.
    Final,
    /// Whether legacy can serve.
    LegacyProbe,
}

/// An attempt. Its number only grows within its scope.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttemptId {
    /// What it is about.
    pub scope: AttemptScope,
    /// Its number.
    pub number: i64,
}

impl AttemptId {
    /// The stage it is about; empty where it is about the rollout.
    #[must_use]
    pub fn stage(&self) -> &str {
        match &self.scope {
            AttemptScope::Checks(stage)
            | AttemptScope::Load(stage)
            | AttemptScope::Soak(stage)
            | AttemptScope::SoakLoad(stage) => stage,
            AttemptScope::Prerequisites
            | AttemptScope::Baseline
            | AttemptScope::Final
            | AttemptScope::LegacyProbe => "",
        }
    }

    /// Whether a load is, or may be, part of it.
    #[must_use]
    pub fn has_load(&self) -> bool {
        matches!(
            self.scope,
            AttemptScope::Baseline | AttemptScope::Load(_) | AttemptScope::SoakLoad(_) | AttemptScope::Final
        )
    }

    /// What its load is called in the status; unique among those of a rollout.
    #[must_use]
    pub fn load_name(&self) -> String {
        match &self.scope {
            AttemptScope::SoakLoad(stage) => format!("{stage}.soak"),
            AttemptScope::Load(stage) => format!("{stage}.load"),
            _ => self.kind().to_owned(),
        }
    }

    /// A word for the kind, for logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.scope {
            AttemptScope::Prerequisites => "prerequisites",
            AttemptScope::Baseline => "baseline",
            AttemptScope::Checks(_) => "checks",
            AttemptScope::Load(_) => "load",
            AttemptScope::Soak(_) => "soak",
            AttemptScope::SoakLoad(_) => "soakLoad",
            AttemptScope::Final => "final",
            AttemptScope::LegacyProbe => "legacyProbe",
        }
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stage() {
            "" => write!(f, "{} #{}", self.kind(), self.number),
            stage => write!(f, "{} of stage {stage} #{}", self.kind(), self.number),
        }
    }
}

/// An attempt as this process knows it. One that it does not know was lost with another process.
#[derive(Debug, Clone, PartialEq)]
pub enum AttemptState {
    /// It runs.
    Running,
    /// It is over.
    Finished(Box<Report>),
}

/// What an attempt brought back.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// What it was evidence about when it began.
    pub digest: String,
    /// The checks' answers.
    pub checks: Vec<CheckResult>,
    /// The load's.
    pub load: Option<LoadResult>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What to record before the effect.
    pub recorded: Recorded,
    /// The one thing to do.
    pub effect: Option<Effect>,
    /// When to look again if nothing wakes us earlier; `None`: nothing is waited for.
    pub wake: Option<Duration>,
    /// What has happened, for events, logs and metrics.
    pub notes: Vec<Note>,
    /// For people.
    pub outlook: Outlook,
}

/// One thing to do. All but the attempts change an object of the cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Copy the legacy values of every key of the plan into an immutable Secret.
    Preserve {
        /// The Secret.
        secret_name: String,
    },
    /// Begin an attempt, beside the loop.
    StartAttempt {
        /// Which.
        id: AttemptId,
        /// What it will be evidence about.
        digest: String,
        /// Until when a soak samples.
        until: Option<Timestamp>,
    },
    /// Write the candidate's values to an object.
    Promote {
        /// The stage.
        stage: String,
        /// The object.
        object: ObjectReference,
        /// Digest of the values as decided. The values themselves come from the very snapshot that was decided about.
        desired: String,
    },
    /// Put the legacy values back into an object.
    Restore {
        /// The stage.
        stage: String,
        /// The object.
        object: ObjectReference,
    },
    /// Make a workload replace its pods.
    Restart {
        /// The stage.
        stage: String,
        /// The workload.
        workload: WorkloadReference,
        /// What its pod template will carry.
        token: String,
    },
    /// Delete a pod of an earlier template that can never become ready: a StatefulSet does not replace it by itself.
    DeletePod {
        /// The stage.
        stage: String,
        /// The pod.
        pod: PodReference,
    },
    /// Delete the preserved copies: the rollback window is over.
    Release {
        /// The Secrets.
        secret_names: Vec<String>,
    },
}

impl Effect {
    /// A word for the kind, for metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Preserve { .. } => "preserve",
            Self::StartAttempt { .. } => "startAttempt",
            Self::Promote { .. } => "promote",
            Self::Restore { .. } => "restore",
            Self::Restart { .. } => "restart",
            Self::DeletePod { .. } => "deletePod",
            Self::Release { .. } => "release",
        }
    }

    /// The stage that it is done for; empty where it is done for the rollout.
    #[must_use]
    pub fn stage(&self) -> &str {
        match self {
            Self::Preserve { .. } | Self::Release { .. } => "",
            Self::StartAttempt { id, .. } => id.stage(),
            Self::Promote { stage, .. }
            | Self::Restore { stage, .. }
            | Self::Restart { stage, .. }
            | Self::DeletePod { stage, .. } => stage,
        }
    }

    /// Whether it changes an object of the cluster, so that its intent is journalled.
    #[must_use]
    pub fn is_external(&self) -> bool {
        !matches!(self, Self::StartAttempt { .. })
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preserve { secret_name } => write!(f, "preserve legacy in Secret/{secret_name}"),
            Self::StartAttempt { id, .. } => write!(f, "start {id}"),
            Self::Promote { stage, object, .. } => write!(f, "promote stage {stage}: write {object}"),
            Self::Restore { stage, object } => write!(f, "roll back stage {stage}: restore {object}"),
            Self::Restart { stage, workload, .. } => write!(f, "stage {stage}: restart {workload}"),
            Self::DeletePod { stage, pod } => write!(f, "stage {stage}: delete stuck Pod/{}", pod.name),
            Self::Release { secret_names } => write!(f, "delete {} preserved copies", secret_names.len()),
        }
    }
}

/// Something that has happened. `reason` is at once the event's reason, the history's and the metric's label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// A CamelCase word of [`super::reasons`].
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
    /// Whether somebody should look.
    pub warning: bool,
    /// The stage; empty where it is about the rollout.
    pub stage: String,
}

/// How things stand, for people and for conditions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outlook {
    /// In a word.
    pub phase: Phase,
    /// What is going on, what it waits for, when it looks next.
    pub message: String,
    /// A reason, where it cannot go on without somebody.
    pub stalled: Option<&'static str>,
    /// The faults, where the spec was not accepted: reason and message.
    pub rejected: Option<(String, String)>,
    /// Who reverted what, where another manager did.
    pub ownership_conflict: Option<String>,
}
