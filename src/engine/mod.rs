//! The policy of the product, as a pure function: what was recorded and what was observed go in, what to record and the
//! one next effect come out.
//!
//! Knows no tokio, no Kubernetes client, no PostgreSQL, and reads no clock. Nothing in process memory is needed to go on.

mod admission;
mod baseline;
mod evidence;
mod finish;
mod model;
mod pass;
mod prerequisites;
pub mod reasons;
mod rollback;
mod stage;
mod status;
#[cfg(test)]
mod tests;
mod workload;

pub use model::{
    AttemptId, AttemptScope, AttemptState, BindingObserved, Command, CopyState, Decision, Effect, Input,
    Note, Observed, Outlook, PodReference, Pods, Report, StageObserved, WorkloadObserved,
};
pub use pass::copy_name;
pub use status::status;

use crate::api::{ActiveConfig, Phase, RollbackPhase};
use pass::Pass;

/// Decides what to record and what to do next.
#[must_use]
pub fn decide(input: &Input<'_>) -> Decision {
    let mut pass = Pass::new(input);
    let outlook = next_step(&mut pass);
    pass.into_decision(outlook)
}

/// The attempts that the record still wants; a process that runs others cancels them.
#[must_use]
pub fn wanted_attempts(decision: &Decision) -> Vec<AttemptId> {
    pass::wanted_attempts(&decision.recorded, &decision.outlook)
}

/// From the most urgent to the least: a rollback outranks everything.
fn next_step(pass: &mut Pass<'_>) -> Outlook {
    if pass.next.released_at.is_some() {
        return finish::released(pass);
    }
    if let Some(outlook) = rollback::step(pass) {
        return outlook;
    }
    if pass.input.command.active == ActiveConfig::Legacy {
        return rollback::resting_on_legacy(pass);
    }
    let plan = match admission::admit(pass) {
        Ok(plan) => plan,
        Err(outlook) => return outlook,
    };
    if let Some(outlook) = admission::latched(pass, plan) {
        return outlook;
    }
    if pass.input.command.paused && pass.next.completed_at.is_none() {
        return Pass::outlook(Phase::Paused, "paused by spec.paused; set it to false to go on".to_owned());
    }
    if let Some(outlook) = admission::wait_for_world(pass, plan) {
        return outlook;
    }
    if let Some(outlook) = finish::after_window(pass, plan) {
        return outlook;
    }
    if let Some(outlook) = prerequisites::step(pass, plan) {
        return outlook;
    }
    if let Some(outlook) = baseline::preserve(pass, plan).or_else(|| baseline::measure(pass, plan)) {
        return outlook;
    }
    if let Some(outlook) = stage::step_all(pass, plan) {
        return outlook;
    }
    finish::step(pass, plan)
}

/// Whether the present run has ended on legacy, so that going forward begins a new one.
fn run_is_over(pass: &Pass<'_>) -> bool {
    pass.next.run == 0
        || pass
            .next
            .rollback
            .as_ref()
            .is_some_and(|rollback| rollback.run == pass.next.run && rollback.phase == RollbackPhase::Done)
}
