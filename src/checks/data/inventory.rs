//! Which tables there are, on each side and on both.
//!
//! Decides what is compared at all, and says of everything else why not. Never takes a lock on a table: one that is
//! being altered must not keep the others from being compared.

use std::{collections::BTreeMap, time::Duration};

use tokio_postgres::Row;

use super::{
    super::{
        Finding, Trouble,
        finding::matches,
        shown::{self, qualified},
    },
    connections::{Loss, Server, value},
    kinds,
};
use crate::api::DataCheck;

/// Most tables of one side: what is known about so many fits into what a session may receive.
const TABLES_MAX: usize = 20_000;
/// Longest wait for what the catalogs say.
const LIMIT: Duration = Duration::from_secs(60);

/// Partitions are compared through their root, for the layouts may differ; children of plain inheritance on their own.
const SQL: &str = "\
    WITH RECURSIVE part (root, relid) AS ( \
      SELECT oid, oid FROM pg_class WHERE relkind = 'p' AND NOT relispartition \
      UNION ALL SELECT root, inhrelid FROM part JOIN pg_inherits ON inhparent = relid), \
    root AS ( \
      SELECT root, bool_or(relkind = 'f') AS has_foreign, sum(greatest(reltuples, 0)) AS tuples \
      FROM part JOIN pg_class leaf ON leaf.oid = relid AND leaf.relkind <> 'p' GROUP BY root) \
    SELECT n.nspname::text, c.relname::text, c.oid::int8, \
      CASE WHEN has_foreign THEN 'f' ELSE c.relkind::text END, \
      greatest(coalesce(root.tuples, c.reltuples), 0)::int8, \
      coalesce(row_security_active(c.oid), true), \
      has_schema_privilege(n.oid, 'USAGE') AND (has_table_privilege(c.oid, 'SELECT') OR (SELECT \
        coalesce(bool_and(has_column_privilege(c.oid, a.attnum, 'SELECT')), false) FROM pg_attribute a \
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)), \
      EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN root ON root.root = c.oid \
    WHERE c.relkind IN ('r', 'p', 'f', 'm') AND c.relpersistence <> 't' AND NOT c.relispartition \
      AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' \
      AND ($1 = '[]' OR n.nspname::text IN (SELECT json_array_elements_text($1::json))) \
    LIMIT $2::int8";

/// What a relation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Plain,
    Partitioned,
    Foreign,
    Materialized,
}

/// A relation of one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    oid: i64,
    relation: Relation,
    estimate: u64,
    hides_rows: bool,
    is_readable: bool,
    is_of_extension: bool,
}

/// Schema and name, as the server has them.
pub(super) type Name = (String, String);
/// One side's relations.
pub(super) type Inventory = BTreeMap<Name, Entry>;

/// A table that is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    /// As findings call it.
    pub(super) shown: String,
    /// Its rows, as a `FROM` has them, by side.
    pub(super) from: [String; 2],
    /// Its oid, by side.
    pub(super) oids: [i64; 2],
    /// Rows that it may have.
    pub(super) estimate: u64,
}

/// Asks one side.
pub(super) async fn take(server: &Server<'_>, question: &DataCheck) -> Result<Inventory, Loss> {
    let schemas = serde_json::Value::from(question.schemas.clone()).to_string();
    let rows = server.rows(SQL, &[schemas, (TABLES_MAX + 1).to_string()], LIMIT).await?;
    if rows.len() > TABLES_MAX {
        return Err(Loss::Side(Trouble::error(format!(
            "{} has more than {TABLES_MAX} tables: look at some schemas at a time",
            server.name
        ))));
    }
    let mut entries = rows.iter().map(entry).collect::<Result<Inventory, _>>()?;
    entries.retain(|name, _| is_asked_about(question, name));
    Ok(entries)
}

fn entry(row: &Row) -> Result<(Name, Entry), Loss> {
    let relation = match value(row, 3)? {
        "p" => Relation::Partitioned,
        "f" => Relation::Foreign,
        "m" => Relation::Materialized,
        _ => Relation::Plain,
    };
    let entry = Entry {
        oid: value(row, 2)?,
        relation,
        estimate: u64::try_from(value::<i64>(row, 4)?).unwrap_or(0),
        hides_rows: value(row, 5)?,
        is_readable: value(row, 6)?,
        is_of_extension: value(row, 7)?,
    };
    Ok(((value(row, 0)?, value(row, 1)?), entry))
}

fn is_asked_about(question: &DataCheck, (schema, table): &Name) -> bool {
    let name = format!("{schema}.{table}");
    let is_named = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, &name));
    (question.tables.is_empty() || is_named(&question.tables)) && !is_named(&question.exclude)
}

/// What both sides have, and of everything else what is the matter with it.
pub(super) fn pair(legacy: &Inventory, candidate: &Inventory) -> (Vec<Table>, Vec<Finding>) {
    let mut tables = Vec::new();
    let mut found = Vec::new();
    for (name, entry) in legacy {
        let other = candidate.get(name).filter(|other| other.is_table() || !entry.is_table());
        let refused = entry.refuse(name, "legacy");
        match (refused, other) {
            (Some(finding), _) => found.push(finding),
            (None, None) => found.push(missing(name)),
            (None, Some(other)) => match other.refuse(name, "candidate") {
                Some(finding) => found.push(finding),
                None => tables.push(table(name, [entry, other])),
            },
        }
    }
    for (name, entry) in candidate.iter().filter(|(name, _)| !legacy.contains_key(*name)) {
        if entry.is_table() && !entry.is_of_extension {
            let message = "the candidate has this table and legacy does not; it was not looked at";
            found.push(Finding::new(&kinds::TABLE_EXTRA, qualified(&name.0, &name.1), message));
        }
    }
    (tables, found)
}

/// One side's tables, by themselves.
pub(super) fn alone(candidate: &Inventory) -> (Vec<Table>, Vec<Finding>) {
    let mut tables = Vec::new();
    let mut found = Vec::new();
    for (name, entry) in candidate {
        match entry.refuse(name, "candidate") {
            Some(finding) => found.push(finding),
            None => tables.push(table(name, [entry, entry])),
        }
    }
    (tables, found)
}

/// For each pattern or schema that fits nothing on `side`, and for a side without tables.
pub(super) fn unused(question: &DataCheck, entries: &Inventory, side: &str) -> Vec<Finding> {
    let is_used = |pattern: &str| entries.keys().any(|(s, t)| matches(pattern, &format!("{s}.{t}")));
    let has_schema = |name: &str| entries.keys().any(|(schema, _)| schema == name);
    let patterns = question.tables.iter().filter(|pattern| !is_used(pattern));
    let schemas = question.schemas.iter().filter(|schema| !has_schema(schema));
    let nothing = |what: &String| {
        let message = format!("no table on {side} that the check may look at is meant by this");
        Finding::new(&kinds::NOTHING_COMPARED, shown::name(what), message)
    };
    let mut found: Vec<Finding> = patterns.chain(schemas).map(nothing).collect();
    if found.is_empty() && !entries.values().any(Entry::is_table) {
        found.push(nothing(&"*".to_owned()));
    }
    found
}

impl Entry {
    fn is_table(&self) -> bool {
        matches!(self.relation, Relation::Plain | Relation::Partitioned)
    }

    /// Why it can't be compared, if it can't.
    fn refuse(&self, name: &Name, side: &str) -> Option<Finding> {
        let (kind, message) = if self.is_of_extension {
            (&kinds::EXTENSION_TABLE, format!("belongs to an extension on {side}"))
        } else if self.relation == Relation::Materialized {
            (&kinds::MATERIALIZED_VIEW, format!("is a materialized view on {side}"))
        } else if self.relation == Relation::Foreign {
            (&kinds::FOREIGN_TABLE, format!("is, or has a partition that is, a foreign table on {side}"))
        } else if !self.is_readable {
            (
                &kinds::NO_PRIVILEGE,
                format!("the role may not read all of its columns on {side}: grant SELECT"),
            )
        } else if self.hides_rows {
            let message = format!(
                "row security applies to the role on {side}: connect as a role with BYPASSRLS, or exclude the table"
            );
            (&kinds::ROW_SECURITY, message)
        } else {
            return None;
        };
        Some(Finding::new(kind, qualified(&name.0, &name.1), message))
    }
}

fn missing(name: &Name) -> Finding {
    let message = "legacy has this table and the candidate does not";
    Finding::new(&kinds::TABLE_MISSING, qualified(&name.0, &name.1), message)
}

fn table(name: &Name, entries: [&Entry; 2]) -> Table {
    let from = |entry: &Entry| {
        let only = if entry.relation == Relation::Partitioned { "" } else { "ONLY " };
        format!("{only}{}.{} AS t", quoted(&name.0), quoted(&name.1))
    };
    Table {
        shown: qualified(&name.0, &name.1),
        from: entries.map(from),
        oids: entries.map(|entry| entry.oid),
        estimate: entries[0].estimate.max(entries[1].estimate),
    }
}

/// A name as SQL has it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
