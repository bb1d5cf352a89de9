//! Puts the load on: opens the connections, lets the pacer hand out arrivals, and closes the books.
//!
//! Open loop: arrivals come when they are due, whether or not the server keeps up, and wait in a queue for a free
//! connection, which is part of their latency. Every arrival ends in exactly one of four ways: it was answered, it
//! failed, it ran into the timeout, or it was skipped because no connection was free until the end.
//! Two servers have a lane each: queues and connections of their own, so that one that is slow holds up none but itself.
//! Never sends an arrival twice, and never waits for longer than the schedule, a drain and a statement's timeout.

use std::{
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    LoadSpec, Targets,
    connection::Terms,
    deal::Deal,
    duet::Arm,
    guard::{GuardError, GuardStop, ServingLatency, Watch},
    keys,
    model::SharedModel,
    overseer::{Judging, Overseer},
    pacer::{Due, Pacer, Plan},
    processor::{self, Busy},
    progress::{Standing, Teller},
    queue::{self, queue},
    schedule::Schedule,
    taken::Taken,
    worker::{Lane, Run, work},
};
use crate::{
    api::{Access, Verdict, Via},
    postgres::Target,
};

mod close;
mod prepare;

use close::Over;
use prepare::{Prepared, about};

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
    pub(super) fn error(message: impl Into<String>) -> Self {
        Self { verdict: Verdict::Error, message: message.into() }
    }
}

/// Runs `spec` against `targets` to its end. Nothing else should run on its thread: it paces there, too. Dropping the future
/// stops the pacer and closes the connections.
pub(super) async fn drive(
    spec: &LoadSpec,
    targets: &Targets,
    guard: Watch,
    told: &mut (dyn FnMut(Standing) + Send),
) -> Result<Taken, NotRun> {
    let sides = targets.sides();
    let via = guard.via();
    let mut guard = std::pin::pin!(guard.watch());
    // Reading keys and logging in take their time, and connections, too.
    let (model, prepared) = tokio::select! {
        ready = get_ready(spec, targets, &sides, via) => ready?,
        why = &mut guard => return Err(NotRun {
            verdict: Verdict::Inconclusive,
            message: format!("ended before it began, to leave the servers to the application: {why}"),
        }),
    };
    carry_out(spec, &sides, model, prepared, guard, told).await
}

async fn get_ready(
    spec: &LoadSpec,
    targets: &Targets,
    sides: &[(Arm, &Target)],
    via: Via,
) -> Result<(SharedModel, Prepared), NotRun> {
    let model = keys::model(&spec.traffic, sides[0].1, spec.seed).await;
    let model = model.map_err(|fault| about(sides, sides[0].0, fault.verdict(), &fault.to_string()))?;
    refuse_writes_on_legacy(spec, &model, targets)?;
    if spec.share.count == 1 {
        // Reading counters and keys took its time.
        Watch::admit_again(targets, &spec.guard, spec.connections).await?;
    }
    let prepared = Prepared::new(spec, sides, &model, via).await?;
    Ok((model, prepared))
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

/// One server alone is measured from its first statement on: a cache that is cold is what the application will find.
pub(super) fn warm_up(spec: &LoadSpec, servers: usize) -> Duration {
    if servers > 1 { spec.warm_up } else { Duration::ZERO }
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
    told: &mut (dyn FnMut(Standing) + Send),
) -> Result<Taken, NotRun> {
    let warm_up = warm_up(spec, sides.len());
    let start = begin(spec)?;
    let end = start + warm_up + spec.longest();
    let run = Arc::new(Run {
        arms: sides.iter().map(|(arm, _)| *arm).collect(),
        statement_timeout: spec.statement_timeout,
        books: Mutex::new(prepared.books),
        over: CancellationToken::new(),
        start,
        end,
        deadline: end + DRAIN,
        last_us: AtomicU64::new(0),
    });
    let terms = prepared.terms;
    let (queues, lanes) = lanes(spec, sides, &model, terms, &run);
    let pacer = Pacer::start(plan(spec, model.clone(), warm_up, start, queues)).map_err(|_| {
        NotRun::error(
            "the load generator's timer could not be set up; see how many files the process may open",
        )
    })?;
    let cpu = processor::time();
    let mut workers = JoinSet::new();
    for (lane, connections) in lanes.iter().zip(prepared.connections) {
        for connection in connections {
            workers.spawn(work(lane.clone(), connection));
        }
    }
    let overseer = Overseer {
        run: &run,
        pacer: &pacer,
        judging: judging(spec, &run.arms),
        serving: serving(spec, &run.arms).map(|arm| ServingLatency::new(arm, &spec.guard)),
        timeline: prepared.timeline,
        busy: Busy::new(start, warm_up + spec.longest()),
        teller: Teller { warm_up, duration: spec.longest() },
        told,
    };
    let overseen = overseer.oversee(&mut workers, guard).await;
    let cpu = processor::time().saturating_sub(cpu);
    let (shares, via) = (model.shares(), terms.via());
    let over = Over { spec, run: &run, pacer: &pacer, lanes: &lanes, shares, cpu, via };
    over.close(overseen).await
}

/// The side whose own latency ends the load. In a duet the candidate is held against legacy, and its gross faults end it; where both
/// stand in a queue, this does.
fn serving(spec: &LoadSpec, arms: &[Arm]) -> Option<Arm> {
    [Arm::Legacy, spec.application_on].into_iter().find(|arm| arms.contains(arm))
}

/// Whichever side is alone is what is judged.
fn judging(spec: &LoadSpec, arms: &[Arm]) -> Judging {
    let processes = spec.share.count;
    match arms {
        [_] if spec.is_baseline => Judging::Measurement,
        [arm] => Judging::Alone { arm: *arm, allowed: spec.max_error.share(), processes },
        _ if processes == 1 => Judging::Duet(spec.rules()),
        _ => Judging::Part(processes),
    }
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
    queues: Vec<queue::Sender<Due>>,
) -> Plan {
    let length = warm_up + spec.longest();
    let course = spec.course.clone().warmed_up(warm_up);
    let schedule = Schedule::new(model, spec.rate, &course, length, spec.seed);
    let deal = Deal::new(schedule, queues.len() > 1, spec.share, spec.seed);
    Plan { deal, rate: spec.rate.div_ceil(spec.share.count.max(1)), start, seconds: seconds(length), queues }
}

fn lanes(
    spec: &LoadSpec,
    sides: &[(Arm, &Target)],
    model: &SharedModel,
    terms: Terms,
    run: &Arc<Run>,
) -> (Vec<queue::Sender<Due>>, Vec<Arc<Lane>>) {
    let lane = |(index, (arm, target)): (usize, &(Arm, &Target))| {
        let (sender, queue) = queue(backlog(spec.rate));
        let lane = Lane {
            run: run.clone(),
            index,
            arm: *arm,
            target: (*target).clone(),
            model: model.clone(),
            terms,
            queue,
            opening: Semaphore::new(OPENING),
        };
        (sender, Arc::new(lane))
    };
    sides.iter().enumerate().map(lane).unzip()
}

fn backlog(rate: u32) -> usize {
    usize::try_from(rate.saturating_mul(BACKLOG_SECONDS)).unwrap_or(BACKLOG.1).clamp(BACKLOG.0, BACKLOG.1)
}
