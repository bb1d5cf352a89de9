//! Prerequisites that have to be asked, told in sentences.

use super::world::{SINGLE, World};
use crate::{
    api::{ActiveConfig, Phase, Prerequisite, Verdict},
    engine::{AttemptScope, reasons},
};

fn prerequisite(name: &str) -> Prerequisite {
    let text = format!("{{name: {name}, http: {{url: 'http://api/healthz'}}}}");
    serde_saphyr::from_str(&text).expect("the prerequisite of a test is YAML")
}

/// A world with a prerequisite that answers with that verdict.
fn world(verdict: Verdict) -> World {
    let mut world = World::new(SINGLE);
    world.spec.prerequisites = vec![prerequisite("api-is-up")];
    world.verdicts.insert(AttemptScope::Prerequisites, verdict);
    world
}

fn asked(world: &World) -> usize {
    world.effects.iter().filter(|effect| effect.starts_with("start prerequisites")).count()
}

/// As much of the world's course as fits into so many seconds.
fn go_on(world: &mut World, seconds: i64) {
    world.settle();
    world.world_moves(seconds);
    world.settle();
}

fn told(world: &World, reason: &str) -> usize {
    world.status.recorded.history.iter().filter(|entry| entry.reason == reason).count()
}

#[test]
fn prerequisites_are_asked_before_anything_is_preserved_or_measured() {
    let mut world = world(Verdict::Pass);
    world.run_until(Phase::Completed);
    assert_eq!(world.effects[0], "start prerequisites #1");
    assert!(world.effects[1].starts_with("preserve legacy"), "{:?}", world.effects);
    assert_eq!(asked(&world), 1);
    assert_eq!(told(&world, reasons::PREREQUISITES_MET), 1);
}

#[test]
fn an_unmet_prerequisite_is_waited_for_and_is_never_a_failure() {
    for verdict in [Verdict::Fail, Verdict::Inconclusive, Verdict::Error] {
        let mut world = world(verdict);
        go_on(&mut world, 1);
        for _ in 0..20 {
            go_on(&mut world, 20);
            assert_eq!(world.status.phase, Phase::Pending);
            assert_eq!(world.condition("Stalled"), Some(("True".into(), reasons::PREREQUISITE_UNMET.into())));
            assert!(world.status.message.contains("prerequisite asked: told"), "{}", world.status.message);
        }
        assert!(world.effects.iter().all(|effect| effect.starts_with("start prerequisites")));
        assert!(asked(&world) > 10 && world.status.recorded.failure.is_none());
        assert_eq!(told(&world, reasons::PREREQUISITE_UNMET), 1, "told once, not every time");
        world.verdicts.clear();
        world.run_until(Phase::Completed);
    }
}

#[test]
fn an_unmet_prerequisite_is_asked_again_after_a_pause_and_not_before() {
    let mut world = world(Verdict::Fail);
    go_on(&mut world, 1);
    assert_eq!(asked(&world), 1);
    go_on(&mut world, 13);
    assert_eq!(asked(&world), 1);
    let wake = world.decide().wake.expect("it says when it looks next");
    assert!(wake.as_secs() <= 2, "{wake:?}");
    go_on(&mut world, 2);
    assert_eq!(asked(&world), 2);
}

#[test]
fn an_edit_of_a_prerequisite_voids_what_was_answered_and_asks_at_once() {
    let mut world = world(Verdict::Fail);
    go_on(&mut world, 1);
    world.spec.prerequisites.push(prerequisite("another"));
    world.settle();
    assert_eq!(asked(&world), 2);
    assert!(!world.status.message.contains("told"), "{}", world.status.message);
    // Of what is asked now, not of what was asked before.
    world.spec.prerequisites.pop();
    world.settle();
    assert_eq!(asked(&world), 3);
    assert_eq!(world.attempts.len(), 1, "the one before goes on");
}

#[test]
fn prerequisites_that_the_spec_gives_up_are_not_waited_for() {
    let mut world = world(Verdict::Fail);
    go_on(&mut world, 1);
    world.spec.prerequisites.clear();
    world.run_until(Phase::Completed);
}

#[test]
fn prerequisites_that_held_long_ago_are_asked_again() {
    let mut world = world(Verdict::Pass);
    world.settle();
    world.spec.paused = true;
    go_on(&mut world, 3600);
    world.spec.paused = false;
    world.verdicts.insert(AttemptScope::Prerequisites, Verdict::Fail);
    go_on(&mut world, 1);
    assert_eq!(asked(&world), 2);
    assert!(world.effects.iter().all(|effect| effect.starts_with("start prerequisites")));
    assert_eq!(world.status.phase, Phase::Pending);
}

#[test]
fn prerequisites_are_not_asked_again_once_legacy_is_preserved() {
    let mut world = world(Verdict::Pass);
    world.run_until(Phase::Progressing);
    world.verdicts.insert(AttemptScope::Prerequisites, Verdict::Fail);
    world.spec.prerequisites.push(prerequisite("another"));
    world.run_until(Phase::Completed);
    assert_eq!(asked(&world), 1);
}

#[test]
fn a_new_run_asks_its_prerequisites_anew() {
    let mut world = world(Verdict::Pass);
    world.run_until(Phase::Completed);
    world.spec.active_config = ActiveConfig::Legacy;
    world.run_until(Phase::RolledBack);
    world.spec.active_config = ActiveConfig::Candidate;
    world.run_until(Phase::Completed);
    assert_eq!(asked(&world), 2);
}

#[test]
fn prerequisites_hold_up_no_rollback() {
    let mut world = world(Verdict::Fail);
    world.settle();
    world.spec.active_config = ActiveConfig::Legacy;
    world.settle();
    assert_eq!(world.status.phase, Phase::RolledBack);
    assert!(world.attempts.is_empty(), "asked although nobody wants to know");
    world.spec.active_config = ActiveConfig::Candidate;
    world.verdicts.clear();
    world.run_until(Phase::Completed);
}

#[test]
fn an_attempt_at_the_prerequisites_that_was_lost_is_made_again_under_a_new_number() {
    let mut world = world(Verdict::Pass);
    world.settle();
    world.operator_restarts();
    world.settle();
    assert_eq!(world.effects, ["start prerequisites #1", "start prerequisites #2"]);
    world.run_until(Phase::Completed);
}
