//! Figures for `/metrics`, with labels whose values are few and fixed.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{
    api::{Phase, Verdict},
    engine::{AttemptId, Report},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    kind: String,
    verdict: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EffectLabels {
    effect: String,
    outcome: String,
}

/// Counts attempts that are over.
pub(super) struct AttemptCounter(Family<AttemptLabels, Counter>);

impl AttemptCounter {
    pub fn count(&self, id: &AttemptId, report: &Report) {
        let checks = report.checks.iter().map(|check| check.verdict);
        let verdict =
            checks.chain(report.load.as_ref().map(|load| load.verdict)).max().unwrap_or(Verdict::Pass);
        let labels = AttemptLabels { kind: id.kind().to_owned(), verdict: format!("{verdict:?}") };
        self.0.get_or_create(&labels).inc();
    }
}

/// The operator's figures.
pub struct Metrics {
    registry: Registry,
    transitions: Family<ReasonLabel, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    effects: Family<EffectLabels, Counter>,
    rollouts: Family<PhaseLabel, Gauge>,
    status_writes: Counter,
    passes: Histogram,
    phases: Mutex<HashMap<String, Phase>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("cutover");
        let transitions = Family::default();
        registry.register("transitions", "Transitions of rollouts, by reason", transitions.clone());
        let attempts = Family::default();
        registry.register("attempts", "Attempts that are over, by kind and verdict", attempts.clone());
        let effects = Family::default();
        registry.register("effects", "Effects on the cluster, by kind and outcome", effects.clone());
        let rollouts = Family::default();
        registry.register("rollouts", "Rollouts, by phase", rollouts.clone());
        let status_writes = Counter::default();
        registry.register("status_writes", "Status writes", status_writes.clone());
        let passes = Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]);
        registry.register("pass_seconds", "Time of one pass: look, decide, record, act", passes.clone());
        Self {
            registry,
            transitions,
            attempts,
            effects,
            rollouts,
            status_writes,
            passes,
            phases: Mutex::default(),
        }
    }
}

impl Metrics {
    /// All figures in the OpenMetrics text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    pub(super) fn transition(&self, reason: &str) {
        self.transitions.get_or_create(&ReasonLabel { reason: reason.to_owned() }).inc();
    }

    /// The counter of attempts, for an attempt to take with it.
    pub(super) fn attempts(&self) -> AttemptCounter {
        AttemptCounter(self.attempts.clone())
    }

    pub(super) fn effect(&self, effect: &str, outcome: &str) {
        let labels = EffectLabels { effect: effect.to_owned(), outcome: outcome.to_owned() };
        self.effects.get_or_create(&labels).inc();
    }

    pub(super) fn status_written(&self) {
        self.status_writes.inc();
    }

    pub(super) fn pass(&self, took: Duration) {
        self.passes.observe(took.as_secs_f64());
    }

    pub(super) fn phase(&self, uid: &str, phase: Phase) {
        let mut phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        let before = phases.insert(uid.to_owned(), phase);
        if before != Some(phase) {
            before.into_iter().for_each(|before| self.count(before, -1));
            self.count(phase, 1);
        }
    }

    pub(super) fn keep_only(&self, uids: &HashSet<String>) {
        let mut phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        phases.retain(|uid, phase| {
            let stays = uids.contains(uid);
            if !stays {
                self.count(*phase, -1);
            }
            stays
        });
    }

    fn count(&self, phase: Phase, change: i64) {
        self.rollouts.get_or_create(&PhaseLabel { phase: format!("{phase:?}") }).inc_by(change);
    }
}
