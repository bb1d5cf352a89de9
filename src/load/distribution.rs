//! Whole numbers from a range, most often in the middle or at the lower end, as pgbench draws them.
//!
//! The formulas are those that pgbench's documentation gives for `random_gaussian` and `random_exponential`
//! (PostgreSQL documentation, "pgbench", section "Built-in Functions"). Never returns a number outside of the range.

use std::f64::consts::TAU;

use rand::{Rng, RngExt};

/// The normal distribution, cut off at `parameter` standard deviations on either side of the middle of the range. A
/// number i is drawn with the probability that the distribution gives to its share of the range: with mu the middle
/// and PHI the distribution function, `f(x) = PHI(2 parameter (x - mu) / (max - min + 1)) / (2 PHI(parameter) - 1)`,
/// and `f(i + 0.5) - f(i - 0.5)`. `parameter` is at least 2, so that few draws fall outside and are repeated.
pub(super) fn gaussian(rng: &mut impl Rng, min: i64, max: i64, parameter: f64) -> i64 {
    loop {
        let normal = normal(rng);
        if (-parameter..parameter).contains(&normal) {
            return at_fraction(min, max, (normal + parameter) / (2.0 * parameter));
        }
    }
}

/// The exponential distribution, cut off at `parameter`, `min` the most frequent: i is drawn with the probability
/// `f(i) - f(i + 1)`, where `f(x) = exp(-parameter (x - min) / (max - min + 1)) / (1 - exp(-parameter))`. `parameter` is
/// above 0.
pub(super) fn exponential(rng: &mut impl Rng, min: i64, max: i64, parameter: f64) -> i64 {
    let uniform: f64 = rng.random();
    // The distribution function, inverted; expm1 and ln_1p keep it exact where the parameter is close to 0.
    at_fraction(min, max, -(uniform * (-parameter).exp_m1()).ln_1p() / parameter)
}

/// By the method of Box and Muller; 1 - u is above zero, so the logarithm is finite.
fn normal(rng: &mut impl Rng) -> f64 {
    let (radius, angle): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (TAU * angle).cos()
}

/// The number at a fraction, at least 0 and below 1, of the range.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranges above 2^53 lose neighbours at worst, and the result is clamped to the range"
)]
fn at_fraction(min: i64, max: i64, fraction: f64) -> i64 {
    let numbers = max.abs_diff(min) as f64 + 1.0;
    min.saturating_add_unsigned((numbers * fraction) as u64).min(max)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const SAMPLES: u32 = 200_000;

    /// The share of draws from 1 to 10 that each number has.
    fn shares(draw: impl Fn(&mut ChaCha8Rng) -> i64) -> [f64; 11] {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut counts = [0.0; 11];
        for _ in 0..SAMPLES {
            counts[usize::try_from(draw(&mut rng)).unwrap()] += 1.0 / f64::from(SAMPLES);
        }
        counts
    }

    #[test]
    fn gaussian_numbers_fall_where_the_documentation_says() {
        // pgbench's documentation: with a parameter of 4.0, 67 % of the draws are in the middle quarter, 1/4.0 of the
        // range, and 95 % in the middle half; with 2.0, in the middle half and in nearly all of it.
        let draw = |parameter: f64| {
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            (0..SAMPLES).map(|_| gaussian(&mut rng, 1, 1000, parameter)).collect::<Vec<_>>()
        };
        let within = |draws: &[i64], half: i64| {
            f64::from(u32::try_from(draws.iter().filter(|n| (**n - 500).abs() <= half).count()).unwrap())
                / f64::from(SAMPLES)
        };
        let draws = draw(4.0);
        assert!((within(&draws, 125) - 0.683).abs() < 0.01, "{}", within(&draws, 125));
        assert!((within(&draws, 250) - 0.954).abs() < 0.01, "{}", within(&draws, 250));
        let draws = draw(2.0);
        assert!((within(&draws, 250) - 0.683 / 0.9545).abs() < 0.01);
    }

    #[test]
    fn exponential_numbers_have_the_documented_probabilities() {
        for parameter in [0.000_01, 1.0, 5.0] {
            let seen = shares(|rng| exponential(rng, 1, 10, parameter));
            let f = |x: f64| (-parameter * (x - 1.0) / 10.0).exp() / (1.0 - (-parameter).exp());
            for number in 1..=10_u32 {
                let expected = f(f64::from(number)) - f(f64::from(number) + 1.0);
                let deviation = (expected / f64::from(SAMPLES)).sqrt();
                let share = seen[number as usize];
                assert!(
                    (share - expected).abs() < 5.0 * deviation,
                    "{parameter} {number}: {share} {expected}"
                );
            }
        }
    }

    #[test]
    fn every_range_is_served_and_never_left() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for (min, max) in [(0, 0), (i64::MIN, i64::MAX), (i64::MAX - 1, i64::MAX), (-5, 5)] {
            for _ in 0..1000 {
                assert!((min..=max).contains(&gaussian(&mut rng, min, max, 2.0)));
                assert!((min..=max).contains(&exponential(&mut rng, min, max, 700.0)));
            }
        }
    }
}
