//! How far a long question has come, for whoever watches.

use tokio::sync::watch;

/// How far a question has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// What is being done, such as `public.orders`.
    pub what: String,
    /// Parts that are done.
    pub done: u64,
    /// All parts; zero while that is not known.
    pub total: u64,
}

/// Where a question says how far it has come. Only the latest word is kept.
#[derive(Debug, Clone)]
pub struct Progress(watch::Sender<Step>);

impl Default for Progress {
    fn default() -> Self {
        Self(watch::Sender::new(Step::default()))
    }
}

impl Progress {
    /// Watches it.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Step> {
        self.0.subscribe()
    }

    pub(super) fn tell(&self, what: impl Into<String>, done: u64, total: u64) {
        self.0.send_replace(Step { what: what.into(), done, total });
    }
}
