//! Latencies as numbers of 16 bits: the buckets of an HDR histogram of three digits, from 1 µs to 60 s.
//!
//! Decides what is told apart: every microsecond below 2,048, then 1,024 steps for each doubling, so that a value
//! is off by less than 0.1 %. Two buckets compare as their latencies do; what failed compares as slower than all.

/// Longest latency that is told apart from longer ones.
const HIGHEST_US: u64 = 60_000_000;
/// Below this a bucket is a microsecond wide.
const EXACT: u64 = 2_048;
/// Buckets for each doubling.
const STEPS: u64 = EXACT / 2;

/// One past the highest bucket of a latency.
pub(super) const BUCKETS: u16 = 17_408;
/// What failed: slower than everything that was answered.
pub(super) const FAILED: u16 = u16::MAX;

/// The bucket of a latency.
pub(super) fn of(us: u128) -> u16 {
    let us = u64::try_from(us).unwrap_or(HIGHEST_US).clamp(1, HIGHEST_US);
    let doublings = u64::from((us / EXACT).checked_ilog2().map_or(0, |log| log + 1));
    u16::try_from(doublings * STEPS + (us >> doublings)).unwrap_or(BUCKETS - 1)
}

/// The middle of a bucket, in microseconds.
pub(super) fn micros(bucket: u16) -> f64 {
    let bucket = u32::from(bucket);
    let (exact, steps) = (2_048, 1_024);
    if bucket < exact {
        return f64::from(bucket);
    }
    let doublings = bucket / steps - 1;
    let width = 1_u32 << doublings.min(20);
    f64::from((bucket % steps + steps) * width) + f64::from(width - 1) / 2.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bounds_are_the_first_and_the_last_bucket() {
        assert_eq!((of(0), of(1), of(2_047), of(2_048)), (1, 1, 2_047, 2_048));
        assert!(of(u128::MAX) < BUCKETS);
        assert!((micros(of(u128::MAX)) / 60e6 - 1.0).abs() < 0.001);
    }

    proptest! {
        #[test]
        fn a_bucket_is_within_a_thousandth_and_keeps_the_order(a in 1_u32..60_000_000, b in 1_u32..60_000_000) {
            let (bucket, other) = (of(a.into()), of(b.into()));
            prop_assert!((micros(bucket) / f64::from(a) - 1.0).abs() < 0.001, "{} for {a}", micros(bucket));
            prop_assert_eq!(bucket.max(other), of(a.max(b).into()));
        }
    }
}
