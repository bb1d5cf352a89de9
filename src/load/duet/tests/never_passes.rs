//! What no test of blocks or of counts shows to be worse, and what must not pass all the same.
//!
//! Recordings of two servers that answer alike, call by call, but for one thing. Without it they pass, so it is that one
//! thing which keeps them from it.

use std::time::Duration;

use super::super::{
    Arm, Ended, HALVES_PER_SECOND, Look, LookVerdict, Metric, Percentile, Recording, Rules, Standing, decide,
};

/// Of each server, in each second.
const CALLS: u32 = 100;
const READS: &[&str] = &["read"];
/// Two a second of each server are reports.
const READS_AND_REPORTS: &[&str] = &["read", "report"];

fn is_report(rank: u32) -> bool {
    rank % 50 == 7
}

/// Both servers are up to four times as slow in some seconds as in others, and the slowest of their calls six times as slow as the
/// fastest.
fn micros(second: u32, rank: u32) -> f64 {
    let shared = (0.15 * f64::from(second * 7 % 10)).exp();
    let tail = 1.0 + 5.0 * (f64::from(rank) / f64::from(CALLS)).powi(8);
    400.0 * shared * tail
}

/// The look at that second of a duet of 60 s or, where it must be, `longest`. `times` is how much slower the candidate is, by
/// the second and by the rank of the call; what is infinitely slow has failed.
fn look(classes: &[&str], [second, longest]: [u32; 2], times: impl Fn(u32, u32) -> f64) -> Look {
    let names = classes.iter().copied().map(str::to_owned).collect();
    let mut recording = Recording::new(names, longest).unwrap();
    for (second, rank) in (0..longest).flat_map(|second| (0..CALLS).map(move |rank| (second, rank))) {
        let class = usize::from(classes.len() > 1 && is_report(rank));
        let half = second * HALVES_PER_SECOND + rank % HALVES_PER_SECOND;
        for (arm, times) in [(Arm::Legacy, 1.0), (Arm::Candidate, times(second, rank))] {
            let ended = match Duration::try_from_secs_f64(micros(second, rank) * times / 1e6) {
                Ok(latency) => Ended::Answered(latency),
                Err(_) => Ended::Failed,
            };
            recording.record(half, class, arm, ended).unwrap();
        }
    }
    let rules = Rules::lasting(Duration::from_secs(60), Duration::from_secs(longest.into()));
    decide(&recording, second * HALVES_PER_SECOND, &rules)
}

fn standing(look: &Look, class: Option<usize>, metric: Metric) -> Standing {
    look.comparisons.iter().find(|c| c.class == class && c.metric == metric).unwrap().standing
}

#[test]
fn servers_that_are_alike_pass() {
    for (classes, at) in [
        (READS, [60, 60]),
        (READS, [60, 120]),
        (READS, [120, 120]),
        (READS_AND_REPORTS, [120, 120]),
        (READS_AND_REPORTS, [240, 240]),
    ] {
        let look = look(classes, at, |_, _| 1.0);
        assert_eq!((look.verdict, look.noise_shared()), (LookVerdict::Pass, Some(true)), "{}", look.reason);
    }
}

/// The slowest 8 of 100 calls of the candidate are so much slower, by the second.
fn assert_its_tail_is_unpaired(seconds: u32, tail: impl Fn(u32) -> f64, why: &str) {
    let last = look(READS, [seconds, seconds], |second, rank| if rank < 92 { 1.0 } else { tail(second) });
    assert_eq!(last.verdict, LookVerdict::Inconclusive, "{}", last.reason);
    assert_eq!(standing(&last, None, Metric::Latency(Percentile::P50)), Standing::NotWorse);
    for percentile in [Percentile::P95, Percentile::P99] {
        assert_eq!(standing(&last, None, Metric::Latency(percentile)), Standing::Unpaired);
        let why = format!("all statements: {} {why}", percentile.name());
        assert!(last.reason.contains(&why), "{}", last.reason);
    }
}

#[test]
fn a_tail_that_goes_bad_half_way_never_passes() {
    let later = |second| if second < 60 { 1.0 } else { 3.0 };
    assert_its_tail_is_unpaired(120, later, "the ratio drifts for ");
}

#[test]
fn a_tail_that_drifts_for_longer_than_there_is_time_for_never_passes() {
    let every = |seconds: u32| {
        move |second| (std::f64::consts::TAU * f64::from(second) / f64::from(seconds)).sin().exp()
    };
    assert_its_tail_is_unpaired(120, every(120), "the ratio drifts for ");
    assert_its_tail_is_unpaired(
        60,
        every(40),
        "too few blocks: 3 of 20 s, and 12 are needed; that takes 240 s",
    );
}

#[test]
fn a_tail_that_goes_bad_half_way_is_worse_as_a_whole_whatever_else_is_open() {
    let later = |second: u32, rank: u32| if second >= 60 && rank >= 92 { 3.0 } else { 1.0 };
    let last = look(READS, [120, 120], later);
    assert!(last.is_worse_as_a_whole, "{}", last.reason);
    assert!(last.reason.starts_with("over the whole of it p95 of all statements was "), "{}", last.reason);
}

#[test]
fn a_class_whose_tail_goes_bad_half_way_never_passes() {
    // Reports are so many, and so fast, that not even the slowest of them are in the tail of all statements.
    let with = |factor: f64| {
        let names = vec!["read".to_owned(), "report".to_owned()];
        let mut recording = Recording::new(names, 120).unwrap();
        for (second, rank) in (0..120).flat_map(|second| (0..400_u32).map(move |rank| (second, rank))) {
            let is_report = rank % 2 == 1;
            let is_slow = is_report && second >= 60 && rank >= 352;
            for arm in [Arm::Legacy, Arm::Candidate] {
                let own = if is_report { 20.0 + f64::from(rank) / 10.0 } else { 1_000.0 + f64::from(rank) };
                let times = if is_slow && arm == Arm::Candidate { factor } else { 1.0 };
                let shared = (0.15 * f64::from(second * 7 % 10)).exp();
                let latency = Duration::from_secs_f64(own * shared * times / 1e6);
                let half = second * HALVES_PER_SECOND + rank % HALVES_PER_SECOND;
                recording.record(half, usize::from(is_report), arm, Ended::Answered(latency)).unwrap();
            }
        }
        decide(&recording, 240, &Rules::lasting(Duration::from_secs(60), Duration::from_secs(120)))
    };
    let alike = with(1.0);
    assert_eq!(alike.verdict, LookVerdict::Pass, "{}", alike.reason);
    let worse = with(3.0);
    assert_eq!(standing(&worse, None, Metric::Latency(Percentile::P95)), Standing::NotWorse);
    assert_eq!(worse.verdict, LookVerdict::Inconclusive, "{}", worse.reason);
    assert!(
        worse.reason.contains("over the whole of it p95 of statement 2 (report) was "),
        "{}",
        worse.reason
    );
}

#[test]
fn a_tail_of_too_few_calls_for_blocks_that_is_far_slower_never_passes() {
    // In the seconds in which all calls are the slowest, so that no median moves.
    let tenth = |times: f64| {
        let times = move |second, rank| if is_report(rank) && second % 10 == 7 { times } else { 1.0 };
        look(READS_AND_REPORTS, [240, 240], times)
    };
    assert_eq!(tenth(1.9).verdict, LookVerdict::Pass, "{}", tenth(1.9).reason);
    let look = tenth(2.1);
    assert_eq!(look.verdict, LookVerdict::Inconclusive, "{}", look.reason);
    assert!(
        look.reason.starts_with("over the whole of it p95 of statement 2 (report) was "),
        "{}",
        look.reason
    );
    assert_eq!(standing(&look, Some(1), Metric::Latency(Percentile::P95)), Standing::TooFew);
    assert_eq!(standing(&look, Some(1), Metric::Latency(Percentile::P50)), Standing::NotWorse);
}

#[test]
fn a_pass_names_the_tails_of_classes_that_were_not_judged() {
    let passed = look(READS_AND_REPORTS, [120, 120], |_, _| 1.0);
    assert_eq!(passed.verdict, LookVerdict::Pass, "{}", passed.reason);
    for tail in
        ["too few calls to judge p95 of statement 1, 2", "too few calls to judge p99 of statement 1, 2"]
    {
        assert!(passed.reason.contains(tail), "{}", passed.reason);
    }
}

#[test]
fn rare_pauses_never_pass() {
    // Every 30 s a second in which four calls of ten take eight times as long: one call in 75.
    let pauses = |second, rank| if second % 30 == 15 && rank >= 60 { 8.0 } else { 1.0 };
    for (at, expected) in [
        ([60, 120], LookVerdict::Continue),
        ([60, 60], LookVerdict::Inconclusive),
        ([120, 120], LookVerdict::Inconclusive),
    ] {
        let look = look(READS, at, pauses);
        assert_eq!(look.verdict, expected, "{}", look.reason);
        assert!(
            look.reason.starts_with("over the whole of it p99 of all statements was "),
            "{}",
            look.reason
        );
        // No comparison is what keeps it from passing.
        assert!(look.comparisons.iter().all(|comparison| comparison.standing == Standing::NotWorse));
    }
}

#[test]
fn a_class_of_few_calls_of_which_six_in_a_hundred_fail_never_passes() {
    let failing =
        |second, rank| if rank == 57 && second > 7 && second % 8 == 3 { f64::INFINITY } else { 1.0 };
    let look = look(READS_AND_REPORTS, [120, 120], failing);
    assert_eq!(look.verdict, LookVerdict::Inconclusive, "{}", look.reason);
    let why =
        "statement 2 (report): failed calls 14 of 240 on the candidate, 0 of 240 on legacy: neither shown";
    assert!(look.reason.starts_with(why), "{}", look.reason);
    assert_eq!(standing(&look, Some(1), Metric::Failed), Standing::Open);
    assert_eq!(standing(&look, None, Metric::Failed), Standing::NotWorse);
}
