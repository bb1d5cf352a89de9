//! Whether a number is within what the spec allows, compared exactly, and what may be shown of it.

use super::decimal::Decimal;

/// Longest number that is shown, in characters.
const MAX_SHOWN: usize = 40;

/// What a number may be.
pub(super) struct Bounds<'a> {
    min: Option<&'a str>,
    max: Option<&'a str>,
}

impl<'a> Bounds<'a> {
    pub(super) fn new(min: Option<&'a str>, max: Option<&'a str>) -> Self {
        Self { min, max }
    }

    /// In words; `None` where there is no bound.
    pub(super) fn expectation(&self) -> Option<String> {
        match (self.min, self.max) {
            (Some(min), Some(max)) => Some(format!("between {min} and {max}")),
            (Some(min), None) => Some(format!("at least {min}")),
            (None, Some(max)) => Some(format!("at most {max}")),
            (None, None) => None,
        }
    }

    /// What is wrong with a value, if anything. What is no finite number is within no bounds.
    pub(super) fn fault(&self, value: Option<&str>) -> Option<String> {
        let Some(number) = value.and_then(Decimal::parse) else {
            return Some("which is not a number".to_owned());
        };
        for (bound, is_upper, word) in [(self.min, false, "below"), (self.max, true, "above")] {
            let Some(text) = bound else { continue };
            let Some(limit) = Decimal::parse(text) else {
                return Some(format!("and the bound {text} is not a number"));
            };
            if (is_upper && number > limit) || (!is_upper && number < limit) {
                return Some(format!("which is {word} {text}"));
            }
        }
        None
    }
}

/// What may be shown of a number.
pub(super) fn show_number(text: &str) -> String {
    if text.len() <= MAX_SHOWN { text.to_owned() } else { format!("a number of {} characters", text.len()) }
}
