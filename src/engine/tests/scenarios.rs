//! The life of a rollout, told in sentences.

mod back;
mod forward;
mod loads;

use std::time::Duration;

use super::world::{DIAMOND, SINGLE, World};
use crate::{
    api::{ActiveConfig, ActiveNow, OnFailure, Phase, RollbackTrigger, StagePhase, Verdict},
    engine::{AttemptScope, copy_name, reasons},
};

fn checks(stage: &str) -> AttemptScope {
    AttemptScope::Checks(stage.to_owned())
}

fn effects_of(world: &World, word: &str) -> Vec<String> {
    world.effects.iter().filter(|effect| effect.contains(word)).cloned().collect()
}

fn command(world: &mut World, active: ActiveConfig) {
    world.spec.active_config = active;
}
