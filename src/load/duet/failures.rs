//! Whether more of the candidate's calls fail than of legacy's.
//!
//! Exact tests on counts. A small share of the calls is forgiven the candidate before it is compared: failing
//! margins are never zero. Never looks at latencies.

use statrs::{
    distribution::{DiscreteCDF, Hypergeometric},
    function::beta::beta_reg,
};

use super::evidence::{Calls, float};

/// How likely the candidate's failures are if it failed no more often than legacy, after that share of its calls
/// was forgiven. Fisher's exact test, one-sided.
pub(super) fn p_more(candidate: Calls, legacy: Calls, forgiven: f64) -> f64 {
    let failed = forgive(candidate, forgiven);
    if failed == 0 {
        return 1.0;
    }
    let all = candidate.ended + legacy.ended;
    match Hypergeometric::new(all, failed + legacy.failed, candidate.ended) {
        Ok(chance) => chance.sf(failed - 1),
        Err(_) => 1.0,
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count is a count")]
fn forgive(candidate: Calls, share: f64) -> u64 {
    candidate.failed.saturating_sub((float(candidate.ended) * share) as u64)
}

/// How likely so few failures are if `share` of the calls failed.
pub(super) fn p_fewer(calls: Calls, share: f64) -> f64 {
    if calls.ended == 0 || calls.failed >= calls.ended {
        return 1.0;
    }
    // P(X <= x) of a binomial.
    beta_reg(float(calls.ended - calls.failed), float(calls.failed) + 1.0, 1.0 - share)
}

/// How likely so many failures, or more, are if `share` of the calls failed.
pub(super) fn p_as_many(calls: Calls, share: f64) -> f64 {
    if calls.failed == 0 || share >= 1.0 {
        return 1.0;
    }
    // P(X >= x) of a binomial.
    beta_reg(float(calls.failed), float(calls.ended - calls.failed) + 1.0, share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(failed: u64, ended: u64) -> Calls {
        Calls { ended, failed }
    }

    /// `scipy.stats.fisher_exact([[x, n - x], [y, m - y]], "greater")` and `binom.cdf`, `SciPy` 1.17.1.
    #[test]
    fn the_probabilities_are_those_of_scipy() {
        for (candidate, legacy, expected) in [
            (calls(7, 100), calls(1, 100), 0.032_429_701_052_132_53),
            (calls(3, 10), calls(2, 12), 0.406_015_037_593_985),
            (calls(30, 5_000), calls(10, 5_000), 0.001_088_877_839_248_083_4),
        ] {
            assert!(
                (p_more(candidate, legacy, 0.0) / expected - 1.0).abs() < 1e-6,
                "{}",
                p_more(candidate, legacy, 0.0)
            );
        }
        assert!((p_fewer(calls(2, 1_000), 0.01) / 0.002_679_431_993_791_51 - 1.0).abs() < 1e-6);
        assert!((p_fewer(calls(0, 300), 0.01) / 0.99_f64.powi(300) - 1.0).abs() < 1e-9);
        // What is not as many or more is fewer.
        for (failed, share) in [(1, 0.02), (3, 0.01), (70, 0.07)] {
            let both = p_as_many(calls(failed, 1_000), share) + p_fewer(calls(failed - 1, 1_000), share);
            assert!((both - 1.0).abs() < 1e-9, "{failed}: {both}");
        }
        assert!(p_as_many(calls(0, 1_000), 0.5) > 0.99 && p_as_many(calls(10, 10), 1.0) > 0.99);
        assert!((p_as_many(calls(10, 10), 0.5) / 0.5_f64.powi(10) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_margin_is_forgiven_first() {
        assert!(p_more(calls(30, 30_000), calls(0, 30_000), 0.001) > 0.99);
        assert!(p_more(calls(60, 30_000), calls(0, 30_000), 0.001) < 1e-8);
        assert!(p_more(calls(0, 0), calls(0, 0), 0.001) > 0.99);
        assert!(p_fewer(calls(0, 0), 0.01) > 0.99);
    }
}
