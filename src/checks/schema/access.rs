//! Owners, grants and default privileges.
//!
//! Decides who may do what. Roles are compared by what they are to the application where their names are the server's
//! business; what an owner has only by owning follows the owner, and is not said twice.

use std::collections::{BTreeMap, HashMap};

use super::{
    family::{BY_NAME, Family, Property},
    side::Versions,
};
use crate::checks::{Finding, FindingKind, Severity, shown::shown};

pub(super) const OWNER: FindingKind = FindingKind::fail(
    "owner-differs",
    "owners may alter, drop and grant, and bypass row security; a warning unless it is the application that loses it",
);
pub(super) const GRANT_MISSING: FindingKind = FindingKind::fail(
    "grant-missing",
    "statements are refused; a warning where the application's role has the privilege all the same, or is no member of the role that lacks it",
);
pub(super) const GRANT_EXTRA: FindingKind =
    FindingKind::warn("grant-extra", "somebody may do on the candidate what they may not on legacy");
pub(super) const DEFAULT_PRIVILEGES: FindingKind = FindingKind::warn(
    "default-privileges-differ",
    "objects that are created from now on get other grants than on legacy",
);

/// What roles call the application's own; as the frame of the statements has it.
const APPLICATION: &str = "the application's role";
const PUBLIC: &str = "PUBLIC";

/// Who owns an object and who may do what with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Access {
    pub(super) noun: String,
    pub(super) owner: String,
    /// By grantee: privileges, with `*` where they may be passed on.
    pub(super) grants: BTreeMap<String, Vec<String>>,
}

/// One object and one grantee a row. An object without grants of its own has those that its owner and PUBLIC get by
/// default, and says so. Owners of views and the like may have none at all.
pub(super) fn statement(versions: Versions) -> String {
    // New in 17, and owners have it by default: no grant that an older server could lack.
    let known = if versions.older < 17 { "WHERE a.privilege_type <> 'MAINTAIN'" } else { "" };
    let member = |class: &str, oid: &str| {
        format!(
            "NOT EXISTS (SELECT FROM extension e WHERE e.classid = '{class}'::regclass AND e.objid = {oid})"
        )
    };
    let (schema, function, kind) =
        (member("pg_namespace", "ns.oid"), member("pg_proc", "p.oid"), member("pg_type", "t.oid"));
    format!(
        ", object (noun, name, owner, acl) AS MATERIALIZED (
  SELECT CASE rel.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' ELSE 'table' END, rel.name,
    rel.relowner,
    coalesce(rel.relacl, acldefault(CASE rel.relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", rel.relowner))
  FROM rel WHERE rel.relkind <> 'c'
  UNION ALL SELECT 'schema', ns.name, ns.nspowner, coalesce(ns.nspacl, acldefault('n', ns.nspowner)) FROM ns
  WHERE {schema}
  UNION ALL SELECT 'function', ns.name || '.' || quote_ident(p.proname) || '(' || oidvectortypes(p.proargtypes) || ')',
    p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)) FROM pg_proc p JOIN ns ON ns.oid = p.pronamespace
  WHERE {function} AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid
    AND i.deptype = 'i')
  UNION ALL SELECT 'type', ns.name || '.' || quote_ident(t.typname), t.typowner,
    coalesce(t.typacl, acldefault('T', t.typowner)) FROM pg_type t JOIN ns ON ns.oid = t.typnamespace
    LEFT JOIN pg_class c ON c.oid = t.typrelid
  WHERE t.typtype IN ('b', 'c', 'd', 'e', 'r') AND (t.typrelid = 0 OR c.relkind = 'c')
    AND NOT EXISTS (SELECT FROM pg_type el WHERE el.typarray = t.oid) AND {kind}
  UNION ALL SELECT 'column', rel.name || '.' || quote_ident(a.attname), rel.relowner, a.attacl
  FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
)
SELECT o.noun, o.name, coalesce(owner.who, 'an unknown role'), CASE WHEN a.grantee IS NOT NULL THEN
    coalesce(grantee.who, 'an unknown role') END,
  string_agg(DISTINCT a.privilege_type || CASE WHEN a.is_grantable AND a.grantee <> o.owner THEN '*' ELSE '' END, ',')
FROM object o LEFT JOIN LATERAL (SELECT * FROM aclexplode(o.acl) a {known}) a ON true
LEFT JOIN role owner ON owner.oid = o.owner
LEFT JOIN role grantee ON grantee.oid = a.grantee
GROUP BY 1, 2, 3, 4"
    )
}

/// The roles that the application's is a member of, itself and PUBLIC included.
pub(super) const MEMBERSHIPS: &str =
    "SELECT role.who FROM role WHERE role.oid = 0 OR pg_has_role(current_user, role.oid, 'MEMBER')";

/// A row of [`statement`]: noun, name, owner, grantee, privileges.
pub(super) type Row = (String, String, String, Option<String>, Option<String>);

pub(super) fn assemble(rows: Vec<Row>) -> HashMap<String, Access> {
    let mut objects: HashMap<String, Access> = HashMap::new();
    for (noun, name, owner, grantee, privileges) in rows {
        // A type and a table may have the same name; a column's differs from both.
        let access = objects.entry(format!("{noun} {name}")).or_default();
        (access.noun, access.owner) = (noun, owner);
        if let (Some(grantee), Some(privileges)) = (grantee, privileges) {
            let held = access.grants.entry(grantee).or_default();
            held.extend(privileges.split(',').map(str::to_owned));
        }
    }
    objects
}

/// What differs in the access to the objects that both sides have.
pub(super) fn compare(
    legacy: &HashMap<String, Access>,
    candidate: &HashMap<String, Access>,
    memberships: &[String],
) -> Vec<Finding> {
    let mut found = Vec::new();
    for (key, new) in candidate {
        // Only a column may have grants on one side alone; what else is missing is said elsewhere.
        let old = legacy.get(key).cloned();
        let Some(old) = old.or_else(|| bare(new)) else {
            continue;
        };
        compare_one(key, &old, new, memberships, &mut found);
    }
    for (key, old) in legacy.iter().filter(|(key, _)| !candidate.contains_key(*key)) {
        if let Some(new) = bare(old) {
            compare_one(key, old, &new, memberships, &mut found);
        }
    }
    found
}

/// A column without grants of its own.
fn bare(other: &Access) -> Option<Access> {
    (other.noun == "column").then(|| Access { grants: BTreeMap::new(), ..other.clone() })
}

fn compare_one(key: &str, old: &Access, new: &Access, memberships: &[String], found: &mut Vec<Finding>) {
    let name = key.strip_prefix(old.noun.as_str()).unwrap_or(key).trim_start();
    if old.owner != new.owner && old.noun != "column" {
        found.push(owner(name, old, new));
    }
    for (grantee, lacking) in lacking(old, new) {
        let (grantee, privileges) = (shown(grantee), lacking.join(", "));
        let message = format!("{grantee} lacks {privileges} on the {}", old.noun);
        let is_felt = memberships.contains(&grantee) && !covers(new, &privileges);
        let severity = if is_felt { GRANT_MISSING.severity } else { Severity::Warn };
        let finding = Finding::new(&GRANT_MISSING, shown(name), message).weighing(severity);
        found.push(finding.with("grantee", grantee).with("privileges", privileges));
    }
    for (grantee, lacking) in lacking(new, old) {
        let (grantee, privileges) = (shown(grantee), lacking.join(", "));
        let message = format!("{grantee} has {privileges} on the {}, and not on legacy", old.noun);
        let finding = Finding::new(&GRANT_EXTRA, shown(name), message);
        found.push(finding.with("grantee", grantee).with("privileges", privileges));
    }
}

fn owner(name: &str, old: &Access, new: &Access) -> Finding {
    let severity = match (old.owner.as_str(), new.owner.as_str(), old.noun.as_str()) {
        (APPLICATION, _, _) => OWNER.severity,
        (_, APPLICATION, "schema") => Severity::Info,
        _ => Severity::Warn,
    };
    let (before, after) = (shown(&old.owner), shown(&new.owner));
    let message = format!("the owner of the {}: on legacy {before}, on the candidate {after}", old.noun);
    Finding::new(&OWNER, shown(name), message)
        .weighing(severity)
        .with("legacy", before)
        .with("candidate", after)
}

/// Who has privileges in `these` that they have not in `others`, neither by themselves nor as PUBLIC. Of an owner who
/// is no longer the owner that is to be expected.
fn lacking<'a>(these: &'a Access, others: &Access) -> Vec<(&'a str, Vec<&'a str>)> {
    let holds = |grantee: &str, privilege: &str| {
        let plain = privilege.trim_end_matches('*');
        let has = |grantee: &str| {
            others.grants.get(grantee).is_some_and(|held| {
                held.iter().any(|held| {
                    held == privilege || (held.trim_end_matches('*') == plain && plain == privilege)
                })
            })
        };
        // An owner may pass on all that it has.
        has(grantee)
            || (plain == privilege && has(PUBLIC))
            || (grantee == others.owner && holds_plain(others, grantee, plain))
    };
    let mut all = Vec::new();
    for (grantee, privileges) in &these.grants {
        if *grantee == these.owner && these.owner != others.owner {
            continue;
        }
        let lacking: Vec<&str> =
            privileges.iter().map(String::as_str).filter(|privilege| !holds(grantee, privilege)).collect();
        if !lacking.is_empty() {
            all.push((grantee.as_str(), lacking));
        }
    }
    all
}

/// Whether the application's role has all of these privileges by itself.
fn covers(access: &Access, privileges: &str) -> bool {
    privileges.split(", ").all(|privilege| holds_plain(access, APPLICATION, privilege))
}

fn holds_plain(access: &Access, grantee: &str, privilege: &str) -> bool {
    access.grants.get(grantee).is_some_and(|held| held.iter().any(|held| held == privilege))
}

pub(super) const DEFAULTS: Family = Family {
    noun: "set of default privileges",
    statement: |versions| {
        let known = if versions.older < 17 { "WHERE a.privilege_type <> 'MAINTAIN'" } else { "" };
        format!(
            "SELECT 'for ' || role.who || coalesce(' in ' || ns.name, '') || ' on ' || CASE d.defaclobjtype
    WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types'
    WHEN 'n' THEN 'schemas' ELSE 'large objects' END, NULL,
  (SELECT string_agg(g.text, '; ' ORDER BY g.text) FROM (
    SELECT coalesce(grantee.who, 'an unknown role') || ': ' || string_agg(a.privilege_type
      || CASE WHEN a.is_grantable AND a.grantee <> d.defaclrole THEN '*' ELSE '' END, ', ' ORDER BY a.privilege_type)
    FROM aclexplode(d.defaclacl) a LEFT JOIN role grantee ON grantee.oid = a.grantee {known} GROUP BY grantee.who
  ) AS g (text))
FROM pg_default_acl d JOIN role ON role.oid = d.defaclrole LEFT JOIN ns ON ns.oid = d.defaclnamespace
WHERE d.defaclnamespace = 0 OR ns.oid IS NOT NULL"
        )
    },
    missing: &DEFAULT_PRIVILEGES,
    extra: &DEFAULT_PRIVILEGES,
    weigh_extra: None,
    properties: &[Property::shown("list", &DEFAULT_PRIVILEGES)],
    identities: BY_NAME,
    rule: None,
};

#[cfg(test)]
mod tests;
