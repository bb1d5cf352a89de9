//! Values of settings: when two are the same, and which is the stricter.
//!
//! Decides by what PostgreSQL does with the value, not by how it is written. Never decides whether it matters.

use crate::checks::server::{facts::Setting, locale::libc_name};

/// Time zones that are UTC under another name.
const UTC: [&str; 9] =
    ["utc", "etc/utc", "gmt", "etc/gmt", "etc/zulu", "zulu", "etc/universal", "universal", "etc/uct"];
/// Limits for which zero means none.
const ZERO_IS_NONE: [&str; 6] = [
    "gin_fuzzy_search_limit",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "lock_timeout",
    "statement_timeout",
    "transaction_timeout",
];

/// Whether both values do the same.
pub(super) fn same(name: &str, ours: &Setting, theirs: &Setting) -> bool {
    let normal = |setting: &Setting| normal(name, setting.value.as_deref().unwrap_or_default());
    (normal(ours), &ours.unit) == (normal(theirs), &theirs.unit)
}

fn normal(name: &str, value: &str) -> String {
    match name {
        // What C.UTF-8 adds to C is about characters, not about formats.
        _ if name.starts_with("lc_") && value.starts_with("C.") => "C".to_owned(),
        _ if name.starts_with("lc_") => libc_name(value),
        "TimeZone" if UTC.contains(&value.to_ascii_lowercase().as_str()) => "UTC".to_owned(),
        "search_path" | "DateStyle" => value.split(',').map(str::trim).collect::<Vec<_>>().join(","),
        "shared_preload_libraries" | "session_preload_libraries" => {
            let mut names: Vec<&str> = value.split(',').map(str::trim).collect();
            names.sort_unstable();
            names.join(",")
        }
        _ => value.to_owned(),
    }
}

/// Whether the candidate's limit allows less; `None` where that can't be told.
pub(super) fn is_stricter(name: &str, ours: &Setting, theirs: &Setting) -> Option<bool> {
    if name == "deadlock_timeout" || name == "block_size" || ours.unit != theirs.unit {
        return None;
    }
    let limit = |setting: &Setting| {
        let value: i64 = setting.value.as_deref()?.parse().ok()?;
        let is_none = value < 0 || value == 0 && ZERO_IS_NONE.contains(&name);
        Some(if is_none { i64::MAX } else { value })
    };
    Some(limit(theirs)? < limit(ours)?)
}

/// Whether the candidate has all that legacy has, and more.
pub(super) fn is_more(name: &str, ours: &Setting, theirs: &Setting) -> bool {
    let (ours, theirs) =
        (ours.value.as_deref().unwrap_or_default(), theirs.value.as_deref().unwrap_or_default());
    let level = |value| ["minimal", "replica", "logical"].iter().position(|level| *level == value);
    match name {
        "data_checksums" | "fsync" | "full_page_writes" | "track_commit_timestamp" => theirs == "on",
        "wal_level" => level(theirs) > level(ours),
        "shared_preload_libraries" | "session_preload_libraries" => {
            let loaded: Vec<&str> = theirs.split(',').map(str::trim).collect();
            ours.is_empty() || ours.split(',').all(|library| loaded.contains(&library.trim()))
        }
        _ => false,
    }
}

/// The value with its unit, as far as it is a number of them.
pub(super) fn text(setting: &Setting) -> String {
    let value = setting.value.as_deref().unwrap_or_default();
    match setting.unit.as_deref() {
        _ if value.is_empty() => "nothing".to_owned(),
        // Units such as 8kB are counted in.
        Some(unit) if unit.starts_with(|c: char| c.is_ascii_digit()) => format!("{value} × {unit}"),
        Some(unit) => format!("{value} {unit}"),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(value: &str) -> Setting {
        Setting { value: Some(value.to_owned()), unit: None, default: None }
    }

    #[test]
    fn values_are_compared_by_what_they_do() {
        for (name, ours, theirs, expected) in [
            ("TimeZone", "Etc/UTC", "GMT", true),
            ("TimeZone", "UTC", "Europe/Berlin", false),
            ("search_path", "\"$user\", public", "\"$user\",public", true),
            ("search_path", "public, app", "app, public", false),
            ("shared_preload_libraries", "b, a", "a,b", true),
            ("work_mem", "4096", "8192", false),
            ("lc_time", "C", "C.UTF-8", true),
            ("lc_time", "C", "de_DE.UTF-8", false),
        ] {
            assert_eq!(same(name, &setting(ours), &setting(theirs)), expected, "{name} {ours} {theirs}");
        }
    }

    #[test]
    fn more_than_legacy_has_is_more() {
        for (name, ours, theirs, expected) in [
            ("fsync", "off", "on", true),
            ("fsync", "on", "off", false),
            ("wal_level", "replica", "logical", true),
            ("wal_level", "logical", "replica", false),
            ("shared_preload_libraries", "a", "b, a", true),
            ("shared_preload_libraries", "", "b", true),
            ("shared_preload_libraries", "a,b", "a", false),
            ("synchronous_commit", "off", "on", false),
        ] {
            assert_eq!(is_more(name, &setting(ours), &setting(theirs)), expected, "{name} {ours} {theirs}");
        }
    }

    #[test]
    fn no_limit_is_looser_than_any() {
        for (name, ours, theirs, expected) in [
            ("statement_timeout", "0", "30000", Some(true)),
            ("statement_timeout", "30000", "0", Some(false)),
            ("statement_timeout", "30000", "20000", Some(true)),
            ("temp_file_limit", "-1", "0", Some(true)),
            ("max_prepared_transactions", "10", "0", Some(true)),
            ("deadlock_timeout", "1000", "2000", None),
        ] {
            assert_eq!(
                is_stricter(name, &setting(ours), &setting(theirs)),
                expected,
                "{name} {ours} {theirs}"
            );
        }
    }
}
