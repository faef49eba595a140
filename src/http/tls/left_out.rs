//! A certificate where the program was built without TLS: refused before anything starts.

use std::future::Ready;
use std::io;
use std::path::{Path, PathBuf};

use tokio::net::TcpStream;

/// This program was built without TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The configuration names a certificate.
    #[error(
        "http.tls_certificate {}: TLS is not part of this build; build with the feature `tls`, or \
         put a TLS proxy in front of it", path.display()
    )]
    LeftOut {
        /// Path of the certificate.
        path: PathBuf,
    },
}

/// Never made.
#[derive(Clone, Debug)]
pub(super) enum TlsAcceptor {}

impl TlsAcceptor {
    /// The connection under TLS: there is never an acceptor to ask.
    pub fn accept(&self, _: TcpStream) -> Ready<io::Result<TcpStream>> {
        match *self {}
    }
}

/// Refuses the certificate.
///
/// # Errors
/// Always: names the file and the feature.
pub(super) fn acceptor(certificate: &Path, _: &Path) -> Result<TlsAcceptor, TlsError> {
    Err(TlsError::LeftOut {
        path: certificate.to_owned(),
    })
}
