//! What a role may do with each object.
//!
//! Decides on one pass over each side's catalog: every object with a bit for each privilege that the role effectively
//! has. Objects of extensions and of PostgreSQL itself are left out, as are those that one side alone has. Columns are
//! looked at where any column of their table has grants of its own.

use std::collections::HashMap;

use futures::TryStreamExt;
use tokio_postgres::types::Type;

use super::{Compared, FindingKind, Found, Reading, Trouble, about, finding, shown};
use crate::checks::reading::Parameter;

mod sql;

use sql::{Class, OWNER, RLS_BYPASSED as BYPASSES, RLS_ENABLED};

pub(super) const MISSING: FindingKind =
    FindingKind::fail("privilege-missing", "a statement that legacy carries out is refused (SQLSTATE 42501)");
pub(super) const OWNERSHIP: FindingKind = FindingKind::fail(
    "ownership-missing",
    "only an owner may ALTER, DROP or GRANT: migrations that the application runs are refused",
);
pub(super) const ADDED: FindingKind = FindingKind::info(
    "privilege-added",
    "the role may do more than on legacy: nothing fails, but nobody asked for it",
);
pub(super) const RLS_APPLIES: FindingKind = FindingKind::fail(
    "row-security-applies",
    "policies filter rows that the role sees on legacy: they are missing from answers, without an error",
);
pub(super) const RLS_BYPASSED: FindingKind = FindingKind::warn(
    "row-security-bypassed",
    "the role sees and changes rows that policies keep from it on legacy",
);

/// Most objects of a side.
const MAX_OBJECTS: usize = 300_000;

/// What a role may do with an object, by its kind and name.
type Granted = HashMap<(i16, String), Grant>;

struct Grant {
    bits: i32,
    /// A column's table.
    table: Option<String>,
}

/// Returns how many objects both sides have.
pub(super) async fn compare(
    role: &Compared,
    legacy: &Reading,
    candidate: &Reading,
    found: &mut Found<'_>,
) -> Result<usize, Trouble> {
    let [ours, theirs] = read_both(role, legacy, candidate).await?;
    let mut both = 0;
    for (class, name, bits) in paired(&ours, &theirs) {
        both += 1;
        judge(role, class, name, bits, found);
    }
    Ok(both)
}

/// Each object of which the role has less on the candidate, with what it lacks, in the order of their names.
pub(super) async fn lost(
    role: &Compared,
    legacy: &Reading,
    candidate: &Reading,
) -> Result<Vec<String>, Trouble> {
    let [ours, theirs] = read_both(role, legacy, candidate).await?;
    let mut lost: Vec<String> = paired(&ours, &theirs)
        .filter_map(|(class, name, (ours, theirs))| {
            let names = class.names(ours & !theirs).join(", ");
            (!names.is_empty()).then(|| format!("{names} on {}{}", class.prefix(), shown(name)))
        })
        .collect();
    lost.sort_unstable();
    Ok(lost)
}

/// The objects that both sides have, with the bits of each.
fn paired<'a>(
    ours: &'a Granted,
    theirs: &'a Granted,
) -> impl Iterator<Item = (Class, &'a String, (i32, i32))> {
    ours.iter().filter_map(|((class, name), ours)| {
        let class = Class::of(*class)?;
        Some((class, name, (ours.bits, granted(theirs, class, name, ours)?)))
    })
}

async fn read_both(role: &Compared, legacy: &Reading, candidate: &Reading) -> Result<[Granted; 2], Trouble> {
    let has_maintain = [legacy, candidate]
        .iter()
        .all(|reading| reading.session().facts().major_version().is_some_and(|major| major >= 17));
    let statement = sql::statement(has_maintain);
    let (ours, theirs) = tokio::try_join!(
        about("legacy", read(legacy, &statement, &role.legacy)),
        about("candidate", read(candidate, &statement, &role.candidate)),
    )?;
    Ok([ours, theirs])
}

async fn read(reading: &Reading, statement: &str, role: &str) -> Result<Granted, Trouble> {
    let unreadable = |_| Trouble::error("the server's answer about privileges can't be read");
    let parameters: [Parameter<'_>; 1] = [(&role, Type::TEXT)];
    let mut rows = reading.stream(statement, &parameters).await?;
    let mut granted = Granted::new();
    while let Some(row) = rows.try_next().await? {
        let key = (row.try_get(0).map_err(unreadable)?, row.try_get(1).map_err(unreadable)?);
        let bits = row.try_get(2).map_err(unreadable)?;
        granted.insert(key, Grant { bits, table: row.try_get(3).map_err(unreadable)? });
        if granted.len() > MAX_OBJECTS {
            return Err(Trouble::error(format!(
                "there are more than {MAX_OBJECTS} objects, too many to compare"
            )));
        }
    }
    Ok(granted)
}

/// A column without grants of its own has those of its table.
fn granted(theirs: &Granted, class: Class, name: &str, ours: &Grant) -> Option<i32> {
    let own = theirs.get(&(class as i16, name.to_owned()));
    let table = || theirs.get(&(Class::Table as i16, ours.table.clone()?));
    own.or_else(table).map(|grant| grant.bits)
}

fn judge(role: &Compared, class: Class, name: &str, (ours, theirs): (i32, i32), found: &mut Found<'_>) {
    let object = format!("{}{}", class.prefix(), shown(name));
    let called = &role.called;
    let names = |bits: i32| class.names(bits).join(", ");
    let lost = names(ours & !theirs);
    if !lost.is_empty() {
        let message = format!("{called} lacks {lost} on the candidate, which it has on legacy: GRANT it");
        found.push(finding(&MISSING, object.clone(), role, message).with("missing", lost));
    }
    if ours & !theirs & OWNER != 0 {
        let message = format!(
            "{called} does not own it on the candidate, as it does on legacy: ALTER … OWNER TO, or GRANT it the owner's role"
        );
        found.push(finding(&OWNERSHIP, object.clone(), role, message));
    }
    // A table's own grants say nothing about what columns have been granted instead.
    let gained = if class == Class::Column { String::new() } else { names(theirs & !ours) };
    if !gained.is_empty() {
        let message = format!("{called} has {gained} on the candidate, not on legacy");
        found.push(finding(&ADDED, object.clone(), role, message).with("added", gained));
    }
    let is_filtered = |bits| bits & RLS_ENABLED != 0 && bits & BYPASSES == 0;
    row_security(role, object, (is_filtered(ours), is_filtered(theirs)), found);
}

fn row_security(role: &Compared, object: String, filtered: (bool, bool), found: &mut Found<'_>) {
    let called = &role.called;
    match filtered {
        (false, true) => {
            let message = format!(
                "row security filters what {called} sees on the candidate, not on legacy: make it the owner, or give it \
                 BYPASSRLS"
            );
            found.push(finding(&RLS_APPLIES, object, role, message));
        }
        (true, false) => {
            let message = format!("row security filters what {called} sees on legacy, not on the candidate");
            found.push(finding(&RLS_BYPASSED, object, role, message));
        }
        _ => {}
    }
}
