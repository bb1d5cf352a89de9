//! Whether the candidate is slower, or fails more, than legacy, told from both answering one schedule side by side.
//!
//! Decides from what was recorded (`recording`) how long a block must be for the blocks to be independent
//! (`noise`), how much slower the candidate is and how sure that is (`signed_rank`), and what follows (`decide`):
//! `Pass` only with evidence that the candidate is not worse than its margin, `Fail` only with evidence that it is.
//! Every class of statements is judged by itself: one that lost its index hides in the percentiles of all. Pure:
//! never looks at a clock, never sends anything, and never calls "no difference was found" a pass.

mod bet;
mod bucket;
mod compare;
mod decide;
mod evidence;
mod failures;
mod figures;
mod gross;
mod look;
mod noise;
mod paired;
mod recording;
mod rules;
mod signed_rank;
mod weighted;

pub use decide::{compare, decide, gross_failures, gross_failures_alone, gross_fault};
pub use evidence::{Arm, Percentile};
pub use figures::Figures;
pub use look::{Comparison, LatencyFigures, Look, LookVerdict, Metric, Standing};
pub use noise::Noise;
pub use recording::{Ended, Recording, RecordingError};
pub use rules::{Margin, MarginTooSmall, Margins, Rules, TRIES};

/// How finely it is recorded: what fails plainly is looked for this often.
pub const HALVES_PER_SECOND: u32 = 2;

/// Counts of this module stay far below 2^32, where the conversion is exact.
fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
