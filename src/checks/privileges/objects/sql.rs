//! The one statement that tells what a role may do with every object, and what its bits mean.
//!
//! Decides which objects there are and how they are called on both sides. `has_*_privilege` by object id: nothing is
//! looked up by name, so a name can neither be ambiguous nor be an error.

use std::fmt::Write as _;

/// The role owns it, itself or through a membership.
pub(super) const OWNER: i32 = 1 << 16;
/// The table has row security.
pub(super) const RLS_ENABLED: i32 = 1 << 17;
/// Row security does not apply to the role.
pub(super) const RLS_BYPASSED: i32 = 1 << 18;
const TABLE: &[&str] =
    &["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"];

/// Kinds of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Table,
    /// Its bits are those of a table.
    Column,
    Sequence,
    Schema,
    Function,
    Type,
    Language,
    Database,
    ForeignServer,
}

impl Class {
    const ALL: [Self; 9] = [
        Self::Table,
        Self::Column,
        Self::Sequence,
        Self::Schema,
        Self::Function,
        Self::Type,
        Self::Language,
        Self::Database,
        Self::ForeignServer,
    ];

    pub(super) fn of(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|class| *class as i16 == number)
    }

    /// What stands before the name where the name alone would not tell what it is.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Table | Self::Column | Self::Sequence | Self::Database => "",
            Self::Schema => "schema ",
            Self::Function => "function ",
            Self::Type => "type ",
            Self::Language => "language ",
            Self::ForeignServer => "server ",
        }
    }

    fn privileges(self) -> &'static [&'static str] {
        match self {
            Self::Table | Self::Column => TABLE,
            Self::Sequence => &["USAGE", "SELECT", "UPDATE"],
            Self::Schema => &["USAGE", "CREATE"],
            Self::Function => &["EXECUTE"],
            Self::Type | Self::Language | Self::ForeignServer => &["USAGE"],
            Self::Database => &["CONNECT", "CREATE", "TEMPORARY"],
        }
    }

    /// The privileges that `bits` stand for.
    pub(super) fn names(self, bits: i32) -> Vec<&'static str> {
        let names = self.privileges().iter().enumerate();
        names.filter(|(bit, _)| bits & (1 << bit) != 0).map(|(_, name)| *name).collect()
    }

    /// A sum of bits: what the role `me` has on the object with id `oid`, with `owner` if it has one.
    fn bits(self, oid: &str, owner: Option<&str>, skipped: &[&str]) -> String {
        let function = match self {
            Self::Table => "has_table_privilege",
            Self::Column => "has_column_privilege",
            Self::Sequence => "has_sequence_privilege",
            Self::Schema => "has_schema_privilege",
            Self::Function => "has_function_privilege",
            Self::Type => "has_type_privilege",
            Self::Language => "has_language_privilege",
            Self::Database => "has_database_privilege",
            Self::ForeignServer => "has_server_privilege",
        };
        let mut sum = "0".to_owned();
        for (bit, name) in self.privileges().iter().enumerate().filter(|(_, name)| !skipped.contains(name)) {
            let _ = write!(sum, " + {function}(me.oid, {oid}, '{name}')::int4 * {}", 1 << bit);
        }
        if let Some(owner) = owner {
            let _ = write!(sum, " + pg_has_role(me.oid, {owner}, 'USAGE')::int4 * {OWNER}");
        }
        format!("({sum})")
    }
}

/// `$1` is the role. Rows: kind, name, bits, and a column's table.
pub(super) fn statement(has_maintain: bool) -> String {
    let not_there: &[&str] = if has_maintain { &[] } else { &["MAINTAIN"] };
    let no_column: &[&str] = &["DELETE", "TRUNCATE", "TRIGGER", "MAINTAIN"];
    // In the order of the placeholders.
    let parts = [
        ("{table}", Class::Table.bits("c.oid", Some("c.relowner"), not_there)),
        ("{column}", Class::Column.bits("c.oid, a.attnum", None, no_column)),
        ("{sequence}", Class::Sequence.bits("c.oid", Some("c.relowner"), &[])),
        ("{schema}", Class::Schema.bits("n.oid", Some("n.nspowner"), &[])),
        ("{function}", Class::Function.bits("p.oid", Some("p.proowner"), &[])),
        ("{type}", Class::Type.bits("t.oid", Some("t.typowner"), &[])),
        ("{language}", Class::Language.bits("l.oid", None, &[])),
        ("{database}", Class::Database.bits("d.oid", Some("d.datdba"), &[])),
        ("{server}", Class::ForeignServer.bits("s.oid", Some("s.srvowner"), &[])),
        ("{enabled}", RLS_ENABLED.to_string()),
        ("{bypassed}", RLS_BYPASSED.to_string()),
    ];
    parts.iter().fold(STATEMENT.to_owned(), |sql, (placeholder, part)| sql.replace(placeholder, part))
}

/// Types are given by their own names: under this `search_path` those of users are qualified.
const STATEMENT: &str = "\
WITH me AS MATERIALIZED (
  SELECT r.oid, r.rolsuper OR r.rolbypassrls AS bypasses FROM pg_roles r WHERE r.rolname = $1::name),
ns AS MATERIALIZED (
  SELECT n.oid, n.nspname, n.nspowner FROM pg_namespace n
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname !~ '^pg_(toast_)?temp_'),
ext AS MATERIALIZED (SELECT e.classid, e.objid FROM pg_depend e WHERE e.deptype = 'e')
SELECT 0::int2, format('%I.%I', n.nspname, c.relname), {table}
  + c.relrowsecurity::int4 * {enabled}
  + (me.bypasses OR NOT c.relforcerowsecurity AND pg_has_role(me.oid, c.relowner, 'USAGE'))::int4 * {bypassed}, NULL::text
FROM me, pg_class c JOIN ns n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_class'::regclass AND ext.objid = c.oid)
UNION ALL
SELECT 1::int2, format('%I.%I.%I', n.nspname, c.relname, a.attname), {column},
  format('%I.%I', n.nspname, c.relname)
FROM me, pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN ns n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attrelid IN (SELECT g.attrelid FROM pg_attribute g WHERE g.attacl IS NOT NULL)
  AND NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_class'::regclass AND ext.objid = c.oid)
UNION ALL
SELECT 2::int2, format('%I.%I', n.nspname, c.relname), {sequence}, NULL
FROM me, pg_class c JOIN ns n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_class'::regclass AND ext.objid = c.oid)
UNION ALL
SELECT 3::int2, format('%I', n.nspname), {schema}, NULL
FROM me, ns n WHERE NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_namespace'::regclass AND ext.objid = n.oid)
UNION ALL
SELECT 4::int2, format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)), {function}, NULL
FROM me, pg_proc p JOIN ns n ON n.oid = p.pronamespace
WHERE NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_proc'::regclass AND ext.objid = p.oid)
UNION ALL
SELECT 5::int2, format('%I.%I', n.nspname, t.typname), {type}, NULL
FROM me, pg_type t JOIN ns n ON n.oid = t.typnamespace
WHERE (t.typtype IN ('d', 'e', 'r', 'b') AND t.typcategory <> 'A'
    OR t.typtype = 'c' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
  AND NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_type'::regclass AND ext.objid = t.oid)
UNION ALL
SELECT 6::int2, format('%I', l.lanname), {language}, NULL FROM me, pg_language l WHERE l.lanispl
UNION ALL
SELECT 7::int2, 'database', {database}, NULL FROM me, pg_database d WHERE d.datname = current_database()
UNION ALL
SELECT 8::int2, format('%I', s.srvname), {server}, NULL FROM me, pg_foreign_server s";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_number_and_every_bit_its_name() {
        for (number, class) in (0..).zip(Class::ALL) {
            assert_eq!(Class::of(number), Some(class));
        }
        assert_eq!(Class::of(99), None);
        assert_eq!(Class::Table.names(0b1000_0011), ["SELECT", "INSERT", "MAINTAIN"]);
        assert_eq!(Class::Sequence.names(OWNER | RLS_ENABLED | 1), ["USAGE"]);
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        assert!(!statement(true).contains('{'));
        assert!(statement(true).contains("'MAINTAIN'"));
        assert!(!statement(false).contains("'MAINTAIN'"));
    }
}
