//! The face of the library: which names it has, and that each type shows how it is used.
//!
//! A name that is added or removed here is a decision about the library's version.

#![allow(clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every public name of the crate without the feature `internals`.
const FACE: [&str; 34] = [
    "ArrowRows",
    "ArrowRowsError",
    "BuildError",
    "Cells",
    "Certainty",
    "CodecError",
    "Estimate",
    "Forgetting",
    "Lane",
    "LearnError",
    "LearnerParams",
    "LinalgError",
    "Limits",
    "MergeError",
    "Merged",
    "Method",
    "Missing",
    "NoiseModel",
    "NoiseRule",
    "ParetoTail",
    "Pca",
    "PcaBuilder",
    "Penalty",
    "Precision",
    "Projection",
    "ReferenceDistribution",
    "ScoreBuffers",
    "Rows",
    "Rule",
    "Scale",
    "Scores",
    "Step",
    "Unresolved",
    "UpdateError",
];

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("text")
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All Rust files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").flatten();
    entries
        .flat_map(|entry| {
            let path = entry.path();
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn the_face_has_these_names_and_no_others() {
    let text = text(&source().join("lib.rs"));
    let code: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("//"))
        .collect();
    let mut names = BTreeSet::new();
    let code = code.join("\n");
    for statement in code.split(';') {
        let Some((before, public)) = statement.split_once("pub ") else {
            continue;
        };
        if before.contains("#[cfg(feature = \"internals\")]") {
            continue;
        }
        let used = public
            .strip_prefix("use ")
            .expect("the face only names what is below it");
        let (_, last) = used.rsplit_once("::").expect("a path");
        assert_ne!(last.trim(), "*");
        let last = last.trim_matches(['{', '}']);
        names.extend(
            last.split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty()),
        );
    }
    assert_eq!(names, BTreeSet::from(FACE).iter().copied().collect());
}

#[test]
fn every_type_of_the_face_has_an_example() {
    let texts: Vec<String> = files(&source()).iter().map(|path| text(path)).collect();
    for name in FACE {
        let heads = [format!("pub struct {name}"), format!("pub enum {name}")];
        let is_head = |line: &str| {
            let rest = heads
                .iter()
                .find_map(|head| line.strip_prefix(head.as_str()));
            rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        };
        let docs = texts.iter().find_map(|text| {
            let lines: Vec<&str> = text.lines().collect();
            let at = lines.iter().position(|line| is_head(line))?;
            // Attributes may go over several lines.
            let is_head = |line: &&&str| {
                let starts = ["///", "#[", "    ", ")]"];
                starts.iter().any(|start| line.starts_with(start))
            };
            let docs = lines[..at].iter().rev().take_while(is_head);
            Some(docs.copied().collect::<Vec<_>>())
        });
        let docs = docs.unwrap_or_else(|| panic!("{name} is not defined"));
        assert!(docs.contains(&"/// ```"), "{name} has no example");
    }
}
