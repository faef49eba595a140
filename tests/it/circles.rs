//! No modules of one directory use each other in a circle, in any crate.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The crates' roots.
const ROOTS: [&str; 4] = [
    "src",
    "crates/core/src",
    "crates/lab/src",
    "crates/plot/src",
];

/// Who uses whom.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// A file of a module, and how many `super` lead from it to the directory.
type Part = (PathBuf, usize);

/// The modules of one directory, each with its files.
fn siblings(directory: &Path) -> BTreeMap<String, Vec<Part>> {
    let mut found: BTreeMap<String, Vec<Part>> = BTreeMap::new();
    let mut waiting = vec![(directory.to_owned(), None::<String>, 0)];
    while let Some((at, module, depth)) = waiting.pop() {
        for entry in fs::read_dir(&at).expect("a directory").flatten() {
            let path = entry.path();
            let name = path.file_stem().expect("a name").to_string_lossy();
            let owner = module.clone().unwrap_or_else(|| name.clone().into_owned());
            let is_face = ["mod", "lib", "main"].contains(&&*name);
            if path.is_dir() {
                waiting.push((path, Some(owner), depth + 1));
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !(is_face && module.is_none())
            {
                let supers = depth + usize::from(!is_face);
                found.entry(owner).or_default().push((path, supers));
            }
        }
    }
    found
}

/// Code without comments and tests.
fn code_of(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("text");
    let code = text.split("#[cfg(test)]").next().unwrap_or(&text);
    let lines = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""));
    lines.collect::<Vec<_>>().join("\n")
}

/// The first word of a path.
fn word(text: &str) -> String {
    let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
    text.trim_start().chars().take_while(is_word).collect()
}

/// Names that `code` uses right behind `prefix`, alone or in braces.
fn named_behind(code: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        // `super::super::x` is not `super::x`.
        if code[..at].ends_with(|c: char| c == ':' || c == '_' || c.is_alphanumeric()) {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.push(word(rest));
            continue;
        };
        let (mut depth, mut piece) = (0, String::new());
        for c in group.chars() {
            match c {
                '}' if depth == 0 => break,
                ',' if depth == 0 => names.push(word(&std::mem::take(&mut piece))),
                _ => {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    piece.push(c);
                }
            }
        }
        names.push(word(&piece));
    }
    names
}

/// The uses among the modules of `directory`, whose path within the crate is `inside`.
fn uses(directory: &Path, inside: &str) -> Graph {
    let siblings = siblings(directory);
    let mut graph = Graph::new();
    for (module, parts) in &siblings {
        let used = graph.entry(module.clone()).or_default();
        for (path, supers) in parts {
            let code = code_of(path);
            let mut names = named_behind(&code, &format!("crate::{inside}"));
            names.extend(named_behind(&code, &"super::".repeat(*supers)));
            names.retain(|name| name != module && siblings.contains_key(name));
            used.extend(names);
        }
    }
    graph
}

/// Everything that can be reached from a module.
fn reached(graph: &Graph, from: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![from.to_owned()];
    while let Some(module) = waiting.pop() {
        for next in graph.get(&module).into_iter().flatten() {
            if found.insert(next.clone()) {
                waiting.push(next.clone());
            }
        }
    }
    found
}

#[test]
fn no_modules_of_a_directory_go_round_in_a_circle() {
    let (mut circles, mut edges) = (Vec::new(), 0);
    for root in ROOTS {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
        let mut directories = vec![top.clone()];
        while let Some(directory) = directories.pop() {
            let inside = directory.strip_prefix(&top).expect("below the root");
            let mut path = String::new();
            for part in inside.components() {
                path = path + &part.as_os_str().to_string_lossy() + "::";
            }
            let graph = uses(&directory, &path);
            edges += graph.values().map(BTreeSet::len).sum::<usize>();
            let mut round: Vec<&String> = graph.keys().collect();
            round.retain(|module| reached(&graph, module).contains(*module));
            if !round.is_empty() {
                circles.push(format!("{root}: {path} {round:?}"));
            }
            let entries = fs::read_dir(&directory).expect("a directory").flatten();
            directories.extend(
                entries
                    .map(|entry| entry.path())
                    .filter(|path| path.is_dir()),
            );
        }
    }
    assert!(edges > 300, "{edges} uses were seen");
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn uses_are_read_as_they_are_written() {
    let code = "use crate::a::{b, c::{d, e}};\nuse super::f;\nuse super::super::g;\nlet x = super::h::i();";
    assert_eq!(named_behind(code, "crate::a::"), ["b", "c"]);
    assert_eq!(named_behind(code, "super::"), ["f", "super", "h"]);
    assert_eq!(named_behind(code, "super::super::"), ["g"]);
}
