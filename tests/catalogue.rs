//! docs/checks.md says what is detected, and every kind of it is detected by a test.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's panic is its verdict")]

use std::path::{Path, PathBuf};

use cutover::checks;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The section of docs/checks.md about a kind of check.
fn section(kind: &str) -> String {
    let docs = std::fs::read_to_string(root().join("docs/checks.md")).unwrap();
    let heading = format!("\n## `{kind}`");
    let (_, section) = docs.split_once(&heading).unwrap_or_else(|| panic!("docs/checks.md has no {heading}"));
    section.split("\n## ").next().unwrap().to_owned()
}

/// The names in the first column of the section's table of findings.
fn documented(section: &str) -> Vec<&str> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let of_findings = |weight: &str| ["Fail |", "Warn |", "Info |"].iter().any(|w| weight.starts_with(w));
    rows.filter(|(_, rest)| of_findings(rest)).map(|(name, _)| name).collect()
}

/// All that the tests of a kind of check are written in.
fn tests(kind: &str) -> String {
    let name: String = kind.chars().fold(String::new(), |mut name, c| {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
        name
    });
    let folder = root().join("tests/validation");
    let mut files = vec![folder.join(format!("{name}.rs"))];
    if let Ok(entries) = std::fs::read_dir(folder.join(&name)) {
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    files.iter().map(|file: &PathBuf| std::fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn every_kind_of_finding_is_documented_with_its_weight_and_reason() {
    for (check, kinds) in checks::catalogue() {
        let section = section(check);
        for kind in kinds {
            let row = format!("| `{}` | {:?} | {} |", kind.name, kind.severity, kind.reason);
            assert!(section.contains(&row), "docs/checks.md, section {check}, lacks the row\n{row}");
        }
        let names: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
        assert_eq!(documented(&section), names, "section {check} of docs/checks.md");
    }
}

#[test]
fn every_kind_of_finding_is_made_by_a_test() {
    for (check, kinds) in checks::catalogue() {
        let tests = tests(check);
        for kind in kinds {
            assert!(tests.contains(&format!("\"{}\"", kind.name)), "no test of {check} finds {}", kind.name);
        }
    }
}

#[test]
fn names_of_kinds_are_unique_within_a_check_and_reasons_are_sentences() {
    for (check, kinds) in checks::catalogue() {
        let mut names: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), kinds.len(), "{check}");
        for kind in kinds {
            assert!(kind.reason.len() > 10 && !kind.reason.ends_with('.'), "{check}: {}", kind.name);
        }
    }
}
