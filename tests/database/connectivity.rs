//! Each step of connecting fails for its own reason, and says so.

use std::time::Instant;

use cutover::{
    api::{Check, ConnectivityCheck, TlsMode, Verdict},
    checks::{self, CheckReport, Sides},
    postgres::Target,
};
use tokio::net::TcpListener;

use crate::{
    asking::{ask, sides},
    fake::{self, Behaviour},
    postgres::{STRANGER_CA, Server, tls},
};

fn check(timeout: &str, min_server_version: Option<i32>) -> Check {
    Check {
        name: "reachable".to_owned(),
        timeout: Some(timeout.to_owned()),
        connectivity: Some(ConnectivityCheck { min_server_version }),
        ..Check::default()
    }
}

async fn run(candidate: Target, check: Check) -> CheckReport {
    let result = ask(&check, &sides(candidate.clone(), candidate)).await;
    assert!(result.finished_at.is_some());
    result
}

async fn connectivity(candidate: Target) -> CheckReport {
    run(candidate, check("10s", None)).await
}

#[track_caller]
fn assert_fails(result: &CheckReport, parts: &[&str]) {
    assert_eq!(result.verdict, Verdict::Fail, "{}", result.message);
    for part in parts {
        assert!(result.message.contains(part), "{part:?} is not in {:?}", result.message);
    }
}

#[tokio::test]
async fn a_good_server_passes_with_version_encryption_and_round_trip_whatever_is_in_the_password() {
    let database = Server::shared().database().await;
    let result = connectivity(database.target()).await;
    assert_eq!(result.verdict, Verdict::Pass, "{}", result.message);
    let measured = result.measured.unwrap();
    for part in ["PostgreSQL 1", "TLSv1.3 verified", "round trip 0.", "(min of 5)", "(median)"] {
        assert!(measured.contains(part), "{measured}");
    }
    assert_eq!(result.samples, 5);
}

#[tokio::test]
async fn a_probe_asks_the_same_of_either_side() {
    let database = Server::shared().database().await;
    let result = checks::probe(&database.target(), "legacy").await;
    assert_eq!((result.verdict, result.name.as_str()), (Verdict::Pass, "legacy"));
}

#[tokio::test]
async fn a_host_name_that_does_not_resolve_fails_in_dns() {
    let mut database = Server::shared().database().await;
    database.host = "no-such-host.invalid".to_owned();
    assert_fails(&connectivity(database.target()).await, &["DNS failed", "does not resolve"]);
}

#[tokio::test]
async fn a_port_that_nothing_listens_on_fails_in_tcp() {
    let mut database = Server::shared().database().await;
    database.port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    assert_fails(&connectivity(database.target()).await, &["TCP failed", "refused"]);
}

#[tokio::test]
async fn a_certificate_of_an_unknown_ca_fails_in_tls() {
    let database = Server::shared().database().await;
    let target = Target { ca_pem: Some(STRANGER_CA.as_bytes().to_vec()), ..database.target() };
    assert_fails(&connectivity(target).await, &["TLS failed", "not signed by a trusted CA", "tls.caKey"]);
}

#[tokio::test]
async fn a_certificate_for_another_host_fails_in_tls() {
    let mut database = Server::shared().database().await;
    let relay = fake::relay("127.0.0.2", (database.host.clone(), database.port)).await;
    (database.host, database.port) = (relay.ip().to_string(), relay.port());
    assert_fails(&connectivity(database.target()).await, &["TLS failed", "another host name"]);
}

#[tokio::test]
async fn a_server_without_tls_fails_in_tls_unless_that_was_chosen() {
    let mut database = Server::shared().database().await;
    let server = fake::server(Behaviour::NoTls).await;
    database.port = server.port();
    assert_fails(&connectivity(database.target()).await, &["TLS failed", "does not offer TLS"]);
}

#[tokio::test]
async fn weaker_modes_connect_and_say_that_nothing_was_verified() {
    let database = Server::shared().database().await;
    let stranger = Some(STRANGER_CA.as_bytes().to_vec());
    let require = Target { tls: tls(TlsMode::Require), ca_pem: stranger, ..database.target() };
    let result = connectivity(require).await;
    assert!(result.measured.unwrap().contains("TLSv1.3 not verified"));
    let disable = Target { tls: tls(TlsMode::Disable), ..database.target() };
    let result = connectivity(disable).await;
    assert!(result.measured.unwrap().contains("no TLS"), "{}", result.message);
}

#[tokio::test]
async fn a_wrong_password_fails_in_authentication() {
    let database = Server::shared().database().await;
    let result = connectivity(database.target_with_password("canary of another mine")).await;
    assert_fails(&result, &["authentication failed", "28P01", "check the user and password"]);
    let result = connectivity(database.target_with_password("")).await;
    assert_fails(&result, &["authentication failed", "the connection URI has none"]);
}

#[tokio::test]
async fn a_superuser_is_refused_with_the_fix() {
    let result = connectivity(Server::shared().superuser()).await;
    assert_fails(&result, &["superuser", "use the application's own role"]);
}

#[tokio::test]
async fn a_role_that_reaches_the_servers_files_or_programs_is_refused_even_through_another_role() {
    for reaching in ["pg_read_server_files", "pg_write_server_files", "pg_execute_server_program"] {
        let database = Server::shared().database().await;
        let name = &database.name;
        let grant = format!(
            "CREATE ROLE {name}_middle NOINHERIT; GRANT {reaching} TO {name}_middle; GRANT {name}_middle TO {name}"
        );
        database.execute(&grant).await;
        assert_fails(&connectivity(database.target()).await, &[reaching, "use the application's own role"]);
    }
}

#[tokio::test]
async fn a_server_without_a_connection_left_fails_in_startup() {
    let database = Server::shared().database().await;
    database.execute(&format!("ALTER ROLE {} CONNECTION LIMIT 0", database.name)).await;
    assert_fails(&connectivity(database.target()).await, &["startup failed", "53300", "no connection left"]);
}

#[tokio::test]
async fn a_database_that_does_not_exist_fails_in_startup() {
    let database = Server::shared().database().await;
    Server::shared().execute("postgres", &format!("DROP DATABASE {}", database.name)).await;
    assert_fails(&connectivity(database.target()).await, &["startup failed", "3D000", "does not exist"]);
}

#[tokio::test]
async fn a_uri_that_insists_on_a_standby_is_not_served_by_a_primary() {
    let mut database = Server::shared().database().await;
    database.parameters = "?target_session_attrs=standby";
    assert_fails(&connectivity(database.target()).await, &["startup failed", "target_session_attrs"]);
    database.parameters = "?target_session_attrs=read-write";
    assert_eq!(connectivity(database.target()).await.verdict, Verdict::Pass);
}

#[tokio::test]
async fn an_older_server_than_demanded_fails() {
    let database = Server::shared().database().await;
    let result = run(database.target(), check("10s", Some(99))).await;
    assert_fails(&result, &["older than 99"]);
    assert_eq!(result.expected.as_deref(), Some("PostgreSQL 99 or later"));
    assert_eq!(run(database.target(), check("10s", Some(10))).await.verdict, Verdict::Pass);
}

#[tokio::test]
async fn a_silent_server_ends_in_a_verdict_that_names_the_step() {
    let mut database = Server::shared().database().await;
    database.port = fake::server(Behaviour::Silent).await.port();
    let started = Instant::now();
    let result = run(database.target(), check("1s", None)).await;
    assert!(started.elapsed().as_millis() < 1100);
    assert_fails(&result, &["TLS failed", "no answer within 800ms"]);
    let in_the_clear = Target { tls: tls(TlsMode::Disable), ..database.target() };
    let result = run(in_the_clear, check("1s", None)).await;
    assert_fails(&result, &["authentication failed", "no answer within 800ms"]);
}

#[tokio::test]
async fn a_server_that_sends_bytes_without_end_is_cut_off() {
    let mut database = Server::shared().database().await;
    database.port = fake::server(Behaviour::Endless).await.port();
    let target = Target { tls: tls(TlsMode::Disable), ..database.target() };
    assert_fails(
        &connectivity(target).await,
        &["authentication failed", "more data than a session may receive"],
    );
}

#[tokio::test]
async fn a_server_that_hangs_up_fails_in_the_step_that_it_hung_up_in() {
    let mut database = Server::shared().database().await;
    database.port = fake::server(Behaviour::HangUp).await.port();
    assert_fails(&connectivity(database.target()).await, &["TLS failed", "broke off the connection"]);
}

#[tokio::test]
async fn without_a_candidate_the_question_can_not_be_asked() {
    let database = Server::shared().database().await;
    let sides = Sides { candidate: None, ..sides(database.target(), database.target()) };
    let result = ask(&check("10s", None), &sides).await;
    assert_eq!(result.verdict, Verdict::Error);
    assert!(result.message.contains("spec.candidate"));
}
