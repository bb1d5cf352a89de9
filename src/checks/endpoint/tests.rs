use super::*;
use crate::api::Verdict;

fn refused(url: &str) -> String {
    let trouble = Endpoint::parse(url).err().unwrap_or_else(|| panic!("{url} is taken"));
    assert_eq!(trouble.verdict, Verdict::Error, "{url}");
    trouble.message
}

#[test]
fn a_url_says_where_it_leads() {
    for (url, host, port, is_https) in [
        ("http://api/healthz", "api", 80, false),
        ("https://api.shop.svc:8443/a?b=c", "api.shop.svc", 8443, true),
        ("https://[::1]/", "::1", 443, true),
        ("http://api", "api", 80, false),
    ] {
        let endpoint = Endpoint::parse(url).unwrap_or_else(|trouble| panic!("{url}: {trouble:?}"));
        assert_eq!((endpoint.host.as_str(), endpoint.port, endpoint.is_https), (host, port, is_https));
    }
}

#[test]
fn credentials_in_a_url_are_refused_and_not_shown() {
    for url in ["http://canary:canary@api/", "https://canary@api:1/", "http://:canary@api"] {
        let message = refused(url);
        assert!(message.contains("no place for a secret") && !message.contains("canary"), "{message}");
    }
}

#[test]
fn what_is_no_url_is_refused_with_an_example() {
    for url in [
        "",
        "api",
        "ftp://api/",
        "http://",
        "http:///x",
        "http://a b/",
        "http://ä/",
        "http://api:99999/",
        "http://api:/",
        "http://api:x/",
        "http://api:-1/",
        "/healthz",
    ] {
        assert!(refused(url).contains("http://host:8080/path"), "{url}");
    }
}

#[test]
fn what_follows_a_question_mark_is_sent_but_not_shown() {
    let endpoint = Endpoint::parse("http://api:8080/h?token=canary").unwrap_or_else(|_| panic!("a URL"));
    assert_eq!(endpoint.shown(), "http://api:8080/h");
    let request = endpoint.request().body(Full::new(Bytes::new())).unwrap();
    assert_eq!(request.uri(), "/h?token=canary");
    assert_eq!(request.headers()[header::HOST], "api:8080");
}

#[test]
fn a_path_is_added_behind_the_one_that_is_there() {
    for (url, expected) in [
        ("http://p:9090", "http://p:9090/api/v1/query"),
        ("http://p:9090/", "http://p:9090/api/v1/query"),
        ("http://p/prometheus/", "http://p/prometheus/api/v1/query"),
    ] {
        let endpoint = Endpoint::parse(url).and_then(|endpoint| endpoint.below("/api/v1/query"));
        assert_eq!(endpoint.map(|endpoint| endpoint.shown()).unwrap_or_default(), expected);
    }
    assert!(Endpoint::parse("http://p/?a=b").and_then(|endpoint| endpoint.below("/x")).is_err());
}
