//! A rollout with 20 stages in four chains side by side, brought to each state by the engine's own decisions.

use std::fmt::Write as _;

use crate::{
    api::{ActiveConfig, CheckResult, Phase, StagePhase, Verdict},
    world::World,
};

const STAGES: usize = 20;
/// Stages that run side by side.
const CHAINS: usize = 4;
/// Answers in the status of each stage.
const CHECKS: usize = 4;

pub fn all() -> Vec<(&'static str, World)> {
    vec![
        ("waiting", waiting()),
        ("checking", until_stage(0, StagePhase::Checking)),
        ("promoting", until_stage(STAGES / 2, StagePhase::Promoting)),
        ("soaking", until_stage(STAGES / 2, StagePhase::Soaking)),
        ("completed", completed()),
        ("rolling back", rolling_back()),
    ]
}

fn waiting() -> World {
    let mut world = World::new(&spec());
    world.unmet.push("prerequisite first: DatabaseRollout/first is Progressing, not Completed".to_owned());
    world.settle();
    world
}

fn until_stage(index: usize, phase: StagePhase) -> World {
    let mut world = World::new(&spec());
    world.run_until_stage(&name(index), phase);
    filled(world)
}

pub fn completed() -> World {
    let mut world = World::new(&spec());
    world.run_until_stage(&name(STAGES / 2), StagePhase::Done);
    world.run_until_stage(&name(STAGES - 1), StagePhase::Done);
    world.run_until(Phase::Completed);
    filled(world)
}

fn rolling_back() -> World {
    let mut world = completed();
    world.spec.active_config = ActiveConfig::Legacy;
    world.run_until(Phase::RollingBack);
    world
}

/// As full as a real status: the world's own checks answer in a word.
fn filled(mut world: World) -> World {
    let answer = CheckResult {
        name: "orders-are-complete".into(),
        verdict: Verdict::Pass,
        message: "SELECT count(*) FROM orders: 48211 on both sides, as expected".into(),
        measured: Some("48211".into()),
        expected: Some("48211".into()),
        samples: 1,
        duration_ms: 12,
        ..CheckResult::default()
    };
    for stage in world.status.recorded.stages.iter_mut().filter(|stage| !stage.checks.is_empty()) {
        stage.checks = vec![answer.clone(); CHECKS];
    }
    world
}

fn name(index: usize) -> String {
    format!("stage-{index:02}")
}

fn spec() -> String {
    let mut text = String::from(
        r#"legacy: {connection: {secretRef: {name: old, key: uri}}}
candidate: {connection: {secretRef: {name: new, key: uri}}}
traffic: [{name: t, statements: [{sql: "SELECT 1", weight: 1}]}]
baseline: {traffic: t, rate: 10, duration: 5s, connections: 1}
stages:
"#,
    );
    for index in 0..STAGES {
        let stage = name(index);
        let after = index.checked_sub(CHAINS).map(name).unwrap_or_default();
        writeln!(
            text,
            r#"- name: {stage}
  dependsOn: [{after}]
  onFailure: Rollback
  config:
  - {{secret: {stage}-db, set: {{URL: {{fromSecret: {{name: new, key: uri}}}}, CA: {{fromSecret: {{name: new, key: ca}}}}}}}}
  - {{configMap: {stage}-db, set: {{POOL_MAX: {{value: "9"}}, POOL_MIN: {{value: "1"}}}}}}
  workloads: [{{kind: Deployment, name: {stage}}}, {{kind: StatefulSet, name: {stage}}}]
  checks: [{{name: reachable, connectivity: {{}}}}, {{name: pods, workload: {{}}}}]
  load: {{traffic: t, rate: 10, duration: 5s, connections: 1, maxErrorPercent: "20"}}
  soak: {{duration: 20s, checks: [{{name: pods, workload: {{}}}}]}}"#
        )
        .expect("a String takes it");
    }
    text
}
