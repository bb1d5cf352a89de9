//! One pass of the engine: the record as it will be, the effect slot, the notes.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::model::{AttemptId, AttemptScope, AttemptState, Decision, Effect, Input, Note, Outlook, Report};
use crate::{
    api::{
        BaselineRecord, CheckResult, HistoryEntry, Intent, Phase, PrerequisitesRecord, Recorded,
        RollbackPhase, StagePhase, StageRecord, Verdict,
    },
    text,
};

/// Transitions kept in the status.
const HISTORY_MAX: usize = 30;
/// Attempts in a row that may end without a verdict before that counts as a failure.
pub(super) const SETBACKS_MAX: i64 = 3;
/// Pause after the first setback; doubles with each.
const SETBACK_PAUSE_SECONDS: i64 = 5;
/// Pause between two tries of the same effect.
const REPEAT_PAUSE: Duration = Duration::from_secs(1);
/// How soon to look again while pods are being replaced.
pub(super) const PODS_POLL: Duration = Duration::from_millis(400);
/// How soon to look again for something that somebody has to create or allow.
pub(super) const WORLD_POLL: Duration = Duration::from_secs(5);
/// An attempt wakes the loop when it is over; this is for the case that it never does.
pub(super) const ATTEMPT_POLL: Duration = Duration::from_secs(30);

/// The name of the preserved copy of a run.
#[must_use]
pub fn copy_name(rollout: &str, run: i64) -> String {
    format!("{rollout}-legacy-{run}")
}

pub(super) struct Pass<'a> {
    pub input: &'a Input<'a>,
    pub next: Recorded,
    effect: Option<Effect>,
    notes: Vec<Note>,
    wake: Option<Duration>,
    /// The journal is what tells how long ago the effect was tried, so it stays until then.
    waits_to_repeat: bool,
}

impl<'a> Pass<'a> {
    pub fn new(input: &'a Input<'a>) -> Self {
        // The observation is newer than the journalled effect: whatever became of it has been seen by now.
        let next = Recorded { journal: None, ..input.recorded.clone() };
        Self { input, next, effect: None, notes: Vec::new(), wake: None, waits_to_repeat: false }
    }

    /// Claims the pass's one effect. `false`: another has it, so nothing that depends on this one may be recorded yet.
    pub fn take(&mut self, effect: Effect) -> bool {
        if self.effect.is_some() {
            self.look_again(Duration::ZERO);
            return false;
        }
        if let Some(pause) = self.pause_before_repeating(&effect) {
            self.waits_to_repeat = true;
            self.look_again(pause);
            return false;
        }
        self.effect = Some(effect);
        true
    }

    /// An effect that is asked for again right away has failed, or was undone at once. It is tried again, but not as fast
    /// as the API server answers.
    fn pause_before_repeating(&self, effect: &Effect) -> Option<Duration> {
        let last = self.input.recorded.journal.as_ref().filter(|last| last.effect == effect.to_string())?;
        let since = self.elapsed(last.since.as_ref());
        (since < REPEAT_PAUSE).then(|| REPEAT_PAUSE.saturating_sub(since))
    }

    /// Gives the pass's effect up: what was to be done forward is not done once something has failed. An attempt that
    /// was recorded and never begun counts as lost, a write is asked for again by what is seen.
    pub fn drop_effect(&mut self) {
        self.effect = None;
    }

    pub fn effect_taken(&self) -> bool {
        self.effect.is_some()
    }

    /// Looks again after `delay`, or earlier where something else asks for it.
    pub fn look_again(&mut self, delay: Duration) {
        self.wake = Some(self.wake.map_or(delay, |wake| wake.min(delay)));
    }

    pub fn look_again_at(&mut self, time: Timestamp) {
        let delay = Duration::try_from(time.duration_since(self.input.now)).unwrap_or_default();
        self.look_again(delay);
    }

    pub fn note(&mut self, reason: &'static str, stage: &str, message: impl Into<String>) {
        self.push_note(reason, stage, &message.into(), false);
    }

    pub fn warn(&mut self, reason: &'static str, stage: &str, message: impl Into<String>) {
        self.push_note(reason, stage, &message.into(), true);
    }

    fn push_note(&mut self, reason: &'static str, stage: &str, message: &str, warning: bool) {
        let message = clip(message);
        self.next.history.push(HistoryEntry {
            at: Some(self.now()),
            reason: reason.to_owned(),
            message: message.clone(),
        });
        let surplus = self.next.history.len().saturating_sub(HISTORY_MAX);
        self.next.history.drain(..surplus);
        self.notes.push(Note { reason, message, warning, stage: stage.to_owned() });
    }

    pub fn now(&self) -> MicroTime {
        MicroTime(self.input.now)
    }

    pub fn after(&self, delay: Duration) -> MicroTime {
        let delay = jiff::SignedDuration::try_from(delay).unwrap_or(jiff::SignedDuration::MAX);
        MicroTime(self.input.now.saturating_add(delay).unwrap_or(Timestamp::MAX))
    }

    /// Time since `since`; zero where the clock went back.
    pub fn elapsed(&self, since: Option<&MicroTime>) -> Duration {
        since
            .and_then(|since| Duration::try_from(self.input.now.duration_since(since.0)).ok())
            .unwrap_or_default()
    }

    /// Whether `time` is still to come; if so, looks again then.
    pub fn is_before(&mut self, time: Option<&MicroTime>) -> bool {
        match time {
            Some(time) if self.input.now < time.0 => {
                self.look_again_at(time.0);
                true
            }
            _ => false,
        }
    }

    /// When the attempt after the `setbacks`-th setback may begin.
    pub fn retry_time(&self, setbacks: i64) -> MicroTime {
        let doublings = u32::try_from(setbacks.clamp(1, SETBACKS_MAX) - 1).unwrap_or(0);
        self.after(Duration::from_secs(u64::try_from(SETBACK_PAUSE_SECONDS << doublings).unwrap_or(5)))
    }

    /// The attempt's report, if it is over and about what is asked now.
    pub fn attempt(&self, scope: AttemptScope, number: i64, digest: &str) -> AttemptView<'a> {
        match self.input.observed.attempts.get(&AttemptId { scope, number }) {
            Some(AttemptState::Running) => AttemptView::Running,
            Some(AttemptState::Finished(report)) if report.digest == digest => AttemptView::Finished(report),
            Some(AttemptState::Finished(_)) | None => AttemptView::Lost,
        }
    }

    pub fn outlook(phase: Phase, message: String) -> Outlook {
        Outlook { phase, message, ..Outlook::default() }
    }

    /// Whether any stage is not on legacy.
    pub fn touched(&self) -> bool {
        self.next.stages.iter().any(|stage| stage.promoted_at.is_some())
    }

    pub fn stage(&self, name: &str) -> Option<&StageRecord> {
        self.next.stages.iter().find(|stage| stage.name == name)
    }

    pub fn into_decision(mut self, outlook: Outlook) -> Decision {
        // What was recorded now may let something else follow at once; only a record that stays the same may rest.
        // The journal does not count, so both have the same one for as long as they are compared.
        self.next.journal.clone_from(&self.input.recorded.journal);
        if *self.input.recorded != self.next {
            self.look_again(Duration::ZERO);
        }
        let effect = self.effect.as_ref().filter(|effect| effect.is_external());
        if effect.is_some() || !self.waits_to_repeat {
            self.next.journal =
                effect.map(|effect| Intent { effect: effect.to_string(), since: Some(self.now()) });
        }
        Decision { recorded: self.next, effect: self.effect, wake: self.wake, notes: self.notes, outlook }
    }
}

/// An attempt as the record sees it.
pub(super) enum AttemptView<'a> {
    /// No process knows it, or its evidence is about something else: it counts for nothing.
    Lost,
    Running,
    Finished(&'a Report),
}

/// Longest message that is recorded: a status must fit into the API server's store whatever fails, or nothing could be
/// recorded any more, not even a rollback.
const MESSAGE_MAX_CHARS: usize = 512;

pub(super) fn clip(message: &str) -> String {
    text::clip(message, MESSAGE_MAX_CHARS)
}

/// The verdict of several checks is the worst of them; of none, a pass.
pub(super) fn worst(checks: &[CheckResult]) -> Verdict {
    checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Pass)
}

/// The checks with that verdict, in a sentence each.
pub(super) fn sentences(checks: &[CheckResult], verdict: Verdict) -> String {
    let told: Vec<String> = checks
        .iter()
        .filter(|check| check.verdict == verdict)
        .map(|check| format!("check {}: {}", check.name, check.message))
        .collect();
    told.join("; ")
}

/// The attempts that a record wants to go on.
pub(super) fn wanted_attempts(recorded: &Recorded, outlook: &Outlook) -> Vec<AttemptId> {
    let mut wanted = Vec::new();
    if let Some(rollback) =
        recorded.rollback.as_ref().filter(|rollback| rollback.phase != RollbackPhase::Done)
    {
        wanted.push(AttemptId { scope: AttemptScope::LegacyProbe, number: rollback.attempt });
        return wanted;
    }
    // What a spec that was not accepted asks for is not asked.
    if matches!(outlook.phase, Phase::RolledBack | Phase::Completed) || outlook.rejected.is_some() {
        return wanted;
    }
    let asking = |record: &&PrerequisitesRecord| record.started_at.is_some() && recorded.legacy.is_none();
    if let Some(record) = recorded.prerequisites.as_ref().filter(asking) {
        wanted.push(AttemptId { scope: AttemptScope::Prerequisites, number: record.attempt });
    }
    let measuring = |baseline: &&BaselineRecord| baseline.result.is_none() && baseline.started_at.is_some();
    if let Some(baseline) = recorded.baseline.as_ref().filter(measuring) {
        wanted.push(AttemptId { scope: AttemptScope::Baseline, number: baseline.attempt });
    }
    if let Some(validation) = recorded.final_validation.as_ref().filter(|validation| !validation.passed) {
        wanted.push(AttemptId { scope: AttemptScope::Final, number: validation.attempt });
    }
    wanted.extend(recorded.stages.iter().flat_map(stage_attempts));
    wanted
}

/// Whether the load of the stage's present soak is over, with a pass.
pub(super) fn soak_load_passed(stage: &StageRecord) -> bool {
    stage.soak_load.as_ref().is_some_and(|load| matches!(load.verdict, Verdict::Pass | Verdict::Warn))
}

fn stage_attempts(stage: &StageRecord) -> Vec<AttemptId> {
    let id = |(scope, number)| AttemptId { scope, number };
    let (scope, number) = match stage.phase {
        StagePhase::Checking => (AttemptScope::Checks(stage.name.clone()), stage.attempt),
        StagePhase::Loading => (AttemptScope::Load(stage.name.clone()), stage.attempt),
        StagePhase::Soaking => {
            let load = (AttemptScope::SoakLoad(stage.name.clone()), stage.soak_load_attempt);
            let samples = (AttemptScope::Soak(stage.name.clone()), stage.soak_attempt);
            let load = (!soak_load_passed(stage)).then_some(load);
            return load.into_iter().chain([samples]).map(id).collect();
        }
        _ => return Vec::new(),
    };
    vec![id((scope, number))]
}
