//! Digests: of specs, which are public, and of configuration values, which are not.
//!
//! A plain hash of a value that holds a weak password would let every reader of a status try passwords against it.
//! Whatever is made from values is therefore keyed (HMAC-SHA-256) with a random key that lives beside the preserved copy.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Number of bytes of a digest that are shown; 16 bytes leave no room for accidental collisions.
const SHOWN_BYTES: usize = 16;

/// SHA-256 of public data, in hexadecimal.
#[must_use]
pub fn public(data: &[u8]) -> String {
    hex(&Sha256::digest(data))
}

/// HMAC-SHA-256 of the parts in hexadecimal. Every part is length-prefixed: `["ab", "c"]` and `["a", "bc"]` differ.
#[must_use]
pub fn keyed<'a>(key: &[u8], parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    // HMAC takes keys of every length, so this constructor cannot fail; an empty MAC would be a wrong digest, never equal.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return String::new();
    };
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    hex(&mac.finalize().into_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(SHOWN_BYTES).fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let split_late = keyed(b"k", [b"ab".as_slice(), b"c"]);
        let split_early = keyed(b"k", [b"a".as_slice(), b"bc"]);
        assert_ne!(split_late, split_early);
    }

    #[test]
    fn another_key_gives_another_digest() {
        assert_ne!(keyed(b"k", [b"a".as_slice()]), keyed(b"l", [b"a".as_slice()]));
    }
}
