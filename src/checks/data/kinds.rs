//! What the check can find.

use super::super::FindingKind;

pub(super) const ROWS_MISSING: FindingKind =
    FindingKind::fail("rows-missing", "the application would not find rows that it has written");
pub(super) const ROWS_EXTRA: FindingKind =
    FindingKind::fail("rows-extra", "the application would find rows that are deleted, or were never there");
pub(super) const ROWS_DIFFER: FindingKind =
    FindingKind::fail("rows-differ", "the application would read other values than it has written");
pub(super) const CONTENT_DIFFERS: FindingKind = FindingKind::fail(
    "content-differs",
    "the application would read other rows; which ones could not be told apart",
);
pub(super) const ROW_COUNT_DIFFERS: FindingKind =
    FindingKind::fail("row-count-differs", "rows are missing, or there are too many");
pub(super) const TABLE_MISSING: FindingKind =
    FindingKind::fail("table-missing", "its rows are lost to the application");
pub(super) const COLUMN_MISSING: FindingKind =
    FindingKind::fail("column-missing", "its values are lost to the application");
pub(super) const NO_PRIVILEGE: FindingKind =
    FindingKind::fail("no-privilege", "what the role may not read was not compared");
pub(super) const ROW_SECURITY: FindingKind =
    FindingKind::fail("row-security", "rows that policies hide from the role can't be compared");
pub(super) const TABLE_UNREADABLE: FindingKind =
    FindingKind::fail("table-unreadable", "the table can't be read to its end");
pub(super) const TABLE_LOCKED: FindingKind = FindingKind::warn(
    "table-locked",
    "somebody holds a lock on it for longer than the check waits: it was not compared, and no verdict is possible yet",
);
pub(super) const ROWS_IN_FLUX: FindingKind = FindingKind::warn(
    "rows-in-flux",
    "written so often that no look found both sides alike; compare again when it is quiet",
);
pub(super) const FOREIGN_TABLE: FindingKind =
    FindingKind::warn("foreign-table", "its rows are on a third server, so it was not compared");
pub(super) const NOTHING_COMPARED: FindingKind =
    FindingKind::warn("nothing-compared", "a pattern that fits no table checks nothing");
pub(super) const SETTLED: FindingKind =
    FindingKind::info("settled", "writes were on their way; at a later look both sides were alike");
pub(super) const TABLE_EXTRA: FindingKind =
    FindingKind::info("table-extra", "the application on legacy does not know it");
pub(super) const COLUMN_EXTRA: FindingKind =
    FindingKind::info("column-extra", "the application on legacy does not know it");
pub(super) const COLUMN_TYPE_DIFFERS: FindingKind = FindingKind::info(
    "column-type-differs",
    "compared by the values' text; the schema check weighs the type",
);
pub(super) const COMPARED_AS_A_WHOLE: FindingKind = FindingKind::info(
    "compared-as-a-whole",
    "read in one scan, which can't be throttled or resumed, because its key can't be followed in the same order on both sides",
);
pub(super) const MATERIALIZED_VIEW: FindingKind =
    FindingKind::info("materialized-view", "not compared: it shows tables as they were at its last refresh");
pub(super) const EXTENSION_TABLE: FindingKind =
    FindingKind::info("extension-table", "not compared: it belongs to an extension, which brings its rows");

/// All of them.
pub(in crate::checks) const KINDS: &[FindingKind] = &[
    ROWS_MISSING,
    ROWS_EXTRA,
    ROWS_DIFFER,
    CONTENT_DIFFERS,
    ROW_COUNT_DIFFERS,
    TABLE_MISSING,
    COLUMN_MISSING,
    NO_PRIVILEGE,
    ROW_SECURITY,
    TABLE_UNREADABLE,
    TABLE_LOCKED,
    ROWS_IN_FLUX,
    FOREIGN_TABLE,
    NOTHING_COMPARED,
    SETTLED,
    TABLE_EXTRA,
    COLUMN_EXTRA,
    COLUMN_TYPE_DIFFERS,
    COMPARED_AS_A_WHOLE,
    MATERIALIZED_VIEW,
    EXTENSION_TABLE,
];
