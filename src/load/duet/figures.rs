//! What was recorded, in figures for people. Nothing here is judged by.

use super::{
    Arm, Recording, bucket,
    evidence::{Evidence, Group},
    recording::halves,
};

/// Of the calls of one side, in some seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Answered.
    pub ok: u64,
    /// Failed, timeouts included.
    pub failed: u64,
    /// Median latency in microseconds; `None` where that many failed, or nothing was recorded.
    pub p50_us: Option<u64>,
    /// The 95th percentile.
    pub p95_us: Option<u64>,
    /// The 99th.
    pub p99_us: Option<u64>,
    /// The slowest of those that ended.
    pub max_us: u64,
}

impl Recording {
    /// Figures of a class, or of all of them, in the seconds from `from` up to `to`.
    #[must_use]
    pub fn figures(&self, class: Option<usize>, arm: Arm, from: u32, to: u32) -> Figures {
        let group = class.map_or(Group::All, Group::Class);
        let [from, to] = [from, to].map(|second| usize::try_from(second).unwrap_or(usize::MAX));
        let calls = self.calls(group, arm, from, to);
        let mut buckets = self.buckets(group, arm, halves(from, to));
        buckets.sort_unstable();
        let answered = buckets.partition_point(|bucket| *bucket != bucket::FAILED);
        let at = |rank: usize| (1..=answered).contains(&rank).then(|| us(buckets[rank - 1]));
        let percentile = |percent: usize| at((buckets.len() * percent).div_ceil(100));
        Figures {
            ok: calls.ended - calls.failed,
            failed: calls.failed,
            p50_us: percentile(50),
            p95_us: percentile(95),
            p99_us: percentile(99),
            max_us: at(answered).unwrap_or(0),
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 60 s")]
fn us(bucket: u16) -> u64 {
    bucket::micros(bucket).round() as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::duet::{Ended, HALVES_PER_SECOND};

    #[test]
    fn what_failed_is_slower_than_all_and_seconds_are_kept_apart() {
        let mut recording = Recording::new(vec!["a".into(), "b".into()], 3).unwrap();
        let mut book = |second, class, ended| {
            recording.record(second * HALVES_PER_SECOND, class, Arm::Legacy, ended).unwrap();
        };
        for us in 1..=90 {
            book(0, 0, Ended::Answered(Duration::from_micros(us)));
        }
        for _ in 0..10 {
            book(1, 1, Ended::Failed);
        }
        book(2, 1, Ended::TimedOut(Duration::from_micros(2_000)));
        let all = recording.figures(None, Arm::Legacy, 0, 2);
        assert_eq!((all.ok, all.failed), (90, 10));
        assert_eq!((all.p50_us, all.p95_us, all.max_us), (Some(50), None, 90));
        let first = recording.figures(Some(0), Arm::Legacy, 0, 3);
        assert_eq!((first.ok, first.p99_us), (90, Some(90)));
        let last = recording.figures(Some(1), Arm::Legacy, 2, 3);
        assert_eq!((last.ok, last.failed, last.p50_us), (0, 1, Some(2_000)));
        assert_eq!(recording.figures(None, Arm::Candidate, 0, 3), Figures::default());
    }
}
