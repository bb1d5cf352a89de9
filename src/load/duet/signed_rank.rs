//! Wilcoxon's signed-rank test, the Hodges-Lehmann estimate and its bounds, from paired differences.
//!
//! Decides how likely such differences are if their centre were no greater, or no less, than a margin. The
//! statistic is counted from Walsh averages (Hollander, Wolfe, Chicken: Nonparametric Statistical Methods, 3.1 to
//! 3.3), so the test and the bounds say the same. Ties count half and are judged by the distribution without ties,
//! which is close.

use std::sync::LazyLock;

use statrs::function::erf::erfc;

use super::number;

/// Up to here the distribution is exact; beyond, normal with a correction for continuity, which errs to caution in
/// the tails.
const EXACT: usize = 50;

/// P(T >= t) for each n up to `EXACT`.
static TAILS: LazyLock<Vec<Vec<f64>>> = LazyLock::new(|| {
    let mut tails = vec![vec![1.0]];
    let mut probabilities = vec![1.0];
    for n in 1..=EXACT {
        let mut next = vec![0.0; probabilities.len() + n];
        for (sum, probability) in probabilities.iter().enumerate() {
            next[sum] += probability / 2.0;
            next[sum + n] += probability / 2.0;
        }
        probabilities = next;
        let mut tail = probabilities.clone();
        for sum in (0..tail.len() - 1).rev() {
            tail[sum] += tail[sum + 1];
        }
        tails.push(tail);
    }
    tails
});

/// P(T >= t) where the differences are symmetric around zero.
fn tail(n: usize, t: usize) -> f64 {
    if let Some(tail) = TAILS.get(n) {
        return tail.get(t).copied().unwrap_or(0.0);
    }
    let pairs = number(n) * (number(n) + 1.0);
    let spread = (pairs * (2.0 * number(n) + 1.0) / 24.0).sqrt();
    let distance = number(t) - 0.5 - pairs / 4.0;
    erfc(distance / spread / std::f64::consts::SQRT_2) / 2.0
}

/// Differences, ready to be tested.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ranked(Vec<f64>);

impl Ranked {
    pub(super) fn new(mut differences: Vec<f64>) -> Self {
        differences.sort_unstable_by(f64::total_cmp);
        Self(differences)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn walsh_averages(&self) -> usize {
        self.len() * (self.len() + 1) / 2
    }

    /// How many averages of two differences, each with itself included, `is_counted` says yes to; it must say yes
    /// to lower sums first.
    fn count(&self, is_counted: impl Fn(f64) -> bool) -> usize {
        let mut end = self.len();
        let mut count = 0;
        for (index, low) in self.0.iter().enumerate() {
            while end > index && !is_counted(low + self.0[end - 1]) {
                end -= 1;
            }
            if end <= index {
                break;
            }
            count += end - index;
        }
        count
    }

    /// How likely so many large differences are if their centre were at most `margin`.
    pub(super) fn p_above(&self, margin: f64) -> f64 {
        let (below, not_above) = self.around(margin);
        let above_twice = 2 * self.walsh_averages() - below - not_above;
        tail(self.len(), above_twice / 2)
    }

    /// How likely so many small differences are if their centre were at least `margin`.
    pub(super) fn p_below(&self, margin: f64) -> f64 {
        let (below, not_above) = self.around(margin);
        tail(self.len(), usize::midpoint(below, not_above))
    }

    fn around(&self, margin: f64) -> (usize, usize) {
        (self.count(|sum| sum < 2.0 * margin), self.count(|sum| sum <= 2.0 * margin))
    }

    /// Whether the estimate is below `margin`.
    pub(super) fn is_centred_below(&self, margin: f64) -> bool {
        let below = self.count(|sum| sum < 2.0 * margin) * 2;
        let all = self.walsh_averages();
        below > all || (below == all && self.estimate().is_some_and(|estimate| estimate < margin))
    }

    /// The Hodges-Lehmann estimate of the centre: the median of the Walsh averages. `None` without differences.
    pub(super) fn estimate(&self) -> Option<f64> {
        let all = self.walsh_averages();
        let upper = self.at_rank(all / 2 + 1)?;
        Some(if all.is_multiple_of(2) { f64::midpoint(self.at_rank(all / 2)?, upper) } else { upper })
    }

    /// The centre is below this with a probability of at most `alpha`; `None` where there are too few differences
    /// to say so.
    pub(super) fn lower_bound(&self, alpha: f64) -> Option<f64> {
        self.at_rank(self.outermost(alpha))
    }

    /// The centre is above this with a probability of at most `alpha`.
    pub(super) fn upper_bound(&self, alpha: f64) -> Option<f64> {
        match self.outermost(alpha) {
            0 => None,
            rank => self.at_rank(self.walsh_averages() + 1 - rank),
        }
    }

    /// The least `t` with P(T <= t) >= alpha.
    fn outermost(&self, alpha: f64) -> usize {
        let all = self.walsh_averages();
        let (mut low, mut high) = (0, all);
        while low < high {
            let middle = usize::midpoint(low, high);
            if tail(self.len(), all - middle) >= alpha { high = middle } else { low = middle + 1 }
        }
        low
    }

    /// The Walsh average at a rank, from 1; found by halving the range of floats, which takes no memory.
    fn at_rank(&self, rank: usize) -> Option<f64> {
        if rank == 0 || rank > self.walsh_averages() {
            return None;
        }
        let (mut low, mut high) = (key(*self.0.first()?), key(*self.0.last()?));
        while low < high {
            let middle = u64::midpoint(low, high);
            if self.count(|sum| sum <= 2.0 * value(middle)) >= rank {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Some(value(low))
    }
}

const SIGN: u64 = 1 << 63;

/// Floats as integers of the same order.
fn key(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

fn value(key: u64) -> f64 {
    f64::from_bits(if key & SIGN == 0 { !key } else { key & !SIGN })
}

#[cfg(test)]
mod tests;
