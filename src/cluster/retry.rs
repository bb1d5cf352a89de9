//! How long to wait after failures in a row. The only user of the `backoff` crate, so that replacing it (it is
//! unmaintained, RUSTSEC-2025-0012) is a change of this file.

use std::time::Duration;

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The failures in a row of one rollout.
pub struct Retries {
    backoff: ExponentialBackoff,
}

impl Default for Retries {
    fn default() -> Self {
        let backoff = ExponentialBackoffBuilder::new()
            .with_initial_interval(FIRST_PAUSE)
            .with_max_interval(LONGEST_PAUSE)
            .with_max_elapsed_time(None)
            .build();
        Self { backoff }
    }
}

impl Retries {
    /// The pause after one more failure; grows, with jitter, up to a minute.
    pub fn failed(&mut self) -> Duration {
        self.backoff.next_backoff().unwrap_or(LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        let mut retries = Retries::default();
        let pauses: Vec<Duration> = (0..50).map(|_| retries.failed()).collect();
        assert!(pauses[0] < Duration::from_secs(1));
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE * 2));
        assert!(pauses[40] > Duration::from_secs(20));
    }
}
