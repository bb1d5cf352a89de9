use super::*;
use crate::postgres::error::ErrorClass;

/// A message of the protocol: its tag, its length, its body.
pub(in crate::postgres::wire) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

pub(in crate::postgres::wire) fn error(severity: &str, code: &str, text: &str) -> Vec<u8> {
    with_context(severity, code, text, "")
}

fn with_context(severity: &str, code: &str, text: &str, further: &str) -> Vec<u8> {
    message(b'E', format!("SFEHLER\0V{severity}\0C{code}\0M{text}\0{further}\0").as_bytes())
}

fn row(values: &[Option<&str>]) -> Vec<u8> {
    let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        let length = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
        body.extend(length.to_be_bytes());
        body.extend(value.unwrap_or_default().as_bytes());
    }
    message(b'D', &body)
}

fn received(bytes: &[u8]) -> io::Result<Option<Received>> {
    Inbox { received: BytesMut::from(bytes), unwanted: 0 }.next(true)
}

/// The fault of a server's error, and whether it is fatal.
fn fault(bytes: &[u8]) -> (Fault, bool) {
    match received(bytes) {
        Ok(Some(Received::Error { fault, is_fatal })) => (fault, is_fatal),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_is_understood_when_its_last_byte_is_there() {
    let messages =
        [message(b'2', b""), row(&[Some("17"), None]), message(b'C', b"SELECT 1\0"), message(b'Z', b"I")];
    let mut inbox = Inbox::default();
    let mut seen = Vec::new();
    for message in messages {
        for (index, byte) in message.iter().enumerate() {
            assert!(inbox.next(true).unwrap().is_none(), "after {index} of {} bytes", message.len());
            inbox.room().extend_from_slice(&[*byte]);
        }
        seen.push(inbox.next(true).unwrap().unwrap());
    }
    let [Received::Other, Received::Row(Some(row)), Received::Other, Received::Ready { .. }] = &seen[..]
    else {
        panic!("{seen:?}")
    };
    assert_eq!((row.text(0).unwrap(), row.text(1).unwrap()), (Some("17"), None));
}

#[test]
fn a_row_that_nobody_wants_takes_no_memory_however_long_it_is() {
    let long = "x".repeat(3 << 20);
    let messages = [row(&[Some(&long)]), message(b'Z', b"I")].concat();
    let (mut inbox, mut seen, mut most) = (Inbox::default(), Vec::new(), 0);
    for part in messages.chunks(ROOM) {
        inbox.room().extend_from_slice(part);
        while let Some(received) = inbox.next(false).unwrap() {
            seen.push(received);
        }
        most = most.max(inbox.received.capacity());
        assert_eq!(inbox.is_empty(), seen.len() == 2, "an answer is on its way");
    }
    assert!(
        matches!(seen[..], [Received::Row(None), Received::Ready { is_in_transaction: false }]),
        "{seen:?}"
    );
    assert!(most <= KEPT, "{most}");
}

#[test]
fn the_room_for_a_row_that_is_wanted_is_given_back() {
    let mut inbox = Inbox::default();
    inbox.room().extend_from_slice(&row(&[Some(&"x".repeat(3 << 20))]));
    assert!(matches!(inbox.next(true), Ok(Some(Received::Row(Some(_))))));
    assert!(inbox.room().capacity() <= KEPT && inbox.is_empty());
}

#[test]
fn a_length_that_nothing_comes_of_takes_no_memory() {
    for tag in [b'D', b'E', b't', b'T'] {
        let mut inbox = Inbox::default();
        inbox.room().extend_from_slice(&[tag, 0x7f, 0xff, 0xff, 0xff]);
        assert!(inbox.next(true).unwrap().is_none());
        assert!(inbox.room().capacity() <= KEPT);
    }
}

#[test]
fn the_state_of_a_transaction_comes_with_the_end_of_an_answer() {
    for (state, expected) in [(b"I", false), (b"T", true), (b"E", true)] {
        let Ok(Some(Received::Ready { is_in_transaction })) = received(&message(b'Z', state)) else {
            panic!()
        };
        assert_eq!(is_in_transaction, expected);
    }
}

#[test]
fn an_error_is_fatal_by_its_severity() {
    for (severity, expected) in [("ERROR", false), ("FATAL", true), ("PANIC", true)] {
        assert_eq!(fault(&error(severity, "57P01", "")).1, expected, "{severity}");
        // As PgBouncer has it.
        let bare = format!("S{severity}\0C08P01\0Mquery_wait_timeout\0\0");
        assert_eq!(fault(&message(b'E', bare.as_bytes())).1, expected, "{severity}");
    }
}

#[test]
fn a_servers_text_is_kept_only_where_it_repeats_the_statement() {
    let shown = |bytes: &[u8]| fault(bytes).0.to_string().contains("canary");
    assert!(shown(&error("ERROR", "42P01", "canary")));
    assert!(!shown(&error("ERROR", "23505", "canary")));
    for further in ["WPL/pgSQL function f()\0", "p3\0qSELECT canary\0"] {
        assert!(!shown(&with_context("ERROR", "42P01", "canary", further)), "{further}");
    }
    assert_eq!(fault(&error("ERROR", "canary", "canary")).0, Fault::local(ErrorClass::Other));
}

#[test]
fn a_row_is_shown_to_nobody() {
    let shown = format!("{:?}", received(&row(&[Some("canary")])));
    assert!(!shown.contains("canary") && !shown.contains("99, 97"), "{shown}");
}

#[test]
fn what_is_none_of_the_protocol_is_an_error() {
    for bytes in [message(b'G', &[0, 0, 0]), message(b'R', &[0; 4]), b"Z\0\0\0\x03".to_vec()] {
        received(&bytes).unwrap_err();
    }
    let Ok(Some(Received::Row(Some(row)))) = received(&message(b'D', &[0, 1, 0, 0, 0, 9, b'x'])) else {
        panic!()
    };
    row.text(0).unwrap_err();
}
