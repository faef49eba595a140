//! The keys of the HTTP server and their defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
use crate::config::plan::refuse;

/// What a run shows over HTTP, and to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
}

impl HttpKeys {
    /// Where to listen, if anywhere.
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
}
