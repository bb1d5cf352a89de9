//! The lease of a namespace: whoever holds it acts on the rollouts there, and nobody else does.
//!
//! Decides when it may be taken: it is free, it is our own already, or whoever holds it has not renewed it for as long as it lasts.
//! That time is measured here, from when the lease was first seen as it is: the clocks of different machines are never
//! compared. Writes only what it has read, by compare-and-swap, so that of several claimants one gets it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    ResourceExt,
    api::{ObjectMeta, PostParams},
};
use rustix::time::{ClockId, clock_gettime};

use super::{ClusterError, FIELD_MANAGER, Namespace, call, call_optional};

/// The name of the lease in each namespace.
const NAME: &str = "cutover";
/// How long it lasts unless it is renewed.
pub const LASTS: Duration = Duration::from_secs(30);

/// Time since the machine was started, with the time that it was suspended: who was asleep for longer than its lease lasts
/// must know.
#[must_use]
pub fn now() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// What came of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The lease is ours, for [`LASTS`] from this moment on, by [`now`].
    Ours(Duration),
    /// Another one holds it.
    Theirs {
        /// As it calls itself.
        holder: String,
    },
}

/// Who wants to hold the lease of a namespace, or does.
pub struct Claimant {
    namespace: Namespace,
    identity: String,
    seen: Option<Seen>,
    /// Who held it when it was last read.
    other: Option<String>,
}

/// A lease as it was read, and since when it has been like that.
struct Seen {
    version: Option<String>,
    since: Duration,
}

impl Claimant {
    /// `identity` must be nobody else's.
    #[must_use]
    pub fn new(namespace: Namespace, identity: String) -> Self {
        Self { namespace, identity, seen: None, other: None }
    }

    /// Takes the lease if it may be taken, and renews it if it is ours.
    ///
    /// # Errors
    /// What the API server answered. [`super::ErrorClass::Precondition`] where another claimant was faster.
    pub async fn claim(&mut self) -> Result<Claim, ClusterError> {
        let begun = now();
        let lease = self.read().await?;
        let unchanged = self.unchanged_for(lease.as_ref(), now());
        let spec = lease.as_ref().and_then(|lease| lease.spec.as_ref());
        // Where somebody has deleted it, its holder does not know yet.
        let other = if lease.is_none() {
            self.other.clone()
        } else {
            holder(spec, &self.identity).map(str::to_owned)
        };
        self.other.clone_from(&other);
        if let Some(holder) = other.filter(|_| unchanged < lasts(spec)) {
            return Ok(Claim::Theirs { holder });
        }
        self.write(lease.as_ref(), claimed(spec, &self.identity, MicroTime(Timestamp::now()))).await?;
        Ok(Claim::Ours(begun))
    }

    /// Gives it back, so that another one need not wait; does nothing if it is not ours.
    ///
    /// # Errors
    /// What the API server answered; then it runs out by itself. [`super::ErrorClass::Precondition`] where it was renewed meanwhile.
    pub async fn release(&self) -> Result<(), ClusterError> {
        let Some(lease) = self.read().await? else { return Ok(()) };
        let spec = lease.spec.clone().unwrap_or_default();
        if spec.holder_identity.as_ref() != Some(&self.identity) {
            return Ok(());
        }
        self.write(Some(&lease), LeaseSpec { holder_identity: None, ..spec }).await
    }

    fn unchanged_for(&mut self, lease: Option<&Lease>, now: Duration) -> Duration {
        let version = lease.and_then(ResourceExt::resource_version);
        let seen = self.seen.take().filter(|seen| seen.version == version);
        let since = seen.map_or(now, |seen| seen.since);
        self.seen = Some(Seen { version, since });
        now.saturating_sub(since)
    }

    async fn read(&self) -> Result<Option<Lease>, ClusterError> {
        call_optional(format!("read Lease/{NAME}"), self.namespace.api::<Lease>().get_opt(NAME)).await
    }

    /// A create, or a PUT with the resourceVersion that was read: nobody's write is lost.
    async fn write(&self, read: Option<&Lease>, spec: LeaseSpec) -> Result<(), ClusterError> {
        let (api, attempted) = (self.namespace.api::<Lease>(), format!("write Lease/{NAME}"));
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let metadata = match read {
            Some(lease) => ObjectMeta { managed_fields: None, ..lease.metadata.clone() },
            None => ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() },
        };
        let lease = Lease { metadata, spec: Some(spec) };
        match read {
            Some(_) => call(attempted, api.replace(NAME, &params, &lease)).await.map(drop),
            None => call(attempted, api.create(&params, &lease)).await.map(drop),
        }
    }
}

/// Who holds it, if that is somebody else.
fn holder<'a>(spec: Option<&'a LeaseSpec>, identity: &str) -> Option<&'a str> {
    spec?.holder_identity.as_deref().filter(|holder| !holder.is_empty() && *holder != identity)
}

/// As long as its holder says; it may be of another version of cutover.
fn lasts(spec: Option<&LeaseSpec>) -> Duration {
    let seconds =
        spec.and_then(|spec| spec.lease_duration_seconds).and_then(|seconds| seconds.try_into().ok());
    seconds.map_or(LASTS, Duration::from_secs).max(LASTS)
}

fn claimed(before: Option<&LeaseSpec>, identity: &str, now: MicroTime) -> LeaseSpec {
    let before = before.cloned().unwrap_or_default();
    let is_ours = before.holder_identity.as_deref() == Some(identity);
    let transitions = before.lease_transitions.unwrap_or(0);
    LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(LASTS.as_secs()).ok(),
        acquire_time: before.acquire_time.filter(|_| is_ours).or_else(|| Some(now.clone())),
        lease_transitions: Some(if is_ours { transitions } else { transitions.saturating_add(1) }),
        renew_time: Some(now),
        ..before
    }
}

#[cfg(test)]
mod tests;
