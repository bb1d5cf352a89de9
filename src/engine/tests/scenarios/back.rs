//! Back: what is put back when, by whom, and what going back would lose.

use super::*;

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
fn a_soak_that_fails_rolls_back() {
    let mut world = World::new(DIAMOND);
    world.verdicts.insert(AttemptScope::Soak("w".into()), Verdict::Fail);
    world.run_until(Phase::RolledBack);
    assert_eq!(world.status.recorded.failure.clone().expect("latched").reason, reasons::SOAK_FAILED);
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
