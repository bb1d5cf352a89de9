//! What a server says right after a login, read along with the driver, which keeps it to itself.
//!
//! Decides which server process a session was given for its own. A pooler names one of its own making, because its sessions have none
//! for long; NAT and what passes TCP on say what the server says. Never keeps the key that comes with it.
//!
//! Source: PostgreSQL's documentation, "Frontend/Backend Protocol", "Start-up", `BackendKeyData`.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use postgres_protocol::message::backend::{Header, Message};
use tokio_util::bytes::BytesMut;

/// Longest message that is waited for.
const LONGEST: i32 = 64 << 10;

/// Where the process comes to be known.
pub(super) type Process = Arc<OnceLock<i32>>;

/// The messages up to the one that names the process.
pub(super) struct Greeting {
    received: BytesMut,
    process: Process,
    is_over: bool,
}

impl Greeting {
    pub(super) fn new(process: Process) -> Self {
        Self { received: BytesMut::new(), process, is_over: false }
    }

    /// Takes in what came next.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        if self.is_over {
            return;
        }
        self.received.extend_from_slice(bytes);
        while let Some(message) = self.next() {
            if let Message::BackendKeyData(key) = &message {
                let _ = self.process.set(key.process_id());
            }
            self.is_over |= matches!(message, Message::BackendKeyData(_) | Message::ReadyForQuery(_));
        }
        if self.is_over {
            self.received = BytesMut::new();
        }
    }

    /// `None` if nothing more is to be had, for now or, where it is none of the protocol, for ever.
    fn next(&mut self) -> Option<Message> {
        if self.is_over {
            return None;
        }
        // The parser makes room for as much as is announced.
        let length = Header::parse(&self.received).map(|header| header.map_or(0, Header::len));
        let message = match length {
            Ok(length) if length <= LONGEST => Message::parse(&mut self.received),
            _ => Err(io::ErrorKind::InvalidData.into()),
        };
        self.is_over = message.is_err();
        message.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTHENTICATED: &[u8] = b"R\0\0\0\x08\0\0\0\0";
    const KEY: &[u8] = b"K\0\0\0\x0c\0\0\x04\xd2\x01\x02\x03\x04";
    const READY: &[u8] = b"Z\0\0\0\x05I";

    fn process(parts: &[&[u8]]) -> Option<i32> {
        let process = Process::default();
        let mut greeting = Greeting::new(process.clone());
        for part in parts {
            greeting.read(part);
        }
        assert!(greeting.is_over && greeting.received.is_empty(), "nothing of it is kept");
        process.get().copied()
    }

    #[test]
    fn the_process_is_known_however_the_greeting_is_cut() {
        let whole = [AUTHENTICATED, KEY, READY].concat();
        assert_eq!(process(&[&whole]), Some(1234));
        let bytes: Vec<_> = whole.chunks(1).collect();
        assert_eq!(process(&bytes), Some(1234));
    }

    #[test]
    fn a_greeting_without_one_or_none_at_all_names_no_process() {
        assert_eq!(process(&[AUTHENTICATED, READY, KEY]), None, "too late");
        assert_eq!(process(&[b"\xff\0\0\0\x04"]), None);
        assert_eq!(process(&[b"R\x7f\xff\xff\xff"]), None, "no room is made for what is only announced");
    }
}
