//! The life of a rollout, told in sentences.

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
fn a_failed_check_rolls_every_promoted_stage_back_in_reverse_order_and_latches() {
    let mut world = World::new(DIAMOND);
    world.verdicts.insert(checks("w"), Verdict::Fail);
    world.run_until(Phase::RolledBack);
    assert!(world.all_on("legacy"));
    assert_eq!(world.status.active_config, ActiveNow::Legacy);
    let failure = world.status.recorded.failure.clone().expect("a latched failure");
    assert_eq!((failure.stage.as_str(), failure.reason.as_str()), ("w", reasons::CHECK_FAILED));
    let promoted: Vec<String> =
        effects_of(&world, "promote stage").iter().map(|e| e[14..15].to_owned()).collect();
    let mut restored: Vec<String> =
        effects_of(&world, "roll back stage").iter().map(|e| e[16..17].to_owned()).collect();
    restored.reverse();
    assert_eq!(promoted.first(), restored.first(), "{:?}", world.effects);
    let effects = world.effects.len();
    for _ in 0..20 {
        world.settle();
        world.world_moves(600);
    }
    assert_eq!(world.effects.len(), effects, "it flapped: {:?}", &world.effects[effects..]);
}

#[test]
fn an_automatic_rollback_waits_while_legacy_cannot_serve_and_says_so() {
    let mut world = World::new(DIAMOND);
    world.verdicts.insert(checks("w"), Verdict::Fail);
    world.verdicts.insert(AttemptScope::LegacyProbe, Verdict::Fail);
    world.run_until(Phase::RollingBack);
    for _ in 0..5 {
        world.settle();
        world.world_moves(20);
    }
    assert!(!world.all_on("legacy"), "it bounced the application to a dead database");
    assert_eq!(world.condition("Stalled"), Some(("True".into(), reasons::LEGACY_UNAVAILABLE.into())));
    world.verdicts.remove(&AttemptScope::LegacyProbe);
    world.run_until(Phase::RolledBack);
    assert!(world.all_on("legacy"));
}

#[test]
fn a_commanded_rollback_is_carried_out_even_if_legacy_cannot_serve_and_the_status_tells_the_truth() {
    let mut world = World::new(DIAMOND);
    world.verdicts.insert(AttemptScope::LegacyProbe, Verdict::Fail);
    world.run_until(Phase::Completed);
    command(&mut world, ActiveConfig::Legacy);
    world.run_until(Phase::RolledBack);
    let rollback = world.status.recorded.rollback.clone().expect("a rollback");
    assert_eq!(rollback.trigger, RollbackTrigger::Commanded);
    assert_eq!(rollback.legacy_serves, Some(false));
    assert!(world.all_on("legacy"));
}

#[test]
fn a_rollback_needs_no_pod_of_the_candidate_to_become_ready() {
    let mut world = World::new(SINGLE);
    world.crashing.insert("Deployment/a".into());
    world.run_until(Phase::RolledBack);
    assert!(world.all_on("legacy"));
    assert_eq!(world.status.recorded.failure.clone().expect("latched").reason, reasons::RESTART_FAILED);
}

/// Two stages in a row that restart one workload, each for a key of its own.
const SHARED: &str = r#"
legacy: {connection: {secretRef: {name: old, key: uri}}}
stages:
- name: a
  config: [{configMap: a, set: {POOL: {value: "9"}}}]
  workloads: [{kind: Deployment, name: shared}]
- name: b
  dependsOn: [a]
  config: [{configMap: b, set: {POOL: {value: "9"}}}]
  workloads: [{kind: Deployment, name: shared}]
"#;

#[test]
fn a_workload_that_two_stages_restart_reads_the_keys_of_both_forward_and_back() {
    let mut world = World::new(SHARED);
    world.run_until(Phase::Completed);
    assert!(world.pods_run_on("candidate-1"), "{:?}", world.read);
    command(&mut world, ActiveConfig::Legacy);
    world.run_until(Phase::RolledBack);
    assert!(world.pods_run_on("legacy"), "{:?}", world.read);
    let restarts = effects_of(&world, "restart").len();
    assert_eq!(restarts, 3, "one a stage forward, one for all back: {:?}", world.effects);
}

#[test]
fn a_restart_by_an_earlier_rollout_is_not_taken_for_our_own() {
    let mut first = World::new(SINGLE);
    first.run_until(Phase::Completed);
    let mut second = World::new(SINGLE);
    second.uid = "another".into();
    second.tokens = first.tokens.clone();
    second.run_until(Phase::Completed);
    assert_eq!(effects_of(&second, "restart").len(), 1, "{:?}", second.effects);
}

#[test]
fn the_rollback_edit_interrupts_every_phase() {
    for phase in [StagePhase::Checking, StagePhase::Loading, StagePhase::Promoting, StagePhase::Done] {
        let mut world = World::new(DIAMOND);
        world.run_until_stage("a", phase);
        command(&mut world, ActiveConfig::Legacy);
        world.settle();
        assert!(world.all_on("legacy"), "keys are back without waiting for anything, from {phase:?}");
        world.run_until(Phase::RolledBack);
        assert!(world.attempts.is_empty(), "attempts go on after the rollback from {phase:?}");
    }
}

#[test]
fn after_a_commanded_rollback_the_candidate_begins_a_new_run() {
    let mut world = World::new(SINGLE);
    world.run_until(Phase::Completed);
    command(&mut world, ActiveConfig::Legacy);
    world.run_until(Phase::RolledBack);
    command(&mut world, ActiveConfig::Candidate);
    world.run_until(Phase::Completed);
    assert_eq!(world.status.recorded.run, 2);
    assert_eq!(world.status.recorded.legacy.clone().expect("preserved").secret_name, copy_name("shop", 2));
    assert_eq!(world.record_of("a").expect("a").attempt, 2, "attempts go on counting");
}

#[test]
fn a_failure_with_hold_changes_nothing_until_retry() {
    let mut world = World::new(DIAMOND);
    world.spec.stages[2].on_failure = Some(OnFailure::Hold);
    world.verdicts.insert(checks("w"), Verdict::Fail);
    world.run_until(Phase::Held);
    let effects = world.effects.len();
    world.settle();
    world.world_moves(600);
    world.settle();
    assert_eq!(world.effects.len(), effects);
    assert_eq!(world.stage_phase("a"), StagePhase::Done, "what was promoted stays");
    world.verdicts.clear();
    world.spec.retry = "again".into();
    world.run_until(Phase::Completed);
    assert_eq!(world.status.recorded.run, 1, "it went on from the first unfinished stage");
}

#[test]
fn a_held_rollout_can_still_be_rolled_back() {
    let mut world = World::new(DIAMOND);
    world.spec.stages[2].on_failure = Some(OnFailure::Hold);
    world.verdicts.insert(checks("w"), Verdict::Fail);
    world.run_until(Phase::Held);
    command(&mut world, ActiveConfig::Legacy);
    world.run_until(Phase::RolledBack);
    assert!(world.all_on("legacy"));
}

#[test]
fn retry_after_an_automatic_rollback_begins_anew() {
    let mut world = World::new(DIAMOND);
    world.verdicts.insert(checks("w"), Verdict::Fail);
    world.run_until(Phase::RolledBack);
    world.verdicts.clear();
    world.spec.retry = "2".into();
    world.run_until(Phase::Completed);
    assert_eq!(world.status.recorded.run, 2);
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
fn a_soak_that_fails_rolls_back() {
    let mut world = World::new(DIAMOND);
    world.verdicts.insert(AttemptScope::Soak("w".into()), Verdict::Fail);
    world.run_until(Phase::RolledBack);
    assert_eq!(world.status.recorded.failure.clone().expect("latched").reason, reasons::SOAK_FAILED);
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
fn a_final_validation_that_fails_rolls_back() {
    let mut world = World::new(DIAMOND);
    world.verdicts.insert(AttemptScope::Final, Verdict::Fail);
    world.run_until(Phase::RolledBack);
    assert_eq!(
        world.status.recorded.failure.clone().expect("latched").reason,
        reasons::FINAL_VALIDATION_FAILED
    );
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
fn being_reverted_by_another_manager_is_reported_and_not_fought() {
    let mut world = World::new(DIAMOND);
    world.run_until_stage("w", StagePhase::Checking);
    let object = world.live.keys().find(|object| object.name == "a").cloned().expect("a");
    world.live.insert(object.clone(), "somebody's".into());
    world.reverted_by = Some("argocd".into());
    world.settle();
    let effects = world.effects.len();
    world.world_moves(60);
    world.settle();
    assert_eq!(world.effects.len(), effects, "it fights");
    assert_eq!(
        world.condition("OwnershipConflict"),
        Some(("True".into(), reasons::OWNERSHIP_CONFLICT.into()))
    );
    assert!(world.status.message.contains("argocd"));
    world.live.insert(object, "candidate-1".into());
    world.run_until(Phase::Completed);
}

#[test]
fn a_restore_that_is_undone_again_and_again_is_reported_and_tried_rarely() {
    let mut world = World::new(SINGLE);
    world.run_until(Phase::Completed);
    command(&mut world, ActiveConfig::Legacy);
    world.reverted_by = Some("argocd".into());
    let objects: Vec<_> = world.live.keys().cloned().collect();
    for _ in 0..60 {
        world.pass();
        for object in &objects {
            world.live.insert(object.clone(), "candidate-1".into());
        }
        world.now += jiff::SignedDuration::from_secs(1);
    }
    let restores = effects_of(&world, "restore").len();
    assert!((3..=6).contains(&restores), "{restores} in a minute");
    assert!(world.status.message.contains("argocd"), "{}", world.status.message);
    world.reverted_by = None;
    world.run_until(Phase::RolledBack);
    assert!(world.all_on("legacy") && world.pods_run_on("legacy"));
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
fn a_stage_that_reads_another_ones_failure_does_not_lose_the_writes_that_a_promoted_stage_holds() {
    let mut world = World::new(DIAMOND);
    world.spec.stages[0].access = crate::api::Access::ReadWrite;
    world.spec.stages[0].on_failure = Some(OnFailure::Hold);
    world.verdicts.insert(checks("w"), Verdict::Fail);
    world.run_until(Phase::Held);
    assert_eq!(world.stage_phase("a"), StagePhase::Done);
    assert!(effects_of(&world, "restore").is_empty());
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
fn a_deleted_workload_does_not_hide_one_that_is_still_on_the_candidate() {
    let mut world = World::new(SHARED);
    world.spec.stages[0].workloads.push(crate::api::WorkloadReference {
        kind: crate::api::WorkloadKind::Deployment,
        name: "another".into(),
    });
    world.run_until(Phase::Completed);
    world.deleted.insert("Deployment/shared".into());
    command(&mut world, ActiveConfig::Legacy);
    world.settle_for(20);
    assert_eq!(world.status.phase, Phase::RollingBack, "the pods of the other are awaited");
    world.run_until(Phase::RolledBack);
}

#[test]
fn the_copy_stays_for_the_rollback_window_and_is_then_deleted() {
    let mut world = World::new(SINGLE);
    world.spec.rollback_window = "1h".into();
    world.run_until(Phase::Completed);
    world.now += jiff::SignedDuration::from_secs(3590);
    world.settle();
    assert!(world.copy.is_some());
    world.now += jiff::SignedDuration::from_secs(3600);
    world.settle();
    assert!(world.copy.is_none());
    assert_eq!(world.condition("RollbackSafe"), Some(("False".into(), reasons::ROLLBACK_WINDOW_OVER.into())));
    command(&mut world, ActiveConfig::Legacy);
    world.settle();
    assert!(world.status.message.contains("cannot roll back"), "{}", world.status.message);
    assert!(world.all_on("candidate-1"));
}

#[test]
fn nothing_goes_on_without_an_intact_copy() {
    let mut world = World::new(DIAMOND);
    world.run_until_stage("a", StagePhase::Loading);
    world.copy = None;
    world.settle();
    world.world_moves(60);
    world.settle();
    assert_eq!(world.condition("Stalled"), Some(("True".into(), reasons::LEGACY_COPY_DAMAGED.into())));
    assert!(effects_of(&world, "promote").is_empty());
}

#[test]
fn the_status_says_what_going_back_would_lose() {
    let mut world = World::new(DIAMOND);
    world.run_until_stage("w", StagePhase::Checking);
    assert_eq!(world.condition("RollbackSafe"), Some(("True".into(), "NothingToLose".into())));
    world.run_until_stage("w", StagePhase::Soaking);
    assert_eq!(world.condition("RollbackSafe"), Some(("False".into(), "WritesOnCandidate".into())));
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
