//! What one decision costs: a rollout with 20 stages in the states that it spends its time in. Needs no cluster.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "as in tests")]

#[path = "support/figures.rs"]
#[allow(dead_code, reason = "shared by the benchmarks")]
mod figures;
#[path = "engine/states.rs"]
mod states;
/// The world of the engine's own tests; it names these modules as the library does.
#[path = "../src/engine/tests/world.rs"]
#[allow(dead_code, reason = "shared with the engine's tests")]
mod world;

use std::{
    hint::black_box,
    process::ExitCode,
    time::{Duration, Instant},
};

use cutover::{api, engine, plan};
use figures::{Samples, Targets, micros, ratio};
use world::World;

const TARGET_MICROS: f64 = 50.0;
const ROUNDS: usize = 20_000;
const WARM_UP: usize = 1_000;

fn main() -> ExitCode {
    if !figures::is_bench() {
        return ExitCode::SUCCESS;
    }
    let mut targets = Targets::default();
    println!("decide, 20 stages; the ratio is to writing the same status as JSON, {ROUNDS} rounds");
    println!("{:14} {:>7} {:>12} {:>9}", "state", "ratio", "median µs", "p99 µs");
    let mut slowest = Duration::ZERO;
    for (state, world) in states::all() {
        slowest = slowest.max(measure_decide(state, &world));
    }
    measure_around(&states::completed());
    targets.below("one decide of 20 stages, slowest median", micros(slowest), TARGET_MICROS, "µs");
    targets.exit_code()
}

fn measure_decide(state: &str, world: &World) -> Duration {
    let (plan, command, observed) = (world.plan(), world.command(), world.observe());
    let input = engine::Input {
        name: "shop",
        uid: &world.uid,
        command: &command,
        plan: plan.as_ref().map_err(Vec::as_slice),
        recorded: &world.status.recorded,
        observed: &observed,
        now: world.now,
    };
    let mut decides = Vec::with_capacity(ROUNDS);
    let mut references = Vec::with_capacity(ROUNDS);
    for round in 0..WARM_UP + ROUNDS {
        // In turns, so that whatever else the machine does falls on both.
        let decide = time(|| engine::decide(black_box(&input)));
        let reference = time(|| serde_json::to_vec(black_box(&world.status)).expect("JSON"));
        if round >= WARM_UP {
            decides.push(decide);
            references.push(reference);
        }
    }
    let (decide, reference) = (Samples::new(decides), Samples::new(references));
    let (median, p99) = (decide.median(), decide.p99());
    let ratio = ratio(median, reference.median());
    println!("{state:14} {ratio:>7.2} {:>12.1} {:>9.1}", micros(median), micros(p99));
    median
}

/// What a pass computes besides, for comparison.
fn measure_around(world: &World) {
    let (decision, observed) = (world.decide(), world.observe());
    let plan = world.plan().expect("a plan");
    let plans = (0..ROUNDS / 10).map(|_| time(|| plan::build("shop", black_box(&world.spec)))).collect();
    let statuses = (0..ROUNDS / 10)
        .map(|_| {
            time(|| engine::status(black_box(&decision), Some(&plan), &observed, &world.status, 1, world.now))
        })
        .collect();
    println!(
        "besides, in each pass: the plan {:.1} µs, the status {:.1} µs (medians)",
        micros(Samples::new(plans).median()),
        micros(Samples::new(statuses).median())
    );
}

/// With the dropping of what came out: a pass pays for that, too.
fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let begun = Instant::now();
    drop(black_box(work()));
    begun.elapsed()
}
