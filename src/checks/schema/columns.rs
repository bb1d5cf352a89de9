//! Columns of tables, views and composite types.
//!
//! Decides what a column is and whether the order of columns matters. The collation of a column that has the database's
//! default is the database's: whether that differs is said once.

use std::collections::HashMap;

use super::{
    family::{BY_NAME, Family, Object, Pairs, Property},
    side::Versions,
};
use crate::checks::{Finding, FindingKind, Severity, shown::shown};

pub(super) const MISSING: FindingKind = FindingKind::fail("column-missing", "statements that name it fail");
pub(super) const EXTRA: FindingKind = FindingKind::warn(
    "column-extra",
    "SELECT * returns it; where it is NOT NULL without a default it fails: inserts that do not know it are refused",
);
pub(super) const TYPE: FindingKind = FindingKind::fail(
    "column-type-differs",
    "values are refused, rounded or decoded differently, and indexes may not be used",
);
pub(super) const NULLABILITY: FindingKind = FindingKind::fail(
    "column-nullability-differs",
    "NULL is refused where legacy takes it, or gets in where the application relies on there being none",
);
pub(super) const DEFAULT: FindingKind =
    FindingKind::fail("column-default-differs", "inserts that leave the column out store something else");
pub(super) const IDENTITY: FindingKind =
    FindingKind::fail("column-identity-differs", "inserts get no number, or are refused one that they bring");
pub(super) const GENERATED: FindingKind =
    FindingKind::fail("column-generated-differs", "the column is computed differently, or not at all");
pub(super) const COLLATION: FindingKind = FindingKind::fail(
    "column-collation-differs",
    "the column sorts and compares differently: other orders, other ranges, other duplicates",
);
pub(super) const ORDER: FindingKind =
    FindingKind::warn("column-order-differs", "SELECT * and INSERT without a list of columns depend on it");
pub(super) const STORAGE: FindingKind = FindingKind::info(
    "column-storage-differs",
    "how large values are stored and compressed changes size and speed, not results",
);
pub(super) const STATISTICS: FindingKind =
    FindingKind::info("column-statistics-differ", "the planner may estimate the column differently");
pub(super) const DATABASE_COLLATION: FindingKind = FindingKind::fail(
    "database-collation-differs",
    "every text column without a collation of its own sorts and compares differently",
);

/// Behind the properties: whether an insert must name the column, and its position.
const MUST_BE_NAMED: usize = 9;
const POSITION: usize = 10;

pub(super) const COLUMNS: Family = Family {
    noun: "column",
    statement: columns,
    missing: &MISSING,
    extra: &EXTRA,
    weigh_extra: Some(extra),
    properties: &[
        Property::shown("type", &TYPE),
        Property::shown("nullability", &NULLABILITY),
        Property::marked("default", &DEFAULT),
        Property::shown("identity", &IDENTITY),
        Property::deparsed("generation", &GENERATED),
        Property::shown("collation", &COLLATION).weighing(collation),
        Property::shown("storage", &STORAGE),
        Property::shown("compression", &STORAGE),
        Property::shown("statistics settings", &STATISTICS),
    ],
    identities: BY_NAME,
    rule: None,
};

/// A type without collations has none, and that the type differs is said.
fn collation(legacy: Option<&str>, candidate: Option<&str>) -> Severity {
    if legacy.is_some() && candidate.is_some() { COLLATION.severity } else { Severity::Info }
}

fn extra(column: &Object) -> Severity {
    if column.text(MUST_BE_NAMED) == Some("yes") { Severity::Fail } else { EXTRA.severity }
}

/// The rows of those tables that the statement's `$2` names.
fn columns(versions: Versions) -> String {
    let parts = parts(versions, "JOIN unnest($2::text[]) AS named (name) ON named.name = rel.name");
    format!("{parts} SELECT * FROM col")
}

/// A digest of all columns of each table: the columns themselves are many, and mostly the same.
pub(super) fn digests(versions: Versions) -> String {
    format!(
        "{} SELECT col.parent, md5(string_agg(md5(col::text), '' ORDER BY col.name)) FROM col GROUP BY col.parent",
        parts(versions, "")
    )
}

/// The default of a serial column names its own sequence, whose name is generated.
fn parts(versions: Versions, only: &str) -> String {
    let collation = collation_text(versions);
    let default = database_collation_text(versions);
    let compression =
        versions.since(14, "CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END", "NULL");
    format!(
        ", own AS MATERIALIZED (
  SELECT d.refobjid, d.refobjsubid, rel.name FROM pg_depend d JOIN rel ON rel.oid = d.objid AND rel.relkind = 'S'
  WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND d.refclassid = 'pg_class'::regclass
    AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
), db AS MATERIALIZED (SELECT {default} AS collation FROM pg_database WHERE datname = current_database()
), co AS MATERIALIZED (
  SELECT co.oid, CASE WHEN co.oid = 100 OR {collation} = db.collation THEN 'the database''s default'
    ELSE {collation} END AS text
  FROM pg_collation co CROSS JOIN db
), col (name, parent) AS MATERIALIZED (
SELECT rel.name || '.' || quote_ident(a.attname), rel.name, format_type(a.atttypid, a.atttypmod),
  CASE WHEN a.attnotnull THEN 'NOT NULL' ELSE 'NULL' END,
  CASE WHEN a.attgenerated <> '' OR ad.oid IS NULL THEN NULL
    WHEN own.name IS NOT NULL AND pg_get_expr(ad.adbin, ad.adrelid) = 'nextval(' || quote_literal(own.name) || '::regclass)'
    THEN 'sthe next value of its own sequence' ELSE 'd' || pg_get_expr(ad.adbin, ad.adrelid) END,
  CASE a.attidentity WHEN 'a' THEN 'generated always' WHEN 'd' THEN 'generated by default' END,
  CASE a.attgenerated WHEN 's' THEN 'stored ' || pg_get_expr(ad.adbin, ad.adrelid)
    WHEN 'v' THEN 'virtual ' || pg_get_expr(ad.adbin, ad.adrelid) END,
  co.text,
  CASE WHEN a.attstorage <> t.typstorage THEN CASE a.attstorage
    WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' ELSE 'extended' END END,
  {compression},
  CASE WHEN a.attstattarget >= 0 OR a.attoptions IS NOT NULL THEN concat_ws(', ',
    CASE WHEN a.attstattarget >= 0 THEN 'target ' || a.attstattarget END,
    (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(a.attoptions) o)) END,
  CASE WHEN a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND rel.relkind IN ('r', 'p') THEN 'yes' END,
  (row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum))::text
FROM rel {only} JOIN pg_attribute a ON a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN co ON co.oid = a.attcollation
LEFT JOIN pg_attrdef ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum
LEFT JOIN own ON own.refobjid = a.attrelid AND own.refobjsubid = a.attnum
WHERE rel.relkind <> 'S')"
    )
}

/// A collation by what it does: the provider and its locale, which may have many names.
fn collation_text(versions: Versions) -> String {
    let locale = match versions.own {
        17.. => "coalesce(co.colllocale, co.collcollate)",
        15.. => "coalesce(co.colliculocale, co.collcollate)",
        _ => "co.collcollate",
    };
    let text = locale_text("co.collprovider", locale);
    format!("{text} || CASE WHEN co.collisdeterministic THEN '' ELSE ', nondeterministic' END")
}

fn database_collation_text(versions: Versions) -> String {
    match versions.own {
        17.. => locale_text("datlocprovider", "coalesce(datlocale, datcollate)"),
        15.. => locale_text("datlocprovider", "coalesce(daticulocale, datcollate)"),
        _ => locale_text("'c'", "datcollate"),
    }
}

/// C is also called POSIX, and the system's libraries write the encoding in two ways.
fn locale_text(provider: &str, locale: &str) -> String {
    format!(
        "CASE {provider} WHEN 'i' THEN 'icu ' WHEN 'b' THEN 'builtin ' ELSE 'libc ' END
           || CASE WHEN {locale} = 'POSIX' THEN 'C' ELSE regexp_replace({locale}, '\\.utf-?8$', '.UTF-8', 'i') END"
    )
}

/// The database itself, as an object with one property.
pub(super) const DATABASE: Family = Family {
    noun: "database",
    statement: |versions| {
        let collation = database_collation_text(versions);
        format!(
            "SELECT 'the database', NULL, {collation} FROM pg_database WHERE datname = current_database()"
        )
    },
    missing: &DATABASE_COLLATION,
    extra: &DATABASE_COLLATION,
    weigh_extra: None,
    properties: &[Property::shown("collation", &DATABASE_COLLATION)],
    identities: BY_NAME,
    rule: None,
};

/// Whether the columns that both sides have are in the same order; one finding for a table.
pub(super) fn order(pairs: &Pairs) -> Vec<Finding> {
    let mut tables: HashMap<&str, Vec<(i32, i32)>> = HashMap::new();
    for (legacy, candidate) in &pairs.both {
        let [old, new] = [legacy, candidate].map(|column| column.text(POSITION)?.parse().ok());
        if let (Some(parent), Some(old), Some(new)) = (&legacy.parent, old, new) {
            tables.entry(parent).or_default().push((old, new));
        }
    }
    let mut names: Vec<_> = tables
        .into_iter()
        .filter_map(|(table, mut columns)| {
            columns.sort_unstable();
            (!columns.is_sorted_by_key(|(_, new)| *new)).then_some(table)
        })
        .collect();
    names.sort_unstable();
    names
        .into_iter()
        .map(|table| Finding::new(&ORDER, shown(table), "its columns are in another order"))
        .collect()
}
