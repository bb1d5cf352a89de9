//! A world to decide about: objects, pods, attempts and a clock, and effects that change it as the cluster would.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::{
        ActiveConfig, CheckResult, DatabaseRolloutSpec, DatabaseRolloutStatus, LoadInProgress, LoadResult,
        Phase, StagePhase, StageRecord, Verdict,
    },
    engine::{
        AttemptId, AttemptScope, AttemptState, BindingObserved, Command, CopyState, Decision, Effect, Input,
        Observed, Pods, Report, StageObserved, WorkloadObserved, decide, status, wanted_attempts,
    },
    plan::{self, Footprint, ObjectReference, Plan},
};

/// What a candidate server is like: the verdicts that attempts come back with.
pub type Verdicts = BTreeMap<AttemptScope, Verdict>;

type Planned = (DatabaseRolloutSpec, Result<Plan, Vec<plan::Fault>>);

#[derive(Clone)]
pub struct World {
    pub uid: String,
    pub spec: DatabaseRolloutSpec,
    pub status: DatabaseRolloutStatus,
    pub now: Timestamp,
    /// The values that objects hold, by name of the value.
    pub live: BTreeMap<ObjectReference, String>,
    pub tokens: BTreeMap<String, String>,
    pub deleted: BTreeSet<String>,
    /// What the pods of each workload have read: the live values of its stages' objects at its last restart.
    pub read: BTreeMap<String, BTreeSet<String>>,
    /// Workloads whose pods are not there yet.
    pub unsettled: BTreeSet<String>,
    /// Workloads whose pods crash while they are on the candidate.
    pub crashing: BTreeSet<String>,
    pub copy: Option<(String, BTreeMap<String, Footprint>)>,
    pub attempts: BTreeMap<AttemptId, AttemptState>,
    /// What is seen of loads that run.
    pub loads: BTreeMap<AttemptId, LoadInProgress>,
    /// What attempts in progress will come back with; a pass where nothing is said.
    pub verdicts: Verdicts,
    /// What their loads will have measured.
    pub measured: BTreeMap<AttemptScope, LoadResult>,
    /// Version of the candidate's Secret.
    pub candidate: u32,
    pub unmet: Vec<String>,
    pub missing: Vec<String>,
    pub reverted_by: Option<String>,
    /// Everything that was done to the cluster.
    pub effects: Vec<String>,
    /// Evidence that really passed: what it was about.
    pub passed: BTreeSet<(String, String)>,
    pub status_writes: usize,
    /// The plan of the spec it was built from: building it is the most expensive part of a pass.
    planned: RefCell<Option<Planned>>,
}

impl World {
    pub fn new(spec: &str) -> Self {
        let spec: DatabaseRolloutSpec = serde_saphyr::from_str(spec).expect("the spec of a test is YAML");
        let mut world = Self {
            uid: "uid".into(),
            spec,
            status: DatabaseRolloutStatus::default(),
            now: "2026-01-01T00:00:00Z".parse().expect("a time"),
            live: BTreeMap::new(),
            tokens: BTreeMap::new(),
            deleted: BTreeSet::new(),
            read: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            crashing: BTreeSet::new(),
            copy: None,
            attempts: BTreeMap::new(),
            loads: BTreeMap::new(),
            verdicts: Verdicts::new(),
            measured: BTreeMap::new(),
            candidate: 1,
            unmet: Vec::new(),
            missing: Vec::new(),
            reverted_by: None,
            effects: Vec::new(),
            passed: BTreeSet::new(),
            status_writes: 0,
            planned: RefCell::new(None),
        };
        let objects =
            world.plan().map(|plan| plan.stages.into_iter().flat_map(|s| s.values.into_keys()).collect());
        let objects: Vec<ObjectReference> = objects.unwrap_or_default();
        world.live = objects.into_iter().map(|object| (object, "legacy".to_owned())).collect();
        world
    }

    pub fn plan(&self) -> Result<Plan, Vec<plan::Fault>> {
        let mut planned = self.planned.borrow_mut();
        if let Some((spec, plan)) = planned.as_ref()
            && *spec == self.spec
        {
            return plan.clone();
        }
        let plan = plan::build("shop", &self.spec);
        *planned = Some((self.spec.clone(), plan.clone()));
        plan
    }

    pub fn desired(&self) -> String {
        format!("candidate-{}", self.candidate)
    }

    fn digest(&self, plan: &Plan, stage: &str) -> String {
        format!("{}/{stage}/{}", &plan.fingerprint[..8], self.candidate)
    }

    pub fn command(&self) -> Command {
        Command {
            active: self.spec.active_config,
            paused: self.spec.paused,
            retry: self.spec.retry.clone(),
            approved: self.spec.approved_stages.clone(),
        }
    }

    fn workload(&self, workload: &crate::api::WorkloadReference) -> WorkloadObserved {
        let name = workload.to_string();
        let token = self.tokens.get(&name).cloned();
        let on_candidate = token.as_ref().is_some_and(|token| token.contains("candidate"));
        let crashes = on_candidate && self.crashing.contains(&name);
        let settled = !self.unsettled.contains(&name) && !crashes;
        let pods = Pods {
            template_seen: true,
            desired: 1,
            ready: i64::from(settled),
            old: i64::from(!settled),
            restarts: if crashes { 5 } else { 0 },
            most_restarts: if crashes { 5 } else { 0 },
            stuck: Vec::new(),
        };
        WorkloadObserved { workload: workload.clone(), exists: !self.deleted.contains(&name), token, pods }
    }

    fn stage(&self, footprint: &Footprint, digest: Option<String>) -> StageObserved {
        let bindings = footprint
            .bindings
            .iter()
            .map(|(object, keys)| BindingObserved {
                object: object.clone(),
                keys: keys.clone(),
                live: self.live.get(object).cloned(),
                desired: Some(self.desired()),
                legacy: Some("legacy".to_owned()),
                other_manager: self.reverted_by.clone(),
            })
            .collect();
        let workloads = footprint.workloads.iter().map(|workload| self.workload(workload)).collect();
        StageObserved { missing: Vec::new(), digest, bindings, workloads }
    }

    pub fn observe(&self) -> Observed {
        let run = self.status.recorded.run.max(1);
        let name = self
            .status
            .recorded
            .legacy
            .as_ref()
            .map_or(format!("shop-legacy-{run}"), |l| l.secret_name.clone());
        let copy = self.copy.as_ref().filter(|(held, _)| *held == name);
        let plan = self.plan().ok();
        Observed {
            conflicts: Vec::new(),
            unmet: self.unmet.clone(),
            missing: self.missing.clone(),
            copy: copy.map_or(CopyState::Absent, |(name, footprints)| CopyState::Intact {
                digest: format!("digest of {name}"),
                footprints: footprints.clone(),
            }),
            forward: plan
                .iter()
                .flat_map(|plan| plan.stages.iter().map(move |stage| (plan, stage)))
                .map(|(plan, stage)| {
                    let digest = copy.map(|_| self.digest(plan, &stage.name));
                    (stage.name.clone(), self.stage(&stage.footprint, digest))
                })
                .collect(),
            backward: copy
                .into_iter()
                .flat_map(|(_, footprints)| footprints)
                .map(|(name, footprint)| (name.clone(), self.stage(footprint, None)))
                .collect(),
            attempts: self.attempts.clone(),
            loads: self.loads.clone(),
        }
    }

    pub fn decide(&self) -> Decision {
        let (plan, command, observed) = (self.plan(), self.command(), self.observe());
        decide(&Input {
            name: "shop",
            uid: &self.uid,
            command: &command,
            plan: plan.as_ref().map_err(Vec::as_slice),
            recorded: &self.status.recorded,
            observed: &observed,
            now: self.now,
        })
    }

    /// One pass, as the loop makes it. `true`: something was done, so another pass is due.
    pub fn pass(&mut self) -> bool {
        let decision = self.decide();
        self.record(&decision);
        self.attempts.retain(|id, _| wanted_attempts(&decision).contains(id));
        if let Some(effect) = &decision.effect {
            self.apply(effect);
        }
        decision.effect.is_some() || decision.wake.is_some_and(|wake| wake.is_zero())
    }

    pub fn record(&mut self, decision: &Decision) {
        let plan = self.plan().ok();
        let next = status(decision, plan.as_ref(), &self.observe(), &self.status, 1, self.now);
        if next != self.status {
            self.assert_attempts_grow(&next);
            self.status = next;
            self.status_writes += 1;
        }
    }

    /// P12, at every step of every test.
    fn assert_attempts_grow(&self, next: &DatabaseRolloutStatus) {
        for before in &self.status.recorded.stages {
            if let Some(after) = next.recorded.stages.iter().find(|stage| stage.name == before.name) {
                let grows = after.attempt >= before.attempt
                    && after.soak_attempt >= before.soak_attempt
                    && after.soak_load_attempt >= before.soak_load_attempt;
                assert!(grows, "an attempt of stage {} went back", before.name);
            }
        }
        assert!(next.recorded.run >= self.status.recorded.run, "the run went back");
    }

    /// What the cluster would do; with it, what must hold before any write is checked.
    pub fn apply(&mut self, effect: &Effect) {
        self.effects.push(effect.to_string());
        let plan = self.plan();
        match effect {
            Effect::StartAttempt { id, .. } => {
                let known = self.attempts.insert(id.clone(), AttemptState::Running);
                assert!(known.is_none(), "attempt {id} was begun twice");
            }
            Effect::Preserve { secret_name } => {
                let footprints =
                    plan.expect("a plan").stages.into_iter().map(|s| (s.name, s.footprint)).collect();
                let objects_on_legacy = self.live.values().all(|value| value == "legacy");
                assert!(objects_on_legacy, "what is preserved as legacy is not legacy: {:?}", self.live);
                self.copy = Some((secret_name.clone(), footprints));
            }
            Effect::Promote { stage, object, desired } => {
                self.assert_promotion_is_allowed(stage);
                self.live.insert(object.clone(), desired.clone());
            }
            Effect::Restore { object, .. } => {
                assert!(self.copy.is_some(), "a restore without a copy");
                self.live.insert(object.clone(), "legacy".to_owned());
            }
            Effect::Restart { workload, token, .. } => {
                self.tokens.insert(workload.to_string(), token.clone());
                self.unsettled.insert(workload.to_string());
                let read = self.values_of(workload);
                self.read.insert(workload.to_string(), read);
            }
            Effect::DeletePod { .. } => {}
            Effect::Release { secret_names } => {
                assert!(self.copy.as_ref().is_none_or(|(name, _)| secret_names.contains(name)));
                self.copy = None;
            }
        }
    }

    fn values_of(&self, workload: &crate::api::WorkloadReference) -> BTreeSet<String> {
        let (_, footprints) = self.copy.as_ref().expect("a restart without a copy");
        let reading = footprints.values().filter(|footprint| footprint.workloads.contains(workload));
        let objects: BTreeSet<ObjectReference> = reading.flat_map(|f| f.bindings.keys().cloned()).collect();
        self.live
            .iter()
            .filter(|(object, _)| objects.contains(object))
            .map(|(_, value)| value.clone())
            .collect()
    }

    /// Whether every pod that was restarted runs on nothing but that value.
    pub fn pods_run_on(&self, value: &str) -> bool {
        self.read.values().all(|read| read.iter().all(|held| held == value))
    }

    /// P7 and "preserve before the first write": a copy, an intent, and evidence that passed for exactly this.
    fn assert_promotion_is_allowed(&self, stage: &str) {
        let legacy = self.status.recorded.legacy.as_ref().expect("preserved before the first write");
        assert!(self.copy.as_ref().is_some_and(|(name, _)| *name == legacy.secret_name), "the copy exists");
        assert!(self.status.recorded.journal.is_some(), "the intent is journalled before the write");
        let plan = self.plan().expect("only an accepted plan is carried out");
        let about = self.digest(&plan, stage);
        let planned = plan.stage(stage).expect("a planned stage");
        let mut needed = vec![format!("checks {stage}")];
        needed.extend(planned.load.map(|_| format!("load {stage}")));
        for what in needed {
            assert!(
                self.passed.contains(&(what.clone(), about.clone())),
                "no fresh evidence: {what} about {about}"
            );
        }
        assert_eq!(self.spec.active_config, ActiveConfig::Candidate, "promoted against the command");
        assert!(
            self.status.recorded.rollback.as_ref().is_none_or(|r| r.run < self.status.recorded.run),
            "promoted while rolling back"
        );
    }

    /// Passes until nothing is due.
    pub fn settle(&mut self) {
        for _ in 0..300 {
            if !self.pass() {
                return;
            }
        }
        panic!("the engine does not come to rest: {}", self.status.message);
    }

    /// As [`Self::settle`], for a world in which something is never due to end.
    pub fn settle_for(&mut self, passes: usize) {
        for _ in 0..passes {
            self.pass();
        }
    }

    /// As [`Self::settle`], up to the point where legacy would be preserved anew.
    pub fn settle_without_preserving(&mut self) {
        for _ in 0..50 {
            if matches!(self.decide().effect, Some(Effect::Preserve { .. })) || !self.pass() {
                return;
            }
        }
    }

    /// Every running attempt comes back with its verdict, pods become ready, and time passes.
    pub fn world_moves(&mut self, seconds: i64) {
        let running: Vec<AttemptId> = self
            .attempts
            .iter()
            .filter(|(_, state)| **state == AttemptState::Running)
            .map(|(id, _)| id.clone())
            .collect();
        for id in running {
            self.finish_attempt(&id);
        }
        self.unsettled.clear();
        self.now += SignedDuration::from_secs(seconds);
    }

    pub fn finish_attempt(&mut self, id: &AttemptId) {
        let verdict = self.verdicts.get(&id.scope).copied().unwrap_or(Verdict::Pass);
        let digest = self.digest_of(id);
        if verdict == Verdict::Pass {
            self.passed.insert((format!("{} {}", id.kind(), id.stage()), digest.clone()));
        }
        let finished_at = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime(self.now));
        let (name, message) = ("asked".to_owned(), "told".to_owned());
        let load = LoadResult {
            verdict,
            message: message.clone(),
            finished_at: finished_at.clone(),
            ..self.measured.get(&id.scope).cloned().unwrap_or_default()
        };
        let check = CheckResult { name, verdict, message, finished_at, ..CheckResult::default() };
        let report = Report { digest, checks: vec![check], load: Some(load) };
        self.attempts.insert(id.clone(), AttemptState::Finished(Box::new(report)));
    }

    /// The digest that the attempt was begun with.
    fn digest_of(&self, id: &AttemptId) -> String {
        let recorded = &self.status.recorded;
        match &id.scope {
            AttemptScope::Prerequisites => {
                recorded.prerequisites.as_ref().map(|p| p.digest.clone()).unwrap_or_default()
            }
            AttemptScope::Baseline => {
                recorded.baseline.as_ref().map(|b| b.digest.clone()).unwrap_or_default()
            }
            AttemptScope::Final => {
                recorded.final_validation.as_ref().map(|f| f.digest.clone()).unwrap_or_default()
            }
            AttemptScope::LegacyProbe => String::new(),
            AttemptScope::Checks(_)
            | AttemptScope::Load(_)
            | AttemptScope::Soak(_)
            | AttemptScope::SoakLoad(_) => {
                self.record_of(id.stage()).map(|stage| stage.digest.clone()).unwrap_or_default()
            }
        }
    }

    pub fn record_of(&self, stage: &str) -> Option<&StageRecord> {
        self.status.recorded.stages.iter().find(|record| record.name == stage)
    }

    pub fn stage_phase(&self, stage: &str) -> StagePhase {
        self.record_of(stage).map(|record| record.phase).unwrap_or_default()
    }

    /// The process is killed and another takes over: attempts are gone.
    pub fn operator_restarts(&mut self) {
        self.attempts.clear();
    }

    /// Goes on until a phase is reached.
    pub fn run_until(&mut self, phase: Phase) {
        self.run_while(&format!("{phase:?}"), |world| world.status.phase != phase);
    }

    pub fn run_until_stage(&mut self, stage: &str, phase: StagePhase) {
        self.run_while(&format!("{stage} {phase:?}"), |world| world.stage_phase(stage) != phase);
    }

    /// Goes on until it is completed, or held or rolled back with a failure latched.
    pub fn run_until_rest(&mut self) {
        self.run_while("rest", |world| {
            let latched = matches!(world.status.phase, Phase::Held | Phase::RolledBack);
            let released = world.status.recorded.failure.as_ref().is_none_or(|f| f.retry != world.spec.retry);
            world.status.phase != Phase::Completed && (!latched || released)
        });
    }

    fn run_while(&mut self, goal: &str, unfinished: impl Fn(&Self) -> bool) {
        for _ in 0..400 {
            if !unfinished(self) {
                return;
            }
            if !self.pass() {
                self.world_moves(7);
            }
        }
        panic!("never got to {goal}: {:?}: {}", self.status.phase, self.status.message);
    }

    pub fn all_on(&self, value: &str) -> bool {
        self.live.values().all(|live| live == value)
    }

    pub fn condition(&self, kind: &str) -> Option<(String, String)> {
        let found = self.status.conditions.iter().find(|condition| condition.type_ == kind)?;
        Some((found.status.clone(), found.reason.clone()))
    }
}

/// Two stages side by side, then one that needs both; checks everywhere, load and soak in places.
pub const DIAMOND: &str = r#"
legacy: {connection: {secretRef: {name: old, key: uri}}}
candidate: {connection: {secretRef: {name: new, key: uri}}}
traffic: [{name: t, statements: [{sql: "SELECT 1", weight: 1}]}]
baseline: {traffic: t, rate: 10, duration: 5s, connections: 1}
stages:
- name: a
  access: ReadOnly
  config: [{secret: a, set: {URL: {fromSecret: {name: new, key: uri}}}}]
  workloads: [{kind: Deployment, name: a}]
  checks: [{name: c, connectivity: {}}]
  load: {traffic: t, rate: 10, duration: 5s, connections: 1, maxErrorPercent: "20"}
- name: b
  access: ReadOnly
  config: [{secret: b, set: {URL: {fromSecret: {name: new, key: uri}}}}, {configMap: b, set: {POOL: {value: "9"}}}]
  workloads: [{kind: StatefulSet, name: b}]
  checks: [{name: c, connectivity: {}}]
- name: w
  dependsOn: [a, b]
  onFailure: Rollback
  config: [{secret: w, set: {URL: {fromSecret: {name: new, key: uri}}}}]
  workloads: [{kind: DaemonSet, name: w}]
  checks: [{name: c, connectivity: {}}]
  soak:
    duration: 20s
    checks: [{name: s, workload: {}}]
    load: {traffic: t, mode: Candidate, rate: 10, duration: 5s, connections: 1, maxLatency: {p50: 1s}, maxErrorPercent: "20"}
"#;

/// One stage, nothing but what it needs.
pub const SINGLE: &str = r"
legacy: {connection: {secretRef: {name: old, key: uri}}}
candidate: {connection: {secretRef: {name: new, key: uri}}}
stages:
- name: a
  access: ReadOnly
  config: [{secret: a, set: {URL: {fromSecret: {name: new, key: uri}}}}]
  workloads: [{kind: Deployment, name: a}]
  checks: [{name: c, connectivity: {}}]
";
