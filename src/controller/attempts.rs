//! The attempts of this process: checks and load that run beside the loop, so that an edit of the spec is acted on
//! while they do.
//!
//! An attempt owns a snapshot of what it is about. Dropping it ends it at once and closes its connections. What it
//! brings back is believed by the engine only if it is still about what is asked.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::runtime::reflector::ObjectRef;
use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    api::DatabaseRollout,
    engine::{AttemptId, AttemptState, Report},
    load::LoadProgress,
};

impl Attempt {
    /// Whether it ended without a report, by a bug of ours: then it counts as lost, and is made again.
    fn is_dead(&self) -> bool {
        self.state == AttemptState::Running && self.task.is_finished()
    }
}

type Waker = UnboundedSender<ObjectRef<DatabaseRollout>>;
type ByRollout = HashMap<String, BTreeMap<AttemptId, Attempt>>;

struct Attempt {
    state: AttemptState,
    progress: watch::Receiver<LoadProgress>,
    /// Its drop ends the attempt.
    task: AbortOnDropHandle<()>,
}

/// How often the figures of loads that run are taken anew: each time the status is written.
const SAMPLE_PERIOD: Duration = Duration::from_secs(10);

/// The figures of a rollout's loads, as they were taken last.
struct Sample {
    taken: Instant,
    loads: BTreeMap<AttemptId, LoadProgress>,
}

/// The attempts by rollout. Bounded by what the records want: everything else is dropped with each pass.
#[derive(Default, Clone)]
pub(super) struct Attempts {
    by_rollout: Arc<Mutex<ByRollout>>,
    samples: Arc<Mutex<HashMap<String, Sample>>>,
    wakers: Arc<Mutex<Vec<Waker>>>,
}

impl Attempts {
    /// Where a finished attempt announces itself.
    pub fn wake_through(&self, waker: Waker) {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner).push(waker);
    }

    /// The attempts of a rollout, as the engine sees them.
    pub fn view(&self, uid: &str) -> BTreeMap<AttemptId, AttemptState> {
        self.lock()
            .get(uid)
            .map(|attempts| {
                let known = attempts.iter().filter(|(_, attempt)| !attempt.is_dead());
                known.map(|(id, attempt)| (id.clone(), attempt.state.clone())).collect()
            })
            .unwrap_or_default()
    }

    /// How far the loads of a rollout are, and when to ask again. The answer changes once in [`SAMPLE_PERIOD`], however
    /// often it is asked, and not before a load has run that long.
    pub fn loads(&self, uid: &str, now: Instant) -> Option<(BTreeMap<AttemptId, LoadProgress>, Duration)> {
        let running = self.running_loads(uid);
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_empty() {
            samples.remove(uid);
            return None;
        }
        let sample =
            samples.entry(uid.to_owned()).or_insert_with(|| Sample { taken: now, loads: BTreeMap::new() });
        if now.duration_since(sample.taken) >= SAMPLE_PERIOD {
            *sample = Sample { taken: now, loads: running.clone() };
        }
        let mut loads = sample.loads.clone();
        loads.retain(|id, progress| running.contains_key(id) && !progress.duration.is_zero());
        Some((loads, SAMPLE_PERIOD.saturating_sub(now.duration_since(sample.taken))))
    }

    fn running_loads(&self, uid: &str) -> BTreeMap<AttemptId, LoadProgress> {
        let by_rollout = self.lock();
        let attempts = by_rollout.get(uid).into_iter().flatten();
        attempts
            .filter(|(id, attempt)| {
                id.has_load() && attempt.state == AttemptState::Running && !attempt.is_dead()
            })
            .map(|(id, attempt)| (id.clone(), *attempt.progress.borrow()))
            .collect()
    }

    /// Begins an attempt. Its number has never been used, so there is none to replace.
    pub fn start(
        &self,
        uid: &str,
        rollout: ObjectRef<DatabaseRollout>,
        id: AttemptId,
        progress: watch::Receiver<LoadProgress>,
        work: impl Future<Output = Report> + Send + 'static,
    ) {
        let (this, key, attempt_id) = (self.clone(), uid.to_owned(), id.clone());
        let mut attempts = self.lock();
        let task = tokio::spawn(async move {
            let report = work.await;
            this.finish(&key, &attempt_id, report);
            this.wake(&rollout);
        });
        let attempt = Attempt { state: AttemptState::Running, progress, task: AbortOnDropHandle::new(task) };
        attempts.entry(uid.to_owned()).or_default().insert(id, attempt);
    }

    fn finish(&self, uid: &str, id: &AttemptId, report: Report) {
        if let Some(attempt) = self.lock().get_mut(uid).and_then(|attempts| attempts.get_mut(id)) {
            attempt.state = AttemptState::Finished(Box::new(report));
        }
    }

    fn wake(&self, rollout: &ObjectRef<DatabaseRollout>) {
        let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        wakers.retain(|waker| waker.send(rollout.clone()).is_ok());
    }

    /// Ends every attempt that the record does not want any more.
    pub fn retain(&self, uid: &str, wanted: &[AttemptId]) {
        let mut by_rollout = self.lock();
        if let Some(attempts) = by_rollout.get_mut(uid) {
            attempts.retain(|id, _| wanted.contains(id));
            if attempts.is_empty() {
                by_rollout.remove(uid);
            }
        }
    }

    /// Ends every attempt of rollouts that are gone.
    pub fn keep_only(&self, uids: &HashSet<String>) {
        self.lock().retain(|uid, _| uids.contains(uid));
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| uids.contains(uid));
    }

    /// Ends all of them.
    pub fn stop_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, ByRollout> {
        self.by_rollout.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::engine::AttemptScope;

    /// What is seen changes the status, and so writes it.
    #[tokio::test]
    async fn what_is_seen_of_a_load_changes_once_in_ten_seconds() {
        let attempts = Attempts::default();
        let (tell, told) = watch::channel(LoadProgress::default());
        let id = AttemptId { scope: AttemptScope::Load("api".to_owned()), number: 1 };
        attempts.start("uid", ObjectRef::new("shop"), id.clone(), told, pending());
        let (begun, duration) = (Instant::now(), Duration::from_mins(1));
        let mut seen = Vec::new();
        for elapsed in (0..90).map(|half| Duration::from_millis(500 * half)) {
            tell.send_replace(LoadProgress { elapsed, duration, ..LoadProgress::default() });
            let (loads, _) = attempts.loads("uid", begun + elapsed).expect("it runs");
            seen.push(loads.get(&id).map_or(0, |progress| progress.elapsed.as_secs()));
        }
        seen.dedup();
        assert_eq!(seen, [0, 10, 20, 30, 40]);
    }
}
