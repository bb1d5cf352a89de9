//! Numbers as PostgreSQL writes them, compared exactly.
//!
//! Decides which of two numbers is larger without ever going through a float: a count above 2^53 or a sum of money
//! must not pass because it was rounded. Never computes anything else, and never expands an exponent.

use std::cmp::Ordering;

/// A finite decimal number, as written: sign, digits, and where the point is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    is_negative: bool,
    /// Without leading and trailing zeros; empty for zero.
    digits: String,
    /// The number is `0.digits` times ten to this power; 0 for zero.
    magnitude: i64,
}

impl Decimal {
    /// Reads `-12.50`, `+.5`, `1e+20`; not `NaN`, not `Infinity`, no white space.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let all = format!("{whole}{fraction}");
        let significant = all.trim_start_matches('0');
        let leading_zeros = i64::try_from(all.len() - significant.len()).ok()?;
        let digits = significant.trim_end_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { is_negative: false, digits, magnitude: 0 });
        }
        let magnitude = i64::try_from(whole.len()).ok()?.checked_sub(leading_zeros)?.checked_add(exponent)?;
        Some(Self { is_negative, digits, magnitude })
    }

    fn compare_absolute(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // Neither starts with a zero, so the larger magnitude wins; then the digits compare like words.
            (false, false) => {
                self.magnitude.cmp(&other.magnitude).then_with(|| self.digits.cmp(&other.digits))
            }
        }
    }
}

/// At most nine digits: PostgreSQL's own exponents have four.
fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.strip_prefix('+').unwrap_or(text).parse().ok()
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.compare_absolute(other),
            (true, true) => other.compare_absolute(self),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn the_same_number_is_equal_however_it_is_written() {
        for (a, b) in
            [("0", "-0.00"), ("1", "1.000"), ("100", "1e2"), ("0.05", "5e-2"), (".5", "0.50"), ("+7", "007")]
        {
            assert_eq!(number(a), number(b), "{a} {b}");
            assert_eq!(number(a).cmp(&number(b)), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn order_is_exact_where_floats_are_not() {
        for (smaller, larger) in [
            ("9007199254740992", "9007199254740993"),
            ("0.1", "0.10000000000000000001"),
            ("-0.10000000000000000001", "-0.1"),
            ("9", "10"),
            ("0.09", "0.1"),
            ("-1", "0"),
            ("0", "0.001"),
            ("1e-300", "1e-299"),
            ("1e308", "1e309"),
        ] {
            assert!(number(smaller) < number(larger), "{smaller} {larger}");
            assert!(number(larger) > number(smaller), "{smaller} {larger}");
        }
    }

    #[test]
    fn what_is_no_number_is_not_read() {
        for text in [
            "",
            "-",
            ".",
            "NaN",
            "Infinity",
            "-inf",
            "1 ",
            "1e",
            "1e+",
            "1e--1",
            "0x1",
            "1.2.3",
            "1e9999999999",
            "١",
        ] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn order_agrees_with_that_of_integers(a in any::<i64>(), b in any::<i64>(), scale in 0_i32..6) {
            let write = |n: i64| format!("{n}e-{scale}");
            prop_assert_eq!(number(&write(a)).cmp(&number(&write(b))), a.cmp(&b));
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,30}") {
            let _ = Decimal::parse(&text);
        }
    }
}
