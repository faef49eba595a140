//! A module uses only lower ranks.

use std::fs;
use std::path::{Path, PathBuf};

/// The rank table of `src/lib.rs`.
const RANKS: [(&str, u8); 17] = [
    ("linalg", 0),
    ("codec", 0),
    ("disk", 0),
    ("text", 0),
    ("rows", 1),
    ("source", 2),
    ("learner", 2),
    ("snapshot", 3),
    ("checkpoint", 3),
    ("synth", 3),
    ("config", 4),
    ("published", 4),
    ("http", 5),
    ("daemon", 5),
    ("lab", 6),
    ("cli", 7),
    ("lib", 8),
];

/// The same of `crates/core`: what its modules are made of.
const CORE: [(&str, u8); 8] = [
    ("linalg", 0),
    ("codec", 0),
    ("rows", 1),
    ("learner", 2),
    ("score", 3),
    ("arrow", 4),
    ("pca", 4),
    ("lib", 5),
];

/// The same of `crates/plot`.
const PLOT: [(&str, u8); 13] = [
    ("axis", 0),
    ("stroke", 0),
    ("text", 0),
    ("canvas", 1),
    ("bars", 2),
    ("plane", 2),
    ("shades", 2),
    ("images", 3),
    ("lines", 3),
    ("chart", 4),
    ("heat", 4),
    ("sheet", 5),
    ("lib", 6),
];

/// The same of `crates/lab`.
const LAB: [(&str, u8); 13] = [
    ("data", 0),
    ("align", 1),
    ("problem", 1),
    ("weights", 1),
    ("loss", 2),
    ("theory", 3),
    ("algorithm", 4),
    ("train", 5),
    ("compare", 6),
    ("figures", 6),
    ("scalar", 6),
    ("page", 7),
    ("lib", 8),
];

/// Directories of Rust files, with the ranks of the modules in them.
const ROOTS: [(&str, &[(&str, u8)]); 4] = [
    ("src", &RANKS),
    ("crates/core/src", &CORE),
    ("crates/lab/src", &LAB),
    ("crates/plot/src", &PLOT),
];

fn below(root: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(root)
}

/// All Rust files of the program and of its crates.
pub fn sources() -> Vec<PathBuf> {
    ROOTS
        .iter()
        .flat_map(|(root, _)| sources_of(root))
        .collect()
}

fn sources_of(root: &str) -> Vec<PathBuf> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&below(root), &mut found);
    found.sort();
    assert!(!found.is_empty(), "{root}");
    found
}

fn module_of(path: &Path, root: &str) -> String {
    let inside = path.strip_prefix(below(root)).expect("below the root");
    let first = inside
        .components()
        .next()
        .expect("a name")
        .as_os_str()
        .to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn rank(ranks: &[(&str, u8)], module: &str) -> Option<u8> {
    ranks
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, rank)| *rank)
}

#[test]
fn no_import_points_up() {
    for (root, ranks) in ROOTS {
        for path in sources_of(root) {
            let module = module_of(&path, root);
            if module == "main" {
                continue;
            }
            let own = rank(ranks, &module).unwrap_or_else(|| panic!("{module} has no rank"));
            let text = fs::read_to_string(&path).expect("text");
            for (number, line) in text.lines().enumerate() {
                for part in line.split("crate::").skip(1) {
                    let name: String = part
                        .chars()
                        .take_while(|c| c.is_alphanumeric() || *c == '_')
                        .collect();
                    let Some(other) = rank(ranks, &name) else {
                        continue;
                    };
                    assert!(
                        name == module || other < own,
                        "{}:{}: {module} (rank {own}) uses {name} (rank {other})",
                        path.display(),
                        number + 1,
                    );
                }
            }
        }
    }
}

/// The core is a library for whoever has rows in memory: no files, threads, sockets or clocks. The lab may
/// take times and compare networks side by side, and no more.
#[test]
fn the_core_and_the_lab_touch_nothing_outside_themselves() {
    let outside = ["std::fs", "std::net", "std::env", "std::process"];
    let idle = ["std::thread", "std::time"];
    for (root, words) in [
        ("crates/core/src", [&outside[..], &idle].concat()),
        ("crates/lab/src", outside.to_vec()),
    ] {
        for path in sources_of(root) {
            let text = fs::read_to_string(&path).expect("text");
            let code = text.split("#[cfg(test)]").next().unwrap_or(&text);
            for word in &words {
                assert!(!code.contains(word), "{}: {word}", path.display());
            }
        }
    }
}

/// A crate of the workspace that rested on the root would close a circle, which Cargo refuses only where it
/// is not through a test.
#[test]
fn no_crate_rests_on_the_root() {
    for name in ["core", "lab", "plot"] {
        let manifest = below(&format!("crates/{name}/Cargo.toml"));
        let text = fs::read_to_string(manifest).expect("a manifest");
        assert!(
            !text.lines().any(|line| line.starts_with("ojad =")),
            "{name}"
        );
    }
}

#[test]
fn the_map_names_every_module() {
    let map = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).expect("text");
    for (module, rank) in RANKS.iter().filter(|(module, _)| *module != "lib") {
        // A module that a feature leaves out cannot be linked to.
        let row = |name: String| map.contains(&format!("//! | {rank} | {name}"));
        assert!(
            row(format!("[`{module}`]")) || row(format!("`{module}`")),
            "{module}"
        );
    }
}
