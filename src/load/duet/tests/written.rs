//! Recordings that are merged, written and read again.

use std::time::Duration;

use proptest::prelude::*;

use super::super::{
    Arm, Ended, HALVES_PER_SECOND, Recording, RecordingError,
    evidence::{Evidence, Group},
};

const SECONDS: u32 = 4;

fn empty() -> Recording {
    Recording::new(vec!["read".to_owned(), "update".to_owned()], SECONDS).unwrap()
}

type Call = (u32, usize, bool, u64, u8);

fn recorded(calls: &[Call]) -> Recording {
    let mut recording = empty();
    for (second, class, is_candidate, us, kind) in calls {
        let arm = if *is_candidate { Arm::Candidate } else { Arm::Legacy };
        let latency = Duration::from_micros(*us);
        let ended = match kind {
            0 => Ended::Failed,
            1 => Ended::TimedOut(latency),
            _ => Ended::Answered(latency),
        };
        recording.record(*second * HALVES_PER_SECOND, *class, arm, ended).unwrap();
    }
    recording
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = (0..SECONDS, 0_usize..2, any::<bool>(), 1_u64..60_000_000, 0_u8..20);
    prop::collection::vec(call, 0..400)
}

proptest! {
    #[test]
    fn what_two_processes_recorded_merges_into_what_one_would_have(first in calls(), second in calls()) {
        let mut merged = recorded(&first);
        merged.merge(recorded(&second)).unwrap();
        let together = recorded(&[first, second].concat());
        for group in [Group::All, Group::Class(0), Group::Class(1)] {
            for arm in [Arm::Legacy, Arm::Candidate] {
                prop_assert_eq!(merged.calls(group, arm, 0, 4), together.calls(group, arm, 0, 4));
            }
            for length in [1, 2, 4] {
                let (merged, together) = (merged.blocks(group, length, 0, 4), together.blocks(group, length, 0, 4));
                prop_assert_eq!(merged.len(), together.len());
                for (merged, together) in merged.iter().flatten().zip(together.iter().flatten()) {
                    prop_assert!((merged.difference() - together.difference()).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn what_is_written_is_read_again(calls in calls()) {
        let recording = recorded(&calls);
        let written = serde_json::to_string(&recording).unwrap();
        let read: Recording = serde_json::from_str(&written).unwrap();
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), written);
        prop_assert_eq!(read.calls(Group::All, Arm::Legacy, 0, 4), recording.calls(Group::All, Arm::Legacy, 0, 4));
    }

    /// Of one class: the mean logarithm of the latencies between two ranks, to a thousandth.
    #[test]
    fn a_percentile_is_that_of_the_latencies_to_a_thousandth(
        mut micros in prop::collection::vec(1_u64..60_000_000, 40),
    ) {
        let calls = micros.iter().flat_map(|us| [(0, 0, false, *us, 9), (0, 0, true, *us * 2, 9)]);
        let blocks = recorded(&calls.collect::<Vec<_>>()).blocks(Group::Class(0), 1, 0, 1);
        micros.sort_unstable();
        // p50 of 40 is between the 17th and the 24th.
        let exact = micros[16..24].iter().map(|us| f64::from(u32::try_from(*us).unwrap()).ln()).sum::<f64>() / 8.0;
        prop_assert!((blocks[0][0].legacy - exact).abs() < 0.001, "{} instead of {exact}", blocks[0][0].legacy);
    }
}

#[test]
fn other_shapes_are_refused() {
    let other = Recording::new(vec!["read".to_owned(), "write".to_owned()], SECONDS).unwrap();
    assert_eq!(empty().merge(other), Err(RecordingError::Different));
    let longer = Recording::new(vec!["read".to_owned(), "update".to_owned()], SECONDS + 1).unwrap();
    assert_eq!(empty().merge(longer), Err(RecordingError::Different));
    assert_eq!(Recording::new(vec![], 1), Err(RecordingError::Shape));
    assert_eq!(Recording::new(vec!["read".to_owned()], 0), Err(RecordingError::Shape));
    assert_eq!(Recording::new(vec!["read".to_owned()], u32::MAX), Err(RecordingError::Shape));
    for (half, class) in [(SECONDS * HALVES_PER_SECOND, 0), (0, 2)] {
        let refused = empty().record(half, class, Arm::Legacy, Ended::Failed);
        assert_eq!(refused, Err(RecordingError::NoSuchCell { half, class }));
    }
}

#[test]
fn what_is_damaged_is_refused() {
    for cell in ["[99,0,0,[]]", "[0,0,0,[17408]]", "[0,0,0,[17000,17000]]", "[0,0,0,[65535,1]]", "[0,0,1,[]]"]
    {
        let written = format!(r#"{{"classes":["read"],"seconds":4,"cells":[{cell}]}}"#);
        assert!(serde_json::from_str::<Recording>(&written).is_err(), "{cell}");
    }
}

#[test]
fn a_second_of_500_calls_is_written_in_less_than_4_bytes_a_call() {
    let calls: Vec<Call> = (0..500).map(|us| (0, 0, false, 300 + us * us / 50, 9)).collect();
    let written = serde_json::to_string(&recorded(&calls)).unwrap();
    assert!(written.len() < 500 * 4, "{}", written.len());
}
