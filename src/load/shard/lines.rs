//! How far a load of several processes is: a line of each of them now and then, and what the lines say together.
//!
//! For people; nothing is decided by it. A line goes where the result goes as well, so neither their number nor their length may
//! grow with the load.

use std::time::Duration;

use super::super::{LoadProgress, progress::Standing};

/// Time between two lines, at least.
const EVERY: Duration = Duration::from_secs(10);
/// Most lines of a load.
const LINES_MAX: u32 = 100;
/// Longest line: below what container runtimes split.
const LINE_MAX_CHARS: usize = 8_000;
/// Of the latencies in a line: as exact as there is room for.
const DIGITS: [u8; 2] = [2, 1];

/// Decides when there is a line to write.
pub(super) struct Lines<'a> {
    write: &'a mut (dyn FnMut(&str) + Send),
    every: Duration,
    /// How far the load was at the last one.
    last: Duration,
}

impl<'a> Lines<'a> {
    pub(super) fn new(duration: Duration, write: &'a mut (dyn FnMut(&str) + Send)) -> Self {
        Self { write, every: EVERY.max(duration / LINES_MAX), last: Duration::ZERO }
    }

    pub(super) fn take(&mut self, standing: &Standing) {
        if standing.elapsed < self.last + self.every {
            return;
        }
        self.last = standing.elapsed;
        if let Some(line) = DIGITS.into_iter().find_map(|digits| line(standing, digits)) {
            (self.write)(&line);
        }
    }
}

/// `None` where it would be too long.
fn line(standing: &Standing, digits: u8) -> Option<String> {
    let mut coarse = standing.clone();
    for side in &mut coarse.sides {
        side.latency = side.latency.coarse(digits).ok()?;
    }
    serde_json::to_string(&coarse).ok().filter(|line| line.len() <= LINE_MAX_CHARS)
}

/// How far the load is as a whole, by the last lines of all of its processes; `None` where one can't be read.
///
/// The lines may be of different moments: in between, so that what was counted and the time that it took belong together.
#[must_use]
pub fn together(lines: &[String]) -> Option<LoadProgress> {
    let standings: Option<Vec<Standing>> = lines.iter().map(|line| serde_json::from_str(line).ok()).collect();
    let standings = standings?;
    let (first, others) = standings.split_first()?;
    let mut all = first.clone();
    others.iter().for_each(|other| all.add(other));
    let elapsed: Duration = standings.iter().map(|standing| standing.elapsed).sum();
    all.elapsed = elapsed / u32::try_from(standings.len()).ok()?;
    Some(all.shown())
}

#[cfg(test)]
mod tests;
