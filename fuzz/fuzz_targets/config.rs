//! Configurations: one that is taken makes a plan or says which key is wrong.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ojad::config::{Plan, load};
use ojad::daemon::run::RunParams;

fuzz_target!(|bytes: &[u8]| {
    let Ok(directory) = tempfile() else { return };
    let path = directory.join("fuzz.toml");
    if std::fs::write(&path, bytes).is_err() {
        return;
    }
    if let Ok(loaded) = load(Some(&path), std::iter::empty()) {
        let _ = Plan::try_from(&loaded.config);
        let _ = RunParams::try_from(&loaded.config);
    }
});

/// A directory of this process.
fn tempfile() -> std::io::Result<std::path::PathBuf> {
    let directory = std::env::temp_dir().join(format!("ojad-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}
