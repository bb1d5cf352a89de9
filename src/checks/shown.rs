//! Names and definitions that a server or a client chose, made fit to be shown.
//!
//! Decides what of a text gets into a finding: no control characters, and no more than a line. Never decides which
//! texts may be shown.

/// Most characters of a text that are shown: a quoted schema and a quoted object have at most 135.
const MAX_CHARS: usize = 200;
/// Most characters of a single name; PostgreSQL's own have at most 63 bytes.
const NAME_MAX_CHARS: usize = 64;

/// The text with its control characters replaced, cut where it is too long.
pub(super) fn shown(text: &str) -> String {
    clipped(text, MAX_CHARS)
}

/// A single name, in the same way.
pub(super) fn name(text: &str) -> String {
    clipped(text, NAME_MAX_CHARS)
}

/// `schema.name`, in the same way.
pub(super) fn qualified(schema: &str, object: &str) -> String {
    format!("{}.{}", name(schema), name(object))
}

/// The text in the same way, with at most so many characters.
pub(super) fn clipped(text: &str, most: usize) -> String {
    let clean = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let mut shown: String = text.chars().map(clean).take(most).collect();
    if text.chars().nth(most).is_some() {
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
        assert_eq!(qualified("public", "a\nb"), "public.a\u{fffd}b");
        assert_eq!(name(&"é".repeat(1000)).chars().count(), NAME_MAX_CHARS + 1);
    }
}
