//! Processor time of a statement, beside pgbench: the same statement, eight connections over TCP, in turns.
//!
//! At a rate of the whole process in both cases, from its start to its end: connecting and the report count, too. In the closed loop,
//! which no command has by itself, of the thread that it runs on, beside the whole of pgbench.

use std::time::Duration;

use cutover::{
    api::Traffic,
    load,
    postgres::{ConnectionUri, Roles, Target},
};
use rustix::time::{ClockId, clock_gettime};

use crate::{
    command::{Load, SELECT},
    figures::Targets,
    machine::{self, Processors},
    pgbench, postgres,
    side::Side,
};

/// Above what the pacer spins for.
const RATE: u32 = 5_000;
const SECONDS: u32 = 10;
const ROUNDS: usize = 3;

pub async fn run(targets: &mut Targets) {
    let side = Side::start("bench-cost", &[]).await;
    let seconds = format!("{SECONDS}s");
    let load = Load {
        candidate: Some(side.uri()),
        traffic: SELECT,
        rate: RATE,
        duration: &seconds,
        further: &["--connections", "8"],
        ..Load::default()
    };
    let mut all: [Vec<f64>; 4] = Default::default();
    for round in 1..=ROUNDS {
        let processors = Processors::now();
        let ours = load.run();
        let (own, statements) = (micros_each(ours.processor_time, ours.statements()), ours.statements());
        let paced = pgbench::start(&side, RATE, SECONDS, false).end();
        let closed = closed_loop(&side);
        let most = pgbench::start(&side, 0, SECONDS / 2, false).end();
        let round_of = [
            own,
            micros_each(paced.processor_time, paced.statements),
            closed.0,
            micros_each(most.processor_time, most.statements),
        ];
        println!(
            "cost, round {round}: cutover load at {RATE}/s {:.1} µs a statement ({statements}; the driver alone \
             {:.1}), pgbench -R {:.1} µs; closed loop: cutover {:.1} µs ({}/s), pgbench {:.1} µs ({}/s); processors \
             {:.0} % busy",
            round_of[0],
            ours.report.generator.cpu_us_per_statement,
            round_of[1],
            round_of[2],
            closed.1,
            round_of[3],
            most.statements / u64::from(SECONDS / 2),
            processors.busy_percent(),
        );
        for (values, value) in all.iter_mut().zip(round_of) {
            values.push(value);
        }
    }
    let [own, paced, closed, most] = all.map(median);
    targets.below("cost of a statement at a rate, against pgbench -R", 100.0 * own / paced, 100.0, "%");
    targets.below("cost of a statement in a closed loop, against pgbench", 100.0 * closed / most, 100.0, "%");
}

fn micros_each(time: Duration, statements: u64) -> f64 {
    time.as_secs_f64() * 1e6 / machine::figure(statements)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Microseconds of a statement, and statements in a second. On one thread, as at the command line.
fn closed_loop(side: &Side) -> (f64, u64) {
    let uri = side.uri().split('?').next().expect("a URI");
    let target = Target {
        uri: ConnectionUri::parse(uri).expect("a URI"),
        tls: postgres::tls(cutover::api::TlsMode::Disable),
        ca_pem: None,
        roles: Roles::Ordinary,
    };
    let traffic: Traffic = serde_saphyr::from_str(SELECT).expect("traffic");
    let length = Duration::from_secs((SECONDS / 2).into());
    let measured = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let before = own_processor_time();
        let closed = runtime.block_on(load::closed_loop(&target, &traffic, 8, length, 1)).expect("it runs");
        (own_processor_time().saturating_sub(before), closed)
    });
    let (time, closed) = measured.join().expect("it ends");
    // Counted is a little less than what was sent: the warm-up of 0.2 s is sent, too.
    let sent = machine::figure(closed.ok) * (length.as_secs_f64() + 0.2) / length.as_secs_f64();
    (time.as_secs_f64() * 1e6 / sent, closed.per_second())
}

/// Of this thread, which is the only one that works.
fn own_processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).expect("not negative");
    Duration::new(seconds, u32::try_from(time.tv_nsec).expect("below a second"))
}
