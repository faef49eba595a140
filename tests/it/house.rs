//! The rules of the house that a machine can check.

use std::fs;
use std::path::{Path, PathBuf};

use crate::layers::sources;

/// A file that is longer holds more than one idea.
const LINES_AT_MOST: usize = 500;

fn root(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Text before the unit tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

#[test]
fn every_file_says_what_it_is_for_and_stays_short() {
    for path in sources() {
        let text = fs::read_to_string(&path).expect("text");
        assert!(text.starts_with("//!"), "{}: no module doc", path.display());
        let lines = text.lines().count();
        assert!(lines <= LINES_AT_MOST, "{}: {lines} lines", path.display());
    }
}

#[test]
fn no_panic_is_reachable_from_input() {
    let words = [
        ".unwrap()",
        ".expect(",
        "panic!(",
        "unimplemented!(",
        "todo!(",
    ];
    // A module of tests in a file of its own.
    let is_tests = |path: &PathBuf| path.ends_with("tests.rs");
    for path in sources().into_iter().filter(|path| !is_tests(path)) {
        let text = fs::read_to_string(&path).expect("text");
        for (number, line) in without_tests(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or(line);
            for word in words {
                assert!(
                    !code.contains(word),
                    "{}:{}: {word}",
                    path.display(),
                    number + 1
                );
            }
        }
    }
}

#[test]
fn unsafe_code_has_its_argument_beside_it() {
    for path in sources() {
        let text = fs::read_to_string(&path).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or(line);
            if code.contains("unsafe {") || code.contains("unsafe impl") {
                let before = &lines[number.saturating_sub(8)..number];
                let argued = before.iter().any(|line| line.contains("SAFETY:"));
                assert!(argued, "{}:{}", path.display(), number + 1);
            }
        }
    }
}

#[test]
fn every_dependency_has_its_reason() {
    for manifest in [
        "Cargo.toml",
        "crates/core/Cargo.toml",
        "crates/lab/Cargo.toml",
        "crates/plot/Cargo.toml",
    ] {
        reasons(&root(manifest));
    }
}

fn reasons(text: &str) {
    let table = text.split("[dependencies]").nth(1).expect("dependencies");
    let table = table.split("\n[").next().expect("a table");
    let mut commented = false;
    let mut in_group = false;
    for line in table.lines().filter(|line| !line.trim().is_empty()) {
        if line.starts_with('#') {
            commented = true;
        } else {
            // A second line of one family (serde, serde_json) shares the comment.
            assert!(commented || in_group, "no reason beside: {line}");
            in_group = commented;
            commented = false;
        }
    }
}

#[test]
fn the_change_log_knows_this_version() {
    assert!(root("CHANGELOG.md").contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn documents_name_no_machine() {
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "config/ojad.toml",
        ".ci/run",
        ".ci/test",
    ] {
        let text = root(name);
        for word in ["/root/", "/home/", "crates.io/api", "pypi.org"] {
            assert!(!text.contains(word), "{name}: {word}");
        }
    }
}
