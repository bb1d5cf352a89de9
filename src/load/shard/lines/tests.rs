use super::*;
use crate::load::{duet::Arm, histogram::Latencies, progress::SideStanding};

/// One that has come so far, with a call of each of these latencies on the candidate.
fn standing(elapsed_s: u64, errors: u64, latencies_us: impl IntoIterator<Item = u64>) -> Standing {
    let mut latency = Latencies::new().unwrap();
    latencies_us.into_iter().for_each(|us| latency.record(Duration::from_micros(us)));
    let side = SideStanding { arm: Arm::Candidate, ok: latency.count(), errors, timeouts: 0, latency };
    Standing {
        scheduled: side.ok + errors,
        elapsed: Duration::from_secs(elapsed_s),
        duration: Duration::from_secs(600),
        sides: vec![side],
    }
}

/// What a process that stands so has written last.
fn written(standing: &Standing) -> Option<String> {
    let mut last = None;
    Lines::new(standing.duration, &mut |line| last = Some(line.to_owned())).take(standing);
    last
}

#[test]
fn what_all_say_together_is_what_one_process_would_have_said() {
    let parts = [standing(20, 1, 100..1_100), standing(30, 0, 5_000..5_500), standing(25, 2, [7, 90_000])];
    let lines: Vec<_> = parts.iter().map(|part| written(part).unwrap()).collect();
    let told = together(&lines).unwrap();
    let whole = standing(25, 3, (100..1_100).chain(5_000..5_500).chain([7, 90_000])).shown();
    assert_eq!((told.scheduled, told.ok, told.errors), (whole.scheduled, whole.ok, 3));
    assert_eq!((told.elapsed, told.duration), (whole.elapsed, whole.duration));
    assert_eq!(told.legacy, None);
    let percentiles = |told: LoadProgress| {
        let side = told.candidate.unwrap();
        [side.p50_us, side.p95_us, side.p99_us].map(Option::unwrap)
    };
    for (told, exact) in percentiles(told).into_iter().zip(percentiles(whole)) {
        assert!(told.abs_diff(exact) * 100 <= exact, "{told} instead of {exact}, which is more than 1 %");
    }
}

#[test]
fn nothing_is_said_of_the_whole_while_a_part_is_missing() {
    let line = written(&standing(20, 0, [200])).unwrap();
    assert_eq!(together(&[line, "cutover-result 0 abc".to_owned()]), None);
    assert_eq!(together(&[]), None);
}

#[test]
fn a_line_has_a_bound_whatever_the_latencies() {
    let scattered = standing(20, 0, (0..200_000).map(|n: u64| n * n % 60_000_000));
    assert!(line(&scattered, 2).is_none(), "too long with two digits");
    assert!(written(&scattered).unwrap().len() <= LINE_MAX_CHARS);
}

#[test]
fn there_is_a_line_every_ten_seconds_and_a_hundred_at_most() {
    for (duration_s, expected) in [(60, 6), (600, 60), (7_200, 100)] {
        let mut count = 0;
        let mut write = |_: &str| count += 1;
        let mut lines = Lines::new(Duration::from_secs(duration_s), &mut write);
        (0..=duration_s).for_each(|second| lines.take(&standing(second, 0, [])));
        assert_eq!(count, expected, "in {duration_s} s");
    }
}
