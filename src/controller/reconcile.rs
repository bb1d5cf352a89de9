//! One rollout: look, decide, record, act, and again until there is nothing to do but wait.

use std::{convert::Infallible, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};
use tokio::{sync::watch, time::Instant};
use tracing::Instrument;

use super::{context::Context, progress, runner};
use crate::{
    api::{DatabaseRollout, DatabaseRolloutStatus},
    cluster::{self, ClusterError, ErrorClass, Namespace, Snapshot, execute},
    engine::{self, Command, Decision, Effect, Input},
    load::LoadProgress,
    plan,
};

/// Reconciliations do not fail: what fails is paced here, per rollout.
pub(super) type Unreachable = Infallible;

/// Passes in one reconciliation; then others get their turn.
const PASSES_MAX: usize = 100;
/// A rollout at rest is looked at this often, in case a watch has silently died.
const REST: Duration = Duration::from_secs(600);
/// Pause before looking again after somebody else has changed what was looked at.
const AFTER_CONFLICT: Duration = Duration::from_millis(20);

/// So many conflicts in a row are looked into at once. What is refused more often is none: the schema of the cluster's CRD does
/// not know what is written, for one.
const CONFLICTS: u32 = 20;

/// Until the lease may be renewed, where it is nearly over.
const AFTER_LEASE: Duration = Duration::from_secs(1);

/// Longest pause after failures in a row.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

enum Next {
    Again,
    Wait(Duration),
}

pub(super) async fn reconcile(
    rollout: Arc<DatabaseRollout>,
    context: Arc<Context>,
) -> Result<Action, Unreachable> {
    let namespace =
        Namespace { client: context.client.clone(), name: rollout.namespace().unwrap_or_default() };
    let (name, uid) = (rollout.name_any(), rollout.uid().unwrap_or_default());
    let span = tracing::info_span!("rollout", rollout = %format!("{}/{name}", namespace.name));
    let generation = rollout.metadata.generation.unwrap_or_default();
    if let Some(left) = context.pause(&uid, generation) {
        return Ok(Action::requeue(left));
    }
    let action = async {
        for _ in 0..PASSES_MAX {
            let begun = Instant::now();
            let next = Box::pin(pass(&namespace, &name, &uid, &context)).await;
            context.metrics.pass(begun.elapsed());
            match next {
                Ok(Next::Again) => {}
                Ok(Next::Wait(delay)) => return Action::requeue(delay),
                Err(error) => return Action::requeue(pause_after(&context, &uid, generation, &error)),
            }
        }
        Action::requeue(AFTER_CONFLICT)
    };
    Ok(Box::pin(action.instrument(span)).await)
}

fn pause_after(context: &Context, uid: &str, generation: i64, error: &ClusterError) -> Duration {
    let is_conflict = is_conflict(error.class, context.failures(uid));
    if is_conflict {
        tracing::debug!(%error, "the world has changed since it was looked at; looking again");
    } else {
        tracing::warn!(%error, reason = error.reason, "a call to the API server failed; trying again");
    }
    let longest = if is_conflict { AFTER_CONFLICT } else { LONGEST_PAUSE };
    context.failed(uid, generation, error.to_string(), longest)
}

/// Whether looking again at once will do, after so many failures before.
fn is_conflict(class: ErrorClass, before: u32) -> bool {
    class == ErrorClass::Precondition && before < CONFLICTS
}

async fn pass(namespace: &Namespace, name: &str, uid: &str, context: &Context) -> Result<Next, ClusterError> {
    let Some(rollout) = read(namespace, name, uid).await? else {
        // Whatever still holds it: of a rollout that is being deleted nothing goes on.
        context.attempts.retain(uid, &[]);
        return Ok(Next::Wait(REST));
    };
    let plan = plan::build(name, &rollout.spec);
    let plan_ref = plan.as_ref().ok();
    let mut snapshot = match Snapshot::look(namespace, &rollout, plan_ref).await {
        Ok(snapshot) => snapshot,
        Err(error) => {
            tell_blindness(namespace, &rollout, &error, context).await;
            return Err(error);
        }
    };
    let mut observed = snapshot.observed(plan_ref, context.attempts.view(uid));
    let loads = context.attempts.loads(uid, Instant::now());
    observed.loads = loads.iter().flat_map(|(loads, _)| loads).map(progress::shown).collect();
    let previous = rollout.status.clone().unwrap_or_default();
    let now = truncate(Timestamp::now());
    let command = command(&rollout);
    let mut decision = engine::decide(&Input {
        name,
        uid,
        command: &command,
        plan: plan.as_ref().map_err(Vec::as_slice),
        recorded: &previous.recorded,
        observed: &observed,
        now,
    });
    add_trouble(&mut decision, context.trouble(uid));
    let generation = rollout.metadata.generation.unwrap_or_default();
    let status = engine::status(&decision, plan_ref, &observed, &previous, generation, now);
    context.metrics.phase(uid, status.phase);
    if !context.leadership.may_act(&namespace.name) {
        return Ok(Next::Wait(AFTER_LEASE));
    }
    if rollout.status.as_ref() != Some(&status) {
        let written = cluster::write_status(namespace, &rollout, &status).await?;
        context.metrics.status_written();
        snapshot.set_rollout(written);
    }
    // Only what is recorded has happened.
    context.attempts.retain(uid, &engine::wanted_attempts(&decision));
    tell(snapshot.rollout(), &decision, context);
    let Some(effect) = &decision.effect else {
        context.succeeded(uid);
        return Ok(match decision.wake {
            Some(delay) if delay.is_zero() => Next::Again,
            delay => {
                Next::Wait(delay.into_iter().chain(loads.map(|(_, due)| due)).min().unwrap_or(REST).min(REST))
            }
        });
    };
    if context.leadership.may_act(&namespace.name) {
        act(namespace, &snapshot, plan_ref, effect, uid, context).await?;
    }
    Ok(Next::Again)
}

/// The rollout as the API server has it now; `None` where it is gone, or another of its name has come.
async fn read(namespace: &Namespace, name: &str, uid: &str) -> Result<Option<DatabaseRollout>, ClusterError> {
    let api: Api<DatabaseRollout> = Api::namespaced(namespace.client.clone(), &namespace.name);
    let found = cluster::read_rollout(&api, name).await?;
    Ok(found.filter(|rollout| {
        rollout.uid().as_deref() == Some(uid) && rollout.metadata.deletion_timestamp.is_none()
    }))
}

fn command(rollout: &DatabaseRollout) -> Command {
    Command {
        active: rollout.spec.active_config,
        paused: rollout.spec.paused,
        retry: rollout.spec.retry.clone(),
        approved: rollout.spec.approved_stages.clone(),
    }
}

/// The wire format has microseconds; a finer time would differ from itself after a round trip.
fn truncate(now: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// An effect that keeps failing is told where people look.
fn add_trouble(decision: &mut Decision, trouble: Option<String>) {
    if let Some(trouble) = trouble {
        decision.outlook.message = format!("{} (last error: {trouble})", decision.outlook.message);
    }
}

/// Where the world cannot be read, nothing is decided; that much is told, if it can be.
async fn tell_blindness(
    namespace: &Namespace,
    rollout: &DatabaseRollout,
    error: &ClusterError,
    context: &Context,
) {
    if error.class != ErrorClass::Permanent {
        return;
    }
    let previous = rollout.status.clone().unwrap_or_default();
    let status =
        DatabaseRolloutStatus { message: format!("cannot look at the world: {error}"), ..previous.clone() };
    if status != previous && cluster::write_status(namespace, rollout, &status).await.is_ok() {
        context.metrics.status_written();
    }
}

fn tell(rollout: &DatabaseRollout, decision: &Decision, context: &Context) {
    for note in &decision.notes {
        let attempt = attempt_of(rollout, &note.stage);
        if note.warning {
            tracing::warn!(stage = note.stage, attempt, reason = note.reason, "{}", note.message);
        } else {
            tracing::info!(stage = note.stage, attempt, reason = note.reason, "{}", note.message);
        }
        context.metrics.transition(note.reason);
        context.events.tell(rollout, note);
    }
}

/// The number of a stage's present attempt: on every line that is about the stage.
fn attempt_of(rollout: &DatabaseRollout, stage: &str) -> Option<i64> {
    let stages = &rollout.status.as_ref()?.recorded.stages;
    stages.iter().find(|record| record.name == stage).map(|record| record.attempt)
}

async fn act(
    namespace: &Namespace,
    snapshot: &Snapshot,
    plan: Option<&plan::Plan>,
    effect: &Effect,
    uid: &str,
    context: &Context,
) -> Result<(), ClusterError> {
    if let Effect::StartAttempt { id, digest, until } = effect {
        let reference = ObjectRef::from_obj(snapshot.rollout());
        let span = tracing::info_span!("attempt", stage = id.stage(), kind = id.kind(), attempt = id.number);
        let job = runner::Job::new(namespace, snapshot, id, digest, *until);
        let metrics = context.metrics.attempts();
        let id_for_metrics = id.clone();
        let (progress, seen) = watch::channel(LoadProgress::default());
        let jobs = context.jobs.clone();
        let work = async move {
            let report = Box::pin(job.run(&jobs, progress)).await;
            metrics.count(&id_for_metrics, &report);
            report
        };
        context.attempts.start(uid, reference, id.clone(), seen, work.instrument(span));
        return Ok(());
    }
    let attempt = attempt_of(snapshot.rollout(), effect.stage());
    tracing::info!(stage = effect.stage(), attempt, effect = %effect, "acting");
    let outcome = execute::execute(namespace, snapshot, plan, effect).await;
    let word = outcome.as_ref().map_or_else(|error| error.reason.as_str(), |()| "Done");
    context.metrics.effect(effect.kind(), word);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_again_and_again_is_no_conflict() {
        assert!(is_conflict(ErrorClass::Precondition, CONFLICTS - 1));
        assert!(!is_conflict(ErrorClass::Precondition, CONFLICTS));
        assert!(!is_conflict(ErrorClass::Transient, 0));
    }
}
