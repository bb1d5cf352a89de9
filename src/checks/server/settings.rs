//! Settings, as a new session of the application gets them.
//!
//! Decides which settings matter and to what: results, plans, limits, or the service as a whole. Compared is
//! `reset_val`: the server's value after `ALTER ROLE`, `ALTER DATABASE` and the connection's own options, before this
//! program's `SET LOCAL`. Settings that are not in the table, those of extensions among them, are not compared.

use super::{Facts, Finding, FindingKind, facts::Setting, pooling::Pooling, shown};
use crate::checks::Severity;

mod table;
mod value;

pub(super) use table::names;
use table::{Matter, matter};
use value::{is_more, is_stricter, same, text};

pub(super) const RESULT: FindingKind = FindingKind::fail(
    "result-setting-differs",
    "the same statement returns something else, or stores something else",
);
pub(super) const PLAN: FindingKind =
    FindingKind::warn("plan-setting-differs", "the planner may choose another plan for the same statement");
pub(super) const LIMIT: FindingKind = FindingKind::warn(
    "limit-setting-differs",
    "a stricter limit ends or refuses what legacy carries out; a looser one is only noted",
);
pub(super) const SERVICE: FindingKind = FindingKind::warn(
    "service-setting-differs",
    "what is durable, replicated or loaded on legacy is not on the candidate; more than on legacy is only noted",
);
pub(super) const ONE_SIDED: FindingKind = FindingKind::warn(
    "setting-one-sided",
    "only one of the two releases knows the setting, and there it is not at its default",
);
pub(super) const HIDDEN: FindingKind = FindingKind::info(
    "setting-hidden",
    "the server shows it to members of pg_read_all_settings alone; loaded libraries are compared by the settings they bring",
);
pub(super) const CONNECTIONS: FindingKind = FindingKind::warn(
    "connections-fewer",
    "pools that fit legacy may not fit the candidate: the pool check does the sum",
);
pub(super) const LIBRARY: FindingKind = FindingKind::warn(
    "library-not-loaded",
    "what the library did on legacy (statistics, auditing, logging of plans) does not happen on the candidate",
);

/// Connections that an ordinary role does not get; only some servers know the last two.
const RESERVED: [&str; 3] =
    ["superuser_reserved_connections", "reserved_connections", "rds.rds_superuser_reserved_connections"];
/// Settings that `connections` and `version` look at.
const ELSEWHERE: [&str; 5] =
    ["max_connections", RESERVED[0], RESERVED[1], RESERVED[2], "default_transaction_read_only"];
/// Libraries that are loaded when their first function runs: on a pooled connection, by anybody.
const LOADED_ON_USE: [&str; 5] = ["plpgsql", "plperl", "plpython3", "pltcl", "pg_trgm"];

pub(super) fn compare(legacy: &Facts, candidate: &Facts, ignored: &[String]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, ours) in &legacy.settings {
        if let Some(theirs) = candidate.settings.get(name) {
            found.extend(differing(name, ours, theirs));
        } else {
            found.extend(one_sided(name, ours, "legacy"));
        }
    }
    let only_theirs = candidate.settings.iter().filter(|(name, _)| !legacy.settings.contains_key(*name));
    found.extend(only_theirs.filter_map(|(name, theirs)| one_sided(name, theirs, "the candidate")));
    found.extend(hidden(legacy, candidate));
    found.extend(libraries(legacy, candidate));
    found.extend(connections(legacy, candidate));
    found.retain(|finding| !is_ignored(&finding.object, ignored));
    found
}

/// Whether the setting is one of those that are compared, and so may be shown.
pub(super) fn is_known(name: &str) -> bool {
    names().any(|known| known.eq_ignore_ascii_case(name)) || name.starts_with("enable_")
}

pub(super) fn is_ignored(name: &str, ignored: &[String]) -> bool {
    ignored.iter().any(|other| other.eq_ignore_ascii_case(name))
}

fn differing(name: &str, ours: &Setting, theirs: &Setting) -> Option<Finding> {
    let matter = matter(name).filter(|_| !ELSEWHERE.contains(&name))?;
    if same(name, ours, theirs) {
        return None;
    }
    let kind = match matter {
        Matter::Results => &RESULT,
        Matter::Plans => &PLAN,
        Matter::Limits => &LIMIT,
        Matter::Service => &SERVICE,
    };
    let (old, new) = (shown(&text(ours)), shown(&text(theirs)));
    let message = format!("{new} on the candidate, {old} on legacy");
    let finding = Finding::new(kind, shown(name), message).with("legacy", old).with("candidate", new);
    let is_better = match matter {
        Matter::Limits => is_stricter(name, ours, theirs) == Some(false),
        Matter::Service => is_more(name, ours, theirs),
        Matter::Results | Matter::Plans => false,
    };
    Some(if is_better { finding.weighing(Severity::Info) } else { finding })
}

fn one_sided(name: &str, setting: &Setting, side: &str) -> Option<Finding> {
    if ELSEWHERE.contains(&name) || table::is_hidden_from_many(name) || setting.value == setting.default {
        return None;
    }
    let message = format!("only {side} knows the setting, and has it at {}", shown(&text(setting)));
    Some(Finding::new(&ONE_SIDED, shown(name), message))
}

/// `pg_settings` leaves out the rows that a role may not see.
fn hidden(legacy: &Facts, candidate: &Facts) -> Option<Finding> {
    let sides = [("legacy", legacy), ("candidate", candidate)];
    let blind: Vec<&str> = sides
        .into_iter()
        .filter(|(_, facts)| !facts.settings.contains_key(table::PRELOADED))
        .map(|(side, _)| side)
        .collect();
    let message = format!(
        "not shown to this role on {}: GRANT pg_read_all_settings for it to be compared",
        blind.join(" and ")
    );
    (!blind.is_empty()).then(|| Finding::new(&HIDDEN, table::PRELOADED, message))
}

fn libraries(legacy: &Facts, candidate: &Facts) -> Vec<Finding> {
    let missing = legacy
        .prefixes
        .iter()
        .filter(|prefix| !candidate.prefixes.contains(prefix) && !LOADED_ON_USE.contains(&prefix.as_str()));
    let finding = |prefix: &String| {
        let message = "legacy has the settings of this library, the candidate has not";
        let finding = Finding::new(&LIBRARY, shown(prefix), message);
        // On a pooled connection anybody may have loaded it; on a provider's servers it may be the provider's own.
        let is_sure = legacy.pooling == Pooling::Direct && legacy.provider_roles.is_empty();
        if is_sure { finding } else { finding.weighing(Severity::Info) }
    };
    missing.map(finding).collect()
}

fn connections(legacy: &Facts, candidate: &Facts) -> Option<Finding> {
    let (ours, theirs) = (usable(legacy)?, usable(candidate)?);
    let message = format!(
        "the candidate has {theirs} connections for ordinary roles, legacy has {ours}: raise max_connections, or see \
         that the pools fit"
    );
    let finding = Finding::new(&CONNECTIONS, "max_connections", message);
    (theirs < ours).then(|| finding.with("legacy", ours).with("candidate", theirs))
}

/// What is left once the reserved ones are taken off.
fn usable(facts: &Facts) -> Option<i64> {
    let number = |name: &str| facts.settings.get(name)?.value.as_deref()?.parse::<i64>().ok();
    let reserved: i64 = RESERVED.into_iter().filter_map(number).sum();
    Some(number("max_connections")? - reserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(value: &str) -> Setting {
        Setting { value: Some(value.to_owned()), unit: None, default: Some(value.to_owned()) }
    }

    #[test]
    fn a_setting_that_one_release_lacks_counts_only_where_somebody_set_it() {
        let default = setting("0");
        assert_eq!(one_sided("transaction_timeout", &default, "legacy"), None);
        let set = Setting { value: Some("5000".to_owned()), ..default };
        let finding = one_sided("transaction_timeout", &set, "legacy").unwrap();
        assert_eq!(finding.kind, "setting-one-sided");
    }

    #[test]
    fn locale_settings_are_compared_as_locales() {
        assert_eq!(differing("lc_monetary", &setting("en_US.UTF-8"), &setting("en_US.utf8")), None);
        assert!(differing("lc_monetary", &setting("de_DE.UTF-8"), &setting("C")).is_some());
    }
}
