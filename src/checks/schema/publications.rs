//! Publications and extended statistics.
//!
//! Decides what a consumer of changes, and the planner, would miss on the candidate. A publication that the candidate
//! itself subscribes to is how its rows came there: it is not expected on the candidate.

use super::{
    family::{BY_NAME, Family, Identity, Object, Property, name},
    side::Versions,
};
use crate::checks::{Finding, FindingKind, Severity};

pub(super) const MISSING: FindingKind = FindingKind::warn(
    "publication-missing",
    "consumers of its changes get nothing from the candidate; only noted where the candidate subscribes to it",
);
pub(super) const EXTRA: FindingKind =
    FindingKind::info("publication-extra", "nothing that reads from legacy names it");
pub(super) const PUBLICATION: FindingKind =
    FindingKind::warn("publication-differs", "consumers of its changes get other tables, rows or operations");
pub(super) const STATISTICS_MISSING: FindingKind =
    FindingKind::warn("statistics-missing", "the planner may misjudge columns that depend on each other");
pub(super) const STATISTICS_EXTRA: FindingKind =
    FindingKind::info("statistics-extra", "the planner knows more than on legacy");
pub(super) const STATISTICS: FindingKind =
    FindingKind::warn("statistics-differ", "the planner estimates other combinations of columns");

pub(super) const PUBLICATIONS: Family = Family {
    noun: "publication",
    statement: publications,
    missing: &MISSING,
    extra: &EXTRA,
    weigh_extra: None,
    properties: &[
        Property::shown("scope", &PUBLICATION),
        Property::shown("list of operations", &PUBLICATION),
        Property::shown("treatment of partitions", &PUBLICATION),
        Property::deparsed("list of tables", &PUBLICATION),
        Property::shown("list of schemas", &PUBLICATION),
    ],
    identities: BY_NAME,
    rule: None,
};

fn publications(versions: Versions) -> String {
    let root = versions.since(
        13,
        "CASE WHEN p.pubviaroot THEN 'as their root' ELSE 'as themselves' END",
        "'as themselves'",
    );
    let parts = versions.since(
        15,
        "|| coalesce(' columns ' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname)
           FROM pg_attribute a WHERE a.attrelid = pr.prrelid AND a.attnum = ANY (pr.prattrs)), '')
         || coalesce(' where ' || pg_get_expr(pr.prqual, pr.prrelid), '')",
        "",
    );
    let schemas = versions.since(
        15,
        "(SELECT string_agg(quote_ident(n.nspname), ', ' ORDER BY n.nspname) FROM pg_publication_namespace pn
           JOIN pg_namespace n ON n.oid = pn.pnnspid WHERE pn.pnpubid = p.oid)",
        "NULL",
    );
    format!(
        "SELECT quote_ident(p.pubname), NULL,
  CASE WHEN p.puballtables THEN 'all tables' ELSE 'some tables' END,
  concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
    CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END),
  {root},
  (SELECT string_agg(t.text, '; ' ORDER BY t.text) FROM (
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) {parts}
    FROM pg_publication_rel pr JOIN pg_class c ON c.oid = pr.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE pr.prpubid = p.oid) AS t (text)),
  {schemas}
FROM pg_publication p"
    )
}

/// The names of the publications that a side subscribes to.
pub(super) const SUBSCRIBED: &str =
    "SELECT DISTINCT quote_ident(name) FROM pg_subscription s, unnest(s.subpublications) AS name
   WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// Takes the weight off the publications that the candidate itself subscribes to.
pub(super) fn excuse(found: &mut [Finding], subscribed: &[String]) {
    let is_source = |finding: &Finding| finding.kind == MISSING.name && subscribed.contains(&finding.object);
    for finding in found.iter_mut().filter(|finding| is_source(finding)) {
        finding.severity = Severity::Info;
        "the candidate subscribes to it, so it is not expected there".clone_into(&mut finding.message);
    }
}

const BY_DEFINITION: &[Identity] = &[name, definition];

fn definition(object: &Object, majors_differ: bool) -> Option<String> {
    let definition = object.values.first()?.as_ref()?.mark(majors_differ);
    Some(format!("{}\n{definition}", object.parent.as_deref()?))
}

pub(super) const STATISTICS_OBJECTS: Family = Family {
    noun: "statistics object",
    statement: |_| {
        "SELECT ns.name || '.' || quote_ident(s.stxname), rel.name,
  'd' || substr(pg_get_statisticsobjdef(s.oid),
    length('CREATE STATISTICS ' || ns.name || '.' || quote_ident(s.stxname)) + 1)
FROM pg_statistic_ext s JOIN ns ON ns.oid = s.stxnamespace JOIN rel ON rel.oid = s.stxrelid"
            .to_owned()
    },
    missing: &STATISTICS_MISSING,
    extra: &STATISTICS_EXTRA,
    weigh_extra: None,
    properties: &[Property::marked("definition", &STATISTICS)],
    identities: BY_DEFINITION,
    rule: None,
};
