//! When the server that the application is on is too slow for the load to go on: legacy, until a stage is promoted.
//!
//! Decides from its 95th percentile, second by second, as the load sees it: the application's own calls wait in the
//! same queues. The bound is `guard.legacyP95`, or ten times what it was while the load was light, at the
//! beginning of the warm-up (or, where legacy is loaded alone, in the first seconds), and at least 100 ms.
//! Pure. At a low rate the percentile is that of some seconds together, whoever tells it joins them. A second with too few calls
//! even so is not held against the server, nor does it clear it.

use std::time::Duration;

use super::{Arm, GuardStop, spec};

/// Calls that a percentile is told of, at least.
pub const MIN_CALLS: u64 = 20;
/// A percentile that did not come back: where that many failed, the server was as slow as can be.
pub const NO_ANSWER_US: u64 = u64::MAX;
/// Slow seconds that end a load, if p95 was told to be above the bound all the while.
const SECONDS: u32 = 5;
/// Without a bound in the spec: so many times that of the light load.
const LIGHT_FACTOR: u64 = 10;
/// Without a bound in the spec: never below this.
const FLOOR_US: u64 = 100_000;

/// The latency of the server that the application is on, against its bound.
#[derive(Debug, Clone)]
pub struct ServingLatency {
    /// Whose.
    pub arm: Arm,
    /// `None` until it is known how fast it is under a light load.
    bound: Option<(u64, &'static str)>,
    above: u32,
}

impl ServingLatency {
    /// Before the load, with the bound of the spec, if it has one.
    #[must_use]
    pub fn new(arm: Arm, guard: &spec::Guard) -> Self {
        let us = |bound: Duration| u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
        Self { arm, bound: guard.legacy_p95.map(|bound| (us(bound), "guard.legacyP95")), above: 0 }
    }

    /// Whether nothing is known yet that it could be held against.
    #[must_use]
    pub fn lacks_bound(&self) -> bool {
        self.bound.is_none()
    }

    /// With p95 of a light load in microseconds; `None` where there were too few calls, which leaves the floor. The first one counts.
    pub fn compared_with(&mut self, p95_us: Option<u64>) {
        let ten_times = p95_us.unwrap_or(0).saturating_mul(LIGHT_FACTOR);
        let bound = if ten_times > FLOOR_US {
            (ten_times, "ten times that of the first seconds")
        } else {
            (FLOOR_US, "the least bound; guard.legacyP95 sets another")
        };
        self.bound.get_or_insert(bound);
    }

    /// Takes p95 of the last seconds that have [`MIN_CALLS`] calls together, in microseconds, `None` where there are no such; and
    /// that of the last second alone, `None` without a call.
    pub fn tell(&mut self, p95_us: Option<u64>, last_us: Option<u64>) -> Option<GuardStop> {
        let (p95_us, (bound_us, bound)) = p95_us.zip(self.bound)?;
        if p95_us <= bound_us {
            self.above = 0;
            return None;
        }
        // Joined seconds overlap: a slow one counts once, not as often as it is joined.
        last_us.filter(|last_us| *last_us > bound_us)?;
        self.above += 1;
        let (arm, seconds) = (self.arm, self.above);
        (seconds >= SECONDS).then_some(GuardStop::Latency { arm, p95_us, seconds, bound_us, bound })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn legacy(bound: Option<u64>) -> ServingLatency {
        let guard = spec::Guard { free_connections: 5, legacy_p95: bound.map(Duration::from_millis) };
        ServingLatency::new(Arm::Legacy, &guard)
    }

    /// The second, from 1, in which it says stop.
    fn stops_in(legacy: &mut ServingLatency, seconds: &[Option<u64>]) -> Option<usize> {
        seconds.iter().position(|p95_us| legacy.tell(*p95_us, *p95_us).is_some()).map(|index| index + 1)
    }

    #[test]
    fn five_seconds_in_a_row_above_the_bound_end_a_load_and_not_one_at_it() {
        let (at, above) = (Some(200_000), Some(200_001));
        assert_eq!(stops_in(&mut legacy(Some(200)), &[at; 60]), None);
        assert_eq!(stops_in(&mut legacy(Some(200)), &[above; 5]), Some(5));
        let interrupted = [above, above, above, above, at, above, above, above, above, above];
        assert_eq!(stops_in(&mut legacy(Some(200)), &interrupted), Some(10));
    }

    #[test]
    fn a_second_with_too_few_calls_neither_counts_nor_clears() {
        let above = Some(1_000_000);
        let seconds = [above, above, None, above, None, None, above, above];
        assert_eq!(stops_in(&mut legacy(Some(200)), &seconds), Some(8));
        assert_eq!(stops_in(&mut legacy(Some(200)), &[None; 60]), None);
    }

    #[test]
    fn without_a_bound_of_the_spec_the_light_load_gives_one_and_never_a_tight_one() {
        let after = |light: Option<u64>, p95_us| {
            let mut legacy = legacy(None);
            assert_eq!(stops_in(&mut legacy, &[Some(u64::MAX); 10]), None, "before it is known");
            legacy.compared_with(light);
            legacy.compared_with(Some(90_000));
            stops_in(&mut legacy, &[Some(p95_us); 5])
        };
        assert_eq!([after(Some(30_000), 300_000), after(Some(30_000), 300_001)], [None, Some(5)]);
        assert_eq!([after(Some(500), 100_000), after(Some(500), 100_001)], [None, Some(5)]);
        assert_eq!([after(None, 100_000), after(None, 100_001)], [None, Some(5)]);
    }

    #[test]
    fn a_bound_of_the_spec_counts_from_the_beginning_and_is_not_replaced() {
        let mut legacy = legacy(Some(50));
        assert_eq!(stops_in(&mut legacy, &[Some(60_000); 4]), None);
        legacy.compared_with(Some(90_000));
        let stop = legacy.tell(Some(61_234), Some(61_234)).unwrap();
        assert_eq!(
            stop.to_string(),
            "legacy's p95 was above 50.0ms (guard.legacyP95) for 5 s, at last 61.2ms, so the load was ended for the \
             application's sake; lower the rate"
        );
    }

    #[test]
    fn statements_that_legacy_fails_are_told_as_what_they_are() {
        let mut legacy = legacy(Some(50));
        let stop = (0..SECONDS).find_map(|_| legacy.tell(Some(NO_ANSWER_US), Some(NO_ANSWER_US))).unwrap();
        let told = stop.to_string();
        assert!(
            told.contains("more than 5 % of its statements had no answer") && !told.contains("rate"),
            "{told}"
        );
    }
}
