//! Certificate and key → TLS.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{Error, ServerConfig};

/// Why TLS is unavailable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file has no certificate or key.
    #[error(
        "{key} {}: {reason}; name a PEM file that the user who runs ojad can read", path.display()
    )]
    File {
        /// The key of the configuration.
        key: &'static str,
        /// Path of the file.
        path: PathBuf,
        /// The reason, in words.
        reason: String,
    },
    /// Certificate and key do not match.
    #[error(
        "http.tls_certificate {}: {source}; use the private key that the certificate was made for",
        path.display()
    )]
    Mismatch {
        /// Path of the certificate.
        path: PathBuf,
        /// The error of the library.
        source: Error,
    },
}

/// TLS 1.2 and 1.3 with this certificate chain and key.
///
/// # Errors
/// If a file cannot be read, has the wrong content, or the two do not match.
pub(super) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let unfit = |name: &'static str, path: &Path| {
        let path = path.to_owned();
        move |reason: String| TlsError::File {
            key: name,
            path,
            reason,
        }
    };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain = chain.map_err(|error| error.to_string());
    let chain = chain.and_then(|chain| match chain.len() {
        0 => Err("it holds no certificate".to_owned()),
        _ => Ok(chain),
    });
    let chain = chain.map_err(unfit("http.tls_certificate", certificate))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| error.to_string());
    let private = private.map_err(unfit("http.tls_key", key))?;
    warn_if_open(key);
    let mismatch = |source| TlsError::Mismatch {
        path: certificate.to_owned(),
        source,
    };
    let provider = Arc::new(ring::default_provider());
    let config =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(mismatch)?.with_no_client_auth();
    let mut config = config.with_single_cert(chain, private).map_err(mismatch)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Warns if others can read the key, which would let them impersonate this server.
fn warn_if_open(key: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode: io::Result<u32> = std::fs::metadata(key).map(|meta| meta.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o007 != 0) {
        tracing::warn!(
            file = %key.display(),
            "http.tls_key is readable by every user of this machine; run chmod o-rwx on it"
        );
    }
}
