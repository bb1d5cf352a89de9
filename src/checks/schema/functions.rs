//! Functions, procedures and aggregates.
//!
//! Decides what a function is beyond its name and the types of its arguments, which tell it from others.

use super::{
    family::{BY_NAME, Family, Property},
    side::Versions,
};
use crate::checks::FindingKind;

pub(super) const MISSING: FindingKind =
    FindingKind::fail("function-missing", "statements, triggers and defaults that call it fail");
pub(super) const EXTRA: FindingKind = FindingKind::info(
    "function-extra",
    "nothing that runs on legacy calls it, unless it is now the better match for a call",
);
pub(super) const BODY: FindingKind = FindingKind::fail(
    "function-body-differs",
    "it does something else; formatting and comments are not compared",
);
pub(super) const RESULT: FindingKind =
    FindingKind::fail("function-result-differs", "callers get other types, columns or kinds of results");
pub(super) const ARGUMENTS: FindingKind = FindingKind::fail(
    "function-arguments-differ",
    "calls that name arguments or leave them to their defaults fail or mean something else",
);
pub(super) const VOLATILITY: FindingKind = FindingKind::fail(
    "function-volatility-differs",
    "it is called more or less often, sees other rows, or can't be used in an index",
);
pub(super) const SECURITY: FindingKind = FindingKind::fail(
    "function-security-differs",
    "SECURITY DEFINER decides with whose privileges it runs, LEAKPROOF what it may see",
);
pub(super) const SETTINGS: FindingKind =
    FindingKind::fail("function-settings-differ", "under another search_path its names mean other objects");
pub(super) const PROPERTY: FindingKind = FindingKind::fail(
    "function-property-differs",
    "it is another kind of function, or treats NULL differently",
);
pub(super) const PLANNING: FindingKind = FindingKind::warn(
    "function-planning-differs",
    "cost, rows and parallel safety change plans, not results",
);

pub(super) const FUNCTIONS: Family = Family {
    noun: "function",
    statement: functions,
    missing: &MISSING,
    extra: &EXTRA,
    weigh_extra: None,
    properties: &[
        Property::shown("kind", &PROPERTY).deciding(),
        Property::shown("language", &PROPERTY),
        Property::shown("treatment of NULL", &PROPERTY),
        Property::marked("body", &BODY),
        Property::shown("result", &RESULT),
        Property::deparsed("list of arguments", &ARGUMENTS),
        Property::shown("volatility", &VOLATILITY),
        Property::shown("security", &SECURITY),
        Property::shown("leakproofness", &SECURITY),
        Property::shown("search_path", &SETTINGS),
        Property::deparsed("settings", &SETTINGS),
        Property::shown("parallel safety", &PLANNING),
        Property::shown("cost", &PLANNING),
    ],
    identities: BY_NAME,
    rule: None,
};

fn functions(versions: Versions) -> String {
    let standard =
        versions.since(14, "WHEN p.prosqlbody IS NOT NULL THEN 'd' || pg_get_function_sqlbody(p.oid)", "");
    format!(
        "SELECT ns.name || '.' || quote_ident(p.proname) || '(' || oidvectortypes(p.proargtypes) || ')', NULL,
  CASE p.prokind WHEN 'f' THEN 'function' WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'window' END,
  l.lanname::text,
  CASE WHEN p.proisstrict THEN 'returns NULL on NULL' ELSE 'is called on NULL' END,
  CASE WHEN p.prokind = 'a' THEN 'v' || (SELECT concat_ws(' ', a.aggkind, a.aggnumdirectargs, a.aggtransfn::regproc,
      a.aggfinalfn::regproc, a.aggcombinefn::regproc, a.aggserialfn::regproc, a.aggdeserialfn::regproc,
      a.aggmtransfn::regproc, a.aggminvtransfn::regproc, a.aggmfinalfn::regproc, a.aggfinalextra, a.aggmfinalextra,
      a.aggfinalmodify, a.aggsortop::regoperator, a.aggtranstype::regtype, quote_nullable(a.agginitval),
      quote_nullable(a.aggminitval)) FROM pg_aggregate a WHERE a.aggfnoid = p.oid)
    {standard}
    WHEN l.lanname IN ('sql', 'plpgsql') THEN 'b' || p.prosrc ELSE 'v' || concat_ws(' ', p.probin, p.prosrc) END,
  coalesce(pg_get_function_result(p.oid), 'none'),
  pg_get_function_arguments(p.oid),
  CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
  CASE WHEN p.prosecdef THEN 'SECURITY DEFINER' ELSE 'SECURITY INVOKER' END,
  CASE WHEN p.proleakproof THEN 'leakproof' ELSE 'not leakproof' END,
  (SELECT substr(o, 13) FROM unnest(p.proconfig) o WHERE o LIKE 'search\\_path=%'),
  (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(p.proconfig) o WHERE o NOT LIKE 'search\\_path=%'),
  CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END,
  p.procost || CASE WHEN p.prorows IN (0, 1000) THEN '' ELSE ', rows ' || p.prorows END || coalesce(', support ' || nullif(p.prosupport::oid, 0)::regproc, '')
FROM pg_proc p JOIN ns ON ns.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE NOT EXISTS (SELECT FROM extension e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
  AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid
    AND i.deptype = 'i')"
    )
}
