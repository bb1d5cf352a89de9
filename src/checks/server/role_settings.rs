//! `ALTER ROLE … SET` and `ALTER DATABASE … SET`.
//!
//! Decides on what legacy sets for a role or the database and the candidate does not. What reaches the connection's
//! own session and is in the table of settings is not looked at here: there it is the effective value that counts,
//! however it came about. Values of other settings are compared by digest and never shown: they may be secrets.

use std::collections::BTreeMap;

use super::{Facts, Finding, FindingKind, facts::RoleSetting, settings, shown};
use crate::checks::Severity;

pub(super) const MISSING: FindingKind = FindingKind::fail(
    "role-setting-missing",
    "sessions work with another value; a custom setting that nobody sets is an error where it is read",
);
pub(super) const DIFFERS: FindingKind =
    FindingKind::warn("role-setting-differs", "sessions work with another value than on legacy");

/// Whose setting it is: where it holds, for whom, and its name.
type Key<'a> = (bool, Whose<'a>, String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Whose<'a> {
    Everybody,
    /// The role that the connection logs in as: its name may differ between the sides.
    Login,
    Role(&'a str),
}

pub(super) fn compare(legacy: &Facts, candidate: &Facts, ignored: &[String]) -> Vec<Finding> {
    let theirs = by_key(candidate);
    let compare = |(key, ours): (Key<'_>, &RoleSetting)| {
        let (_, whose, name) = &key;
        if settings::is_ignored(name, ignored) || is_effective(*whose, &ours.name) {
            return None;
        }
        let theirs = theirs.get(&key);
        let finding = match theirs {
            Some(theirs) if theirs.digest == ours.digest => return None,
            Some(theirs) => Finding::new(&DIFFERS, object(&key), differing(ours, theirs)),
            None => Finding::new(&MISSING, object(&key), missing(ours)),
        };
        // Another role's may be nobody's business here, and an unknown name without a dot is not the application's.
        let is_light = matches!(whose, Whose::Role(_)) || !ours.name.contains('.');
        Some(if is_light { finding.weighing(Severity::Warn) } else { finding })
    };
    by_key(legacy).into_iter().filter_map(compare).collect()
}

fn by_key(facts: &Facts) -> BTreeMap<Key<'_>, &RoleSetting> {
    let key = |setting: &RoleSetting| setting.name.to_ascii_lowercase();
    let keyed = facts.role_settings.iter().map(|setting| {
        let whose = match setting.role.as_deref() {
            None => Whose::Everybody,
            Some(role) if role == facts.login => Whose::Login,
            Some(role) => Whose::Role(role),
        };
        ((setting.here, whose, key(setting)), setting)
    });
    keyed.collect()
}

/// Whether `settings` has compared what it comes to.
fn is_effective(whose: Whose<'_>, name: &str) -> bool {
    !matches!(whose, Whose::Role(_)) && settings::is_known(name)
}

fn object((here, whose, _): &Key<'_>) -> String {
    let role = match whose {
        Whose::Everybody => None,
        Whose::Login => Some("the connection's role"),
        Whose::Role(role) => Some(*role),
    };
    match (role, here) {
        (None, true) => "database".to_owned(),
        (None, false) => "all roles".to_owned(),
        (Some(role), true) => format!("{} in the database", shown(role)),
        (Some(role), false) => shown(role),
    }
}

fn missing(ours: &RoleSetting) -> String {
    match &ours.value {
        Some(value) => {
            format!("legacy sets {} = {}, the candidate does not", shown(&ours.name), shown(value))
        }
        None => format!("legacy sets {} (its value is not shown), the candidate does not", shown(&ours.name)),
    }
}

fn differing(ours: &RoleSetting, theirs: &RoleSetting) -> String {
    let name = shown(&ours.name);
    match (&ours.value, &theirs.value) {
        (Some(ours), Some(theirs)) => {
            format!("{name} is {} on the candidate, {} on legacy", shown(theirs), shown(ours))
        }
        _ => format!("{name} has another value on the candidate (values are not shown)"),
    }
}
