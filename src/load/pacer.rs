//! Hands arrivals out when they are due.
//!
//! Shares the load's own thread with its connections: to hand an arrival over to another thread would cost two more wake-ups,
//! which is an eighth of what a statement costs. It sleeps until shortly before an arrival is due and spins for the rest,
//! looking after the connections meanwhile, unless the rate is so high that this would take a core; then being a few tens of
//! microseconds late costs less, and is counted in the latency.
//! Never waits for the server: a full queue means that the load has failed. Stops when its owner is dropped.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{task::yield_now, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    alarm::Alarm,
    deal::{Deal, Dealt},
    duet::HALVES_PER_SECOND,
    queue::{Full, Sender},
    schedule::Call,
};

/// How long before an arrival spinning begins: what waking up from a sleep takes at worst, usually.
const SPIN: Duration = Duration::from_micros(100);
/// Highest rate that is spun for: at most a fifth of a core.
const MAX_SPIN_RATE: u32 = 2_000;

/// Arrivals that are handed out at once, being late, before the connections have their turn.
const BURST: u32 = 64;

/// An arrival that is due.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) call: Call,
    /// The half second that it was due in, since the start.
    pub(super) half: u32,
    /// When it was due.
    pub(super) scheduled: Instant,
    /// When it was handed out.
    pub(super) handed: Instant,
}

/// What is to be handed out, and where to.
pub(super) struct Plan {
    pub(super) deal: Deal,
    /// Arrivals per second of this process, at the most.
    pub(super) rate: u32,
    pub(super) start: Instant,
    /// Length of the schedule, in seconds.
    pub(super) seconds: u32,
    /// One for each lane.
    pub(super) queues: Vec<Sender<Due>>,
}

/// What it has done so far.
#[derive(Debug)]
struct Shared {
    /// By half second, then by lane.
    handed: Vec<Vec<AtomicU32>>,
    /// By lane.
    refused: Vec<AtomicU64>,
    /// All that is due before this has been handed out, in microseconds since the start.
    horizon_us: AtomicU64,
    /// The latest that one was handed out.
    longest_lag_us: AtomicU64,
}

/// The running task; dropping this stops it.
#[derive(Debug)]
pub(super) struct Pacer {
    shared: Arc<Shared>,
    stop: CancellationToken,
    start: Instant,
}

impl Pacer {
    /// Starts handing out. When the schedule is over, the queues' senders are dropped.
    pub(super) fn start(plan: Plan) -> io::Result<Self> {
        let lanes = plan.queues.len();
        let half = || (0..lanes).map(|_| AtomicU32::new(0)).collect();
        let shared = Arc::new(Shared {
            handed: (0..plan.seconds * HALVES_PER_SECOND).map(|_| half()).collect(),
            refused: (0..lanes).map(|_| AtomicU64::new(0)).collect(),
            horizon_us: AtomicU64::new(0),
            longest_lag_us: AtomicU64::new(0),
        });
        let (alarm, start, stop) = (Alarm::new()?, plan.start, CancellationToken::new());
        let pacing = pace(plan, alarm, shared.clone());
        let until = stop.clone();
        tokio::spawn(async move { until.run_until_cancelled_owned(pacing).await });
        Ok(Self { shared, stop, start })
    }

    /// Ends the schedule here.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Arrivals that were due in a half second so far, by lane.
    pub(super) fn handed(&self, half: u32) -> impl Iterator<Item = u32> {
        let half = usize::try_from(half).unwrap_or(usize::MAX);
        self.shared.handed.get(half).into_iter().flatten().map(|count| count.load(Ordering::Acquire))
    }

    /// Arrivals that were due since the beginning of a half second, so far, by lane.
    pub(super) fn handed_since(&self, first: u32) -> Vec<u64> {
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let mut all = vec![0; self.shared.refused.len()];
        for half in self.shared.handed.iter().skip(first) {
            for (sum, count) in all.iter_mut().zip(half) {
                *sum += u64::from(count.load(Ordering::Acquire));
            }
        }
        all
    }

    /// Those of all arrivals of a lane that its queue had no room for; the first ends the schedule.
    pub(super) fn refused(&self, lane: usize) -> u64 {
        self.shared.refused.get(lane).map_or(0, |refused| refused.load(Ordering::Acquire))
    }

    /// The latest that an arrival was handed out so far.
    pub(super) fn longest_lag(&self) -> Duration {
        Duration::from_micros(self.shared.longest_lag_us.load(Ordering::Acquire))
    }

    /// Half seconds that are over, and of which every arrival has been handed out. Where nothing is due for a while, the
    /// next arrival is far ahead of the clock.
    pub(super) fn halves(&self) -> u32 {
        let handed = Duration::from_micros(self.shared.horizon_us.load(Ordering::Acquire));
        half_of(handed.min(self.start.elapsed()))
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
impl Pacer {
    /// One that has got so far: `handed` by half second, then by lane.
    pub(super) fn after<const LANES: usize>(halves: u32, handed: &[[u32; LANES]]) -> Self {
        let over = Duration::from_millis((halves * 1_000 / HALVES_PER_SECOND).into());
        let count = |lanes: &[u32; LANES]| lanes.map(AtomicU32::new).into();
        let shared = Shared {
            handed: handed.iter().map(count).collect(),
            refused: Vec::new(),
            horizon_us: AtomicU64::new(u64::from(halves) * 1_000_000 / u64::from(HALVES_PER_SECOND)),
            longest_lag_us: AtomicU64::new(0),
        };
        let start = Instant::now().checked_sub(over).unwrap();
        Self { shared: Arc::new(shared), stop: CancellationToken::new(), start }
    }
}

/// The half second that is over last, or running, at a moment since the start.
fn half_of(at: Duration) -> u32 {
    u32::try_from(at.as_millis() * u128::from(HALVES_PER_SECOND) / 1_000).unwrap_or(u32::MAX)
}

async fn pace(plan: Plan, alarm: Alarm, shared: Arc<Shared>) {
    let spin = if plan.rate <= MAX_SPIN_RATE { SPIN } else { Duration::ZERO };
    let micros = |at: Duration| u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
    let mut burst = 0;
    for Dealt { arrival, lane } in plan.deal {
        shared.horizon_us.store(micros(arrival.at), Ordering::Release);
        let scheduled = plan.start + arrival.at;
        burst = if wait_until(scheduled, spin, &alarm).await { 0 } else { burst + 1 };
        if burst == BURST {
            burst = 0;
            yield_now().await;
        }
        let half = half_of(arrival.at);
        let Some(handed) = shared.handed.get(usize::try_from(half).unwrap_or(usize::MAX)) else { return };
        handed[lane].fetch_add(1, Ordering::AcqRel);
        let due = Due { call: arrival.call, half, scheduled, handed: Instant::now() };
        shared.longest_lag_us.fetch_max(micros(due.handed - scheduled), Ordering::AcqRel);
        if plan.queues[lane].send(due) == Err(Full) {
            shared.refused[lane].fetch_add(1, Ordering::AcqRel);
            return;
        }
    }
    wait_until(plan.start + Duration::from_secs(plan.seconds.into()), spin, &alarm).await;
    shared.horizon_us.store(u64::from(plan.seconds) * 1_000_000, Ordering::Release);
}

/// Whether it was still to come.
async fn wait_until(moment: Instant, spin: Duration, alarm: &Alarm) -> bool {
    let mut is_ahead = false;
    loop {
        let left = moment.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return is_ahead;
        }
        is_ahead = true;
        if left <= spin {
            yield_now().await;
        } else if alarm.wait(left.saturating_sub(spin)).await.is_err() {
            // Coarse, but the lateness is measured.
            sleep(left).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{ArrivalProcess, RatePoint},
        load::{course::Course, fixtures, queue::queue, spec::Share},
    };

    fn plan(rate: u32, seconds: u32, sender: Sender<Due>) -> Plan {
        along(&Course::default(), rate, seconds, sender)
    }

    fn along(course: &Course, rate: u32, seconds: u32, sender: Sender<Due>) -> Plan {
        let schedule = fixtures::schedule(course, &fixtures::one_statement(), rate, seconds, 1);
        let deal = Deal::new(schedule, false, Share::ALL, 1);
        Plan { deal, rate, start: Instant::now(), seconds, queues: vec![sender] }
    }

    #[tokio::test]
    async fn every_arrival_is_handed_out_when_it_is_due_and_not_before() {
        let (sender, due) = queue(2_000);
        let plan = plan(500, 1, sender);
        let expected = plan.deal.clone().count();
        let pacer = Pacer::start(plan).unwrap();
        let mut seen = 0;
        while let Some(due) = due.next().await {
            assert!(due.handed >= due.scheduled && due.half < HALVES_PER_SECOND);
            seen += 1;
        }
        let handed: u32 = (0..HALVES_PER_SECOND).flat_map(|half| pacer.handed(half)).sum();
        assert_eq!(
            (seen, usize::try_from(handed).unwrap(), pacer.refused(0), pacer.halves()),
            (expected, expected, 0, HALVES_PER_SECOND)
        );
    }

    #[tokio::test]
    async fn half_seconds_of_a_gap_in_the_schedule_are_over_when_the_clock_says_so_and_not_before() {
        let point = |at: &str, percent| RatePoint { at: at.to_owned(), percent };
        let gap = [point("1s", 100), point("1s", 0), point("1h", 0), point("1h", 100)];
        let course = Course::new(&gap, ArrivalProcess::Fixed).unwrap();
        let (sender, due) = queue(100);
        // What comes before the gap is due already.
        let start = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        let pacer = Pacer::start(Plan { start, ..along(&course, 10, 3_700, sender) }).unwrap();
        for _ in 0..10 {
            due.next().await.unwrap();
        }
        while pacer.shared.horizon_us.load(Ordering::Acquire) < 3_600_000_000 {
            tokio::task::yield_now().await;
        }
        let (halves, most) = (pacer.halves(), half_of(start.elapsed()));
        assert!((4..=most).contains(&halves), "{halves} of {most}");
    }

    #[tokio::test]
    async fn a_full_queue_ends_the_schedule_and_loses_nothing_from_the_books() {
        let (sender, due) = queue(5);
        let start = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        let pacer = Pacer::start(Plan { start, ..plan(1000, 60, sender) }).unwrap();
        while pacer.refused(0) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut seen = 0;
        while due.next().await.is_some() {
            seen += 1;
        }
        assert_eq!((seen, pacer.handed(0).sum::<u32>()), (5, 6));
        assert!(pacer.longest_lag() >= Duration::from_secs(1), "{:?}", pacer.longest_lag());
        // What was not handed out is not over, however late it is.
        assert_eq!(pacer.halves(), 0);
    }

    #[tokio::test]
    async fn dropping_the_pacer_stops_it_while_it_waits() {
        let (sender, due) = queue(5);
        let late = Plan { start: Instant::now() + Duration::from_secs(5), ..plan(1, 3600, sender) };
        let pacer = Pacer::start(late).unwrap();
        let dropped = Instant::now();
        drop(pacer);
        assert!(due.next().await.is_none());
        assert!(dropped.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_pacer_that_is_behind_lets_others_have_their_turn() {
        let (sender, due) = queue(200_000);
        let start = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        let pacer = Pacer::start(Plan { start, ..plan(1_000, 60, sender) }).unwrap();
        due.next().await.unwrap();
        // All on one thread: had it gone on to the end, this would see all of it.
        assert!(pacer.handed_since(0)[0] <= u64::from(BURST) + 1, "{}", pacer.handed_since(0)[0]);
    }
}
