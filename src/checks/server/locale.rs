//! Encoding, locale, and the versions of the libraries that order text.
//!
//! Decides whether text orders alike on both sides, and whether the candidate's indexes were built in the order that
//! its library has now. Names of one locale are written in several ways (`en_US.UTF-8`, `en_US.utf8`): that is no
//! difference. Never decides whether an index is in fact broken: that takes amcheck and time.

use super::{
    Facts, Finding, FindingKind,
    facts::{Collation, DatabaseFacts},
    shown,
};
use crate::checks::Severity;

pub(super) const ENCODING: FindingKind = FindingKind::fail(
    "encoding-differs",
    "characters that one encoding has and the other has not are refused, and lengths in bytes change",
);
pub(super) const LOCALE: FindingKind = FindingKind::fail(
    "locale-differs",
    "ORDER BY, ranges and LIKE over text, upper() and lower() answer differently",
);
pub(super) const STALE: FindingKind = FindingKind::fail(
    "collation-version-stale",
    "indexes were built in an order that the library no longer has: they may miss rows and let duplicates in",
);
pub(super) const VERSION_DIFFERS: FindingKind = FindingKind::warn(
    "collation-version-differs",
    "another version of the library may order some text differently",
);
pub(super) const VERSION_UNKNOWN: FindingKind = FindingKind::warn(
    "collation-version-unknown",
    "a server that does not tell its library's version may order text differently",
);

pub(super) fn compare(legacy: &Facts, candidate: &Facts) -> Vec<Finding> {
    let (ours, theirs) = (&legacy.database, &candidate.database);
    let mut found = Vec::new();
    if ours.encoding != theirs.encoding {
        found.push(differing(&ENCODING, "encoding", &ours.encoding, &theirs.encoding));
    }
    let (order, their_order) = (order(ours), order(theirs));
    if order != their_order {
        found.push(differing(&LOCALE, "collate", &order, &their_order));
    } else if !has_no_version(&order) {
        found.extend(versions("database", ours.actual.as_deref(), theirs.actual.as_deref()));
    }
    let (class, their_class) = (class(ours), class(theirs));
    if class != their_class {
        found.push(differing(&LOCALE, "ctype", &class, &their_class));
    }
    found.extend(stale(legacy, "legacy").map(|finding| finding.weighing(Severity::Warn)));
    found.extend(stale(candidate, "candidate"));
    for (name, ours) in &legacy.collations {
        if let Some(theirs) = candidate.collations.get(name) {
            found.extend(versions(name, ours.actual.as_deref(), theirs.actual.as_deref()));
        }
    }
    found
}

fn differing(kind: &FindingKind, what: &str, ours: &str, theirs: &str) -> Finding {
    let (ours, theirs) = (shown(ours), shown(theirs));
    let message = format!("the candidate's database has {theirs}, legacy's has {ours}");
    Finding::new(kind, what, message).with("legacy", ours).with("candidate", theirs)
}

/// What text is ordered by: the same text means the same rules, apart from their version.
fn order(facts: &DatabaseFacts) -> String {
    match (facts.provider.as_str(), facts.locale.as_deref()) {
        ("i", locale) => format!("ICU {}", locale.unwrap_or("")),
        ("b", Some(locale)) => libc_name(locale),
        _ => libc_name(&facts.collate),
    }
}

/// What `upper()` and character classes go by.
fn class(facts: &DatabaseFacts) -> String {
    match (facts.provider.as_str(), facts.locale.as_deref()) {
        ("i" | "b", Some(_)) => order(facts),
        _ => libc_name(&facts.ctype),
    }
}

/// `en_US.UTF-8` and `en_US.utf8` are one locale, as are `C` and `POSIX`.
pub(super) fn libc_name(name: &str) -> String {
    match name.split_once('.') {
        _ if name == "POSIX" => "C".to_owned(),
        None => name.to_owned(),
        Some((language, encoding)) => {
            let encoding: String = encoding.chars().filter(|c| *c != '-').collect();
            format!("{language}.{}", encoding.to_lowercase())
        }
    }
}

/// Byte order needs no library.
fn has_no_version(order: &str) -> bool {
    order == "C" || order.starts_with("C.")
}

fn versions(name: &str, ours: Option<&str>, theirs: Option<&str>) -> Option<Finding> {
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        let side = if ours.is_none() { "legacy" } else { "the candidate" };
        let message = format!("{side} does not tell which version of its library orders text");
        return Some(Finding::new(&VERSION_UNKNOWN, shown(name), message));
    };
    let (ours, theirs) = (shown(ours), shown(theirs));
    let message = format!(
        "the candidate's library has version {theirs}, legacy's has {ours}: build indexes on text there, do not copy them"
    );
    let finding = Finding::new(&VERSION_DIFFERS, shown(name), message);
    (ours != theirs).then(|| finding.with("legacy", ours).with("candidate", theirs))
}

/// What was recorded when the indexes were built, and is no longer so.
fn stale<'a>(facts: &'a Facts, side: &'a str) -> impl Iterator<Item = Finding> + 'a {
    let database =
        Collation { recorded: facts.database.recorded.clone(), actual: facts.database.actual.clone() };
    let own = std::iter::once(("database".to_owned(), database, "ALTER DATABASE"));
    let used = facts.collations.iter().map(|(name, used)| (shown(name), used.clone(), "ALTER COLLATION"));
    own.chain(used).filter_map(move |(name, collation, command)| {
        let (recorded, actual) = (collation.recorded?, collation.actual?);
        let (recorded, actual) = (shown(&recorded), shown(&actual));
        let message = format!(
            "{side}'s indexes on text were built with version {recorded}, its library now has {actual}: \
             REINDEX them, then {command} … REFRESH VERSION"
        );
        let finding = Finding::new(&STALE, format!("{side}.{name}"), message);
        (recorded != actual).then(|| finding.with("recorded", recorded).with("actual", actual))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(provider: &str, collate: &str, locale: Option<&str>) -> DatabaseFacts {
        DatabaseFacts {
            encoding: "UTF8".to_owned(),
            collate: collate.to_owned(),
            ctype: collate.to_owned(),
            provider: provider.to_owned(),
            locale: locale.map(str::to_owned),
            recorded: None,
            actual: None,
        }
    }

    #[test]
    fn one_locale_has_several_names_and_two_locales_have_not_one() {
        let same = |left: &DatabaseFacts, right: &DatabaseFacts| order(left) == order(right);
        let english = database("c", "en_US.UTF-8", None);
        assert!(same(&english, &database("c", "en_US.utf8", None)));
        assert!(same(&database("c", "C", None), &database("c", "POSIX", None)));
        assert!(same(&database("c", "C.UTF-8", None), &database("b", "en_US.UTF-8", Some("C.UTF-8"))));
        assert!(!same(&english, &database("i", "en_US.UTF-8", Some("en-US"))));
        assert!(!same(&english, &database("c", "en_US.ISO8859-1", None)));
        assert!(!same(&english, &database("c", "C", None)));
    }

    #[test]
    fn a_version_that_is_not_known_is_not_taken_for_the_same() {
        assert_eq!(
            versions("database", None, None).map(|f| f.kind),
            Some("collation-version-unknown".to_owned())
        );
        assert_eq!(versions("database", Some("2.36"), Some("2.36")), None);
    }
}
