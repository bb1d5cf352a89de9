//! Servers that are not what they should be.

use super::*;
use crate::{
    asking::{ask, sides},
    fake::{self, Behaviour},
    postgres::tls,
};

async fn against(behaviour: Behaviour) -> CheckReport {
    let pair = owned("CREATE TABLE t (id int PRIMARY KEY)", "", "").await;
    let address = fake::server(behaviour).await;
    let mut candidate = pair.candidate.target();
    let uri = format!("postgresql://x:canary@{}:{}/x", address.ip(), address.port());
    candidate.uri = cutover::postgres::ConnectionUri::parse(&uri).unwrap();
    candidate.tls = tls(cutover::api::TlsMode::Disable);
    let short = Check { timeout: Some("5s".to_owned()), ..check(full()) };
    ask(&short, &sides(pair.legacy.target(), candidate)).await
}

#[tokio::test]
async fn a_server_that_does_not_answer_as_one_should_is_an_error_within_the_timeout() {
    for behaviour in [Behaviour::Silent, Behaviour::Endless, Behaviour::HangUp, Behaviour::NoTls] {
        let report = against(behaviour).await;
        assert_eq!(report.verdict, Verdict::Error, "{}", report.message);
        assert!(report.message.starts_with("candidate: "), "{}", report.message);
        assert!(report.duration_ms < 6000, "{}", report.duration_ms);
    }
}

#[tokio::test]
async fn a_server_without_a_connection_left_is_an_error_with_its_reason() {
    let pair = owned("CREATE TABLE t (id int PRIMARY KEY)", "", "").await;
    let limit = format!("ALTER ROLE {} CONNECTION LIMIT 0", pair.candidate.name);
    pair.candidate.execute(&limit).await;
    let report = pair.ask(check(full())).await;
    assert_eq!(report.verdict, Verdict::Error, "{}", report.message);
    assert!(report.message.contains("53300"), "{}", report.message);
}

#[tokio::test]
async fn a_server_with_only_one_connection_left_is_compared_with_it() {
    let table = "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 50000);
        CREATE TABLE u (id int PRIMARY KEY);";
    let pair = owned(table, "", "DELETE FROM t WHERE id = 4").await;
    pair.candidate.execute(&format!("ALTER ROLE {} CONNECTION LIMIT 1", pair.candidate.name)).await;
    let report = pair.ask(check(full())).await;
    let finding = assert_only(&report, Verdict::Fail, "rows-missing", "public.t");
    assert_eq!(keys(finding), ["4"]);
}
