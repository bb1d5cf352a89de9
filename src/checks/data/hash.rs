//! What is asked of the servers to tell rows apart without moving them.
//!
//! Decides the hash of a row, of 64 bits, and that of many rows: their number and the sum of their hashes, which keeps
//! duplicates and does not depend on the order. Never lets a user's function, operator or cast into a statement: text
//! is what the type's own output function says, by way of `ROW(…)::text` or `format`.
//!
//! PostgreSQL's hash of a record is a linear combination of the hashes of its columns, and so is a sum of such hashes:
//! two rows that have swapped a value have the same sum two times out of three. Hence the last step is a hash that takes
//! what was combined before it as its seed, and mixes all of its 64 bits.

use super::{
    inventory::quoted,
    plan::{Form, Hashed, Plan, form_of},
};

/// How a row is hashed; each way is slower than the one before it, and asks less of the two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// By the types' own hash functions, where they may be. From PostgreSQL 14 on.
    Record,
    /// By the hash of the row's text.
    Text,
    /// By the SHA-256 of the row's text in UTF-8.
    Digest,
}

/// All of them, the fastest first.
pub(super) const METHODS: [Method; 3] = [Method::Record, Method::Text, Method::Digest];

impl Method {
    /// Both servers must answer this alike.
    pub(super) fn self_test(self) -> String {
        // Of every form there is one, each by its type's oid.
        let columns: Vec<Hashed> = [
            ("b", 16),
            ("i2", 21),
            ("i4", 23),
            ("i8", 20),
            ("d", 1082),
            ("ts", 1184),
            ("u", 2950),
            ("by", 17),
            ("ip", 869),
            ("n", 23),
            ("s", 25),
        ]
        .map(|(name, kind)| Hashed {
            name: name.to_owned(),
            form: form_of(kind),
            is_collated: name == "s",
            // Some of each, for they go into the hash in different ways.
            is_never_null: ["i2", "i8", "ts", "s"].contains(&name),
        })
        .into();
        format!(
            "SELECT count(*), coalesce(sum({})::text, '') FROM (VALUES \
             (true, 1::int2, 2, -3::int8, date '2000-02-29', timestamptz '2020-01-01 00:00:00+00', \
              uuid '00010203-0405-0607-0809-0a0b0c0d0e0f', decode('00ff', 'hex'), inet '::1/64', NULL::int4, 'a,\"b c'::text), \
             (false, -1::int2, -2, 4294967296::int8, date 'infinity', timestamptz '-infinity', \
              uuid 'ffffffff-ffff-ffff-ffff-ffffffffffff', ''::bytea, inet '10.0.0.1', 0, '')) \
             AS t (b, i2, i4, i8, d, ts, u, \"by\", ip, n, s)",
            self.row(&columns)
        )
    }

    /// The hash of a row's columns.
    pub(super) fn row(self, columns: &[Hashed]) -> String {
        if columns.is_empty() {
            return "0::int8".to_owned();
        }
        self.of(columns, 0)
    }

    fn of(self, columns: &[Hashed], seed: i64) -> String {
        let all: Vec<&Hashed> = columns.iter().collect();
        match self {
            Self::Record => chain(columns, seed),
            Self::Text => format!("hashtextextended({} COLLATE \"C\", '{seed}'::int8)", text(&all)),
            Self::Digest => format!(
                "('x' || left(encode(sha256(convert_to({} || '{seed}', 'UTF8')), 'hex'), 16))::bit(64)::int8",
                text(&all)
            ),
        }
    }

    /// The hash of a row's key.
    pub(super) fn key(self, plan: &Plan) -> String {
        self.row(&identifying(plan))
    }

    /// Whether a row is in a sample.
    pub(super) fn is_sampled(self, plan: &Plan, sample: Sample) -> String {
        let columns = identifying(plan);
        if columns.is_empty() {
            return "true".to_owned();
        }
        format!(
            "({} & 1048575) < {}",
            self.of(&columns, sample.seed),
            i64::from(sample.percent) * 1_048_576 / 100
        )
    }
}

/// Which rows are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) percent: i32,
    pub(super) seed: i64,
}

/// The columns of the key; all of them where there is none.
fn identifying(plan: &Plan) -> Vec<Hashed> {
    let is_identifying = |column: &&Hashed| plan.key.is_empty() || plan.key.contains(&column.name);
    plan.columns.iter().filter(is_identifying).cloned().collect()
}

/// What may be NULL is combined, and is the seed of the hash of a column that never is; this hash is the seed of the next
/// one, and so on. That needs no `coalesce` and no step that combines, and every hash mixes all 64 bits of its seed.
fn chain(columns: &[Hashed], seed: i64) -> String {
    let (mut links, others): (Vec<_>, Vec<_>) =
        (1..).zip(columns).partition(|(_, column)| column.is_never_null && column.form.is_by_itself());
    let mut parts = combined(&others);
    // One of them needs no hash of its own; two could cancel each other out.
    let first_wide = links.iter().position(|(_, column)| column.form == Form::Wide);
    parts.extend(first_wide.map(|index| format!("t.{}", quoted(&links.remove(index).1.name))));
    if seed != 0 || parts.is_empty() {
        parts.push(format!("'{seed}'::int8"));
    }
    let seed = parts.join(" # ");
    if links.is_empty() {
        return format!("hashint4extended(0, {seed})");
    }
    links.into_iter().fold(seed, |seed, (number, column)| match column.form {
        Form::Function(function, how) => format!("{function}(t.{}{how}, {seed})", quoted(&column.name)),
        _ => wide(column, number, &format!("{seed} # ")),
    })
}

/// Every column by itself where its hash can be called by name, each with a seed of its own, and the others as a record.
fn combined(columns: &[(i64, &Hashed)]) -> Vec<String> {
    let mut others = Vec::new();
    let mut terms = Vec::new();
    for (number, column) in columns {
        match column.form {
            Form::Wide => terms.push(format!("coalesce({}, 0)", wide(column, *number, ""))),
            Form::Function(function, how) => {
                terms.push(format!("coalesce({function}(t.{}{how}, {number}), 0)", quoted(&column.name)));
            }
            Form::Direct | Form::Text => others.push(*column),
        }
    }
    if !others.is_empty() {
        terms.push(format!("hash_record_extended({}, 0)", record(&others)));
    }
    terms
}

/// A `bigint` is a part of a seed: as a value it would be folded to 32 bits first, and 1 is the same as 4294967296 then.
fn wide(column: &Hashed, number: i64, seed: &str) -> String {
    format!("hashint4extended({number}, {seed}t.{})", quoted(&column.name))
}

fn record(columns: &[&Hashed]) -> String {
    let (texts, direct): (Vec<&Hashed>, Vec<&Hashed>) =
        columns.iter().partition(|column| column.form == Form::Text);
    let mut parts: Vec<String> = direct.into_iter().map(direct_value).collect();
    if !texts.is_empty() {
        parts.push(format!("{} COLLATE \"C\"", text(&texts)));
    }
    format!("ROW({})", parts.join(", "))
}

fn direct_value(column: &Hashed) -> String {
    // Some collations hold different texts for equal.
    let collate = if column.is_collated { " COLLATE \"C\"" } else { "" };
    format!("t.{}{collate}", quoted(&column.name))
}

/// A row's text tells NULL from an empty text, and one column from the next.
fn text(columns: &[&Hashed]) -> String {
    let parts: Vec<String> = columns.iter().map(|column| format!("t.{}", quoted(&column.name))).collect();
    format!("ROW({})::text", parts.join(", "))
}
