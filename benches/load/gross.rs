//! A fault that nobody could miss, beginning at a random moment of a run: how soon has the load ended with `Fail`?
//!
//! From the fault to the end of the process, so closing the connections and writing the report count, too.

use std::{thread, time::Duration};

use cutover::api::Verdict;

use crate::{
    command::{CALLS, Load},
    figures::{Samples, Targets},
    proxy, results,
    side::{SOUND_LOOKUP, Side},
};

const RUNS: u32 = 5;
const RATE: u32 = 1_000;
const TARGET_S: f64 = 5.0;
/// From the start of the process to the fault, in seconds: all of it after the warm-up of 10 s.
const FAULT_AT: std::ops::Range<f64> = 14.0..32.0;
const BROKEN_LOOKUP: &str = "CREATE OR REPLACE FUNCTION lookup(int) RETURNS int STABLE LANGUAGE plpgsql AS \
                             'BEGIN RAISE EXCEPTION ''broken''; END'";

pub async fn run(targets: &mut Targets, words: &[String]) {
    let sides =
        [Side::start("bench-gross-legacy", &[]).await, Side::start("bench-gross-candidate", &[]).await];
    let [(legacy, _), (candidate, law)] =
        sides.each_ref().map(|side| proxy::start(&side.server.host, side.server.port));
    let uris = [sides[0].uri_by(legacy), sides[1].uri_by(candidate)];
    let load = Load {
        legacy: Some(&uris[0]),
        candidate: Some(&uris[1]),
        traffic: CALLS,
        rate: RATE,
        duration: "60s",
        further: &[],
    };
    let runs = results::runs(words).unwrap_or(RUNS);
    let (mut doubled, mut failing) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let before = Load { duration: "5s", ..load }.run().report.arms.candidate.expect("it was loaded");
        let median = Duration::from_micros(before.latency.p50_us.expect("enough calls"));
        doubled.extend(time_to_fail(&load, "latency doubled", async || law.fixed(median)).await);
        law.fixed(Duration::ZERO);
        failing
            .extend(time_to_fail(&load, "5 % errors", async || sides[1].execute(BROKEN_LOOKUP).await).await);
        sides[1].execute(SOUND_LOOKUP).await;
    }
    let wanted = usize::try_from(runs).expect("few");
    for (what, times) in [("latency doubled", doubled), ("5 % errors", failing)] {
        targets.none(&format!("gross: {what}: runs without Fail"), wanted - times.len());
        if times.is_empty() {
            continue;
        }
        let times = Samples::new(times);
        println!("gross: {what}: {wanted} runs, median {:.1?}, worst {:.1?}", times.median(), times.max());
        targets.below(
            &format!("gross: {what}: to Fail, median"),
            times.median().as_secs_f64(),
            TARGET_S,
            "s",
        );
        targets.below(&format!("gross: {what}: to Fail, worst"), times.max().as_secs_f64(), TARGET_S, "s");
    }
}

async fn time_to_fail(load: &Load<'_>, what: &str, fault: impl AsyncFnOnce()) -> Option<Duration> {
    let running = load.start();
    let at = Duration::from_secs_f64(rand::random_range(FAULT_AT));
    thread::sleep(at);
    fault().await;
    let ran = running.end();
    let took = ran.took.saturating_sub(at);
    println!("gross: {what}: {:?} {took:.1?} after the fault: {}", ran.report.verdict, ran.report.message);
    (ran.report.verdict == Verdict::Fail).then_some(took)
}
