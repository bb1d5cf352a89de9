//! Schemas, tables and views, partitions and row security.
//!
//! Decides what a table or view is beyond its columns. Where it is stored (its tablespace) is not compared: it is the
//! server's business.

use super::{
    family::{BY_NAME, Family, Property},
    side::Versions,
};
use crate::checks::{FindingKind, Severity};

pub(super) const SCHEMA_MISSING: FindingKind =
    FindingKind::fail("schema-missing", "statements that name it fail");
pub(super) const SCHEMA_EXTRA: FindingKind =
    FindingKind::info("schema-extra", "nothing that runs on legacy names it");
pub(super) const TABLE_MISSING: FindingKind =
    FindingKind::fail("table-missing", "statements that name it fail");
pub(super) const TABLE_EXTRA: FindingKind =
    FindingKind::info("table-extra", "nothing that runs on legacy names it");
pub(super) const TABLE_KIND: FindingKind = FindingKind::fail(
    "table-kind-differs",
    "plain, partitioned and foreign tables differ in what they enforce and how they are planned",
);
pub(super) const PERSISTENCE: FindingKind = FindingKind::fail(
    "persistence-differs",
    "an unlogged table is empty after a crash and on every standby; one that is only logged on the candidate is noted",
);
pub(super) const ACCESS_METHOD: FindingKind =
    FindingKind::warn("access-method-differs", "another way of storing rows performs otherwise");
pub(super) const OPTIONS: FindingKind = FindingKind::warn(
    "table-options-differ",
    "storage parameters steer vacuum, and so bloat and plans, over weeks",
);
pub(super) const REPLICA_IDENTITY: FindingKind = FindingKind::warn(
    "replica-identity-differs",
    "updates and deletes may not be replicated from the candidate as they are from legacy",
);
pub(super) const INHERITANCE: FindingKind = FindingKind::fail(
    "inheritance-differs",
    "a table that is not attached to its parent is not read or written through it",
);
pub(super) const PARTITION_KEY: FindingKind = FindingKind::fail(
    "partition-key-differs",
    "rows go to other partitions, and other partitions are pruned",
);
pub(super) const PARTITION_BOUND: FindingKind = FindingKind::fail(
    "partition-bound-differs",
    "rows that legacy takes may find no partition, or another one",
);
pub(super) const ROW_SECURITY: FindingKind = FindingKind::fail(
    "row-security-differs",
    "the same statement sees other rows, or rows that must stay hidden",
);
pub(super) const FOREIGN_TABLE: FindingKind =
    FindingKind::fail("foreign-table-differs", "its rows come from elsewhere");
pub(super) const VIEW_MISSING: FindingKind =
    FindingKind::fail("view-missing", "statements that name it fail");
pub(super) const VIEW_EXTRA: FindingKind =
    FindingKind::info("view-extra", "nothing that runs on legacy names it");
pub(super) const VIEW: FindingKind = FindingKind::fail(
    "view-differs",
    "it may return other rows; between major versions only a warning, for they write the same query differently",
);
pub(super) const VIEW_OPTIONS: FindingKind = FindingKind::fail(
    "view-options-differ",
    "security_barrier, security_invoker and check_option decide who sees and writes what",
);
pub(super) const UNPOPULATED: FindingKind = FindingKind::fail(
    "materialized-view-unpopulated",
    "reading it is an error until it is refreshed; as a note where only legacy's was never filled",
);

pub(super) const SCHEMAS: Family = Family {
    noun: "schema",
    statement: |_| {
        "SELECT ns.name, NULL FROM ns WHERE NOT EXISTS
           (SELECT FROM extension e WHERE e.classid = 'pg_namespace'::regclass AND e.objid = ns.oid)"
            .to_owned()
    },
    missing: &SCHEMA_MISSING,
    extra: &SCHEMA_EXTRA,
    weigh_extra: None,
    properties: &[],
    identities: BY_NAME,
    rule: None,
};

pub(super) const TABLES: Family = Family {
    noun: "table",
    statement: tables,
    missing: &TABLE_MISSING,
    extra: &TABLE_EXTRA,
    weigh_extra: None,
    properties: &[
        Property::shown("kind", &TABLE_KIND).deciding(),
        Property::shown("row type", &TABLE_KIND),
        Property::shown("persistence", &PERSISTENCE).weighing(persistence),
        Property::shown("access method", &ACCESS_METHOD),
        Property::shown("storage parameters", &OPTIONS),
        Property::shown("replica identity", &REPLICA_IDENTITY),
        Property::shown("parents", &INHERITANCE),
        Property::marked("partition key", &PARTITION_KEY),
        Property::bound("partition bound", &PARTITION_BOUND),
        Property::shown("row security", &ROW_SECURITY),
        Property::shown("foreign server", &FOREIGN_TABLE),
        Property::deparsed("options for its foreign server", &FOREIGN_TABLE),
    ],
    identities: BY_NAME,
    rule: None,
};

fn persistence(_legacy: Option<&str>, candidate: Option<&str>) -> Severity {
    if candidate == Some("unlogged") { Severity::Fail } else { Severity::Info }
}

fn tables(_: Versions) -> String {
    "SELECT rel.name, NULL,
  CASE c.relkind WHEN 'r' THEN 'plain' WHEN 'p' THEN 'partitioned' ELSE 'foreign' END,
  CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END,
  CASE c.relpersistence WHEN 'u' THEN 'unlogged' WHEN 't' THEN 'temporary' ELSE 'logged' END,
  CASE WHEN c.relkind = 'r' THEN am.amname::text END,
  (SELECT string_agg(o, ', ' ORDER BY o) FROM
    (SELECT unnest(c.reloptions) UNION ALL SELECT 'toast.' || unnest(t.reloptions)) AS s (o)),
  CASE c.relreplident WHEN 'd' THEN 'primary key' WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' ELSE 'index on ' ||
    coalesce((SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname) FROM pg_index x
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (x.indkey)
      WHERE x.indrelid = c.oid AND x.indisreplident), 'nothing') END,
  (SELECT string_agg(quote_ident(pn.nspname) || '.' || quote_ident(pc.relname), ', ' ORDER BY i.inhseqno)
    FROM pg_inherits i JOIN pg_class pc ON pc.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = pc.relnamespace
    WHERE i.inhrelid = c.oid),
  (SELECT CASE WHEN p.partexprs IS NULL THEN 's' ELSE 'd' END || pg_get_partkeydef(c.oid)
    FROM pg_partitioned_table p WHERE p.partrelid = c.oid),
  pg_get_expr(c.relpartbound, c.oid),
  CASE WHEN c.relrowsecurity AND c.relforcerowsecurity THEN 'on, also for the owner'
    WHEN c.relrowsecurity THEN 'on' ELSE 'off' END,
  quote_ident(fs.srvname),
  (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(ft.ftoptions) o)
FROM rel JOIN pg_class c ON c.oid = rel.oid
LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
LEFT JOIN pg_am am ON am.oid = c.relam
LEFT JOIN pg_foreign_table ft ON ft.ftrelid = c.oid
LEFT JOIN pg_foreign_server fs ON fs.oid = ft.ftserver
WHERE rel.relkind IN ('r', 'p', 'f')"
        .to_owned()
}

pub(super) const VIEWS: Family = Family {
    noun: "view",
    statement: |_| {
        "SELECT rel.name, NULL, CASE c.relkind WHEN 'v' THEN 'plain' ELSE 'materialized' END,
  pg_get_viewdef(c.oid), (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(c.reloptions) o),
  CASE WHEN c.relispopulated THEN 'filled' ELSE 'never filled' END
FROM rel JOIN pg_class c ON c.oid = rel.oid WHERE rel.relkind IN ('v', 'm')"
            .to_owned()
    },
    missing: &VIEW_MISSING,
    extra: &VIEW_EXTRA,
    weigh_extra: None,
    properties: &[
        Property::shown("kind", &VIEW).deciding(),
        Property::deparsed("query", &VIEW),
        Property::shown("options", &VIEW_OPTIONS),
        Property::shown("content", &UNPOPULATED).weighing(content),
    ],
    identities: BY_NAME,
    rule: None,
};

fn content(_legacy: Option<&str>, candidate: Option<&str>) -> Severity {
    if candidate == Some("filled") { Severity::Info } else { Severity::Fail }
}
