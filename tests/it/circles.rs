//! No modules of one directory use each other in a circle, in any crate.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::layers::{ROOTS, handed_on, path_of, sources_of, uses};

/// Who uses whom among the modules of one directory.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// The graphs of all directories of a crate, by their paths from its root.
fn graphs(root: &str) -> BTreeMap<Vec<String>, Graph> {
    let files = sources_of(root);
    let paths: Vec<Vec<String>> = files.iter().map(|file| path_of(file, root)).collect();
    let mut graphs: BTreeMap<Vec<String>, Graph> = BTreeMap::new();
    for path in &paths {
        for at in 0..path.len() {
            let graph = graphs.entry(path[..at].to_vec()).or_default();
            graph.entry(path[at].clone()).or_default();
        }
    }
    for (file, own) in files.iter().zip(&paths) {
        let text = fs::read_to_string(file).expect("text");
        for (_, used) in uses(own, &text) {
            let alike = own.iter().zip(&used).take_while(|(a, b)| a == b).count();
            let (Some(user), Some(name)) = (own.get(alike), used.get(alike)) else {
                continue;
            };
            let graph = graphs
                .get_mut(&own[..alike])
                .expect("the directory of a file");
            // A name that the directory's own file hands on stands for the module that it comes from.
            let from = if graph.contains_key(name) {
                Some(name.clone())
            } else {
                let handed = handed_on(&own[..alike], root).into_iter();
                let mut handed = handed.filter(|(handed, from)| handed == name && from != user);
                handed.find_map(|(_, from)| graph.contains_key(&from).then_some(from))
            };
            if let Some(from) = from {
                graph.entry(user.clone()).or_default().insert(from);
            }
        }
    }
    graphs
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
    for (root, _) in ROOTS {
        for (directory, graph) in graphs(root) {
            edges += graph.values().map(BTreeSet::len).sum::<usize>();
            let mut round: Vec<&String> = graph.keys().collect();
            round.retain(|module| reached(&graph, module).contains(*module));
            if !round.is_empty() {
                circles.push(format!("{root}: {directory:?} {round:?}"));
            }
        }
    }
    assert!(edges > 300, "{edges} uses were seen");
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}
