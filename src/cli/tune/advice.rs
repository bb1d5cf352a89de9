//! Which pool size the measurements speak for.
//!
//! Decides on the smallest size that gets nearly as much through as the best one: beyond it more connections only queue
//! in the server instead of in the application. Says so when the rounds contradict each other, or when the largest size
//! still gained. Pure.

use crate::load::ClosedLoop;

/// What still counts as much as the best, in percent of its throughput.
const ENOUGH_PERCENT: u64 = 95;
/// Statements that may fail, one in so many.
const FAILED_ONE_IN: u64 = 100;

/// What helps where the rounds differ.
const QUIETER: &str = "the server, or this machine, has other work: measure longer, or at another time";

/// What a size got through, round by round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) size: usize,
    /// Answers a second of each round.
    pub(super) rounds: Vec<u64>,
    pub(super) p99_us: Option<u64>,
    pub(super) ok: u64,
    pub(super) failed: u64,
}

impl Measured {
    pub(super) fn new(size: usize, rounds: &[ClosedLoop]) -> Option<Self> {
        let (first, others) = rounds.split_first()?;
        let mut all = first.clone();
        others.iter().for_each(|round| all.add(round));
        Some(Self {
            size,
            rounds: rounds.iter().map(ClosedLoop::per_second).collect(),
            p99_us: all.p99_us(),
            ok: all.ok,
            failed: all.failed,
        })
    }

    /// That of the middle round: a hiccup in one of them does not count.
    pub(super) fn per_second(&self) -> u64 {
        let mut sorted = self.rounds.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(0)
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Advice {
    /// A pool of this many connections.
    Size {
        size: usize,
        /// The largest size measured was still worth it: the best may be beyond.
        still_grows: bool,
    },
    /// It can't be told; why.
    Unclear(String),
}

/// `measured` is in the order of the sizes.
pub(super) fn advise(measured: &[Measured]) -> Advice {
    if let Some(bad) = measured.iter().find(|m| m.failed * FAILED_ONE_IN > m.ok + m.failed || m.ok == 0) {
        let Measured { size, ok, failed, .. } = bad;
        return Advice::Unclear(format!(
            "with {size} connections {failed} statements failed, and {ok} were answered"
        ));
    }
    let overall: Vec<u64> = measured.iter().map(Measured::per_second).collect();
    let Some(chosen) = smallest_enough(&overall) else {
        return Advice::Unclear("nothing was measured".to_owned());
    };
    let rounds = measured.iter().map(|m| m.rounds.len()).min().unwrap_or(0);
    let by_round: Vec<usize> = (0..rounds)
        .filter_map(|round| smallest_enough(&measured.iter().map(|m| m.rounds[round]).collect::<Vec<_>>()))
        .collect();
    if by_round.iter().any(|index| index.abs_diff(chosen) > 1) {
        let sizes: Vec<String> = by_round.iter().map(|index| measured[*index].size.to_string()).collect();
        return Advice::Unclear(format!(
            "the rounds speak for different sizes ({}); {QUIETER}",
            sizes.join(", ")
        ));
    }
    if let Some(erratic) = measured[chosen..].iter().find(|m| is_erratic(&m.rounds)) {
        let Measured { size, rounds, .. } = erratic;
        return Advice::Unclear(format!(
            "with {size} connections one round got more than twice as much through as another ({rounds:?} a second); {QUIETER}"
        ));
    }
    Advice::Size { size: measured[chosen].size, still_grows: chosen > 0 && chosen + 1 == measured.len() }
}

fn is_erratic(rounds: &[u64]) -> bool {
    let (least, most) = (rounds.iter().min().copied(), rounds.iter().max().copied());
    least.zip(most).is_some_and(|(least, most)| most > least.saturating_mul(2))
}

/// The first that gets enough through.
fn smallest_enough(per_second: &[u64]) -> Option<usize> {
    let best = per_second.iter().max()?;
    per_second.iter().position(|own| own.saturating_mul(100) >= best.saturating_mul(ENOUGH_PERCENT))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn measured(rounds: &[(usize, [u64; 3])]) -> Vec<Measured> {
        let one = |(size, rounds): &(usize, [u64; 3])| Measured {
            size: *size,
            rounds: rounds.to_vec(),
            p99_us: Some(1000),
            ok: 1000,
            failed: 0,
        };
        rounds.iter().map(one).collect()
    }

    fn size(advice: &Advice) -> (usize, bool) {
        let Advice::Size { size, still_grows } = advice else { panic!("{advice:?}") };
        (*size, *still_grows)
    }

    #[test]
    fn the_smallest_size_within_five_percent_of_the_best_is_recommended() {
        let flat = [(1, [100; 3]), (2, [190; 3]), (4, [362; 3]), (8, [380; 3]), (16, [350; 3])];
        assert_eq!(size(&advise(&measured(&flat))), (4, false));
        let lower = [(1, [100; 3]), (2, [190; 3]), (4, [360; 3]), (8, [380; 3]), (16, [350; 3])];
        assert_eq!(size(&advise(&measured(&lower))), (8, false));
    }

    #[test]
    fn a_largest_size_that_still_gains_is_said_to() {
        assert_eq!(size(&advise(&measured(&[(1, [100; 3]), (2, [200; 3]), (4, [400; 3])]))), (4, true));
        assert_eq!(size(&advise(&measured(&[(4, [400; 3])]))), (4, false));
        assert_eq!(size(&advise(&measured(&[(1, [400; 3]), (2, [400; 3])]))), (1, false));
    }

    #[test]
    fn a_hiccup_in_one_round_does_not_decide() {
        let hiccup = [(1, [100; 3]), (2, [200, 150, 200]), (4, [205, 205, 170])];
        assert_eq!(size(&advise(&measured(&hiccup))), (2, false));
    }

    #[test]
    fn rounds_that_contradict_each_other_tell_nothing() {
        let drift = [(1, [400, 100, 100]), (2, [400, 200, 110]), (4, [300, 300, 120]), (8, [100, 400, 130])];
        let Advice::Unclear(why) = advise(&measured(&drift)) else { panic!("it is unclear") };
        assert!(why.contains("(1, 8, 8)"), "{why}");
    }

    #[test]
    fn a_size_that_gets_twice_as_much_through_in_one_round_as_in_another_tells_nothing() {
        let erratic = [(1, [174, 142, 107]), (2, [142, 435, 443])];
        let Advice::Unclear(why) = advise(&measured(&erratic)) else { panic!("it is unclear") };
        assert!(why.starts_with("with 2 connections one round"), "{why}");
    }

    #[test]
    fn failing_statements_tell_nothing() {
        let mut failing = measured(&[(1, [100; 3]), (2, [200; 3])]);
        failing[1].failed = 11;
        assert!(matches!(advise(&failing), Advice::Unclear(why) if why.contains("with 2 connections 11")));
        assert!(matches!(advise(&[]), Advice::Unclear(_)));
    }

    proptest! {
        #[test]
        fn what_is_recommended_is_enough_and_nothing_smaller_is(rates in prop::collection::vec(1_u64..1_000_000, 1..10)) {
            let same: Vec<_> = rates.iter().enumerate().map(|(i, rate)| (i + 1, [*rate; 3])).collect();
            let (chosen, still_grows) = size(&advise(&measured(&same)));
            let best = rates.iter().max().unwrap();
            let enough = |rate: &u64| rate * 100 >= best * ENOUGH_PERCENT;
            prop_assert!(enough(&rates[chosen - 1]));
            prop_assert!(!rates[..chosen - 1].iter().any(enough));
            prop_assert_eq!(still_grows, chosen == rates.len() && chosen > 1);
        }
    }
}
