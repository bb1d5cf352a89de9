//! What a side's catalog says about the tables of plans: their size, whether the planner has statistics, their indexes.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Row, types::Type};

use super::tree::Relation;
use crate::checks::{Trouble, reading::Reading};

/// An index. Its name does not count, its definition does.
#[derive(Debug, Clone)]
pub(super) struct Index {
    pub(super) name: String,
    /// What `pg_get_indexdef` has after the table, such as `btree (a, b DESC)`. Not shown if it `has_expressions`.
    pub(super) definition: String,
    /// The statement that makes it, under its name.
    pub(super) statement: String,
    /// Its columns, with `(expression)` for what isn't one.
    pub(super) columns: String,
    /// Whether expressions or a predicate are part of it, which may hold literals.
    pub(super) has_expressions: bool,
    /// Whether it is maintained, and used for queries.
    pub(super) is_valid: bool,
}

/// A table.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) blocks: i64,
    pub(super) statistics: Statistics,
    pub(super) indexes: Vec<Index>,
    /// The partitioned tables that it is a partition of, the nearest first.
    ancestors: Vec<Relation>,
}

/// What the planner knows of a table's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Statistics {
    /// The catalog did not say.
    #[default]
    Unknown,
    Present,
    Missing,
    /// Of a partitioned table, whose own are about all partitions together.
    MissingOfAll,
    /// Taken from too few of today's rows.
    Stale {
        /// Rows that changed since.
        changes: i64,
    },
}

/// The tables of a side that were asked for so far.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    tables: BTreeMap<Relation, Table>,
}

impl Catalog {
    /// Learns of those tables that are not known yet.
    pub(super) async fn learn(&mut self, side: &Reading, relations: &[Relation]) -> Result<(), Trouble> {
        let new: Vec<&Relation> =
            relations.iter().filter(|relation| !self.tables.contains_key(relation)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let schemas: Vec<&str> = new.iter().map(|relation| relation.schema.as_str()).collect();
        let names: Vec<&str> = new.iter().map(|relation| relation.name.as_str()).collect();
        let named = [(&schemas as _, Type::TEXT_ARRAY), (&names as _, Type::TEXT_ARRAY)];
        for row in side.rows(TABLES, &named).await? {
            let (relation, table) = table(&row).map_err(|_| unexpected())?;
            self.tables.insert(relation, table);
        }
        for row in side.rows(ANCESTORS, &named).await? {
            let (relation, ancestor, statistics) = ancestor(&row).map_err(|_| unexpected())?;
            self.tables.entry(ancestor.clone()).or_default().statistics = statistics;
            self.tables.entry(relation).or_default().ancestors.push(ancestor);
        }
        for row in side.rows(INDEXES, &named).await? {
            let (relation, index) = index(&row).map_err(|_| unexpected())?;
            self.tables.entry(relation).or_default().indexes.push(index);
        }
        Ok(())
    }

    pub(super) fn table(&self, relation: &Relation) -> Option<&Table> {
        self.tables.get(relation)
    }

    /// What the planner knows of the tables of a plan, and of the partitioned tables that they are read as parts of.
    /// A plan shows partitions only: a statement that names the partition, not its ancestor, reads no more than that.
    pub(super) fn statistics<'a>(
        &'a self,
        relations: BTreeSet<&'a Relation>,
        words: &BTreeSet<String>,
    ) -> BTreeMap<&'a Relation, Statistics> {
        let mut found = BTreeMap::new();
        for relation in relations {
            let table = self.table(relation);
            found.entry(relation).or_insert(table.map(|table| table.statistics).unwrap_or_default());
            let ancestors = table.map_or(&[][..], |table| &table.ancestors);
            for ancestor in ancestors {
                if words.contains(&ancestor.name) || !words.contains(&relation.name) {
                    let table = self.table(ancestor);
                    found.insert(ancestor, table.map(|table| table.statistics).unwrap_or_default());
                }
            }
        }
        found
    }

    pub(super) fn index(&self, relation: &Relation, name: &str) -> Option<&Index> {
        self.table(relation)?.indexes.iter().find(|index| index.name == name)
    }

    /// The index with that definition; a valid one if there is one.
    pub(super) fn index_like(&self, relation: &Relation, definition: &str) -> Option<&Index> {
        let alike = self.table(relation)?.indexes.iter().filter(|index| index.definition == definition);
        alike.max_by_key(|index| index.is_valid)
    }
}

fn unexpected() -> Trouble {
    Trouble::error("the server answered with a type that was not expected")
}

/// Statistics of a column are the proof that there are some; where row security hides them, the time of an ANALYZE is.
const TABLES: &str = "SELECT n.nspname::text, c.relname::text, \
     CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid) / current_setting('block_size')::int8 ELSE 0 END, \
     EXISTS (SELECT FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname) \
       OR pg_stat_get_last_analyze_time(c.oid) IS NOT NULL OR pg_stat_get_last_autoanalyze_time(c.oid) IS NOT NULL, \
     coalesce(pg_stat_get_mod_since_analyze(c.oid), 0), greatest(c.reltuples, 0)::int8 \
     FROM unnest($1::text[], $2::text[]) w(nspname, relname) \
     JOIN pg_namespace n ON n.nspname = w.nspname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.relname";

/// Changes beyond half of the rows, and this many, make statistics stale; autovacuum would have acted at a tenth.
const STALE_CHANGES: i64 = 1000;

fn table(row: &Row) -> Result<(Relation, Table), tokio_postgres::Error> {
    let relation = Relation { schema: row.try_get(0)?, name: row.try_get(1)? };
    let blocks: i64 = row.try_get(2)?;
    let (has_statistics, changes, rows): (bool, i64, i64) =
        (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
    let statistics = if blocks == 0 || relation.is_system() {
        Statistics::Present
    } else if !has_statistics {
        Statistics::Missing
    } else if changes > STALE_CHANGES + rows / 2 {
        Statistics::Stale { changes }
    } else {
        Statistics::Present
    };
    Ok((relation, Table { blocks, statistics, ..Table::default() }))
}

/// The partitioned tables above partitions, and whether they have rows without statistics. Autovacuum takes none of
/// them. Where row security hides those of columns, the time of an ANALYZE or the rows that it counted are the proof.
const ANCESTORS: &str = "WITH above AS ( \
       SELECT c.oid, n.nspname, c.relname, a.relid, a.distance \
       FROM unnest($1::text[], $2::text[]) w(nspname, relname) \
       JOIN pg_namespace n ON n.nspname = w.nspname \
       JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.relname AND c.relispartition \
       CROSS JOIN pg_partition_ancestors(c.oid) WITH ORDINALITY a(relid, distance) WHERE a.relid <> c.oid), \
     judged AS MATERIALIZED ( \
       SELECT c.oid, n.nspname, c.relname, c.reltuples > 0 OR pg_stat_get_last_analyze_time(c.oid) IS NOT NULL \
         OR EXISTS (SELECT FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.inherited) \
         OR NOT EXISTS (SELECT FROM pg_partition_tree(c.oid) t WHERE t.isleaf AND pg_relation_size(t.relid) > 0) AS is_known \
       FROM (SELECT DISTINCT relid FROM above) d JOIN pg_class c ON c.oid = d.relid \
       JOIN pg_namespace n ON n.oid = c.relnamespace) \
     SELECT b.nspname::text, b.relname::text, j.nspname::text, j.relname::text, j.is_known \
     FROM above b JOIN judged j ON j.oid = b.relid ORDER BY b.oid, b.distance";

fn ancestor(row: &Row) -> Result<(Relation, Relation, Statistics), tokio_postgres::Error> {
    let relation = Relation { schema: row.try_get(0)?, name: row.try_get(1)? };
    let ancestor = Relation { schema: row.try_get(2)?, name: row.try_get(3)? };
    let statistics = if row.try_get(4)? { Statistics::Present } else { Statistics::MissingOfAll };
    Ok((relation, ancestor, statistics))
}

const INDEXES: &str = "SELECT n.nspname::text, c.relname::text, i.relname::text, pg_get_indexdef(i.oid), \
     (SELECT string_agg(CASE x.indkey[k - 1] WHEN 0 THEN '(expression)' ELSE pg_get_indexdef(i.oid, k, true) END, ', ' \
       ORDER BY k) FROM generate_series(1, x.indnkeyatts::int4) k), \
     x.indexprs IS NOT NULL OR x.indpred IS NOT NULL, x.indisvalid AND x.indisready \
     FROM unnest($1::text[], $2::text[]) w(nspname, relname) \
     JOIN pg_namespace n ON n.nspname = w.nspname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.relname \
     JOIN pg_index x ON x.indrelid = c.oid JOIN pg_class i ON i.oid = x.indexrelid ORDER BY 1, 2, 3";

fn index(row: &Row) -> Result<(Relation, Index), tokio_postgres::Error> {
    let statement: String = row.try_get(3)?;
    let definition = statement.split_once(" USING ").map_or("", |(_, definition)| definition).to_owned();
    let columns: Option<String> = row.try_get(4)?;
    let relation = Relation { schema: row.try_get(0)?, name: row.try_get(1)? };
    let index = Index {
        name: row.try_get(2)?,
        definition,
        statement,
        columns: columns.unwrap_or_default(),
        has_expressions: row.try_get(5)?,
        is_valid: row.try_get(6)?,
    };
    Ok((relation, index))
}
