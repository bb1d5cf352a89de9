//! Sequences: what they are, and the next value of each.
//!
//! Decides whether numbers will be handed out twice. Pure; `values` reads. A sequence that a column owns may have a
//! generated name, and is then known by its column.

use std::collections::HashMap;

use super::{
    constraints::name_differs,
    family::{Family, Identity, Object, Pairs, Property, name},
    values::Reach,
};
use crate::checks::{Finding, FindingKind, Severity, shown::shown};

pub(super) const MISSING: FindingKind =
    FindingKind::fail("sequence-missing", "inserts that take a number from it fail");
pub(super) const EXTRA: FindingKind =
    FindingKind::info("sequence-extra", "nothing that runs on legacy names it");
pub(super) const SEQUENCE: FindingKind = FindingKind::fail(
    "sequence-differs",
    "it hands out other numbers, or ends earlier; cache and start alone are only noted",
);
pub(super) const NAME: FindingKind = FindingKind::info(
    "sequence-name-differs",
    "names of sequences of columns are often generated; only code that calls nextval by name knows them",
);
pub(super) const OWNERSHIP: FindingKind = FindingKind::warn(
    "sequence-ownership-differs",
    "it is not dropped with the same column, and pg_get_serial_sequence does not find it",
);
pub(super) const BEHIND: FindingKind = FindingKind::fail(
    "sequence-value-behind",
    "the candidate hands out numbers again that legacy has handed out: duplicate keys",
);
pub(super) const UNREADABLE: FindingKind = FindingKind::warn(
    "sequence-value-unreadable",
    "the role may not read its value (SELECT on the sequence), so nobody knows whether it lags behind",
);
pub(super) const BEHIND_COLUMN: FindingKind =
    FindingKind::fail("sequence-behind-column", "its next numbers are in the column already: duplicate keys");
pub(super) const COLUMN_UNCHECKED: FindingKind = FindingKind::info(
    "sequence-column-unchecked",
    "the end of its column was not looked up: that takes a column that owns it, an index that begins with that, SELECT on it and no row security",
);

/// Behind the properties: the owning column.
const OWNER: usize = 7;
/// Behind that: the increment as a number.
pub(super) const INCREMENT: usize = 8;
/// How its value can be read: `row` where the role may select from it, its OID where it may only use it.
pub(super) const ACCESS: usize = 9;
/// The owning column without its table, where its end can be looked up.
pub(super) const END_COLUMN: usize = 10;

const BY_NAME_OR_COLUMN: &[Identity] = &[name, owner];

fn owner(object: &Object, _majors_differ: bool) -> Option<String> {
    object.text(OWNER).map(str::to_owned)
}

pub(super) const SEQUENCES: Family = Family {
    noun: "sequence",
    statement: |_| SEQUENCES_SQL.to_owned(),
    missing: &MISSING,
    extra: &EXTRA,
    weigh_extra: None,
    properties: &[
        Property::shown("type", &SEQUENCE),
        Property::shown("increment", &SEQUENCE),
        Property::shown("range", &SEQUENCE),
        Property::shown("end", &SEQUENCE),
        Property::shown("start", &SEQUENCE).weighing(|_, _| Severity::Info),
        Property::shown("cache", &SEQUENCE).weighing(|_, _| Severity::Info),
        Property::shown("owner column", &OWNERSHIP),
    ],
    identities: BY_NAME_OR_COLUMN,
    rule: Some(|legacy, candidate, found| name_differs(&NAME, legacy, candidate, found)),
};

const SEQUENCES_SQL: &str = "
SELECT rel.name, t.name, format_type(s.seqtypid, NULL), s.seqincrement::text, s.seqmin || ' to ' || s.seqmax,
  CASE WHEN s.seqcycle THEN 'cycles' ELSE 'does not cycle' END, s.seqstart::text, s.seqcache::text,
  t.name || '.' || quote_ident(a.attname), t.name || '.' || quote_ident(a.attname), s.seqincrement::text,
  CASE WHEN NOT has_schema_privilege(c.relnamespace, 'USAGE') THEN NULL
    WHEN has_sequence_privilege(rel.oid, 'SELECT') THEN 'row'
    WHEN has_sequence_privilege(rel.oid, 'USAGE') THEN rel.oid::text END,
  CASE WHEN a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) AND first.attnum IS NOT NULL
    AND NOT row_security_active(t.oid) AND has_column_privilege(t.oid, a.attnum, 'SELECT')
    AND has_schema_privilege(tc.relnamespace, 'USAGE') THEN quote_ident(a.attname) END
FROM rel JOIN pg_class c ON c.oid = rel.oid JOIN pg_sequence s ON s.seqrelid = rel.oid
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = rel.oid AND d.objsubid = 0
  AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
LEFT JOIN rel t ON t.oid = d.refobjid
LEFT JOIN pg_class tc ON tc.oid = t.oid
LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
LEFT JOIN (
  SELECT DISTINCT x.indrelid, x.indkey[0] AS attnum FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
  JOIN pg_am am ON am.oid = i.relam WHERE x.indisvalid AND x.indpred IS NULL AND am.amname = 'btree'
) first ON first.indrelid = t.oid AND first.attnum = a.attnum
WHERE rel.relkind = 'S'";

/// Whether the candidate's next values are behind legacy's.
pub(super) fn behind(
    pairs: &Pairs,
    legacy: &HashMap<Box<str>, Reach>,
    candidate: &HashMap<Box<str>, Reach>,
) -> Vec<Finding> {
    let judge = |(old, new): &(Object, Object)| {
        let (Some(&Reach::Next(before)), Some(&Reach::Next(after))) =
            (legacy.get(&old.name), candidate.get(&new.name))
        else {
            return None;
        };
        let gap = if is_descending(new) { after.checked_sub(before)? } else { before.checked_sub(after)? };
        (gap > 0).then(|| {
            let message = format!("the candidate's next value is {gap} behind legacy's");
            let finding = Finding::new(&BEHIND, shown(&old.name), message);
            finding.with("legacyNext", before.to_string()).with("candidateNext", after.to_string())
        })
    };
    pairs.both.iter().filter_map(judge).collect()
}

/// The sequences whose value could not be read on one side, or on both.
pub(super) fn unreadable(
    pairs: &Pairs,
    legacy: &HashMap<Box<str>, Reach>,
    candidate: &HashMap<Box<str>, Reach>,
) -> Vec<Finding> {
    let is_unknown =
        |reaches: &HashMap<Box<str>, Reach>, name: &str| reaches.get(name) == Some(&Reach::Unknown);
    let judge = |(old, new): &(Object, Object)| {
        let side = match (is_unknown(legacy, &old.name), is_unknown(candidate, &new.name)) {
            (false, false) => return None,
            (true, true) => "either side",
            (true, false) => "legacy",
            (false, true) => "the candidate",
        };
        Some(Finding::new(&UNREADABLE, shown(&old.name), format!("its value can't be read on {side}")))
    };
    pairs.both.iter().filter_map(judge).collect()
}

/// Whether candidate's sequences are behind the columns that they feed.
pub(super) fn behind_columns<'a>(
    candidates: impl Iterator<Item = &'a Object>,
    reaches: &HashMap<Box<str>, Reach>,
    ends: &HashMap<Box<str>, i128>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for sequence in candidates {
        let (Some(column), Some(Reach::Next(next))) = (sequence.text(OWNER), reaches.get(&sequence.name))
        else {
            continue;
        };
        let is_behind = |end: &i128| if is_descending(sequence) { next >= end } else { next <= end };
        if sequence.text(END_COLUMN).is_none() {
            let message = format!("whether it lags behind {} was not looked up", shown(column));
            found.push(Finding::new(&COLUMN_UNCHECKED, shown(&sequence.name), message));
        } else if ends.get(&sequence.name).is_some_and(is_behind) {
            let message = format!("the candidate's next value is behind what {} holds", shown(column));
            found.push(Finding::new(&BEHIND_COLUMN, shown(&sequence.name), message));
        }
    }
    found
}

/// Sequences that no column owns, such as those that a default calls by name: nothing tells what they feed.
pub(super) fn ownerless<'a>(candidates: impl Iterator<Item = &'a Object>) -> Vec<Finding> {
    let message = "no column owns it, so whether it lags behind what it feeds was not looked up";
    candidates
        .filter(|sequence| sequence.text(OWNER).is_none())
        .map(|sequence| Finding::new(&COLUMN_UNCHECKED, shown(&sequence.name), message))
        .collect()
}

pub(super) fn is_descending(sequence: &Object) -> bool {
    sequence.text(INCREMENT).is_some_and(|increment| increment.starts_with('-'))
}
