//! What a role is: its attributes, its memberships, and how long and how often it may log in.
//!
//! Decides what of it legacy has and the candidate lacks. Roles that both sides have under one name are taken for the
//! same. Never decides what a membership is worth: what it grants is seen in the objects.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use tokio_postgres::types::Type;

use super::{Compared, FindingKind, Found, Reading, Trouble, about, finding, shown};
use crate::checks::Severity;

pub(super) const ABSENT: FindingKind =
    FindingKind::fail("role-missing", "nobody can log in or act as the role");
pub(super) const ATTRIBUTE_MISSING: FindingKind = FindingKind::fail(
    "role-attribute-missing",
    "what the attribute allows on legacy (logging in, passing row security, creating roles) is refused",
);
pub(super) const ATTRIBUTE_ADDED: FindingKind = FindingKind::warn(
    "role-attribute-added",
    "the role may do more than the application needs: a fault or an intruder in it reaches further",
);
pub(super) const LIMIT: FindingKind = FindingKind::warn(
    "connection-limit-lower",
    "logins beyond the role's or the database's limit are refused; with a limit of zero all are",
);
pub(super) const EXPIRING: FindingKind = FindingKind::fail(
    "password-expiring",
    "once the password's VALID UNTIL has passed, the application can't log in any more",
);
pub(super) const MEMBERSHIP_MISSING: FindingKind = FindingKind::fail(
    "membership-missing",
    "what the group may do, and SET ROLE to it, is refused; a group that the candidate lacks altogether only warns",
);
pub(super) const MEMBERSHIP_ADDED: FindingKind =
    FindingKind::info("membership-added", "the role may do more than on legacy: nothing fails");

/// A password that ends sooner than this is a fault of the move: it would end within its rollback window.
const PASSWORD_LASTS_SECONDS: i64 = 14 * 24 * 3600;
/// Most memberships of a role; the statement asks for one more.
const MAX_MEMBERSHIPS: usize = 1000;
const SECONDS_A_DAY: i64 = 24 * 3600;

/// What a role is.
#[derive(Debug, Clone, Deserialize)]
struct RoleFacts {
    /// By name: whether the role has it.
    attributes: BTreeMap<String, bool>,
    role_limit: i64,
    database_limit: i64,
    valid_for_seconds: Option<i64>,
    /// By group: whether the role has its privileges without `SET ROLE`.
    memberships: BTreeMap<String, bool>,
}

/// A superuser is a member of everything; `pg_database_owner` is seen by who owns the database.
const STATEMENT: &str = "\
SELECT json_build_object(
  'attributes', json_build_object('LOGIN', r.rolcanlogin, 'INHERIT', r.rolinherit, 'SUPERUSER', r.rolsuper,
    'CREATEDB', r.rolcreatedb, 'CREATEROLE', r.rolcreaterole, 'REPLICATION', r.rolreplication,
    'BYPASSRLS', r.rolbypassrls),
  'role_limit', r.rolconnlimit,
  'database_limit', (SELECT d.datconnlimit FROM pg_database d WHERE d.datname = current_database()),
  'valid_for_seconds', CASE
    WHEN isfinite(r.rolvaliduntil) THEN floor(extract(epoch FROM r.rolvaliduntil - clock_timestamp()))::int8
    WHEN r.rolvaliduntil = '-infinity' THEN -1 END,
  'memberships', (
    SELECT coalesce(json_object_agg(g.rolname, g.inherited), '{}') FROM (
      SELECT m.rolname, pg_has_role(r.oid, m.oid, 'USAGE') AS inherited FROM pg_roles m
      WHERE m.oid <> r.oid AND NOT r.rolsuper AND m.rolname <> 'pg_database_owner'
        AND pg_has_role(r.oid, m.oid, 'MEMBER')
      ORDER BY 1 LIMIT 1001) g))::text
FROM pg_roles r WHERE r.rolname = $1::name";

/// Returns whether both sides have the role.
pub(super) async fn compare(
    role: &Compared,
    legacy: &Reading,
    candidate: &Reading,
    found: &mut Found<'_>,
) -> Result<bool, Trouble> {
    let (ours, theirs) = tokio::try_join!(
        about("legacy", read(legacy, &role.legacy)),
        about("candidate", read(candidate, &role.candidate)),
    )?;
    let (Some(ours), Some(theirs)) = (&ours, &theirs) else {
        let side = match (&ours, &theirs) {
            (None, None) => "neither side has",
            (None, _) => "legacy does not have",
            _ => "the candidate does not have",
        };
        let message = format!("{side} the role: CREATE ROLE it, or see that its name is spelt right");
        found.push(finding(&ABSENT, role.called.clone(), role, message));
        return Ok(false);
    };
    attributes(role, ours, theirs, found);
    limits(role, ours, theirs, found);
    expiry(role, theirs, found);
    let groups = about("candidate", existing(candidate, ours)).await?;
    memberships(role, ours, theirs, &groups, found);
    Ok(true)
}

async fn read(reading: &Reading, role: &str) -> Result<Option<RoleFacts>, Trouble> {
    let rows = reading.rows(STATEMENT, &[(&role, Type::TEXT)]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let facts = row.try_get(0).ok().and_then(|text: &str| serde_json::from_str(text).ok());
    let facts: RoleFacts =
        facts.ok_or_else(|| Trouble::error("the server's answer about a role can't be read"))?;
    if facts.memberships.len() > MAX_MEMBERSHIPS {
        let message =
            format!("{} is a member of more than {MAX_MEMBERSHIPS} roles, too many to compare", shown(role));
        return Err(Trouble::error(message));
    }
    Ok(Some(facts))
}

/// Which of legacy's groups the candidate has at all.
async fn existing(candidate: &Reading, ours: &RoleFacts) -> Result<BTreeSet<String>, Trouble> {
    let names: Vec<&String> = ours.memberships.keys().collect();
    let statement = "SELECT r.rolname::text FROM pg_roles r WHERE r.rolname = ANY ($1::name[])";
    let rows = candidate.rows(statement, &[(&names, Type::TEXT_ARRAY)]).await?;
    Ok(rows.iter().filter_map(|row| row.try_get(0).ok()).collect())
}

fn attributes(role: &Compared, ours: &RoleFacts, theirs: &RoleFacts, found: &mut Found<'_>) {
    for (name, ours) in &ours.attributes {
        let called = &role.called;
        match (ours, theirs.attributes.get(name).copied().unwrap_or(false)) {
            (true, false) => {
                let message =
                    format!("{called} lacks {name} on the candidate, which it has on legacy: ALTER ROLE it");
                found.push(
                    finding(&ATTRIBUTE_MISSING, called.clone(), role, message)
                        .with("attribute", name.as_str()),
                );
            }
            (false, true) if name != "INHERIT" => {
                let message = format!("{called} has {name} on the candidate, not on legacy");
                found.push(
                    finding(&ATTRIBUTE_ADDED, called.clone(), role, message).with("attribute", name.as_str()),
                );
            }
            _ => {}
        }
    }
}

fn limits(role: &Compared, ours: &RoleFacts, theirs: &RoleFacts, found: &mut Found<'_>) {
    let limits = [
        ("database", ours.database_limit, theirs.database_limit),
        (role.called.as_str(), ours.role_limit, theirs.role_limit),
    ];
    // A negative limit is none.
    let is_lower = |ours: i64, theirs: i64| theirs >= 0 && (ours < 0 || theirs < ours);
    for (object, ours, theirs) in limits.into_iter().filter(|(_, ours, theirs)| is_lower(*ours, *theirs)) {
        let old = if ours < 0 { "none".to_owned() } else { ours.to_string() };
        let message = format!("the connection limit is {theirs} on the candidate, {old} on legacy");
        let finding =
            finding(&LIMIT, object.to_owned(), role, message).with("legacy", ours).with("candidate", theirs);
        let is_known =
            found.findings.kept().iter().any(|other| other.kind == LIMIT.name && other.object == object);
        if !is_known {
            found.push(if theirs == 0 { finding.weighing(Severity::Fail) } else { finding });
        }
    }
}

fn expiry(role: &Compared, theirs: &RoleFacts, found: &mut Found<'_>) {
    let Some(seconds) = theirs.valid_for_seconds.filter(|seconds| *seconds < PASSWORD_LASTS_SECONDS) else {
        return;
    };
    let called = &role.called;
    let message = if seconds < 0 {
        format!("the password of {called} on the candidate is no longer valid: ALTER ROLE … VALID UNTIL")
    } else {
        let days = seconds / SECONDS_A_DAY;
        format!(
            "the password of {called} on the candidate is valid for {days} days more: ALTER ROLE … VALID UNTIL"
        )
    };
    found.push(finding(&EXPIRING, called.clone(), role, message));
}

fn memberships(
    role: &Compared,
    ours: &RoleFacts,
    theirs: &RoleFacts,
    groups: &BTreeSet<String>,
    found: &mut Found<'_>,
) {
    let called = &role.called;
    // The other side's role of that name is this role.
    for (group, inherited) in ours.memberships.iter().filter(|(group, _)| **group != role.candidate) {
        let name = shown(group);
        let (severity, message) = match theirs.memberships.get(group) {
            Some(theirs) if *theirs || !inherited => continue,
            Some(_) => (Severity::Warn, format!("{called} has the privileges of {name} only after SET ROLE")),
            None if groups.contains(group) => {
                (Severity::Fail, format!("{called} is no member of {name} on the candidate: GRANT it"))
            }
            None => (
                Severity::Warn,
                format!("the candidate has no role {name}, of which {called} is a member on legacy"),
            ),
        };
        found.push(finding(&MEMBERSHIP_MISSING, name, role, message).weighing(severity));
    }
    let added = theirs.memberships.keys().filter(|group| !ours.memberships.contains_key(*group));
    for group in added.filter(|group| **group != role.legacy) {
        let name = shown(group);
        let message = format!("{called} is a member of {name} on the candidate, not on legacy");
        found.push(finding(&MEMBERSHIP_ADDED, name, role, message));
    }
}
