//! A server that does not move for two seconds: does the load say so?
//!
//! Arithmetic: arrivals come evenly over the run. Those that are due `u` into the freeze wait until it ends, and then for
//! those before them: a backlog of `rate × u`, worked off at `capacity` in a second. So each takes
//! `freeze − u × (1 − rate / capacity)`, and all others next to nothing. Slower than the 99th percentile is one
//! hundredth of all arrivals, which are those of the first `run / 100` of the freeze:
//! `p99 = freeze − run / 100 × (1 − rate / capacity)`; with 2 s, 30 s and a capacity far above the rate that is 1.7 s.
//! A generator that waits for answers would send a single statement per connection into the freeze, and report a p99 of
//! next to nothing. pgbench -R puts the same rate on the same server at the same time.

use std::{
    os::unix::process::CommandExt,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    command::{Load, SELECT},
    figures::Targets,
    machine, pgbench,
    side::Side,
};

const RATE: u32 = 500;
const SECONDS: u32 = 30;
const FREEZE: Duration = Duration::from_secs(2);
/// Of the run, before the freeze.
const BEFORE: Duration = Duration::from_secs(13);
const TARGET_PERCENT: f64 = 5.0;

pub async fn run(targets: &mut Targets) {
    let side = Side::start("bench-freeze", &[]).await;
    let load = Load {
        candidate: Some(side.uri()),
        traffic: SELECT,
        rate: RATE,
        duration: &format!("{SECONDS}s"),
        further: &["--connections", "8"],
        ..Load::default()
    };
    let capacity = pgbench::start(&side, 0, 2, false).end().statements / 2;
    let running = load.start();
    let reference = pgbench::start(&side, RATE, SECONDS, true);
    thread::sleep(BEFORE);
    let frozen = freeze(&side.processes()).as_secs_f64();
    let (ran, reference) = (running.end(), reference.end());
    // Both together work the backlog off.
    let share = 2.0 * f64::from(RATE) / machine::figure(capacity);
    let expected = frozen - f64::from(SECONDS) / 100.0 * (1.0 - share);
    let arm = ran.report.arms.candidate.expect("the candidate was loaded");
    let seconds = |us: u64| machine::figure(us) / 1e6;
    let (own, theirs) =
        (seconds(arm.latency.p99_us.expect("enough calls")), seconds(reference.percentile_us(99)));
    println!(
        "freeze of {frozen:.3} s in {SECONDS} s at {RATE}/s: p99 {own:.3} s, by arithmetic {expected:.3} s, pgbench -R \
         {theirs:.3} s; without the wait {:.6} s; slowest {:.3} s, pgbench {:.3} s",
        arm.service.p99_us.map_or(f64::NAN, seconds),
        seconds(arm.latency.max_us),
        seconds(reference.percentile_us(100)),
    );
    assert_eq!(arm.scheduled, arm.ok + arm.errors + arm.timeouts + arm.skipped);
    let off = |value: f64| 100.0 * (value / expected - 1.0).abs();
    targets.below("freeze: p99 is off what arithmetic says by", off(own), TARGET_PERCENT, "%");
    println!("freeze: pgbench -R is off by {:.1} %", off(theirs));
}

/// Stops the processes and lets them go on. By a process that lives on if this one is interrupted: nothing stays frozen.
fn freeze(processes: &[u32]) -> Duration {
    let all = processes.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let script = format!("kill -STOP {all}; sleep {}; kill -CONT {all}", FREEZE.as_secs());
    let started = Instant::now();
    let status = Command::new("sh").args(["-c", &script]).process_group(0).status().expect("sh runs");
    assert!(status.success(), "not all processes of the server could be stopped");
    started.elapsed()
}
