//! Who gets which arrival of the schedule.
//!
//! Decides by a seeded coin, arrival by arrival, which of two servers answers: whatever disturbs a moment disturbs both
//! alike, and without a difference between them the sides could be swapped. And decides which arrivals are this process's,
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
    coin: Option<ChaCha8Rng>,
    share: Share,
    dealt: u32,
}

impl Deal {
    /// Between two lanes, or all to the only one.
    pub(super) fn new(schedule: Schedule, is_duet: bool, share: Share, seed: u64) -> Self {
        let coin = is_duet.then(|| {
            let mut coin = ChaCha8Rng::seed_from_u64(seed);
            coin.set_stream(COIN_STREAM);
            coin
        });
        Self { schedule, coin, share, dealt: 0 }
    }
}

impl Iterator for Deal {
    type Item = Dealt;

    fn next(&mut self) -> Option<Dealt> {
        loop {
            let arrival = self.schedule.next()?;
            let lane = self.coin.as_mut().map_or(0, |coin| usize::from(coin.random::<bool>()));
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
    use crate::load::{course::Course, fixtures};

    fn schedule(seed: u64) -> Schedule {
        fixtures::schedule(&Course::default(), &fixtures::one_statement(), 1_000, 3, seed)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_shares_of_all_processes_make_the_whole_schedule(seed: u64, count in 1_u32..6) {
            let mut whole: Vec<_> = Deal::new(schedule(seed), true, Share::ALL, seed).collect();
            let mut merged: Vec<_> = (0..count)
                .flat_map(|index| Deal::new(schedule(seed), true, Share { index, count }, seed))
                .collect();
            // Two arrivals of one nanosecond have no order.
            for dealt in [&mut merged, &mut whole] {
                dealt.sort_by_key(|dealt| (dealt.arrival.at, dealt.arrival.call.seed));
            }
            prop_assert!(merged == whole);
        }

        #[test]
        fn the_coin_is_fair_and_changes_nothing_of_the_schedule(seed: u64) {
            let dealt: Vec<_> = Deal::new(schedule(seed), true, Share::ALL, seed).collect();
            let alone: Vec<_> = Deal::new(schedule(seed), false, Share::ALL, seed).collect();
            prop_assert!(alone.iter().all(|dealt| dealt.lane == 0));
            prop_assert!(dealt.iter().map(|d| &d.arrival).eq(alone.iter().map(|d| &d.arrival)));
            // Five standard deviations of 3,000 tosses.
            let candidates = dealt.iter().filter(|dealt| dealt.lane == 1).count();
            prop_assert!(candidates.abs_diff(dealt.len() / 2) < 140, "{candidates} of {}", dealt.len());
        }
    }
}
