//! Names and definitions that a server chose, made fit to be shown.
//!
//! Decides what of a text gets into a finding: no control characters, and no more than a line. Never decides which
//! texts may be shown.

/// Most characters of a text that are shown: a quoted schema and a quoted object have at most 135.
const MAX_CHARS: usize = 200;

/// The text with its control characters replaced, cut where it is too long.
pub(super) fn shown(text: &str) -> String {
    let clean = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let mut shown: String = text.chars().map(clean).take(MAX_CHARS).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_is_one_short_line() {
        assert_eq!(shown("public.\"a\u{1b}[2J\nb\""), "public.\"a\u{fffd}[2J\u{fffd}b\"");
        assert_eq!(shown(&"é".repeat(1000)).chars().count(), MAX_CHARS + 1);
    }
}
