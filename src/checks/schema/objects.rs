//! The rest that has a name: operators, collations, casts, text search objects, foreign servers and so on.
//!
//! Decides what each of them does: the functions behind it, and how it is set up. Options are compared and not shown; of
//! those of a user mapping, among which are passwords, only the names are read.

use super::{
    family::{BY_NAME, Family, Object, Property},
    side::Versions,
};
use crate::checks::{Finding, FindingKind, shown::shown};

pub(super) const MISSING: FindingKind = FindingKind::fail(
    "object-missing",
    "an operator, cast, collation, language or the like that legacy has: statements that use it fail",
);
pub(super) const EXTRA: FindingKind = FindingKind::info(
    "object-extra",
    "an operator, cast, collation, language or the like that legacy has not",
);
pub(super) const OBJECT: FindingKind = FindingKind::fail(
    "object-differs",
    "an operator, cast, collation, text search configuration or the like that does something else by the same name",
);
pub(super) const SERVER: FindingKind = FindingKind::fail(
    "foreign-server-differs",
    "the rows of its foreign tables come from elsewhere, or in another way",
);
pub(super) const MAPPING_MISSING: FindingKind =
    FindingKind::fail("user-mapping-missing", "its role can't read the server's foreign tables");
pub(super) const MAPPING_EXTRA: FindingKind = FindingKind::info(
    "user-mapping-extra",
    "a role may log in to a foreign server that it does not reach from legacy",
);
pub(super) const MAPPING: FindingKind = FindingKind::warn(
    "user-mapping-differs",
    "another set of options may log in otherwise, or not at all; their values are never read",
);
pub(super) const MAPPING_UNSEEN: FindingKind = FindingKind::warn(
    "user-mapping-unseen",
    "PostgreSQL shows the options to their role and the server's owner only, so not even their names were compared",
);

/// What each class of objects is compared by: noun, catalog, columns of the name and the schema, and its definition, whose
/// first character tells its form.
const IN_SCHEMAS: [(&str, &str, &str, &str, &str); 7] = [
    // The locale has had three names.
    (
        "collation",
        "pg_collation",
        "collname",
        "collnamespace",
        "'s' || concat_ws(' ', o.collprovider, coalesce(to_jsonb(o)->>'colllocale', to_jsonb(o)->>'colliculocale',
           o.collcollate::text), CASE WHEN o.collprovider = 'c' THEN o.collctype::text END,
           CASE WHEN o.collisdeterministic THEN 'deterministic' ELSE 'not deterministic' END, to_jsonb(o)->>'collicurules')",
    ),
    (
        "conversion",
        "pg_conversion",
        "conname",
        "connamespace",
        "'s' || concat_ws(' ', pg_encoding_to_char(o.conforencoding), pg_encoding_to_char(o.contoencoding),
           o.conproc::regproc, CASE WHEN o.condefault THEN 'default' END)",
    ),
    (
        "operator class",
        "pg_opclass",
        "opcname",
        "opcnamespace",
        "'s' || concat_ws(' ', (SELECT amname FROM pg_am WHERE pg_am.oid = o.opcmethod), format_type(o.opcintype, NULL),
           CASE WHEN o.opckeytype <> 0 THEN format_type(o.opckeytype, NULL) END, CASE WHEN o.opcdefault THEN 'default' END,
           (SELECT string_agg(a.amopstrategy || ' ' || a.amopopr::regoperator, ', ' ORDER BY a.amopstrategy) FROM pg_amop a
             WHERE a.amopfamily = o.opcfamily AND a.amoplefttype = o.opcintype AND a.amoprighttype = o.opcintype),
           (SELECT string_agg(a.amprocnum || ' ' || a.amproc, ', ' ORDER BY a.amprocnum) FROM pg_amproc a
             WHERE a.amprocfamily = o.opcfamily AND a.amproclefttype = o.opcintype AND a.amprocrighttype = o.opcintype))",
    ),
    (
        "text search configuration",
        "pg_ts_config",
        "cfgname",
        "cfgnamespace",
        "'s' || (SELECT quote_ident(n.nspname) || '.' || quote_ident(p.prsname) FROM pg_ts_parser p
             JOIN pg_namespace n ON n.oid = p.prsnamespace WHERE p.oid = o.cfgparser)
           || coalesce((SELECT string_agg(' ' || m.maptokentype || ': ' || m.mapdict::regdictionary, ','
             ORDER BY m.maptokentype, m.mapseqno) FROM pg_ts_config_map m WHERE m.mapcfg = o.oid), '')",
    ),
    (
        "text search dictionary",
        "pg_ts_dict",
        "dictname",
        "dictnamespace",
        "'d' || (SELECT quote_ident(n.nspname) || '.' || quote_ident(t.tmplname) FROM pg_ts_template t
             JOIN pg_namespace n ON n.oid = t.tmplnamespace WHERE t.oid = o.dicttemplate) || coalesce(' ' || o.dictinitoption, '')",
    ),
    (
        "text search parser",
        "pg_ts_parser",
        "prsname",
        "prsnamespace",
        "'s' || concat_ws(' ', o.prsstart, o.prstoken, o.prsend, o.prsheadline, o.prslextype)",
    ),
    (
        "text search template",
        "pg_ts_template",
        "tmplname",
        "tmplnamespace",
        "'s' || concat_ws(' ', o.tmplinit, o.tmpllexize)",
    ),
];

/// The same of what no schema holds.
const IN_THE_DATABASE: [(&str, &str, &str, &str); 2] = [
    (
        "language",
        "pg_language",
        "lanname",
        "'s' || concat_ws(' ', CASE WHEN o.lanpltrusted THEN 'trusted' ELSE 'not trusted' END, o.lanplcallfoid::regproc,
           o.laninline::regproc, o.lanvalidator::regproc)",
    ),
    (
        "foreign data wrapper",
        "pg_foreign_data_wrapper",
        "fdwname",
        "'d' || concat_ws(' ', o.fdwhandler::regproc, o.fdwvalidator::regproc,
           (SELECT string_agg(quote_literal(f), ', ' ORDER BY f) FROM unnest(o.fdwoptions) f))",
    ),
];

pub(super) const OTHERS: Family = Family {
    noun: "object",
    statement: others,
    missing: &MISSING,
    extra: &EXTRA,
    weigh_extra: None,
    properties: &[Property::marked("definition", &OBJECT)],
    identities: BY_NAME,
    rule: None,
};

fn others(_: Versions) -> String {
    let cast = is_own("pg_cast");
    let operator = is_own("pg_operator");
    let mut statements = vec![
        format!(
            "SELECT 'cast from ' || format_type(o.castsource, NULL) || ' to ' || format_type(o.casttarget, NULL), NULL,
               's' || concat_ws(' ', o.castcontext, o.castmethod, nullif(o.castfunc, 0)::regprocedure)
             FROM pg_cast o WHERE o.oid >= 16384 AND {cast} AND cardinality($1::text[]) = 0
               AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = 'pg_cast'::regclass AND i.objid = o.oid
                 AND i.deptype = 'i')"
        ),
        format!(
            "SELECT 'operator ' || ns.name || '.' || o.oprname || '(' || format_type(o.oprleft, NULL) || ', '
               || format_type(o.oprright, NULL) || ')', NULL,
               's' || concat_ws(' ', 'returns ' || format_type(o.oprresult, NULL), 'by ' || o.oprcode,
                 'commutator ' || nullif(o.oprcom, 0)::regoperator, 'negator ' || nullif(o.oprnegate, 0)::regoperator,
                 CASE WHEN o.oprcanmerge THEN 'merges' END, CASE WHEN o.oprcanhash THEN 'hashes' END,
                 'restrict ' || nullif(o.oprrest::oid, 0)::regproc, 'join ' || nullif(o.oprjoin::oid, 0)::regproc)
             FROM pg_operator o JOIN ns ON ns.oid = o.oprnamespace WHERE {operator}"
        ),
    ];
    statements.extend(IN_SCHEMAS.map(|(noun, catalog, name, schema, definition)| {
        let is_own = is_own(catalog);
        format!(
            "SELECT '{noun} ' || ns.name || '.' || quote_ident(o.{name}), NULL, {definition}
             FROM {catalog} o JOIN ns ON ns.oid = o.{schema} WHERE {is_own}"
        )
    }));
    statements.extend(IN_THE_DATABASE.map(|(noun, catalog, name, definition)| {
        let is_own = is_own(catalog);
        format!(
            "SELECT '{noun} ' || quote_ident(o.{name}), NULL, {definition} FROM {catalog} o
             WHERE o.oid >= 16384 AND {is_own} AND cardinality($1::text[]) = 0"
        )
    }));
    statements.join("\nUNION ALL ")
}

/// Whether it is no extension's.
fn is_own(catalog: &str) -> String {
    format!(
        "NOT EXISTS (SELECT FROM extension e WHERE e.classid = '{catalog}'::regclass AND e.objid = o.oid)"
    )
}

/// Belong to the whole database.
pub(super) const SERVERS: Family = Family {
    noun: "foreign server",
    statement: |_| {
        let is_own = is_own("pg_foreign_server");
        format!(
            "SELECT 'foreign server ' || quote_ident(o.srvname), NULL, quote_ident(w.fdwname), o.srvtype, o.srvversion,
               (SELECT string_agg(quote_literal(s), ', ' ORDER BY s) FROM unnest(o.srvoptions) s)
             FROM pg_foreign_server o JOIN pg_foreign_data_wrapper w ON w.oid = o.srvfdw WHERE {is_own}"
        )
    },
    missing: &MISSING,
    extra: &EXTRA,
    weigh_extra: None,
    properties: &[
        Property::shown("wrapper", &SERVER),
        Property::shown("type", &SERVER),
        Property::shown("version", &SERVER),
        Property::deparsed("options", &SERVER),
    ],
    identities: BY_NAME,
    rule: None,
};

/// What stands for the names of options that the role may not see.
const UNSEEN: &str = "options that the role may not see";

/// As `pg_user_mappings` decides who sees the options; it says nothing of those who don't.
pub(super) const MAPPINGS: Family = Family {
    noun: "user mapping",
    statement: |_| {
        format!(
            "SELECT 'user mapping of ' || coalesce(role.who, 'an unknown role') || ' on ' || quote_ident(m.srvname),
               'foreign server ' || quote_ident(m.srvname),
               CASE WHEN m.umoptions IS NOT NULL THEN
                   (SELECT string_agg(split_part(u, '=', 1), ', ' ORDER BY u) FROM unnest(m.umoptions) u)
                 WHEN current_setting('is_superuser') = 'on' OR pg_has_role(s.srvowner, 'USAGE') AND m.umuser = 0
                   OR m.usename = current_user AND (pg_has_role(s.srvowner, 'USAGE')
                     OR has_server_privilege(s.oid, 'USAGE')) THEN 'none'
                 ELSE '{UNSEEN}' END
             FROM pg_user_mappings m JOIN pg_foreign_server s ON s.oid = m.srvid LEFT JOIN role ON role.oid = m.umuser"
        )
    },
    missing: &MAPPING_MISSING,
    extra: &MAPPING_EXTRA,
    weigh_extra: None,
    properties: &[Property::shown("names of the options", &MAPPING)],
    identities: BY_NAME,
    rule: Some(unseen),
};

fn unseen(legacy: Option<&Object>, candidate: &Object, found: &mut Vec<Finding>) {
    let is_unseen = |object: &Object| object.text(0) == Some(UNSEEN);
    if legacy.is_some_and(is_unseen) && is_unseen(candidate) {
        let message = "the names of its options can be seen on neither side: ask as the server's owner";
        found.push(Finding::new(&MAPPING_UNSEEN, shown(&candidate.name), message));
    }
}
