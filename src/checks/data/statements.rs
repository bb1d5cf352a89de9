//! The statements about one table.
//!
//! Decides how a part of a table is named so that both sides mean the same part: by a range of its key, with the same
//! literals. Each side may have an order of its own: every row is in at least one of consecutive ranges, whatever the
//! order, so a difference between orders shows as a difference between parts, never as agreement.

use tokio_postgres::Row;

use super::{
    connections::{Loss, value},
    doubt::Telling,
    hash::{Method, Sample},
    inventory::{Table, quoted},
    plan::{Path, Plan},
};

/// A row's key: its columns' texts.
pub(super) type Key = Vec<String>;

/// The rows whose key is above `after`, and not above `up_to`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Range {
    pub(super) after: Option<Key>,
    pub(super) up_to: Option<Key>,
}

/// What a part of a table comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Digest {
    pub(super) rows: u64,
    sum: String,
}

impl Telling for Digest {
    fn is_telling(&self) -> bool {
        !self.sum.is_empty()
    }
}

/// A table, and how it is asked about.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) table: Table,
    pub(super) plan: Plan,
    method: Method,
    hash: String,
    /// Whether a row is looked at.
    filter: Option<String>,
}

/// A statement with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) parameters: Vec<String>,
}

impl Subject {
    pub(super) fn new(table: Table, plan: Plan, method: Method, sample: Option<Sample>) -> Self {
        let hash = method.row(&plan.columns);
        let filter = sample.map(|sample| method.is_sampled(&plan, sample));
        Self { table, plan, method, hash, filter }
    }

    /// The [`Digest`] of a range.
    pub(super) fn digest(&self, side: usize, range: &Range) -> Statement {
        let (condition, parameters) = self.within(range, self.filter.as_deref());
        let sql = format!(
            "SELECT count(*), coalesce(sum({})::text, '') FROM {}{condition}",
            self.hash, self.table.from[side]
        );
        Statement { sql, parameters }
    }

    /// The number of all rows.
    pub(super) fn count(&self, side: usize) -> Statement {
        let sql = format!("SELECT count(*), '' FROM {}", self.table.from[side]);
        Statement { sql, parameters: Vec::new() }
    }

    /// The key of the row that is `rows` after the beginning of `range`, where there is one.
    pub(super) fn boundary(&self, side: usize, range: &Range, rows: u64) -> Statement {
        let (condition, parameters) = self.within(range, None);
        let sql = format!(
            "SELECT {} FROM {}{condition} ORDER BY {} OFFSET {} LIMIT 1",
            self.key_texts(),
            self.table.from[side],
            self.key(),
            rows.saturating_sub(1)
        );
        Statement { sql, parameters }
    }

    /// The largest key, where the key is one whole number.
    pub(super) fn integer_key(&self) -> Option<i64> {
        match &self.plan.path {
            Path::Keyset(types) => match types.as_slice() {
                ["int8"] => Some(i64::MAX),
                ["int4"] => Some(i64::from(i32::MAX)),
                ["int2"] => Some(i64::from(i16::MAX)),
                _ => None,
            },
            Path::Scan(_) => None,
        }
    }

    /// The key of every row of a range whose number in it is a multiple of `step`.
    pub(super) fn boundaries(&self, side: usize, range: &Range, step: u64) -> Statement {
        let (condition, parameters) = self.within(range, self.filter.as_deref());
        let columns: Vec<String> = (0..self.plan.key.len()).map(|index| format!("k{index}")).collect();
        let columns = columns.join(", ");
        let sql = format!(
            "SELECT {columns} FROM (SELECT {}, row_number() OVER (ORDER BY {}) FROM {}{condition}) AS s ({columns}, n) \
             WHERE n % {step} = 0 ORDER BY n",
            self.key_texts(),
            self.key(),
            self.table.from[side]
        );
        Statement { sql, parameters }
    }

    /// Key and hash of the rows of a range, at most so many.
    pub(super) fn rows(&self, side: usize, range: &Range, most: usize) -> Statement {
        let (condition, parameters) = self.within(range, self.filter.as_deref());
        self.listing(side, &condition, parameters, most)
    }

    /// Key and hash of the rows with these keys. Keys that can't be followed are compared by their text.
    pub(super) fn named(&self, side: usize, keys: &[&Key], most: usize) -> Statement {
        let mut parameters = Vec::new();
        let tuples: Vec<String> =
            keys.iter().map(|key| format!("({})", self.literal(key, &mut parameters))).collect();
        let own = match self.plan.path {
            Path::Keyset(_) => self.key(),
            Path::Scan(_) => self.key_texts(),
        };
        let mut condition = format!(" WHERE ({own}) IN ({})", tuples.join(", "));
        if let Some(filter) = &self.filter {
            condition = format!("{condition} AND {filter}");
        }
        self.listing(side, &condition, parameters, most)
    }

    /// The [`Digest`] of each of so many buckets, by the hash of the key.
    pub(super) fn buckets(&self, side: usize, buckets: u64) -> Statement {
        let (condition, parameters) = self.within(&Range::default(), self.filter.as_deref());
        let sql = format!(
            "SELECT count(*), sum({})::text, {} FROM {}{condition} GROUP BY 3",
            self.hash,
            self.bucket(buckets),
            self.table.from[side]
        );
        Statement { sql, parameters }
    }

    /// Key and hash of the rows in some of the buckets.
    pub(super) fn bucket_rows(&self, side: usize, buckets: u64, some: &[i64], most: usize) -> Statement {
        let some: Vec<String> = some.iter().map(ToString::to_string).collect();
        let filter = self.filter.as_ref().map(|filter| format!(" AND {filter}")).unwrap_or_default();
        let condition = format!(" WHERE {} IN ({}){filter}", self.bucket(buckets), some.join(", "));
        self.listing(side, &condition, Vec::new(), most)
    }

    fn bucket(&self, buckets: u64) -> String {
        format!("({} & {})", self.method.key(&self.plan), buckets.saturating_sub(1))
    }

    fn listing(&self, side: usize, condition: &str, parameters: Vec<String>, most: usize) -> Statement {
        let (keys, hash, from) = (self.key_texts(), &self.hash, &self.table.from[side]);
        Statement { sql: format!("SELECT {hash}, {keys} FROM {from}{condition} LIMIT {most}"), parameters }
    }

    fn key(&self) -> String {
        let columns: Vec<String> = self.plan.key.iter().map(|name| format!("t.{}", quoted(name))).collect();
        columns.join(", ")
    }

    fn key_texts(&self) -> String {
        // Not a cast: anybody may have made one.
        let columns: Vec<String> =
            self.plan.key.iter().map(|name| format!("format('%s', t.{})", quoted(name))).collect();
        columns.join(", ")
    }

    fn literal(&self, key: &Key, parameters: &mut Vec<String>) -> String {
        let types = match &self.plan.path {
            Path::Keyset(types) => types.as_slice(),
            Path::Scan(_) => &[],
        };
        let mut values = Vec::new();
        for (index, text) in key.iter().enumerate() {
            parameters.push(text.clone());
            let cast = types.get(index).map(|name| format!("::{name}")).unwrap_or_default();
            values.push(format!("${}::text{cast}", parameters.len()));
        }
        values.join(", ")
    }

    fn within(&self, range: &Range, filter: Option<&str>) -> (String, Vec<String>) {
        let mut parameters = Vec::new();
        let mut conditions = Vec::new();
        for (bound, operator) in [(&range.after, ">"), (&range.up_to, "<=")] {
            if let Some(key) = bound {
                let literal = self.literal(key, &mut parameters);
                conditions.push(format!("({}) {operator} ({literal})", self.key()));
            }
        }
        conditions.extend(filter.map(str::to_owned));
        if conditions.is_empty() {
            return (String::new(), parameters);
        }
        (format!(" WHERE {}", conditions.join(" AND ")), parameters)
    }
}

/// A row of [`Subject::digest`].
pub(super) fn digest(rows: &[Row]) -> Result<Digest, Loss> {
    match rows.first() {
        Some(row) => read_digest(row),
        None => Ok(Digest::default()),
    }
}

/// A row whose first columns are a digest.
pub(super) fn read_digest(row: &Row) -> Result<Digest, Loss> {
    Ok(Digest { rows: u64::try_from(value::<i64>(row, 0)?).unwrap_or(0), sum: value(row, 1)? })
}

/// A row's key, from the column `first` on.
pub(super) fn read_key(row: &Row, first: usize) -> Result<Key, Loss> {
    (first..row.len()).map(|index| value(row, index)).collect()
}
