use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> ConnectionUri {
    ConnectionUri::parse(text).unwrap()
}

fn percent_encode(text: &str) -> String {
    text.bytes().flat_map(|byte| ['%', hex(byte >> 4), hex(byte & 15)]).collect()
}

fn hex(digit: u8) -> char {
    char::from_digit(digit.into(), 16).unwrap()
}

#[test]
fn every_part_is_found() {
    let uri =
        parse("postgresql://shop:pw@db.example:6432/orders?sslmode=verify-full&options=-c%20geqo%3Doff");
    assert_eq!(uri.endpoint().to_string(), "db.example:6432/orders");
    assert_eq!(uri.user(), "shop");
    assert_eq!(uri.password.as_deref(), Some(b"pw".as_slice()));
    assert_eq!(uri.options.as_deref(), Some("-c geqo=off"));
}

#[test]
fn left_out_parts_have_libpqs_defaults() {
    let uri = parse("postgres://shop@db");
    assert_eq!(uri.endpoint().to_string(), "db:5432/shop");
    assert_eq!(uri.password, None);
    assert_eq!(parse("postgres://shop@db/").endpoint().database, "shop");
    assert_eq!(parse("postgres://shop@db:/x").endpoint().port, 5432);
}

#[test]
fn white_space_around_the_text_does_not_count() {
    assert_eq!(parse(" postgres://a:b@c/d\n"), parse("postgres://a:b@c/d"));
}

#[test]
fn parameters_may_name_the_parts() {
    let uri = parse(
        "postgresql:///orders?host=db&port=1&user=u&password=p%26q&connect_timeout=3&target_session_attrs=primary",
    );
    assert_eq!(uri.endpoint().to_string(), "db:1/orders");
    assert_eq!(uri.password.as_deref(), Some(b"p&q".as_slice()));
    assert_eq!(uri.connect_timeout(), Some(Duration::from_secs(3)));
    assert_eq!(uri.session_attrs(), SessionAttrs::ReadWrite);
}

#[test]
fn parameters_of_tls_and_of_other_drivers_are_set_aside() {
    let plain = parse("postgres://a:b@c/d");
    let tls = parse("postgres://a:b@c/d?sslmode=disable&sslrootcert=/c%20a.pem&sslnegotiation=direct");
    assert_eq!((tls.endpoint(), tls.user()), (plain.endpoint(), plain.user()));
    assert_eq!((tls.ssl_mode(), tls.ssl_root_cert()), (Some("disable"), Some("/c a.pem")));
    assert_eq!((plain.ssl_mode(), plain.ssl_root_cert()), (None, None));
    for parameters in
        ["channel_binding=require", "pgbouncer=true&connection_limit=5", "application_name=shop@eu"]
    {
        assert_eq!(parse(&format!("postgres://a:b@c/d?{parameters}")), plain);
    }
}

#[test]
fn an_ipv6_address_is_written_in_brackets() {
    let uri = parse("postgres://a:b@[2001:db8::1]:5433/d");
    assert_eq!(uri.endpoint().host, "2001:db8::1");
    assert_eq!(uri.endpoint().to_string(), "[2001:db8::1]:5433/d");
}

#[test]
fn each_fault_has_its_own_error() {
    for (text, error) in [
        ("", UriError::NotAUri),
        ("mysql://a:b@c/d", UriError::NotAUri),
        ("host=db user=a password=b", UriError::KeywordValue),
        ("postgres://a:b c@d/e", UriError::Whitespace),
        ("postgres://a:b\n@d/e", UriError::Whitespace),
        ("postgres://a:canary@x@c/d", UriError::Unencoded),
        ("postgres://a:canary/x@c/d", UriError::Unencoded),
        ("postgres://a:canary?x@c/d", UriError::Unencoded),
        ("postgres://a:12/x@c/d", UriError::Unencoded),
        ("postgres://a:100%@c/d", UriError::Percent("password")),
        ("postgres://a:100%zz@c/d", UriError::Percent("password")),
        ("postgres://a:b@c/%00", UriError::NotText("database")),
        ("postgres://%ff:b@c/d", UriError::NotText("user name")),
        ("postgres://c/d", UriError::NoUser),
        ("postgres://:b@c/d", UriError::NoUser),
        ("postgres://a:b@/d", UriError::NoHost),
        ("postgres://a:b@%2Fvar%2Frun/d", UriError::UnixSocket),
        ("postgres://a:b@/d?host=/var/run", UriError::UnixSocket),
        ("postgres://a:b@c,d/e", UriError::SeveralHosts),
        ("postgres://a:b@c/e?host=d", UriError::SeveralHosts),
        ("postgres://a:b@/e?host=c,d", UriError::SeveralHosts),
        ("postgres://a:b@c/e?hostaddr=127.0.0.1", UriError::HostAddress),
        ("postgres://a:b@c:0/d", UriError::Port),
        ("postgres://a:b@c:70000/d", UriError::Port),
        ("postgres://a:b@c:x/d", UriError::Port),
        ("postgres://a:b@[::1/d", UriError::Host),
        ("postgres://a:b@c!/d", UriError::Host),
        ("postgres://a:b@c/d?x", UriError::Parameter),
        ("postgres://a:b@c/d?connect_timeout=x", UriError::ConnectTimeout),
        ("postgres://a:b@c/d?target_session_attrs=x", UriError::SessionAttrs),
    ] {
        assert_eq!(ConnectionUri::parse(text), Err(error), "{text}");
        assert!(!error.to_string().contains("canary"));
    }
}

#[test]
fn debug_shows_the_endpoint_alone() {
    let uri = parse("postgres://someone:canary@db:1/d?options=-c%20x.y%3Dcanary2");
    assert_eq!(format!("{uri:?}"), "ConnectionUri(db:1/d)");
}

proptest! {
    #[test]
    fn an_encoded_password_is_read_back_whatever_is_in_it(password in "[^\\x00]{1,40}") {
        let text = format!("postgres://a:{}@c/d", percent_encode(&password));
        prop_assert_eq!(parse(&text).password, Some(password.into_bytes()));
    }

    #[test]
    fn no_error_shows_any_of_the_text(prefix in "(postgres://)?", middle in "[@:/?%,\\[\\]=& ]{0,6}") {
        let text = format!("{prefix}xcanary{middle}xcanary@{middle}xcanary");
        if let Err(error) = ConnectionUri::parse(&text) {
            let shown = format!("{error} {error:?}");
            prop_assert!(!shown.contains("xcanary"));
        }
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "(postgres://)?\\PC{0,60}") {
        let _ = ConnectionUri::parse(&text);
    }
}
