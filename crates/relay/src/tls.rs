//! TLS towards next hops: two ways to look at a certificate, chosen by the route.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

/// The connectors for both policies.
#[derive(Clone)]
pub(crate) struct Connectors {
    /// Any certificate will do: the choice is between this and plain text.
    pub(crate) unverified: TlsConnector,
    /// The certificate must be valid for the host.
    pub(crate) verified: TlsConnector,
}

/// Why the connectors could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// `ca_file` cannot be read.
    #[error("`{0}` cannot be read as PEM certificates: {1}; name a readable file, or drop ca_file")]
    File(PathBuf, String),
    /// The TLS library refuses.
    #[error("TLS cannot be used: {0}")]
    Library(#[from] Error),
}

impl Connectors {
    /// Connectors that verify against the system's roots and those of a file. Without any root,
    /// verified connections fail and opportunistic ones work.
    pub(crate) fn new(ca_file: Option<&Path>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for certificate in ca_file
            .map(read_certificates)
            .transpose()?
            .unwrap_or_default()
        {
            roots.add(certificate)?;
        }
        let provider = Arc::new(ring::default_provider());
        let builder = || {
            ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
        };
        let anyone = Arc::new(Anyone(Arc::clone(&provider)));
        let unverified = builder()?
            .dangerous()
            .with_custom_certificate_verifier(anyone)
            .with_no_client_auth();
        let verified = builder()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            unverified: TlsConnector::from(Arc::new(unverified)),
            verified: TlsConnector::from(Arc::new(verified)),
        })
    }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |why: String| TlsError::File(path.to_owned(), why);
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| failed(error.to_string()))?;
    if certificates.is_empty() {
        return Err(failed("there is none in it".to_owned()));
    }
    Ok(certificates)
}

/// Takes any certificate, but still proves that the peer holds its key.
///
/// Opportunistic TLS (RFC 7435) keeps out listeners, not impostors: whoever could show a wrong
/// certificate could as well strip STARTTLS from the offers.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
