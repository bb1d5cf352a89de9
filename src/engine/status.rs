//! The status from a decision: the recorded part as it is, the derived part for people and for kstatus.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{
    evidence,
    model::{CopyState, Decision, Observed, Outlook},
    pass::wanted_attempts,
    reasons,
};
use crate::{
    api::{ActiveNow, DatabaseRolloutStatus, LatencySoFar, LoadInProgress, Phase, Recorded, StagePhase},
    plan::{Plan, timeline},
    text::{clip, micros},
};

/// Longest message in a condition or in `status.message`: a status is read in a terminal.
const MESSAGE_MAX_CHARS: usize = 1024;

/// The whole status. `previous` gives the conditions their transition times: they move only when a condition flips.
#[must_use]
pub fn status(
    decision: &Decision,
    plan: Option<&Plan>,
    observed: &Observed,
    previous: &DatabaseRolloutStatus,
    generation: i64,
    now: Timestamp,
) -> DatabaseRolloutStatus {
    let recorded = decision.recorded.clone();
    let outlook = &decision.outlook;
    let facts = Facts { recorded: &recorded, outlook, plan, copy: &observed.copy };
    let conditions = facts.conditions();
    let loads = loads(decision, observed);
    DatabaseRolloutStatus {
        observed_generation: generation,
        phase: outlook.phase,
        message: clip(&with_loads(&outlook.message, &loads), MESSAGE_MAX_CHARS),
        active_config: active_now(&recorded),
        current_stage: current_stages(&recorded),
        progress: progress(&recorded),
        plan: plan.map(|plan| timeline(plan, &recorded.stages)),
        loads,
        conditions: dated(conditions, previous, generation, now),
        recorded,
    }
}

/// The loads that run and are still wanted.
fn loads(decision: &Decision, observed: &Observed) -> Vec<LoadInProgress> {
    if observed.loads.is_empty() {
        return Vec::new();
    }
    let wanted = wanted_attempts(&decision.recorded, &decision.outlook);
    let running = observed.loads.iter().filter(|(id, _)| wanted.contains(id));
    running.map(|(_, load)| load.clone()).collect()
}

fn with_loads(message: &str, loads: &[LoadInProgress]) -> String {
    let told = loads.iter().map(|load| {
        format!(
            "{}: {} of {} s, {}/s, {} answered, {} failed{}{}",
            load.name,
            load.elapsed_seconds,
            load.duration_seconds,
            load.rate,
            load.ok,
            load.failed,
            latency("legacy", load.legacy),
            latency("candidate", load.candidate),
        )
    });
    [message.to_owned()].into_iter().chain(told).collect::<Vec<_>>().join("; ")
}

/// ", legacy p50 0.40 ms, p95 1.20 ms", as far as it can be told.
fn latency(side: &str, latency: Option<LatencySoFar>) -> String {
    let LatencySoFar { p50_us, p95_us, p99_us } = latency.unwrap_or_default();
    let told = [("p50", p50_us), ("p95", p95_us), ("p99", p99_us)].into_iter().filter_map(|(name, us)| {
        let us = u64::try_from(us?).unwrap_or(0);
        Some(format!("{name} {}", micros(us)))
    });
    let told = told.collect::<Vec<_>>().join(", ");
    if told.is_empty() { told } else { format!(", {side} {told}") }
}

fn active_now(recorded: &Recorded) -> ActiveNow {
    let promoted = |phase| matches!(phase, StagePhase::Soaking | StagePhase::Done);
    if recorded.stages.iter().all(|stage| stage.promoted_at.is_none()) {
        ActiveNow::Legacy
    } else if recorded.stages.iter().all(|stage| promoted(stage.phase)) {
        ActiveNow::Candidate
    } else {
        ActiveNow::Mixed
    }
}

fn current_stages(recorded: &Recorded) -> String {
    let current: Vec<&str> = recorded
        .stages
        .iter()
        .filter(|stage| {
            !matches!(stage.phase, StagePhase::Waiting | StagePhase::Done | StagePhase::RolledBack)
        })
        .map(|stage| stage.name.as_str())
        .collect();
    current.join(",")
}

fn progress(recorded: &Recorded) -> String {
    let done = recorded.stages.iter().filter(|stage| stage.phase == StagePhase::Done).count();
    format!("{done}/{}", recorded.stages.len())
}

/// A condition before it has a date. Abnormal ones are there only while they are true.
struct Undated {
    kind: &'static str,
    status: bool,
    reason: String,
    message: String,
}

struct Facts<'a> {
    recorded: &'a Recorded,
    outlook: &'a Outlook,
    plan: Option<&'a Plan>,
    copy: &'a CopyState,
}

impl Facts<'_> {
    fn conditions(&self) -> Vec<Undated> {
        let mut all = vec![self.ready(), self.accepted(), self.legacy_preserved(), self.rollback_safe()];
        all.extend(self.reconciling());
        all.extend(self.stalled());
        all.extend(self.baseline_captured());
        all.extend(self.limit_below_baseline());
        all.extend(self.noise_shared());
        all.extend(self.tls_verified());
        all.extend(self.outlook.ownership_conflict.as_ref().map(|message| Undated {
            kind: "OwnershipConflict",
            status: true,
            reason: reasons::OWNERSHIP_CONFLICT.to_owned(),
            message: message.clone(),
        }));
        all
    }

    fn ready(&self) -> Undated {
        let at_rest = matches!(self.outlook.phase, Phase::Completed | Phase::RolledBack);
        Undated {
            kind: "Ready",
            status: at_rest && self.outlook.stalled.is_none() && self.outlook.rejected.is_none(),
            reason: format!("{:?}", self.outlook.phase),
            message: self.outlook.message.clone(),
        }
    }

    fn reconciling(&self) -> Option<Undated> {
        let moving =
            !matches!(self.outlook.phase, Phase::Completed | Phase::RolledBack | Phase::Paused | Phase::Held);
        (moving && self.outlook.stalled.is_none() && self.outlook.rejected.is_none()).then(|| Undated {
            kind: "Reconciling",
            status: true,
            reason: format!("{:?}", self.outlook.phase),
            message: self.outlook.message.clone(),
        })
    }

    fn stalled(&self) -> Option<Undated> {
        let reason =
            self.outlook.rejected.as_ref().map(|(reason, _)| reason.as_str()).or(self.outlook.stalled)?;
        Some(Undated {
            kind: "Stalled",
            status: true,
            reason: reason.to_owned(),
            message: self.outlook.message.clone(),
        })
    }

    fn accepted(&self) -> Undated {
        let (status, reason, message) = match &self.outlook.rejected {
            None => (true, "Accepted".to_owned(), "the spec is a plan that can be carried out".to_owned()),
            Some((reason, message)) => (false, reason.clone(), message.clone()),
        };
        Undated { kind: "Accepted", status, reason, message }
    }

    fn legacy_preserved(&self) -> Undated {
        let (status, reason, message) = match (&self.recorded.legacy, self.copy) {
            (None, _) => (false, "NotYet", "nothing is preserved, and nothing was touched".to_owned()),
            (Some(_), _) if self.recorded.released_at.is_some() => {
                (false, reasons::LEGACY_RELEASED, "the copy was deleted after the rollback window".to_owned())
            }
            (Some(legacy), CopyState::Intact { digest, .. }) if *digest == legacy.digest => (
                true,
                reasons::LEGACY_PRESERVED,
                format!("{} keys in Secret/{}, digest {}", legacy.keys, legacy.secret_name, legacy.digest),
            ),
            (Some(legacy), _) => (
                false,
                reasons::LEGACY_COPY_DAMAGED,
                format!("Secret/{} is not what was preserved", legacy.secret_name),
            ),
        };
        Undated { kind: "LegacyPreserved", status, reason: reason.to_owned(), message }
    }

    fn baseline_captured(&self) -> Option<Undated> {
        self.plan?.baseline.as_ref()?;
        let result = self.recorded.baseline.as_ref().and_then(|baseline| baseline.result.as_ref());
        Some(Undated {
            kind: "BaselineCaptured",
            status: result.is_some(),
            reason: if result.is_some() { reasons::BASELINE_CAPTURED } else { "NotYet" }.to_owned(),
            message: result
                .map_or_else(|| "legacy has not been measured yet".to_owned(), |r| r.message.clone()),
        })
    }

    fn limit_below_baseline(&self) -> Option<Undated> {
        let below = evidence::limits_below_baseline(self.plan?, self.recorded);
        let messages: Vec<String> = below.into_iter().map(|(_, message)| message).collect();
        (!messages.is_empty()).then(|| Undated {
            kind: "LimitBelowBaseline",
            status: true,
            reason: reasons::LIMIT_BELOW_BASELINE.to_owned(),
            message: messages.join("; "),
        })
    }

    /// Of the latest duet; absent where none could tell.
    fn noise_shared(&self) -> Option<Undated> {
        let is_shared = evidence::latest_noise(self.recorded)?;
        let reason = if is_shared { reasons::NOISE_SHARED } else { reasons::NOISE_NOT_SHARED };
        Some(Undated {
            kind: "NoiseShared",
            status: is_shared,
            reason: reason.to_owned(),
            message: evidence::noise(is_shared).to_owned(),
        })
    }

    fn tls_verified(&self) -> Option<Undated> {
        let verified = self.plan?.tls_verified;
        (!verified).then(|| Undated {
            kind: "TLSVerified",
            status: false,
            reason: "WeakerThanVerifyFull".to_owned(),
            message: "spec.legacy or spec.candidate asks for TLS weaker than VerifyFull: whoever answers is believed"
                .to_owned(),
        })
    }

    /// Whether going back is possible, and loses nothing.
    fn rollback_safe(&self) -> Undated {
        let (status, reason, message) = self.way_back();
        Undated { kind: "RollbackSafe", status, reason: reason.to_owned(), message }
    }

    fn way_back(&self) -> (bool, &'static str, String) {
        if self.recorded.released_at.is_some() {
            return (
                false,
                reasons::ROLLBACK_WINDOW_OVER,
                "the preserved copy was deleted after the rollback window".to_owned(),
            );
        }
        let preserved = self.legacy_preserved();
        if self.recorded.legacy.is_some() && !preserved.status {
            return (false, reasons::LEGACY_COPY_DAMAGED, preserved.message);
        }
        let writing: Vec<&str> = self
            .recorded
            .stages
            .iter()
            .filter(|record| record.promoted_at.is_some() && record.writes)
            .map(|record| record.name.as_str())
            .collect();
        if writing.is_empty() {
            return (true, "NothingToLose", "going back is possible and loses nothing".to_owned());
        }
        (
            false,
            "WritesOnCandidate",
            format!(
                "going back is possible, but loses what stages {} have written to the candidate since",
                writing.join(", ")
            ),
        )
    }
}

fn dated(
    conditions: Vec<Undated>,
    previous: &DatabaseRolloutStatus,
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    // The wire format has whole seconds; a finer time would differ from itself after a round trip.
    let now = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
    conditions
        .into_iter()
        .map(|condition| {
            let status = if condition.status { "True" } else { "False" }.to_owned();
            let since = previous
                .conditions
                .iter()
                .find(|old| old.type_ == condition.kind && old.status == status)
                .map_or_else(|| now.clone(), |old| old.last_transition_time.clone());
            Condition {
                type_: condition.kind.to_owned(),
                status,
                reason: condition.reason,
                message: clip(&condition.message, MESSAGE_MAX_CHARS),
                observed_generation: Some(generation),
                last_transition_time: since,
            }
        })
        .collect()
}
