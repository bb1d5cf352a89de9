//! What all reconciliations of a process share.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use kube::{
    Client,
    runtime::events::{Recorder, Reporter},
};

use super::{attempts::Attempts, metrics::Metrics};
use crate::cluster::{Events, FIELD_MANAGER, Retries, job::Jobs};

/// What all reconciliations of a process share. None of it is needed to go on after a restart.
pub struct Context {
    pub(super) client: Client,
    pub(super) events: Events,
    pub(super) attempts: Attempts,
    /// The Jobs of attempts.
    pub(super) jobs: Jobs,
    /// Figures for `/metrics`.
    pub metrics: Metrics,
    troubles: Mutex<HashMap<String, Trouble>>,
    watches: usize,
    ready_watches: AtomicUsize,
}

/// The failures in a row of one rollout.
struct Trouble {
    retries: Retries,
    message: String,
    /// The generation of the spec that was failing; another one is acted on at once.
    generation: i64,
    until: Instant,
}

impl Context {
    /// A context for `watches` watches, one a namespace. Needs a runtime: it starts the telling of events.
    #[must_use]
    pub fn new(client: Client, watches: usize, jobs: Jobs) -> Self {
        let reporter =
            Reporter { controller: FIELD_MANAGER.to_owned(), instance: std::env::var("POD_NAME").ok() };
        Self {
            events: Events::start(Recorder::new(client.clone(), reporter)),
            client,
            attempts: Attempts::default(),
            jobs,
            metrics: Metrics::default(),
            troubles: Mutex::default(),
            watches,
            ready_watches: AtomicUsize::new(0),
        }
    }

    /// Whether every watch has seen all rollouts once.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready_watches.load(Ordering::Relaxed) >= self.watches
    }

    pub(super) fn watch_is_ready(&self) {
        self.ready_watches.fetch_add(1, Ordering::Relaxed);
    }

    /// One more failure in a row: how long to wait now.
    pub(super) fn failed(&self, uid: &str, generation: i64, message: String, longest: Duration) -> Duration {
        let mut troubles = self.troubles();
        let trouble = troubles.entry(uid.to_owned()).or_insert_with(|| Trouble {
            retries: Retries::default(),
            message: String::new(),
            generation,
            until: Instant::now(),
        });
        let pause = trouble.retries.failed().min(longest);
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
