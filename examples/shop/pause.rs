//! How long a member of the pool waits before it opens a session again.
//!
//! Decides it from the faults in a row. A read that went well ends no row: where writes fail, every member would else
//! come back at full pace, only to fail again.

use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Grows with faults, and forgets them once two statements in a row, hence a read and a write, went well.
#[derive(Debug, Default)]
pub struct Pause {
    faults: u32,
    successes: u32,
}

impl Pause {
    /// A statement went well.
    pub fn after_success(&mut self) {
        self.successes = self.successes.saturating_add(1);
        if self.successes >= 2 {
            self.faults = 0;
        }
    }

    /// How long to wait after one more fault.
    pub fn after_fault(&mut self) -> Duration {
        let longest = FIRST_PAUSE.saturating_mul(1 << self.faults.min(16)).min(LONGEST_PAUSE);
        self.faults = self.faults.saturating_add(1);
        self.successes = 0;
        // Jitter: the members of all pods lose a server at the same moment and must not come back at the same one.
        longest.mul_f64(rand::random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_two_successes_end_them() {
        let mut pause = Pause::default();
        assert!(pause.after_fault() <= FIRST_PAUSE);
        let later: Vec<Duration> = (0..50).map(|_| pause.after_fault()).collect();
        assert!(later.iter().all(|p| *p <= LONGEST_PAUSE && *p >= FIRST_PAUSE / 2));
        assert!(later[40] >= LONGEST_PAUSE / 2);
        pause.after_success();
        assert!(pause.after_fault() >= LONGEST_PAUSE / 2, "a read alone does not tell that writes work");
        pause.after_success();
        pause.after_success();
        assert!(pause.after_fault() <= FIRST_PAUSE);
    }
}
