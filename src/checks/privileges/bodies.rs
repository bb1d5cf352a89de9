//! What runs as its owner: the queries of views, and `SECURITY DEFINER` functions.
//!
//! Decides whether the owner may still do what the body needs. Of a view the catalogs tell which columns its query reads.
//! Of a function they don't: its owner is held against legacy's, privilege by privilege. Never runs a body.

use std::collections::{BTreeMap, HashMap};

use futures::TryStreamExt;

use super::{Compared, FindingKind, Found, Reading, Trouble, about, objects, shown};
use crate::checks::Finding;

pub(super) const VIEW: FindingKind = FindingKind::fail(
    "view-owner-lacks-privilege",
    "reading the view, or refreshing it, is refused whoever asks: its owner may not read what its query does",
);
pub(super) const DEFINER: FindingKind = FindingKind::warn(
    "definer-lacks-privilege",
    "a SECURITY DEFINER function runs as its owner, who may do less than on legacy; only a run of it shows whether it needs that",
);

/// Most owners of functions that are held against legacy's, each by a pass over the catalogs.
const OWNERS_MAX: usize = 20;
/// Objects that a message names.
const NAMED_MAX: usize = 5;

/// Views with what their owners may not read of it, and functions; both with their owners. A view with `security_invoker`
/// runs as who asks.
const STATEMENT: &str = "\
WITH ext AS MATERIALIZED (SELECT e.classid, e.objid FROM pg_depend e WHERE e.deptype = 'e'),
ns AS MATERIALIZED (SELECT n.oid, n.nspname FROM pg_namespace n
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname !~ '^pg_(toast_)?temp_')
SELECT format('%I.%I', n.nspname, c.relname), pg_get_userbyid(c.relowner)::text, coalesce((
    SELECT string_agg(DISTINCT format('%I.%I', un.nspname, u.relname), ', ')
    FROM pg_rewrite w
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class u ON u.oid = d.refobjid AND u.oid <> c.oid AND u.relkind IN ('r', 'p', 'v', 'm', 'f')
    JOIN pg_namespace un ON un.oid = u.relnamespace
    WHERE w.ev_class = c.oid AND w.ev_type = '1' AND NOT CASE WHEN d.refobjsubid > 0
      THEN has_column_privilege(c.relowner, u.oid, d.refobjsubid::int2, 'SELECT')
      ELSE has_any_column_privilege(c.relowner, u.oid, 'SELECT') END), ''), false
FROM pg_class c JOIN ns n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm')
  AND NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_class'::regclass AND ext.objid = c.oid)
  AND NOT EXISTS (SELECT FROM pg_options_to_table(c.reloptions) o
    WHERE o.option_name = 'security_invoker' AND o.option_value::bool)
UNION ALL
SELECT format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)), pg_get_userbyid(p.proowner)::text, '', true
FROM pg_proc p JOIN ns n ON n.oid = p.pronamespace
WHERE p.prosecdef AND NOT EXISTS (SELECT FROM ext WHERE ext.classid = 'pg_proc'::regclass AND ext.objid = p.oid)";

/// A view or function of one side.
struct Body {
    owner: String,
    /// Relations that the owner of a view may not read.
    unreadable: String,
    is_function: bool,
}

/// By name; a function's ends with its arguments.
type Bodies = HashMap<String, Body>;

/// Compares what both sides have. The roles in `compared` have been held against each other already.
pub(super) async fn compare(
    compared: &[Compared],
    legacy: &Reading,
    candidate: &Reading,
    found: &mut Found<'_>,
) -> Result<(), Trouble> {
    let (ours, theirs) =
        tokio::try_join!(about("legacy", read(legacy)), about("candidate", read(candidate)))?;
    let mut functions: BTreeMap<(String, String), Vec<&String>> = BTreeMap::new();
    for (name, new) in &theirs {
        let Some(old) = ours.get(name).filter(|old| old.is_function == new.is_function) else { continue };
        if new.is_function {
            functions.entry((old.owner.clone(), new.owner.clone())).or_default().push(name);
        } else if !new.unreadable.is_empty() && old.unreadable.is_empty() {
            let unreadable = shown(&new.unreadable);
            let message =
                format!("its owner on the candidate, {}, may not read {unreadable}", shown(&new.owner));
            found.push(Finding::new(&VIEW, shown(name), message).with("unreadable", unreadable));
        }
    }
    functions
        .retain(|(old, new), _| !compared.iter().any(|role| role.legacy == *old && role.candidate == *new));
    for (done, ((old, new), mut names)) in functions.into_iter().enumerate() {
        names.sort_unstable();
        let role = Compared { called: shown(&new), legacy: old, candidate: new };
        let lacks = if done < OWNERS_MAX {
            let lost = objects::lost(&role, legacy, candidate).await?;
            if lost.is_empty() {
                continue;
            }
            lacking(&lost)
        } else {
            "was not looked at: there are too many owners".to_owned()
        };
        for name in names {
            let message = format!("its owner on the candidate, {}, {lacks}", role.called);
            found.push(Finding::new(&DEFINER, format!("function {}", shown(name)), message));
        }
    }
    Ok(())
}

fn lacking(lost: &[String]) -> String {
    let named = lost.get(..NAMED_MAX).unwrap_or(lost).join("; ");
    let more = lost.len().saturating_sub(NAMED_MAX);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("lacks what legacy's has: {named}{rest}")
}

async fn read(reading: &Reading) -> Result<Bodies, Trouble> {
    let unreadable = |_| Trouble::error("the server's answer about views and functions can't be read");
    let mut rows = reading.stream(STATEMENT, &[]).await?;
    let mut bodies = Bodies::new();
    while let Some(row) = rows.try_next().await? {
        let body = Body {
            owner: row.try_get(1).map_err(unreadable)?,
            unreadable: row.try_get(2).map_err(unreadable)?,
            is_function: row.try_get(3).map_err(unreadable)?,
        };
        bodies.insert(row.try_get(0).map_err(unreadable)?, body);
    }
    Ok(bodies)
}
