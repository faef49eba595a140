//! The keys of the HTTP server and their defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

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

/// Keys of the HTTP server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpKeys {
    /// Address and port; unset: no server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// File with the token that clients must send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Names by which clients call the server.
    pub hosts: Vec<String>,
    /// File with the certificate chain (PEM); unset: no TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_certificate: Option<PathBuf>,
    /// File with its private key (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// Connections at a time.
    pub connections: usize,
    /// Requests a second of one client.
    pub requests_per_s: u32,
    /// Bytes of the body of a request, MiB.
    pub body_mib: u64,
    /// Bytes of a body that must come in a second.
    pub body_least_bytes_per_s: u64,
    /// Rows that a request may have scored.
    pub score_rows: u64,
    /// Whether snapshots and reloads can be asked for.
    pub control: ControlKey,
    /// Id column by which the page colours rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Height and width of the image that the features are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature_shape: Option<[usize; 2]>,
    /// Standard error of directions at which a run counts as converged, degrees.
    pub target_angle_deg: f64,
}

impl Default for HttpKeys {
    fn default() -> Self {
        Self {
            listen: None,
            token_file: None,
            hosts: Vec::new(),
            tls_certificate: None,
            tls_key: None,
            connections: 1024,
            requests_per_s: 200,
            body_mib: 64,
            body_least_bytes_per_s: 1024,
            score_rows: 1_000_000,
            control: ControlKey::default(),
            label: None,
            feature_shape: None,
            target_angle_deg: 5.0,
        }
    }
}

/// Whether clients may tell a run what to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ControlKey {
    /// Nobody may.
    #[default]
    Off,
    /// Whoever has the token.
    Token,
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

    /// Refuses what does not fit together.
    ///
    /// # Errors
    /// Names the key.
    pub(super) fn check(&self, ids: &[String]) -> Result<(), ConfigError> {
        self.address()?;
        if let Some(label) = self.label.as_ref().filter(|label| !ids.contains(*label)) {
            let remedy = "name one of `features.ids`: a label cannot also be a feature";
            return Err(refuse("http.label", label, remedy));
        }
        let angle = self.target_angle_deg;
        if !(angle > 0.0 && angle <= 90.0) {
            let remedy = "use more than 0 and at most 90 degrees";
            return Err(refuse("http.target_angle_deg", angle, remedy));
        }
        if self.feature_shape.is_some_and(|shape| shape.contains(&0)) {
            let remedy = "use two numbers whose product is the number of features";
            return Err(refuse("http.feature_shape", "[0]", remedy));
        }
        for (key, one, other) in [
            ("http.tls_key", &self.tls_certificate, &self.tls_key),
            ("http.tls_certificate", &self.tls_key, &self.tls_certificate),
        ] {
            if one.is_some() && other.is_none() {
                let remedy = "name both files, or neither";
                return Err(ConfigError::Missing { key, remedy });
            }
        }
        Ok(())
    }
}
