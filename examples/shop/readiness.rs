//! Whether the shop is ready, told by a file's age.
//!
//! Decides from when each kind of statement last succeeded: a shop that can read but not write is not ready. The file is
//! refreshed while it is, and removed when it is not; a process that hangs lets it grow old, which comes to the same.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use cutover::api::Access;

/// How long a success speaks for the shop, and how old the file may be.
const FRESH: Duration = Duration::from_secs(3);
/// How often the file is looked after.
pub const REFRESH: Duration = Duration::from_millis(500);

/// The kinds of statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A read.
    Read,
    /// A write.
    Write,
}

/// When each kind of statement last succeeded.
#[derive(Debug, Default)]
pub struct Pulse(Mutex<LastSuccess>);

#[derive(Debug, Default, Clone, Copy)]
struct LastSuccess {
    read: Option<Instant>,
    write: Option<Instant>,
}

impl Pulse {
    /// A statement succeeded.
    pub fn beat(&self, kind: Kind, now: Instant) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kind {
            Kind::Read => last.read = Some(now),
            Kind::Write => last.write = Some(now),
        }
    }

    /// Whether everything that the shop does has lately succeeded.
    pub fn is_ready(&self, access: Access, now: Instant) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |at: Option<Instant>| at.is_some_and(|at| now.saturating_duration_since(at) <= FRESH);
        fresh(last.read) && (access == Access::ReadOnly || fresh(last.write))
    }
}

/// Refreshes or removes the file.
pub fn publish(file: &Path, is_ready: bool) -> std::io::Result<()> {
    if is_ready { std::fs::write(file, "ready\n") } else { withdraw(file) }
}

/// Removes the file, if it is there.
pub fn withdraw(file: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether the file is there and young.
pub fn probe(file: &Path) -> bool {
    let modified = std::fs::metadata(file).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|at| is_young(at, SystemTime::now()))
}

fn is_young(modified: SystemTime, now: SystemTime) -> bool {
    // A file from the future was written just now, by a clock that was set back since.
    now.duration_since(modified).map_or(true, |age| age <= FRESH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shop_that_cannot_write_is_ready_only_if_it_need_not() {
        let pulse = Pulse::default();
        let now = Instant::now();
        assert!(!pulse.is_ready(Access::ReadOnly, now));
        pulse.beat(Kind::Read, now);
        assert!(pulse.is_ready(Access::ReadOnly, now));
        assert!(!pulse.is_ready(Access::ReadWrite, now));
        pulse.beat(Kind::Write, now);
        assert!(pulse.is_ready(Access::ReadWrite, now));
    }

    #[test]
    fn a_success_speaks_for_three_seconds() {
        let pulse = Pulse::default();
        let now = Instant::now();
        pulse.beat(Kind::Read, now);
        assert!(pulse.is_ready(Access::ReadOnly, now + FRESH));
        assert!(!pulse.is_ready(Access::ReadOnly, now + FRESH + Duration::from_millis(1)));
    }

    #[test]
    fn an_old_file_is_no_ready_one() {
        let now = SystemTime::now();
        assert!(is_young(now, now));
        assert!(is_young(now + FRESH, now));
        assert!(!is_young(now, now + FRESH + Duration::from_millis(1)));
    }
}
