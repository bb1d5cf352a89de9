//! Zipf's law over the ranks 1 to n, in constant time and memory.
//!
//! Rejection-inversion: W. Hörmann and G. Derflinger, "Rejection-inversion to generate variates from monotone discrete
//! distributions", ACM TOMACS 6(3), 1996; the same steps as Apache Commons RNG's `RejectionInversionZipfSampler`. A table
//! of weights would be exact as well, but takes memory in proportion to n, and applications have a billion rows. Never
//! returns a rank outside 1..=n.

use rand::{Rng, RngExt};

/// Draws ranks; rank 1 is the most frequent, rank k comes up `k^-exponent` as often.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Zipf {
    ranks: u64,
    exponent: f64,
    /// Integral of the hat over the first rank, less 1.
    low: f64,
    /// Integral of the hat up to the end of the last rank.
    high: f64,
    /// Below this distance to its rank a point is accepted at once.
    accept: f64,
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks above 2^53 are neighbours of each other at worst, and the result is clamped to the ranks"
)]
impl Zipf {
    /// `ranks` is at least 1, `exponent` above 0.
    pub(super) fn new(ranks: u64, exponent: f64) -> Self {
        let ranks = ranks.max(1);
        let mut zipf = Self { ranks, exponent, low: 0.0, high: 0.0, accept: 0.0 };
        zipf.low = zipf.integral(1.5) - 1.0;
        zipf.high = zipf.integral(ranks as f64 + 0.5);
        zipf.accept = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.hat(2.0));
        zipf
    }

    /// The hat over rank x.
    fn hat(&self, x: f64) -> f64 {
        x.powf(-self.exponent)
    }

    /// Of the hat from 1 to x: the logarithm where the exponent is 1.
    fn integral(&self, x: f64) -> f64 {
        let logarithm = x.ln();
        let power = (1.0 - self.exponent) * logarithm;
        if power.abs() < TINY { logarithm } else { power.exp_m1() / power * logarithm }
    }

    fn inverse(&self, area: f64) -> f64 {
        // Rounding may take it below -1, where there is no logarithm.
        let power = ((1.0 - self.exponent) * area).max(-1.0);
        if power.abs() < TINY { area.exp() } else { (power.ln_1p() / power * area).exp() }
    }

    /// A rank. Rejects a few in a hundred points and tries again; hence the loop has no bound but chance.
    pub(super) fn sample(&self, rng: &mut impl Rng) -> u64 {
        loop {
            let u = self.high + rng.random::<f64>() * (self.low - self.high);
            let x = self.inverse(u);
            let rank = ((x + 0.5) as u64).clamp(1, self.ranks);
            let k = rank as f64;
            if k - x <= self.accept || u >= self.integral(k + 0.5) - self.hat(k) {
                return rank;
            }
        }
    }
}

/// Below it, (e^x - 1) / x and ln(1 + x) / x are 1 to the last digit.
const TINY: f64 = 1e-12;

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn frequencies_follow_the_law() {
        for exponent in [0.5, 1.0, 1.001, 1.5, 3.0] {
            let (zipf, mut rng) = (Zipf::new(1000, exponent), ChaCha8Rng::seed_from_u64(7));
            let mut counts = [0_u32; 1001];
            let samples = 200_000;
            for _ in 0..samples {
                counts[usize::try_from(zipf.sample(&mut rng)).unwrap()] += 1;
            }
            let sum: f64 = (1..=1000).map(|k| f64::from(k).powf(-exponent)).sum();
            for rank in [1_u32, 2, 3, 5, 10, 50] {
                let expected = f64::from(samples) * f64::from(rank).powf(-exponent) / sum;
                let seen = f64::from(counts[rank as usize]);
                assert!(
                    (seen - expected).abs() < 5.0 * expected.sqrt() + 1.0,
                    "exponent {exponent}, rank {rank}: {seen} instead of {expected}"
                );
            }
            assert_eq!(counts[0], 0);
        }
    }

    #[test]
    fn every_number_of_ranks_is_served() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for ranks in [1, 2, 3, 1_000_000_000, u64::MAX] {
            for exponent in [0.001, 1.0, 1.001, 2.0, 1000.0] {
                let zipf = Zipf::new(ranks, exponent);
                assert!((0..1000).all(|_| (1..=ranks).contains(&zipf.sample(&mut rng))));
            }
        }
        let zipf = Zipf::new(1_000_000_000, 1.0);
        assert!((0..1000).any(|_| zipf.sample(&mut rng) > 1_000_000), "the tail comes up too");
    }
}
