//! Whether the noise is the same for both arms, and how long a block must be for the next to be independent of it.
//!
//! A test of paired blocks holds its false alarms only if one block says nothing about the next. What disturbs both
//! servers alike cancels out; what disturbs one for a while does not, and makes blocks of a second look like many
//! proofs of one thing. Decides the length of blocks; never decides what is measured in them.

use super::{
    evidence::{Block, Pair, Percentile},
    number,
};

/// Block lengths, in seconds.
const LENGTHS: [usize; 5] = [1, 2, 5, 10, 20];
/// Fewest blocks that are judged.
pub(super) const MIN_BLOCKS: usize = 12;
/// Differences of consecutive seconds with an autocorrelation time below this are independent.
const INDEPENDENT: f64 = 1.5;
/// Correlation between the arms from which their noise is shared.
const SHARED: f64 = 0.6;
/// The same of a second and the next: from there what moves both lasts, as noise does. What both are asked comes anew with every call.
const LASTING: f64 = 0.3;
/// Blocks where the noise is not shared: where it looks white, and where it drifts.
const UNSHARED_WHITE: usize = 5;
const UNSHARED_DRIFTING: usize = 10;
/// One wild second must not decide on the length: a ratio counts as ten at most.
const CLAMP: f64 = std::f64::consts::LN_10;

/// The noise of all statements together, on blocks of a second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Noise {
    /// Between the arms' logarithms of p50 and of p95; `None` with too few seconds.
    pub correlation: Option<[f64; 2]>,
    /// Between one arm's and the other's in the next second, either way round.
    pub next: Option<[f64; 2]>,
    /// The longer autocorrelation time of the ratios of p50 and p95, in seconds; at least 1.
    pub drift: f64,
}

impl Noise {
    pub(super) fn of(seconds: &[Block]) -> Self {
        let both = |of: fn(&[Block], Percentile) -> Option<f64>| {
            let [p50, p95] = [Percentile::P50, Percentile::P95].map(|percentile| of(seconds, percentile));
            p50.zip(p95).map(|(p50, p95)| [p50, p95])
        };
        let [p50, p95, _] = autocorrelation(seconds);
        Self { correlation: both(correlation), next: both(correlation_with_next), drift: p50.max(p95) }
    }

    /// Whether both arms feel the same noise, as far as that can be told. Both move alike by what they are asked, too: that is no noise
    /// that lasts, and hides none of one arm alone as long as the difference between them does not drift.
    #[must_use]
    pub fn is_shared(&self) -> Option<bool> {
        let reaches = |correlation: [f64; 2], least: f64| correlation.iter().all(|of| *of >= least);
        let lasts = self.next.is_some_and(|next| reaches(next, LASTING));
        Some(reaches(self.correlation?, SHARED) && (lasts || self.drift < INDEPENDENT))
    }

    /// The length of blocks for differences of that autocorrelation time; `None` where 20 s are too short. Longer
    /// where the noise is not shared: the estimate of the time is then the least reliable. Long enough to hold
    /// `calls` of each arm.
    pub(super) fn block_seconds(
        &self,
        autocorrelation: f64,
        calls_per_second: f64,
        calls: f64,
    ) -> Option<usize> {
        let is_white = autocorrelation < INDEPENDENT;
        let least = match (self.is_shared() == Some(true), is_white) {
            (true, _) => 1,
            (false, true) => UNSHARED_WHITE,
            (false, false) => UNSHARED_DRIFTING,
        };
        LENGTHS.into_iter().find(|length| {
            *length >= least
                && (is_white || number(*length) >= autocorrelation)
                && number(*length) * calls_per_second >= calls
        })
    }
}

/// For p50, p95 and p99.
pub(super) fn autocorrelation(seconds: &[Block]) -> [f64; 3] {
    Percentile::ALL.map(|percentile| {
        let differences =
            seconds.iter().map(|block| block[percentile.index()].difference().clamp(-CLAMP, CLAMP));
        integrated_time(&differences.collect::<Vec<_>>())
    })
}

/// The integrated autocorrelation time by the initial positive sequence: sums of two consecutive autocorrelations
/// are added as long as they are positive (Geyer, Practical Markov Chain Monte Carlo, Statistical Science 7, 1992).
/// At least 1.
pub(super) fn integrated_time(series: &[f64]) -> f64 {
    let n = series.len();
    let mean = series.iter().sum::<f64>() / number(n.max(1));
    let centred: Vec<_> = series.iter().map(|value| value - mean).collect();
    let at_lag = |lag: usize| -> f64 { centred.iter().zip(&centred[lag..]).map(|(a, b)| a * b).sum() };
    let variance = at_lag(0);
    if n < 4 || variance <= 0.0 {
        return 1.0;
    }
    let mut time = -1.0;
    for lag in (0..n / 2).step_by(2) {
        let pair = (at_lag(lag) + at_lag(lag + 1)) / variance;
        if pair <= 0.0 {
            break;
        }
        time += 2.0 * pair;
    }
    time.max(1.0)
}

/// Over the seconds in which both arms answered.
fn correlation(seconds: &[Block], percentile: Percentile) -> Option<f64> {
    pearson(seconds.iter().map(|block| block[percentile.index()]))
}

/// Between a second of one arm and the next of the other.
fn correlation_with_next(seconds: &[Block], percentile: Percentile) -> Option<f64> {
    let pairs = seconds.windows(2).flat_map(|two| {
        let [one, next] = [two[0][percentile.index()], two[1][percentile.index()]];
        [(one.legacy, next.candidate), (next.legacy, one.candidate)]
    });
    pearson(pairs.map(|(legacy, candidate)| Pair { legacy, candidate }))
}

/// Pearson's correlation.
fn pearson(pairs: impl Iterator<Item = Pair>) -> Option<f64> {
    let pairs: Vec<_> = pairs.filter(|pair| pair.legacy.is_finite() && pair.candidate.is_finite()).collect();
    if pairs.len() < MIN_BLOCKS {
        return None;
    }
    let n = number(pairs.len());
    let legacy = pairs.iter().map(|pair| pair.legacy).sum::<f64>() / n;
    let candidate = pairs.iter().map(|pair| pair.candidate).sum::<f64>() / n;
    let (mut both, mut one, mut other) = (0.0, 0.0, 0.0);
    for pair in pairs {
        let (a, b) = (pair.legacy - legacy, pair.candidate - candidate);
        both += a * b;
        one += a * a;
        other += b * b;
    }
    let spread = (one * other).sqrt();
    Some(if spread > 0.0 { both / spread } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::{super::tests::simulation::Random, *};

    /// An AR(1) series has an integrated time of (1 + stays) / (1 - stays).
    fn drifting(stays: f64, n: usize) -> Vec<f64> {
        let mut random = Random(11);
        let mut level = 0.0;
        std::iter::repeat_with(|| {
            level = stays * level + random.normal();
            level
        })
        .take(n)
        .collect()
    }

    #[test]
    fn the_integrated_time_of_an_autoregression_is_found() {
        for (stays, expected) in [(0.0, 1.0), (0.5, 3.0), (0.8, 9.0)] {
            let seen = integrated_time(&drifting(stays, 20_000));
            assert!((seen / expected - 1.0).abs() < 0.15, "{seen} instead of {expected}");
        }
        // What alternates averages out faster than what is independent; it is not relied on.
        for series in [[1.0, -1.0].repeat(30), vec![1.0; 30], vec![]] {
            assert!((integrated_time(&series) - 1.0).abs() < 1e-12);
        }
    }

    fn noise(correlation: f64) -> Noise {
        Noise { correlation: Some([correlation, correlation + 0.1]), next: Some([0.4, 0.3]), drift: 9.0 }
    }

    #[test]
    fn blocks_last_as_long_as_the_noise_and_longer_where_it_is_not_shared() {
        let lengths = |correlation| {
            [1.0, 1.5, 2.1, 6.0, 12.0, 21.0].map(|time| noise(correlation).block_seconds(time, 500.0, 100.0))
        };
        assert_eq!(lengths(0.7), [Some(1), Some(2), Some(5), Some(10), Some(20), None]);
        assert_eq!(lengths(0.5), [Some(5), Some(10), Some(10), Some(10), Some(20), None]);
        assert_eq!(Noise::default().block_seconds(1.0, 500.0, 100.0), Some(5));
        assert_eq!((noise(0.7).is_shared(), noise(0.5).is_shared()), (Some(true), Some(false)));
        assert_eq!(Noise::default().is_shared(), None);
    }

    #[test]
    fn what_moves_both_for_a_second_only_is_no_noise_that_they_share_unless_they_differ_by_chance() {
        let short = Noise { next: Some([0.4, 0.2]), ..noise(0.7) };
        assert_eq!(short.is_shared(), Some(false));
        assert_eq!(Noise { drift: 1.4, ..short }.is_shared(), Some(true));
        assert_eq!(short.block_seconds(2.0, 500.0, 100.0), Some(10));
    }

    #[test]
    fn noise_lasts_and_what_is_asked_does_not() {
        let (noise, asked) = (drifting(0.8, 120), drifting(0.0, 120));
        for (both, lasts) in [(noise, true), (asked, false)] {
            let pair = |level: &f64| Pair { legacy: *level, candidate: *level };
            let seconds: Vec<Block> = both.iter().map(|level| [pair(level); 3]).collect();
            let found = Noise::of(&seconds);
            let [p50, _] = found.next.unwrap();
            assert!(found.correlation.unwrap()[0] > 0.999 && (p50 > LASTING) == lasts, "{found:?}");
        }
    }

    #[test]
    fn a_block_is_long_enough_to_hold_the_calls() {
        let length = |calls| noise(0.9).block_seconds(1.0, calls, 20.0);
        assert_eq!([20.0, 19.0, 4.0, 1.0, 0.9].map(length), [Some(1), Some(2), Some(5), Some(20), None]);
    }
}
