//! The margins, the times of the looks, and how the chance of a false alarm is divided.
//!
//! Decides nothing about data. The defaults were measured on two separate servers; `docs/load-verdict.md` has the
//! figures. Margins of failure are never zero: two servers that are alike differ by 1 to 2.6 % of p50 for minutes,
//! and a test against zero calls that a regression in 10 to 27 % of runs.

use std::time::Duration;

use super::{
    evidence::{Group, Percentile},
    number,
};

/// The least margin of failure.
const FLOOR: f64 = 0.02;
/// The first looks, in seconds. Never a `Pass` before the first.
const LOOKS: [u32; 3] = [60, 120, 240];
/// Longest a duet may be asked to take.
const LONGEST: u32 = 7_200;

/// How much slower the candidate may be: 0.05 is 5 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margin {
    /// `Fail` needs evidence of more than this.
    pub fail: f64,
    /// `Pass` needs evidence of less than this, and an estimate below `fail`.
    pub pass: f64,
}

/// A margin below 2 %, or one of failure above the one to pass.
#[derive(thiserror::Error, Debug, Clone, Copy, PartialEq, Eq)]
#[error("a margin of failure is at least 2 %, and not above the margin to pass")]
pub struct MarginTooSmall;

impl Margin {
    /// Refuses margins that would fail equal servers.
    pub fn new(fail: f64, pass: f64) -> Result<Self, MarginTooSmall> {
        let is_sound = fail >= FLOOR && pass >= fail && pass.is_finite();
        if is_sound { Ok(Self { fail, pass }) } else { Err(MarginTooSmall) }
    }
}

/// For p50, p95 and p99.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margins([Margin; 3]);

impl Default for Margins {
    /// 5 and 10 %, 5 and 10 %, 10 and 15 %.
    fn default() -> Self {
        let margin = |fail, pass| Margin { fail, pass };
        Self([margin(0.05, 0.10), margin(0.05, 0.10), margin(0.10, 0.15)])
    }
}

impl Margins {
    /// That of a percentile.
    #[must_use]
    pub fn of(&self, percentile: Percentile) -> Margin {
        self.0[percentile.index()]
    }

    /// With another one for that percentile.
    #[must_use]
    pub fn with(mut self, percentile: Percentile, margin: Margin) -> Self {
        self.0[percentile.index()] = margin;
        self
    }
}

/// What the verdict goes by.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    margins: Margins,
    /// In seconds, increasing; not empty.
    looks: Vec<u32>,
    /// The first look that may be a `Pass`; one past the last where none may.
    first_pass: usize,
    /// Of the chance of a false `Pass`.
    try_part: f64,
}

/// Failed calls, as a share of all: more than this beyond legacy's share fails.
pub(super) const FAILED_MARGIN: f64 = 0.001;
/// `Pass` needs evidence that the candidate fails by less than this beyond legacy.
pub(super) const FAILED_PASS_MARGIN: f64 = 0.01;

/// The chance of a false `Fail`, in all, where every comparison is exactly at its margin; without a difference it
/// is far less.
const FAIL_ALPHA: f64 = 0.01;
/// Its parts.
const FAIL_ALPHA_LATENCY: f64 = 0.85 * FAIL_ALPHA;
const FAIL_ALPHA_FAILURES: f64 = 0.05 * FAIL_ALPHA;
pub(super) const FAIL_ALPHA_BETS: f64 = 0.05 * FAIL_ALPHA;
pub(super) const FAIL_ALPHA_GROSS: f64 = 0.05 * FAIL_ALPHA;
/// The chance of a false `Pass`. Not divided between comparisons: all of them must pass.
const PASS_ALPHA: f64 = 0.05;
/// By try: nearly all for the first, because dividing it evenly costs a third of the passes of equal servers by 60 s.
const TRY_PARTS: [f64; TRIES] = [0.8, 0.1, 0.1];
/// How often a duet may be tried until it is not inconclusive any more.
pub const TRIES: usize = 3;
/// The part of all statements together; their classes share the rest.
const ALL_PART: f64 = 0.9;
/// By percentile. p50 is so steady that it needs little.
const PERCENTILE_PARTS: [f64; 3] = [0.06, 0.42, 0.52];
/// By the time of the look, up to 60 s, up to 120 s and later: most where the tail can be told, little where it mostly can't.
const LOOK_PARTS: [f64; 3] = [0.1, 0.7, 0.2];

impl Rules {
    /// The defaults for a duet that takes `duration`, and at most `longest` where it can't be told by then: looks after
    /// 60, 120 and 240 s, then after every doubling, after `duration`, and at the end. `Pass` not before `duration`
    /// and never before 60 s.
    #[must_use]
    pub fn lasting(duration: Duration, longest: Duration) -> Self {
        let seconds = |of: Duration| u32::try_from(of.as_secs()).unwrap_or(LONGEST).clamp(1, LONGEST);
        let (due, end) = (seconds(duration), seconds(longest.max(duration)));
        let mut looks: Vec<_> = std::iter::successors(Some(LOOKS[0]), |look| Some(look * 2))
            .take_while(|look| *look < end)
            .chain([due, end])
            .collect();
        looks.sort_unstable();
        looks.dedup();
        let may_pass = |look: &u32| *look >= due.max(LOOKS[0]);
        let first_pass = looks.iter().position(may_pass).unwrap_or(looks.len());
        Self { margins: Margins::default(), looks, first_pass, try_part: 1.0 }
    }

    /// For one of the tries that there may be until a duet is not inconclusive any more, counted from 0. All together have the
    /// chance of a false `Pass` that one alone would have.
    #[must_use]
    pub fn in_try(self, number: usize) -> Self {
        Self { try_part: TRY_PARTS.get(number).copied().unwrap_or(0.0), ..self }
    }

    /// With other margins.
    #[must_use]
    pub fn with_margins(self, margins: Margins) -> Self {
        Self { margins, ..self }
    }

    /// Of a percentile.
    #[must_use]
    pub fn margin(&self, percentile: Percentile) -> Margin {
        self.margins.of(percentile)
    }

    /// The number of the look at that second, and whether it is the last. The last is taken however late.
    pub(super) fn look_at(&self, elapsed_seconds: u32) -> Option<(usize, bool)> {
        let last = self.looks.len() - 1;
        if elapsed_seconds >= self.looks[last] {
            return Some((last, true));
        }
        self.looks.iter().position(|look| *look == elapsed_seconds).map(|look| (look, false))
    }

    /// The share of a look in the chance of a false `Fail`; all shares make 1.
    fn look_part(&self, look: usize) -> f64 {
        let time = |look: usize| {
            LOOKS[..LOOK_PARTS.len() - 1].iter().filter(|until| self.looks[look] > **until).count()
        };
        let share = |look: usize| {
            let beside = (0..self.looks.len()).filter(|other| time(*other) == time(look)).count();
            LOOK_PARTS[time(look)] / number(beside)
        };
        share(look) / (0..self.looks.len()).map(share).sum::<f64>()
    }

    pub(super) fn last_look(&self) -> usize {
        self.looks.len() - 1
    }

    /// Whether that look may be a `Pass`.
    pub(super) fn may_pass(&self, look: usize) -> bool {
        look >= self.first_pass
    }

    pub(super) fn pass_alpha(&self) -> f64 {
        PASS_ALPHA * self.try_part / number((self.looks.len() - self.first_pass).max(1))
    }

    /// For the comparison of latencies that has that share of all.
    pub(super) fn fail_alpha(&self, look: usize, share: f64) -> f64 {
        FAIL_ALPHA_LATENCY * self.look_part(look) * share
    }

    pub(super) fn failures_alpha(&self, look: usize, group: Group, classes: usize) -> f64 {
        FAIL_ALPHA_FAILURES * self.look_part(look) * group_part(group, classes)
    }
}

/// The share of a group in all comparisons.
fn group_part(group: Group, classes: usize) -> f64 {
    match group {
        // A single class is all statements.
        Group::All if classes < 2 => 1.0,
        Group::All => ALL_PART,
        Group::Class(_) => (1.0 - ALL_PART) / number(classes.max(1)),
    }
}

/// The share of one comparison in all, if of its group those percentiles can be judged.
pub(super) fn part(group: Group, classes: usize, percentile: Percentile, judged: [bool; 3]) -> f64 {
    let of_group: f64 =
        PERCENTILE_PARTS.iter().zip(judged).filter_map(|(part, judged)| judged.then_some(part)).sum();
    group_part(group, classes) * PERCENTILE_PARTS[percentile.index()] / of_group.max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lasting(seconds: u64) -> Rules {
        Rules::lasting(Duration::from_secs(60), Duration::from_secs(seconds))
    }

    #[test]
    fn looks_double_and_the_last_is_at_the_end() {
        assert_eq!(lasting(10).looks, [60]);
        assert_eq!(lasting(240).looks, [60, 120, 240]);
        assert_eq!(lasting(600).looks, [60, 120, 240, 480, 600]);
        let rules = lasting(120);
        assert_eq!(
            [59, 60, 61, 119].map(|second| rules.look_at(second)),
            [None, Some((0, false)), None, None]
        );
        assert_eq!([120, 500].map(|second| rules.look_at(second)), [Some((1, true)); 2]);
    }

    #[test]
    fn nothing_passes_before_it_has_taken_as_long_as_it_was_asked_to() {
        let rules = Rules::lasting(Duration::from_secs(180), Duration::from_secs(300));
        assert_eq!(rules.looks, [60, 120, 180, 240, 300]);
        assert_eq!([0, 1, 2, 3, 4].map(|look| rules.may_pass(look)), [false, false, true, true, true]);
        assert!((rules.pass_alpha() - PASS_ALPHA / 3.0).abs() < 1e-12);
        let short = Rules::lasting(Duration::from_secs(20), Duration::from_secs(20));
        assert_eq!((short.looks.as_slice(), short.may_pass(0)), ([20].as_slice(), false));
    }

    #[test]
    fn a_look_has_its_part_by_its_time_and_not_by_its_place() {
        let parts = |seconds, longest| {
            let rules = Rules::lasting(Duration::from_secs(seconds), Duration::from_secs(longest));
            (0..rules.looks.len()).map(|look| rules.look_part(look)).collect::<Vec<_>>()
        };
        assert_eq!(parts(60, 240), [0.1, 0.7, 0.2]);
        // At 30, 60, 120 and 240 s.
        assert_eq!(parts(30, 240), [0.05, 0.05, 0.7, 0.2]);
        assert_eq!(parts(60, 60), [1.0]);
    }

    #[test]
    fn all_tries_together_keep_the_chance_of_a_false_pass_and_one_alone_has_all_of_it() {
        let rules = lasting(60);
        assert!((rules.pass_alpha() - PASS_ALPHA).abs() < 1e-12, "there is no other try");
        let of_try = |number| lasting(60).in_try(number).pass_alpha();
        assert!(((0..TRIES).map(of_try).sum::<f64>() - PASS_ALPHA).abs() < 1e-12);
        assert!(of_try(0) > 0.7 * PASS_ALPHA && of_try(1) > 0.0);
        assert!(of_try(TRIES).abs() < 1e-12, "nothing is left for one more");
        assert!((lasting(60).in_try(2).fail_alpha(0, 1.0) - rules.fail_alpha(0, 1.0)).abs() < 1e-12);
    }

    #[test]
    fn all_parts_together_make_one() {
        for (seconds, classes) in [(60, 1), (120, 2), (240, 3), (1_800, 16)] {
            let rules = lasting(seconds);
            let looks: f64 = (0..rules.looks.len()).map(|look| rules.look_part(look)).sum();
            let judged = [[true; 3], [true, true, false], [true, false, false]];
            let groups: f64 = super::super::paired::groups(classes)
                .into_iter()
                .enumerate()
                .flat_map(|(index, group)| {
                    let judged = judged[index % 3];
                    Percentile::ALL
                        .into_iter()
                        .filter(move |p| judged[p.index()])
                        .map(move |p| part(group, classes, p, judged))
                })
                .sum();
            assert!((looks - 1.0).abs() < 1e-9 && (groups - 1.0).abs() < 1e-9, "{looks} {groups}");
        }
        let parts = FAIL_ALPHA_LATENCY + FAIL_ALPHA_FAILURES + FAIL_ALPHA_BETS + FAIL_ALPHA_GROSS;
        assert!((parts - FAIL_ALPHA).abs() < 1e-9);
    }

    #[test]
    fn a_margin_that_fails_equal_servers_is_refused() {
        assert_eq!(Margin::new(0.0, 0.1), Err(MarginTooSmall));
        assert_eq!(Margin::new(0.019, 0.1), Err(MarginTooSmall));
        assert_eq!(Margin::new(0.1, 0.05), Err(MarginTooSmall));
        let margins = Margins::default().with(Percentile::P99, Margin::new(0.02, 0.2).unwrap());
        let rules = lasting(60).with_margins(margins);
        assert_eq!(rules.margin(Percentile::P99), Margin { fail: 0.02, pass: 0.2 });
    }
}
