//! Puts the load on: opens the connections, lets the pacer hand out arrivals, and keeps the books.
//!
//! Open loop: arrivals come when they are due, whether or not the server keeps up, and wait in a queue for a free
//! connection, which is part of their latency. Every arrival ends in exactly one of four ways: it was answered, it
//! failed, it ran into the timeout, or it was skipped because no connection was free until the end.
//! Never sends an arrival twice, and never waits for longer than the schedule, a drain and a statement's timeout.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, stream};
use tokio::{
    sync::{Mutex as AsyncMutex, Semaphore, mpsc, watch},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    LoadProgress, LoadSpec,
    connection::{Connection, OpenError},
    keys,
    measure::Tally,
    model::SharedModel,
    pacer::Pacer,
    schedule::Schedule,
    verdict::Stop,
    worker::{Run, work},
};
use crate::{api::Verdict, postgres::Target};

/// Connections that are opened at the same time: a storm of logins is a load of its own.
const OPENING: usize = 4;
/// From the last connection to the first arrival.
const HEAD_START: Duration = Duration::from_millis(20);
/// How long after the schedule's end waiting arrivals may still be taken up.
const DRAIN: Duration = Duration::from_secs(5);
/// How many seconds' worth of arrivals may wait.
const BACKLOG_SECONDS: u32 = 10;
/// Least and most that may wait, whatever the rate.
const BACKLOG: (usize, usize) = (1_000, 200_000);
/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// Why nothing was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotRun {
    pub(super) verdict: Verdict,
    pub(super) message: String,
}

/// What was measured.
pub(super) struct Books {
    pub(super) scheduled: u64,
    pub(super) skipped: u64,
    pub(super) tally: Tally,
    pub(super) model: SharedModel,
    pub(super) stop: Option<Stop>,
    /// From the first moment of the schedule to the last answer.
    pub(super) elapsed: Duration,
}

/// Runs `spec` against `target` to its end. Dropping the future stops the pacer and closes the connections.
pub(super) async fn drive(
    spec: &LoadSpec,
    target: &Target,
    progress: &watch::Sender<LoadProgress>,
) -> Result<Books, NotRun> {
    let error = |message: String| NotRun { verdict: Verdict::Error, message };
    let model = keys::model(&spec.traffic, target, spec.seed).await;
    let model = model.map_err(|fault| NotRun { verdict: fault.verdict(), message: fault.to_string() })?;
    let tally = Tally::new(model.classes.len())
        .map_err(|_| error("the histograms could not be set up; this is a bug of cutover".to_owned()))?;
    let connections = open_all(spec, target, &model).await?;
    let (sender, queue) = mpsc::channel(backlog(spec.rate));
    let start = Instant::now() + HEAD_START;
    let schedule = Schedule::new(model.clone(), spec.rate, &spec.course, spec.duration, spec.seed);
    let run = Arc::new(Run {
        spec: spec.clone(),
        model,
        target: target.clone(),
        queue: AsyncMutex::new(queue),
        tally: Mutex::new(tally),
        over: CancellationToken::new(),
        start,
        deadline: start + spec.duration + DRAIN,
        last_us: AtomicU64::new(0),
        opening: Semaphore::new(OPENING),
    });
    let pacer = Pacer::start(schedule, spec.rate, start, sender).map_err(|_| {
        error("the load generator's thread could not be started; give the operator more resources".to_owned())
    })?;
    let mut workers = JoinSet::new();
    for connection in connections {
        workers.spawn(work(run.clone(), connection));
    }
    watch_over(&run, &pacer, &mut workers, progress).await;
    let books = close_books(&run, &pacer).await;
    // Every arrival is in the books exactly once, or what they say is worth nothing.
    if books.tally.taken() + books.skipped == books.scheduled {
        Ok(books)
    } else {
        Err(error("the load lost count of its arrivals; this is a bug of cutover".to_owned()))
    }
}

fn backlog(rate: u32) -> usize {
    usize::try_from(rate.saturating_mul(BACKLOG_SECONDS)).unwrap_or(BACKLOG.1).clamp(BACKLOG.0, BACKLOG.1)
}

async fn open_all(spec: &LoadSpec, target: &Target, model: &SharedModel) -> Result<Vec<Connection>, NotRun> {
    let mut opened = Vec::with_capacity(spec.connections);
    let mut opening = stream::iter(0..spec.connections)
        .map(|_| Connection::open(target, model, spec.statement_timeout))
        .buffer_unordered(OPENING);
    loop {
        match opening.try_next().await {
            Ok(Some(connection)) => opened.push(connection),
            Ok(None) => return Ok(opened),
            Err(error) => return Err(not_opened(&error, opened.len(), spec.connections)),
        }
    }
}

fn not_opened(error: &OpenError, opened: usize, wanted: usize) -> NotRun {
    let message = match error {
        OpenError::Connect(_) => format!("{opened} of {wanted} connections could be opened: {error}"),
        _ => error.to_string(),
    };
    NotRun { verdict: error.verdict(), message }
}

/// Waits for the workers, tells of progress, and ends the run early where it must.
async fn watch_over(
    run: &Run,
    pacer: &Pacer,
    workers: &mut JoinSet<()>,
    progress: &watch::Sender<LoadProgress>,
) {
    loop {
        progress.send_replace(told(run, pacer));
        tokio::select! {
            joined = workers.join_next() => if joined.is_none() { break },
            () = sleep(PROGRESS_INTERVAL) => {}
        }
        if pacer.refused() > 0 {
            run.over.cancel();
        }
    }
    progress.send_replace(told(run, pacer));
}

fn told(run: &Run, pacer: &Pacer) -> LoadProgress {
    let tally = run.tally();
    LoadProgress {
        scheduled: pacer.scheduled(),
        ok: tally.ok,
        errors: tally.errors,
        timeouts: tally.timeouts,
        elapsed: run.start.elapsed().min(run.spec.duration),
        duration: run.spec.duration,
    }
}

/// Counts what nobody took up. By then every worker is done, so what was scheduled is either in the tally or here.
async fn close_books(run: &Run, pacer: &Pacer) -> Books {
    pacer.stop();
    let mut skipped = 0;
    let mut queue = run.queue.lock().await;
    // Ends when the pacer's thread has ended, which stopping it makes a matter of microseconds.
    while queue.recv().await.is_some() {
        skipped += 1;
    }
    let tally = run.tally().clone();
    let stop = if tally.is_gross_fault() {
        Some(Stop::GrossFault)
    } else if pacer.refused() > 0 {
        Some(Stop::Backlog)
    } else {
        None
    };
    let last = Duration::from_micros(run.last_us.load(Ordering::Relaxed));
    // A schedule that was carried out took its length, even if its last arrivals were early.
    let elapsed = if stop.is_none() { last.max(run.spec.duration) } else { last };
    Books {
        scheduled: pacer.scheduled(),
        skipped: skipped + pacer.refused(),
        tally,
        model: run.model.clone(),
        stop,
        elapsed,
    }
}
