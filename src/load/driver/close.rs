//! Closes the books of a load that is over.
//!
//! Decides what was scheduled and never taken up, and whether every arrival is accounted for. Never judges.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::NotRun;
use crate::api::Via;
use crate::load::{
    LoadSpec,
    duet::HALVES_PER_SECOND,
    overseer::Overseen,
    pacer::Pacer,
    taken::{LaneTaken, Taken},
    worker::{Lane, Run},
};

/// A load whose workers are all done.
pub(super) struct Over<'a> {
    pub(super) spec: &'a LoadSpec,
    pub(super) run: &'a Run,
    pub(super) pacer: &'a Pacer,
    pub(super) lanes: &'a [Arc<Lane>],
    /// Of each class in the arrivals.
    pub(super) shares: Vec<f64>,
    /// Processor time that it took.
    pub(super) cpu: Duration,
    /// What all connections were taken to go by way of.
    pub(super) via: Via,
}

impl Over<'_> {
    /// What it took down.
    pub(super) async fn close(self, overseen: Overseen) -> Result<Taken, NotRun> {
        self.pacer.stop();
        let warm_seconds = overseen.timeline.warm_seconds();
        let mut lanes = Vec::with_capacity(self.lanes.len());
        for lane in self.lanes {
            lanes.push(self.lane(lane, warm_seconds * HALVES_PER_SECOND).await);
        }
        // Every arrival is in the books exactly once, or what they say is worth nothing.
        if !lanes.iter().all(LaneTaken::is_conserved) {
            return Err(NotRun::error("the load lost count of its arrivals; this is a bug of cutover"));
        }
        let warming = Duration::from_secs(warm_seconds.into());
        let last = Duration::from_micros(self.run.last_us.load(Ordering::Relaxed)).saturating_sub(warming);
        let elapsed =
            if overseen.stop.is_none() { self.spec.longest() } else { last.min(self.spec.longest()) };
        let (warm_up, recording) = overseen.timeline.into_recordings();
        let measured: u64 = lanes.iter().map(|lane| lane.tally.taken()).sum();
        Ok(Taken {
            lanes,
            shares: self.shares,
            warm_up,
            recording,
            look: overseen.look,
            stop: overseen.stop,
            elapsed,
            cpu: self.cpu,
            busy_permille: overseen.busy_permille,
            longest_lag: self.pacer.longest_lag(),
            statements: measured + self.run.books().warm,
            processes: 1,
            via: self.via,
        })
    }

    /// Counts what nobody took up. By now every worker is done, so what was scheduled is either in a tally or here.
    /// `first` is the half second that the warm-up ends with.
    async fn lane(&self, lane: &Lane, first: u32) -> LaneTaken {
        let mut skipped = 0;
        // Ends when the pacer's task has ended, which it does as soon as it is stopped.
        while let Some(due) = lane.queue.next().await {
            skipped += u64::from(due.half >= first);
        }
        if self.pacer.halves() >= first {
            skipped += self.pacer.refused(lane.index);
        }
        LaneTaken {
            arm: lane.arm,
            scheduled: self.pacer.handed_since(first)[lane.index],
            skipped,
            tally: self.run.books().tallies[lane.index].clone(),
        }
    }
}
