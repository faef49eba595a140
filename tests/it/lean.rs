//! A program without default features names the feature of whatever it has not, and fits as any other.

use crate::program::{fashion_model, ojad, refused};

#[test]
fn what_was_left_out_says_so_and_names_its_feature() {
    let place = tempfile::tempdir().expect("a directory");
    let model = fashion_model(place.path(), &[]);
    let model = model.to_str().expect("text");
    for (arguments, feature) in [
        (&["lab"][..], "lab"),
        (&["lab", "figures", "--output", "x"], "lab"),
        (&["lab", "--help"], "lab"),
        (&["top", "--once"], "top"),
        (&["show", model, "--plot", "scree.svg"], "plot"),
    ] {
        let ended = ojad().args(arguments).output().expect("the program starts");
        let named = format!("--features {feature}`");
        refused(&ended, 2, &["not part of this build", &named]);
    }
}
