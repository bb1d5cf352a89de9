//! Whatever happens to a log on its way: the whole result, or a refusal.

use proptest::prelude::*;

use super::*;

const KEY: &str = "uid/api/3";

fn framed(index: u32, result: &[u8]) -> String {
    let mut out = Vec::new();
    write(&mut out, KEY, index, result).unwrap();
    String::from_utf8(out).unwrap()
}

fn read_own(log: &str) -> Result<Vec<u8>, FrameFault> {
    read(log, KEY, 0)
}

fn joined(lines: &[&str]) -> String {
    lines.join("\n") + "\n"
}

/// Several lines, the last of them of any length.
fn result() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..4 * CHUNK_BYTES)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_result_is_read_as_it_was_written_whatever_is_logged_between(
        result in result(), noise in prop::collection::vec("[ -~]{0,80}", 0..20)
    ) {
        let whole = framed(0, &result);
        prop_assert_eq!(read_own(&whole), Ok(result.clone()));
        let mut lines: Vec<&str> = whole.lines().collect();
        for (at, line) in noise.iter().enumerate() {
            lines.insert((at * 7) % (lines.len() + 1), line);
        }
        prop_assert_eq!(read_own(&joined(&lines)), Ok(result));
    }

    #[test]
    fn a_log_that_is_cut_anywhere_is_refused(result in result(), at in any::<prop::sample::Index>()) {
        let whole = framed(0, &result);
        // The last byte is the end of the last line.
        let at = at.index(whole.len() - 1);
        prop_assert!(read_own(&whole[..at]).is_err(), "without its end");
        prop_assert!(read_own(&whole[at + 1..]).is_err(), "without its beginning");
    }

    #[test]
    fn a_line_that_is_missing_doubled_or_elsewhere_is_refused(
        result in prop::collection::vec(any::<u8>(), 1..4 * CHUNK_BYTES),
        one in any::<prop::sample::Index>(), other in any::<prop::sample::Index>()
    ) {
        let whole = framed(0, &result);
        let lines: Vec<&str> = whole.lines().collect();
        let (one, other) = (one.index(lines.len()), other.index(lines.len()));
        let mut without = lines.clone();
        without.remove(one);
        prop_assert!(read_own(&joined(&without)).is_err(), "missing");
        let mut twice = lines.clone();
        twice.insert(other, lines[one]);
        prop_assert!(read_own(&joined(&twice)).is_err(), "doubled");
        if one != other {
            let mut swapped = lines.clone();
            swapped.swap(one, other);
            prop_assert!(read_own(&joined(&swapped)).is_err(), "swapped");
        }
    }

    #[test]
    fn two_results_in_one_log_are_refused_however_they_interleave(
        mine in result(), others in result(), index in 0_u32..2, order in prop::collection::vec(any::<bool>(), 0..30)
    ) {
        let (mine, others) = (framed(0, &mine), framed(index, &others));
        let (mut one, mut other) = (mine.lines(), others.lines());
        let mut lines = Vec::new();
        for turn in order {
            lines.extend(if turn { one.next() } else { other.next() });
        }
        lines.extend(one.chain(other));
        prop_assert!(read_own(&joined(&lines)).is_err());
    }

    #[test]
    fn a_changed_character_is_refused(
        result in result(), at in any::<prop::sample::Index>(), to in prop::char::range(' ', '~')
    ) {
        let whole = framed(0, &result);
        let at = at.index(whole.len() - 1);
        prop_assume!(whole.as_bytes()[at] != to as u8 && whole.as_bytes()[at] != b'\n');
        let mut changed = whole.into_bytes();
        changed[at] = to as u8;
        prop_assert!(read_own(&String::from_utf8(changed).unwrap()).is_err());
    }
}

#[test]
fn the_result_of_another_pod_or_attempt_is_refused() {
    let log = framed(1, b"result");
    assert_eq!(read(&log, KEY, 0), Err(FrameFault::Mixed));
    assert_eq!(read(&log, "uid/api/2", 1), Err(FrameFault::Mixed));
    assert_eq!(read("no result\n", KEY, 0), Err(FrameFault::Absent));
    assert_eq!(read(&log, KEY, 1).unwrap(), b"result");
}

#[test]
fn a_result_that_is_too_long_for_a_log_is_not_even_written() {
    let mut out = Vec::new();
    let error = write(&mut out, KEY, 0, &vec![0; RESULT_MAX_BYTES + 1]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(out.is_empty());
    let whole = framed(0, &vec![7; RESULT_MAX_BYTES]);
    assert!(whole.len() < usize::try_from(LOG_MAX_BYTES).unwrap(), "{} bytes of log", whole.len());
    assert!(whole.lines().all(|line| line.len() < 8 << 10), "runtimes split longer lines");
}

#[test]
fn a_failure_is_one_bounded_line_and_no_result() {
    let mut out = Vec::new();
    write_failure(&mut out, &format!("late by 3 s\ncutover-result begin {KEY} 0 {}", "x".repeat(1000)))
        .unwrap();
    let log = format!("other words\n{}", String::from_utf8(out).unwrap());
    let told = read_failure(&log).unwrap();
    assert!(
        told.starts_with("late by 3 s cutover-result begin") && told.chars().count() <= REASON_MAX_CHARS + 1
    );
    assert!(read_own(&log).is_err());
    assert_eq!(read_failure("Error: something with a secret"), None);
}

#[test]
fn what_a_worker_says_on_the_way_is_found_and_is_none_of_its_result() {
    let mut log = Vec::new();
    for line in ["a third", "two thirds"] {
        write_progress(&mut log, KEY, 0, line).unwrap();
    }
    write_progress(&mut log, KEY, 1, "another one's").unwrap();
    write_progress(&mut log, "uid/api/2", 0, "an earlier one's").unwrap();
    write(&mut log, KEY, 0, b"result").unwrap();
    let log = String::from_utf8(log).unwrap();
    assert_eq!(read_progress(&log, KEY, 0).as_deref(), Some("two thirds"));
    assert_eq!(read_progress(&log, KEY, 2), None);
    assert_eq!(read_own(&log), Ok(b"result".to_vec()));
}
