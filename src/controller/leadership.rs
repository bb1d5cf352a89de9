//! That at most one operator acts in a namespace: this process' leases, and its end when it has lost one.
//!
//! A lease is no fence: a write that is on its way arrives, whoever holds the lease by then. So that none can be, the process
//! stops acting a whole call's time before its lease runs out, and ends: from a thread of its own, because whatever has kept the
//! lease from being renewed may have kept the runtime from running. What remains is a process that is suspended
//! between its last look at the clock and the sending.

use std::{
    collections::HashMap,
    process,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc},
    thread,
    time::Duration,
};

use tokio::{
    sync::Mutex as AsyncMutex,
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use crate::cluster::{
    CALL_TIMEOUT, ClusterError, Namespace,
    lease::{self, Claim, Claimant},
};

/// How often a lease is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// Longest that a renewal is waited for: a connection that is dead must not use up the time for others.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(4);
/// Pause before one that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often it is tried to get one that another operator holds.
const STAND_BY: Duration = Duration::from_secs(2);
/// Longest that the end of the process waits for its last words.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How often it is looked whether one runs out.
const LOOK: Duration = Duration::from_millis(250);

/// From the last renewal on, how long this process may act: a call that begins then is over when the lease is.
const fn term() -> Duration {
    lease::LASTS.saturating_sub(CALL_TIMEOUT)
}

type Tenures = Mutex<HashMap<String, Tenure>>;

/// Stands for all namespaces, where all are watched.
pub const ALL: &str = "";

/// The leases of this process, by what they are for: a namespace, or [`ALL`].
pub struct Leadership {
    identity: String,
    tenures: Arc<Tenures>,
}

/// A lease that is held.
struct Tenure {
    claimant: Arc<AsyncMutex<Claimant>>,
    /// When it was renewed last, by [`lease::now`].
    renewed: Duration,
    /// Its drop ends the renewing.
    _renewing: AbortOnDropHandle<()>,
}

impl Leadership {
    /// None yet. `identity` must be nobody else's; whoever comes back with it takes its lease for its own.
    #[must_use]
    pub fn new(identity: String) -> Self {
        let tenures: Arc<Tenures> = Arc::default();
        let watched = Arc::downgrade(&tenures);
        let watch = move || watch(&watched);
        if let Err(error) = thread::Builder::new().name("lease-watch".to_owned()).spawn(watch) {
            end_process(&format!("nobody can watch over the leases: {error}"));
        }
        Self { identity, tenures }
    }

    /// Who this is, to other operators.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Waits until the lease that is in `namespace`, and for what is `watched`, is ours, and keeps it from then on. `stands_by` is
    /// called when another operator is seen to hold it.
    pub async fn acquire(&self, watched: &str, namespace: &Namespace, stands_by: impl Fn()) {
        let mut claimant = Claimant::new(namespace.clone(), self.identity.clone());
        let mut known = None;
        let renewed = loop {
            match claim(&mut claimant).await {
                Ok(Claim::Ours(renewed)) => break renewed,
                Ok(Claim::Theirs { holder }) => {
                    if known.as_ref() != Some(&holder) {
                        tracing::info!(
                            namespace = namespace.name,
                            holder,
                            "stands by: another operator holds the lease"
                        );
                        known = Some(holder);
                    }
                    stands_by();
                }
                // Another claimant was faster: the next look tells which.
                Err(error) if is_race(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, namespace = namespace.name, "the lease cannot be had; trying again");
                }
            }
            sleep(STAND_BY).await;
        };
        tracing::info!(namespace = namespace.name, identity = self.identity, "holds the lease");
        let claimant = Arc::new(AsyncMutex::new(claimant));
        let renewing =
            tokio::spawn(renew(watched.to_owned(), claimant.clone(), renewed, self.tenures.clone()));
        let tenure = Tenure { claimant, renewed, _renewing: AbortOnDropHandle::new(renewing) };
        lock(&self.tenures).insert(watched.to_owned(), tenure);
    }

    /// Whether something may be begun that changes a namespace.
    #[must_use]
    pub fn may_act(&self, namespace: &str) -> bool {
        let tenures = lock(&self.tenures);
        let tenure = tenures.get(namespace).or_else(|| tenures.get(ALL));
        tenure.is_some_and(|tenure| tenure.renewed + term() > lease::now())
    }

    /// Gives all leases back. Nothing may be done any more that needs them.
    pub async fn release(&self) {
        let tenures: Vec<_> = lock(&self.tenures).drain().map(|(_, tenure)| tenure.claimant).collect();
        for claimant in tenures {
            let claimant = claimant.lock().await;
            let mut released = claimant.release().await;
            // A renewal was on its way.
            if released.as_ref().is_err_and(is_race) {
                released = claimant.release().await;
            }
            if let Err(error) = released {
                tracing::warn!(%error, "the lease could not be given back; it runs out by itself");
            }
        }
    }
}

async fn renew(
    watched: String,
    claimant: Arc<AsyncMutex<Claimant>>,
    mut renewed: Duration,
    tenures: Arc<Tenures>,
) {
    let mut pause = RENEW_EVERY.saturating_sub(lease::now().saturating_sub(renewed));
    loop {
        sleep(pause).await;
        match claim(&mut *claimant.lock().await).await {
            Ok(Claim::Ours(at)) => {
                renewed = at;
                if let Some(tenure) = lock(&tenures).get_mut(&watched) {
                    tenure.renewed = renewed;
                }
                pause = RENEW_EVERY.saturating_sub(lease::now().saturating_sub(renewed));
            }
            Ok(Claim::Theirs { holder }) => {
                end_process(&format!("{holder} has the lease {}", told(&watched)));
            }
            Err(error) => {
                tracing::warn!(%error, watched, "the lease could not be renewed; trying again");
                pause = RETRY;
            }
        }
    }
}

/// In bounded time. What was on its way may have been carried out: the next claim finds it.
async fn claim(claimant: &mut Claimant) -> Result<Claim, ClusterError> {
    let claimed = timeout(CLAIM_TIMEOUT, claimant.claim()).await;
    claimed.unwrap_or_else(|_| Err(ClusterError::timeout("write the lease".to_owned(), CLAIM_TIMEOUT)))
}

/// Somebody else has written it since it was read.
fn is_race(error: &ClusterError) -> bool {
    matches!(error.reason.as_str(), "Conflict" | "AlreadyExists")
}

/// Ends the process when a lease could not be renewed in time.
fn watch(tenures: &Weak<Tenures>) {
    while let Some(tenures) = tenures.upgrade() {
        let now = lease::now();
        let lost = lock(&tenures)
            .iter()
            .find(|(_, tenure)| tenure.renewed + term() <= now)
            .map(|(name, _)| name.clone());
        if let Some(watched) = lost {
            let seconds = term().as_secs();
            end_process(&format!("the lease {} could not be renewed for {seconds} s", told(&watched)));
        }
        drop(tenures);
        thread::sleep(LOOK);
    }
}

fn told(watched: &str) -> String {
    if watched == ALL { "of all namespaces".to_owned() } else { format!("of namespace {watched}") }
}

/// Nothing that this process still does may reach the cluster. Whoever started it starts it again.
fn end_process(why: &str) -> ! {
    let (told, is_told) = mpsc::channel();
    let why = why.to_owned();
    // Where nobody reads the log any more, writing to it may never end.
    thread::spawn(move || {
        tracing::error!("{why}: this operator ends at once, because another one may act");
        let _ = told.send(());
    });
    let _ = is_told.recv_timeout(LAST_WORDS);
    process::exit(1)
}

fn lock(tenures: &Tenures) -> MutexGuard<'_, HashMap<String, Tenure>> {
    tenures.lock().unwrap_or_else(PoisonError::into_inner)
}
