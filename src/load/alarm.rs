//! A timer that is exact to tens of microseconds.
//!
//! The runtime's own has a grain of a millisecond, which is more than many statements take. The kernel's (`timerfd`) has none
//! worth telling, and wakes the runtime as an answer of a server does.

use std::{io, os::fd::OwnedFd, time::Duration};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::{Interest, unix::AsyncFd};

/// The timer. Belongs to the runtime that it was made in.
#[derive(Debug)]
pub(super) struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    #[allow(
        deprecated,
        reason = "its successor is unsafe, for types that may close their descriptor; an OwnedFd does not"
    )]
    pub(super) fn new() -> io::Result<Self> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        AsyncFd::with_interest(timer, Interest::READABLE).map(Self)
    }

    /// Waits for so long. May be early, where an earlier wait was not waited for to its end.
    pub(super) async fn wait(&self, length: Duration) -> io::Result<()> {
        // None at all would disarm it.
        let length = Timespec::try_from(length.max(Duration::from_nanos(1))).unwrap_or_default();
        let once = Itimerspec { it_interval: Timespec::default(), it_value: length };
        // Starts from anew, and so is not readable any more: nothing has to be read from it.
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        self.0.readable().await?.clear_ready();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn each_wait_is_as_long_as_it_was_asked_to_be() {
        let alarm = Alarm::new().unwrap();
        for micros in [300, 0, 2_000, 300] {
            let (begun, length) = (Instant::now(), Duration::from_micros(micros));
            alarm.wait(length).await.unwrap();
            assert!(begun.elapsed() >= length);
        }
    }
}
