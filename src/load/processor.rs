//! The processor time that this process has taken.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Of all its threads, since it began.
pub(super) fn time() -> Duration {
    of(ClockId::ProcessCPUTime)
}

/// Of this thread alone.
pub(super) fn time_of_thread() -> Duration {
    of(ClockId::ThreadCPUTime)
}

fn of(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
