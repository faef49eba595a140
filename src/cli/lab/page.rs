//! `ojad lab`: the interactive page.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crate::cli::{CliError, print};
use crate::daemon::Shutdown;
use crate::http::HttpError;
use crate::lab;

/// The time between two checks for a signal.
const LOOK: Duration = Duration::from_millis(50);

/// The address of the page.
// No group of its own: two that are called `Args` cannot stand beside each other.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    /// Loopback address and port of the page; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = loopback)]
    listen: SocketAddr,
}

/// Parses a loopback address: the page needs no token, so it must not be reachable by others.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let named = text.strip_prefix("localhost:");
    let text = named.map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "use an address with a port, such as 127.0.0.1:8080".to_owned())?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(format!(
        "{} is not a loopback address, and the page does not ask for a token; use 127.0.0.1:{}",
        address.ip(),
        address.port()
    ))
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let failed = |error: HttpError| match error {
        // The daemon's key is no argument here.
        HttpError::Listen { listen, source } => CliError::Failed(format!(
            "--listen {listen}: {source}; choose a free port, or 0 for any"
        )),
        other => CliError::Failed(other.to_string()),
    };
    let shutdown = Shutdown::on_signals()
        .map_err(|error| CliError::Failed(format!("cannot install signal handlers: {error}")))?;
    let server = lab::serve(args.listen).map_err(failed)?;
    print(&format!("http://{}/\n", server.address()))?;
    while !shutdown.is_requested() {
        thread::sleep(LOOK);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::loopback;

    #[test]
    fn the_arguments_stand_beside_the_commands() {
        crate::cli::Cli::command().debug_assert();
    }

    #[test]
    fn only_loopback_is_listened_on() {
        for good in ["127.0.0.1:0", "127.0.0.2:8080", "[::1]:0", "localhost:80"] {
            assert!(loopback(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("0.0.0.0:8080", "use 127.0.0.1:8080"),
            ("[::]:0", "not a loopback address"),
            ("192.0.2.1:80", "not a loopback address"),
            ("127.0.0.1", "with a port"),
            ("example.org:80", "with a port"),
        ] {
            let said = loopback(bad).expect_err(bad);
            assert!(said.contains(why), "{bad}: {said}");
        }
    }
}
