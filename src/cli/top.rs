//! `ojad top`: what a daemon is doing, in a terminal.
//!
//! In: the answers of a daemon's HTTP server. Out: a page that refreshes itself, or with `--once`
//! the same as plain text. Keys never wait for the network, because requests run on a separate
//! thread (`client.rs`). Refuses TLS without a trusted authority, and the live page without a
//! terminal.

mod client;
mod draw;
mod heard;
mod lines;
mod look;
mod pictures;
mod screen;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use client::Client;
use look::Look;

use crate::cli::{CliError, is_unicode, print};
use crate::config::TOKEN_VARIABLE;

/// Width of a printed page: it fits any terminal or e-mail.
const PRINTED_COLUMNS: usize = 80;

/// Shows what a daemon is doing: rows, lag, components, drift, log.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ojad top                                        the daemon on this machine
  ojad top --url http://127.0.0.1:9000 --once     one page of text, for scripts
  ojad top --url https://plant.example:8650 --ca ca.pem --token-file token

Keys: q, Esc or Ctrl-C quits; r refreshes; Tab switches between overview, components and log; arrows,
PgUp, PgDn, Home and End scroll; ? shows help. NO_COLOR=1 turns colours off.
The daemon's address is `http.listen` in its configuration.")]
pub struct Args {
    /// Address of the daemon.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8650")]
    url: String,
    /// File with the daemon's token. Default: the variable `OJAD_HTTP_TOKEN`.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// CA certificates (PEM), one of which signed the daemon's; required for https.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Print one page of plain text and exit.
    #[arg(long)]
    once: bool,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let client = Client::new(&args.url, token(args)?.as_deref(), args.ca.as_deref())?;
    if args.once {
        let page = client
            .page()
            .map_err(|fault| CliError::Failed(format!("{}: {fault}", heard::clean(&args.url))))?;
        let look = Look {
            unicode: is_unicode(),
            colour: false,
        };
        return print(&lines::printed(&page, look, PRINTED_COLUMNS));
    }
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(CliError::Usage(
            "`ojad top` needs a terminal; `ojad top --once` prints a page".to_owned(),
        ));
    }
    let is_plain = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let look = Look {
        unicode: is_unicode(),
        colour: !is_plain("NO_COLOR"),
    };
    screen::show(client, look)
        .map_err(|error| CliError::Failed(format!("the terminal cannot be used: {error}")))
}

fn token(args: &Args) -> Result<Option<String>, CliError> {
    let token = match &args.token_file {
        Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
            let path = path.display();
            CliError::Failed(format!("--token-file {path}: {error}; make it readable"))
        })?),
        None => std::env::var(TOKEN_VARIABLE).ok(),
    };
    let token = token.map(|token| token.trim().to_owned());
    Ok(token.filter(|token| !token.is_empty()))
}
