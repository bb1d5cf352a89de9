//! Names that a server chose, made fit to be shown.
//!
//! Decides what of a name gets into a finding: no control characters, and no more than a line. Never decides which
//! names may be shown.

/// Most characters of a name that are shown: a quoted schema and a quoted object.
const MAX_CHARS: usize = 140;

/// The name without control characters, cut where it is too long.
pub(super) fn shown(name: &str) -> String {
    let mut shown: String = name.chars().filter(|c| !c.is_control()).take(MAX_CHARS).collect();
    if name.chars().nth(MAX_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_is_one_short_line() {
        assert_eq!(shown("public.\"a\u{1b}[2J\nb\""), "public.\"a[2Jb\"");
        assert_eq!(shown(&"é".repeat(1000)).chars().count(), MAX_CHARS + 1);
    }
}
