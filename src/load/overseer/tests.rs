use super::*;
use crate::load::{books::Booked, duet::Ended, spec::Guard};

const WARM_UP: u32 = 10;
/// In place of a latency.
const FAILED: u64 = 0;

/// The second since the end of the warm-up, from 1, in which a legacy of so many calls a second ends the load; `latency_ms` is
/// that of each second, the warm-up's first.
fn ends_in(bound: Option<Duration>, calls_per_second: u32, latency_ms: &[u64]) -> Option<u32> {
    ends_after(WARM_UP, bound, calls_per_second, latency_ms)
}

fn ends_after(
    warm_up: u32,
    bound: Option<Duration>,
    calls_per_second: u32,
    latency_ms: &[u64],
) -> Option<u32> {
    let seconds = u32::try_from(latency_ms.len()).unwrap();
    let names = ["read".to_owned()];
    let mut timeline =
        Timeline::new(&names, vec![Arm::Legacy, Arm::Candidate], warm_up, seconds - warm_up).unwrap();
    let pacer = Pacer::after(seconds * 2, &[[calls_per_second, 0], [0, 0]].repeat(latency_ms.len()));
    let mut legacy = ServingLatency::new(Arm::Legacy, &Guard { free_connections: 0, legacy_p95: bound });
    (0..seconds).zip(latency_ms).find_map(|(second, ms)| {
        let call = Booked {
            half: second * 2,
            class: 0,
            lane: 0,
            ended: if *ms == FAILED { Ended::Failed } else { Ended::Answered(Duration::from_millis(*ms)) },
        };
        timeline.take(vec![call; calls_per_second.try_into().unwrap()]).unwrap();
        assert!(timeline.advance(&pacer) && timeline.advance(&pacer));
        is_too_slow(&mut legacy, &timeline).map(|_| timeline.measured_seconds())
    })
}

#[test]
fn a_legacy_that_can_not_bear_the_rate_ends_the_load_before_all_of_it_is_there() {
    let rising: Vec<_> = [20, 20, 20, 20, 210, 220, 230, 240, 250, 260].into();
    assert_eq!(ends_in(None, 20, &[rising.clone(), vec![260; 10]].concat()), Some(0), "in the warm-up");
    let bearable = [rising.iter().map(|ms| ms.min(&190)).copied().collect(), vec![190; 10]].concat();
    assert_eq!(ends_in(None, 20, &bearable), None);
}

#[test]
fn a_legacy_that_fails_while_the_load_is_light_is_watched_all_the_same() {
    let failing = [vec![FAILED; 4], vec![30; 6], vec![310; 10]].concat();
    assert_eq!(ends_in(None, 20, &failing), Some(5), "by the least bound");
}

#[test]
fn a_legacy_that_is_measured_alone_is_held_against_its_first_seconds() {
    let alone = |calls, latencies: &[(usize, u64)]| {
        let all: Vec<_> =
            latencies.iter().flat_map(|(seconds, ms)| std::iter::repeat_n(*ms, *seconds)).collect();
        ends_after(0, None, calls, &all)
    };
    assert_eq!(alone(20, &[(3, 30), (20, 310)]), Some(8));
    assert_eq!(alone(20, &[(3, 30), (20, 290)]), None);
    // Slow from the beginning is what it is.
    assert_eq!(alone(20, &[(60, 2_000)]), None);
    // At two a second the first ten seconds tell.
    assert_eq!(alone(2, &[(10, 500), (30, 4_900)]), None);
    assert_eq!(alone(2, &[(10, 500), (30, 5_100)]), Some(15));
}

fn warm_up_and(seconds: &[(usize, u64)]) -> Vec<u64> {
    let all = [&[(WARM_UP as usize, 30)], seconds].concat();
    all.into_iter().flat_map(|(seconds, ms)| std::iter::repeat_n(ms, seconds)).collect()
}

#[test]
fn a_legacy_of_three_calls_a_second_that_becomes_ten_times_slower_ends_the_load() {
    // The warm-up's p95 is 30 ms.
    assert_eq!(ends_in(None, 3, &warm_up_and(&[(20, 30), (20, 310)])), Some(25));
    assert_eq!(ends_in(None, 3, &warm_up_and(&[(20, 30), (20, 290)])), None);
    assert_eq!(ends_in(None, 3, &warm_up_and(&[(40, 30)])), None);
}

#[test]
fn so_does_one_that_is_too_slow_from_the_first_second_on() {
    // Seven seconds have calls enough, and five such moments in a row are needed.
    assert_eq!(ends_in(None, 3, &warm_up_and(&[(20, 310)])), Some(11));
    // With calls enough in each second no others are joined.
    assert_eq!(ends_in(None, 20, &warm_up_and(&[(20, 310)])), Some(5));
}

#[test]
fn a_slow_second_counts_once_however_many_seconds_it_is_joined_to() {
    let hiccup = |seconds| warm_up_and(&[(20, 30), (seconds, 2_000), (20, 30)]);
    assert_eq!([1, 4, 5].map(|seconds| ends_in(None, 3, &hiccup(seconds))), [None, None, Some(25)]);
    // Between them a few answers in time clear nothing.
    let now_and_then: Vec<_> = [(2, 30), (1, 2_000)].repeat(10);
    assert_eq!(ends_in(None, 3, &warm_up_and(&now_and_then)), Some(21));
}

#[test]
fn fewer_than_twenty_calls_in_ten_seconds_tell_nothing() {
    assert_eq!(ends_in(Some(Duration::from_millis(50)), 2, &warm_up_and(&[(40, 310)])), Some(14));
    assert_eq!(ends_in(Some(Duration::from_millis(50)), 1, &warm_up_and(&[(40, 310)])), None);
}
