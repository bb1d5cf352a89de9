//! Can the database be reached, verified and logged in to, and how far away is it?
//!
//! Asks in the order DNS, TCP, TLS, authentication, startup, version, round trip; the verdict names the first that
//! failed. A server that has no connection left or is starting up fails too: the application would meet the same.
//! Never counts an unverified certificate as a fault: the spec chose it, and the rollout's condition says so.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::Answer;
use crate::{
    api::{ConnectivityCheck, Verdict},
    duration,
    postgres::{ConnectOptions, Fault, Session, Target},
};

/// Round trips that are measured. The minimum is the distance, the median is what to expect.
const ROUND_TRIPS: usize = 5;

pub(super) async fn ask(question: &ConnectivityCheck, target: &Target, options: ConnectOptions) -> Answer {
    let mut answer = match Session::connect(target, &options).await {
        Ok(session) => {
            let answer = examine(question, &session, options.step_timeout).await;
            session.close().await;
            answer
        }
        Err(error) => Answer::new(Verdict::Fail, error.to_string()),
    };
    answer.expected = question.min_server_version.map(|version| format!("PostgreSQL {version} or later"));
    answer
}

async fn examine(question: &ConnectivityCheck, session: &Session, patience: Duration) -> Answer {
    let round_trips = match timeout(patience, measure(session)).await {
        Ok(Ok(round_trips)) => round_trips,
        Ok(Err(fault)) => {
            return Answer::new(Verdict::Fail, format!("logged in, but SELECT 1 failed: {fault}"));
        }
        Err(_) => {
            let limit = duration::format(patience);
            return Answer::new(
                Verdict::Fail,
                format!("logged in, but SELECT 1 had no answer within {limit}"),
            );
        }
    };
    let facts = session.facts();
    let version = if facts.version.is_empty() { "of unknown version" } else { &facts.version };
    let measured = format!("PostgreSQL {version}, {}, {}", facts.tls, describe(&round_trips));
    let (verdict, message) = match (question.min_server_version, facts.major_version()) {
        (Some(wanted), Some(major)) if major < wanted => {
            (Verdict::Fail, format!("the server is PostgreSQL {version}, which is older than {wanted}"))
        }
        (Some(wanted), None) => {
            (Verdict::Fail, format!("the server does not say its version, which must be {wanted} or later"))
        }
        _ => (Verdict::Pass, measured.clone()),
    };
    let samples = i64::try_from(round_trips.len()).unwrap_or(0);
    Answer { verdict, message, measured: Some(measured), samples, ..Answer::default() }
}

/// The round trips, fastest first.
async fn measure(session: &Session) -> Result<Vec<Duration>, Fault> {
    let mut round_trips = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let started = Instant::now();
        session.client().simple_query("SELECT 1").await.map_err(|error| session.explain(&error))?;
        round_trips.push(started.elapsed());
    }
    round_trips.sort_unstable();
    Ok(round_trips)
}

fn describe(sorted: &[Duration]) -> String {
    let (Some(min), Some(median)) = (sorted.first(), sorted.get(sorted.len() / 2)) else {
        return "no round trip".to_owned();
    };
    format!("round trip {} (min of {}), {} (median)", milliseconds(*min), sorted.len(), milliseconds(*median))
}

/// Hundredths of a millisecond: what a round trip within a data centre differs by.
fn milliseconds(duration: Duration) -> String {
    let hundredths = duration.as_micros() / 10;
    format!("{}.{:02} ms", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_are_described_by_minimum_and_median() {
        let sorted = [310, 330, 405, 500, 9_000].map(Duration::from_micros);
        assert_eq!(describe(&sorted), "round trip 0.31 ms (min of 5), 0.40 ms (median)");
        assert_eq!(milliseconds(Duration::from_millis(12)), "12.00 ms");
    }
}
