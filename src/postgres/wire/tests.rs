use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, DuplexStream, duplex, join},
    task::yield_now,
};

use super::*;
use crate::postgres::wire::inbox::tests::{error, message};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a connection holds in each direction.
const ROOM: usize = 64;

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

fn began() -> Vec<u8> {
    [message(b'C', b"BEGIN\0"), message(b'Z', b"T")].concat()
}

/// A connection, and the server's end of it.
fn connection() -> (Wire, DuplexStream) {
    let (near, far) = duplex(ROOM);
    (Wire::new(Box::new(near), Budget::new(1 << 20)), far)
}

#[tokio::test]
async fn a_request_that_was_never_answered_is_no_success_however_well_the_ones_before_it_went() {
    let (mut wire, mut server) = connection();
    wire.put_text("BEGIN").unwrap();
    wire.put_text(&"x".repeat(10 * ROOM)).unwrap();
    let breaks_off = async {
        server.read_exact(&mut [0; ROOM]).await.unwrap();
        server.write_all(&began()).await.unwrap();
        drop(server);
    };
    let (outcome, ()) = tokio::join!(wire.finish(false), breaks_off);
    assert_eq!(outcome.unwrap_err().class, ErrorClass::Connection);
    assert!(!wire.is_usable());
}

#[tokio::test]
async fn why_a_session_was_ended_is_told_though_the_request_did_not_get_through() {
    let (near, mut server) = duplex(ROOM);
    let (deaf, gone) = duplex(ROOM);
    drop(gone);
    let mut wire = Wire::new(Box::new(join(near, deaf)), Budget::new(1 << 20));
    wire.put_text("SELECT 1").unwrap();
    let ends = async {
        yield_now().await;
        server.write_all(&error("FATAL", "57P01", "canary")).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(wire.finish(false), ends);
    assert_eq!(outcome.unwrap_err().sqlstate.as_deref(), Some("57P01"));
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_leaves_the_connection_unusable() {
    let (mut wire, mut server) = connection();
    server.write_all(&[ready(), ready()].concat()).await.unwrap();
    wire.put_text("").unwrap();
    wire.finish(false).await.unwrap();
    assert!(!wire.is_usable());
}

#[tokio::test]
async fn a_session_that_was_ended_is_not_waited_for_whoever_keeps_the_connection_open() {
    let (mut wire, mut server) = connection();
    server.write_all(&error("FATAL", "57P01", "canary")).await.unwrap();
    wire.put_text("SELECT 1").unwrap();
    let outcome = timeout(PATIENCE, wire.finish(false)).await.expect("it is told at once");
    assert_eq!(outcome.unwrap_err().sqlstate.as_deref(), Some("57P01"));
    assert!(!wire.is_usable());
}

#[tokio::test]
async fn what_is_none_of_the_protocol_ends_the_connection() {
    for garbage in [message(b'G', &[0, 0, 0]), b"Z\0\0\0\x03".to_vec(), b"HTTP/1.1 400".to_vec()] {
        let (mut wire, mut server) = connection();
        server.write_all(&garbage).await.unwrap();
        drop(server);
        wire.put_text("SELECT 1").unwrap();
        assert_eq!(wire.finish(false).await.unwrap_err().class, ErrorClass::Connection);
        assert!(!wire.is_usable());
    }
}

#[tokio::test]
async fn a_connection_that_is_closed_in_order_says_goodbye() {
    let (mut wire, mut server) = connection();
    server.write_all(&ready()).await.unwrap();
    wire.put_text("").unwrap();
    wire.finish(false).await.unwrap();
    wire.close().await;
    let mut said = Vec::new();
    server.read_to_end(&mut said).await.unwrap();
    assert_eq!(said, [message(b'Q', b"\0"), message(b'X', b"")].concat());
}
