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
    ("plot", 1),
    ("source", 2),
    ("learner", 2),
    ("snapshot", 3),
    ("checkpoint", 3),
    ("synth", 3),
    ("config", 4),
    ("http", 5),
    ("daemon", 6),
    ("lab", 6),
    ("cli", 7),
    ("lib", 8),
];

/// All Rust files below `src`.
pub fn sources() -> Vec<PathBuf> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("src").flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
        &mut found,
    );
    found.sort();
    found
}

fn module_of(path: &Path) -> String {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let inside = path.strip_prefix(root).expect("below src");
    let first = inside
        .components()
        .next()
        .expect("a name")
        .as_os_str()
        .to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn rank(module: &str) -> Option<u8> {
    RANKS
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, rank)| *rank)
}

#[test]
fn no_import_points_up() {
    for path in sources() {
        let module = module_of(&path);
        if module == "main" {
            continue;
        }
        let own = rank(&module).unwrap_or_else(|| panic!("{module} has no rank"));
        let text = fs::read_to_string(&path).expect("text");
        for (number, line) in text.lines().enumerate() {
            for part in line.split("crate::").skip(1) {
                let name: String = part
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let Some(other) = rank(&name) else { continue };
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

#[test]
fn the_map_names_every_module() {
    let map = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).expect("text");
    for (module, rank) in RANKS.iter().filter(|(module, _)| *module != "lib") {
        assert!(
            map.contains(&format!("//! | {rank} | [`{module}`]")),
            "{module}"
        );
    }
}
