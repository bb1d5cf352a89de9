//! A candidate with subscriptions: are they to legacy, running and healthy?

use tokio_postgres::types::Type;

use super::{
    APPLY_ERRORS, APPLY_STOPPED, Both, Bounds, Found, NOT_REPLICATED, PARTLY_PUBLISHED, PUBLICATION_MISSING,
    SLOT_MISSING, SUBSCRIPTION_DISABLED,
    lag::{self, Follower, Lag},
    slot::{self, Slot},
    tables, unexpected,
};
use crate::checks::{Asking, Finding, Severity, Trouble, shown};

/// Most subscriptions of a database that are looked at.
const MAX_SUBSCRIPTIONS: usize = 1000;

/// A subscription in the candidate's database.
struct Subscription {
    name: String,
    is_enabled: bool,
    slot: Option<String>,
    publications: Vec<String>,
    has_worker: bool,
    /// Since the statistics were reset; `None` before PostgreSQL 15, which does not count them.
    errors: Option<i64>,
}

/// A publication of legacy, and the kinds of changes that it leaves out.
struct Publication {
    name: String,
    left_out: Vec<&'static str>,
}

pub(super) async fn ask(both: &Both, bounds: &Bounds, asking: &Asking<'_>) -> Result<Found, Trouble> {
    let subscriptions = subscriptions(both).await?;
    let slot_names: Vec<String> = subscriptions.iter().filter_map(|s| s.slot.clone()).collect();
    let publication_names: Vec<String> = subscriptions.iter().flat_map(|s| s.publications.clone()).collect();
    let slots = slot::find(both, &slot_names).await?;
    let publications = publications(both, &publication_names).await?;
    // Others may be to other servers, and are nobody's business here.
    let is_to_legacy = |subscription: &&Subscription| {
        subscription.slot.as_ref().is_some_and(|name| slots.iter().any(|slot| slot.name == *name))
            || subscription.publications.iter().any(|name| publications.iter().any(|p| p.name == *name))
    };
    let ours: Vec<&Subscription> = subscriptions.iter().filter(is_to_legacy).collect();
    if ours.is_empty() {
        return Ok(not_replicated(subscriptions.len()));
    }
    let lag = follow(&ours, &slots, both, bounds, asking).await?;
    let mut findings: Vec<Finding> =
        ours.iter().flat_map(|s| judge(s, &slots, &publications, lag.is_caught_up)).collect();
    findings.extend(slots.iter().flat_map(|slot| slot.judge(bounds)));
    findings.extend(publications.iter().filter_map(partial));
    let subscribed: Vec<String> = ours.iter().flat_map(|s| s.publications.clone()).collect();
    let tables = tables::ask(both, &subscribed).await?;
    findings.extend(tables.findings);
    findings.extend(lag.findings);
    Ok(Found { findings, compared: format!("logical replication of {}, {}", tables.compared, lag.told) })
}

fn not_replicated(others: usize) -> Found {
    let message = match others {
        0 => "the candidate is no standby, and its database has no subscription".to_owned(),
        _ => format!(
            "none of the {others} subscriptions of the candidate's database has its slot or a publication on legacy"
        ),
    };
    let findings = vec![Finding::new(&NOT_REPLICATED, "candidate", message)];
    Found { findings, compared: "no replication".to_owned() }
}

/// The lag of the slot that is furthest behind.
async fn follow(
    ours: &[&Subscription],
    slots: &[Slot],
    both: &Both,
    bounds: &Bounds,
    asking: &Asking<'_>,
) -> Result<Lag, Trouble> {
    let mut names = Vec::new();
    for subscription in ours {
        let slot = slots.iter().find(|slot| Some(&slot.name) == subscription.slot.as_ref());
        match slot {
            None => {
                return Ok(Lag::unknown(
                    &shown::name(&subscription.name),
                    "legacy does not have the subscription's slot",
                ));
            }
            Some(slot) if slot.is_lost() => {
                return Ok(Lag::unknown(&shown::name(&subscription.name), "its slot is lost"));
            }
            Some(slot) => names.push(slot.name.clone()),
        }
    }
    let object = ours.iter().map(|s| shown::name(&s.name)).collect::<Vec<_>>().join(", ");
    lag::measure(&Follower::Slots(names), &object, both, bounds, asking).await
}

fn judge(
    subscription: &Subscription,
    slots: &[Slot],
    publications: &[Publication],
    is_caught_up: bool,
) -> Vec<Finding> {
    let object = shown::name(&subscription.name);
    let mut findings = Vec::new();
    let mut find = |kind, message: String| findings.push(Finding::new(kind, object.clone(), message));
    if !subscription.is_enabled {
        find(&SUBSCRIPTION_DISABLED, "the subscription is disabled: ALTER SUBSCRIPTION … ENABLE".to_owned());
    } else if !subscription.has_worker {
        find(
            &APPLY_STOPPED,
            "the subscription is enabled, but no apply worker runs: the candidate's log says why".to_owned(),
        );
    }
    match &subscription.slot {
        None => find(&SLOT_MISSING, "the subscription has no slot (slot_name = NONE)".to_owned()),
        Some(name) if !slots.iter().any(|slot| slot.name == *name) => {
            find(&SLOT_MISSING, format!("legacy's database has no slot {}", shown::name(name)));
        }
        Some(_) => {}
    }
    for name in &subscription.publications {
        if !publications.iter().any(|publication| publication.name == *name) {
            find(&PUBLICATION_MISSING, format!("legacy has no publication {}", shown::name(name)));
        }
    }
    if let Some(errors) = subscription.errors.filter(|errors| *errors > 0) {
        let (state, severity) = if is_caught_up {
            ("; the candidate has caught up since", Severity::Warn)
        } else {
            (": the candidate's log says which", Severity::Fail)
        };
        let message = format!("{errors} errors while applying or copying{state}");
        findings.push(
            Finding::new(&APPLY_ERRORS, object.clone(), message).weighing(severity).with("errors", errors),
        );
    }
    findings
}

fn partial(publication: &Publication) -> Option<Finding> {
    (!publication.left_out.is_empty()).then(|| {
        let message = format!("the publication leaves out {}", publication.left_out.join(", "));
        Finding::new(&PARTLY_PUBLISHED, shown::name(&publication.name), message)
    })
}

async fn subscriptions(both: &Both) -> Result<Vec<Subscription>, Trouble> {
    let major = both.candidate.session().facts().major_version().unwrap_or(0);
    // Ordinary roles may not read pg_subscription.oid before PostgreSQL 14.
    let same = if major >= 14 { "st.subid = s.oid" } else { "st.subname = s.subname" };
    let errors = if major >= 15 {
        "(SELECT e.apply_error_count + e.sync_error_count FROM pg_stat_subscription_stats e WHERE e.subid = s.oid)"
    } else {
        "NULL::int8"
    };
    let statement = format!(
        "SELECT s.subname::text, s.subenabled, s.subslotname::text, s.subpublications::text[], \
         EXISTS (SELECT FROM pg_stat_subscription st WHERE {same} AND st.pid IS NOT NULL AND st.relid IS NULL), {errors} \
         FROM pg_subscription s WHERE s.subdbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) \
         ORDER BY 1 LIMIT {}",
        MAX_SUBSCRIPTIONS + 1
    );
    let rows = both.candidate.rows(&statement, &[]).await?;
    if rows.len() > MAX_SUBSCRIPTIONS {
        return Err(Trouble::error(format!("the candidate has more than {MAX_SUBSCRIPTIONS} subscriptions")));
    }
    let subscription = |row: &tokio_postgres::Row| -> Result<Subscription, tokio_postgres::Error> {
        Ok(Subscription {
            name: row.try_get(0)?,
            is_enabled: row.try_get(1)?,
            slot: row.try_get(2)?,
            publications: row.try_get(3)?,
            has_worker: row.try_get(4)?,
            errors: row.try_get(5)?,
        })
    };
    rows.iter().map(subscription).collect::<Result<_, _>>().map_err(|_| unexpected())
}

async fn publications(both: &Both, names: &Vec<String>) -> Result<Vec<Publication>, Trouble> {
    let statement = "SELECT pubname::text, pubinsert, pubupdate, pubdelete, pubtruncate FROM pg_publication \
         WHERE pubname::text = ANY ($1) ORDER BY 1";
    let rows = both.legacy.rows(statement, &[(names, Type::TEXT_ARRAY)]).await?;
    let publication = |row: &tokio_postgres::Row| -> Result<Publication, tokio_postgres::Error> {
        let mut left_out = Vec::new();
        for (index, kind) in ["INSERT", "UPDATE", "DELETE", "TRUNCATE"].into_iter().enumerate() {
            if !row.try_get::<_, bool>(index + 1)? {
                left_out.push(kind);
            }
        }
        Ok(Publication { name: row.try_get(0)?, left_out })
    };
    rows.iter().map(publication).collect::<Result<_, _>>().map_err(|_| unexpected())
}
