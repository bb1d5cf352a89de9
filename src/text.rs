//! How texts and latencies are written for people, wherever they are shown.

/// At most so many characters of a text; an ellipsis stands for the rest.
#[must_use]
pub(crate) fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// A latency in three digits or so, in the unit that suits: for sentences.
#[must_use]
pub(crate) fn micros(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{}.{:02} ms", us / 1_000, us % 1_000 / 10),
        10_000..1_000_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        _ => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
    }
}

/// A latency in milliseconds, to the microsecond: for columns of a table.
#[must_use]
pub(crate) fn milliseconds(us: u64) -> String {
    format!("{}.{:03} ms", us / 1_000, us % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        assert_eq!(
            (clip("äöü", 3), clip("äöü", 2), clip("", 0)),
            ("äöü".into(), "äö…".into(), String::new())
        );
    }

    #[test]
    fn latencies_are_written_in_the_unit_that_suits() {
        for (us, text) in
            [(0, "0 µs"), (999, "999 µs"), (1_230, "1.23 ms"), (12_340, "12.3 ms"), (1_234_000, "1.23 s")]
        {
            assert_eq!(micros(us), text);
        }
        assert_eq!((milliseconds(1_005), milliseconds(12)), ("1.005 ms".into(), "0.012 ms".into()));
    }
}
