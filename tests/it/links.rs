//! A directory is visited once and a file learned once, whatever names lead there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::feeds::{Place, parquet, rows};
use crate::program::{ojad, succeeded};

/// Three files, 600 rows in all, one of them in a directory.
fn feed(extra: &str) -> Place {
    let place = Place::new(extra);
    let feed = place.feed();
    fs::create_dir(feed.join("in")).expect("a directory");
    parquet(&feed.join("a.parquet"), &rows(100, 1));
    parquet(&feed.join("in/b.parquet"), &rows(200, 2));
    parquet(&feed.join("in/c.parquet"), &rows(300, 3));
    place
}

/// Rows that `fit` reads of an input, and those that a daemon learns of it.
fn rows_of(place: &Place, input: &Path) -> (u64, u64) {
    let model = place.path("fitted");
    let mut command = ojad();
    command.args(["fit", "-k", "2", "--output"]).arg(&model);
    succeeded(&command.arg(input).output().expect("the program starts"));
    let text = fs::read_to_string(model.join("latest/snapshot.json")).expect("a snapshot");
    let snapshot: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let fitted = snapshot["rows"].as_u64().expect("rows");
    let result = place.learned();
    assert_eq!(result.quarantined, 0);
    (fitted, result.rows_read)
}

#[test]
fn two_links_to_their_own_directory_cost_no_second_visit() {
    let place = feed("");
    let feed = place.feed();
    symlink(".", feed.join("0")).expect("a link");
    symlink(".", feed.join("z")).expect("a link");
    assert_eq!(rows_of(&place, &feed), (600, 600));
    // A new file is found through one name, too.
    parquet(&feed.join("in/d.parquet"), &rows(50, 4));
    assert_eq!(rows_of(&place, &feed), (650, 650));
}

#[test]
fn a_link_to_the_parent_adds_what_is_beside_and_nothing_twice() {
    let place = feed("source.symlinks = \"follow\"");
    let feed = place.feed();
    symlink("..", feed.join("in/up")).expect("a link");
    assert_eq!(rows_of(&place, &feed), (600, 600));
    // From within: the parent lies behind the link, and this directory in it again.
    let inner = place.path("outer/inner");
    fs::create_dir_all(&inner).expect("a directory");
    symlink("..", inner.join("up")).expect("a link");
    parquet(&inner.join("a.parquet"), &rows(70, 5));
    parquet(&place.path("outer/b.parquet"), &rows(80, 6));
    let text = fs::read_to_string(place.config()).expect("a file");
    fs::write(place.config(), text.replace("/feed\"", "/outer/inner\"")).expect("a file");
    assert_eq!(rows_of(&place, &inner), (150, 750));
}

#[test]
fn directories_that_link_to_each_other_are_visited_once_each() {
    let place = feed("");
    let feed = place.feed();
    for (one, other) in [("in", "out"), ("out", "in")] {
        fs::create_dir_all(feed.join(one)).expect("a directory");
        symlink(format!("../{other}"), feed.join(one).join("other")).expect("a link");
        symlink(format!("../{other}"), feed.join(one).join("again")).expect("a link");
    }
    parquet(&feed.join("out/d.parquet"), &rows(40, 7));
    assert_eq!(rows_of(&place, &feed), (640, 640));
}

#[test]
fn a_link_to_a_file_beside_it_brings_no_row() {
    let place = feed("");
    let feed = place.feed();
    // Before and behind the file in the order of names, and from another directory.
    symlink("a.parquet", feed.join("0.parquet")).expect("a link");
    symlink("a.parquet", feed.join("b.parquet")).expect("a link");
    symlink("../in/b.parquet", feed.join("in/a.parquet")).expect("a link");
    fs::hard_link(feed.join("in/c.parquet"), feed.join("in/0.parquet")).expect("a link");
    assert_eq!(rows_of(&place, &feed), (600, 600));
    assert_eq!(rows_of(&place, &feed.join("*/*.parquet")), (500, 600));
    // Links to what is somewhere else are its only names there.
    let place = Place::new("source.symlinks = \"follow\"");
    parquet(&place.path("elsewhere.parquet"), &rows(90, 8));
    for name in ["x.parquet", "y.parquet"] {
        symlink(place.path("elsewhere.parquet"), place.feed().join(name)).expect("a link");
    }
    assert_eq!(rows_of(&place, &place.feed()), (90, 90));
}
