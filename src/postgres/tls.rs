//! How a server is verified.
//!
//! Decides what counts as verified: with `VerifyFull` the certificate's chain, its dates and the host name; with
//! `Require` nothing but that the server holds the key of the certificate it shows; with `Disable` there is no TLS.
//! Never falls back from one to another, and never trusts the system's store where a CA of one's own was asked for.
//! The crypto provider is passed explicitly: a process-wide default is a panic waiting for a second provider.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU8, Ordering},
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

use crate::api::{TlsMode, TlsSettings};

/// Why the verification of servers could not be set up.
#[derive(thiserror::Error, Debug, PartialEq, Eq, Clone)]
pub enum TlsError {
    /// `tls.caKey` is set, but no certificates came with it.
    #[error("the connection's tls.caKey names the certificates to trust, but its Secret has no such key")]
    CaMissing,
    /// The CA key holds no usable certificate.
    #[error(
        "the CA key of the connection's Secret holds no usable certificate; put the CA's certificate there in PEM form \
         (-----BEGIN CERTIFICATE-----)"
    )]
    CaUnusable,
    /// The image has no trust store.
    #[error(
        "this system has no trusted certificates; name the server's CA with the connection's tls.caKey instead"
    )]
    NoSystemStore,
    /// The crypto library refused its own configuration.
    #[error("TLS could not be set up; this is a bug of cutover")]
    Setup,
}

/// What a session's encryption turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsSeen {
    /// In the clear.
    Plain,
    /// Encrypted.
    Encrypted {
        /// `TLSv1.2` or `TLSv1.3`.
        version: &'static str,
        /// Whether chain and host name were verified.
        verified: bool,
    },
}

impl std::fmt::Display for TlsSeen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain => f.write_str("no TLS"),
            Self::Encrypted { version, verified: true } => write!(f, "{version} verified"),
            Self::Encrypted { version, verified: false } => write!(f, "{version} not verified"),
        }
    }
}

/// Verifies servers as `settings` demand, and remembers what it saw. One per connection.
pub(super) struct Verification {
    pub(super) config: ClientConfig,
    witness: Arc<Witness>,
}

impl Verification {
    /// `None` where the settings say `Disable`.
    pub(super) fn new(settings: &TlsSettings, ca_pem: Option<&[u8]>) -> Result<Option<Self>, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = match settings.mode {
            TlsMode::Disable => return Ok(None),
            TlsMode::Require => None,
            TlsMode::VerifyFull => {
                let roots = trusted_roots(settings, ca_pem)?;
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
                Some(verifier.build().map_err(|_| TlsError::CaUnusable)?)
            }
        };
        let witness = Arc::new(Witness { chain, provider: provider.clone(), version: AtomicU8::new(0) });
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| TlsError::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(witness.clone())
            .with_no_client_auth();
        // A resumed session shows no certificate, and every connection is its own question here.
        config.resumption = Resumption::disabled();
        Ok(Some(Self { config, witness }))
    }

    /// What the handshake turned out to be; meaningful after it succeeded.
    pub(super) fn seen(witness: &Witness) -> TlsSeen {
        let version = if witness.version.load(Ordering::Relaxed) == 12 { "TLSv1.2" } else { "TLSv1.3" };
        TlsSeen::Encrypted { version, verified: witness.chain.is_some() }
    }

    pub(super) fn into_parts(self) -> (ClientConfig, Arc<Witness>) {
        (self.config, self.witness)
    }
}

fn trusted_roots(settings: &TlsSettings, ca_pem: Option<&[u8]>) -> Result<Arc<RootCertStore>, TlsError> {
    match ca_pem {
        Some(pem) => roots_from_pem(pem).map(Arc::new),
        None if settings.ca_key.is_some() => Err(TlsError::CaMissing),
        None => system_roots(),
    }
}

fn roots_from_pem(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| TlsError::CaUnusable)?;
        roots.add(certificate).map_err(|_| TlsError::CaUnusable)?;
    }
    if roots.is_empty() { Err(TlsError::CaUnusable) } else { Ok(roots) }
}

/// Verifies servers against the system's trust store: for endpoints that are not PostgreSQL.
pub(crate) fn verify_with_system_store() -> Result<ClientConfig, TlsError> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError::Setup)?
        .with_root_certificates(system_roots()?)
        .with_no_client_auth();
    Ok(config)
}

/// The system's store, read once: it is a few hundred files, and the same for every connection.
fn system_roots() -> Result<Arc<RootCertStore>, TlsError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(roots.clone());
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(TlsError::NoSystemStore);
    }
    Ok(ROOTS.get_or_init(|| Arc::new(roots)).clone())
}

/// Verifies the chain where there is one to verify, the handshake's signature always, and notes the protocol version:
/// the driver hides the TLS stream, and which of the two signatures was asked for tells the version.
#[derive(Debug)]
pub(super) struct Witness {
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    version: AtomicU8,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.chain {
            Some(chain) => {
                chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.version.store(12, Ordering::Relaxed);
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.version.store(13, Ordering::Relaxed);
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What a failed handshake means and what to do about it, in a fixed text.
pub(crate) fn explain(error: &rustls::Error) -> &'static str {
    use rustls::Error;
    match error {
        Error::InvalidCertificate(certificate) => explain_certificate(certificate),
        Error::AlertReceived(_) => "the server broke off the TLS handshake",
        Error::PeerIncompatible(_) => {
            "the server and cutover have no TLS version or cipher in common; TLS 1.2 or later is needed"
        }
        _ => "the server's side of the TLS handshake is not valid",
    }
}

fn explain_certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the server's certificate is not signed by a trusted CA; put the CA's certificate into the connection's \
             Secret and name its key in tls.caKey"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another host name; connect by a name that is among its subject \
             alternative names (the common name does not count), or have it reissued"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired; renew it"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet; check the clocks"
        }
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "the server shows a CA's certificate as its own (self-signed with CA:TRUE); issue it a server certificate"
        }
        _ => "the server's certificate can't be verified",
    }
}

#[cfg(test)]
mod tests;
