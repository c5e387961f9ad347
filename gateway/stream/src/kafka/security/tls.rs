//! TLS 1.2 and 1.3 by rustls, from PEM files that somebody else has read.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

/// Why there can be no TLS with these files.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// The server's own chain.
    #[error("the certificates cannot be read: {0}")]
    Certificates(pem::Error),
    /// There is none in it.
    #[error("there is no certificate in it (\"-----BEGIN CERTIFICATE-----\")")]
    NoCertificate,
    /// The server's key.
    #[error("the private key cannot be read: {0}")]
    Key(pem::Error),
    /// Key and chain are none that TLS could use together.
    #[error("key and certificates cannot be used together: {0}")]
    Pair(rustls::Error),
    /// Those who sign the certificates of clients.
    #[error("the certificates of the client authority cannot be read: {0}")]
    ClientAuthority(pem::Error),
    /// One of them is not fit to sign.
    #[error("a certificate of the client authority cannot be used: {0}")]
    ClientRoot(rustls::Error),
    /// There is none to verify with.
    #[error("clients cannot be verified with it: {0}")]
    ClientVerifier(#[from] VerifierBuilderError),
}

/// Takes TLS connections.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    asks_certificate: bool,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tls")
            .field("asks_certificate", &self.asks_certificate)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// From the texts of PEM files: the server's chain, leaf first; its key; and, if clients must show a certificate,
    /// those who may have signed it.
    ///
    /// # Errors
    /// What is wrong with which of them. Nothing of a key is ever in the message.
    pub fn from_pem(
        certificates: &[u8],
        key: &[u8],
        client_authority: Option<&[u8]>,
    ) -> Result<Self, TlsFault> {
        let provider = Arc::new(ring::default_provider());
        let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(TlsFault::Certificates)?;
        if chain.is_empty() {
            return Err(TlsFault::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsFault::Key)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(TlsFault::Pair)?;
        let builder = match client_authority {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                for root in CertificateDer::pem_slice_iter(authority) {
                    roots.add(root.map_err(TlsFault::ClientAuthority)?).map_err(TlsFault::ClientRoot)?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build()?)
            }
        };
        let config = builder.with_single_cert(chain, key).map_err(TlsFault::Pair)?;
        let asks_certificate = client_authority.is_some();
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), asks_certificate })
    }

    /// Whether a client must show a certificate.
    #[must_use]
    pub const fn asks_certificate(&self) -> bool {
        self.asks_certificate
    }

    pub(in crate::kafka) const fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }
}
