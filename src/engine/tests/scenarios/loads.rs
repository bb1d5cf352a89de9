//! Loads: while a stage soaks, at the end, in the baseline's light, and what is seen of them meanwhile.

use super::*;
use crate::{
    api::{LatencySoFar, LoadInProgress, LoadResult, StageRecord, Via},
    engine::AttemptId,
};

fn soak_load() -> AttemptScope {
    AttemptScope::SoakLoad("w".to_owned())
}

fn w(world: &World) -> StageRecord {
    world.record_of("w").cloned().expect("w")
}

/// Soaking, with the samples and the load of the soak begun.
fn soaking() -> World {
    let mut world = World::new(DIAMOND);
    world.run_until_stage("w", StagePhase::Soaking);
    world.settle();
    assert_eq!(effects_of(&world, "start soakLoad").len(), 1, "{:?}", world.effects);
    world
}

fn finish(world: &mut World, scope: &AttemptScope) {
    let id = world.attempts.keys().find(|id| id.scope == *scope).cloned().expect("it runs");
    world.finish_attempt(&id);
    world.settle();
}

fn latency(p50_us: i64, p95_us: i64, p99_us: i64) -> LoadResult {
    let [p50_us, p95_us, p99_us] = [p50_us, p95_us, p99_us].map(Some);
    LoadResult { p50_us, p95_us, p99_us, ok: 1000, throughput_milli: 100_000, ..LoadResult::default() }
}

fn reasons_of(world: &World) -> Vec<String> {
    world.status.recorded.history.iter().map(|entry| entry.reason.clone()).collect()
}

fn told(world: &World, kind: &str) -> String {
    let found = world.status.conditions.iter().find(|condition| condition.type_ == kind);
    found.expect("the condition").message.clone()
}

#[test]
fn a_soak_is_not_over_before_its_load_has_passed() {
    let mut world = soaking();
    world.now += jiff::SignedDuration::from_secs(21);
    finish(&mut world, &AttemptScope::Soak("w".into()));
    assert_eq!(world.stage_phase("w"), StagePhase::Soaking, "its load still runs");
    finish(&mut world, &soak_load());
    assert_eq!(world.stage_phase("w"), StagePhase::Done);
    assert_eq!(w(&world).soak_load.expect("recorded").verdict, Verdict::Pass);
    assert_eq!(reasons_of(&world).iter().filter(|reason| *reason == reasons::LOAD_PASSED).count(), 2);
}

#[test]
fn a_load_that_has_passed_shortens_no_soak() {
    let mut world = soaking();
    finish(&mut world, &soak_load());
    assert_eq!(world.stage_phase("w"), StagePhase::Soaking, "the time is not over");
    world.operator_restarts();
    world.settle();
    assert_eq!(effects_of(&world, "start soakLoad").len(), 1, "it was put on again");
    world.run_until(Phase::Completed);
}

#[test]
fn a_load_that_fails_while_a_stage_soaks_rolls_back() {
    let mut world = World::new(DIAMOND);
    world.verdicts.insert(soak_load(), Verdict::Fail);
    world.run_until(Phase::RolledBack);
    let failure = world.status.recorded.failure.clone().expect("latched");
    assert_eq!((failure.reason.as_str(), failure.message.as_str()), (reasons::SOAK_FAILED, "load: told"));
    assert!(world.all_on("legacy"));
}

#[test]
fn a_load_without_a_verdict_is_tried_again_a_few_times_and_then_says_which_and_what_would_tell_more() {
    let inconclusive = "load: inconclusive: told";
    let error = "load: error: told";
    let before = AttemptScope::Load("a".to_owned());
    for (scope, kind, reason, only) in [
        (before, "start load", reasons::CHECK_FAILED, "and only a pass promotes"),
        (soak_load(), "start soakLoad", reasons::SOAK_FAILED, "and only a pass ends the soak"),
    ] {
        for (verdict, why) in [(Verdict::Error, error), (Verdict::Inconclusive, inconclusive)] {
            let mut world = World::new(DIAMOND);
            world.verdicts.insert(scope.clone(), verdict);
            world.run_until(Phase::RolledBack);
            assert_eq!(effects_of(&world, kind).len(), 3);
            let failure = world.status.recorded.failure.clone().expect("latched");
            assert_eq!(failure.reason, reason);
            assert_eq!(failure.message, format!("no verdict in 3 attempts, {only}: {why}"));
            let tried_again = |entry: &&crate::api::HistoryEntry| {
                entry.reason == reasons::ATTEMPT_WITHOUT_VERDICT && entry.message.ends_with(why)
            };
            assert_eq!(world.status.recorded.history.iter().filter(tried_again).count(), 2);
        }
    }
}

#[test]
fn there_are_as_many_tries_as_the_chance_of_a_false_pass_is_divided_between() {
    assert_eq!(usize::try_from(crate::engine::pass::SETBACKS_MAX), Ok(crate::load::duet::TRIES));
}

/// Stage `a` after `count` loads without a verdict, waiting for the next one.
fn inconclusive(count: usize) -> World {
    let mut world = World::new(DIAMOND);
    let load = AttemptScope::Load("a".to_owned());
    world.verdicts.insert(load.clone(), Verdict::Inconclusive);
    world.measured.insert(load.clone(), LoadResult { scheduled: 1_000, ..LoadResult::default() });
    for _ in 0..count {
        world.run_until_stage("a", StagePhase::Loading);
        world.settle();
        finish(&mut world, &load);
    }
    assert_eq!(world.stage_phase("a"), StagePhase::Waiting);
    world
}

fn a(world: &World) -> StageRecord {
    world.record_of("a").cloned().expect("a")
}

#[test]
fn only_a_load_that_was_put_on_uses_up_a_try() {
    let mut world = World::new(DIAMOND);
    world.verdicts.insert(checks("a"), Verdict::Inconclusive);
    world.run_until_stage("a", StagePhase::Checking);
    world.settle();
    finish(&mut world, &checks("a"));
    assert_eq!((a(&world).setbacks, a(&world).inconclusive_loads), (1, 0));
    world.verdicts.clear();
    // The servers had no room for its connections.
    world.verdicts.insert(AttemptScope::Load("a".to_owned()), Verdict::Inconclusive);
    world.run_until_stage("a", StagePhase::Loading);
    world.settle();
    finish(&mut world, &AttemptScope::Load("a".to_owned()));
    assert_eq!((a(&world).setbacks, a(&world).inconclusive_loads), (2, 0), "nothing was looked at");
    let mut world = inconclusive(2);
    world.run_until_stage("a", StagePhase::Loading);
    assert_eq!((a(&world).setbacks, a(&world).inconclusive_loads), (2, 2));
    world.verdicts.clear();
    world.run_until_stage("a", StagePhase::Done);
    assert_eq!((a(&world).setbacks, a(&world).inconclusive_loads), (0, 0));
}

#[test]
fn an_edit_while_a_stage_waits_for_its_next_try_gives_it_all_of_them_again() {
    let mut world = inconclusive(2);
    let stage = world.spec.stages.iter_mut().find(|stage| stage.name == "a").expect("a");
    stage.load.as_mut().expect("it has one").rate += 1;
    world.run_until_stage("a", StagePhase::Loading);
    assert_eq!((a(&world).setbacks, a(&world).inconclusive_loads), (0, 0));
    world.run_until(Phase::RolledBack);
    assert_eq!(effects_of(&world, "start load").len(), 2 + 3);
}

#[test]
fn an_inconclusive_load_of_a_soak_holds_where_the_spec_says_so() {
    let mut world = World::new(DIAMOND);
    world.spec.stages[2].on_failure = Some(crate::api::OnFailure::Hold);
    world.verdicts.insert(soak_load(), Verdict::Inconclusive);
    world.run_until(Phase::Held);
    assert!(world.all_on("candidate-1"), "what was promoted stays until a person decides");
    let told = &world.status.message;
    assert!(told.contains("load: inconclusive: told") && told.contains("spec.retry"), "{told}");
    world.verdicts.clear();
    world.spec.retry = "longer".into();
    world.run_until(Phase::Completed);
}

#[test]
fn what_a_load_without_a_verdict_measured_stays_to_be_seen_until_the_next_begins() {
    let mut world = World::new(DIAMOND);
    for (scope, stage, phase) in [
        (AttemptScope::Load("a".to_owned()), "a", StagePhase::Loading),
        (soak_load(), "w", StagePhase::Soaking),
    ] {
        world.run_until_stage(stage, phase);
        world.settle();
        world.verdicts.insert(scope.clone(), Verdict::Inconclusive);
        let noise_shared = Some(false);
        world.measured.insert(scope.clone(), LoadResult { noise_shared, ..LoadResult::default() });
        finish(&mut world, &scope);
        let record = world.record_of(stage).cloned().expect("the stage");
        let load = if stage == "a" { record.load } else { record.soak_load };
        assert_eq!(load.expect("it is there").verdict, Verdict::Inconclusive);
        assert_eq!(world.condition("NoiseShared"), Some(("False".into(), reasons::NOISE_NOT_SHARED.into())));
        world.verdicts.clear();
        world.measured.clear();
    }
}

#[test]
fn a_load_lost_with_the_process_is_put_on_again_and_the_soak_waits_for_it() {
    let mut world = soaking();
    world.operator_restarts();
    world.settle();
    assert_eq!(effects_of(&world, "start soakLoad").len(), 2);
    world.now += jiff::SignedDuration::from_secs(3600);
    finish(&mut world, &AttemptScope::Soak("w".into()));
    assert_eq!(world.stage_phase("w"), StagePhase::Soaking);
    // The pods are only awaited from the end of the load on.
    world.unsettled.insert("DaemonSet/w".into());
    finish(&mut world, &soak_load());
    assert_eq!(world.stage_phase("w"), StagePhase::Soaking, "{}", world.status.message);
    world.run_until(Phase::Completed);
}

#[test]
fn an_edit_while_a_stage_soaks_puts_the_load_on_anew() {
    let mut world = soaking();
    finish(&mut world, &soak_load());
    world.spec.stages[2].soak.as_mut().expect("a soak").duration = "30s".into();
    world.settle();
    assert_eq!(w(&world).soak_load, None, "what passed was about another spec");
    assert_eq!(effects_of(&world, "start soakLoad").len(), 2);
    world.run_until(Phase::Completed);
}

#[test]
fn noise_that_is_not_shared_is_a_condition_and_an_event_of_the_latest_duet() {
    let mut world = World::new(DIAMOND);
    world.run_until_stage("a", StagePhase::Loading);
    assert_eq!(world.condition("NoiseShared"), None, "no duet could tell yet");
    let load = AttemptScope::Load("a".to_owned());
    let noise = |noise_shared| LoadResult { noise_shared, ..LoadResult::default() };
    world.measured.insert(load, noise(Some(false)));
    world.run_until_stage("a", StagePhase::Done);
    assert_eq!(world.condition("NoiseShared"), Some(("False".into(), reasons::NOISE_NOT_SHARED.into())));
    let told = told(&world, "NoiseShared");
    assert!(told.contains("10 to 30 minutes") && told.contains("absolute limits"), "{told}");
    assert!(reasons_of(&world).iter().any(|reason| reason == reasons::NOISE_NOT_SHARED));
    // The soak of a later stage says otherwise.
    world.measured.insert(soak_load(), noise(Some(true)));
    world.run_until(Phase::Completed);
    assert_eq!(world.condition("NoiseShared"), Some(("True".into(), reasons::NOISE_SHARED.into())));
}

/// A load of stage `a` that must keep its 95th percentile within 50 ms, and a baseline that had `legacy_p95_us`.
fn limited(legacy_p95_us: i64) -> World {
    let mut world = World::new(DIAMOND);
    let load = world.spec.stages[0].load.as_mut().expect("a load");
    load.rate = 100;
    load.max_latency = Some(serde_saphyr::from_str("{p95: 50ms}").expect("YAML"));
    world.measured.insert(AttemptScope::Baseline, latency(1_000, legacy_p95_us, 70_000));
    world
}

#[test]
fn a_broken_limit_is_told_beside_what_the_baseline_had() {
    let mut world = limited(12_000);
    let load = AttemptScope::Load("a".to_owned());
    world.measured.insert(load.clone(), latency(1_000, 61_000, 70_000));
    world.verdicts.insert(load, Verdict::Fail);
    world.run_until(Phase::RolledBack);
    let told = world.status.recorded.failure.clone().expect("latched").message;
    assert_eq!(told, "told; the baseline on legacy had p95 12.0 ms");
    assert_eq!(world.condition("LimitBelowBaseline"), None, "legacy keeps it");
}

#[test]
fn a_limit_that_legacy_does_not_keep_is_told_before_any_load() {
    let mut world = limited(61_000);
    world.run_until_stage("a", StagePhase::Checking);
    let expected = "load.maxLatency of stage a asks for what legacy does not keep either: p95 50.0 ms, and legacy itself had 61.0 ms";
    assert_eq!(told(&world, "LimitBelowBaseline"), expected);
    assert!(effects_of(&world, "start load").is_empty());
    let reasons = reasons_of(&world);
    assert!(reasons.iter().any(|reason| reason == reasons::LIMIT_BELOW_BASELINE), "{reasons:?}");
    world.run_until(Phase::Completed);
    assert_eq!(world.condition("LimitBelowBaseline"), None, "it is over");
}

#[test]
fn a_limit_that_legacy_does_not_keep_is_told_with_what_is_between() {
    let mut world = limited(61_000);
    let pooled = LoadResult { via: Via::Pooler, ..latency(1_000, 61_000, 70_000) };
    world.measured.insert(AttemptScope::Baseline, pooled);
    world.run_until_stage("a", StagePhase::Checking);
    let told = told(&world, "LimitBelowBaseline");
    assert!(told.ends_with("and legacy itself had 61.0 ms (by way of a pooler)"), "{told}");
}

#[test]
fn the_baseline_is_measured_again_at_the_end_and_being_slower_is_a_warning() {
    let mut world = World::new(DIAMOND);
    world.measured.insert(AttemptScope::Baseline, latency(1_000, 12_000, 70_000));
    world.measured.insert(AttemptScope::Final, latency(1_040, 24_000, 70_000));
    world.run_until(Phase::Completed);
    let load = world.status.recorded.final_validation.clone().expect("validated").load.expect("measured");
    assert_eq!(load.verdict, Verdict::Warn);
    assert!(load.message.starts_with("worse than legacy was in the baseline (p95): "), "{}", load.message);
    assert!(load.message.contains("p95 24.0 ms / 12.0 ms"), "{}", load.message);
    assert!(reasons_of(&world).iter().any(|reason| reason == reasons::SLOWER_THAN_BASELINE));
}

#[test]
fn a_candidate_that_does_not_serve_the_baselines_load_at_the_end_fails() {
    let mut world = World::new(DIAMOND);
    // Its checks still pass.
    world.spec.stages.iter_mut().for_each(|stage| stage.checks.clear());
    world.run_until(Phase::Validating);
    world.settle();
    world.verdicts.insert(AttemptScope::Final, Verdict::Fail);
    world.run_until(Phase::RolledBack);
    let failure = world.status.recorded.failure.clone().expect("latched");
    assert_eq!(failure.reason, reasons::FINAL_VALIDATION_FAILED);
    assert!(failure.message.contains("the candidate under the baseline's load: told"), "{}", failure.message);
}

#[test]
fn without_a_candidate_of_its_own_nothing_is_measured_at_the_end() {
    let mut world = World::new(DIAMOND);
    world.spec.candidate = None;
    for stage in &mut world.spec.stages {
        stage.checks.clear();
        stage.load = None;
        stage.soak = None;
    }
    world.run_until(Phase::Completed);
    assert!(effects_of(&world, "start final").is_empty(), "{:?}", world.effects);
}

#[test]
fn what_is_seen_of_a_load_is_shown_while_it_runs_and_decides_nothing() {
    let mut world = World::new(DIAMOND);
    world.run_until_stage("a", StagePhase::Loading);
    world.settle();
    let unseen = world.decide();
    let id =
        world.attempts.keys().find(|id| matches!(id.scope, AttemptScope::Load(_))).cloned().expect("runs");
    let seen = LoadInProgress {
        name: id.load_name(),
        elapsed_seconds: 12,
        duration_seconds: 60,
        rate: 300,
        ok: 3_590,
        failed: 10,
        legacy: Some(LatencySoFar { p50_us: Some(400), p95_us: Some(1_200), p99_us: None }),
        candidate: Some(LatencySoFar::default()),
    };
    world.loads.insert(id.clone(), seen.clone());
    // One that nobody wants any more is not shown.
    world.loads.insert(AttemptId { number: id.number + 1, ..id.clone() }, LoadInProgress::default());
    assert_eq!(world.decide(), unseen);
    world.settle();
    assert_eq!(world.status.loads, [seen]);
    let told = "; a.load: 12 of 60 s, 300/s, 3590 answered, 10 failed, legacy p50 400 µs, p95 1.20 ms";
    assert!(world.status.message.ends_with(told), "{}", world.status.message);
    let writes = world.status_writes;
    world.settle();
    assert_eq!(world.status_writes, writes, "the same figures were written twice");
    finish(&mut world, &id.scope);
    assert!(world.status.loads.is_empty() && !world.status.message.contains("answered"));
}
