//! `ojad state`: the content of a checkpoint, and whether it is intact.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;

use crate::checkpoint::{Checkpoint, CheckpointError, Recorded, RunFile, Store};
use crate::cli::{CliError, print};
use crate::daemon::run::{Restored, files_of, inspect};
use crate::disk::RealDisk;
use crate::source::follow::{FileState, IngestState};

/// Reads checkpoints of `ojad run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ojad state inspect /var/lib/ojad/state
  ojad state inspect state/checkpoint-000000000012 --json
  ojad state verify state

FILE is a checkpoint, or a state directory: then its newest whole checkpoint.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints what a checkpoint holds.
    Inspect {
        /// A checkpoint or a state directory.
        #[arg(value_name = "FILE")]
        path: PathBuf,
        /// Print JSON instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// Verifies every byte of a checkpoint, or of all checkpoints in a directory.
    Verify {
        /// A checkpoint or a state directory.
        #[arg(value_name = "FILE")]
        path: PathBuf,
    },
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    match &args.command {
        Command::Inspect { path, json } => {
            let (file, checkpoint) = newest(path)?;
            let (found, state) = whole(&file, &checkpoint)?;
            if *json {
                let text = serde_json::to_string_pretty(&found);
                let text = text.map_err(|error| CliError::Failed(error.to_string()))?;
                print(&(text + "\n"))
            } else {
                print(&lines(&found, &state))
            }
        }
        Command::Verify { path } => verify(path),
    }
}

fn unfit(path: &Path, reason: &str) -> CliError {
    CliError::Failed(format!("{}: {reason}", path.display()))
}

fn read(path: &Path) -> Result<Checkpoint, CliError> {
    let bytes = std::fs::read(path).map_err(|error| unfit(path, &error.to_string()))?;
    Checkpoint::decode(&bytes, path).map_err(|error| CliError::Failed(error.to_string()))
}

/// Content of the checkpoint at `path`, with the files it names.
fn whole(path: &Path, checkpoint: &Checkpoint) -> Result<(Restored, IngestState), CliError> {
    let (found, mut state) = inspect(checkpoint).map_err(|reason| unfit(path, &reason))?;
    if state.files.is_empty() {
        let directory = path.parent().unwrap_or(Path::new(""));
        let files = files_of(checkpoint, directory, &RealDisk);
        state.files = files.map_err(|error| CliError::Failed(error.to_string()))?;
    }
    Ok((found, state))
}

/// The checkpoint at `path`, or the newest intact one in a directory.
pub(super) fn newest(path: &Path) -> Result<(PathBuf, Checkpoint), CliError> {
    if !path.is_dir() {
        return Ok((path.to_owned(), read(path)?));
    }
    let failed = |error: CheckpointError| CliError::Failed(error.to_string());
    let mut found: Vec<PathBuf> = generations(path)?;
    // Newest first, because the daemon would resume from the same one.
    found.reverse();
    let mut reasons = Vec::new();
    for path in found {
        match read(&path) {
            Ok(checkpoint) => return Ok((path, checkpoint)),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    if reasons.is_empty() {
        // The error of the store says what a state directory is.
        let disk = Arc::new(RealDisk);
        Store::open(path, disk).map_err(failed)?;
        return Err(unfit(
            path,
            "no checkpoint here; name the `state.dir` of a run",
        ));
    }
    Err(CliError::Failed(reasons.join("; ")))
}

fn generations(directory: &Path) -> Result<Vec<PathBuf>, CliError> {
    let entries = std::fs::read_dir(directory);
    let entries = entries.map_err(|error| unfit(directory, &error.to_string()))?;
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("checkpoint-")
        })
        .collect();
    paths.sort();
    Ok(paths)
}

fn verify(path: &Path) -> Result<(), CliError> {
    let paths = if path.is_dir() {
        generations(path)?
    } else {
        vec![path.to_owned()]
    };
    if paths.is_empty() {
        return Err(unfit(
            path,
            "no checkpoint here; name the `state.dir` of a run",
        ));
    }
    let (mut text, mut bad) = (String::new(), Vec::new());
    let mut runs = BTreeSet::new();
    for path in &paths {
        let verdict = read(path).and_then(|checkpoint| whole(path, &checkpoint));
        match verdict {
            Ok((found, _)) => {
                text.push_str(&format!(
                    "{}: whole, {} rows learned, run {}\n",
                    path.display(),
                    found.rows_learned,
                    run_of(&found)
                ));
                if let Some(run) = found.meta.run_id {
                    runs.insert(run.to_string());
                }
            }
            Err(error) => bad.push(error.to_string()),
        }
    }
    if path.is_dir() {
        let failed = |error: CheckpointError| error.to_string();
        let said = RunFile::read(path, &RealDisk).map_err(failed);
        let recorded = Recorded::read(path, &RealDisk).map_err(failed);
        let said = said.map(|file| file.map(|file| file.run_id));
        for part in [said, recorded.map(|recorded| recorded.run)] {
            match part {
                Ok(run) => runs.extend(run.map(|run| run.to_string())),
                Err(error) => bad.push(error),
            }
        }
    }
    if runs.len() > 1 {
        let runs: Vec<String> = runs.into_iter().collect();
        bad.push(format!(
            "{}: parts of several runs ({}); restore the files that belong together",
            path.display(),
            runs.join(", ")
        ));
    }
    // The intact checkpoints are listed even if others are damaged.
    print(&text)?;
    if bad.is_empty() {
        Ok(())
    } else {
        Err(CliError::Failed(bad.join("; ")))
    }
}

/// The id of the run, in words.
fn run_of(found: &Restored) -> String {
    let unknown = || "none: written before runs had ids".to_owned();
    found
        .meta
        .run_id
        .map_or_else(unknown, |run| run.to_string())
}

/// Number of files listed: the latest ones.
const SHOWN: usize = 20;

fn lines(found: &Restored, state: &IngestState) -> String {
    let mut text = format!(
        "run           {}\n\
         written       {} s after 1970 by ojad {}\n\
         decision      {}\n\
         features      {}\n\
         rows learned  {}\n\
         rows waiting  {}\n\
         rows read     {} ({} rejected)\n\
         short         {} minibatches learned before they were full\n\
         files         {} remembered, {} refused so far\n\
         state         sha256 {}\n",
        run_of(found),
        found.meta.written_unix_s,
        found.meta.ojad_version,
        found.sequence,
        found.features,
        found.rows_learned,
        found.rows_waiting,
        found.rows_read,
        found.rows_rejected,
        found.flushes,
        found.files,
        found.quarantined,
        found.state_sha256,
    );
    if found.pushed > 0 {
        let keys = found.pushed;
        text.push_str(&format!("pushed        {keys} keys remembered\n"));
    }
    if let Some((path, rows)) = &found.reading {
        let path = path.escape_debug();
        text.push_str(&format!("reading       {path}, {rows} rows in\n"));
    }
    for (name, bytes) in &found.sections {
        text.push_str(&format!("section       {name}, {bytes} bytes\n"));
    }
    for (_, entry) in state.files.iter().rev().take(SHOWN) {
        let what = match entry.state {
            FileState::Done => "done",
            FileState::Growing => "growing",
            FileState::Quarantined => "refused",
        };
        let path = entry.path.to_string_lossy();
        let path = path.escape_debug();
        text.push_str(&format!(
            "file          {path}, {} rows, {what}\n",
            entry.rows
        ));
    }
    if state.files.len() > SHOWN {
        let more = state.files.len() - SHOWN;
        text.push_str(&format!("              and {more} older ones\n"));
    }
    text
}
