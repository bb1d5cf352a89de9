//! Durations as the API writes them: `90s`, `5m`, `1h30m`, `500ms`.
//!
//! Decides which texts are durations and what they amount to. The grammar is `api::DURATION_PATTERN`, which the API
//! server enforces at admission; it is enforced here again because a stored object may be older than the schema.
//! Never overflows and never rounds: what can't be represented exactly is an error.

use std::{fmt::Write as _, time::Duration};

/// Longest accepted text; the API's fields have the same bound.
const MAX_LENGTH: usize = 32;
/// Most digits of one number.
const MAX_DIGITS: usize = 9;

/// Why a text is not a duration. Holds the text's fault, never more of it than a unit.
#[derive(thiserror::Error, Debug, PartialEq, Eq, Clone)]
pub enum DurationError {
    /// The text is empty.
    #[error("the duration is empty; write a number and a unit, such as 90s, 5m or 1h30m")]
    Empty,
    /// The text is too long to be a duration.
    #[error(
        "the duration is longer than {MAX_LENGTH} characters; write a number and a unit, such as 90s, 5m or 1h30m"
    )]
    TooLong,
    /// A number is missing before a unit.
    #[error("the duration lacks a number before a unit; write a number and a unit, such as 90s, 5m or 1h30m")]
    MissingNumber,
    /// A number has too many digits.
    #[error("a number in the duration has more than {MAX_DIGITS} digits; use a larger unit")]
    TooManyDigits,
    /// A number has no unit, or one that does not exist.
    #[error("a number in the duration has no unit of ms, s, m or h; write for example 90s, 5m or 1h30m")]
    BadUnit,
}

/// What `text` amounts to.
///
/// ```
/// # use std::time::Duration;
/// assert_eq!(cutover::duration::parse("1h30m"), Ok(Duration::from_secs(5400)));
/// ```
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    if text.len() > MAX_LENGTH {
        return Err(DurationError::TooLong);
    }
    let mut total_ms: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (part_ms, remaining) = parse_part(rest)?;
        // At most 16 parts of at most 999,999,999 hours: below 2^63 milliseconds, so this never saturates.
        total_ms = total_ms.saturating_add(part_ms);
        rest = remaining;
    }
    Ok(Duration::from_millis(total_ms))
}

/// The first number and its unit, in milliseconds, and what follows them.
fn parse_part(text: &str) -> Result<(u64, &str), DurationError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Err(DurationError::MissingNumber);
    }
    if digits > MAX_DIGITS {
        return Err(DurationError::TooManyDigits);
    }
    let (number, rest) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| DurationError::TooManyDigits)?;
    // `ms` before `m`: the longer unit wins, as in the pattern's only possible reading.
    for (unit, unit_ms) in [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)] {
        if let Some(rest) = rest.strip_prefix(unit) {
            return Ok((number.saturating_mul(unit_ms), rest));
        }
    }
    Err(DurationError::BadUnit)
}

/// The shortest text that [`parse`] reads back as `duration`; what is below a millisecond is cut off.
#[must_use]
pub fn format(duration: Duration) -> String {
    let mut rest_ms = duration.as_millis();
    let mut text = String::new();
    for (unit, unit_ms) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        let count = rest_ms / unit_ms;
        if count > 0 {
            // Writing to a String can't fail.
            let _ = write!(text, "{count}{unit}");
            rest_ms %= unit_ms;
        }
    }
    if text.is_empty() {
        text.push_str("0s");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_add_up() {
        for (text, ms) in [
            ("0s", 0),
            ("500ms", 500),
            ("90s", 90_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1m1ms", 60_001),
            ("1ms1m", 60_001),
            ("999999999h", 999_999_999 * 3_600_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_duration_says_what_it_lacks() {
        for (text, error) in [
            ("", DurationError::Empty),
            ("s", DurationError::MissingNumber),
            ("-5s", DurationError::MissingNumber),
            ("5", DurationError::BadUnit),
            ("5 s", DurationError::BadUnit),
            ("5d", DurationError::BadUnit),
            ("1.5s", DurationError::BadUnit),
            ("5sx", DurationError::MissingNumber),
            ("1234567890s", DurationError::TooManyDigits),
            ("1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s", DurationError::TooLong),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn a_formatted_duration_reads_back_as_itself(ms in 0_u64..3_600_000_000_000_000) {
            let duration = Duration::from_millis(ms);
            let text = format(duration);
            prop_assume!(text.len() <= MAX_LENGTH);
            prop_assert_eq!(parse(&text), Ok(duration));
        }
    }
}
