//! Extensions that the legacy database has.
//!
//! Decides by name and version; an extension's objects are the schema check's. What only the candidate has is no
//! difference that the application could notice.

use std::cmp::Ordering;

use super::{Facts, Finding, FindingKind, shown};

pub(super) const MISSING: FindingKind = FindingKind::fail(
    "extension-missing",
    "types, functions and operators that the application uses are not there",
);
pub(super) const OLDER: FindingKind =
    FindingKind::fail("extension-older", "an older version lacks functions and fixes that legacy has");
pub(super) const NEWER: FindingKind =
    FindingKind::info("extension-newer", "a newer version usually comes with a newer server");
pub(super) const DIFFERS: FindingKind = FindingKind::warn(
    "extension-version-differs",
    "the versions are not numbers, so which one is the older can't be told",
);

pub(super) fn compare(legacy: &Facts, candidate: &Facts) -> Vec<Finding> {
    let compare = |(name, ours): (&String, &String)| match candidate.extensions.get(name) {
        None => Some(missing(name, ours, candidate)),
        Some(theirs) => differing(name, ours, theirs),
    };
    legacy.extensions.iter().filter_map(compare).collect()
}

fn missing(name: &str, ours: &str, candidate: &Facts) -> Finding {
    let remedy = match candidate.available.get(name) {
        Some(version) => format!("it is available there as {}: CREATE EXTENSION", shown(version)),
        None => "it is not available there: the server would have to offer it".to_owned(),
    };
    let ours = shown(ours);
    let message = format!("legacy has version {ours}, the candidate has none; {remedy}");
    Finding::new(&MISSING, shown(name), message).with("legacy", ours)
}

fn differing(name: &str, ours: &str, theirs: &str) -> Option<Finding> {
    if ours == theirs {
        return None;
    }
    let kind = match order(theirs, ours) {
        Some(Ordering::Less) => &OLDER,
        Some(Ordering::Greater) => &NEWER,
        Some(Ordering::Equal) | None => &DIFFERS,
    };
    let (ours, theirs) = (shown(ours), shown(theirs));
    let message = format!("the candidate has version {theirs}, legacy has {ours}");
    Some(Finding::new(kind, shown(name), message).with("legacy", ours).with("candidate", theirs))
}

/// Versions are any text; those that are numbers joined by dots have an order.
fn order(left: &str, right: &str) -> Option<Ordering> {
    let numbers =
        |text: &str| text.split('.').map(|part| part.parse::<u64>().ok()).collect::<Option<Vec<_>>>();
    Some(numbers(left)?.cmp(&numbers(right)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_numbers_where_they_are_numbers() {
        assert_eq!(order("1.10", "1.9"), Some(Ordering::Greater));
        assert_eq!(order("1.9", "1.9.1"), Some(Ordering::Less));
        assert_eq!(order("3.4.0dev", "3.4.0"), None);
        assert_eq!(order("", "1.0"), None);
    }
}
