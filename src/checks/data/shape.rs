//! A table's columns and keys, as one server has them.
//!
//! Decides what can identify a row: a valid unique index over whole columns that are never null. Never reads a row.

use std::time::Duration;

use super::connections::{Loss, Server, value};

/// Longest wait for what the catalogs say.
const LIMIT: Duration = Duration::from_secs(30);

/// The collation is its provider and names; the version, where one is known, counts apart. What a version of PostgreSQL
/// calls these columns is left to `to_jsonb`. From 18 on a column may be `NOT NULL` and hold some, if that is not validated.
const SQL: &str = "\
    WITH own AS (SELECT to_jsonb(d) AS d FROM pg_database d WHERE d.datname = current_database()), \
    collation_of AS ( \
      SELECT 100::oid AS oid, d->>'datcollversion' AS version, concat_ws('/', coalesce(d->>'datlocprovider', 'c'), \
        d->>'datcollate', coalesce(d->>'datlocale', d->>'daticulocale')) AS name FROM own \
      UNION ALL SELECT l.oid, l.collversion, concat_ws('/', l.collprovider, j->>'collcollate', \
        coalesce(j->>'colllocale', j->>'colliculocale')) \
        FROM pg_collation l, LATERAL (SELECT to_jsonb(l) AS j) x WHERE l.oid <> 100 AND l.oid IN \
        (SELECT attcollation FROM pg_attribute WHERE attrelid = $1::oid)), \
    never_null AS (SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = $1::oid AND a.attnotnull \
      AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = $1::oid AND c.contype = 'n' \
        AND NOT c.convalidated AND a.attnum = ANY (c.conkey))) \
    SELECT 0, a.attnum::int4, a.attname::text, a.atttypid::int8, o.name, o.version, NULL::text[], \
        a.attnum IN (SELECT attnum FROM never_null) \
      FROM pg_attribute a LEFT JOIN collation_of o ON o.oid = a.attcollation \
      WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped \
    UNION ALL \
    SELECT 1, (NOT i.indisprimary)::int4 * 1000 + i.indnkeyatts, '', i.indexrelid::int8, NULL, NULL, ARRAY( \
        SELECT a.attname::text FROM generate_series(0, i.indnkeyatts - 1) AS at (n) \
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[at.n] ORDER BY at.n), true \
      FROM pg_index i WHERE i.indrelid = $1::oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL \
        AND i.indexprs IS NULL AND NOT EXISTS ( \
          SELECT FROM generate_series(0, i.indnkeyatts - 1) AS at (n) \
          WHERE i.indkey[at.n] NOT IN (SELECT attnum FROM never_null)) \
    ORDER BY 1, 2, 4";

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// The type's oid; the same on every server for PostgreSQL's own types.
    pub(super) kind: i64,
    /// By what its text is ordered, and in which version.
    pub(super) collation: Option<String>,
    pub(super) collation_version: Option<String>,
    /// Whether no row has NULL in it.
    pub(super) is_never_null: bool,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Shape {
    /// In the order of the table.
    pub(super) columns: Vec<Column>,
    /// What identifies a row: the primary key first, then the narrowest.
    pub(super) keys: Vec<Vec<String>>,
}

/// Asks one side.
pub(super) async fn ask(server: &Server<'_>, oid: i64) -> Result<Shape, Loss> {
    let mut shape = Shape::default();
    for row in server.rows(SQL, &[oid.to_string()], LIMIT).await? {
        if value::<i32>(&row, 0)? == 1 {
            shape.keys.push(value(&row, 6)?);
        } else {
            shape.columns.push(Column {
                name: value(&row, 2)?,
                kind: value(&row, 3)?,
                collation: value(&row, 4)?,
                collation_version: value(&row, 5)?,
                is_never_null: value(&row, 7)?,
            });
        }
    }
    Ok(shape)
}
