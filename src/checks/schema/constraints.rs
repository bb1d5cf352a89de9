//! Constraints, and indexes that are not a constraint's.
//!
//! Decides that both are what they are defined as: names are often generated, so a different one is only noted.

use super::{
    family::{Family, Identity, Object, Property, name},
    side::Versions,
};
use crate::checks::{Finding, FindingKind, Severity, shown::shown};

pub(super) const CONSTRAINT_MISSING: FindingKind =
    FindingKind::fail("constraint-missing", "rows get in that legacy refuses");
pub(super) const CONSTRAINT_EXTRA: FindingKind =
    FindingKind::fail("constraint-extra", "rows are refused that legacy takes");
pub(super) const CONSTRAINT: FindingKind = FindingKind::fail(
    "constraint-differs",
    "other rows are refused, or other rows follow when one is changed or deleted",
);
pub(super) const CONSTRAINT_NAME: FindingKind = FindingKind::info(
    "constraint-name-differs",
    "names are often generated; only ON CONFLICT ON CONSTRAINT and code that reads error messages know them",
);
pub(super) const DEFERRABLE: FindingKind = FindingKind::fail(
    "constraint-deferrability-differs",
    "it is checked at another moment: transactions that end well on legacy may fail",
);
pub(super) const NOT_VALID: FindingKind = FindingKind::fail(
    "constraint-not-validated",
    "old rows may break it, and the planner can't rely on it; only noted where legacy has not validated it either",
);
pub(super) const NOT_ENFORCED: FindingKind = FindingKind::fail(
    "constraint-not-enforced",
    "its triggers are disabled, or it is NOT ENFORCED: rows get in that break it",
);
pub(super) const INDEX_MISSING: FindingKind = FindingKind::fail(
    "index-missing",
    "statements that use it become slow, and a unique one keeps duplicates out",
);
pub(super) const INDEX_EXTRA: FindingKind = FindingKind::info(
    "index-extra",
    "it costs writes and may change plans; a unique one fails: it refuses rows that legacy takes",
);
pub(super) const INDEX: FindingKind =
    FindingKind::fail("index-differs", "it serves other statements than legacy's, or refuses other rows");
pub(super) const INDEX_NAME: FindingKind =
    FindingKind::info("index-name-differs", "names are often generated; only hints to a planner know them");
pub(super) const INDEX_OPTIONS: FindingKind =
    FindingKind::warn("index-options-differ", "storage parameters change its size and the cost of writes");
pub(super) const INDEX_INVALID: FindingKind = FindingKind::fail(
    "index-invalid",
    "no plan uses it, while every write maintains it; a warning where legacy's is invalid or missing, too",
);

const DEFINITION: usize = 0;
/// Behind the properties: whether it is validated, or valid.
const VALIDATED: usize = 3;
const VALID: usize = 2;
/// Behind that, of an index: whether it is unique.
const UNIQUE: usize = 3;
/// Behind that, of a constraint: the name of its own index, and whether that is valid.
const OWN_INDEX: usize = 4;
const OWN_INDEX_VALID: usize = 5;

/// Of the index `x`; that of a partitioned table is valid once one of each partition is attached to it.
const IS_VALID: &str = "CASE WHEN x.indisvalid AND x.indisready AND x.indislive THEN 'yes' ELSE 'no' END";

const BY_DEFINITION: &[Identity] = &[name_and_definition, definition, name];

fn name_and_definition(object: &Object, majors_differ: bool) -> Option<String> {
    Some(format!("{}\n{}", object.name, definition(object, majors_differ)?))
}

fn definition(object: &Object, majors_differ: bool) -> Option<String> {
    let definition = object.values.get(DEFINITION)?.as_ref()?.mark(majors_differ);
    Some(format!("{}\n{definition}", object.parent.as_deref()?))
}

pub(super) const CONSTRAINTS: Family = Family {
    noun: "constraint",
    statement: constraints,
    missing: &CONSTRAINT_MISSING,
    extra: &CONSTRAINT_EXTRA,
    weigh_extra: None,
    properties: &[
        Property::marked("definition", &CONSTRAINT),
        Property::shown("deferrability", &DEFERRABLE),
        Property::shown("enforcement", &NOT_ENFORCED),
    ],
    identities: BY_DEFINITION,
    rule: Some(constraint),
};

/// Those of partitions that stand for their parent's reference, one for each partition of the other table, are left
/// out. What the definition says at its end is a property of its own.
fn constraints(versions: Versions) -> String {
    let enforced = versions.since(18, "NOT con.conenforced OR", "");
    format!(
        "SELECT o.name || '.' || quote_ident(con.conname), o.name,
  CASE WHEN con.contype IN ('p', 'u', 'f') THEN 's' ELSE 'd' END
    || regexp_replace(pg_get_constraintdef(con.oid), '( NOT ENFORCED| NOT VALID| DEFERRABLE| INITIALLY DEFERRED)+$', ''),
  CASE WHEN con.condeferred THEN 'initially deferred' WHEN con.condeferrable THEN 'deferrable'
    ELSE 'not deferrable' END,
  CASE WHEN {enforced} EXISTS (SELECT FROM pg_trigger t WHERE t.tgconstraint = con.oid AND t.tgisinternal
    AND t.tgenabled IN ('D', 'R')) THEN 'off' ELSE 'on' END,
  CASE WHEN con.convalidated THEN 'yes' ELSE 'no' END, x.indexrelid::regclass::text, {IS_VALID}
FROM pg_constraint con JOIN (
  SELECT rel.oid AS relation, 0::oid AS domain, rel.name FROM rel
  UNION ALL SELECT 0, t.oid, ns.name || '.' || quote_ident(t.typname) FROM pg_type t JOIN ns ON ns.oid = t.typnamespace
  WHERE t.typtype = 'd' AND NOT EXISTS
    (SELECT FROM extension e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid)
) o ON o.relation = con.conrelid AND o.domain = con.contypid
LEFT JOIN pg_index x ON x.indexrelid = con.conindid AND con.contype IN ('p', 'u', 'x')
WHERE con.contype IN ('p', 'u', 'f', 'c', 'x') AND (con.contype <> 'f' OR con.conparentid = 0)"
    )
}

fn constraint(legacy: Option<&Object>, candidate: &Object, found: &mut Vec<Finding>) {
    name_differs(&CONSTRAINT_NAME, legacy, candidate, found);
    if candidate.text(VALIDATED) == Some("no") {
        let is_new = legacy.is_none_or(|legacy| legacy.text(VALIDATED) == Some("yes"));
        let severity = if is_new { NOT_VALID.severity } else { Severity::Info };
        let message = "the candidate has not validated the constraint: its old rows were not checked";
        found.push(Finding::new(&NOT_VALID, shown(&candidate.name), message).weighing(severity));
    }
    if let Some(index) = candidate.text(OWN_INDEX) {
        validity(
            index,
            legacy.and_then(|legacy| legacy.text(OWN_INDEX_VALID)),
            candidate.text(OWN_INDEX_VALID),
            found,
        );
    }
}

pub(super) const INDEXES: Family = Family {
    noun: "index",
    statement: indexes,
    missing: &INDEX_MISSING,
    extra: &INDEX_EXTRA,
    weigh_extra: Some(|index| match index.text(UNIQUE) {
        Some("yes") => Severity::Fail,
        _ => INDEX_EXTRA.severity,
    }),
    properties: &[
        Property::marked("definition", &INDEX),
        Property::shown("storage parameters", &INDEX_OPTIONS),
    ],
    identities: BY_DEFINITION,
    rule: Some(index),
};

/// The server's own statement for it, without its name and that of its table, which come first, and without storage
/// parameters.
fn indexes(_: Versions) -> String {
    format!(
        "SELECT ns.name || '.' || quote_ident(i.relname), rel.name,
  CASE WHEN x.indexprs IS NULL AND x.indpred IS NULL THEN 's' ELSE 'd' END || u.word
    || CASE WHEN i.reloptions IS NULL THEN d.text ELSE regexp_replace(d.text, ' WITH \\([^()]*\\)', '') END,
  (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(i.reloptions) o),
  {IS_VALID},
  CASE WHEN x.indisunique THEN 'yes' END
FROM rel JOIN pg_index x ON x.indrelid = rel.oid JOIN pg_class i ON i.oid = x.indexrelid
JOIN ns ON ns.oid = i.relnamespace
CROSS JOIN LATERAL (SELECT CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END) AS u (word)
CROSS JOIN LATERAL (SELECT substr(pg_get_indexdef(i.oid), length('CREATE ' || u.word || 'INDEX '
  || quote_ident(i.relname) || ' ON ' || CASE WHEN i.relkind = 'I' THEN 'ONLY ' ELSE '' END || rel.name || ' ') + 1)
) AS d (text)
WHERE NOT EXISTS (SELECT FROM pg_constraint con WHERE con.conindid = i.oid AND con.contype IN ('p', 'u', 'x'))"
    )
}

fn index(legacy: Option<&Object>, candidate: &Object, found: &mut Vec<Finding>) {
    name_differs(&INDEX_NAME, legacy, candidate, found);
    validity(&candidate.name, legacy.and_then(|legacy| legacy.text(VALID)), candidate.text(VALID), found);
}

fn validity(index: &str, legacy: Option<&str>, candidate: Option<&str>, found: &mut Vec<Finding>) {
    if candidate == Some("no") {
        let severity = if legacy == Some("yes") { INDEX_INVALID.severity } else { Severity::Warn };
        let message =
            "the candidate's index is invalid: building it, or attaching its partitions, did not end well";
        found.push(Finding::new(&INDEX_INVALID, shown(index), message).weighing(severity));
    }
}

/// The object keeps legacy's name.
pub(super) fn name_differs(
    kind: &FindingKind,
    legacy: Option<&Object>,
    candidate: &Object,
    found: &mut Vec<Finding>,
) {
    if let Some(legacy) = legacy.filter(|legacy| legacy.name != candidate.name) {
        let message = format!("the candidate calls it {}", shown(&candidate.name));
        found.push(Finding::new(kind, shown(&legacy.name), message));
    }
}
