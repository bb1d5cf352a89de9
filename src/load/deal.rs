//! Who gets which arrival of the schedule.
//!
//! Decides by a seeded coin, for two arrivals of a class at a time, which of two servers answers the first; the other one answers
//! the second. Whatever disturbs a moment disturbs both alike, both have as much of each class, and are asked the same where it
//! only reads; without a difference between them the sides could be swapped. And decides which arrivals are this process's,
//! where several carry one schedule out: all of them draw the same schedule and the same coins. Pure.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    schedule::{Arrival, Schedule},
    spec::Share,
};

/// Of the seed's random numbers those that the schedule itself does not draw from.
const COIN_STREAM: u64 = 1;

/// An arrival and the lane that it goes to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dealt {
    pub(super) arrival: Arrival,
    pub(super) lane: usize,
}

/// The arrivals of this process, in order.
#[derive(Debug, Clone)]
pub(super) struct Deal {
    schedule: Schedule,
    /// `None` with one lane.
    coin: Option<Coin>,
    share: Share,
    dealt: u32,
}

/// Says who is first.
#[derive(Debug, Clone)]
struct Coin {
    rng: ChaCha8Rng,
    /// Of each class the lane that is next, if its other lane was the last.
    next: Vec<Option<usize>>,
}

impl Coin {
    fn new(seed: u64, classes: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(COIN_STREAM);
        Self { rng, next: vec![None; classes] }
    }

    fn lane(&mut self, class: usize) -> usize {
        if let Some(second) = self.next[class].take() {
            return second;
        }
        let first = usize::from(self.rng.random::<bool>());
        self.next[class] = Some(1 - first);
        first
    }
}

impl Deal {
    /// Between two lanes, or all to the only one.
    pub(super) fn new(schedule: Schedule, is_duet: bool, share: Share, seed: u64) -> Self {
        let coin = is_duet.then(|| Coin::new(seed, schedule.classes()));
        let schedule = if is_duet { schedule.twice() } else { schedule };
        Self { schedule, coin, share, dealt: 0 }
    }
}

impl Iterator for Deal {
    type Item = Dealt;

    fn next(&mut self) -> Option<Dealt> {
        loop {
            let arrival = self.schedule.next()?;
            let lane = self.coin.as_mut().map_or(0, |coin| coin.lane(arrival.call.class));
            let is_ours = self.dealt == self.share.index;
            self.dealt = (self.dealt + 1) % self.share.count.max(1);
            if is_ours {
                return Some(Dealt { arrival, lane });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        api::{Access, IntegerParameter, Parameter, Skew, Traffic},
        load::{course::Course, fixtures},
    };

    /// Reads and writes, with a number each.
    fn mixed() -> Traffic {
        let number = Parameter {
            int: Some(IntegerParameter { min: 1, max: i64::MAX, skew: Skew::Uniform }),
            ..Parameter::default()
        };
        let mut mixed = fixtures::traffic(&[(1, vec![number.clone()]), (1, vec![number])]);
        mixed.access = Access::ReadWrite;
        mixed.statements[0].access = Some(Access::ReadOnly);
        mixed
    }

    fn schedule(seed: u64) -> Schedule {
        fixtures::schedule(&Course::default(), &mixed(), 1_000, 3, seed)
    }

    fn dealt(seed: u64) -> Vec<Dealt> {
        Deal::new(schedule(seed), true, Share::ALL, seed).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_shares_of_all_processes_make_the_whole_schedule(seed: u64, count in 1_u32..6) {
            let mut whole = dealt(seed);
            let mut merged: Vec<_> = (0..count)
                .flat_map(|index| Deal::new(schedule(seed), true, Share { index, count }, seed))
                .collect();
            // Two arrivals of one nanosecond have no order, nor have those that are asked the same.
            for dealt in [&mut merged, &mut whole] {
                dealt.sort_by_key(|dealt| (dealt.arrival.at, dealt.arrival.call.seed, dealt.lane));
            }
            prop_assert!(merged == whole);
        }

        #[test]
        fn both_sides_are_asked_the_same_in_either_order_and_when_it_is_due_anyway(seed: u64) {
            let dealt = dealt(seed);
            let alone: Vec<_> = Deal::new(schedule(seed), false, Share::ALL, seed).collect();
            prop_assert!(alone.iter().all(|dealt| dealt.lane == 0));
            let due = |dealt: &Dealt| (dealt.arrival.at, dealt.arrival.call.class);
            prop_assert!(dealt.iter().map(due).eq(alone.iter().map(due)));
            for (class, is_read) in [(0, true), (1, false)] {
                let of: Vec<_> = dealt.iter().filter(|dealt| dealt.arrival.call.class == class).collect();
                let calls = |lane| of.iter().filter(move |dealt| dealt.lane == lane).map(|dealt| &dealt.arrival.call);
                let alike = calls(0).zip(calls(1)).filter(|(legacy, candidate)| legacy == candidate).count();
                prop_assert_eq!(alike, if is_read { of.len() / 2 } else { 0 });
                prop_assert!(calls(0).count().abs_diff(calls(1).count()) <= 1);
                let firsts = of.chunks_exact(2).filter(|pair| pair[0].lane == 0).count();
                // Six standard deviations.
                let spread = 3.0 * f64::from(u32::try_from(of.len() / 2).unwrap()).sqrt();
                let middle = f64::from(u32::try_from(of.len() / 2).unwrap()) / 2.0;
                prop_assert!((f64::from(u32::try_from(firsts).unwrap()) - middle).abs() < spread, "{firsts} of {}", of.len() / 2);
            }
        }

        #[test]
        fn the_same_seed_deals_the_same_and_another_one_another(seed: u64) {
            let lanes = |seed| dealt(seed).iter().map(|dealt| dealt.lane).collect::<Vec<_>>();
            prop_assert_eq!(lanes(seed), lanes(seed));
            prop_assert_ne!(lanes(seed), lanes(seed.wrapping_add(1)));
        }

        #[test]
        fn each_server_has_whatever_there_is_to_ask(seed: u64) {
            let mut seen: Vec<_> = dealt(seed)
                .into_iter()
                .filter(|dealt| dealt.lane == 1 && dealt.arrival.call.class == 0)
                .map(|dealt| dealt.arrival.call.seed)
                .collect();
            let all = seen.len();
            seen.sort_unstable();
            seen.dedup();
            prop_assert!(all > 500 && seen.len() == all);
        }
    }
}
