//! Forward: from legacy to the candidate, and what holds a rollout up on its way.

use super::*;

#[test]
fn a_rollout_preserves_measures_promotes_in_order_and_completes() {
    let mut world = World::new(DIAMOND);
    world.run_until(Phase::Completed);
    assert!(world.all_on("candidate-1") && world.pods_run_on("candidate-1"));
    assert_eq!(world.status.active_config, ActiveNow::Candidate);
    assert_eq!(world.status.progress, "3/3");
    assert!(world.effects[0].starts_with("preserve legacy"));
    assert_eq!(world.effects[1], "start baseline #1");
    let last_of_ab = world
        .effects
        .iter()
        .rposition(|e| e.starts_with("promote stage a") || e.starts_with("promote stage b"));
    let first_of_w = world.effects.iter().position(|e| e.contains("stage w"));
    assert!(last_of_ab < first_of_w, "w began before a and b were done: {:?}", world.effects);
    assert_eq!(world.condition("Ready"), Some(("True".into(), "Completed".into())));
}

#[test]
fn stages_without_an_order_run_side_by_side() {
    let mut world = World::new(DIAMOND);
    world.run_until_stage("a", StagePhase::Checking);
    world.settle();
    assert_eq!(world.stage_phase("b"), StagePhase::Checking);
    assert_eq!(world.stage_phase("w"), StagePhase::Waiting);
}

#[test]
fn a_pause_holds_everything_but_a_rollback() {
    let mut world = World::new(DIAMOND);
    world.run_until_stage("a", StagePhase::Promoting);
    world.spec.paused = true;
    world.settle();
    let effects = world.effects.len();
    world.world_moves(600);
    world.settle();
    assert_eq!((world.status.phase, world.effects.len()), (Phase::Paused, effects));
    command(&mut world, ActiveConfig::Legacy);
    world.run_until(Phase::RolledBack);
    assert!(world.all_on("legacy"));
}

#[test]
fn a_stage_with_manual_approval_waits_for_its_name() {
    let mut world = World::new(SINGLE);
    world.spec.stages[0].approval = crate::api::Approval::Manual;
    world.run_until_stage("a", StagePhase::AwaitingApproval);
    world.settle();
    assert!(world.all_on("legacy"));
    world.spec.approved_stages = vec!["a".into()];
    world.run_until(Phase::Completed);
    assert_eq!(world.record_of("a").expect("a").attempt, 1, "the approval voids no evidence");
}

#[test]
fn evidence_that_got_old_while_waiting_for_approval_is_gathered_again() {
    let mut world = World::new(SINGLE);
    world.spec.stages[0].approval = crate::api::Approval::Manual;
    world.run_until_stage("a", StagePhase::AwaitingApproval);
    world.world_moves(3600);
    world.spec.approved_stages = vec!["a".into()];
    world.run_until(Phase::Completed);
    assert_eq!(world.record_of("a").expect("a").attempt, 2);
}

#[test]
fn a_changed_candidate_voids_evidence_in_every_phase_before_the_promotion() {
    for phase in [StagePhase::Checking, StagePhase::Loading] {
        let mut world = World::new(DIAMOND);
        world.run_until_stage("a", phase);
        world.candidate = 2;
        world.run_until(Phase::Completed);
        assert!(world.all_on("candidate-2"), "the new value was promoted, with evidence of its own");
        assert!(world.record_of("a").expect("a").attempt > 1);
    }
}

#[test]
fn a_candidate_that_changes_during_the_promotion_is_checked_again() {
    let mut world = World::new(DIAMOND);
    world.run_until_stage("b", StagePhase::Promoting);
    world.candidate = 2;
    world.run_until(Phase::Completed);
    assert!(world.all_on("candidate-2"));
}

#[test]
fn a_candidate_rotated_before_its_write_was_seen_is_not_taken_for_somebody_elses_change() {
    let mut world = World::new(DIAMOND);
    // Stage a has written the first version, and that was seen.
    world.run_until_stage("w", StagePhase::Checking);
    let object = world.live.keys().find(|object| object.name == "a").cloned().expect("a");
    world.candidate = 2;
    for _ in 0..200 {
        if world.live[&object] == "candidate-2" {
            break;
        }
        if !world.pass() {
            world.world_moves(7);
        }
    }
    assert_eq!(world.live[&object], "candidate-2", "the second version is written, and not seen yet");
    world.candidate = 3;
    world.run_until(Phase::Completed);
    assert!(world.all_on("candidate-3"));
}

#[test]
fn no_verdict_is_tried_again_a_few_times_and_never_promotes() {
    for verdict in [Verdict::Error, Verdict::Inconclusive] {
        let mut world = World::new(SINGLE);
        world.verdicts.insert(checks("a"), verdict);
        world.run_until(Phase::RolledBack);
        assert!(effects_of(&world, "promote").is_empty());
        assert_eq!(effects_of(&world, "start checks").len(), 3);
    }
}

#[test]
fn attempts_lost_with_the_process_are_made_again_under_new_numbers() {
    for phase in [StagePhase::Checking, StagePhase::Loading] {
        let mut world = World::new(DIAMOND);
        world.run_until_stage("a", phase);
        let before = world.record_of("a").expect("a").attempt;
        world.operator_restarts();
        world.settle();
        assert_eq!(world.record_of("a").expect("a").attempt, before + 1);
        world.run_until(Phase::Completed);
    }
}

#[test]
fn a_final_validation_that_has_nothing_to_ask_is_not_begun() {
    let mut world = World::new(SINGLE);
    world.spec.stages[0].checks =
        serde_saphyr::from_str("[{name: a, activity: {}}, {name: r, replication: {}}]").expect("YAML");
    world.run_until(Phase::Completed);
    assert!(effects_of(&world, "start final").is_empty(), "{:?}", world.effects);
    assert_eq!(effects_of(&world, "start checks").len(), 1);
}

#[test]
fn a_legacy_that_cannot_be_measured_holds_with_nothing_touched() {
    let mut world = World::new(DIAMOND);
    world.verdicts.insert(AttemptScope::Baseline, Verdict::Fail);
    world.run_until(Phase::Held);
    assert!(world.all_on("legacy"));
    assert!(world.tokens.is_empty());
    world.verdicts.clear();
    world.spec.retry = "2".into();
    world.run_until(Phase::Completed);
}

#[test]
fn prerequisites_and_missing_objects_hold_with_their_names_and_are_picked_up() {
    let mut world = World::new(SINGLE);
    world.unmet = vec!["prerequisite x: DatabaseRollout/x does not exist".into()];
    world.settle();
    assert_eq!(world.status.phase, Phase::Pending);
    assert!(world.status.message.contains("DatabaseRollout/x"), "{}", world.status.message);
    world.unmet.clear();
    world.missing = vec!["Secret/new does not exist".into()];
    world.settle();
    assert!(world.status.message.contains("Secret/new"), "{}", world.status.message);
    assert!(world.effects.is_empty());
    world.missing.clear();
    world.run_until(Phase::Completed);
}

#[test]
fn a_spec_that_is_no_plan_is_refused_with_every_fault_and_nothing_is_touched() {
    let mut world = World::new(DIAMOND);
    world.spec.stages[0].depends_on = vec!["w".into()];
    world.spec.stages[1].access = crate::api::Access::ReadWrite;
    world.settle();
    let (status, _) = world.condition("Accepted").expect("a condition");
    assert_eq!(status, "False");
    assert!(world.status.message.contains("circle") && world.status.message.contains("stage b may write"));
    assert!(world.effects.is_empty());
}

#[test]
fn a_promoted_stage_cannot_be_edited_away_but_can_still_be_rolled_back() {
    let mut world = World::new(DIAMOND);
    world.run_until_stage("w", StagePhase::Checking);
    world.spec.stages.remove(0);
    world.spec.stages[1].depends_on.clear();
    world.settle();
    assert_eq!(world.condition("Accepted"), Some(("False".into(), reasons::PROMOTED_STAGE_CHANGED.into())));
    command(&mut world, ActiveConfig::Legacy);
    world.run_until(Phase::RolledBack);
    assert!(world.all_on("legacy"), "{:?}", world.live);
}

#[test]
fn keys_added_before_anything_was_touched_are_preserved_before_they_are_written() {
    let mut world = World::new(SINGLE);
    world.run_until_stage("a", StagePhase::Checking);
    let more: crate::api::ConfigChange =
        serde_saphyr::from_str("{configMap: more, set: {POOL: {value: '3'}}}").expect("YAML");
    world.spec.stages[0].config.push(more);
    world.live.insert(
        crate::plan::ObjectReference { kind: crate::plan::ObjectKind::ConfigMap, name: "more".into() },
        "legacy".into(),
    );
    world.run_until(Phase::Completed);
    assert_eq!(effects_of(&world, "preserve").len(), 2);
}

#[test]
fn an_effect_that_fails_is_tried_again_but_not_as_fast_as_the_api_server_answers() {
    let mut world = World::new(SINGLE);
    let mut tries = 0;
    for _ in 0..100 {
        // Recorded, and then refused: nothing has happened.
        let decision = world.decide();
        tries += usize::from(decision.effect.is_some());
        world.record(&decision);
        world.now += jiff::SignedDuration::from_millis(100);
    }
    assert!((8..=12).contains(&tries), "{tries} tries in 10 s");
    world.run_until(Phase::Completed);
}

#[test]
fn a_binding_that_was_edited_after_it_was_preserved_is_not_overwritten() {
    let mut world = World::new(SINGLE);
    world.run_until_stage("a", StagePhase::Checking);
    let object = world.live.keys().next().cloned().expect("an object");
    world.live.insert(object.clone(), "edited".into());
    for _ in 0..10 {
        world.settle_without_preserving();
        world.world_moves(7);
    }
    assert!(effects_of(&world, "promote stage").is_empty(), "{:?}", world.effects);
}

#[test]
fn evidence_that_was_not_read_for_long_is_gathered_again() {
    let mut world = World::new(SINGLE);
    world.run_until_stage("a", StagePhase::Checking);
    world.world_moves(1);
    world.spec.paused = true;
    world.settle();
    world.now += jiff::SignedDuration::from_secs(3600);
    world.spec.paused = false;
    world.run_until(Phase::Completed);
    assert_eq!(world.record_of("a").expect("a").attempt, 2);
}

#[test]
fn a_promotion_that_takes_too_long_fails() {
    let mut world = World::new(SINGLE);
    world.spec.stages[0].progress_deadline = "1m".into();
    world.run_until_stage("a", StagePhase::Promoting);
    world.settle();
    world.now += jiff::SignedDuration::from_secs(61);
    let unsettled = world.unsettled.clone();
    assert_eq!(unsettled.len(), 1);
    world.settle();
    world.run_until(Phase::RolledBack);
    assert_eq!(world.status.recorded.failure.clone().expect("latched").reason, reasons::RESTART_FAILED);
}

#[test]
fn every_wait_says_when_it_looks_next() {
    let mut world = World::new(DIAMOND);
    for _ in 0..300 {
        let decision = world.decide();
        let moving = !matches!(
            decision.outlook.phase,
            Phase::Completed | Phase::RolledBack | Phase::Held | Phase::Paused
        );
        if moving && decision.effect.is_none() {
            assert!(decision.wake.is_some(), "waits for nothing: {}", decision.outlook.message);
            assert!(decision.wake < Some(Duration::from_secs(61)));
            assert!(!decision.outlook.message.is_empty());
        }
        if !world.pass() {
            world.world_moves(3);
        }
    }
    assert_eq!(world.status.phase, Phase::Completed);
}
