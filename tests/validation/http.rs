//! `http`: what counts as an answer, and servers that do everything but answer.

use cutover::{
    api::{Check, HttpCheck, Verdict},
    checks::{self, CheckReport},
};

use crate::{
    fake::{self, Behaviour},
    http_server::{Act, HttpServer},
    postgres::assert_shows_no_secret,
};

/// What must never be shown.
const BODY: &str = "all is well, says canary";

async fn ask(question: HttpCheck) -> CheckReport {
    ask_for("20s", question).await
}

async fn ask_for(timeout: &str, question: HttpCheck) -> CheckReport {
    let check = Check {
        name: "health".to_owned(),
        timeout: Some(timeout.to_owned()),
        http: Some(question),
        ..Check::default()
    };
    let report = checks::run_without_sides(&check).await;
    assert_shows_no_secret(&report);
    assert!(report.findings.is_empty());
    report
}

fn get(server: &HttpServer) -> HttpCheck {
    HttpCheck { url: server.url("/healthz?token=canary"), ..HttpCheck::default() }
}

async fn of(act: Act) -> CheckReport {
    ask(get(&HttpServer::that(act).await)).await
}

/// Against a server that would never come to an end.
async fn of_for_ever(act: Act) -> CheckReport {
    let server = HttpServer::that(act).await;
    ask_for("2s", get(&server)).await
}

#[track_caller]
fn assert_told(report: &CheckReport, verdict: Verdict, parts: &[&str]) {
    assert_eq!(report.verdict, verdict, "{}", report.message);
    for part in parts {
        assert!(report.message.contains(part), "{part:?} is not in {:?}", report.message);
    }
}

#[tokio::test]
async fn any_2xx_passes_with_the_time_it_took() {
    let server = HttpServer::that(Act::answer(204, "")).await;
    let report = ask(get(&server)).await;
    assert_told(&report, Verdict::Pass, &["/healthz answers 204 in ", " ms"]);
    assert_eq!(report.expected.as_deref(), Some("status 200 to 299"));
    assert!(report.measured.unwrap().starts_with("status 204 in "));
    assert_eq!((report.check.as_str(), report.samples), ("http", 1));
    let requests = server.requests();
    let request = requests[0].to_lowercase();
    assert!(request.starts_with("get /healthz?token=canary http/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("host: {}\r\n", server.address)), "{request}");
    assert!(!request.contains("authorization"), "{request}");
}

#[tokio::test]
async fn another_status_fails_with_both() {
    assert_told(&of(Act::answer(503, BODY)).await, Verdict::Fail, &["answers 503", "not status 200 to 299"]);
    let server = HttpServer::that(Act::answer(200, BODY)).await;
    let report = ask(HttpCheck { status: Some(204), ..get(&server) }).await;
    assert_told(&report, Verdict::Fail, &["answers 200", "not status 204"]);
    let server = HttpServer::that(Act::answer(418, BODY)).await;
    let report = ask(HttpCheck { status: Some(418), ..get(&server) }).await;
    assert_told(&report, Verdict::Pass, &["answers 418"]);
}

#[tokio::test]
async fn the_text_that_is_asked_for_must_be_in_the_body_which_is_not_shown() {
    let server = HttpServer::that(Act::answer(200, BODY)).await;
    let report = ask(HttpCheck { contains: Some("is well".to_owned()), ..get(&server) }).await;
    assert_told(&report, Verdict::Pass, &["answers 200"]);
    let report = ask(HttpCheck { contains: Some("is ill".to_owned()), ..get(&server) }).await;
    assert_told(&report, Verdict::Fail, &["its body of 24 bytes does not hold the text of `contains`"]);
    assert_eq!(report.expected.as_deref(), Some("status 200 to 299, with the text of `contains`"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = HttpServer::that(Act::Send(
        b"HTTP/1.1 302 Found\r\nLocation: /canary\r\nContent-Length: 0\r\n\r\n".to_vec(),
    ))
    .await;
    let report = ask(get(&server)).await;
    assert_told(&report, Verdict::Fail, &["answers 302", "a redirect, which is not followed"]);
    assert_eq!(server.requests().len(), 1);
    let report = ask(HttpCheck { status: Some(302), ..get(&server) }).await;
    assert_told(&report, Verdict::Pass, &["answers 302"]);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_an_error_in_time() {
    let report = of_for_ever(Act::Silent).await;
    assert_told(&report, Verdict::Error, &["connected, but no answer came within 1s800ms"]);
}

#[tokio::test]
async fn a_server_that_sends_one_byte_a_second_is_an_error_in_time() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".to_vec();
    let report = of_for_ever(Act::Drip(head)).await;
    assert_told(&report, Verdict::Error, &["answers 200", "did not end", "within 1s800ms"]);
    let report = of_for_ever(Act::Drip(b"HTTP/1.1 200 OK\r\nX-Slow: ".to_vec())).await;
    assert_told(&report, Verdict::Error, &["no answer came within 1s800ms"]);
}

#[tokio::test]
async fn a_server_that_only_ever_promises_an_answer_is_an_error_in_time() {
    let promise = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
    let report = of_for_ever(Act::SendForEver(Vec::new(), promise)).await;
    assert_told(&report, Verdict::Error, &["no answer"]);
}

#[tokio::test]
async fn a_server_that_hangs_up_fails() {
    for nothing in [&b""[..], b"HTTP/1.1 20"] {
        let report = of(Act::Send(nothing.to_vec())).await;
        assert_told(&report, Verdict::Fail, &["closed before there was an answer"]);
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_fails() {
    let short = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncanary".to_vec();
    assert_told(&of(Act::Send(short)).await, Verdict::Fail, &["answers 200", "broke off after 6 bytes"]);
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\ncanary\r\n".to_vec();
    assert_told(&of(Act::Send(chunked)).await, Verdict::Fail, &["answers 200", "broke off"]);
}

#[tokio::test]
async fn an_answer_without_an_end_fails_after_a_mebibyte() {
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let report = of(Act::SendForEver(head, vec![b'x'; 1 << 16])).await;
    assert_told(&report, Verdict::Fail, &["its body is larger than 1024 KiB"]);
    let announced = b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n".to_vec();
    let report = of(Act::SendForEver(announced, vec![b'x'; 1 << 16])).await;
    assert_eq!(report.verdict, Verdict::Fail, "{}", report.message);
}

#[tokio::test]
async fn a_body_of_exactly_a_mebibyte_is_read() {
    let body = "x".repeat(1 << 20);
    let server = HttpServer::that(Act::answer(200, &body)).await;
    assert_told(&ask(get(&server)).await, Verdict::Pass, &["answers 200"]);
}

#[tokio::test]
async fn headers_without_an_end_fail() {
    let head = b"HTTP/1.1 200 OK\r\n".to_vec();
    let one = HttpServer::that(Act::SendForEver(head.clone(), b"X: canary\r\n".to_vec())).await;
    assert_eq!(ask(get(&one)).await.verdict, Verdict::Fail);
    let long = HttpServer::that(Act::SendForEver(head, vec![b'x'; 1 << 12])).await;
    assert_eq!(ask(get(&long)).await.verdict, Verdict::Fail);
}

#[tokio::test]
async fn what_is_not_http_fails() {
    for nonsense in
        [&b"canary canary canary\r\n\r\n"[..], b"HTTP/1.1 canary\r\n\r\n", b"\0\0\0\x12\x04\0\0\0\0\0"]
    {
        let report = of(Act::Send(nonsense.to_vec())).await;
        assert_told(&report, Verdict::Fail, &["what it answers is not HTTP/1.1"]);
    }
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_is_an_error() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = |authority: &str| HttpCheck { url: format!("http://{authority}/"), ..HttpCheck::default() };
    let report = ask(url(&closed.to_string())).await;
    assert_told(&report, Verdict::Error, &["no connection: connection refused"]);
    let report = ask(url("no-such-host.invalid")).await;
    assert_told(&report, Verdict::Error, &["can't be resolved"]);
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_or_is_not_trusted_is_an_error() {
    let https = |address| HttpCheck { url: format!("https://{address}/"), ..HttpCheck::default() };
    let plain = fake::server(Behaviour::NoTls).await;
    assert_told(&ask(https(plain)).await, Verdict::Error, &["no TLS: "]);
    let silent = HttpServer::that(Act::Silent).await;
    let report = ask_for("2s", https(silent.address)).await;
    assert_told(&report, Verdict::Error, &["no TLS within"]);
}

#[tokio::test]
async fn a_url_with_credentials_is_refused_without_showing_them() {
    let url = "http://canary:canary@127.0.0.1:9/".to_owned();
    let report = ask(HttpCheck { url, ..HttpCheck::default() }).await;
    assert_told(&report, Verdict::Error, &["a spec is no place for a secret"]);
}

#[tokio::test]
async fn a_check_that_is_not_enforced_warns() {
    let server = HttpServer::that(Act::answer(500, "")).await;
    let check = Check {
        name: "health".to_owned(),
        severity: cutover::api::CheckSeverity::Warn,
        http: Some(get(&server)),
        ..Check::default()
    };
    let report = checks::run_without_sides(&check).await;
    assert_told(&report, Verdict::Warn, &["not enforced (Fail): ", "answers 500"]);
}
