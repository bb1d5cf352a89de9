//! A pod's result as lines of its log, which is all that a pod without rights can hand over.
//!
//! Decides whether a log holds one whole result of exactly the pod that was asked: numbered lines of base64 between a
//! begin line and an end line with length and digest. What is cut, doubled, mixed with another result or out of order is
//! refused, never mended. Other lines of the log are none of it. A worker that fails says why in one line instead.

use std::io;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{digest, text::clip};

/// What every line of a result begins with.
const MARK: &str = "cutover-result ";
/// What a line begins with that says how far a worker is.
const PROGRESS: &str = "cutover-progress ";
/// Bytes of a result in one line: 8,000 characters, below what container runtimes split.
const CHUNK_BYTES: usize = 6_000;
/// Longest result. Kubelets begin a new log file at 10 MiB and hand out the last one alone.
pub const RESULT_MAX_BYTES: usize = 4 << 20;
/// Longest log in which a result is looked for: as base64, and room for what else is logged.
pub(super) const LOG_MAX_BYTES: i64 = 9 << 20;
/// Longest reason that a worker gives for its failure.
const REASON_MAX_CHARS: usize = 300;

/// Why a log is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// There is no begin line.
    #[error("its log holds no result")]
    Absent,
    /// The end line is missing.
    #[error("its log ends in the middle of the result")]
    Cut,
    /// A line is not the one that must come next.
    #[error("its log is not one result in order: lines are missing, doubled or of another pod")]
    Mixed,
    /// Length or digest are not those of the end line.
    #[error("its result was damaged on the way")]
    Damaged,
    /// The result is too long to be handed over.
    #[error("its result is longer than {} MiB", RESULT_MAX_BYTES >> 20)]
    TooLong,
}

/// Writes a result. `key` and `index` are those that the pod was given; `key` must be one word.
///
/// # Errors
/// Those of `out`, and `InvalidInput` for a result longer than [`RESULT_MAX_BYTES`].
pub fn write(out: &mut impl io::Write, key: &str, index: u32, result: &[u8]) -> io::Result<()> {
    if result.len() > RESULT_MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, FrameFault::TooLong));
    }
    writeln!(out, "{MARK}begin {key} {index}")?;
    for (number, chunk) in result.chunks(CHUNK_BYTES).enumerate() {
        writeln!(out, "{MARK}{number} {}", STANDARD.encode(chunk))?;
    }
    writeln!(out, "{}", end_line(key, index, result))?;
    out.flush()
}

/// Writes why there is no result, for the rollout's status. Must hold nothing secret.
///
/// # Errors
/// Those of `out`.
pub fn write_failure(out: &mut impl io::Write, reason: &str) -> io::Result<()> {
    let line: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    writeln!(out, "{MARK}failed {}", clip(&line, REASON_MAX_CHARS))?;
    out.flush()
}

/// Writes how far the worker is, in a line of its own. The result must not have been begun.
///
/// # Errors
/// Those of `out`.
pub fn write_progress(out: &mut impl io::Write, key: &str, index: u32, line: &str) -> io::Result<()> {
    writeln!(out, "{PROGRESS}{key} {index} {line}")?;
    out.flush()
}

/// How far the pod `index` said last that it is.
pub(super) fn read_progress(log: &str, key: &str, index: u32) -> Option<String> {
    let mark = format!("{PROGRESS}{key} {index} ");
    log.lines().rev().find_map(|line| line.strip_prefix(&mark)).map(str::to_owned)
}

/// Reads the result of the pod `index` out of its log.
///
/// # Errors
/// Why the log is not believed.
pub fn read(log: &str, key: &str, index: u32) -> Result<Vec<u8>, FrameFault> {
    let mut lines = log.lines().filter_map(|line| line.strip_prefix(MARK));
    let first = lines.next().ok_or(FrameFault::Absent)?;
    if first != format!("begin {key} {index}") {
        return Err(FrameFault::Mixed);
    }
    let mut result = Vec::new();
    let mut number = 0;
    loop {
        let line = lines.next().ok_or(FrameFault::Cut)?;
        if line.starts_with("end ") {
            let is_whole = end_line(key, index, &result).strip_prefix(MARK) == Some(line);
            return match (is_whole, lines.next()) {
                (true, None) => Ok(result),
                (true, Some(_)) => Err(FrameFault::Mixed),
                (false, _) => Err(FrameFault::Damaged),
            };
        }
        let chunk = line.strip_prefix(&format!("{number} ")).ok_or(FrameFault::Mixed)?;
        result.extend(STANDARD.decode(chunk).map_err(|_| FrameFault::Damaged)?);
        if result.len() > RESULT_MAX_BYTES {
            return Err(FrameFault::TooLong);
        }
        number += 1;
    }
}

/// Why the worker says that it failed; `None` where it says nothing.
pub(super) fn read_failure(log: &str) -> Option<String> {
    let reason = log.lines().rev().find_map(|line| line.strip_prefix(MARK)?.strip_prefix("failed "))?;
    Some(clip(reason, REASON_MAX_CHARS))
}

fn end_line(key: &str, index: u32, result: &[u8]) -> String {
    format!("{MARK}end {key} {index} {} {}", result.len(), digest::public(result))
}

#[cfg(test)]
mod tests;
