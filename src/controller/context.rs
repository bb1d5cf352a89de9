//! What all reconciliations of a process share.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use kube::{
    Client,
    runtime::events::{Recorder, Reporter},
};

use super::{attempts::Attempts, metrics::Metrics};
use crate::cluster::{FIELD_MANAGER, Retries};

/// What all reconciliations of a process share. None of it is needed to go on after a restart.
pub struct Context {
    pub(super) client: Client,
    pub(super) recorder: Recorder,
    pub(super) attempts: Attempts,
    /// Figures for `/metrics`.
    pub metrics: Metrics,
    troubles: Mutex<HashMap<String, Trouble>>,
    watches: usize,
    ready_watches: AtomicUsize,
}

/// The failures in a row of one rollout.
#[derive(Default)]
struct Trouble {
    retries: Retries,
    message: String,
}

impl Context {
    /// A context for `watches` watches, one a namespace.
    #[must_use]
    pub fn new(client: Client, watches: usize) -> Self {
        let reporter =
            Reporter { controller: FIELD_MANAGER.to_owned(), instance: std::env::var("POD_NAME").ok() };
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            client,
            attempts: Attempts::default(),
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
    pub(super) fn failed(&self, uid: &str, message: String) -> Duration {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = troubles.entry(uid.to_owned()).or_default();
        trouble.message = message;
        trouble.retries.failed()
    }

    pub(super) fn succeeded(&self, uid: &str) {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// What the last call failed with, if it has not succeeded since.
    pub(super) fn trouble(&self, uid: &str) -> Option<String> {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.get(uid).map(|trouble| trouble.message.clone())
    }

    pub(super) fn forget(&self, uid: &str) {
        self.attempts.forget(uid);
        self.succeeded(uid);
        self.metrics.forget(uid);
    }
}
