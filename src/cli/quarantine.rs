//! `ojad quarantine`: files that were refused.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use crate::cli::state::newest;
use crate::cli::{CliError, print};
use crate::daemon::run::inspect;
use crate::source::follow::Quarantined;

/// Lists the files that `ojad run` refused, and retries them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ojad quarantine list --state /var/lib/ojad/state
  ojad quarantine retry 17 --state /var/lib/ojad/state
  ojad quarantine retry --all --state /var/lib/ojad/state

The list is that of the newest checkpoint. A retry continues after the rows already learned from the
file. A file that is rewritten under the same name is retried without this command. A running daemon
acts on the request at its next scan; otherwise the next run does.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the refused files, with the rows learned from each and the reason.
    List {
        /// The `state.dir` of the run.
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        /// Print JSON instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// Retries refused files.
    Retry {
        /// Numbers of the files, as `ojad quarantine list` shows them.
        #[arg(value_name = "NUMBER", required_unless_present = "all")]
        files: Vec<u64>,
        /// Retry all of them.
        #[arg(long)]
        all: bool,
        /// The `state.dir` of the run.
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
    },
}

/// An entry as `--json` prints it.
#[derive(Serialize)]
struct Entry {
    file: u64,
    path: String,
    rows_taken: u64,
    reason: String,
    at_unix_s: u64,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    match &args.command {
        Command::List { state, json } => list(&entries(state)?, *json),
        Command::Retry { files, all, state } => {
            let known: Vec<u64> = entries(state)?.iter().map(|entry| entry.file).collect();
            let files = if *all { &known } else { files };
            for file in files {
                // All numbers are checked before the first request is written, so that either all
                // are retried or none.
                if !known.contains(file) {
                    return Err(CliError::Failed(format!(
                        "{file}: no refused file has this number; see `ojad quarantine list`"
                    )));
                }
            }
            let directory = state.join("retry");
            let failed = |error: std::io::Error| {
                CliError::Failed(format!(
                    "{}: {error}; make it writable",
                    directory.display()
                ))
            };
            std::fs::create_dir_all(&directory).map_err(failed)?;
            for file in files {
                std::fs::write(directory.join(file.to_string()), []).map_err(failed)?;
            }
            print(&format!("{} will be retried\n", files.len()))
        }
    }
}

fn entries(state: &std::path::Path) -> Result<Vec<Quarantined>, CliError> {
    let (path, checkpoint) = newest(state)?;
    let (_, state) = inspect(&checkpoint)
        .map_err(|reason| CliError::Failed(format!("{}: {reason}", path.display())))?;
    Ok(state.quarantine.into())
}

fn list(entries: &[Quarantined], json: bool) -> Result<(), CliError> {
    let entries = entries.iter().map(|entry| Entry {
        file: entry.file,
        path: entry.path.to_string_lossy().into_owned(),
        rows_taken: entry.rows,
        reason: entry.refusal.reason.clone(),
        at_unix_s: entry.at_unix_s,
    });
    if json {
        let entries: Vec<Entry> = entries.collect();
        let text = serde_json::to_string_pretty(&entries);
        let text = text.map_err(|error| CliError::Failed(error.to_string()))?;
        return print(&(text + "\n"));
    }
    let mut text = String::new();
    for entry in entries {
        text.push_str(&format!(
            "{}  {}  {} rows learned  {}\n",
            entry.file,
            entry.path.escape_debug(),
            entry.rows_taken,
            entry.reason.escape_debug()
        ));
    }
    if text.is_empty() {
        text.push_str("no files were refused\n");
    }
    print(&text)
}
