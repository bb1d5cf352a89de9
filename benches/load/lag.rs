//! How late the generator sends, at 2,000/s to two servers; and, at the same time, how late a thread is that does nothing but sleep
//! until the next of as many arrivals: that is what the machine makes late, whoever sends.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    command::{Load, SELECT},
    figures::Targets,
    machine::{self, Processors},
    side::Side,
};

const RATE: u32 = 2_000;
const ROUNDS: usize = 3;
const TARGET_P50_US: f64 = 100.0;
const TARGET_P99_US: f64 = 500.0;
/// What a duet is void beyond, where 2 % of the median latency are less.
const TARGET_UNEVEN_US: f64 = 20.0;
const SECONDS: u64 = 20;

pub async fn run(targets: &mut Targets) {
    let sides = [Side::start("bench-lag-legacy", &[]).await, Side::start("bench-lag-candidate", &[]).await];
    let duration = format!("{SECONDS}s");
    let load = Load {
        legacy: Some(sides[0].uri()),
        candidate: Some(sides[1].uri()),
        traffic: SELECT,
        rate: RATE,
        duration: &duration,
        further: &[],
    };
    let mut lags = Vec::new();
    for round in 1..=ROUNDS {
        let processors = Processors::now();
        let sleeper = thread::spawn(sleep_until_each);
        let ran = load.run();
        let [slept_p50, slept_p99] = sleeper.join().expect("it ends");
        let generator = &ran.report.generator;
        let [p50, p99] = [generator.send_lag_p50_us, generator.send_lag_p99_us].map(machine::figure);
        println!(
            "lag at {RATE}/s to two servers, round {round}: p50 {p50} µs, p99 {p99} µs; a thread that only sleeps: \
             p50 {slept_p50:.0} µs, p99 {slept_p99:.0} µs; processors {:.0} % busy, load {:.1}",
            processors.busy_percent(),
            machine::load(),
        );
        let arms = &ran.report.arms;
        let lags_us = [("legacy", &arms.legacy), ("candidate", &arms.candidate)].map(|(side, arm)| {
            let arm = arm.as_ref().expect("a duet has both sides");
            println!("  {side}: p50 {} µs, p99 {} µs", arm.send_lag_p50_us, arm.send_lag_p99_us);
            arm.send_lag_p50_us
        });
        lags.push((p50, p99, machine::figure(lags_us[0].abs_diff(lags_us[1]))));
    }
    // The round that the rest of the machine disturbed least: what is measured is the generator.
    lags.sort_by(|one, other| one.1.total_cmp(&other.1));
    targets.below("send lag, p50, quietest round", lags[0].0, TARGET_P50_US, "µs");
    targets.below("send lag, p99, quietest round", lags[0].1, TARGET_P99_US, "µs");
    targets.below("difference of both sides' p50, quietest round", lags[0].2, TARGET_UNEVEN_US, "µs");
}

/// The median and the 99th percentile of its lateness, in microseconds, over as long as the load is measured.
fn sleep_until_each() -> [f64; 2] {
    let (begun, mut due, mut late_us) = (Instant::now(), Duration::ZERO, Vec::new());
    while due < Duration::from_secs(SECONDS) {
        due += Duration::from_secs_f64(-(1.0 - rand::random::<f64>()).ln() / f64::from(RATE));
        thread::sleep(due.saturating_sub(begun.elapsed()));
        late_us.push(begun.elapsed().saturating_sub(due).as_secs_f64() * 1e6);
    }
    late_us.sort_by(f64::total_cmp);
    [50, 99].map(|percent| late_us[late_us.len() * percent / 100])
}
