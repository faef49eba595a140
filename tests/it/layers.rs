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
const CORE: [(&str, u8); 9] = [
    ("linalg", 0),
    ("codec", 0),
    ("rows", 1),
    ("learner", 2),
    ("score", 3),
    ("arrow", 4),
    ("prequential", 4),
    ("pca", 5),
    ("lib", 6),
];

/// The same of `crates/plot`.
const PLOT: [(&str, u8); 14] = [
    ("error", 0),
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
const LAB: [(&str, u8); 14] = [
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
    ("uncertainty", 6),
    ("page", 7),
    ("lib", 8),
];

/// Directories of Rust files, with the ranks of the modules in them.
pub const ROOTS: [(&str, &[(&str, u8)]); 4] = [
    ("src", &RANKS),
    ("crates/core/src", &CORE),
    ("crates/lab/src", &LAB),
    ("crates/plot/src", &PLOT),
];

/// The modules inside a module, from the lowest rank to the highest; those of one rank do not know each
/// other, so that no circle can come about.
const INSIDE: [(&str, &[&[&str]]); 4] = [
    (
        "source",
        &[
            &[
                "column",
                "error",
                "fingerprint",
                "pandas",
                "params",
                "place",
                "positioned",
                "selection",
            ],
            &["fill", "catch_panic", "patterns", "stream_error", "table"],
            &["preflight", "select", "filter", "walk"],
            &["framing", "later", "values"],
            &["batches", "format", "frames", "leaf", "pushed"],
            &["discover", "ipc", "parquet", "stream"],
            &["open"],
            &["fix"],
            &["feature_schema"],
            &["segment", "id_encoder"],
            &["segment_reader"],
            &["worker"],
            &["follow", "reader"],
        ],
    ),
    (
        "source/preflight",
        &[
            &["fault", "inflate", "levels", "packed", "schema", "shapes"],
            &["batch", "edits"],
            &["thrift"],
            &["footer", "pages"],
            &["group"],
        ],
    ),
    (
        "source/worker",
        &[
            &["append", "in_process", "limits", "lost", "protocol"],
            &["slot_pool"],
            &["subprocess", "serve"],
        ],
    ),
    (
        "source/follow",
        &[
            &["entry", "keys", "params", "shared", "watch"],
            &["files", "pull"],
            &["scan", "state"],
            &["codec", "push"],
            &["spool"],
            &["follower"],
        ],
    ),
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

pub fn sources_of(root: &str) -> Vec<PathBuf> {
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

/// The path of the module that a file is, below a root.
pub fn path_of(file: &Path, root: &str) -> Vec<String> {
    let inside = file.strip_prefix(below(root)).expect("below the root");
    let inside = inside.with_extension("");
    let parts = inside
        .iter()
        .map(|part| part.to_string_lossy().into_owned());
    parts
        .filter(|part| part != "mod" && part != "lib")
        .collect()
}

/// What the text of a file uses by `crate::` or `super::`: paths from the root, as long as they can be
/// told, and the line of each.
pub fn uses(own: &[String], text: &str) -> Vec<(usize, Vec<String>)> {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    // A comment may point anywhere.
    let lines = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""));
    let code = &lines.collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for (at, _) in code
        .match_indices("crate::")
        .chain(code.match_indices("super::"))
    {
        let before = &code[..at];
        if before.ends_with("::") || before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let line = before.matches('\n').count() + 1;
        let (mut base, mut rest) = (own.to_vec(), &code[at..]);
        if let Some(behind) = rest.strip_prefix("crate::") {
            (base, rest) = (Vec::new(), behind);
        }
        while let Some(behind) = rest.strip_prefix("super::") {
            base.pop();
            rest = behind;
        }
        tree(&base, rest, &mut |path| found.push((line, path)));
    }
    found
}

/// The paths of a tree of imports such as `a::{b, c::{d, e}}`; where it ends.
fn tree<'a>(base: &[String], text: &'a str, tell: &mut dyn FnMut(Vec<String>)) -> &'a str {
    if let Some(mut inner) = text.strip_prefix('{') {
        loop {
            inner = inner.trim_start();
            if let Some(rest) = inner.strip_prefix('}') {
                return rest;
            }
            let rest = tree(base, inner, tell);
            // `as NAME`, and the comma.
            let end = rest.find([',', '}']).unwrap_or(rest.len());
            inner = rest[end..].strip_prefix(',').unwrap_or(&rest[end..]);
        }
    }
    let name: String = text
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    let rest = &text[name.len()..];
    let path = [base, &[name]].concat();
    if let Some(rest) = rest.strip_prefix("::") {
        return tree(&path, rest, tell);
    }
    tell(path);
    rest
}

/// Names that a module below a root hands on from those inside it.
pub fn handed_on(own: &[String], root: &str) -> Vec<(String, String)> {
    let place = own.iter().fold(below(root), |at, part| at.join(part));
    let faces = [
        place.join("mod.rs"),
        place.with_extension("rs"),
        place.join("lib.rs"),
    ];
    let text = faces.iter().find_map(|face| fs::read_to_string(face).ok());
    let text = text.unwrap_or_default();
    let mut names = Vec::new();
    for (at, _) in text.match_indices("use ") {
        let rest = text[at + 4..].trim_start_matches("self::");
        tree(own, rest, &mut |path| {
            if let [.., from, name] = &path[..]
                && path.len() == own.len() + 2
            {
                names.push((name.clone(), from.clone()));
            }
        });
    }
    names
}

#[test]
fn no_import_points_up_inside_a_module_and_none_goes_in_a_circle() {
    for (module, ranks) in INSIDE {
        let rank = |name: &str| ranks.iter().position(|row| row.contains(&name));
        let root: Vec<String> = module.split('/').map(str::to_owned).collect();
        let names = handed_on(&root, "src");
        let mut checked = 0;
        for file in sources_of(&format!("src/{module}")) {
            let path = path_of(&file, "src");
            let Some(own) = path.get(root.len()) else {
                continue;
            };
            if own == "tests" || path.last().is_some_and(|last| last == "tests") {
                continue;
            }
            let own_rank = rank(own).unwrap_or_else(|| panic!("{module}/{own} has no rank"));
            for (line, used) in uses(&path, &fs::read_to_string(&file).expect("text")) {
                let Some(name) = used.strip_prefix(&root[..]).and_then(|used| used.first()) else {
                    continue;
                };
                // A name that the module hands on is as high as where it comes from.
                let from = names.iter().find(|(handed, _)| handed == name);
                let other = match (rank(name), from) {
                    (Some(_), _) => name,
                    (None, Some((_, from))) => from,
                    (None, None) => continue,
                };
                checked += 1;
                let other_rank = rank(other).unwrap_or_else(|| panic!("{other} has no rank"));
                assert!(
                    other == own || other_rank < own_rank,
                    "{}:{line}: {own} (rank {own_rank}) uses {other} (rank {other_rank})",
                    file.display(),
                );
            }
        }
        assert!(checked > ranks.len(), "{module}: {checked} imports");
    }
}

#[test]
fn imports_are_read_as_the_compiler_reads_them() {
    let own = ["source", "follow", "scan"].map(str::to_owned);
    let text = "use crate::source::{a::{b, c as d}, E};\nuse super::files::F;\n\
        fn f() { super::super::walk::once() }\n#[cfg(test)]\nuse super::not;";
    let found: Vec<(usize, String)> = uses(&own, text)
        .into_iter()
        .map(|(line, path)| (line, path.join("/")))
        .collect();
    let expected = [
        (1, "source/a/b"),
        (1, "source/a/c"),
        (1, "source/E"),
        (2, "source/follow/files/F"),
        (3, "source/walk/once"),
    ];
    assert_eq!(found, expected.map(|(line, path)| (line, path.to_owned())));
}

/// Bytes become minibatches on threads of their own: nothing there needs a runtime.
#[test]
fn reading_needs_no_runtime() {
    for path in sources_of("src/source") {
        let text = fs::read_to_string(&path).expect("text");
        assert!(!text.contains("tokio"), "{}", path.display());
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
