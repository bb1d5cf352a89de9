use std::time::Duration;

use super::*;
use crate::load::duet::Ended;

const WARM_SECONDS: u32 = 1;
const SECONDS: u32 = 20;

fn timeline() -> Timeline {
    let arms = vec![Arm::Legacy, Arm::Candidate];
    Timeline::new(&["read".to_owned()], arms, WARM_SECONDS, SECONDS).unwrap()
}

/// One call that was due in that half second.
fn booked(half: u32, lane: usize, ms: u64) -> Booked {
    Booked { half, class: 0, lane, ended: Ended::Answered(Duration::from_millis(ms)) }
}

/// Every half second of a load had so many calls due on each lane.
fn pacer(halves: u32, legacy: u32, candidate: u32) -> Pacer {
    Pacer::after(halves, &[[legacy, candidate]; 42])
}

/// By how many half seconds it goes on.
fn advanced(timeline: &mut Timeline, pacer: &Pacer) -> usize {
    std::iter::repeat_with(|| timeline.advance(pacer)).take_while(|is_complete| *is_complete).count()
}

#[test]
fn a_half_second_is_complete_when_every_call_due_in_it_has_ended_on_both_sides() {
    let (mut timeline, pacer) = (timeline(), pacer(2, 2, 1));
    timeline.take(vec![booked(0, 0, 1), booked(0, 1, 1)]).unwrap();
    assert_eq!(advanced(&mut timeline, &pacer), 0);
    timeline.take(vec![booked(0, 0, 1)]).unwrap();
    assert_eq!((advanced(&mut timeline, &pacer), timeline.is_whole_second()), (1, false));
    timeline.take(vec![booked(1, 0, 1), booked(1, 0, 1)]).unwrap();
    assert_eq!(advanced(&mut timeline, &pacer), 0);
    timeline.take(vec![booked(1, 1, 1)]).unwrap();
    assert_eq!((advanced(&mut timeline, &pacer), timeline.is_whole_second()), (1, true));
}

#[test]
fn a_half_second_is_not_complete_before_it_is_over() {
    let mut timeline = timeline();
    timeline.take(vec![booked(0, 0, 1), booked(0, 1, 1)]).unwrap();
    // All that was due so far has ended; more may come.
    assert_eq!(advanced(&mut timeline, &pacer(0, 1, 1)), 0);
    assert_eq!(advanced(&mut timeline, &pacer(1, 1, 1)), 1);
    // One in which nothing is due is complete as soon as it is over.
    assert_eq!(advanced(&mut timeline, &pacer(1, 0, 0)), 0);
    assert_eq!(advanced(&mut timeline, &pacer(3, 0, 0)), 2);
}

#[test]
fn a_slow_call_holds_back_the_half_second_it_was_due_in_and_is_booked_there() {
    let (mut timeline, pacer) = (timeline(), pacer(8, 1, 1));
    for half in 0..8 {
        timeline.take(vec![booked(half, 0, 1)]).unwrap();
        if half != 2 {
            timeline.take(vec![booked(half, 1, 1)]).unwrap();
        }
    }
    assert_eq!((advanced(&mut timeline, &pacer), timeline.measured_halves()), (2, 0));
    timeline.take(vec![booked(2, 1, 2_500)]).unwrap();
    assert_eq!((advanced(&mut timeline, &pacer), timeline.measured_halves()), (6, 6));
    let slowest = |second| timeline.measured().figures(None, Arm::Candidate, second, second + 1).max_us;
    assert!(slowest(0) > 2_400_000 && slowest(1) < 2_000 && slowest(2) < 2_000);
}

#[test]
fn the_warm_up_is_kept_apart() {
    let (mut timeline, pacer) = (timeline(), pacer(5, 1, 0));
    timeline.take((0..5).map(|half| booked(half, 0, u64::from(half) + 1)).collect()).unwrap();
    assert_eq!((timeline.warm(), timeline.measured_halves(), timeline.measured_seconds()), (0, 0, 0));
    assert!(timeline.advance(&pacer) && timeline.advance(&pacer));
    assert_eq!((timeline.warm(), timeline.measured_halves(), timeline.measured_seconds()), (1, 0, 0));
    assert_eq!(advanced(&mut timeline, &pacer), 3);
    assert_eq!((timeline.warm(), timeline.measured_halves(), timeline.measured_seconds()), (1, 3, 1));
    let seen = |recording: &Recording, to| {
        let figures = recording.figures(None, Arm::Legacy, 0, to);
        (figures.ok, (figures.max_us + 500) / 1_000)
    };
    assert_eq!(seen(timeline.warm_up().unwrap(), WARM_SECONDS), (2, 2));
    assert_eq!(seen(timeline.measured(), SECONDS), (3, 5));
    assert_eq!(seen(&timeline.into_recordings().1, SECONDS), (3, 5));
}

#[test]
fn what_was_measured_begins_after_the_warm_up_and_knows_it() {
    let (mut timeline, pacer) = (timeline(), pacer(42, 1, 1));
    let empty = Recording::new(vec!["read".to_owned()], SECONDS).unwrap();
    timeline.take((0..2).flat_map(|half| [booked(half, 0, 1), booked(half, 1, 1)]).collect()).unwrap();
    assert!(timeline.advance(&pacer) && **timeline.measured() == empty);
    assert!(timeline.advance(&pacer) && **timeline.measured() != empty);
}

#[test]
fn what_was_due_after_the_end_is_refused() {
    let end = (WARM_SECONDS + SECONDS) * HALVES_PER_SECOND;
    assert!(timeline().take(vec![booked(end - 1, 0, 1)]).is_ok());
    assert!(timeline().take(vec![booked(end, 0, 1)]).is_err());
}

/// After `halves` in which each lane had two calls due and as many of them as `ended` says have ended.
fn stalled(halves: u32, ended: impl Fn(u32) -> [u32; 2]) -> Option<Arm> {
    let mut timeline = timeline();
    for half in 0..halves {
        for (lane, count) in ended(half).into_iter().enumerate() {
            timeline.take((0..count).map(|_| booked(half, lane, 1)).collect()).unwrap();
        }
    }
    timeline.stalled(&pacer(halves, 2, 2))
}

#[test]
fn a_side_is_stalled_when_most_of_three_seconds_has_been_due_for_five() {
    // Three seconds and five are 16 halves.
    assert_eq!(stalled(16, |_| [2, 0]), Some(Arm::Candidate));
    assert_eq!(stalled(15, |_| [2, 0]), None);
    assert_eq!(stalled(16, |_| [0, 2]), Some(Arm::Legacy));
    assert_eq!(stalled(16, |_| [0, 0]), Some(Arm::Legacy));
    // What became due in the last five seconds is not counted, nor what was due before the three.
    assert_eq!(stalled(16, |half| if half < 6 { [2, 0] } else { [2, 2] }), Some(Arm::Candidate));
    assert_eq!(stalled(16, |half| if half < 6 { [2, 2] } else { [2, 0] }), None);
    assert_eq!(stalled(20, |half| if half < 4 { [2, 2] } else { [2, 0] }), Some(Arm::Candidate));
}

#[test]
fn a_side_of_which_half_ended_or_one_second_did_is_not_stalled() {
    assert_eq!(stalled(16, |_| [2, 1]), None);
    for second in 0..3 {
        let answers = |half: u32| if half / HALVES_PER_SECOND == second { [2, 2] } else { [2, 0] };
        assert_eq!(stalled(16, answers), None, "{second}");
    }
}

/// At a low rate many a half second has nothing due, and in the others it is by chance.
#[test]
fn a_side_with_one_call_a_second_can_stall_too() {
    for due_in in 0..HALVES_PER_SECOND {
        let due: Vec<_> = (0..42).map(|half| [u32::from(half % HALVES_PER_SECOND == due_in), 1]).collect();
        let pacer = Pacer::after(16, &due);
        let mut timeline = timeline();
        timeline.take((0..16).map(|half| booked(half, 1, 1)).collect()).unwrap();
        assert_eq!(timeline.stalled(&pacer), Some(Arm::Legacy));
        timeline.take(vec![booked(2 + due_in, 0, 1)]).unwrap();
        assert_eq!(timeline.stalled(&pacer), None);
    }
}
