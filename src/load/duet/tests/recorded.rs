//! Verdicts on recordings of single calls, drawn as two servers would answer them.

use std::time::Duration;

use super::{
    super::{
        Arm, Ended, HALVES_PER_SECOND, LookVerdict, Metric, Percentile, Recording, Rules, Standing, decide,
        evidence::{Evidence, Group},
        gross_fault, number,
        recording::halves,
    },
    simulation::{LEFT_OF_ALL, LEFT_OF_CLASS, Random},
};

/// Reads, updates that wait for the disk, and a few lookups.
const SHARES: [f64; 3] = [0.85, 0.10, 0.05];

struct Servers {
    /// Calls a second, of both together.
    rate: f64,
    /// By how much both are slower.
    both: f64,
    /// By how much the candidate is slower than that, by class.
    slower: [f64; 3],
    /// The second from which on they are.
    since: u32,
    /// The share of calls that fail: legacy's, the candidate's.
    failing: [f64; 2],
    /// Common to both, from second to second.
    drift: f64,
}

const ALIKE: Servers =
    Servers { rate: 1_000.0, both: 1.0, slower: [1.0; 3], since: 0, failing: [0.0; 2], drift: 0.3 };

impl Servers {
    fn record(&self, seconds: u32) -> Recording {
        let mut random = Random(7);
        let names = ["read", "update", "lookup"].map(str::to_owned).to_vec();
        let mut recording = Recording::new(names, seconds).unwrap();
        let mut drift = 0.0;
        for second in 0..seconds {
            drift = 0.8 * drift + 0.6 * random.normal() * self.drift;
            for _ in 0..poisson(self.rate, &mut random) {
                let class = class(&mut random);
                let arm = if random.next().is_multiple_of(2) { Arm::Legacy } else { Arm::Candidate };
                let is_candidate = arm == Arm::Candidate;
                let slower = match (second >= self.since, is_candidate) {
                    (false, _) => 1.0,
                    (true, false) => self.both,
                    (true, true) => self.both * self.slower[class],
                };
                let ended = if uniform(&mut random) < self.failing[usize::from(is_candidate)] {
                    Ended::Failed
                } else {
                    Ended::Answered(Duration::from_secs_f64(latency(class, drift, &mut random) * slower))
                };
                let half = second * HALVES_PER_SECOND + u32::from(random.next().is_multiple_of(2));
                recording.record(half, class, arm, ended).unwrap();
            }
        }
        recording
    }
}

fn uniform(random: &mut Random) -> f64 {
    f64::from(u32::try_from(random.next() >> 32).unwrap()) / 4_294_967_296.0
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
fn poisson(mean: f64, random: &mut Random) -> u32 {
    (mean + mean.sqrt() * random.normal()).round().max(1.0) as u32
}

fn class(random: &mut Random) -> usize {
    let point = uniform(random);
    if point < SHARES[0] { 0 } else { 1 + usize::from(point >= SHARES[0] + SHARES[1]) }
}

/// In seconds: 0.33 ms, 2.2 ms for updates, and one read of 30 is held up.
fn latency(class: usize, drift: f64, random: &mut Random) -> f64 {
    if class == 1 {
        return 0.0022 * (0.9 * random.normal() + drift).exp();
    }
    let held_up = if random.next().is_multiple_of(30) { 1.5 + 0.8 * random.normal() } else { 0.0 };
    0.000_33 * (0.45 * random.normal() + held_up + drift).exp()
}

fn rules() -> Rules {
    Rules::lasting(Duration::from_secs(60), Duration::from_secs(120))
}

fn look(servers: &Servers, seconds: u32) -> super::super::Look {
    decide(&servers.record(seconds), seconds * HALVES_PER_SECOND, &rules())
}

#[test]
fn alike_passes_at_a_look_and_never_before_one() {
    let recording = ALIKE.record(120);
    for half in 0..60 * HALVES_PER_SECOND {
        assert_eq!(decide(&recording, half, &rules()).verdict, LookVerdict::Continue);
    }
    let look = decide(&recording, 120 * HALVES_PER_SECOND, &rules());
    assert_eq!(look.verdict, LookVerdict::Pass, "{}", look.reason);
    assert_eq!(look.noise_shared(), Some(true));
    let p95 =
        look.comparisons.iter().find(|c| c.class.is_none() && c.metric == Metric::Latency(Percentile::P95));
    let figures = p95.unwrap().latency.unwrap();
    assert!(figures.low.unwrap() < figures.ratio && figures.ratio < figures.high.unwrap());
    assert!(figures.high.unwrap() < 1.10 && figures.ratio < 1.05 && figures.blocks >= 12);
}

#[test]
fn a_class_that_lost_its_index_fails_by_its_own_name() {
    let look = look(&Servers { slower: [1.0, 1.0, 1.55], ..ALIKE }, 60);
    assert_eq!(look.verdict, LookVerdict::Fail, "{}", look.reason);
    assert!(look.reason.starts_with("statement 3 (lookup): p50 +5"), "{}", look.reason);
    let of_all = look.comparisons.iter().filter(|comparison| comparison.class.is_none());
    assert!(of_all.clone().count() == 4 && of_all.clone().all(|c| c.standing != Standing::Worse));
}

#[test]
fn what_loses_block_after_block_fails_before_the_next_look() {
    let recording = Servers { slower: [1.0, 1.0, 1.55], ..ALIKE }.record(60);
    let looks = (0..60 * HALVES_PER_SECOND).map(|half| decide(&recording, half, &rules()));
    let failed = looks.filter(|look| look.verdict == LookVerdict::Fail).map(|look| look.reason).next();
    let failed = failed.expect("there is no doubt before a minute is over");
    assert!(failed.starts_with("statement 3 (lookup): p50 was more than 5 % above legacy's in "), "{failed}");
    assert!(failed.ends_with("no need to wait for the next look"), "{failed}");
}

#[test]
fn a_doubled_latency_fails_within_five_seconds() {
    let look = look(&Servers { slower: [2.0; 3], ..ALIKE }, 5);
    assert_eq!(look.verdict, LookVerdict::Fail);
    assert!(look.reason.starts_with("gross fault: p50 of the candidate was 2.0 times"), "{}", look.reason);
}

#[test]
fn a_calm_warm_up_lets_four_seconds_be_enough_from_the_first_one_on() {
    let mut recording = Servers { slower: [2.0; 3], ..ALIKE }.record(5);
    let four = 4 * HALVES_PER_SECOND;
    assert_eq!(decide(&recording, four, &rules()).verdict, LookVerdict::Continue);
    recording.begin_after(&ALIKE.record(10));
    let look = decide(&recording, four, &rules());
    assert!(look.reason.ends_with("through the last 4 s"), "{}", look.reason);
}

/// What is seen of a gross fault in a minute after `before`, in which both are `both` times as slow, and the candidate `slower` times as
/// slow as legacy then.
fn gross_fault_after(before: &Recording, both: f64, slower: f64) -> Option<String> {
    let mut recording = Servers { both, slower: [slower; 3], drift: 0.0, ..ALIKE }.record(60);
    recording.begin_after(before);
    (1..=60 * HALVES_PER_SECOND).find_map(|half| gross_fault(&recording, half, 1))
}

#[test]
fn a_longer_queue_is_no_gross_fault_where_legacy_stands_in_one_too() {
    let calm = Servers { drift: 0.0, ..ALIKE }.record(10);
    assert_eq!(gross_fault_after(&calm, 10.0, 3.0), None);
    for (both, slower) in [(2.5, 2.0), (3.75, 27.0)] {
        let told = gross_fault_after(&calm, both, slower)
            .expect("no queue, or slower by more than legacy has become");
        assert!(told.starts_with("gross fault: p50 of the candidate was "), "{told}");
    }
}

#[test]
fn a_queue_that_begins_in_the_warm_up_is_none_either() {
    let warm_up = Servers { both: 10.0, slower: [3.0; 3], since: 6, drift: 0.0, ..ALIKE }.record(10);
    assert_eq!(gross_fault_after(&warm_up, 10.0, 3.0), None);
}

#[test]
fn a_candidate_that_drags_legacy_along_is_seen_wherever_it_begins() {
    let recording = Servers { both: 3.75, slower: [27.0; 3], since: 40, ..ALIKE }.record(60);
    let look = decide(&recording, 45 * HALVES_PER_SECOND, &rules());
    assert!(look.reason.starts_with("gross fault: p50 of the candidate was 2"), "{}", look.reason);
}

#[test]
fn a_gross_latency_is_seen_at_a_rate_that_leaves_many_half_seconds_without_a_call() {
    let recording = Servers { rate: 3.5, slower: [1_000.0; 3], drift: 0.0, ..ALIKE }.record(20);
    let mut looks = (0..20 * HALVES_PER_SECOND).map(|half| decide(&recording, half, &rules()));
    let failed = looks.find(|look| look.verdict == LookVerdict::Fail).expect("a fault seen within 20 s");
    assert!(failed.reason.starts_with("gross fault: p50 of the candidate was "), "{}", failed.reason);
}

#[test]
fn five_percent_of_errors_fail_within_five_seconds() {
    let look = look(&Servers { failing: [0.0, 0.05], ..ALIKE }, 5);
    assert_eq!(look.verdict, LookVerdict::Fail);
    assert!(look.reason.starts_with("gross fault: "), "{}", look.reason);
    assert!(look.reason.contains("calls of the last 3 s failed, 0 of legacy's"), "{}", look.reason);
}

#[test]
fn a_few_errors_fail_at_the_look_and_a_forgiven_share_does_not() {
    let failed = |failing| look(&Servers { failing: [0.0, failing], ..ALIKE }, 60);
    let seen = failed(0.005);
    assert_eq!(seen.verdict, LookVerdict::Fail);
    assert!(seen.reason.contains("failed calls"), "{}", seen.reason);
    assert_ne!(failed(0.0005).verdict, LookVerdict::Fail);
}

#[test]
fn a_legacy_that_fails_is_nothing_to_compare_with() {
    let look = look(&Servers { failing: [0.05, 0.0], ..ALIKE }, 120);
    assert_eq!(look.verdict, LookVerdict::Inconclusive);
    assert!(look.reason.contains("legacy itself fails"), "{}", look.reason);
}

#[test]
fn too_few_calls_are_said_and_never_pass() {
    let look = look(&Servers { rate: 10.0, ..ALIKE }, 120);
    assert_eq!(look.verdict, LookVerdict::Inconclusive);
    assert!(look.reason.contains("statement 3 (lookup): p50 too few calls: 0."), "{}", look.reason);
    let p99 =
        look.comparisons.iter().find(|c| c.class.is_none() && c.metric == Metric::Latency(Percentile::P99));
    assert!(p99.is_some_and(|p99| p99.standing == Standing::TooFew && p99.latency.is_none()));
}

#[test]
fn nothing_recorded_is_inconclusive() {
    let empty = Recording::new(vec!["read".to_owned()], 120).unwrap();
    assert_eq!(decide(&empty, 60 * HALVES_PER_SECOND, &rules()).verdict, LookVerdict::Continue);
    assert_eq!(decide(&empty, 120 * HALVES_PER_SECOND, &rules()).verdict, LookVerdict::Inconclusive);
}

/// The simulation's sizes of what is left hold for a mix like the measured one.
#[test]
fn weights_and_bands_take_away_the_chance_that_the_simulation_leaves_out() {
    let recording = Servers { drift: 0.0, ..ALIKE }.record(600);
    for (group, left) in [(Group::All, LEFT_OF_ALL), (Group::Class(0), LEFT_OF_CLASS)] {
        let blocks = recording.blocks(group, 1, 0, 600);
        let plain: Vec<_> = (0..600).map(|second| single_ranks(&recording, group, second)).collect();
        for (index, left) in left.into_iter().enumerate() {
            let ours = spread(&blocks.iter().map(|block| block[index].difference()).collect::<Vec<_>>());
            let theirs = spread(&plain.iter().map(|ranks| ranks[index]).collect::<Vec<_>>());
            assert!(ours / theirs < left, "{group:?} {index}: {}", ours / theirs);
        }
    }
}

/// The differences of the single ranks, unweighted.
fn single_ranks(recording: &Recording, group: Group, second: usize) -> [f64; 3] {
    let classes = match group {
        Group::All => 0..3,
        Group::Class(class) => class..class + 1,
    };
    let arm = |arm| {
        let buckets = classes
            .clone()
            .flat_map(|class| recording.buckets(Group::Class(class), arm, halves(second, second + 1)));
        let mut buckets: Vec<_> = buckets.collect();
        buckets.sort_unstable();
        [500, 950, 990].map(|rank| {
            let place = (buckets.len() * rank).div_ceil(1000) - 1;
            super::super::bucket::micros(buckets[place]).ln()
        })
    };
    let (legacy, candidate) = (arm(Arm::Legacy), arm(Arm::Candidate));
    [0, 1, 2].map(|index| candidate[index] - legacy[index])
}

fn spread(values: &[f64]) -> f64 {
    let n = number(values.len());
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt()
}
