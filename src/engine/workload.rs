//! Restarting workloads and waiting for their pods: the same on the way forward and on the way back.

use super::{
    model::{Effect, WorkloadObserved},
    pass::{PODS_POLL, Pass},
};

/// Container restarts of new pods after which they are taken to be crashing, not starting.
pub(super) const CRASH_RESTARTS: i64 = 3;

/// What the pod templates of a stage's workloads carry on the candidate. Names the stage, too: two stages in a row may
/// restart one workload, each for its own keys.
pub(super) fn candidate_token(pass: &Pass<'_>, stage: &str, attempt: i64) -> String {
    format!("{}/{}/candidate/{stage}/{attempt}", pass.input.uid, pass.next.run)
}

/// What the pod templates of all workloads carry after a rollback.
pub(super) fn legacy_token(pass: &Pass<'_>, rollback: i64) -> String {
    format!("{}/{}/legacy/{rollback}", pass.input.uid, pass.next.run)
}

/// How far the workloads of a stage are.
pub(super) enum Restarting {
    /// Every pod runs the present configuration and is ready.
    Settled,
    /// An effect was asked for, or pods are awaited; what for.
    Waiting(String),
    /// They will not get ready; why.
    Crashing(String),
    /// They do not exist any more.
    Missing(String),
}

/// Restarts every workload that does not carry `token` yet.
///
/// Returns `true` once all of them do (or are gone): nothing of the old configuration starts any more.
pub(super) fn restart_all(
    pass: &mut Pass<'_>,
    stage: &str,
    workloads: &[WorkloadObserved],
    token: &str,
) -> bool {
    let mut all = true;
    for workload in workloads.iter().filter(|w| w.exists && w.token.as_deref() != Some(token)) {
        all = false;
        if !pass.effect_taken() {
            pass.take(Effect::Restart {
                stage: stage.to_owned(),
                workload: workload.workload.clone(),
                token: token.to_owned(),
            });
        }
    }
    if !all {
        pass.look_again(std::time::Duration::ZERO);
    }
    all
}

/// How far the pods are. Pods of an earlier template that can never become ready are deleted where their workload's
/// controller does not replace them: a restart must not need them.
pub(super) fn settle(pass: &mut Pass<'_>, stage: &str, workloads: &[WorkloadObserved]) -> Restarting {
    let mut waiting = Vec::new();
    for workload in workloads {
        let name = &workload.workload;
        if !workload.exists {
            return Restarting::Missing(format!("{name} does not exist any more"));
        }
        if workload.pods.settled() {
            continue;
        }
        if workload.pods.restarts >= CRASH_RESTARTS {
            return Restarting::Crashing(format!("the pods of {name} crash: {}", workload.pods));
        }
        if let Some(pod) =
            workload.pods.stuck.first().filter(|_| workload.pods.template_seen && !pass.effect_taken())
        {
            pass.take(Effect::DeletePod { stage: stage.to_owned(), pod: pod.clone() });
        }
        waiting.push(format!("{name} ({})", workload.pods));
    }
    if waiting.is_empty() {
        return Restarting::Settled;
    }
    pass.look_again(PODS_POLL);
    Restarting::Waiting(format!("waits for the pods of {}", waiting.join(", ")))
}
