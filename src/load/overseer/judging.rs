//! What is judged of a load while it runs, half second by half second.
//!
//! Decides what can be told before all of it is there: of a whole duet everything, of a part of one and of a server alone only what
//! is plainly bad.

use std::sync::Arc;

use crate::load::{
    duet::{self, Arm, Look, LookVerdict, Rules},
    taken::Stop,
    timeline::Timeline,
};

/// How a running load is judged.
pub(in crate::load) enum Judging {
    /// A duet in one process.
    Duet(Rules),
    /// A duet that so many processes carry out parts of: a part has gross faults, and the whole is judged once all are there.
    Part(u32),
    /// One server, against the share of failures that it is allowed; in so many processes.
    Alone { arm: Arm, allowed: f64, processes: u32 },
    /// Not at all: whatever a baseline has is what it has.
    Measurement,
}

impl Judging {
    /// The half second that was completed last.
    pub(super) async fn judge(&self, timeline: &Timeline, look: &mut Option<Look>) -> Option<Stop> {
        let halves = timeline.measured_halves();
        match *self {
            Self::Duet(_) if halves == 0 => in_warm_up(timeline, 1),
            Self::Part(processes) if halves == 0 => in_warm_up(timeline, processes),
            Self::Duet(ref rules) => in_full(timeline, rules, look).await,
            Self::Part(processes) => in_part(timeline, processes).await,
            Self::Alone { arm, allowed, processes } => {
                let seconds = timeline.measured_seconds();
                duet::gross_failures_alone(timeline.measured(), arm, seconds, allowed, processes)
                    .map(Stop::Plain)
            }
            Self::Measurement => None,
        }
    }
}

fn in_warm_up(timeline: &Timeline, processes: u32) -> Option<Stop> {
    let fault = duet::gross_failures(timeline.warm_up()?, timeline.warm(), processes)?;
    Some(Stop::WarmUp(fault))
}

async fn in_part(timeline: &Timeline, processes: u32) -> Option<Stop> {
    let (recording, halves) = (Arc::clone(timeline.measured()), timeline.measured_halves());
    let judging = tokio::task::spawn_blocking(move || duet::gross_fault(&recording, halves, processes));
    judging.await.map_or(Some(Stop::Bug), |fault| fault.map(Stop::Plain))
}

async fn in_full(timeline: &Timeline, rules: &Rules, look: &mut Option<Look>) -> Option<Stop> {
    let (recording, halves, rules) =
        (Arc::clone(timeline.measured()), timeline.measured_halves(), rules.clone());
    // A look at a long recording takes tenths of a second, which the calls in flight must not feel.
    let judging = tokio::task::spawn_blocking(move || duet::decide(&recording, halves, &rules));
    let Ok(seen) = judging.await else { return Some(Stop::Bug) };
    let is_over = seen.verdict != LookVerdict::Continue;
    *look = Some(seen);
    is_over.then_some(Stop::Verdict)
}
