//! Arguments → call → exit code. Only this module prints, logs a fatal error or chooses an exit
//! code: 0 done; 1 failed; 2 usage; 78 bad configuration.

mod check;
mod columns;
mod completions;
mod faults;
mod fit;
#[cfg(feature = "lab")]
mod lab;
#[cfg(not(all(feature = "lab", feature = "plot", feature = "top")))]
mod left_out;
mod merge;
mod overrides;
mod progress;
mod quarantine;
mod run;
mod show;
mod state;
mod synth;
mod table_file;
#[cfg(feature = "top")]
mod top;
mod transform;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::config::SourceKeys;
use crate::source::SourceParams;
use crate::source::worker::{Subprocess, SubprocessParams};
use crate::text::bounded;

/// The failure of a command; the message names the place, the value and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// The work failed: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// The arguments are invalid: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The configuration is invalid: exit code 78 (`EX_CONFIG` of sysexits.h).
    #[error("{0}")]
    BadConfig(String),
}

impl CliError {
    /// The exit code of this failure.
    pub fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::BadConfig(_) => 78,
        }
    }
}

/// Principal components of data that never ends.
#[derive(Debug, Parser)]
#[command(name = "ojad", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Fit(fit::Args),
    Run(run::Args),
    #[cfg(feature = "top")]
    Top(top::Args),
    /// Left out of this program: build it with the feature `top`.
    #[cfg(not(feature = "top"))]
    Top(left_out::Args),
    State(state::Args),
    Quarantine(quarantine::Args),
    Show(show::Args),
    Transform(transform::Args),
    Merge(merge::Args),
    Check(check::Args),
    Synth(synth::Args),
    #[cfg(feature = "lab")]
    Lab(lab::Args),
    /// Left out of this program: build it with the feature `lab`.
    #[cfg(not(feature = "lab"))]
    Lab(left_out::Args),
    Completions(completions::Args),
    /// Decodes files for `fit` or `run`, which starts it.
    #[command(name = "decode-worker", hide = true)]
    DecodeWorker,
}

/// Parses the arguments, runs the command, and converts its result to an exit code.
pub fn main() -> ExitCode {
    // A panic in a decoder is caught and becomes an error, so it must not be printed as well.
    crate::source::quiet_decoder_panics();
    let cli = Cli::parse();
    let ended = match cli.command {
        Command::Fit(args) => fit::run(&args),
        Command::Run(args) => run::run(&args),
        #[cfg(feature = "top")]
        Command::Top(args) => top::run(&args),
        #[cfg(not(feature = "top"))]
        Command::Top(_) => Err(left_out::error("ojad top", "top")),
        Command::State(args) => state::run(&args),
        Command::Quarantine(args) => quarantine::run(&args),
        Command::DecodeWorker => crate::source::worker::serve()
            .map_err(|error| CliError::Failed(format!("decode-worker: {error}"))),
        Command::Show(args) => show::run(&args),
        Command::Transform(args) => transform::run(&args),
        Command::Merge(args) => merge::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Synth(args) => synth::run(&args),
        #[cfg(feature = "lab")]
        Command::Lab(args) => lab::run(&args),
        #[cfg(not(feature = "lab"))]
        Command::Lab(_) => Err(left_out::error("ojad lab", "lab")),
        Command::Completions(args) => completions::run(&args),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error.to_string());
            ExitCode::from(error.code())
        }
    }
}

/// A process that decodes files.
fn worker(keys: &SourceKeys, source: &SourceParams) -> Result<Subprocess, CliError> {
    let program = std::env::current_exe().map_err(|error| CliError::Failed(error.to_string()))?;
    Ok(Subprocess::new(SubprocessParams {
        program,
        argument: "decode-worker",
        memory_mib: keys.worker_memory_mib,
        deadline: Duration::from_secs(keys.decode_deadline_s),
        source: source.clone(),
    }))
}

/// Environment variables that are valid UTF-8.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        // A variable that is not UTF-8 cannot be one of ours.
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Most bytes of a line on stderr: lists of files can be long, and names of columns even longer.
const LINE_BYTES_MAX: usize = 16 << 10;

/// Writes one line to stderr, shortened in the middle if very long; a closed stderr is not a reason
/// to fail.
fn say(message: &str) {
    use std::io::Write as _;
    let message = bounded(message.to_owned(), LINE_BYTES_MAX);
    let _ = writeln!(std::io::stderr(), "ojad: {message}");
}

/// Reports in one line what was left out of directories.
fn say_left_out(left: &crate::source::LeftOut) {
    if left.files > 0 {
        say(&left.to_string());
    }
}

/// Writes a result to stdout; a reader that closes the pipe has read enough.
fn print(text: &str) -> Result<(), CliError> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A closed pipe is not a failure: `ojad show … | head`.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(CliError::Failed(
            format!("cannot write to standard output: {error}"),
        )),
        _ => Ok(()),
    }
}

/// True if the locale says UTF-8.
fn is_unicode() -> bool {
    let of = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    of("LC_ALL")
        .or_else(|| of("LC_CTYPE"))
        .or_else(|| of("LANG"))
        .is_none_or(|locale| locale.to_lowercase().replace('-', "").contains("utf8"))
}
