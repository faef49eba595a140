//! Queries a daemon on a separate thread, with limits on time and size.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use serde::de::DeserializeOwned;
use tokio_rustls::rustls::crypto::ring;
use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::heard::{Page, Status, clean};
use crate::cli::CliError;

/// Seconds to wait for an answer. A daemon on the same machine answers in milliseconds; one that
/// takes longer than this is as good as gone.
const ANSWER_S_MAX: u64 = 5;
/// Largest answer in bytes: a full history (1,024 points with 16 eigenvalues) takes a tenth of it.
const ANSWER_BYTES_MAX: u64 = 8 << 20;
/// The status and the log are requested as often as the web page refreshes them.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// Everything else changes slowly, so it is requested only once per this many statuses.
const REST_EVERY: u32 = 5;
/// Number of rates kept if the daemon has no history: ten minutes' worth.
const RATES_MAX: usize = 600;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(
        "the daemon requires a token (401): name its file with --token-file, or set OJAD_HTTP_TOKEN"
    )]
    Token,
    #[error("{0}; is `ojad run` running there with `http.listen` set? Give its address with --url")]
    Unreachable(String),
    #[error("the certificate is not trusted: {0}; name the authority that signed it with --ca")]
    Untrusted(String),
    #[error("{path}: status {status}{detail}")]
    Status {
        path: String,
        status: u16,
        detail: String,
    },
    #[error("{path}: not an answer from ojad: {what}; give the daemon's address with --url")]
    Strange { path: String, what: String },
}

/// Address of a daemon, and the credentials it requires.
pub(super) struct Client {
    agent: Agent,
    base: String,
    bearer: Option<String>,
}

impl Client {
    /// Checks the URL and reads the certificates; sends nothing yet.
    pub fn new(url: &str, token: Option<&str>, ca: Option<&Path>) -> Result<Self, CliError> {
        let usage = |why: &str| CliError::Usage(format!("--url {}: {why}", clean(url)));
        let is_tls = url.starts_with("https://");
        if !is_tls && !url.starts_with("http://") {
            return Err(usage("start it with http:// or https://"));
        }
        if is_tls && ca.is_none() {
            return Err(usage("name the certificate to trust with --ca FILE"));
        }
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // The token is for this daemon: it goes to no other place, through no proxy.
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(ANSWER_S_MAX)));
        if let Some(path) = ca {
            let roots = certificates(path)
                .map_err(|why| CliError::Failed(format!("--ca {}: {why}", path.display())))?;
            let tls = TlsConfig::builder()
                .root_certs(roots)
                .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()));
            config = config.tls_config(tls.build());
        }
        Ok(Self {
            agent: config.build().new_agent(),
            base: url.trim_end_matches('/').to_owned(),
            bearer: token.map(|token| format!("Bearer {token}")),
        })
    }

    /// One answer; `None` where the daemon has none (yet).
    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Fault> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(bearer) = &self.bearer {
            request = request.header("Authorization", bearer);
        }
        let mut answer = request.call().map_err(|error| unreachable(&error))?;
        let status = answer.status().as_u16();
        // Limited, because whatever answers at this address need not be ojad.
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let body = body.read_to_vec().map_err(|error| unreachable(&error))?;
        let path = path.to_owned();
        match status {
            200 => serde_json::from_slice(&body).map(Some).map_err(|error| {
                let what = clean(&error.to_string());
                Fault::Strange { path, what }
            }),
            401 => Err(Fault::Token),
            // The resource does not exist yet, or not in this version; that part of the page stays
            // empty.
            404 | 503 => Ok(None),
            _ => {
                let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                let detail = problem["detail"].as_str().map(clean);
                let detail = detail.map_or_else(String::new, |detail| format!(": {detail}"));
                Err(Fault::Status {
                    path,
                    status,
                    detail,
                })
            }
        }
    }

    /// Everything, requested once.
    pub fn page(&self) -> Result<Page, Fault> {
        let mut page = Page {
            url: clean(&self.base),
            ..Page::default()
        };
        self.renew(&mut page, true)?;
        Ok(page)
    }

    fn renew(&self, page: &mut Page, with_rest: bool) -> Result<(), Fault> {
        let path = "/api/v1/status";
        let Some(status) = self.get::<Status>(path)? else {
            return Err(Fault::Strange {
                path: path.to_owned(),
                what: "no such page".to_owned(),
            });
        };
        page.heard_at = Some(Instant::now());
        if page.rates.len() == RATES_MAX {
            page.rates.remove(0);
        }
        page.rates.push(status.rows_per_s.unwrap_or(0.0));
        page.status = Some(status);
        page.log = self.get("/api/v1/log")?;
        if with_rest {
            page.components = self.get("/api/v1/components?vectors=none")?;
            page.history = self.get("/api/v1/history")?;
        }
        Ok(())
    }

    /// Keeps querying until the receiver is dropped: pages arrive on the receiver, and a message on
    /// the sender triggers a query at once.
    pub fn watch(self) -> std::io::Result<(Receiver<Page>, Sender<()>)> {
        let (pages_in, pages) = bounded(1);
        let (nudge, nudges) = bounded(1);
        std::thread::Builder::new()
            .name("top-client".to_owned())
            .spawn(move || self.ask_on(&pages_in, &nudges))?;
        Ok((pages, nudge))
    }

    fn ask_on(&self, pages: &Sender<Page>, nudges: &Receiver<()>) {
        let mut page = Page {
            url: clean(&self.base),
            ..Page::default()
        };
        let mut round = 0;
        loop {
            match self.renew(&mut page, round == 0) {
                Ok(()) => page.lost = None,
                Err(fault) => {
                    // The time of the first failure, not of the last.
                    let since = page.lost.as_ref().map_or_else(Instant::now, |(at, _)| *at);
                    page.lost = Some((since, fault.to_string()));
                }
            }
            // After a silence everything is asked for again: the daemon may be another.
            round = if page.lost.is_some() {
                0
            } else {
                (round + 1) % REST_EVERY
            };
            // A page that was not looked at yet is followed by a newer one soon.
            if let Err(TrySendError::Disconnected(_)) = pages.try_send(page.clone()) {
                return;
            }
            match nudges.recv_timeout(STATUS_EVERY) {
                Ok(()) => round = 0,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

fn unreachable(error: &ureq::Error) -> Fault {
    let text = clean(&error.to_string());
    let is_untrusted = match error {
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => true,
        // rustls hands its errors through the connection.
        ureq::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    };
    if is_untrusted {
        Fault::Untrusted(text)
    } else {
        Fault::Unreachable(text)
    }
}

fn certificates(path: &Path) -> Result<RootCerts, String> {
    let text = std::fs::read(path).map_err(|error| format!("{error}; make it readable"))?;
    let mut found = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(one) = item.map_err(|error| error.to_string())? {
            found.push(one);
        }
    }
    if found.is_empty() {
        return Err("it holds no certificate; name a PEM file with one".to_owned());
    }
    Ok(RootCerts::new_with_certs(&found))
}
