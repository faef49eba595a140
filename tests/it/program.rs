//! Runs the real program.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Fashion-MNIST, 3,000 rows of 784 features.
pub const FASHION: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/data/fashion-sample.parquet"
);

pub fn ojad() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ojad"))
}

pub fn run<S: AsRef<OsStr>>(args: &[S]) -> Output {
    ojad().args(args).output().expect("the program starts")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Exit code and one message, neither a panic nor a signal.
pub fn refused(output: &Output, code: i32, parts: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

pub fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", stderr(output));
}

/// A snapshot of the Fashion-MNIST sample in a directory of its own.
pub fn fashion_model(directory: &Path, extra: &[&str]) -> PathBuf {
    let model = directory.join("model");
    let mut command = ojad();
    command.args([
        "fit", FASHION, "--id", "id", "--id", "label", "-k", "10", "--output",
    ]);
    succeeded(
        &command
            .arg(&model)
            .args(extra)
            .output()
            .expect("the program starts"),
    );
    model
}
