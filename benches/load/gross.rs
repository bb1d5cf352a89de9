//! A fault that nobody could miss, beginning at a random moment of a run: how soon has the load ended with `Fail`?
//!
//! From the fault to the end of the process, so closing the connections and writing the report count, too.

use std::{ops::Range, thread, time::Duration};

use cutover::{
    api::Verdict,
    load::report::{LoadReport, Second},
};

use crate::{
    command::{CALLS, Load},
    figures::{Samples, Targets},
    machine, proxy, results,
    side::{SOUND_LOOKUP, Side},
};

const RUNS: u32 = 3;
const RATE: u32 = 1_000;
const TARGET_S: f64 = 5.0;
/// From the start of the process to the fault, in seconds: before the ratio has been watched for long enough for the window
/// of four seconds, and after that.
const FAULT_AT: [(&str, Range<f64>); 2] = [("soon", 11.0..23.0), ("later", 27.0..42.0)];
const WARM_UP: Duration = Duration::from_secs(10);
const BROKEN_LOOKUP: &str = "CREATE OR REPLACE FUNCTION lookup(int) RETURNS int STABLE LANGUAGE plpgsql AS \
                             'BEGIN RAISE EXCEPTION ''broken''; END'";

pub async fn run(targets: &mut Targets, words: &[String]) {
    let sides =
        [Side::start("bench-gross-legacy", &[]).await, Side::start("bench-gross-candidate", &[]).await];
    let [(legacy, _), (candidate, law)] =
        sides.each_ref().map(|side| proxy::start(&side.server.host, side.server.port));
    let uris = [sides[0].uri_by(legacy), sides[1].uri_by(candidate)];
    let duet = Load {
        legacy: Some(&uris[0]),
        candidate: Some(&uris[1]),
        traffic: CALLS,
        rate: RATE,
        duration: "60s",
        further: &[],
    };
    let runs = results::runs(words).unwrap_or(RUNS);
    for (when, moments) in FAULT_AT {
        let (mut doubled, mut failing) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            // Beside the other server, as it will be: alone, each has the machine for itself and is faster.
            let before = Load { duration: "10s", ..duet }.run().report.arms.legacy.expect("it was loaded");
            let median = Duration::from_micros(before.latency.p50_us.expect("enough calls"));
            let double = async || law.fixed(median);
            doubled.extend(time_to_fail(&duet, "latency doubled", &moments, double).await);
            law.fixed(Duration::ZERO);
            let fail = async || sides[1].execute(BROKEN_LOOKUP).await;
            failing.extend(time_to_fail(&duet, "5 % errors", &moments, fail).await);
            sides[1].execute(SOUND_LOOKUP).await;
        }
        held_against(targets, &format!("latency doubled {when}"), doubled, runs);
        held_against(targets, &format!("5 % errors {when}"), failing, runs);
    }
}

fn held_against(targets: &mut Targets, what: &str, times: Vec<Duration>, runs: u32) {
    let wanted = usize::try_from(runs).expect("few");
    targets.none(&format!("gross: {what}: runs without Fail"), wanted - times.len());
    if times.is_empty() {
        return;
    }
    let times = Samples::new(times);
    println!("gross: {what}: {wanted} runs, median {:.1?}, worst {:.1?}", times.median(), times.max());
    let (median, worst) = (times.median().as_secs_f64(), times.max().as_secs_f64());
    targets.below(&format!("gross: {what}: to Fail, median"), median, TARGET_S, "s");
    targets.below(&format!("gross: {what}: to Fail, worst"), worst, TARGET_S, "s");
}

async fn time_to_fail(
    load: &Load<'_>,
    what: &str,
    moments: &Range<f64>,
    fault: impl AsyncFnOnce(),
) -> Option<Duration> {
    let running = load.start();
    let at = Duration::from_secs_f64(rand::random_range(moments.clone()));
    thread::sleep(at);
    fault().await;
    let ran = running.end();
    let took = ran.took.saturating_sub(at);
    println!(
        "gross: {what}: {:?} {took:.1?} after the fault; before it the ratio of p50 strayed by {:.2}: {}",
        ran.report.verdict,
        spread_before(&ran.report, at),
        ran.report.message
    );
    (ran.report.verdict == Verdict::Fail).then_some(took)
}

/// Of the logarithm of the ratio of medians, second by second, from the end of the warm-up to the fault: what decides whether
/// four seconds are enough.
fn spread_before(report: &LoadReport, fault: Duration) -> f64 {
    let Some((legacy, candidate)) = report.arms.legacy.as_ref().zip(report.arms.candidate.as_ref()) else {
        return f64::NAN;
    };
    let until = fault.saturating_sub(WARM_UP).as_secs();
    let ratio = |(legacy, candidate): (&Second, &Second)| {
        let ratio = machine::figure(candidate.p50_us) / machine::figure(legacy.p50_us);
        (u64::from(legacy.at) + 1 < until).then_some(ratio.ln())
    };
    let ratios: Vec<f64> = legacy.seconds.iter().zip(&candidate.seconds).filter_map(ratio).collect();
    let count = f64::from(u32::try_from(ratios.len()).unwrap_or(u32::MAX));
    let mean = ratios.iter().sum::<f64>() / count;
    (ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt()
}
