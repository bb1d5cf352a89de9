//! One load, carried out by several processes: what each is told, what it hands over, and what all of it comes to.
//!
//! Every process draws the same schedule and carries out its part of it, from the same moment on. Decides whether what
//! they hand over belongs together; merges counts, histograms and the seconds of recordings, never percentiles. Judges
//! nothing before all of it is there: then the looks are taken one after the other, from the end of the warm-up on.

use serde::{Deserialize, Serialize};

use super::{
    LoadSpec, Share, Targets,
    conclude::cut_short,
    driver::{self, NotRun},
    duet::{self, Arm, HALVES_PER_SECOND, LookVerdict, Rules},
    guard::Watch,
    taken::{Stop, Taken},
};
use crate::{
    api::{Load, LoadMode, TlsSettings, Traffic, Verdict},
    cluster::job::RESULT_MAX_BYTES,
};

mod lines;

pub use lines::together;

use lines::Lines;

/// The environment variable that a process is told its order in.
pub const ORDER: &str = "CUTOVER_LOAD";
/// Those of legacy's connection, and of the path of its certificate authority.
pub const LEGACY: [&str; 2] = ["CUTOVER_LEGACY_URI", "CUTOVER_LEGACY_CA"];
/// The candidate's.
pub const CANDIDATE: [&str; 2] = ["CUTOVER_CANDIDATE_URI", "CUTOVER_CANDIDATE_CA"];

/// Of what is handed over; the processes are of one image, so another one is a mistake.
const FORMAT: &str = concat!("cutover ", env!("CARGO_PKG_VERSION"), ", 1");

/// What a process is told, beside its number and the connections.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
pub struct Order {
    /// The load.
    pub load: Load,
    /// The traffic model that it names.
    pub traffic: Traffic,
    /// Of the schedule.
    pub seed: u64,
    /// How many processes there are.
    pub count: u32,
    /// The side that the application is on.
    pub application_on: Arm,
    /// How legacy's server is verified; `None` where legacy is not loaded.
    pub legacy: Option<TlsSettings>,
    /// How the candidate's is.
    pub candidate: TlsSettings,
}

/// What a process hands over takes at most so many bytes for each call, for each cell of its recording that has one, and
/// for all the rest.
const CALL_BYTES: u64 = 4;
const CELL_BYTES: u64 = 24;
const OTHER_BYTES: u64 = 64 << 10;

/// Refuses a load by pods whose parts have more to hand over than there is room for.
///
/// # Errors
/// What there would be, and what to change.
pub fn refuse_large(spec: &LoadSpec, load: &Load) -> Result<(), String> {
    let servers = if load.mode == LoadMode::Duet { 2 } else { 1 };
    let bytes = most_bytes(spec, servers, u32::try_from(load.parallelism).unwrap_or(1));
    if bytes <= RESULT_MAX_BYTES {
        return Ok(());
    }
    Err(format!(
        "each of {} pods might have {bytes} bytes to hand over, and can {RESULT_MAX_BYTES}: raise parallelism, or lower rate or duration",
        load.parallelism
    ))
}

/// Most bytes that one of `count` processes hands over of a load on so many servers; its calls come by chance.
#[must_use]
fn most_bytes(spec: &LoadSpec, servers: usize, count: u32) -> usize {
    let classes = spec.traffic.statements.len() + spec.traffic.scripts.len();
    let seconds = driver::warm_up(spec, servers).as_secs() + spec.longest().as_secs() + 1;
    let calls = u64::from(spec.rate).saturating_mul(seconds) / u64::from(count.max(1));
    let of_a_half = u64::try_from(servers * classes).unwrap_or(u64::MAX);
    let cells = seconds * u64::from(HALVES_PER_SECOND) * of_a_half;
    let bytes = calls.saturating_mul(CALL_BYTES) + cells.min(calls).saturating_mul(CELL_BYTES) + OTHER_BYTES;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// What a process hands over.
#[derive(Serialize, Deserialize)]
struct Written {
    format: String,
    /// Of the schedule, and which part of it.
    seed: u64,
    share: Share,
    taken: Taken,
}

/// Carries this process's part out: what it hands over, or why there is nothing. `tell` is given a line now and then that says how
/// far it is; [`together`] reads them.
///
/// # Errors
/// For people; holds nothing secret.
pub async fn run_share(
    spec: &LoadSpec,
    targets: &Targets,
    tell: &mut (dyn FnMut(&str) + Send),
) -> Result<Vec<u8>, String> {
    let message = |not_run: NotRun| not_run.message;
    let guard = Watch::open(targets, &spec.guard).await.map_err(|error| message(error.into()))?;
    let mut lines = Lines::new(spec.longest(), tell);
    let mut told = |standing| lines.take(&standing);
    let taken = Box::pin(driver::drive(spec, targets, guard, &mut told)).await.map_err(message)?;
    let written = Written { format: FORMAT.to_owned(), seed: spec.seed, share: spec.share, taken };
    serde_json::to_vec(&written).map_err(|error| error.to_string())
}

/// Why what one process hands over leaves nothing for the others to tell, if so: it was ended for the application's sake, or legacy
/// is nothing to compare with. What ended it for the candidate's sake tells too little alone.
#[must_use]
pub fn ends_all(part: &[u8]) -> Option<String> {
    let written: Written = serde_json::from_slice(part).ok()?;
    let stop = written.taken.stop?;
    // The others find a server too slow that they measure, too; together they tell whether it kept its limits.
    if matches!(stop, Stop::TooSlow(_)) {
        return None;
    }
    let (verdict, why) = cut_short(&stop, written.taken.lanes.len() > 1)?;
    (verdict == Verdict::Inconclusive).then_some(why)
}

/// What all of them took down together, looked at as if one process had.
pub(super) async fn merged(
    spec: &LoadSpec,
    targets: &Targets,
    parts: Result<Vec<Vec<u8>>, (Verdict, String)>,
) -> Result<Taken, NotRun> {
    let parts = parts.map_err(|(verdict, message)| NotRun { verdict, message })?;
    let (seed, rules) = (spec.seed, (targets.sides().len() > 1).then(|| spec.rules()));
    let merged = tokio::task::spawn_blocking(move || merge(&parts, seed, rules.as_ref())).await;
    merged.map_err(|_| NotRun::error("the parts could not be merged"))?.map_err(NotRun::error)
}

fn merge(parts: &[Vec<u8>], seed: u64, rules: Option<&Rules>) -> Result<Taken, String> {
    let mut read = parts.iter().enumerate().map(|(index, part)| read(part, index, parts.len(), seed));
    let mut all = read.next().ok_or("there are no parts")??;
    for part in read {
        add(&mut all, part?)?;
    }
    if !all.lanes.iter().all(super::taken::LaneTaken::is_conserved) {
        return Err("the parts of the load lost count of their arrivals; this is a bug of cutover".to_owned());
    }
    if let Some(rules) = rules {
        look_again(&mut all, rules);
    }
    Ok(all)
}

/// What one of them handed over, if it is the part that it should be.
fn read(part: &[u8], index: usize, count: usize, seed: u64) -> Result<Taken, String> {
    let written: Written = serde_json::from_slice(part)
        .map_err(|error| format!("what index {index} handed over can't be read: {error}"))?;
    if written.format != FORMAT {
        return Err(format!("index {index} is of another version of cutover"));
    }
    let own = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let Share { index: its, count: of } = written.share;
    if (own(its), own(of), written.seed) != (index, count, seed) {
        return Err(format!("what index {index} handed over is part {its} of {of} of another schedule"));
    }
    Ok(written.taken)
}

fn add(all: &mut Taken, part: Taken) -> Result<(), String> {
    let sides = |taken: &Taken| taken.lanes.iter().map(|lane| lane.arm).collect::<Vec<_>>();
    if sides(all) != sides(&part) {
        return Err("the parts of the load are of different sides".to_owned());
    }
    all.recording.merge(part.recording).map_err(|error| error.to_string())?;
    match (&mut all.warm_up, part.warm_up) {
        (Some(all), Some(part)) => all.merge(part).map_err(|error| error.to_string())?,
        (None, None) => {}
        _ => return Err("the parts of the load are of different classes or lengths".to_owned()),
    }
    for (lane, other) in all.lanes.iter_mut().zip(part.lanes) {
        lane.scheduled += other.scheduled;
        lane.skipped += other.skipped;
        lane.tally.add(&other.tally);
    }
    all.stop = Stop::of_both(all.stop.take(), part.stop);
    all.elapsed = all.elapsed.max(part.elapsed);
    all.busy_permille = all.busy_permille.max(part.busy_permille);
    all.longest_lag = all.longest_lag.max(part.longest_lag);
    all.via = all.via.max(part.via);
    all.cpu += part.cpu;
    all.statements += part.statements;
    all.processes += part.processes;
    Ok(())
}

/// The looks of a duet, half second by half second, to its end: all of it was measured, so a pass on the way to there is none yet.
/// Parts that ended early are looked at up to there.
fn look_again(all: &mut Taken, rules: &Rules) {
    if let Some(warm_up) = &all.warm_up {
        all.recording.begin_after(warm_up);
    }
    let last = all.recording.seconds().min(u32::try_from(all.elapsed.as_secs()).unwrap_or(u32::MAX));
    for half in 1..=last * HALVES_PER_SECOND {
        let look = duet::decide(&all.recording, half, rules);
        let has_failed = look.verdict == LookVerdict::Fail;
        all.look = Some(look);
        if has_failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
