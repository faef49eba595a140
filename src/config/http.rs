//! The address of the HTTP server and the token of its clients, from the keys.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::keys::HttpKeys;
use crate::config::values::ControlKey;
use crate::config::{ConfigError, refuse};

/// The variable of the environment that holds the token, where no file does.
pub const TOKEN_VARIABLE: &str = "OJAD_HTTP_TOKEN";

/// Characters of a token that nobody guesses.
const TOKEN_LEAST: usize = 16;

/// Why the server would be open to people whom nobody meant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file with the token cannot be read.
    #[error("http.token_file {}: {source}; make it readable", path.display())]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// A token that can be guessed.
    #[error(
        "the HTTP token has fewer than {TOKEN_LEAST} characters; generate one with `openssl rand -hex 32`"
    )]
    Short,
    /// Other machines can reach the server, and no token keeps them out.
    #[error(
        "http.listen {listen} can be reached from other machines: set `http.token_file` to a file \
         with a token, set {TOKEN_VARIABLE}, or listen on 127.0.0.1"
    )]
    Open {
        /// The address.
        listen: SocketAddr,
    },
    /// Only a token says who may control the run.
    #[error(
        "http.control = \"token\" needs a token: set `http.token_file` to a file with one, or set {TOKEN_VARIABLE}"
    )]
    Control,
}

impl HttpKeys {
    /// The address to listen on, if there is to be a server.
    ///
    /// # Errors
    /// If that is no address with a port.
    pub fn address(&self) -> Result<Option<SocketAddr>, ConfigError> {
        let Some(listen) = &self.listen else {
            return Ok(None);
        };
        let localhost = listen.strip_prefix("localhost:");
        let port = localhost.and_then(|port| port.parse::<u16>().ok());
        if let Some(port) = port {
            return Ok(Some((Ipv4Addr::LOCALHOST, port).into()));
        }
        let address = listen.parse::<SocketAddr>();
        let remedy = "use an address and a port, such as \"127.0.0.1:8650\" or \"[::1]:8650\"";
        let address = address.map_err(|_| refuse("http.listen", listen, remedy))?;
        Ok(Some(address))
    }

    /// Files with the certificate chain and the private key, for a server that speaks TLS.
    pub fn tls(&self) -> Option<(&Path, &Path)> {
        self.tls_certificate.as_deref().zip(self.tls_key.as_deref())
    }

    /// The token that clients of a server on `listen` must send, from its file or else from the variable of
    /// the environment; nothing on loopback, if none is set.
    ///
    /// # Errors
    /// If it cannot be read, can be guessed, or is missing where it is needed.
    pub fn token(
        &self,
        listen: SocketAddr,
        variable: Option<String>,
    ) -> Result<Option<Arc<str>>, TokenError> {
        let token = match &self.token_file {
            Some(path) => {
                let text = std::fs::read_to_string(path);
                Some(text.map_err(|source| TokenError::Unreadable {
                    path: path.clone(),
                    source,
                })?)
            }
            None => variable,
        };
        let token: Option<Arc<str>> = token.map(|token| token.trim().into());
        match &token {
            Some(token) if token.len() < TOKEN_LEAST => Err(TokenError::Short),
            None if !listen.ip().is_loopback() => Err(TokenError::Open { listen }),
            None if self.control == ControlKey::Token => Err(TokenError::Control),
            _ => Ok(token),
        }
    }
}
