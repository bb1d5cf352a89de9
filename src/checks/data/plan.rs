//! How a table is compared.
//!
//! Decides, from the table's shape on both sides alone: the columns, by name and in one order, whatever their order in
//! the tables; which of them go into the hash as they are and which as text; the key; and whether both sides can be
//! followed along that key in chunks. Never lets a difference in this pass in silence: each is a finding.
//!
//! A column goes in as it is only if PostgreSQL's own hash of its type tells apart all that the application could read
//! differently. It does not for numeric (1.0 and 1.00), float (0 and -0), interval, jsonb, citext, char(n) and arrays
//! (`{1,2}` and `{{1},{2}}`), and an enum's hash is that of an oid, which each server gives out by itself.

use super::{
    super::{Finding, shown},
    kinds,
    shape::{Column, Shape},
};

/// Types whose hash tells apart what their text does: bool, bytea, "char", name, int8, int2, int4, text, oid, macaddr,
/// macaddr8, cidr, inet, varchar, date, time, timestamp, timestamptz, timetz, uuid.
const AS_THEY_ARE: [i64; 20] =
    [16, 17, 18, 19, 20, 21, 23, 25, 26, 829, 774, 650, 869, 1043, 1082, 1083, 1114, 1184, 1266, 2950];
const BIGINT: i64 = 20;
/// Those of them whose hash function can be called by its name: about twice as fast as by way of a record. The argument
/// is the column with what follows it here. A cast of a `timestamptz` would ask the rules of the session's time zone, which
/// takes longer than the hash.
const NAMED_HASHES: [(i64, Form); 9] = [
    (21, Form::Function("hashint2extended", "")),
    (23, Form::Function("hashint4extended", "")),
    (25, Form::Function("hashtextextended", " COLLATE \"C\"")),
    (26, Form::Function("hashoidextended", "")),
    (869, Form::Function("hashinetextended", "")),
    (1043, Form::Function("hashtextextended", " COLLATE \"C\"")),
    (1114, Form::Function("timestamp_hash_extended", "")),
    (1184, Form::Function("timestamp_hash_extended", " AT TIME ZONE '0'::interval")),
    (2950, Form::Function("uuid_hash_extended", "")),
];
/// Types of keys whose order is the same on every server.
const ORDERED: [(i64, &str); 10] = [
    (16, "bool"),
    (17, "bytea"),
    (20, "int8"),
    (21, "int2"),
    (23, "int4"),
    (26, "oid"),
    (1082, "date"),
    (1114, "timestamp"),
    (1184, "timestamptz"),
    (2950, "uuid"),
];
/// The same, and as unbounded as their text.
const NUMERIC: (i64, &str) = (1700, "numeric");
/// Types of keys whose order is that of their collation.
const COLLATED: [(i64, &str); 3] = [(25, "text"), (1042, "bpchar"), (1043, "varchar")];
/// Columns that one finding names.
const NAMED_MAX: usize = 20;

/// A column in the hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hashed {
    pub(super) name: String,
    pub(super) form: Form,
    /// Whether it has a collation, which must not matter.
    pub(super) is_collated: bool,
    /// Whether it is declared `NOT NULL` on both sides.
    pub(super) is_never_null: bool,
}

/// In which form a column goes into the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is, as a part of a record.
    Direct,
    /// As it is, by this function of the value with this cast or collation behind it.
    Function(&'static str, &'static str),
    /// As it is, and with all of its 64 bits.
    Wide,
    Text,
}

impl Form {
    /// Whether the column has a hash of its own, of which it is NULL where the column is.
    pub(super) fn is_by_itself(self) -> bool {
        matches!(self, Self::Function(..) | Self::Wide)
    }
}

/// How a table's rows are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Path {
    /// Along the key, whose columns have these types.
    Keyset(Vec<&'static str>),
    /// In one scan, for this reason.
    Scan(&'static str),
}

/// How a table is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) columns: Vec<Hashed>,
    /// Columns that identify a row; none if nothing does.
    pub(super) key: Vec<String>,
    pub(super) path: Path,
}

/// What both servers have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Common {
    /// Whether texts are the same bytes on both.
    pub(super) is_same_encoding: bool,
}

/// The plan for a table of that name, and what is to be said about it.
pub(super) fn make(table: &str, shapes: &[Shape; 2], common: Common) -> (Plan, Vec<Finding>) {
    let [legacy, candidate] = shapes;
    let columns = legacy.columns.iter().filter_map(|column| Some((column, candidate.column(&column.name)?)));
    let columns = columns.map(|(one, other)| Hashed {
        name: one.name.clone(),
        form: form(one, other),
        is_collated: one.collation.is_some(),
        is_never_null: one.is_never_null && other.is_never_null,
    });
    let key = legacy.keys.iter().find(|key| candidate.keys.contains(key)).or(legacy.keys.first());
    let key = key.filter(|key| key.iter().all(|name| candidate.column(name).is_some()));
    let path = path(key, shapes, common);
    let plan = Plan { columns: columns.collect(), key: key.cloned().unwrap_or_default(), path };
    let mut found = differing_columns(table, shapes);
    if let Path::Scan(reason) = plan.path {
        found.push(Finding::new(&kinds::COMPARED_AS_A_WHOLE, table, format!("read in one scan: {reason}")));
    }
    (plan, found)
}

fn form(one: &Column, other: &Column) -> Form {
    if one.kind == other.kind { form_of(one.kind) } else { Form::Text }
}

/// The form of a type that is the same on both sides.
pub(super) fn form_of(kind: i64) -> Form {
    if !AS_THEY_ARE.contains(&kind) {
        return Form::Text;
    }
    if kind == BIGINT {
        return Form::Wide;
    }
    NAMED_HASHES.iter().find(|(named, _)| *named == kind).map_or(Form::Direct, |(_, form)| *form)
}

fn path(key: Option<&Vec<String>>, shapes: &[Shape; 2], common: Common) -> Path {
    let Some(key) = key else {
        return Path::Scan("it has no key that both sides know, so rows can't be told apart by name");
    };
    if !shapes[1].keys.contains(key) {
        return Path::Scan("the candidate has no unique index over its key");
    }
    let types = key.iter().map(|name| {
        let (one, other) = (shapes[0].column(name)?, shapes[1].column(name)?);
        ordered_type(one, other, common)
    });
    match types.collect::<Option<Vec<_>>>() {
        Some(types) => Path::Keyset(types),
        None => Path::Scan("both sides may order its key differently, by its type, collation or encoding"),
    }
}

/// The type of a key's column, if both sides have it in the same order.
fn ordered_type(one: &Column, other: &Column, common: Common) -> Option<&'static str> {
    if one.kind != other.kind {
        return None;
    }
    let by_value = ORDERED.iter().chain([&NUMERIC]).find(|(kind, _)| *kind == one.kind);
    let is_same_order = common.is_same_encoding
        && one.collation == other.collation
        && (one.collation_version == other.collation_version
            || one.collation_version.is_none()
            || other.collation_version.is_none());
    let by_text = COLLATED.iter().find(|(kind, _)| is_same_order && *kind == one.kind);
    by_value.or(by_text).map(|(_, name)| *name)
}

fn differing_columns(table: &str, [legacy, candidate]: &[Shape; 2]) -> Vec<Finding> {
    let absent = |one: &Shape, other: &Shape| -> Vec<String> {
        let columns = one.columns.iter().filter(|column| other.column(&column.name).is_none());
        columns.map(|column| column.name.clone()).collect()
    };
    let is_retyped = |column: &&Column| {
        candidate.column(&column.name).is_some_and(|other| {
            let is_own = column.kind < FIRST_USER_OID || other.kind < FIRST_USER_OID;
            column.kind != other.kind && is_own
        })
    };
    let retyped = legacy.columns.iter().filter(is_retyped).map(|column| column.name.clone()).collect();
    [
        (
            &kinds::COLUMN_MISSING,
            absent(legacy, candidate),
            "the candidate lacks columns, which were not compared",
        ),
        (&kinds::COLUMN_EXTRA, absent(candidate, legacy), "legacy lacks columns, which were not compared"),
        (&kinds::COLUMN_TYPE_DIFFERS, retyped, "columns are of another type"),
    ]
    .into_iter()
    .filter(|(_, names, _): &(_, Vec<String>, _)| !names.is_empty())
    .map(|(kind, names, what)| {
        let named: Vec<String> = names.iter().take(NAMED_MAX).map(|name| shown::name(name)).collect();
        Finding::new(kind, table, format!("{what}: {}", named.join(", "))).with("columns", names.len())
    })
    .collect()
}

/// From here on each server numbers by itself.
const FIRST_USER_OID: i64 = 16_384;

impl Shape {
    fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: i64, collation: Option<&str>, version: Option<&str>) -> Column {
        let [collation, collation_version] = [collation, version].map(|text| text.map(str::to_owned));
        Column { name: name.to_owned(), kind, collation, collation_version, is_never_null: true }
    }

    fn keyed(kind: i64, collation: Option<&str>, version: Option<&str>) -> Shape {
        let columns = vec![column("k", kind, collation, version), column("v", 1700, None, None)];
        Shape { columns, keys: vec![vec!["k".to_owned()]] }
    }

    const SAME: Common = Common { is_same_encoding: true };
    const OTHER: Common = Common { is_same_encoding: false };

    fn is_followed(one: Shape, other: Shape, common: Common) -> bool {
        let (plan, found) = make("t", &[one, other], common);
        let is_keyset = matches!(plan.path, Path::Keyset(_));
        assert_eq!(is_keyset, !found.iter().any(|f| f.kind == kinds::COMPARED_AS_A_WHOLE.name));
        is_keyset
    }

    #[test]
    fn a_key_is_followed_only_where_both_sides_have_it_in_the_same_order() {
        let text = |collation, version| keyed(25, Some(collation), version);
        let (int, bigint, an_enum) =
            (keyed(23, None, None), keyed(20, None, None), keyed(16_500, None, None));
        for (what, one, other, common, expected) in [
            ("integers", int.clone(), int.clone(), OTHER, true),
            ("integers of two sizes", int.clone(), bigint, SAME, false),
            ("an enum", an_enum.clone(), an_enum, SAME, false),
            ("one collation", text("c/C", None), text("c/C", None), SAME, true),
            ("one collation, another encoding", text("c/C", None), text("c/C", None), OTHER, false),
            ("two collations", text("c/C", None), text("i/und", None), SAME, false),
            ("two versions", text("i/und", Some("1")), text("i/und", Some("2")), SAME, false),
            ("an unknown version", text("i/und", Some("1")), text("i/und", None), SAME, true),
            ("no key", Shape { keys: Vec::new(), ..int.clone() }, int.clone(), SAME, false),
            ("no index on the candidate", int.clone(), Shape { keys: Vec::new(), ..int }, SAME, false),
        ] {
            assert_eq!(is_followed(one, other, common), expected, "{what}");
        }
    }

    #[test]
    fn the_key_is_one_that_both_sides_have_if_there_is_such_a_one() {
        let [mut legacy, mut candidate] = [keyed(23, None, None), keyed(23, None, None)];
        legacy.keys.push(vec!["v".to_owned()]);
        candidate.keys = vec![vec!["v".to_owned()]];
        let (plan, _) = make("t", &[legacy.clone(), candidate.clone()], SAME);
        assert_eq!((plan.key, plan.path), (vec!["v".to_owned()], Path::Keyset(vec!["numeric"])));
        candidate.keys.clear();
        assert_eq!(make("t", &[legacy, candidate], SAME).0.key, ["k"]);
    }
}
