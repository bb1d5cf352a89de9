//! Types: domains, enums, composites, ranges.
//!
//! Decides what a type is beyond the columns of a composite and the constraints of a domain.

use super::family::{BY_NAME, Family, Object, Property};
use crate::checks::{Finding, FindingKind, Severity, shown::shown};

pub(super) const MISSING: FindingKind =
    FindingKind::fail("type-missing", "statements and columns that name it fail");
pub(super) const EXTRA: FindingKind = FindingKind::info("type-extra", "nothing that runs on legacy names it");
pub(super) const TYPE: FindingKind =
    FindingKind::fail("type-differs", "it takes, stores or compares values differently");
pub(super) const DOMAIN: FindingKind =
    FindingKind::fail("domain-differs", "it takes other values, or has another default");
pub(super) const LABELS: FindingKind = FindingKind::fail(
    "enum-labels-differ",
    "a label that is missing is refused; one that only the candidate has is a warning",
);
pub(super) const LABEL_ORDER: FindingKind =
    FindingKind::fail("enum-order-differs", "enums sort and compare by the order of their labels");
/// Behind the properties: an enum's labels in their order, as JSON.
const LABELS_AT: usize = 7;

pub(super) const TYPES: Family = Family {
    noun: "type",
    statement: |_| {
        "SELECT ns.name || '.' || quote_ident(t.typname), NULL,
  CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'c' THEN 'composite' WHEN 'r' THEN 'range'
    ELSE 'base' END,
  CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
  CASE WHEN t.typtype = 'd' AND t.typnotnull THEN 'NOT NULL' WHEN t.typtype = 'd' THEN 'NULL' END,
  CASE WHEN t.typtype = 'd' THEN t.typdefault END,
  CASE WHEN t.typtype = 'd' THEN (SELECT quote_ident(co.collname) FROM pg_collation co WHERE co.oid = t.typcollation) END,
  (SELECT concat_ws(' ', r.rngsubtype::regtype, opc.opcname, co.collname, nullif(r.rngcanonical::oid, 0)::regproc,
      nullif(r.rngsubdiff::oid, 0)::regproc) FROM pg_range r JOIN pg_opclass opc ON opc.oid = r.rngsubopc
    LEFT JOIN pg_collation co ON co.oid = r.rngcollation WHERE r.rngtypid = t.oid),
  CASE WHEN t.typtype = 'b' THEN concat_ws(' ', t.typlen, t.typbyval, t.typalign, t.typcategory, t.typinput::regproc,
    t.typoutput::regproc) END,
  CASE WHEN t.typtype = 'e' THEN (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e
    WHERE e.enumtypid = t.oid)::text END
FROM pg_type t JOIN ns ON ns.oid = t.typnamespace
LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE t.typtype IN ('b', 'c', 'd', 'e', 'r') AND (t.typrelid = 0 OR c.relkind = 'c')
  AND NOT EXISTS (SELECT FROM pg_type el WHERE el.typarray = t.oid)
  AND NOT EXISTS (SELECT FROM extension e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid)"
            .to_owned()
    },
    missing: &MISSING,
    extra: &EXTRA,
    weigh_extra: None,
    properties: &[
        Property::shown("kind", &TYPE).deciding(),
        Property::shown("base type", &DOMAIN),
        Property::shown("nullability", &DOMAIN),
        Property::deparsed("default", &DOMAIN),
        Property::shown("collation", &DOMAIN),
        Property::shown("range", &TYPE),
        Property::shown("representation", &TYPE),
    ],
    identities: BY_NAME,
    rule: Some(labels),
};

fn labels(legacy: Option<&Object>, candidate: &Object, found: &mut Vec<Finding>) {
    let read =
        |object: &Object| -> Option<Vec<String>> { serde_json::from_str(object.text(LABELS_AT)?).ok() };
    let (Some(legacy), Some(new)) = (legacy, read(candidate)) else {
        return;
    };
    let Some(old) = read(legacy) else {
        return;
    };
    let only = |these: &[String], others: &[String]| -> Vec<String> {
        these.iter().filter(|label| !others.contains(label)).cloned().collect()
    };
    let (missing, extra) = (only(&old, &new), only(&new, &old));
    if !missing.is_empty() || !extra.is_empty() {
        let message =
            format!("{} of its labels are missing, {} are only on the candidate", missing.len(), extra.len());
        let severity = if missing.is_empty() { Severity::Warn } else { LABELS.severity };
        let finding = Finding::new(&LABELS, shown(&legacy.name), message).weighing(severity);
        found.push(
            finding.with("missing", shown(&missing.join(", "))).with("extra", shown(&extra.join(", "))),
        );
    }
    let common = |these: &[String], missing: &[String]| -> Vec<String> {
        these.iter().filter(|label| !missing.contains(label)).cloned().collect()
    };
    if common(&old, &missing) != common(&new, &extra) {
        found.push(Finding::new(&LABEL_ORDER, shown(&legacy.name), "its labels are in another order"));
    }
}
