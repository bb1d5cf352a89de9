//! Has the application let go of legacy?
//!
//! Two places tell: the sessions on the legacy server, and what in the namespace refers to the Secret of its
//! connection. Whoever took legacy away with one of them left would break something. cutover's own sessions, its
//! preserved copy and the rollout itself do not count. Never shows a statement, nor ends a session.

use tokio_postgres::Row;

use super::{Answer, Asking, Finding, FindingKind, SecretReferences, Trouble, reading::Reading, shown};

/// Groups of sessions that are told apart.
const GROUPS_MAX: i64 = 200;
/// Bytes that the server may answer with.
const BYTE_BUDGET: u64 = 1 << 20;

const SESSION_LEFT: FindingKind = FindingKind::fail(
    "session-left",
    "the application still holds a session on legacy, and may read or write there",
);
const SECRET_REFERENCED: FindingKind = FindingKind::fail(
    "secret-referenced",
    "it still reads the legacy connection: without the Secret its pods do not start",
);
const SESSION_OF_ANOTHER_ROLE: FindingKind = FindingKind::warn(
    "session-of-another-role",
    "somebody else is connected to the legacy database, and what they do there may not be seen",
);
const REFERENCES_NOT_ASKED: FindingKind = FindingKind::warn(
    "references-not-asked",
    "without a cluster nobody looks for what refers to the legacy Secret",
);

/// What it can find.
pub(super) const KINDS: &[FindingKind] =
    &[SESSION_LEFT, SECRET_REFERENCED, SESSION_OF_ANOTHER_ROLE, REFERENCES_NOT_ASKED];

/// What every role may see of another's session: role and application. State and address are null then.
const SESSIONS: &str = "SELECT usename = session_user, usename::text, application_name, \
    coalesce(host(client_addr), CASE WHEN usename = session_user THEN 'a socket' END), state, count(*), \
    to_char(min(backend_start), 'YYYY-MM-DD HH24:MI:SS'), to_char(max(state_change), 'YYYY-MM-DD HH24:MI:SS') \
    FROM pg_stat_activity WHERE datname = current_database() AND usename IS NOT NULL AND pid <> pg_backend_pid() \
    AND application_name NOT LIKE 'cutover/%' AND (backend_type IS NULL OR backend_type = 'client backend') \
    GROUP BY 1, 2, 3, 4, 5 ORDER BY 1 DESC, 6 DESC, 2, 3, 4, 5 LIMIT $1";

pub(super) async fn ask(
    _question: &crate::api::LegacyUnusedCheck,
    asking: &Asking<'_>,
) -> Result<Answer, Trouble> {
    if asking.sides.candidate.is_none() {
        return Err(Trouble::error(
            "without a candidate legacy is the database that the application stays on",
        ));
    }
    let (sessions, references) = tokio::join!(sessions(asking), asking.sides.cluster.legacy_references());
    let mut found = sessions?;
    let is_in_use = found.iter().any(|finding| finding.kind == SESSION_LEFT.name);
    let looked_at = match references {
        Ok(Some(references)) => {
            found.extend(references.found.iter().map(|place| referenced(&references, place)));
            format!("sessions on legacy, {} objects of the namespace", references.looked_at)
        }
        Ok(None) => {
            let message = "there is no cluster to look at from here; ask within a rollout";
            found.push(Finding::new(&REFERENCES_NOT_ASKED, "legacy", message));
            "sessions on legacy".to_owned()
        }
        // Sessions fail it in any case, and tell more than that the rest could not be seen.
        Err(_) if is_in_use => "sessions on legacy; the namespace could not be seen".to_owned(),
        Err(why) => {
            return Err(Trouble::error(format!("references to the legacy Secret can't be seen: {why}")));
        }
    };
    Ok(asking.conclude(found, &looked_at))
}

async fn sessions(asking: &Asking<'_>) -> Result<Vec<Finding>, Trouble> {
    let about = |trouble: Trouble| trouble.about("legacy");
    let reading = Reading::begin(asking, asking.legacy()?, BYTE_BUDGET).await.map_err(about)?;
    let limit =
        (&GROUPS_MAX as &(dyn tokio_postgres::types::ToSql + Sync), tokio_postgres::types::Type::INT8);
    let rows = reading.rows(SESSIONS, &[limit]).await.map_err(about)?;
    let is_direct = reading.session().facts().is_direct();
    reading.end().await;
    rows.iter().map(|row| group(row, is_direct).ok_or_else(unreadable)).collect()
}

fn unreadable() -> Trouble {
    Trouble::error("legacy: the server's answer about its sessions can't be read")
}

/// Sessions that are alike.
fn group(row: &Row, is_direct: bool) -> Option<Finding> {
    // A server may be hostile in any of these.
    let text = |index: usize| row.try_get::<_, Option<&str>>(index).ok().flatten().map(shown::name);
    let is_own: bool = row.try_get(0).ok()?;
    let role = text(1)?;
    let application = text(2).filter(|name| !name.is_empty());
    let count: i64 = row.try_get(5).ok()?;
    let sessions = if count == 1 { "1 session".to_owned() } else { format!("{count} sessions") };
    let object = application.unwrap_or_else(|| "(no application_name)".to_owned());
    if !is_own {
        let message =
            format!("role {role} has {sessions} in the legacy database; whose they are can't be told");
        return Some(Finding::new(&SESSION_OF_ANOTHER_ROLE, object, message).with("sessions", count));
    }
    let state = text(4).unwrap_or_else(|| "unknown".to_owned());
    let (client, since) = (text(3).unwrap_or_default(), text(6).unwrap_or_default());
    let changed = text(7).unwrap_or_default();
    let hint =
        if is_direct { "" } else { " (through a pooler: it may keep them open until server_idle_timeout)" };
    let message = format!("{sessions} from {client}, {state}, the oldest since {since} UTC{hint}");
    let finding = Finding::new(&SESSION_LEFT, object, message)
        .with("sessions", count)
        .with("client", client)
        .with("state", state)
        .with("since", since)
        .with("stateChanged", changed);
    Some(finding)
}

fn referenced(references: &SecretReferences, (object, places): &(String, String)) -> Finding {
    let message = format!("it refers to Secret/{} in {places}", references.secret);
    Finding::new(&SECRET_REFERENCED, object.as_str(), message)
}
