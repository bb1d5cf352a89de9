//! Restarting workloads and waiting for their pods: the same on the way forward and on the way back.

use super::{
    model::{Effect, WorkloadObserved},
    pass::{PODS_POLL, Pass},
};

/// What the pod templates of a stage's workloads carry on the candidate. Names the stage, too: two stages in a row may
/// restart one workload, each for its own keys.
pub(super) fn candidate_token(pass: &Pass<'_>, stage: &str, attempt: i64) -> String {
    format!("{}/{}/candidate/{stage}/{attempt}", pass.input.uid, pass.next.run)
}

/// What the pod templates of all workloads carry after a rollback.
///
/// `restores` counts how often the keys were put back: a pod that started before the last time may have read others.
pub(super) fn legacy_token(pass: &Pass<'_>, rollback: i64, restores: i64) -> String {
    format!("{}/{}/legacy/{rollback}/{restores}", pass.input.uid, pass.next.run)
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

/// Restarts a workload that does not carry `token` yet. `true` once it does, or is gone: nothing of the old configuration
/// starts any more.
pub(super) fn restart(pass: &mut Pass<'_>, stage: &str, workload: &WorkloadObserved, token: &str) -> bool {
    if !workload.exists || workload.token.as_deref() == Some(token) {
        return true;
    }
    if !pass.effect_taken() {
        pass.take(Effect::Restart {
            stage: stage.to_owned(),
            workload: workload.workload.clone(),
            token: token.to_owned(),
        });
    }
    false
}

/// How far the pods are. Pods of an earlier template that can never become ready are deleted where their workload's
/// controller does not replace them: a restart must not need them.
pub(super) fn settle(pass: &mut Pass<'_>, stage: &str, workloads: &[WorkloadObserved]) -> Restarting {
    let (mut waiting, mut crashing, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for workload in workloads.iter().filter(|workload| !workload.exists || !workload.pods.settled()) {
        let (name, pods) = (&workload.workload, &workload.pods);
        if !workload.exists {
            missing.push(format!("{name} does not exist any more"));
            continue;
        }
        if let Some(pod) = pods.stuck.first().filter(|_| pods.template_seen && !pass.effect_taken()) {
            pass.take(Effect::DeletePod { stage: stage.to_owned(), pod: pod.clone() });
        }
        if pods.is_crashing() {
            crashing.push(format!("the pods of {name} crash: {pods}"));
        } else {
            waiting.push(format!("waits for the pods of {name} ({pods})"));
        }
    }
    if !waiting.is_empty() || !crashing.is_empty() {
        pass.look_again(PODS_POLL);
    }
    // What is there to be awaited comes first: on the way back a workload that is gone must not hide another.
    if !crashing.is_empty() {
        Restarting::Crashing(crashing.join("; "))
    } else if !waiting.is_empty() {
        Restarting::Waiting(waiting.join("; "))
    } else if !missing.is_empty() {
        Restarting::Missing(missing.join("; "))
    } else {
        Restarting::Settled
    }
}
