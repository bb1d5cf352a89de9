//! Can the application's role do on the candidate all that it can do on legacy?
//!
//! Decides by what each side's server says that the role may do, however it came to it: by grants, by memberships, by
//! owning. Compared are the roles that the two connections work as, and those that the spec names. Only objects that
//! both sides have count: what is missing is the schema check's. Never tries a privilege out, and never reads a row.

use super::{
    Answer, Asking, Finding, FindingKind, Trouble,
    finding::{FINDINGS_MAX, Findings},
    reading::Reading,
    shown::shown,
};
use crate::api::{AcceptedFinding, PrivilegesCheck};

mod bodies;
mod objects;
mod role;

/// What it can find.
pub(super) const KINDS: &[FindingKind] = &[
    objects::MISSING,
    objects::OWNERSHIP,
    objects::ADDED,
    objects::RLS_APPLIES,
    objects::RLS_BYPASSED,
    role::ABSENT,
    role::ATTRIBUTE_MISSING,
    role::ATTRIBUTE_ADDED,
    role::LIMIT,
    role::EXPIRING,
    role::MEMBERSHIP_MISSING,
    role::MEMBERSHIP_ADDED,
    bodies::VIEW,
    bodies::DEFINER,
];

/// Most bytes of an answer: 300,000 objects with long names.
const BYTE_BUDGET: u64 = 64 << 20;

/// A role under its names on the two sides.
struct Compared {
    legacy: String,
    candidate: String,
    /// How messages call it.
    called: String,
}

/// What was found so far. There may be one for each object and role: only the heaviest are held.
struct Found<'a> {
    findings: Findings,
    accepted: &'a [AcceptedFinding],
}

impl Found<'_> {
    fn push(&mut self, finding: Finding) {
        self.findings.add(finding, self.accepted);
    }
}

pub(super) async fn ask(question: &PrivilegesCheck, asking: &Asking<'_>) -> Result<Answer, Trouble> {
    let candidate = asking.candidate()?;
    let (legacy, candidate) = tokio::join!(
        Reading::begin(asking, asking.legacy()?, BYTE_BUDGET),
        Reading::begin(asking, candidate, BYTE_BUDGET)
    );
    let legacy = legacy.map_err(|trouble| trouble.about("legacy"))?;
    let candidate = candidate.map_err(|trouble| trouble.about("candidate"))?;
    let roles = roles(question, &legacy, &candidate).await?;
    let mut found = Found { findings: Findings::default(), accepted: &asking.check.accept };
    let mut objects = 0;
    for (done, role) in (0_u64..).zip(&roles) {
        asking.progress.tell(role.called.clone(), done, roles.len() as u64);
        if role::compare(role, &legacy, &candidate, &mut found).await? {
            objects = objects.max(objects::compare(role, &legacy, &candidate, &mut found).await?);
        }
    }
    bodies::compare(&roles, &legacy, &candidate, &mut found).await?;
    tokio::join!(legacy.end(), candidate.end());
    let plural = if roles.len() == 1 { "" } else { "s" };
    found.findings.shrink(FINDINGS_MAX);
    let compared = format!("{} role{plural}, {objects} objects", roles.len());
    Ok(Answer::from_findings(found.findings, &compared))
}

/// The connections' own roles first. What counts is `current_user`: a role may have a `SET role` of its own.
async fn roles(
    question: &PrivilegesCheck,
    legacy: &Reading,
    candidate: &Reading,
) -> Result<Vec<Compared>, Trouble> {
    let (legacy, candidate) =
        tokio::try_join!(about("legacy", own_role(legacy)), about("candidate", own_role(candidate)))?;
    let mut roles = vec![Compared { legacy, candidate, called: "the connection's role".to_owned() }];
    for name in &question.roles {
        let is_known = roles.iter().any(|role| role.legacy == *name && role.candidate == *name);
        if !is_known {
            roles.push(Compared { legacy: name.clone(), candidate: name.clone(), called: shown(name) });
        }
    }
    Ok(roles)
}

async fn own_role(reading: &Reading) -> Result<String, Trouble> {
    let rows = reading.rows("SELECT current_user::text", &[]).await?;
    let name = rows.first().and_then(|row| row.try_get(0).ok());
    name.ok_or_else(|| Trouble::error("the server does not tell which role the connection works as"))
}

/// Trouble with a side names it.
async fn about<T>(side: &str, answer: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    answer.await.map_err(|trouble| trouble.about(side))
}

fn finding(kind: &FindingKind, object: String, role: &Compared, message: String) -> Finding {
    Finding::new(kind, object, message).with("role", role.called.clone())
}
