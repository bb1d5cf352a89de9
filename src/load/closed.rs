//! A closed loop: so many connections, each sending its next statement as soon as the last one was answered.
//!
//! Decides how the most that a number of connections gets through is measured. It is the opposite of what the rest of
//! this module does: the server sets the pace, so latencies are those of a saturated pool and say nothing about how an
//! application that does not wait would fare. Read-only traffic alone. Never opens more connections than it is told to.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;

use super::{
    connection::{Connection, Terms},
    histogram::Latencies,
    keys,
    measure::Outcome,
    schedule::Calls,
    spec::DEFAULT_STATEMENT_TIMEOUT,
};
use crate::{
    api::{Access, Traffic, Via},
    postgres::Target,
};

/// Connections that are opened at the same time.
const OPENING: usize = 4;
/// How long the connections run before it counts: plans and caches settle.
const WARM_UP: Duration = Duration::from_millis(200);

/// What a number of connections got through.
#[derive(Debug, Clone)]
pub struct ClosedLoop {
    /// Statements that were answered.
    pub ok: u64,
    /// Statements that failed or ran into the timeout.
    pub failed: u64,
    /// For how long it was counted.
    pub elapsed: Duration,
    latencies: Latencies,
}

impl ClosedLoop {
    /// Answers in a second.
    #[must_use]
    pub fn per_second(&self) -> u64 {
        let micros = self.elapsed.as_micros().max(1);
        u64::try_from(u128::from(self.ok) * 1_000_000 / micros).unwrap_or(u64::MAX)
    }

    /// 99 % of the statements were answered within this many microseconds; `None` where too many failed.
    #[must_use]
    pub fn p99_us(&self) -> Option<u64> {
        self.latencies.percentile_us(99, self.failed)
    }

    /// Takes another measurement of the same in.
    pub fn add(&mut self, other: &Self) {
        self.ok += other.ok;
        self.failed += other.failed;
        self.elapsed += other.elapsed;
        self.latencies.add(&other.latencies);
    }
}

/// Runs `traffic` on `connections` connections for `length`, after a short warm-up.
///
/// # Errors
/// Why it could not be run, for people.
pub async fn closed_loop(
    target: &Target,
    traffic: &Traffic,
    connections: usize,
    length: Duration,
    seed: u64,
) -> Result<ClosedLoop, String> {
    if traffic.access != Access::ReadOnly {
        return Err(
            "the traffic writes (access: ReadWrite), and is not carried out; give access: ReadOnly".into()
        );
    }
    let model = keys::model(traffic, target, seed).await.map_err(|error| error.to_string())?;
    let terms = Terms::new(&model, DEFAULT_STATEMENT_TIMEOUT, Via::Direct);
    let mut opened: Vec<Connection> = stream::iter(0..connections)
        .map(|_| Connection::open(target, &model, terms))
        .buffer_unordered(OPENING)
        .try_collect()
        .await
        .map_err(|error| error.to_string())?;
    let start = Instant::now() + WARM_UP;
    let end = start + length;
    let mut workers = JoinSet::new();
    for (connection, stream) in opened.drain(..).zip(0_u64..) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        workers.spawn(work(connection, Calls::new(model.clone(), rng), start, end));
    }
    let latencies = Latencies::new().map_err(|_| "the histogram could not be set up".to_owned())?;
    let mut all = ClosedLoop { ok: 0, failed: 0, elapsed: Duration::ZERO, latencies };
    while let Some(joined) = workers.join_next().await {
        all.add(&joined.map_err(|_| "a connection's task has ended early".to_owned())??);
    }
    all.elapsed = length;
    Ok(all)
}

/// One connection, back to back. What was answered between the start and the end counts.
async fn work(
    mut connection: Connection,
    mut calls: Calls,
    start: Instant,
    end: Instant,
) -> Result<ClosedLoop, String> {
    let latencies = Latencies::new().map_err(|_| "the histogram could not be set up".to_owned())?;
    let mut own = ClosedLoop { ok: 0, failed: 0, elapsed: Duration::ZERO, latencies };
    while Instant::now() < end {
        let call = calls.draw();
        let sent = Instant::now();
        // Waited for to its end, even beyond the loop's: a session that still works can't be closed.
        let (outcome, is_usable) = connection.execute(&call, sent).await;
        let answered = Instant::now();
        if (start..end).contains(&answered) {
            match outcome {
                Outcome::Ok => {
                    own.ok += 1;
                    own.latencies.record(answered - sent);
                }
                Outcome::Error(_) | Outcome::Timeout => own.failed += 1,
            }
        }
        if !is_usable {
            return Err("a connection was lost, or a statement took too long".to_owned());
        }
    }
    connection.close().await;
    Ok(own)
}
