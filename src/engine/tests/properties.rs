//! Properties over random courses of events, on graphs that are too large to exhaust.

use proptest::prelude::*;

use super::world::{DIAMOND, World};
use crate::{
    api::{ActiveConfig, DatabaseRolloutStatus, Phase, Verdict},
    engine::{AttemptScope, AttemptState},
};

#[derive(Debug, Clone)]
enum Event {
    Pass,
    World(i64),
    Verdict(u8, u8),
    Restart,
    Crash(u8),
    Heal,
    Rotate,
    Active(bool),
    Pause(bool),
    Retry(u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => Just(Event::Pass),
        6 => (1..40_i64).prop_map(Event::World),
        2 => (0..10_u8, 0..3_u8).prop_map(|(scope, verdict)| Event::Verdict(scope, verdict)),
        1 => Just(Event::Restart),
        1 => (0..3_u8).prop_map(Event::Crash),
        1 => Just(Event::Heal),
        1 => Just(Event::Rotate),
        1 => any::<bool>().prop_map(Event::Active),
        1 => any::<bool>().prop_map(Event::Pause),
        1 => (0..3_u8).prop_map(Event::Retry),
    ]
}

fn scope(number: u8) -> AttemptScope {
    let stage = || ["a", "b", "w"][usize::from(number % 3)].to_owned();
    match number {
        0..3 => AttemptScope::Checks(stage()),
        3 => AttemptScope::Load("a".into()),
        4 => AttemptScope::Soak("w".into()),
        5 => AttemptScope::Final,
        6 => AttemptScope::LegacyProbe,
        7 => AttemptScope::SoakLoad("w".into()),
        _ => AttemptScope::Baseline,
    }
}

fn apply(world: &mut World, event: &Event) {
    match event {
        Event::Pass => drop(world.pass()),
        Event::World(seconds) => world.world_moves(*seconds),
        Event::Verdict(number, verdict) => {
            let verdict = [Verdict::Pass, Verdict::Fail, Verdict::Error][usize::from(*verdict)];
            world.verdicts.insert(scope(*number), verdict);
        }
        Event::Restart => world.operator_restarts(),
        Event::Crash(workload) => {
            let name = ["Deployment/a", "StatefulSet/b", "DaemonSet/w"][usize::from(*workload)];
            world.crashing.insert(name.into());
        }
        Event::Heal => {
            world.crashing.clear();
            world.verdicts.clear();
        }
        Event::Rotate => world.candidate += 1,
        Event::Active(legacy) => {
            world.spec.active_config = if *legacy { ActiveConfig::Legacy } else { ActiveConfig::Candidate };
        }
        Event::Pause(paused) => world.spec.paused = *paused,
        Event::Retry(value) => world.spec.retry = value.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    /// P5, P6, P7, P12 (the world asserts the last two at every step).
    #[test]
    fn whatever_happened_faults_over_it_gets_back_and_gets_there(events in prop::collection::vec(event(), 1..120)) {
        let mut world = World::new(DIAMOND);
        events.iter().for_each(|event| apply(&mut world, event));
        world.crashing.clear();
        world.verdicts.clear();
        let mut back = world.clone();
        back.spec.active_config = ActiveConfig::Legacy;
        back.run_until(Phase::RolledBack);
        prop_assert!(back.all_on("legacy"));
        let mut there = world;
        there.spec.active_config = ActiveConfig::Candidate;
        there.spec.paused = false;
        for retry in 0..3 {
            there.spec.retry = format!("at last {retry}");
            there.run_until_rest();
        }
        prop_assert_eq!(there.status.phase, Phase::Completed);
        // A Secret that is rotated after the completion is not promoted by itself, so any version of it is right.
        prop_assert!(there.live.values().all(|value| value.starts_with("candidate")));
    }

    /// P2: a decision that rests on an older record never gets to its effect, because recording it fails; and one that
    /// rests on an older look at the world asks for nothing that the guards of a write would let through.
    #[test]
    fn an_old_snapshot_never_leads_to_an_unsafe_write(
        events in prop::collection::vec(event(), 1..80),
        late in prop::collection::vec(event(), 1..10),
    ) {
        let mut world = World::new(DIAMOND);
        events.iter().for_each(|event| apply(&mut world, event));
        let old = world.clone();
        let stale = old.decide();
        late.iter().for_each(|event| apply(&mut world, event));
        // The compare-and-swap: the record and the spec must still be the ones that were decided about.
        let swaps = world.status == old.status && world.spec == old.spec;
        let Some(effect) = stale.effect.filter(|_| swaps) else { return Ok(()) };
        // The guard: the value that is replaced must still be the one that was seen.
        let guarded = match &effect {
            crate::engine::Effect::Promote { object, .. } | crate::engine::Effect::Restore { object, .. } => {
                world.live.get(object) == old.live.get(object)
            }
            crate::engine::Effect::Preserve { .. } => world.copy.is_none(),
            crate::engine::Effect::StartAttempt { id, .. } => !world.attempts.contains_key(id),
            _ => true,
        };
        if guarded && world.candidate == old.candidate {
            world.status.recorded = stale.recorded;
            world.apply(&effect);
        }
    }

    /// P12: a status survives the wire, and one of an older version still parses.
    #[test]
    fn a_status_survives_the_wire(events in prop::collection::vec(event(), 1..80)) {
        let mut world = World::new(DIAMOND);
        events.iter().for_each(|event| apply(&mut world, event));
        let text = serde_json::to_string(&world.status).expect("JSON");
        let read: DatabaseRolloutStatus = serde_json::from_str(&text).expect("a status");
        prop_assert_eq!(&read, &world.status);
    }

    /// P4: once nothing is due, another pass writes nothing.
    #[test]
    fn a_second_pass_writes_nothing(events in prop::collection::vec(event(), 1..120)) {
        let mut world = World::new(DIAMOND);
        events.iter().for_each(|event| apply(&mut world, event));
        world.settle();
        let (writes, effects) = (world.status_writes, world.effects.len());
        world.settle();
        prop_assert_eq!((writes, effects), (world.status_writes, world.effects.len()));
    }
}

#[test]
fn a_status_of_an_earlier_version_parses() {
    let status: DatabaseRolloutStatus = serde_json::from_str(
        r#"{"phase":"Completed","run":1,"stages":[{"name":"a","phase":"Done","unknown":1}]}"#,
    )
    .expect("unknown fields are ignored, missing ones have defaults");
    assert_eq!(status.recorded.stages[0].name, "a");
}

#[test]
fn attempts_of_the_past_count_for_nothing() {
    let mut world = World::new(DIAMOND);
    world.run_until_stage("a", crate::api::StagePhase::Checking);
    let old: Vec<_> = world.attempts.keys().cloned().collect();
    world.candidate = 2;
    old.iter().for_each(|id| world.finish_attempt(id));
    let finished = old.iter().all(|id| matches!(world.attempts[id], AttemptState::Finished(_)));
    assert!(finished);
    world.pass();
    assert_ne!(world.stage_phase("a"), crate::api::StagePhase::Promoting);
}
