//! The percentiles of a block, with as little of chance in them as can be.
//!
//! Two things spread a ratio of percentiles that are no fault of the servers. Chance decides how many of the slow
//! statements each arm gets in a block: so every class counts in both arms as often as in both together (post-stratification).
//! And one rank is one call: so the mean logarithm of a band around the rank stands for it. Where a class of
//! updates makes the tail, the ratio of p95 in 1-s blocks spreads by 0.77 of what single ranks do. Never looks at
//! time.

use super::{
    bucket,
    evidence::{Block, Pair, Percentile},
    number,
};

/// Calls of a class in each arm below which it is not counted by itself.
const THIN: usize = 10;
/// Sums of weights are not exact.
const TOLERANCE: f64 = 1e-9;

/// Of both arms, from the buckets of each class; `None` where an arm has none.
pub(super) fn percentiles(strata: impl IntoIterator<Item = [Vec<u16>; 2]>) -> Option<Block> {
    let mut arms = [Vec::new(), Vec::new()];
    let mut thin = [Vec::new(), Vec::new()];
    for stratum in strata {
        let is_thin = stratum.iter().any(|buckets| buckets.len() < THIN);
        if is_thin {
            for (thin, buckets) in thin.iter_mut().zip(stratum) {
                thin.extend(buckets);
            }
        } else {
            weigh(&mut arms, stratum);
        }
    }
    weigh(&mut arms, thin);
    let [legacy, candidate] = arms.map(|mut calls| {
        calls.sort_unstable_by_key(|(bucket, _)| *bucket);
        (!calls.is_empty()).then(|| Percentile::ALL.map(|percentile| log_percentile(&calls, percentile)))
    });
    let (legacy, candidate) = (legacy?, candidate?);
    Some([0, 1, 2].map(|index| Pair { legacy: legacy[index], candidate: candidate[index] }))
}

/// Adds a class, weighted so that it counts the same in both arms. Each bucket once: a block may be the whole of a long
/// recording.
fn weigh(arms: &mut [Vec<(u16, f64)>; 2], stratum: [Vec<u16>; 2]) {
    let mean = number(stratum[0].len() + stratum[1].len()) / 2.0;
    let is_one_sided = stratum.iter().any(Vec::is_empty);
    for (arm, mut buckets) in arms.iter_mut().zip(stratum) {
        let weight = if is_one_sided { 1.0 } else { mean / number(buckets.len()) };
        buckets.sort_unstable();
        arm.extend(buckets.chunk_by(|a, b| a == b).map(|same| (same[0], weight * number(same.len()))));
    }
}

/// The mean logarithm of what was answered in the band around the rank; infinite if that rank failed.
fn log_percentile(sorted: &[(u16, f64)], percentile: Percentile) -> f64 {
    let total: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    let (rank, low, high) = percentile.rank_and_band();
    let (rank, low, high) = (rank * total, low * total, high * total);
    let (mut end, mut sum, mut width) = (0.0, 0.0, 0.0);
    let mut is_answered = false;
    for (bucket, weight) in sorted {
        let start = end;
        end += weight;
        if *bucket == bucket::FAILED || start >= high {
            break;
        }
        is_answered |= end >= rank - TOLERANCE * total;
        let within = end.min(high) - start.max(low);
        if within > 0.0 {
            sum += within * bucket::micros(*bucket).ln();
            width += within;
        }
    }
    if is_answered && width > 0.0 { sum / width } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(us: f64) -> f64 {
        us.ln()
    }

    #[test]
    fn the_band_is_around_the_rank() {
        let calls: Vec<u16> = (1..=1000).collect();
        let block = percentiles([[calls.clone(), calls]]).unwrap();
        for (pair, rank) in block.iter().zip([500.0, 950.0, 990.0]) {
            assert!((pair.legacy - log(rank)).abs() < 0.01, "{} for {rank}", pair.legacy.exp());
            assert!(pair.difference().abs() < 1e-12);
        }
    }

    #[test]
    fn a_class_that_one_arm_was_given_more_often_makes_no_difference() {
        let (fast, slow) = (vec![100_u16; 400], 1_000_u16);
        let block = percentiles([[fast.clone(), fast.clone()], [vec![slow; 15], vec![slow; 30]]]).unwrap();
        assert!(block.iter().all(|pair| pair.difference().abs() < 1e-12), "{block:?}");
        // Unweighted, p95 of the candidate alone would reach into the slow class.
        let legacy = [fast.clone(), vec![slow; 15]].concat();
        let candidate = [fast, vec![slow; 30]].concat();
        assert!(percentiles([[legacy, candidate]]).unwrap()[1].difference() > 1.0);
    }

    #[test]
    fn what_failed_is_slower_than_all_and_outside_of_the_mean() {
        let with_failed = |failed: usize| {
            let mut calls = vec![100_u16; 1000 - failed];
            calls.extend(vec![bucket::FAILED; failed]);
            percentiles([[vec![100; 1000], calls]]).unwrap().map(Pair::difference)
        };
        assert!(with_failed(9).iter().all(|difference| difference.abs() < 1e-12));
        let eleven = with_failed(11);
        assert!(eleven[1].abs() < 1e-12 && eleven[2] > 20.0, "{eleven:?}");
        assert!(with_failed(501).iter().all(|difference| *difference > 20.0));
    }

    #[test]
    fn without_calls_of_one_arm_there_is_no_block() {
        assert_eq!(percentiles([[vec![1], vec![]]]), None);
        assert_eq!(percentiles([]), None);
    }
}
