//! What the servers were like while a load ran: their versions, their counters, and what else they did.
//!
//! Decides what of that a reader of the report must know: one of two servers that carries the application as well is not
//! compared on equal terms. A server that tells nothing spoils no verdict; the report says what is missing.

use std::time::Duration;

use futures::future::join_all;
use tokio::{sync::watch, time::timeout};

use super::{
    Targets,
    counters::{self, Counted, Growth},
    duet::Arm,
    guard::{Watch, Worst},
    report::LoadReport,
    taken::Taken,
};
use crate::{api::Verdict, postgres::Target};

/// Transactions per second of others by which one server must exceed twice the other's, to be told.
const OTHERS: f64 = 10.0;

/// Longest that is waited for the counters of a load that has failed.
const URGENT: Duration = Duration::from_millis(500);
const READ_AT_ONCE: &str = "the load was ended because it had failed, and the servers' counters were read at once: the last \
                            second may be missing in them";

/// What each server had counted before, and what is seen of it meanwhile.
pub(super) struct Before {
    counted: Vec<(Arm, Result<Counted, String>)>,
    worst: Vec<(Arm, watch::Receiver<Worst>)>,
}

impl Before {
    pub(super) async fn read(targets: &Targets, guard: &Watch) -> Self {
        let reading = targets
            .sides()
            .into_iter()
            .map(|(arm, target)| async move { (arm, counters::read(target).await) });
        Self { counted: join_all(reading).await, worst: guard.worst() }
    }

    /// Reads once more, and writes into the report what has changed meanwhile. Of a load that was ended because it failed what
    /// can be read at once: whoever waits for the verdict has to act on it.
    pub(super) async fn report(self, targets: &Targets, taken: &Taken, report: &mut LoadReport) {
        let is_urgent = taken.stop.is_some() && report.verdict == Verdict::Fail;
        let reading = targets.sides().into_iter().map(|(_, target)| async move {
            if is_urgent { at_once(target).await } else { counters::read_settled(target).await }
        });
        let after = join_all(reading).await;
        if is_urgent {
            report.notes.push(READ_AT_ONCE.to_owned());
        }
        let mut growths = Vec::new();
        for ((arm, before), after) in self.counted.into_iter().zip(after) {
            let described = match arm {
                Arm::Legacy => report.arms.legacy.as_mut(),
                Arm::Candidate => report.arms.candidate.as_mut(),
            };
            if let (Some(described), Ok(before)) = (described, &before) {
                described.server_version.clone_from(&before.version);
            }
            match (before, after) {
                (Ok(before), Ok(after)) => {
                    let mut growth = counters::grown(&before, &after);
                    let worst = self.worst.iter().filter(|(other, _)| *other == arm);
                    growth.counters.extend(worst.flat_map(|(_, worst)| worst.borrow().counters()));
                    growths.push((arm, growth));
                }
                (Err(why), _) | (_, Err(why)) => report.notes.push(format!("{}: {why}", arm.name())),
            }
        }
        let of = |wanted| growths.iter().find(|(arm, _)| *arm == wanted).map(|(_, growth)| growth);
        report.counters = counters::side_by_side(of(Arm::Legacy), of(Arm::Candidate));
        report.notes.extend(growths.iter().filter_map(|(arm, growth)| not_counted(*arm, growth)));
        report.notes.extend(unequal(taken, of(Arm::Legacy), of(Arm::Candidate)));
    }
}

async fn at_once(target: &Target) -> Result<Counted, String> {
    let silent = |_| Err("the server's counters could not be read as soon as the load had failed".to_owned());
    timeout(URGENT, counters::read(target)).await.unwrap_or_else(silent)
}

fn not_counted(arm: Arm, growth: &Growth) -> Option<String> {
    let is_any = !growth.left_out.is_empty();
    is_any.then(|| format!("not counted on {}: {}", arm.name(), growth.left_out.join("; ")))
}

/// That one of the servers had much more to do beside this load, if so.
fn unequal(taken: &Taken, legacy: Option<&Growth>, candidate: Option<&Growth>) -> Option<String> {
    let others = |arm, growth: Option<&Growth>| {
        growth?.others_per_second(taken.lane(arm).map_or(0, |lane| lane.tally.taken()))
    };
    let (legacy, candidate) = (others(Arm::Legacy, legacy)?, others(Arm::Candidate, candidate)?);
    let favoured = if legacy > candidate * 2.0 + OTHERS {
        "candidate"
    } else if candidate > legacy * 2.0 + OTHERS {
        "legacy"
    } else {
        return None;
    };
    Some(format!(
        "beside this load legacy carried {legacy:.0} transactions per second, the candidate {candidate:.0}: the comparison \
         favours {favoured}, whose server had less to do"
    ))
}
