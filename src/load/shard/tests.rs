use std::time::Duration;

use super::*;
use crate::api::Via;
use crate::load::{
    LoadSpec,
    duet::{Arm, Ended, HALVES_PER_SECOND, Recording},
    fixtures,
    measure::{Outcome, Tally, Times},
    outcome::outcome,
    taken::{LaneTaken, Stop},
};

/// The calls of a second are in both halves of it.
fn half_of(second: u32, call: u64) -> u32 {
    second * HALVES_PER_SECOND + u32::from(call % 2 == 1)
}

/// Forty calls a second of each side, in which the candidate took `candidate_us`, and legacy 400 µs.
fn recorded(seconds: u32, candidate_us: u64) -> Recording {
    let mut recording = Recording::new(vec!["read".to_owned()], seconds).unwrap();
    for (second, call) in (0..seconds).flat_map(|second| (0..40).map(move |call| (second, call))) {
        for (arm, us) in [(Arm::Legacy, 400), (Arm::Candidate, candidate_us)] {
            let latency = Duration::from_micros(us + (call * 7 + u64::from(second) * 13) % 40);
            recording.record(half_of(second, call), 0, arm, Ended::Answered(latency)).unwrap();
        }
    }
    recording
}

/// What a process took down of `seconds` in which the candidate took `candidate_us`.
fn part(seconds: u32, candidate_us: u64, number: u64) -> Taken {
    let mut recording = Recording::new(vec!["read".to_owned()], seconds).unwrap();
    let lane = |arm, recording: &mut Recording| {
        let mut tally = Tally::new().unwrap();
        for (second, call) in (0..seconds).flat_map(|second| (0..40).map(move |call| (second, call))) {
            let spread = (call * 7 + u64::from(second) * 13 + number) % 40;
            let base = if arm == Arm::Legacy { 400 } else { candidate_us };
            let latency = Duration::from_micros(base + spread);
            let times =
                Times { latency, service: latency, lag: Duration::from_micros(20), is_drained: false };
            tally.record(Outcome::Ok, times, Duration::ZERO);
            recording.record(half_of(second, call), 0, arm, Ended::Answered(latency)).unwrap();
        }
        LaneTaken { arm, scheduled: tally.taken(), skipped: 0, tally }
    };
    let lanes = vec![lane(Arm::Legacy, &mut recording), lane(Arm::Candidate, &mut recording)];
    Taken {
        lanes,
        shares: vec![1.0],
        warm_up: Some(recorded(10, 400)),
        recording,
        look: None,
        stop: None,
        elapsed: Duration::from_secs(seconds.into()),
        cpu: Duration::from_millis(7),
        busy_permille: 50,
        longest_lag: Duration::from_micros(80),
        statements: u64::from(seconds) * 80,
        processes: 1,
        via: Via::Direct,
    }
}

const SEED: u64 = 7;

/// As the process with that number of so many hands it over.
fn written(taken: Taken, index: u32, count: u32) -> Vec<u8> {
    let share = Share { index, count };
    serde_json::to_vec(&Written { format: FORMAT.to_owned(), seed: SEED, share, taken }).unwrap()
}

fn rules(seconds: u64) -> Rules {
    Rules::lasting(Duration::from_secs(seconds), Duration::from_secs(seconds))
}

#[test]
fn the_parts_are_judged_as_one_load() {
    for (candidate_us, expected) in [(400, LookVerdict::Pass), (480, LookVerdict::Fail)] {
        let parts: Vec<_> = (0..3)
            .map(|number| written(part(60, candidate_us, number), u32::try_from(number).unwrap(), 3))
            .collect();
        let all = merge(&parts, SEED, Some(&rules(60))).unwrap();
        assert_eq!((all.processes, all.statements, all.cpu), (3, 3 * 60 * 80, Duration::from_millis(21)));
        assert_eq!(all.lanes[1].tally.ok, 3 * 60 * 40);
        let look = all.look.unwrap();
        assert_eq!(look.verdict, expected, "{}", look.reason);
    }
}

/// What the generator did itself gets from the books to the verdict.
#[test]
fn a_generator_that_was_late_for_one_side_or_had_no_time_passes_nothing() {
    let load: Load =
        serde_saphyr::from_str("{traffic: t, rate: 240, duration: 60s, connections: 2}").unwrap();
    let spec = LoadSpec::from_load(&load, &fixtures::one_statement(), SEED).unwrap();
    let parts: Vec<_> = (0..3).map(|number| written(part(60, 400, u64::from(number)), number, 3)).collect();
    let all = merge(&parts, SEED, Some(&rules(60))).unwrap();
    let concluded = |taken: &Taken| {
        let outcome = outcome(&spec, taken);
        (outcome.result.verdict, outcome.result.message)
    };
    assert_eq!(concluded(&all).0, Verdict::Pass, "{}", concluded(&all).1);
    let mut late = all.clone();
    (0..8_000).for_each(|_| late.lanes[1].tally.lag.record(Duration::from_micros(90)));
    let busy = Taken { busy_permille: 900, ..all };
    for (taken, part) in [(late, "by 90 µs for the candidate"), (busy, "busy for 90 % of the time")] {
        let (verdict, message) = concluded(&taken);
        assert_eq!(verdict, Verdict::Inconclusive, "{message}");
        assert!(message.contains(part), "{message}");
    }
}

/// A calm warm-up lets four seconds be enough.
#[test]
fn all_parts_together_are_held_against_their_warm_up() {
    let parts: Vec<_> = (0..2).map(|number| written(part(60, 900, u64::from(number)), number, 2)).collect();
    let look = merge(&parts, SEED, Some(&rules(60))).unwrap().look.unwrap();
    assert_eq!((look.verdict, look.seconds), (LookVerdict::Fail, 4), "{}", look.reason);
}

#[test]
fn what_came_after_a_passing_look_counts_as_well() {
    let mut later = part(120, 400, 0);
    for second in 60..120 {
        for call in 0..40 {
            let slow = Ended::Answered(Duration::from_millis(3 + call));
            later.recording.record(second * HALVES_PER_SECOND, 0, Arm::Candidate, slow).unwrap();
        }
    }
    let lane = &mut later.lanes[1];
    lane.scheduled += 60 * 40;
    for call in 0..60 * 40 {
        let latency = Duration::from_millis(3 + call % 40);
        lane.tally.record(
            Outcome::Ok,
            Times { latency, service: latency, lag: Duration::ZERO, is_drained: false },
            Duration::ZERO,
        );
    }
    let rules = Rules::lasting(Duration::from_secs(60), Duration::from_secs(120));
    let all = merge(&[written(later, 0, 1)], SEED, Some(&rules)).unwrap();
    assert_eq!(all.look.unwrap().verdict, LookVerdict::Fail);
}

/// The first of two.
fn good() -> Vec<u8> {
    written(part(60, 400, 0), 0, 2)
}

#[test]
fn a_part_that_ended_early_ends_the_whole_and_says_why() {
    let stopped = Taken { stop: Some(Stop::Guard("full".to_owned())), ..part(60, 400, 1) };
    let all = merge(&[good(), written(stopped, 1, 2)], SEED, None).unwrap();
    assert_eq!(all.stop, Some(Stop::Guard("full".to_owned())));
}

#[test]
fn of_several_reasons_the_one_counts_that_says_least_about_the_candidate_in_whatever_order() {
    let stops = [
        Stop::Bug,
        Stop::Guard("full".to_owned()),
        Stop::Stalled(Arm::Legacy),
        Stop::Plain("failed".to_owned()),
        Stop::Backlog(Arm::Candidate),
        Stop::Verdict,
    ];
    for (index, first) in stops.iter().enumerate() {
        for later in &stops[index..] {
            for (one, other) in [(first, later), (later, first)] {
                assert_eq!(Stop::of_both(Some(one.clone()), Some(other.clone())), Some(first.clone()));
            }
        }
        assert_eq!(Stop::of_both(None, Some(first.clone())), Some(first.clone()));
    }
}

#[test]
fn what_was_skipped_adds_up_and_the_worst_of_them_counts() {
    let mut worse = part(60, 400, 1);
    worse.lanes[1].scheduled += 5;
    worse.lanes[1].skipped = 5;
    (worse.elapsed, worse.busy_permille) = (worse.elapsed + Duration::from_secs(1), 900);
    worse.longest_lag = Duration::from_secs(3);
    worse.via = Via::Proxy;
    let (elapsed, mut other) = (worse.elapsed, part(60, 400, 0));
    other.lanes[1].scheduled += 2;
    other.lanes[1].skipped = 2;
    let all = merge(&[written(other, 0, 2), written(worse, 1, 2)], SEED, None).unwrap();
    assert_eq!(all.lanes[1].skipped, 7);
    assert_eq!((all.elapsed, all.busy_permille, all.longest_lag), (elapsed, 900, Duration::from_secs(3)));
    assert_eq!(all.via, Via::Proxy);
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let refused = |parts: &[Vec<u8>], word: &str| {
        let why = merge(parts, SEED, None).unwrap_err();
        assert!(why.contains(word), "{why}");
    };
    refused(&[], "no parts");
    refused(&[good(), b"{}".to_vec()], "index 1 handed over can't be read");
    refused(&[good(), written(part(59, 400, 0), 1, 2)], "different classes or lengths");
    refused(
        &[good(), written(Taken { warm_up: None, ..part(60, 400, 0) }, 1, 2)],
        "different classes or lengths",
    );
    let mut alone = part(60, 400, 0);
    alone.lanes.remove(0);
    refused(&[good(), written(alone, 1, 2)], "different sides");
    let mut lost = part(60, 400, 0);
    lost.lanes[0].scheduled += 1;
    refused(&[good(), written(lost, 1, 2)], "lost count");
    for (index, count, seed) in [(0, 2, SEED), (1, 3, SEED), (1, 2, SEED + 1)] {
        let share = Share { index, count };
        let other = Written { format: FORMAT.to_owned(), seed, share, taken: part(60, 400, 0) };
        refused(&[good(), serde_json::to_vec(&other).unwrap()], "of another schedule");
    }
    let share = Share { index: 1, count: 2 };
    let old = Written { format: "cutover 0.0.0, 1".to_owned(), seed: SEED, share, taken: part(60, 400, 0) };
    refused(&[good(), serde_json::to_vec(&old).unwrap()], "another version");
}

#[test]
fn what_is_handed_over_is_no_longer_than_what_was_reckoned_with() {
    const SECONDS: u32 = 900;
    let traffic = fixtures::traffic(&[(1, vec![]), (1, vec![]), (1, vec![])]);
    // Cells of few calls are the dearest.
    for per_cell in [1_u64, 2, 20] {
        let load = format!("{{traffic: t, rate: {}, duration: {SECONDS}s, connections: 2}}", 12 * per_cell);
        let load: Load = serde_saphyr::from_str(&load).unwrap();
        let spec = LoadSpec::from_load(&load, &traffic, SEED).unwrap();
        let full = |seconds: u32| {
            let names = ["select", "update", "lookup"].map(str::to_owned).to_vec();
            let mut recording = Recording::new(names, seconds).unwrap();
            for half in 0..seconds * HALVES_PER_SECOND {
                for (class, arm) in (0..3).flat_map(|class| [(class, Arm::Legacy), (class, Arm::Candidate)]) {
                    for call in 0..per_cell {
                        // As far apart as latencies are: of the widest gaps there can only be a few.
                        let ended = Ended::Answered(Duration::from_micros(300 + call * call * 50));
                        recording.record(half, class, arm, ended).unwrap();
                    }
                }
            }
            recording
        };
        let bytes = |warm_up| {
            let taken = Taken { warm_up, recording: full(SECONDS), ..part(60, 400, 0) };
            written(taken, 0, 1).len()
        };
        let warm_seconds = u32::try_from(spec.warm_up.as_secs()).unwrap();
        let (cold, all) = (bytes(None), bytes(Some(full(warm_seconds))));
        let most = |warm_up| most_bytes(&LoadSpec { warm_up, ..spec.clone() }, 2, 1);
        assert!(all - cold <= most(spec.warm_up) - most(Duration::ZERO), "{per_cell}: {}", all - cold);
        let (written, most) = (all, most(spec.warm_up));
        assert!(written <= most, "{per_cell}: {written} of {most}");
    }
}
