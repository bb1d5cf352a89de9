//! Zipf's law with exponent 1 over the ranks 1 to n, in constant time and memory.
//!
//! Rejection-inversion: W. Hörmann and G. Derflinger, "Rejection-inversion to generate variates from monotone discrete
//! distributions", ACM TOMACS 6(3), 1996; the same steps as Apache Commons RNG's `RejectionInversionZipfSampler`,
//! reduced to exponent 1, where the integral of 1/x is the logarithm. A table of weights would be exact as well, but
//! takes memory in proportion to n, and applications have a billion rows. Never returns a rank outside 1..=n.

use rand::{Rng, RngExt};

/// Draws ranks; rank 1 is the most frequent, rank k comes up 1/k as often.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Zipf {
    ranks: u64,
    /// Integral of the hat over the first rank, less 1.
    low: f64,
    /// Integral of the hat up to the end of the last rank.
    high: f64,
    /// Below this distance to its rank a point is accepted at once.
    accept: f64,
}

/// 1/x, the hat over rank x.
fn hat(x: f64) -> f64 {
    1.0 / x
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks above 2^53 are neighbours of each other at worst, and the result is clamped to the ranks"
)]
impl Zipf {
    /// `ranks` is at least 1.
    pub(super) fn new(ranks: u64) -> Self {
        let ranks = ranks.max(1);
        Self {
            ranks,
            low: 1.5_f64.ln() - 1.0,
            high: (ranks as f64 + 0.5).ln(),
            accept: 2.0 - (2.5_f64.ln() - hat(2.0)).exp(),
        }
    }

    /// A rank. Rejects a few in a hundred points and tries again; hence the loop has no bound but chance.
    pub(super) fn sample(&self, rng: &mut impl Rng) -> u64 {
        loop {
            let u = self.high + rng.random::<f64>() * (self.low - self.high);
            let x = u.exp();
            let rank = ((x + 0.5) as u64).clamp(1, self.ranks);
            let k = rank as f64;
            if k - x <= self.accept || u >= (k + 0.5).ln() - hat(k) {
                return rank;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn frequencies_follow_the_law() {
        let (zipf, mut rng) = (Zipf::new(1000), ChaCha8Rng::seed_from_u64(7));
        let mut counts = [0_u32; 1001];
        let samples = 200_000;
        for _ in 0..samples {
            counts[usize::try_from(zipf.sample(&mut rng)).unwrap()] += 1;
        }
        let harmonic: f64 = (1..=1000).map(|k| 1.0 / f64::from(k)).sum();
        for rank in [1_u32, 2, 3, 5, 10, 50] {
            let expected = f64::from(samples) / (f64::from(rank) * harmonic);
            let seen = f64::from(counts[rank as usize]);
            assert!(
                (seen - expected).abs() < 5.0 * expected.sqrt(),
                "rank {rank}: {seen} instead of {expected}"
            );
        }
        assert_eq!(counts[0], 0);
    }

    #[test]
    fn every_number_of_ranks_is_served() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for ranks in [1, 2, 3, 1_000_000_000, u64::MAX] {
            let zipf = Zipf::new(ranks);
            assert!((0..1000).all(|_| (1..=ranks).contains(&zipf.sample(&mut rng))));
        }
        let zipf = Zipf::new(1_000_000_000);
        assert!((0..1000).any(|_| zipf.sample(&mut rng) > 1_000_000), "the tail comes up too");
    }
}
