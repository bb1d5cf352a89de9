//! Which of legacy's tables take part in a logical replication, wholly, and with a way to tell their rows apart.
//!
//! Asked of legacy is every ordinary table that is not PostgreSQL's own; a partition takes part through itself or an
//! ancestor. Asked of the candidate is how far the copy of each has come.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use tokio_postgres::{Row, types::Type};

use super::{
    Both, LARGE_OBJECTS, MATERIALIZED_VIEWS, PARTLY_PUBLISHED, REPLICA_IDENTITY_MISSING, SEQUENCES,
    TABLE_NOT_COPIED, TABLE_NOT_PUBLISHED, UNLOGGED_TABLE, unexpected,
};
use crate::checks::{Finding, Severity, Trouble, shown::qualified};

/// What was found about tables.
pub(super) struct Tables {
    pub(super) findings: Vec<Finding>,
    pub(super) compared: String,
}

/// A table of legacy.
struct Table {
    name: String,
    is_unlogged: bool,
    /// What it weighs that it is not published: less for a table that belongs to an extension.
    weight: Severity,
    has_identity: bool,
    is_filtered: bool,
    /// Schema and name of the table that is published: itself or an ancestor.
    published_as: Option<(String, String)>,
}

/// What the candidate says about copies, by schema and name: whether all of it is ready.
type Copies = BTreeMap<(String, String), bool>;

pub(super) async fn ask(both: &Both, publications: &Vec<String>) -> Result<Tables, Trouble> {
    let (copies, mut findings) = tokio::try_join!(copies(both), beside(both))?;
    let statement = statement(both.legacy.session().facts().major_version().unwrap_or(0));
    let parameters = [(publications as _, Type::TEXT_ARRAY)];
    let mut rows = both.legacy.stream(&statement, &parameters).await?;
    let mut seen = BTreeSet::new();
    let mut count = 0_usize;
    while let Some(row) = rows.try_next().await? {
        count += 1;
        judge(&table(&row).map_err(|_| unexpected())?, &copies, &mut seen, &mut findings);
    }
    Ok(Tables { findings, compared: format!("{count} tables") })
}

fn judge(table: &Table, copies: &Copies, seen: &mut BTreeSet<(String, String)>, findings: &mut Vec<Finding>) {
    let mut find = |kind, message: &str| findings.push(Finding::new(kind, table.name.clone(), message));
    if table.is_unlogged {
        find(&UNLOGGED_TABLE, "the table is unlogged: its rows are not replicated");
        return;
    }
    if !table.has_identity {
        find(
            &REPLICA_IDENTITY_MISSING,
            "the table has no usable replica identity: give it a primary key, or ALTER TABLE … REPLICA IDENTITY FULL",
        );
    }
    let Some(published_as) = &table.published_as else {
        let finding = Finding::new(
            &TABLE_NOT_PUBLISHED,
            table.name.clone(),
            "no publication that the candidate subscribes to has the table",
        );
        findings.push(finding.weighing(table.weight));
        return;
    };
    if table.is_filtered {
        find(&PARTLY_PUBLISHED, "the table is published with a WHERE clause or a list of columns");
    }
    if !seen.insert(published_as.clone()) {
        return;
    }
    let problem = match copies.get(published_as) {
        Some(true) => return,
        Some(false) => "its initial copy is not finished",
        None => "the subscription does not know it: ALTER SUBSCRIPTION … REFRESH PUBLICATION",
    };
    let object = qualified(&published_as.0, &published_as.1);
    findings.push(Finding::new(&TABLE_NOT_COPIED, object, problem));
}

fn table(row: &Row) -> Result<Table, tokio_postgres::Error> {
    let published: (Option<String>, Option<String>) = (row.try_get(6)?, row.try_get(7)?);
    Ok(Table {
        name: qualified(row.try_get(0)?, row.try_get(1)?),
        is_unlogged: row.try_get(2)?,
        weight: if row.try_get(3)? { Severity::Warn } else { Severity::Fail },
        has_identity: row.try_get(4)?,
        is_filtered: row.try_get(5)?,
        published_as: published.0.zip(published.1),
    })
}

async fn copies(both: &Both) -> Result<Copies, Trouble> {
    let statement = "SELECT n.nspname::text, c.relname::text, bool_and(r.srsubstate = 'r') FROM pg_subscription_rel r \
         JOIN pg_class c ON c.oid = r.srrelid JOIN pg_namespace n ON n.oid = c.relnamespace GROUP BY 1, 2";
    let copy = |row: Row| match (row.try_get(0), row.try_get(1), row.try_get(2)) {
        (Ok(schema), Ok(name), Ok(is_ready)) => Ok(((schema, name), is_ready)),
        _ => Err(unexpected()),
    };
    let rows = both.candidate.stream(statement, &[]).await?;
    rows.and_then(|row| std::future::ready(copy(row))).try_collect().await
}

/// What lies beside the tables and is never replicated.
async fn beside(both: &Both) -> Result<Vec<Finding>, Trouble> {
    let statement = "SELECT (SELECT count(*) FROM pg_largeobject_metadata), \
         count(*) FILTER (WHERE c.relkind = 'S'), count(*) FILTER (WHERE c.relkind = 'm') \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('S', 'm') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' \
         AND n.nspname <> 'information_schema'";
    let rows = both.legacy.rows(statement, &[]).await?;
    let mut findings = Vec::new();
    for (index, (kind, noun)) in [
        (&LARGE_OBJECTS, "large objects"),
        (&SEQUENCES, "sequences"),
        (&MATERIALIZED_VIEWS, "materialized views"),
    ]
    .into_iter()
    .enumerate()
    {
        let row = rows.first().ok_or_else(unexpected)?;
        let count: i64 = row.try_get(index).map_err(|_| unexpected())?;
        if count > 0 {
            let message = format!("legacy has {count} {noun}, which logical replication leaves out");
            findings.push(Finding::new(kind, noun, message).with("count", count));
        }
    }
    Ok(findings)
}

fn statement(major: i32) -> String {
    // Filters of rows and columns came with PostgreSQL 15.
    let filtered = if major >= 15 {
        "(SELECT count(*) FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = c.oid \
          AND p.pubname::text = ANY ($1) AND (r.prqual IS NOT NULL OR r.prattrs IS NOT NULL))"
    } else {
        "0::int8"
    };
    format!(
        "WITH published AS ( \
           SELECT c.oid, c.relname, n.nspname, count(*) = {filtered} AS filtered \
           FROM pg_publication_tables t JOIN pg_namespace n ON n.nspname = t.schemaname \
           JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename \
           WHERE t.pubname::text = ANY ($1) GROUP BY c.oid, c.relname, n.nspname), \
         tables AS ( \
           SELECT c.*, n.nspname, CASE WHEN c.relispartition \
             THEN (SELECT q.oid FROM pg_partition_ancestors(c.oid) a JOIN published q ON q.oid = a.relid LIMIT 1) \
             ELSE c.oid END AS listed \
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
           WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' \
           AND n.nspname <> 'information_schema') \
         SELECT t.nspname::text, t.relname::text, t.relpersistence = 'u', \
           EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = t.oid AND d.deptype = 'e'), \
           t.relreplident = 'f' OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indisvalid AND i.indimmediate \
             AND CASE t.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END), \
           coalesce(p.filtered, false), p.nspname::text, p.relname::text \
         FROM tables t LEFT JOIN published p ON p.oid = t.listed ORDER BY 1, 2"
    )
}
