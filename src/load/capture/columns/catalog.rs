//! The columns that tables have, and their statistics where values are asked for.

use std::collections::HashMap;

use tokio_postgres::types::Type;

use super::{Name, Table};
use crate::{
    load::capture::{CaptureError, limits},
    postgres::Session,
};

/// Share of the rows that the most common values of a column have before it counts as skewed.
const SKEWED: f32 = 0.5;

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::load::capture) struct Column {
    /// With its schema, quoted where it must be.
    pub(in crate::load::capture) table: String,
    pub(in crate::load::capture) name: String,
    /// Whether its table is one, not a view.
    pub(in crate::load::capture) can_be_sampled: bool,
    /// Whether it is part of a unique index.
    pub(in crate::load::capture) is_unique: bool,
    /// From the statistics; only where asked for.
    pub(in crate::load::capture) values: Option<Values>,
}

/// What statistics say of a column's values.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::load::capture) enum Values {
    Range { min: i64, max: i64, is_skewed: bool },
    Common(Vec<String>),
}

/// A table that was looked up.
#[derive(Debug, Clone, Default)]
struct Found {
    schema: String,
    columns: Vec<Column>,
}

/// Looks tables up, each once.
#[derive(Debug)]
pub(in crate::load::capture) struct Catalog<'a> {
    session: &'a Session,
    with_values: bool,
    known: HashMap<String, Option<Found>>,
}

impl<'a> Catalog<'a> {
    pub(in crate::load::capture) fn new(session: &'a Session, with_values: bool) -> Self {
        Self { session, with_values, known: HashMap::new() }
    }

    /// Whether all tables that the statement names are the server's own.
    pub(in crate::load::capture) async fn is_about_the_server(
        &mut self,
        tables: &[Table],
    ) -> Result<bool, CaptureError> {
        let mut own = 0;
        for table in tables {
            let found = self.find(&table.name).await?;
            let is_own = |found: &Found| {
                ["pg_catalog", "information_schema"].contains(&found.schema.as_str())
                    || table.alias.starts_with("pg_stat_statements")
            };
            own += usize::from(found.is_some_and(|found| is_own(&found)));
        }
        Ok(own > 0 && own == tables.len())
    }

    /// The one column of that name among the tables; `None` if there is none, or more than one.
    pub(in crate::load::capture) async fn resolve(
        &mut self,
        tables: &[Table],
        name: &Name,
    ) -> Result<Option<Column>, CaptureError> {
        let mut columns: Vec<Column> = Vec::new();
        for table in tables {
            if name.qualifier.as_ref().is_some_and(|qualifier| *qualifier != table.alias) {
                continue;
            }
            let found = self.find(&table.name).await?.unwrap_or_default();
            columns.extend(found.columns.into_iter().filter(|column| column.name == name.column));
        }
        columns.dedup();
        let column = columns.pop().filter(|_| columns.is_empty());
        match column {
            Some(column) if self.with_values => Ok(Some(self.with_values(column).await?)),
            column => Ok(column),
        }
    }

    async fn find(&mut self, name: &str) -> Result<Option<Found>, CaptureError> {
        if let Some(known) = self.known.get(name) {
            return Ok(known.clone());
        }
        let found = self.look_up(name).await?;
        self.known.insert(name.to_owned(), found.clone());
        Ok(found)
    }

    async fn look_up(&self, name: &str) -> Result<Option<Found>, CaptureError> {
        let explain = |error: tokio_postgres::Error| CaptureError::Read(self.session.explain(&error));
        // A name is resolved with the role's own search_path, as the statement was; all else is qualified.
        let resolved =
            self.one("SELECT pg_catalog.to_regclass($1::pg_catalog.text)::pg_catalog.oid", name, false).await;
        let oid: Option<u32> = match resolved {
            Ok(rows) => rows.first().map_or(Ok(None), |row| row.try_get(0)).map_err(explain)?,
            // Not every text is a name: `FROM now` is, `FROM 1.5` is not.
            Err(CaptureError::Read(fault)) if fault.sqlstate.is_some() => None,
            Err(error) => return Err(error),
        };
        let Some(oid) = oid else {
            return Ok(None);
        };
        let question = "SELECT n.nspname::text, format('%I.%I', n.nspname, c.relname), c.relkind IN ('r', 'p', 'm'), \
             a.attname::text, EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique \
             AND a.attnum = ANY (i.indkey)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.oid = $1::text::oid AND a.attnum > 0 AND NOT a.attisdropped";
        let rows = self.one(question, &oid.to_string(), true).await?;
        let mut found = Found::default();
        for row in rows {
            found.schema = row.try_get(0).map_err(explain)?;
            found.columns.push(Column {
                table: row.try_get(1).map_err(explain)?,
                can_be_sampled: row.try_get(2).map_err(explain)?,
                name: row.try_get(3).map_err(explain)?,
                is_unique: row.try_get(4).map_err(explain)?,
                values: None,
            });
        }
        Ok(Some(found))
    }

    /// What statistics say of the column. Nothing where the role may not see them, or there are none.
    async fn with_values(&self, column: Column) -> Result<Column, CaptureError> {
        let explain = |error: tokio_postgres::Error| CaptureError::Read(self.session.explain(&error));
        let question = "SELECT format_type(a.atttypid, NULL) IN ('smallint', 'integer', 'bigint'), \
             s.histogram_bounds::text::text[], s.most_common_vals::text::text[], \
             (SELECT sum(f) FROM unnest(s.most_common_freqs) f)::float4 \
             FROM pg_stats s JOIN pg_namespace n ON n.nspname = s.schemaname \
             JOIN pg_class c ON c.relname = s.tablename AND c.relnamespace = n.oid \
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = s.attname \
             WHERE format('%I.%I.%I', s.schemaname, s.tablename, s.attname) = $1 ORDER BY s.inherited DESC LIMIT 1";
        let quoted = format!("{}.{}", column.table, quoted(&column.name));
        let rows = self.one(question, &quoted, true).await?;
        let Some(row) = rows.first() else {
            return Ok(column);
        };
        let is_integer: bool = row.try_get(0).map_err(explain)?;
        let bounds: Option<Vec<String>> = row.try_get(1).map_err(explain)?;
        let common: Option<Vec<String>> = row.try_get(2).map_err(explain)?;
        let share: Option<f32> = row.try_get(3).map_err(explain)?;
        let values = match range(bounds.filter(|_| is_integer), share) {
            Some(range) => Some(range),
            None => common.filter(|common| !common.is_empty()).map(Values::Common),
        };
        Ok(Column { values, ..column })
    }

    /// The answer to a question about one text, in a transaction of its own.
    async fn one(
        &self,
        question: &str,
        text: &str,
        of_catalog: bool,
    ) -> Result<Vec<tokio_postgres::Row>, CaptureError> {
        let client = self.session.client();
        let explain = |error: tokio_postgres::Error| CaptureError::Read(self.session.explain(&error));
        self.session.begin(&limits()).await.map_err(CaptureError::Read)?;
        let asking = async {
            if of_catalog {
                client.batch_execute("SET LOCAL search_path = pg_catalog").await?;
            }
            client.query_typed(question, &[(&text, Type::TEXT)]).await
        };
        let answer = asking.await.map_err(explain);
        client.batch_execute("ROLLBACK").await.map_err(explain)?;
        answer
    }
}

/// As `format('%I')` quotes what is not a plain name, and never wrong where it would not.
fn quoted(name: &str) -> String {
    let is_plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn range(bounds: Option<Vec<String>>, share: Option<f32>) -> Option<Values> {
    let bounds = bounds?;
    let (min, max) = (bounds.first()?.parse().ok()?, bounds.last()?.parse().ok()?);
    (min <= max).then_some(Values::Range { min, max, is_skewed: share.unwrap_or(0.0) > SKEWED })
}
