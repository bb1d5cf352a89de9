//! Two databases, a check between them, and what it must find.

use std::time::Duration;

use cutover::{
    api::{Check, Verdict},
    checks::{CheckReport, Finding},
    postgres::{ConnectOptions, Session, Target},
};

use crate::{
    asking::{ask, sides},
    postgres::{Database, Server},
};

/// A legacy database and a candidate one, each with an owner of its own name.
pub struct Pair {
    pub legacy: Database<'static>,
    pub candidate: Database<'static>,
}

impl Pair {
    pub async fn new() -> Self {
        let server = Server::shared();
        Self { legacy: server.database().await, candidate: server.database().await }
    }

    /// The same statements on both sides, then those of one side each; as the superuser. `{owner}` stands for the name
    /// of the side's owner, which is the name of the database, too.
    pub async fn of(both: &str, legacy: &str, candidate: &str) -> Self {
        let pair = Self::new().await;
        for (database, own) in [(&pair.legacy, legacy), (&pair.candidate, candidate)] {
            for statements in [both, own].into_iter().filter(|statements| !statements.is_empty()) {
                database.execute(&statements.replace("{owner}", &database.name)).await;
            }
        }
        pair
    }

    /// As the application would ask: logged in as the owners.
    pub async fn ask(&self, check: Check) -> CheckReport {
        ask(&check, &sides(self.legacy.target(), self.candidate.target())).await
    }
}

/// Sessions of an application of that name, held open until they are dropped.
pub async fn sessions(target: &Target, application: &str, count: usize) -> Vec<Session> {
    let options =
        ConnectOptions { purpose: "test", step_timeout: Duration::from_secs(30), byte_budget: 1 << 20 };
    let mut sessions = Vec::new();
    for _ in 0..count {
        let session = Session::connect(target, &options).await.expect("a session");
        let rename = format!("SET application_name = '{application}'");
        session.client().batch_execute(&rename).await.expect("another name");
        sessions.push(session);
    }
    sessions
}

/// The findings of a kind.
pub fn of_kind<'a>(report: &'a CheckReport, kind: &str) -> Vec<&'a Finding> {
    report.findings.iter().filter(|finding| finding.kind == kind).collect()
}

/// Exactly one finding of that kind, about that object; the only one with weight.
#[track_caller]
pub fn assert_only<'a>(report: &'a CheckReport, verdict: Verdict, kind: &str, object: &str) -> &'a Finding {
    let weighty: Vec<_> =
        report.findings.iter().filter(|f| f.severity != cutover::checks::Severity::Info).collect();
    assert_eq!(report.verdict, verdict, "{}", report.message);
    let [finding] = weighty.as_slice() else {
        panic!("not exactly one finding: {weighty:#?}");
    };
    assert_eq!((finding.kind.as_str(), finding.object.as_str()), (kind, object), "{finding:?}");
    finding
}
