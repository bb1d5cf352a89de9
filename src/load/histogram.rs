//! Latencies, from 1 µs to 60 s, exact to three digits, in bounded memory.
//!
//! Decides how a duration becomes a count, and which latency a share of all statements stayed below. Longer than 60 s
//! counts as 60 s. Percentiles are taken by rank over all statements, the failed ones included as the slowest: a
//! server must not look fast because it failed early.

use std::time::Duration;

use hdrhistogram::{CreationError, Histogram};
use serde::{Deserialize, Serialize};

const LOWEST_US: u64 = 1;
const HIGHEST_US: u64 = 60_000_000;
const DIGITS: u8 = 3;

/// Recorded latencies. Written as the counts of the values that there are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "Vec<(u64, u64)>", try_from = "Vec<(u64, u64)>")]
pub(super) struct Latencies(Histogram<u64>);

impl From<Latencies> for Vec<(u64, u64)> {
    fn from(latencies: Latencies) -> Self {
        let recorded = latencies.0.iter_recorded();
        recorded.map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value())).collect()
    }
}

impl TryFrom<Vec<(u64, u64)>> for Latencies {
    type Error = CreationError;

    fn try_from(written: Vec<(u64, u64)>) -> Result<Self, CreationError> {
        let mut latencies = Self::new()?;
        for (value, count) in written {
            latencies.0.saturating_record_n(value, count);
        }
        Ok(latencies)
    }
}

impl Latencies {
    /// Fails only if the bounds above are no bounds for a histogram.
    pub(super) fn new() -> Result<Self, CreationError> {
        Histogram::new_with_bounds(LOWEST_US, HIGHEST_US, DIGITS).map(Self)
    }

    pub(super) fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(HIGHEST_US);
        self.0.saturating_record(micros.clamp(LOWEST_US, HIGHEST_US));
    }

    /// The same, exact to so few digits: what it takes to write it down is bounded by them.
    pub(super) fn coarse(&self, digits: u8) -> Result<Self, CreationError> {
        let mut coarse = Self(Histogram::new_with_bounds(LOWEST_US, HIGHEST_US, digits)?);
        coarse.add(self);
        Ok(coarse)
    }

    /// Takes in what another one has recorded.
    pub(super) fn add(&mut self, other: &Self) {
        // Both have the same bounds, so nothing can fall outside.
        let _ = self.0.add(&other.0);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    /// In microseconds; 0 where nothing was recorded.
    pub(super) fn max_us(&self) -> u64 {
        self.0.max()
    }

    /// The latency that `percent` of all statements stayed within, if `failed` more of them were slower than all that
    /// were recorded. `None` where that many did not come back at all.
    pub(super) fn percentile_us(&self, percent: u64, failed: u64) -> Option<u64> {
        self.share_us(percent * 100, failed)
    }

    /// The same of a share in ten-thousandths.
    pub(super) fn share_us(&self, share: u64, failed: u64) -> Option<u64> {
        let all = self.count() + failed;
        let rank = (all * share).div_ceil(10_000).max(1);
        if rank > self.count() { None } else { Some(self.at_rank(rank)) }
    }

    /// `rank` counts from 1, the fastest.
    fn at_rank(&self, rank: u64) -> u64 {
        let mut seen = 0;
        for bucket in self.0.iter_recorded() {
            seen += bucket.count_since_last_iteration();
            if seen >= rank {
                return self.0.highest_equivalent(bucket.value_iterated_to()).min(self.max_us());
            }
        }
        self.max_us()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn recorded(micros: &[u64]) -> Latencies {
        let mut latencies = Latencies::new().unwrap();
        for micros in micros {
            latencies.record(Duration::from_micros(*micros));
        }
        latencies
    }

    #[test]
    fn what_failed_ranks_as_the_slowest() {
        let latencies = recorded(&(1..=100).collect::<Vec<_>>());
        assert_eq!(latencies.percentile_us(50, 0), Some(50));
        assert_eq!(latencies.percentile_us(99, 0), Some(99));
        assert_eq!(latencies.percentile_us(50, 50), Some(75));
        assert_eq!(latencies.percentile_us(95, 5), Some(100));
        assert_eq!(latencies.percentile_us(95, 6), None);
        assert_eq!(recorded(&[]).percentile_us(50, 0), None);
    }

    #[test]
    fn what_is_out_of_bounds_counts_as_the_bound() {
        let latencies = recorded(&[0, u64::MAX]);
        assert_eq!(latencies.percentile_us(50, 0), Some(1));
        assert!(latencies.max_us().abs_diff(60_000_000) < 60_000);
    }

    proptest! {
        #[test]
        fn a_percentile_is_that_of_the_sorted_list_to_three_digits(
            mut micros in prop::collection::vec(1_u64..60_000_000, 1..300),
            percent in 1_u64..100,
        ) {
            let latencies = recorded(&micros);
            micros.sort_unstable();
            let rank = (micros.len() * usize::try_from(percent).unwrap()).div_ceil(100);
            let exact = micros[rank.max(1) - 1];
            let seen = latencies.percentile_us(percent, 0).unwrap();
            prop_assert!(seen.abs_diff(exact) * 1000 <= exact.max(1000), "{seen} instead of {exact}");
        }
    }

    proptest! {
        /// The counts are those of one histogram of all: merging is exact, whatever went where.
        #[test]
        fn what_several_processes_wrote_merges_into_what_one_would_have_recorded(
            parts in prop::collection::vec(prop::collection::vec(1_u64..70_000_000, 0..200), 1..5),
            failed in 0_u64..20,
        ) {
            let mut merged = Latencies::new().unwrap();
            for part in &parts {
                let written = serde_json::to_string(&recorded(part)).unwrap();
                merged.add(&serde_json::from_str(&written).unwrap());
            }
            let mut union: Vec<u64> = parts.concat().into_iter().map(|us| us.min(HIGHEST_US)).collect();
            let whole = recorded(&union);
            union.sort_unstable();
            prop_assert_eq!(merged.count(), whole.count());
            for percent in [1, 50, 95, 99, 100] {
                let percentile = merged.percentile_us(percent, failed);
                prop_assert_eq!(percentile, whole.percentile_us(percent, failed));
                let all = union.len() as u64 + failed;
                let rank = usize::try_from((all * percent).div_ceil(100).max(1)).unwrap();
                let exact = union.get(rank - 1).copied();
                prop_assert_eq!(percentile.is_some(), exact.is_some());
                if let (Some(us), Some(exact)) = (percentile, exact) {
                    prop_assert!(us >= exact && (us - exact) * 1_000 <= exact + 1_000, "{} for {}", us, exact);
                }
            }
        }
    }
}
