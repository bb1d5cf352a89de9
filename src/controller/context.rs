//! What all reconciliations of a process share.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use kube::{
    Client,
    runtime::events::{Recorder, Reporter},
};

use super::{attempts::Attempts, leadership::Leadership, metrics::Metrics};
use crate::cluster::{Events, FIELD_MANAGER, Retries, job::Jobs};

/// What all reconciliations of a process share. None of it is needed to go on after a restart.
pub struct Context {
    pub(super) client: Client,
    pub(super) events: Events,
    pub(super) attempts: Attempts,
    /// The Jobs of attempts.
    pub(super) jobs: Jobs,
    /// Where it may act.
    pub(super) leadership: Leadership,
    /// Figures for `/metrics`.
    pub metrics: Metrics,
    troubles: Mutex<HashMap<String, Trouble>>,
    watches: usize,
    /// What is watched, or waits for its lease.
    ready: Mutex<HashSet<String>>,
}

/// The failures in a row of one rollout.
struct Trouble {
    retries: Retries,
    count: u32,
    message: String,
    /// The generation of the spec that was failing; another one is acted on at once.
    generation: i64,
    until: Instant,
}

impl Context {
    /// A context for `watches` watches, one a namespace. Needs a runtime: it starts the telling of events.
    #[must_use]
    pub fn new(client: Client, watches: usize, jobs: Jobs, leadership: Leadership) -> Self {
        let reporter = Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance: Some(leadership.identity().to_owned()),
        };
        Self {
            events: Events::start(Recorder::new(client.clone(), reporter)),
            client,
            attempts: Attempts::default(),
            jobs,
            leadership,
            metrics: Metrics::default(),
            troubles: Mutex::default(),
            watches,
            ready: Mutex::default(),
        }
    }

    /// Whether every watch has seen all rollouts once, or stands by.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).len() >= self.watches
    }

    pub(super) fn is_ready_for(&self, watched: &str) {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(watched.to_owned());
    }

    /// Failures in a row so far.
    pub(super) fn failures(&self, uid: &str) -> u32 {
        self.troubles().get(uid).map_or(0, |trouble| trouble.count)
    }

    /// One more failure in a row: how long to wait now.
    pub(super) fn failed(&self, uid: &str, generation: i64, message: String, longest: Duration) -> Duration {
        let mut troubles = self.troubles();
        let trouble = troubles.entry(uid.to_owned()).or_insert_with(|| Trouble {
            retries: Retries::default(),
            count: 0,
            message: String::new(),
            generation,
            until: Instant::now(),
        });
        let pause = trouble.retries.failed().min(longest);
        trouble.count += 1;
        trouble.message = message;
        trouble.generation = generation;
        trouble.until = Instant::now() + pause;
        pause
    }

    /// How long the pause after a failure still lasts. Our own writes wake us, too; a pause that they could cut short
    /// would be none. An edit of the spec does.
    pub(super) fn pause(&self, uid: &str, generation: i64) -> Option<Duration> {
        let troubles = self.troubles();
        let trouble = troubles.get(uid).filter(|trouble| trouble.generation == generation)?;
        trouble.until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    pub(super) fn succeeded(&self, uid: &str) {
        self.troubles().remove(uid);
    }

    /// What the last call failed with, if it has not succeeded since.
    pub(super) fn trouble(&self, uid: &str) -> Option<String> {
        self.troubles().get(uid).map(|trouble| trouble.message.clone())
    }

    /// Ends and forgets whatever is about rollouts that are gone.
    pub(super) fn keep_only(&self, uids: &HashSet<String>) {
        self.attempts.keep_only(uids);
        self.metrics.keep_only(uids);
        self.troubles().retain(|uid, _| uids.contains(uid));
    }

    fn troubles(&self) -> MutexGuard<'_, HashMap<String, Trouble>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
