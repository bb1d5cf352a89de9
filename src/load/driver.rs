//! Puts the load on: opens the connections, lets the pacer hand out arrivals, and closes the books.
//!
//! Open loop: arrivals come when they are due, whether or not the server keeps up, and wait in a queue for a free
//! connection, which is part of their latency. Every arrival ends in exactly one of four ways: it was answered, it
//! failed, it ran into the timeout, or it was skipped because no connection was free until the end.
//! Two servers have a lane each: queues and connections of their own, so that one that is slow holds up none but itself.
//! Never sends an arrival twice, and never waits for longer than the schedule, a drain and a statement's timeout.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, future::try_join_all, stream};
use jiff::Timestamp;
use tokio::{
    sync::{Mutex as AsyncMutex, Semaphore, mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    LoadProgress, LoadSpec, Targets,
    books::Books,
    connection::{Connection, OpenError},
    deal::Deal,
    duet::{Arm, HALVES_PER_SECOND},
    guard::{GuardError, GuardStop, LegacyLatency},
    keys,
    model::SharedModel,
    overseer::{Watch, Watched},
    pacer::{Due, Pacer, Plan},
    processor,
    progress::Teller,
    schedule::Schedule,
    taken::{LaneTaken, Taken},
    timeline::Timeline,
    worker::{Lane, Run, work},
};
use crate::{
    api::{Access, Verdict},
    postgres::Target,
};

/// Connections to a server that are opened at the same time: a storm of logins is a load of its own.
const OPENING: usize = 4;
/// From the last connection to the first arrival.
const HEAD_START: Duration = Duration::from_millis(20);
/// How long after the schedule's end waiting arrivals may still be taken up.
const DRAIN: Duration = Duration::from_secs(5);
/// How many seconds' worth of arrivals may wait.
const BACKLOG_SECONDS: u32 = 10;
/// Least and most that may wait, whatever the rate.
const BACKLOG: (usize, usize) = (1_000, 200_000);

/// Why nothing was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotRun {
    pub(super) verdict: Verdict,
    pub(super) message: String,
}

impl From<GuardError> for NotRun {
    fn from(error: GuardError) -> Self {
        Self { verdict: error.verdict(), message: error.to_string() }
    }
}

impl NotRun {
    fn error(message: impl Into<String>) -> Self {
        Self { verdict: Verdict::Error, message: message.into() }
    }
}

/// Runs `spec` against `targets` to its end. Dropping the future stops the pacer and closes the connections.
pub(super) async fn drive(
    spec: &LoadSpec,
    targets: &Targets,
    guard: impl Future<Output = GuardStop>,
    progress: &watch::Sender<LoadProgress>,
) -> Result<Taken, NotRun> {
    let sides = targets.sides();
    let model = keys::model(&spec.traffic, sides[0].1, spec.seed).await;
    let model = model.map_err(|fault| about(&sides, sides[0].0, fault.verdict(), &fault.to_string()))?;
    refuse_writes_on_legacy(spec, &model, targets)?;
    let prepared = Prepared::new(spec, &sides, &model).await?;
    carry_out(spec, &sides, model, prepared, guard, progress).await
}

/// A side's fault, told with its name where there are two. What legacy can't do is no fault of the candidate.
fn about(sides: &[(Arm, &Target)], arm: Arm, verdict: Verdict, message: &str) -> NotRun {
    match (sides.len(), arm) {
        (1, _) => NotRun { verdict, message: message.to_owned() },
        (_, Arm::Legacy) => NotRun::error(format!("legacy: {message}")),
        (_, Arm::Candidate) => NotRun { verdict, message: format!("candidate: {message}") },
    }
}

fn refuse_writes_on_legacy(spec: &LoadSpec, model: &SharedModel, targets: &Targets) -> Result<(), NotRun> {
    let writes = model.classes.iter().find(|class| !class.read_only);
    match (targets, writes) {
        (Targets::Duet { .. }, Some(class)) if spec.legacy_access == Access::ReadOnly => {
            Err(NotRun::error(format!(
                "the traffic writes ({}), and a duet carries it out on legacy, too: allow that with \
                 legacyAccess: ReadWrite, give the statement access: ReadOnly, or load the candidate alone with \
                 mode: Candidate",
                class.name
            )))
        }
        _ => Ok(()),
    }
}

/// What must be ready before the first arrival is due.
struct Prepared {
    /// By lane.
    connections: Vec<Vec<Connection>>,
    books: Books,
    timeline: Timeline,
}

impl Prepared {
    async fn new(spec: &LoadSpec, sides: &[(Arm, &Target)], model: &SharedModel) -> Result<Self, NotRun> {
        let warm_up = warm_up(spec, sides);
        let bug = |_| NotRun::error("the books could not be set up; this is a bug of cutover");
        let names: Vec<_> = model.classes.iter().map(|class| class.name.clone()).collect();
        let arms = sides.iter().map(|(arm, _)| *arm).collect();
        let timeline = Timeline::new(&names, arms, seconds(warm_up), seconds(spec.longest()));
        let timeline = timeline.map_err(|error| NotRun::error(error.to_string()))?;
        let books = Books::new(sides.len(), seconds(warm_up)).map_err(bug)?;
        let open = sides.iter().map(|(arm, target)| async move {
            let opened = open_all(spec, target, model).await;
            opened.map_err(|not_run| about(sides, *arm, not_run.verdict, &not_run.message))
        });
        Ok(Self { connections: try_join_all(open).await?, books, timeline })
    }
}

/// Without a bound of the spec one is taken from the warm-up, which legacy alone does not have.
fn guards_legacy(spec: &LoadSpec, arms: &[Arm]) -> bool {
    arms.contains(&Arm::Legacy) && (arms.len() > 1 || spec.guard.legacy_p95.is_some())
}

/// One server alone is measured from its first statement on: a cache that is cold is what the application will find.
fn warm_up(spec: &LoadSpec, sides: &[(Arm, &Target)]) -> Duration {
    if sides.len() > 1 { spec.warm_up } else { Duration::ZERO }
}

/// Whole seconds, a part of one counted as one.
fn seconds(length: Duration) -> u32 {
    u32::try_from(length.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX)
}

async fn carry_out(
    spec: &LoadSpec,
    sides: &[(Arm, &Target)],
    model: SharedModel,
    prepared: Prepared,
    guard: impl Future<Output = GuardStop>,
    progress: &watch::Sender<LoadProgress>,
) -> Result<Taken, NotRun> {
    let warm_up = warm_up(spec, sides);
    let start = begin(spec)?;
    let run = Arc::new(Run {
        statement_timeout: spec.statement_timeout,
        books: Mutex::new(prepared.books),
        over: CancellationToken::new(),
        given_up: CancellationToken::new(),
        start,
        deadline: start + warm_up + spec.longest() + DRAIN,
        last_us: AtomicU64::new(0),
    });
    let (queues, lanes) = lanes(spec, sides, &model, &run);
    let pacer = Pacer::start(plan(spec, model.clone(), warm_up, start, queues)).map_err(|_| {
        NotRun::error("the load generator's thread could not be started; give the operator more resources")
    })?;
    let cpu = processor::time();
    let mut workers = JoinSet::new();
    for (lane, connections) in lanes.iter().zip(prepared.connections) {
        for connection in connections {
            workers.spawn(work(lane.clone(), connection));
        }
    }
    let arms: Vec<_> = sides.iter().map(|(arm, _)| *arm).collect();
    let watch = Watch {
        run: &run,
        pacer: &pacer,
        arms: &arms,
        // A part of a schedule tells too little: the whole is judged once all parts are there.
        rules: (arms.len() > 1 && spec.share.count == 1).then(|| spec.rules()),
        legacy: guards_legacy(spec, &arms).then(|| LegacyLatency::new(&spec.guard)),
        timeline: prepared.timeline,
        progress,
        teller: Teller { arms: arms.clone(), warm_up, duration: spec.longest() },
    };
    let watched = watch.over(&mut workers, guard).await;
    let cpu = processor::time().saturating_sub(cpu);
    close(spec, &run, &pacer, &lanes, arms, model, watched, cpu).await
}

/// When the schedule begins.
fn begin(spec: &LoadSpec) -> Result<Instant, NotRun> {
    let Some(begin_at) = spec.begin_at else { return Ok(Instant::now() + HEAD_START) };
    match Duration::try_from(begin_at.duration_since(Timestamp::now())) {
        Ok(left) => Ok(Instant::now() + left),
        Err(_) => Err(NotRun::error(
            "its connections were not open yet when all processes of the load were to begin; lower connections, or see \
             why the server is slow to log in",
        )),
    }
}

fn plan(
    spec: &LoadSpec,
    model: SharedModel,
    warm_up: Duration,
    start: Instant,
    queues: Vec<mpsc::Sender<Due>>,
) -> Plan {
    let length = warm_up + spec.longest();
    let course = spec.course.clone().delayed(warm_up);
    let schedule = Schedule::new(model, spec.rate, &course, length, spec.seed);
    let deal = Deal::new(schedule, queues.len() > 1, spec.share, spec.seed);
    Plan { deal, rate: spec.rate.div_ceil(spec.share.count.max(1)), start, seconds: seconds(length), queues }
}

fn lanes(
    spec: &LoadSpec,
    sides: &[(Arm, &Target)],
    model: &SharedModel,
    run: &Arc<Run>,
) -> (Vec<mpsc::Sender<Due>>, Vec<Arc<Lane>>) {
    let lane = |(index, (_, target)): (usize, &(Arm, &Target))| {
        let (sender, queue) = mpsc::channel(backlog(spec.rate));
        let lane = Lane {
            run: run.clone(),
            index,
            target: (*target).clone(),
            model: model.clone(),
            queue: AsyncMutex::new(queue),
            opening: Semaphore::new(OPENING),
        };
        (sender, Arc::new(lane))
    };
    sides.iter().enumerate().map(lane).unzip()
}

fn backlog(rate: u32) -> usize {
    usize::try_from(rate.saturating_mul(BACKLOG_SECONDS)).unwrap_or(BACKLOG.1).clamp(BACKLOG.0, BACKLOG.1)
}

async fn open_all(spec: &LoadSpec, target: &Target, model: &SharedModel) -> Result<Vec<Connection>, NotRun> {
    let wanted = spec.own_connections();
    let mut opened = Vec::with_capacity(wanted);
    let mut opening = stream::iter(0..wanted)
        .map(|_| Connection::open(target, model, spec.statement_timeout))
        .buffer_unordered(OPENING);
    loop {
        match opening.try_next().await {
            Ok(Some(connection)) => opened.push(connection),
            Ok(None) => return Ok(opened),
            Err(error) => return Err(not_opened(&error, opened.len(), wanted)),
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

/// Counts what nobody took up. By then every worker is done, so what was scheduled is either in a tally or here.
#[allow(clippy::too_many_arguments, reason = "the parts of one run, brought together at its end")]
async fn close(
    spec: &LoadSpec,
    run: &Run,
    pacer: &Pacer,
    lanes: &[Arc<Lane>],
    arms: Vec<Arm>,
    model: SharedModel,
    watched: Watched,
    cpu: Duration,
) -> Result<Taken, NotRun> {
    pacer.stop();
    let warm = watched.timeline.warm_seconds();
    let first = warm * HALVES_PER_SECOND;
    let mut taken = Vec::with_capacity(lanes.len());
    for (lane, arm) in lanes.iter().zip(arms) {
        let (mut skipped, mut queue) = (0, lane.queue.lock().await);
        // Ends when the pacer's thread has ended, which stopping it makes a matter of microseconds.
        while let Some(due) = queue.recv().await {
            skipped += u64::from(due.half >= first);
        }
        let scheduled = (first..first + seconds(spec.longest()) * HALVES_PER_SECOND)
            .map(|half| u64::from(pacer.handed(half).nth(lane.index).unwrap_or(0)))
            .sum();
        let tally = run.books().tallies[lane.index].clone();
        let refused = pacer.refused(lane.index);
        let is_after_warm_up = pacer.halves() >= first;
        taken.push(LaneTaken {
            arm,
            scheduled,
            skipped: skipped + if is_after_warm_up { refused } else { 0 },
            tally,
        });
    }
    // Every arrival is in the books exactly once, or what they say is worth nothing.
    if !taken.iter().all(LaneTaken::is_conserved) {
        return Err(NotRun::error("the load lost count of its arrivals; this is a bug of cutover"));
    }
    let warm_up = Duration::from_secs(warm.into());
    let last = Duration::from_micros(run.last_us.load(Ordering::Relaxed)).saturating_sub(warm_up);
    // A schedule that was carried out took its length, even if its last arrivals were early.
    let elapsed = if watched.stop.is_none() { last.max(spec.longest()) } else { last };
    let statements = taken.iter().map(|lane| lane.tally.taken()).sum::<u64>() + run.books().warm;
    Ok(Taken {
        lanes: taken,
        shares: model.shares(),
        recording: watched.timeline.into_measured(),
        look: watched.look,
        stop: watched.stop,
        elapsed,
        cpu,
        statements,
        processes: 1,
    })
}
