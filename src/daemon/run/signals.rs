//! Signals → commands.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::daemon::run::messages::Command;

/// Most waiting commands: more of the same kind would add nothing.
const WAITING_MOST: usize = 8;

/// SIGTERM and SIGINT stop, a second one ends the process at once; SIGHUP reloads, SIGUSR1 asks for a
/// snapshot.
///
/// # Errors
/// If the system refuses the handlers or the thread.
pub fn commands() -> io::Result<Receiver<Command>> {
    let stopped = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // First, so that it acts on a flag that an earlier signal raised.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stopped))?;
        flag::register(signal, Arc::clone(&stopped))?;
    }
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
    let (to, from) = bounded(WAITING_MOST);
    thread::Builder::new()
        .name("ojad-signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                let command = match signal {
                    SIGHUP => Command::Reload,
                    SIGUSR1 => Command::Snapshot,
                    _ => Command::Stop,
                };
                let sent = if command == Command::Stop {
                    to.send(command).map_err(drop)
                } else {
                    to.try_send(command).map_err(drop)
                };
                if sent.is_err() && command == Command::Stop {
                    return;
                }
            }
        })?;
    Ok(from)
}
