use super::*;

fn settings(mode: TlsMode, ca_key: Option<&str>) -> TlsSettings {
    TlsSettings { mode, ca_key: ca_key.map(str::to_owned) }
}

fn fault(mode: TlsMode, ca_key: Option<&str>, pem: Option<&[u8]>) -> Option<TlsError> {
    Verification::new(&settings(mode, ca_key), pem).err()
}

#[test]
fn the_systems_store_never_stands_in_for_a_ca_that_was_asked_for() {
    assert_eq!(fault(TlsMode::VerifyFull, Some("ca.crt"), None), Some(TlsError::CaMissing));
    assert_eq!(fault(TlsMode::VerifyFull, Some("ca.crt"), Some(b"")), Some(TlsError::CaUnusable));
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(fault(TlsMode::VerifyFull, Some("ca.crt"), Some(broken)), Some(TlsError::CaUnusable));
}

#[test]
fn without_verification_no_ca_is_needed() {
    assert_eq!(fault(TlsMode::Require, None, None), None);
    assert!(Verification::new(&settings(TlsMode::Disable, None), None).unwrap().is_none());
}
