//! Watches over a running load: tells of its progress, looks at every half second that is complete, and ends it where it must.
//!
//! Ends it when the duet has a verdict or what is judged is plainly bad, when most of what is sent fails, when a server has fallen behind beyond hope, or when
//! a guard says that the application would suffer. What has been sent by then is waited for and booked all the same.

use std::time::Duration;

use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{
    duet::{Arm, Look, LookVerdict, Recording},
    guard::{GuardStop, MIN_CALLS, NO_ANSWER_US, ServingLatency},
    pacer::Pacer,
    processor::Busy,
    progress::{Standing, Teller},
    taken::Stop,
    timeline::Timeline,
    worker::Run,
};

mod judging;

pub(super) use judging::Judging;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(250);
/// How long what is in flight is waited for where the load was ended for something that went wrong: whoever waits for the
/// verdict has to act on it.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// The first one in so many parts of the warm-up, or more where that has too few calls, tells how fast the server is by itself.
const LIGHT_PART: u32 = 3;
/// The same of one side alone, in seconds, or more where they have too few calls.
const FIRST_SECONDS: u32 = 3;
/// Most seconds whose calls together tell that server's percentile.
const SERVING_SECONDS_MAX: u32 = 10;

/// A running load, and what is needed to watch over it.
pub(super) struct Overseer<'a> {
    pub(super) run: &'a Run,
    pub(super) pacer: &'a Pacer,
    pub(super) judging: Judging,
    /// Of a load on the server that the application is on.
    pub(super) serving: Option<ServingLatency>,
    pub(super) timeline: Timeline,
    pub(super) teller: Teller,
    /// Of the load's thread, which this runs on.
    pub(super) busy: Busy,
    /// Is told where the load stands, often.
    pub(super) told: &'a mut (dyn FnMut(Standing) + Send),
}

/// What came of it.
pub(super) struct Overseen {
    pub(super) timeline: Timeline,
    /// The last look at the duet.
    pub(super) look: Option<Look>,
    pub(super) stop: Option<Stop>,
    /// How busy the thread was, while it was busiest.
    pub(super) busy_permille: u32,
}

impl Overseer<'_> {
    /// Until every worker is done. `guard` ends when the application would suffer, and says why.
    pub(super) async fn oversee(
        mut self,
        workers: &mut JoinSet<()>,
        guard: impl Future<Output = GuardStop>,
    ) -> Overseen {
        let mut guard = std::pin::pin!(guard);
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut look, mut stop) = (None, None);
        let mut last_wait = std::pin::pin!(sleep(Duration::ZERO));
        loop {
            let mut guarded = None;
            tokio::select! {
                joined = workers.join_next() => if joined.is_none() { break },
                _ = ticks.tick() => {}
                () = &mut last_wait, if stop.as_ref().is_some_and(|stop| is_trouble(stop, look.as_ref())) => {
                    workers.abort_all();
                    last_wait.as_mut().reset(Instant::now() + LAST_WAIT);
                }
                why = &mut guard, if stop.is_none() => guarded = Some(Stop::Guard(why.to_string())),
            }
            if stop.is_some() {
                continue;
            }
            stop = if guarded.is_some() {
                guarded
            } else {
                // A look at a long recording takes its time, in which the guard is heard all the same.
                tokio::select! {
                    biased;
                    seen = self.look(&mut look) => seen,
                    why = &mut guard => Some(Stop::Guard(why.to_string())),
                }
            };
            if stop.is_some() {
                self.run.over.cancel();
                self.pacer.stop();
                last_wait.as_mut().reset(Instant::now() + LAST_WAIT);
            }
        }
        if stop.is_none() {
            stop = self.look(&mut look).await;
        }
        let fresh = self.run.books().take_fresh();
        if self.timeline.take(fresh).is_err() {
            stop = Some(Stop::Bug);
        }
        self.tell();
        Overseen { timeline: self.timeline, look, stop, busy_permille: self.busy.most_permille() }
    }

    /// Takes in what has ended, and looks at every half second that it completes.
    async fn look(&mut self, look: &mut Option<Look>) -> Option<Stop> {
        self.busy.look();
        let fresh = self.run.books().take_fresh();
        if self.timeline.take(fresh).is_err() {
            return Some(Stop::Bug);
        }
        self.tell();
        if let Some(stop) = self.outright() {
            return Some(stop);
        }
        while self.timeline.advance(self.pacer) {
            if let Some(stop) = self.judging.judge(&self.timeline, look).await {
                return Some(stop);
            }
            if self.timeline.is_whole_second()
                && let Some(serving) = &mut self.serving
                && let Some(stop) = is_too_slow(serving, &self.timeline)
            {
                return Some(too_slow(serving.arm, &stop));
            }
        }
        None
    }

    /// What needs no statistics.
    fn outright(&self) -> Option<Stop> {
        let books = self.run.books();
        let arms = || self.run.arms.iter().zip(&books.tallies);
        // Where both fail alike it is a matter of chance which has failed often enough first: legacy's failures count.
        if arms().any(|(_, tally)| tally.is_gross_fault())
            && let Some((arm, _)) = arms().find(|(_, tally)| tally.mostly_fails())
        {
            return Some(Stop::GrossFault(*arm));
        }
        for (lane, arm) in self.run.arms.iter().enumerate() {
            if self.pacer.refused(lane) > 0 {
                return Some(Stop::Backlog(*arm));
            }
        }
        self.timeline.stalled(self.pacer).map(Stop::Stalled)
    }

    fn tell(&mut self) {
        (self.told)(self.teller.stand(self.run, self.pacer));
    }
}

/// Whether the load ended for something that went wrong, rather than well, or at its time.
fn is_trouble(stop: &Stop, look: Option<&Look>) -> bool {
    *stop != Stop::Verdict || look.is_some_and(|look| look.verdict == LookVerdict::Fail)
}

fn too_slow(arm: Arm, why: &GuardStop) -> Stop {
    match arm {
        Arm::Legacy => Stop::Guard(why.to_string()),
        Arm::Candidate => Stop::TooSlow(why.to_string()),
    }
}

/// Whether that server has been too slow for too long, with the second that was completed last.
fn is_too_slow(serving: &mut ServingLatency, timeline: &Timeline) -> Option<GuardStop> {
    let arm = serving.arm;
    let figures = |recording: &Recording, from, to, least| {
        let figures = recording.figures(None, arm, from, to);
        (figures.ok + figures.failed >= least).then_some(figures.p95_us)
    };
    let p95 = |recording: &Recording, from, to, least| {
        figures(recording, from, to, least).map(|p95_us| p95_us.unwrap_or(NO_ANSWER_US))
    };
    let (warm, measured) = (timeline.warm(), timeline.measured_seconds());
    let (recording, second) = match timeline.warm_up() {
        Some(warm_up) if measured == 0 => (warm_up, warm),
        _ => (timeline.measured().as_ref(), measured),
    };
    // At a low rate a percentile takes the calls of some seconds.
    let seen = (1..=SERVING_SECONDS_MAX)
        .take_while(|length| *length <= second)
        .find_map(|length| p95(recording, second - length, second, MIN_CALLS));
    // Where that many failed there is nothing to hold against what comes later.
    let of_warm_up = || timeline.warm_up().and_then(|recording| figures(recording, 0, warm, MIN_CALLS)?);
    match (timeline.warm_up(), measured) {
        // One side alone has none: its first seconds are all that the rest can be held against.
        (None, FIRST_SECONDS..) if serving.lacks_bound() => {
            if let Some(first) = figures(recording, 0, measured, MIN_CALLS) {
                serving.compared_with(first);
            }
        }
        (Some(_), 1) => serving.compared_with(of_warm_up()),
        // The load comes on gradually: in the first part of the warm-up it is light.
        (Some(_), 0) if warm >= timeline.warm_seconds().div_ceil(LIGHT_PART) => {
            if let Some(light) = of_warm_up() {
                serving.compared_with(Some(light));
            }
        }
        _ => {}
    }
    serving.tell(seen, p95(recording, second.saturating_sub(1), second, 1))
}

#[cfg(test)]
mod tests;
