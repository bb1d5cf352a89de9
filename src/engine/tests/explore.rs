//! All that is reachable on a small graph, not a sample of it: whatever happens in whatever order, there is a way back,
//! there is a way on, and no step is unsafe (the world asserts that at every write).

use std::collections::{BTreeSet, VecDeque};

use super::world::World;
use crate::{
    api::{ActiveConfig, Phase, Recorded, Verdict},
    engine::{AttemptScope, AttemptState},
};

/// One stage with load, approval and soak: every phase that a stage has, behind a prerequisite that is asked.
const STAGE: &str = r#"
prerequisites: [{name: p, http: {url: "http://p"}}]
legacy: {connection: {secretRef: {name: old, key: uri}}}
candidate: {connection: {secretRef: {name: new, key: uri}}}
traffic: [{name: t, statements: [{sql: "SELECT 1", weight: 1}]}]
stages:
- name: a
  onFailure: Rollback
  approval: Manual
  config: [{secret: a, set: {URL: {fromSecret: {name: new, key: uri}}}}]
  workloads: [{kind: Deployment, name: a}]
  checks: [{name: c, connectivity: {}}]
  load: {traffic: t, rate: 10, duration: 5s, connections: 1, maxErrorPercent: "20"}
  soak: {duration: 5s, checks: [{name: s, workload: {}}]}
"#;

/// One stage whose soak has a load, and little else: with all that `STAGE` has the two would multiply.
const SOAK: &str = r#"
legacy: {connection: {secretRef: {name: old, key: uri}}}
candidate: {connection: {secretRef: {name: new, key: uri}}}
traffic: [{name: t, statements: [{sql: "SELECT 1", weight: 1}]}]
stages:
- name: a
  onFailure: Rollback
  config: [{secret: a, set: {URL: {fromSecret: {name: new, key: uri}}}}]
  workloads: [{kind: Deployment, name: a}]
  checks: [{name: c, connectivity: {}}]
  soak:
    duration: 5s
    load: {traffic: t, mode: Candidate, rate: 10, duration: 5s, connections: 1, maxLatency: {p50: 1s}, maxErrorPercent: "20"}
"#;

/// Something that may happen between two passes.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Nothing,
    AttemptsPass,
    AttemptsFail,
    PodsReady,
    PodsCrash,
    OperatorRestarts,
    CommandLegacy,
    CommandCandidate,
    Approve,
    Retry,
    CandidateRotated,
}

const ALL: [Happening; 11] = [
    Happening::Nothing,
    Happening::AttemptsPass,
    Happening::AttemptsFail,
    Happening::PodsReady,
    Happening::PodsCrash,
    Happening::OperatorRestarts,
    Happening::CommandLegacy,
    Happening::CommandCandidate,
    Happening::Approve,
    Happening::Retry,
    Happening::CandidateRotated,
];

fn happen(world: &mut World, what: Happening) {
    match what {
        Happening::Nothing => {}
        Happening::AttemptsPass => finish(world, Verdict::Pass),
        Happening::AttemptsFail => finish(world, Verdict::Fail),
        Happening::PodsReady => {
            world.unsettled.clear();
            world.now += jiff::SignedDuration::from_secs(6);
        }
        Happening::PodsCrash => {
            world.crashing.insert("Deployment/a".into());
        }
        Happening::OperatorRestarts => world.operator_restarts(),
        Happening::CommandLegacy => world.spec.active_config = ActiveConfig::Legacy,
        Happening::CommandCandidate => world.spec.active_config = ActiveConfig::Candidate,
        Happening::Approve => world.spec.approved_stages = vec!["a".into()],
        // One retry and one rotation are enough to tell them from none; more would only make more numbers.
        Happening::Retry => world.spec.retry = "again".into(),
        Happening::CandidateRotated => world.candidate = 2,
    }
}

fn finish(world: &mut World, verdict: Verdict) {
    let running: Vec<_> = world
        .attempts
        .iter()
        .filter(|(_, s)| **s == AttemptState::Running)
        .map(|(id, _)| id.clone())
        .collect();
    for id in running {
        world.verdicts.insert(id.scope.clone(), verdict);
        world.finish_attempt(&id);
        world.verdicts.remove(&id.scope);
    }
}

/// The state without what only grows: numbers, times, messages, history. Two worlds of one key behave alike.
fn key(world: &World) -> String {
    let recorded = Recorded { history: Vec::new(), journal: None, ..world.status.recorded.clone() };
    let stages: Vec<String> = recorded
        .stages
        .iter()
        .map(|s| {
            let age = |time: &Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime>| {
                time.as_ref().map(|time| world.now.duration_since(time.0).as_secs().clamp(0, 6))
            };
            let attempt =
                AttemptScopes(&s.name).states(world, [s.attempt, s.soak_attempt, s.soak_load_attempt]);
            format!(
                "{:?}{}{:?}{:?}{:?}{}{attempt}",
                s.phase,
                s.promoted_at.is_some(),
                s.setbacks,
                age(&s.soak_started_at),
                s.soak_load.as_ref().map(|load| load.verdict),
                s.digest.contains("/2")
            )
        })
        .collect();
    let rollback = recorded.rollback.as_ref().map(|r| {
        (
            r.phase,
            r.trigger,
            r.run == recorded.run,
            r.legacy_serves,
            AttemptScopes("").states(world, [r.attempt, 0, 0]),
        )
    });
    // Once legacy is preserved they are not looked at any more.
    let asked = recorded.prerequisites.as_ref().filter(|_| recorded.legacy.is_none());
    let prerequisites = asked.map(|p| {
        let id = crate::engine::AttemptId { scope: AttemptScope::Prerequisites, number: p.attempt };
        let is_fresh = |at: &k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime| {
            world.now.duration_since(at.0).as_secs() < 60
        };
        let waits = p.retry_at.as_ref().map(|at| at.0.duration_since(world.now).as_secs().clamp(0, 18) / 6);
        (state(world, &id), p.started_at.is_some(), p.met_at.as_ref().map(is_fresh), waits)
    });
    let validation = recorded.final_validation.as_ref().map(|v| (v.passed, v.setbacks, v.digest.is_empty()));
    format!(
        "{:?}|{prerequisites:?}|{stages:?}|{rollback:?}|{validation:?}|{}{}{}{}|{:?}{:?}{:?}|{:?}{:?}{}{}{}",
        world.status.phase,
        recorded.legacy.is_some(),
        recorded.failure.is_some(),
        recorded.failure.as_ref().is_some_and(|f| f.retry == world.spec.retry),
        recorded.completed_at.is_some(),
        world.live,
        world.unsettled,
        world.crashing,
        world.spec.active_config,
        world.spec.approved_stages,
        world.spec.paused,
        world.candidate,
        recorded.run.min(2),
    )
}

struct AttemptScopes<'a>(&'a str);

impl AttemptScopes<'_> {
    fn states(&self, world: &World, [number, soak, soak_load]: [i64; 3]) -> String {
        let scopes = if self.0.is_empty() {
            vec![AttemptScope::LegacyProbe]
        } else {
            vec![
                AttemptScope::Checks(self.0.to_owned()),
                AttemptScope::Load(self.0.to_owned()),
                AttemptScope::Soak(self.0.to_owned()),
                AttemptScope::SoakLoad(self.0.to_owned()),
            ]
        };
        scopes
            .into_iter()
            .map(|scope| {
                let number = match scope {
                    AttemptScope::Soak(_) => soak,
                    AttemptScope::SoakLoad(_) => soak_load,
                    _ => number,
                };
                crate::engine::AttemptId { scope, number }
            })
            .map(|id| state(world, &id))
            .collect()
    }
}

fn state(world: &World, id: &crate::engine::AttemptId) -> char {
    match world.attempts.get(id) {
        None => '-',
        Some(AttemptState::Running) => 'r',
        Some(AttemptState::Finished(report)) => match report.checks[0].verdict {
            Verdict::Pass => 'p',
            Verdict::Fail => 'f',
            _ => 'e',
        },
    }
}

/// P4: a second look at an unchanged world records nothing and does nothing.
fn assert_fixpoint(world: &World) {
    let mut copy = world.clone();
    copy.settle();
    let (writes, effects) = (copy.status_writes, copy.effects.len());
    copy.settle();
    assert_eq!(
        (writes, effects),
        (copy.status_writes, copy.effects.len()),
        "a second pass wrote: {}",
        copy.status.message
    );
}

/// P6: an edit to `Legacy` reaches legacy, and then an edit to `Candidate` reaches the candidate.
fn assert_reversible(world: &World) {
    let mut copy = world.clone();
    copy.crashing.clear();
    copy.spec.active_config = ActiveConfig::Legacy;
    copy.run_until(Phase::RolledBack);
    assert!(copy.all_on("legacy"), "rolled back, but {:?}", copy.live);
    assert_gets_there(&copy);
}

/// P5: when faults are over and a person has said what to do, it gets there and stays.
fn assert_gets_there(world: &World) {
    let mut copy = world.clone();
    copy.crashing.clear();
    copy.spec.active_config = ActiveConfig::Candidate;
    copy.spec.paused = false;
    copy.spec.approved_stages = vec!["a".into()];
    // What had already failed and was not yet read may need a retry of its own.
    for retry in 0..3 {
        copy.spec.retry = format!("for sure {retry}");
        copy.run_until_rest();
    }
    assert_eq!(copy.status.phase, Phase::Completed, "{}", copy.status.message);
    // A Secret that is rotated after the completion is not promoted by itself, so any version of it is right.
    assert!(copy.live.values().all(|value| value.starts_with("candidate")), "completed, but {:?}", copy.live);
    let effects = copy.effects.len();
    for _ in 0..5 {
        copy.settle();
        copy.world_moves(30);
    }
    assert_eq!((copy.status.phase, copy.effects.len()), (Phase::Completed, effects), "it did not stay");
}

#[test]
fn from_every_reachable_state_there_is_a_way_back_and_a_way_on() {
    explore(STAGE);
}

#[test]
fn from_every_reachable_state_of_a_soak_with_a_load_there_is_a_way_back_and_a_way_on() {
    explore(SOAK);
}

fn explore(spec: &str) {
    let mut seen = BTreeSet::new();
    let mut queue = VecDeque::from([World::new(spec)]);
    while let Some(world) = queue.pop_front() {
        for what in ALL {
            let mut next = world.clone();
            happen(&mut next, what);
            next.pass();
            next.effects.clear();
            if seen.insert(key(&next)) {
                assert_fixpoint(&next);
                assert_reversible(&next);
                assert_gets_there(&next);
                queue.push_back(next);
            }
        }
        assert!(seen.len() < 60_000, "the state space is not small any more");
    }
    assert!(seen.len() > 500, "only {} states: the exploration does not explore", seen.len());
}
