//! `prometheus`: answers as its HTTP API documents them, and answers that are none.

use cutover::{
    api::{Check, PrometheusCheck, Verdict},
    checks::{self, CheckReport},
};

use crate::{
    http_server::{Act, HttpServer},
    postgres::assert_shows_no_secret,
};

fn bounds(server: &HttpServer, min: Option<&str>, max: Option<&str>) -> PrometheusCheck {
    PrometheusCheck {
        url: server.url("/prometheus/"),
        query: "sum by (pod) (rate(errors_total[5m])) + 0".to_owned(),
        min: min.map(str::to_owned),
        max: max.map(str::to_owned),
    }
}

async fn ask(question: PrometheusCheck) -> CheckReport {
    let check = Check { name: "errors".to_owned(), prometheus: Some(question), ..Check::default() };
    let report = checks::run_without_sides(&check).await;
    assert_shows_no_secret(&report);
    report
}

/// What a check of `0.1..0.5` says to an answer.
async fn of(status: u16, body: &str) -> CheckReport {
    let server = HttpServer::that(Act::answer(status, body)).await;
    ask(bounds(&server, Some("0.1"), Some("0.5"))).await
}

fn vector(values: &[&str]) -> String {
    let sample =
        |value: &&str| format!(r#"{{"metric":{{"pod":"canary"}},"value":[1700000000.123,"{value}"]}}"#);
    let samples: Vec<String> = values.iter().map(sample).collect();
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#, samples.join(","))
}

#[track_caller]
fn assert_told(report: &CheckReport, verdict: Verdict, parts: &[&str]) {
    assert_eq!(report.verdict, verdict, "{}", report.message);
    for part in parts {
        assert!(report.message.contains(part), "{part:?} is not in {:?}", report.message);
    }
}

#[tokio::test]
async fn a_value_within_the_bounds_passes_and_is_told() {
    let report = of(200, &vector(&["0.25"])).await;
    assert_told(&report, Verdict::Pass, &["errors_total", "answers 0.25"]);
    assert_eq!(report.measured.as_deref(), Some("0.25"));
    assert_eq!(report.expected.as_deref(), Some("between 0.1 and 0.5"));
    assert_eq!((report.check.as_str(), report.samples), ("prometheus", 1));
}

#[tokio::test]
async fn the_query_is_sent_as_the_api_documents_it() {
    let server = HttpServer::that(Act::answer(200, &vector(&["0.25"]))).await;
    ask(bounds(&server, Some("0"), None)).await;
    let requests = server.requests();
    assert!(requests[0].starts_with("POST /prometheus/api/v1/query HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[0].to_lowercase().contains("content-type: application/x-www-form-urlencoded\r\n"));
    let body = requests[0].split_once("\r\n\r\n").unwrap().1;
    assert_eq!(body, "query=sum+by+%28pod%29+%28rate%28errors_total%5B5m%5D%29%29+%2B+0&timeout=27s");
}

#[tokio::test]
async fn the_bounds_themselves_are_within_and_the_comparison_is_exact() {
    assert_told(&of(200, &vector(&["0.1", "5e-01", "0.5"])).await, Verdict::Pass, &["3 samples, 0.1 to 0.5"]);
    let report = of(200, &vector(&["0.50000000000000000001"])).await;
    assert_told(&report, Verdict::Fail, &["which is above 0.5"]);
    let report = of(200, &vector(&["0.09999999999999999999"])).await;
    assert_told(&report, Verdict::Fail, &["which is below 0.1"]);
}

#[tokio::test]
async fn every_sample_must_be_within_the_bounds() {
    let report = of(200, &vector(&["0.2", "0.7", "0.3", "1e+06"])).await;
    assert_told(&report, Verdict::Fail, &["2 of 4 samples are outside, such as 0.7, which is above 0.5"]);
    assert_eq!(report.measured.as_deref(), Some("4 samples, 0.2 to 1e+06"));
    assert_eq!(report.samples, 4);
}

#[tokio::test]
async fn no_data_is_not_zero_and_not_a_pass() {
    let server = HttpServer::that(Act::answer(200, &vector(&[]))).await;
    for (min, max) in [(Some("0"), None), (None, Some("0")), (Some("-1"), Some("1"))] {
        let report = ask(bounds(&server, min, max)).await;
        assert_told(&report, Verdict::Inconclusive, &["no data", "errors_total"]);
        assert_eq!((report.measured, report.samples), (None, 0));
    }
    assert_told(&of(200, &vector(&["0"])).await, Verdict::Fail, &["answers 0, which is below 0.1"]);
}

#[tokio::test]
async fn what_is_no_finite_number_is_within_no_bounds() {
    for value in ["NaN", "+Inf", "-Inf"] {
        let report = of(200, &vector(&[value])).await;
        assert_told(&report, Verdict::Fail, &[value, "which is not a number"]);
    }
    assert_told(&of(200, &vector(&["canary"])).await, Verdict::Fail, &["which is not a number"]);
}

#[tokio::test]
async fn a_scalar_is_one_sample() {
    let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1700000000,"0.3"]}}"#;
    assert_told(&of(200, scalar).await, Verdict::Pass, &["answers 0.3"]);
}

#[tokio::test]
async fn a_query_that_answers_no_numbers_fails_with_what_to_ask_instead() {
    for (kind, result, hint) in [
        ("matrix", r#"[{"metric":{},"values":[[1,"0.3"]]}]"#, "a range, not a moment"),
        ("string", r#"[1,"canary"]"#, "neither a vector nor a scalar"),
        ("vector", r#"[{"metric":{},"histogram":[1,{"count":"1"}]}]"#, "native histogram"),
    ] {
        let body = format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#);
        assert_told(&of(200, &body).await, Verdict::Fail, &[hint]);
    }
}

#[tokio::test]
async fn an_error_of_the_server_is_an_error_by_its_type_and_not_in_its_words() {
    for (status, kind, told) in [
        (400, "bad_data", "bad_data, the server can't read it"),
        (422, "execution", "execution"),
        (503, "timeout", "took too long"),
        (500, "canary", "an error of an unknown type"),
    ] {
        let body = format!(r#"{{"status":"error","errorType":"{kind}","error":"canary"}}"#);
        let report = of(status, &body).await;
        assert_told(&report, Verdict::Error, &[told, &format!("HTTP {status}")]);
    }
}

#[tokio::test]
async fn what_is_no_prometheus_is_an_error() {
    for (status, body, told) in [
        (404, "canary", "answers 404; is it a Prometheus server?"),
        (302, "", "answers 302"),
        (200, "<html>canary</html>", "not as Prometheus does"),
        (200, r#"{"status":"success"}"#, "not as Prometheus does"),
        (200, r#"{"status":"success","data":{"resultType":"vector","result":{}}}"#, "without a value"),
        (
            200,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{}}]}}"#,
            "without a value",
        ),
    ] {
        assert_told(&of(status, body).await, Verdict::Error, &[told]);
    }
    let deep = format!(r#"{{"status":"success","data":{}"#, "[".repeat(100_000));
    assert_told(&of(200, &deep).await, Verdict::Error, &["not as Prometheus does"]);
}

#[tokio::test]
async fn warnings_of_the_server_are_noted_and_weigh() {
    let body =
        vector(&["0.25"]).replace(r#""data""#, r#""warnings":["canary","canary"],"infos":["canary"],"data""#);
    assert_told(&of(200, &body).await, Verdict::Warn, &["answers 0.25", "2 warnings of the server"]);
    let body = vector(&["9"]).replace(r#""data""#, r#""warnings":["canary"],"data""#);
    assert_told(&of(200, &body).await, Verdict::Fail, &["above 0.5", "1 warnings of the server"]);
}

#[tokio::test]
async fn a_server_that_never_ends_its_answer_is_read_no_further_than_a_mebibyte() {
    let head = b"HTTP/1.1 200 OK\r\n\r\n{\"status\":\"success\",\"warnings\":[".to_vec();
    let server = HttpServer::that(Act::SendForEver(head, b"\"canary\",".repeat(1000))).await;
    let report = ask(bounds(&server, Some("0"), None)).await;
    assert_told(&report, Verdict::Error, &["larger than 1024 KiB"]);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_an_error_whatever_it_does() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec();
    for (act, told) in [
        (Act::Send(head), "broke off after 1 bytes"),
        (Act::Send(Vec::new()), "closed before there was an answer"),
        (Act::Send(b"canary\r\n\r\n".to_vec()), "is not HTTP/1.1"),
    ] {
        let server = HttpServer::that(act).await;
        assert_told(&ask(bounds(&server, Some("0"), None)).await, Verdict::Error, &[told]);
    }
}

#[tokio::test]
async fn a_url_with_credentials_or_a_query_is_refused() {
    for (url, told) in [
        ("http://canary:canary@p:9090", "a spec is no place for a secret"),
        ("http://p:9090/?token=canary", "nothing may follow a `?`"),
    ] {
        let question = PrometheusCheck {
            url: url.to_owned(),
            query: "up".to_owned(),
            min: Some("1".to_owned()),
            ..PrometheusCheck::default()
        };
        assert_told(&ask(question).await, Verdict::Error, &[told]);
    }
}
