//! The service: a pool of sessions that read and write until they are told to stop.
//!
//! Decides the pace: every member has its share of the rate and its place in the second, so that the statements are
//! spread evenly and reads and writes take turns. A member whose statement failed throws its session away and comes back
//! after a pause that grows. Never repeats a write: whether it was carried out is not known, and the next has a new id.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use cutover::{api::Access, postgres::Fault};
use jiff::Timestamp;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::{MissedTickBehavior, interval, interval_at, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    database::Connection,
    ledger::{Entry, Ledger, LedgerError},
    orders::{self, Numbering},
    pause::Pause,
    readiness::{self, Kind, Pulse},
    settings::Settings,
};

/// How long statements in flight may take to finish after SIGTERM. The process is gone within a second.
const FINISH: Duration = Duration::from_millis(700);
/// How often the counts are logged.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// What all members share.
struct Shop {
    settings: Settings,
    server: String,
    ledger: Option<Ledger>,
    numbering: Numbering,
    pulse: Pulse,
    reads: AtomicU64,
    acknowledged: AtomicU64,
    faults: AtomicU64,
    stop: CancellationToken,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Where the ledger cannot be written: a write that is acknowledged and not recorded would make it worthless.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be listened for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be listened for")?;
    let ledger = settings.ledger_dir.as_deref().map(|dir| Ledger::open(dir, &settings.pod)).transpose()?;
    let shop = Arc::new(Shop {
        server: settings.target.uri.endpoint().to_string(),
        numbering: Numbering::new(&settings.pod, Timestamp::now()),
        ledger,
        settings,
        pulse: Pulse::default(),
        reads: AtomicU64::new(0),
        acknowledged: AtomicU64::new(0),
        faults: AtomicU64::new(0),
        stop: CancellationToken::new(),
    });
    let Settings { pod, pool, rate, access, .. } = &shop.settings;
    tracing::info!(pod, server = shop.server, pool, rate, ?access, "the shop opens");
    // One of an earlier container of this pod speaks for nobody.
    readiness::withdraw(&shop.settings.ready_file).context("the ready file cannot be removed")?;
    let mut tasks = JoinSet::new();
    for index in 0..*pool {
        tasks.spawn(member(shop.clone(), index));
    }
    tasks.spawn(tell_readiness(shop.clone()));
    let failed = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        failed = first_failure(&mut tasks) => failed,
    };
    shop.stop.cancel();
    let _ = readiness::withdraw(&shop.settings.ready_file);
    let finished = timeout(FINISH, first_failure(&mut tasks)).await;
    shop.report("the shop closes");
    failed.and(finished.unwrap_or(Ok(())))
}

/// The first task that fails; `Ok` when all are over.
async fn first_failure(tasks: &mut JoinSet<Result<(), LedgerError>>) -> anyhow::Result<()> {
    while let Some(ended) = tasks.join_next().await {
        ended.context("a task of the shop broke off")??;
    }
    Ok(())
}

/// One session of the pool, opened again whenever it is lost.
async fn member(shop: Arc<Shop>, index: u16) -> Result<(), LedgerError> {
    let mut pause = Pause::default();
    loop {
        let opened = tokio::select! {
            biased;
            () = shop.stop.cancelled() => return Ok(()),
            opened = Connection::open(&shop.settings.target, shop.settings.access) => opened,
        };
        match opened {
            Ok(connection) => match shop.work(&connection, index, &mut pause).await? {
                Ok(()) => {
                    connection.close().await;
                    return Ok(());
                }
                Err(fault) => shop.note_fault(index, &fault),
            },
            Err(error) => shop.note_fault(index, &error),
        }
        tokio::select! {
            () = shop.stop.cancelled() => return Ok(()),
            () = sleep(pause.after_fault()) => {}
        }
    }
}

impl Shop {
    /// Statements at this member's share of the rate. Ends with a fault, or with `Ok` when the shop closes.
    async fn work(
        &self,
        connection: &Connection,
        index: u16,
        pause: &mut Pause,
    ) -> Result<Result<(), Fault>, LedgerError> {
        let period = period(self.settings.pool, self.settings.rate);
        let place = period / u32::from(self.settings.pool) * u32::from(index);
        let mut ticks = interval_at(tokio::time::Instant::now() + place, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut kind = first_kind(index);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(Ok(())),
                _ = ticks.tick() => {}
            }
            let done = if kind == Kind::Write && self.settings.access == Access::ReadWrite {
                self.write(connection).await?
            } else {
                self.read(connection).await
            };
            if let Err(fault) = done {
                return Ok(Err(fault));
            }
            pause.after_success();
            kind = match kind {
                Kind::Read => Kind::Write,
                Kind::Write => Kind::Read,
            };
        }
    }

    async fn read(&self, connection: &Connection) -> Result<(), Fault> {
        connection.run(orders::read(connection.session())).await?;
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.pulse.beat(Kind::Read, Instant::now());
        Ok(())
    }

    async fn write(&self, connection: &Connection) -> Result<Result<(), Fault>, LedgerError> {
        let order = self.numbering.next();
        if let Err(fault) = connection.run(orders::insert(connection.session(), &order)).await {
            return Ok(Err(fault));
        }
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        self.pulse.beat(Kind::Write, Instant::now());
        if let Some(ledger) = &self.ledger {
            ledger.append(&Entry {
                at: Timestamp::now().to_string(),
                order,
                server: self.server.clone(),
                user: self.settings.target.uri.user().to_owned(),
            })?;
        }
        Ok(Ok(()))
    }

    fn note_fault(&self, member: u16, why: &dyn std::fmt::Display) {
        self.faults.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(member, server = self.server, "{why}");
    }

    fn report(&self, what: &str) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        tracing::info!(
            server = self.server,
            reads = count(&self.reads),
            acknowledged = count(&self.acknowledged),
            faults = count(&self.faults),
            "{what}"
        );
    }
}

/// Keeps the ready file as old as the truth, and logs the counts now and then.
async fn tell_readiness(shop: Arc<Shop>) -> Result<(), LedgerError> {
    let mut ticks = interval(readiness::REFRESH);
    let mut was_ready = false;
    let mut reported = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = shop.stop.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let now = Instant::now();
        let is_ready = shop.pulse.is_ready(shop.settings.access, now);
        if let Err(error) = readiness::publish(&shop.settings.ready_file, is_ready) {
            tracing::error!(%error, "the ready file cannot be kept");
        }
        if is_ready != was_ready {
            shop.report(if is_ready { "ready" } else { "not ready" });
            was_ready = is_ready;
        }
        if now.saturating_duration_since(reported) >= REPORT_EVERY {
            shop.report("working");
            reported = now;
        }
    }
}

/// How often each of `pool` members sends a statement, for `rate` a second in all.
fn period(pool: u16, rate: u32) -> Duration {
    Duration::from_secs(u64::from(pool)) / rate.max(1)
}

/// Neighbours begin with different kinds, so that both kinds are always under way.
fn first_kind(index: u16) -> Kind {
    if index.is_multiple_of(2) { Kind::Read } else { Kind::Write }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_share_the_rate() {
        assert_eq!(period(1, 20), Duration::from_millis(50));
        assert_eq!(period(10, 20), Duration::from_millis(500));
        assert_eq!(period(3, 1), Duration::from_secs(3));
    }
}
