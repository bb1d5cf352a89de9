//! What must be ready before the first arrival is due: connections that are ready for every statement, and empty books.
//!
//! Decides whose fault it is when a side can't be made ready. Never sends an arrival.

use futures::{StreamExt, TryStreamExt, future::try_join_all, stream};

use super::{NotRun, OPENING, seconds, warm_up};
use crate::{
    api::{Verdict, Via},
    load::{
        LoadSpec,
        books::Books,
        connection::{Connection, OpenError, Terms},
        duet::Arm,
        model::SharedModel,
        timeline::Timeline,
    },
    postgres::Target,
};

/// What must be ready before the first arrival is due.
pub(super) struct Prepared {
    /// Of all connections, also of those that are opened again.
    pub(super) terms: Terms,
    /// By lane.
    pub(super) connections: Vec<Vec<Connection>>,
    pub(super) books: Books,
    pub(super) timeline: Timeline,
}

impl Prepared {
    pub(super) async fn new(
        spec: &LoadSpec,
        sides: &[(Arm, &Target)],
        model: &SharedModel,
        via: Via,
    ) -> Result<Self, NotRun> {
        let terms = Terms::new(model, spec.statement_timeout, via);
        let warm_up = warm_up(spec, sides.len());
        let bug = |_| NotRun::error("the books could not be set up; this is a bug of cutover");
        let names: Vec<_> = model.classes.iter().map(|class| class.name.clone()).collect();
        let arms = sides.iter().map(|(arm, _)| *arm).collect();
        let timeline = Timeline::new(&names, arms, seconds(warm_up), seconds(spec.longest()));
        let timeline = timeline.map_err(|error| NotRun::error(error.to_string()))?;
        let books = Books::new(sides.len(), seconds(warm_up)).map_err(bug)?;
        let open = sides.iter().map(|(arm, target)| async move {
            let opened = open_all(spec, target, model, terms).await;
            opened.map_err(|not_run| about(sides, *arm, not_run.verdict, &not_run.message))
        });
        Ok(Self { terms, connections: try_join_all(open).await?, books, timeline })
    }
}

async fn open_all(
    spec: &LoadSpec,
    target: &Target,
    model: &SharedModel,
    terms: Terms,
) -> Result<Vec<Connection>, NotRun> {
    let wanted = spec.own_connections();
    let mut opened = Vec::with_capacity(wanted);
    let mut opening =
        stream::iter(0..wanted).map(|_| Connection::open(target, model, terms)).buffer_unordered(OPENING);
    loop {
        match opening.try_next().await {
            Ok(Some(connection)) => opened.push(connection),
            Ok(None) => return Ok(opened),
            Err(error) => return Err(not_opened(&error, opened.len(), wanted)),
        }
    }
}

fn not_opened(error: &OpenError, opened: usize, wanted: usize) -> NotRun {
    let message = match error {
        OpenError::Connect(_) => format!("{opened} of {wanted} connections could be opened: {error}"),
        _ => error.to_string(),
    };
    NotRun { verdict: error.verdict(), message }
}

/// A side's fault, told with its name where there are two. What legacy can't do is no fault of the candidate; that it can't just
/// now is none of anybody's.
pub(super) fn about(sides: &[(Arm, &Target)], arm: Arm, verdict: Verdict, message: &str) -> NotRun {
    match (sides.len(), arm) {
        (1, _) => NotRun { verdict, message: message.to_owned() },
        (_, Arm::Legacy) if verdict != Verdict::Inconclusive => NotRun::error(format!("legacy: {message}")),
        (_, Arm::Legacy) => NotRun { verdict, message: format!("legacy: {message}") },
        (_, Arm::Candidate) => NotRun { verdict, message: format!("candidate: {message}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::TlsSettings,
        postgres::{ConnectionUri, Roles},
    };

    #[test]
    fn a_fault_of_legacy_is_an_error_unless_it_may_be_over_in_a_while() {
        let uri = ConnectionUri::parse("postgresql://a@127.0.0.1/a").unwrap();
        let target = Target { uri, tls: TlsSettings::default(), ca_pem: None, roles: Roles::Ordinary };
        let sides = [(Arm::Legacy, &target), (Arm::Candidate, &target)];
        for (arm, verdict, expected) in [
            (Arm::Legacy, Verdict::Fail, Verdict::Error),
            (Arm::Legacy, Verdict::Inconclusive, Verdict::Inconclusive),
            (Arm::Candidate, Verdict::Fail, Verdict::Fail),
            (Arm::Candidate, Verdict::Inconclusive, Verdict::Inconclusive),
        ] {
            let told = about(&sides, arm, verdict, "why");
            assert_eq!((told.verdict, told.message), (expected, format!("{}: why", arm.name())));
        }
    }
}
