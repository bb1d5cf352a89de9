//! What became of the arrivals.
//!
//! Keeps the books: every arrival that was taken up is recorded once, as an answer, an error or a timeout, with its
//! latency from the moment it was due. Decides when so much fails that going on would only add to the damage.
//! Pure: never looks at a clock, and never decides whether the result is good enough.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::CreationError;
use serde::{Deserialize, Serialize};

use super::histogram::Latencies;

/// Answers before a fault may be called gross.
const GROSS_FAULT_ANSWERS: u64 = 200;
/// Most kinds of errors that are told apart; the server chooses the SQLSTATEs.
const MAX_LABELS: usize = 32;
/// Most of them that are reported.
const MAX_REPORTED: usize = 10;

/// The label of what was in flight when a load that has failed was ended.
pub(super) const GIVEN_UP: &str = "no answer when the load was ended";

/// How a statement ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was answered.
    Ok,
    /// It failed; the label of the fault.
    Error(String),
    /// It ran into the statement timeout.
    Timeout,
}

/// The times of one statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// From the scheduled arrival to the end.
    pub(super) latency: Duration,
    /// From the sending to the end.
    pub(super) service: Duration,
    /// How late the generator was, apart from waiting for a free connection.
    pub(super) lag: Duration,
    /// Whether it ended after the schedule.
    pub(super) is_drained: bool,
}

/// The books.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) ok: u64,
    /// Those of them that came after the schedule's end, which are no throughput of its time.
    pub(super) drained: u64,
    pub(super) errors: u64,
    pub(super) timeouts: u64,
    /// Of answers and timeouts, from the scheduled arrival.
    pub(super) latency: Latencies,
    /// The same without the generator's own lateness: what a limit is broken by is the server's doing only if this breaks it.
    pub(super) on_time: Latencies,
    /// Of answers and timeouts, from the sending: what is left is waiting for a free connection.
    pub(super) service: Latencies,
    pub(super) lag: Latencies,
    labels: BTreeMap<String, u64>,
}

impl Tally {
    pub(super) fn new() -> Result<Self, CreationError> {
        Ok(Self {
            ok: 0,
            drained: 0,
            errors: 0,
            timeouts: 0,
            latency: Latencies::new()?,
            on_time: Latencies::new()?,
            service: Latencies::new()?,
            lag: Latencies::new()?,
            labels: BTreeMap::new(),
        })
    }

    /// Books one arrival. `timeout` is what a timeout is recorded at, at least.
    pub(super) fn record(&mut self, outcome: Outcome, times: Times, timeout: Duration) {
        self.lag.record(times.lag);
        match outcome {
            Outcome::Ok => {
                self.ok += 1;
                self.drained += u64::from(times.is_drained);
                self.latency.record(times.latency);
                self.on_time.record(times.latency.saturating_sub(times.lag));
                self.service.record(times.service);
            }
            Outcome::Timeout => {
                self.timeouts += 1;
                self.latency.record(times.latency.max(timeout));
                self.on_time.record(times.latency.saturating_sub(times.lag).max(timeout));
                self.service.record(times.service.max(timeout));
                self.label("statement timeout".to_owned());
            }
            // No latency: an error may come fast, and must not make the server look it. Percentiles count it as slowest.
            Outcome::Error(label) => {
                self.errors += 1;
                self.label(label);
            }
        }
    }

    /// Takes in what another process has booked of the same load.
    pub(super) fn add(&mut self, other: &Self) {
        self.ok += other.ok;
        self.drained += other.drained;
        self.errors += other.errors;
        self.timeouts += other.timeouts;
        self.latency.add(&other.latency);
        self.on_time.add(&other.on_time);
        self.service.add(&other.service);
        self.lag.add(&other.lag);
        for (label, count) in &other.labels {
            self.labels_of(label.clone(), *count);
        }
    }

    /// Those of the errors that were none of the server's: what was in flight when the load was ended.
    pub(super) fn given_up(&self) -> u64 {
        self.labels.get(GIVEN_UP).copied().unwrap_or(0)
    }

    fn label(&mut self, label: String) {
        self.labels_of(label, 1);
    }

    fn labels_of(&mut self, label: String, count: u64) {
        let is_known = self.labels.contains_key(&label);
        let label = if is_known || self.labels.len() < MAX_LABELS { label } else { "others".to_owned() };
        *self.labels.entry(label).or_default() += count;
    }

    pub(super) fn failed(&self) -> u64 {
        self.errors + self.timeouts
    }

    /// Everything that was taken up.
    pub(super) fn taken(&self) -> u64 {
        self.ok + self.failed()
    }

    /// More than half failed, of enough to say so.
    pub(super) fn is_gross_fault(&self) -> bool {
        self.taken() >= GROSS_FAULT_ANSWERS && self.mostly_fails()
    }

    /// More than half failed, of however few.
    pub(super) fn mostly_fails(&self) -> bool {
        self.failed() * 2 > self.taken()
    }

    /// The kinds of failures with their numbers, most frequent first.
    pub(super) fn error_classes(&self) -> Vec<String> {
        let mut labels: Vec<_> = self.labels.iter().collect();
        labels.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        labels.into_iter().take(MAX_REPORTED).map(|(label, count)| format!("{label}: {count}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIMES: Times = Times {
        latency: Duration::from_millis(3),
        service: Duration::from_millis(1),
        lag: Duration::from_micros(50),
        is_drained: false,
    };

    fn outcome(kind: u8) -> Outcome {
        match kind % 3 {
            0 => Outcome::Ok,
            1 => Outcome::Timeout,
            _ => Outcome::Error(format!("label {kind}")),
        }
    }

    proptest! {
        #[test]
        fn everything_recorded_is_accounted_for_once(kinds in prop::collection::vec(any::<u8>(), 0..500)) {
            let mut tally = Tally::new().unwrap();
            for kind in &kinds {
                tally.record(outcome(*kind), TIMES, Duration::ZERO);
            }
            let all = u64::try_from(kinds.len()).unwrap();
            prop_assert_eq!(tally.ok + tally.errors + tally.timeouts, all);
            prop_assert_eq!(tally.latency.count(), tally.ok + tally.timeouts);
            prop_assert_eq!(tally.lag.count(), all);
            prop_assert_eq!(tally.labels.values().sum::<u64>(), tally.failed());
            prop_assert!(tally.labels.len() <= MAX_LABELS + 1);
        }
    }

    #[test]
    fn a_timeout_is_recorded_at_its_value_at_least() {
        let mut tally = Tally::new().unwrap();
        tally.record(Outcome::Timeout, TIMES, Duration::from_secs(5));
        assert!(tally.latency.max_us() >= 5_000_000);
    }

    #[test]
    fn what_is_on_time_leaves_out_how_late_the_generator_was() {
        let mut tally = Tally::new().unwrap();
        let late = Times { latency: Duration::from_micros(900), lag: Duration::from_micros(500), ..TIMES };
        tally.record(Outcome::Ok, late, Duration::ZERO);
        assert_eq!((tally.latency.max_us(), tally.on_time.max_us()), (900, 400));
    }

    #[test]
    fn a_fault_is_gross_when_more_than_half_of_two_hundred_failed() {
        let mut tally = Tally::new().unwrap();
        for _ in 0..100 {
            tally.record(Outcome::Ok, TIMES, Duration::ZERO);
            tally.record(outcome(2), TIMES, Duration::ZERO);
        }
        assert!(!tally.is_gross_fault());
        tally.record(outcome(2), TIMES, Duration::ZERO);
        assert!(tally.is_gross_fault());
    }

    #[test]
    fn the_most_frequent_failures_come_first() {
        let mut tally = Tally::new().unwrap();
        for kind in [2, 5, 5, 1, 1, 1] {
            tally.record(outcome(kind), TIMES, Duration::ZERO);
        }
        assert_eq!(tally.error_classes(), ["statement timeout: 3", "label 5: 2", "label 2: 1"]);
    }
}
