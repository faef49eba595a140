//! Parquet files of writers that break the letter of the format and that other readers read, and
//! files that nobody reads without a key.

use std::path::Path;
use std::process::Output;

use crate::handmade::{
    Chunk, DICTIONARY, FLOAT, Node, PLAIN, Quirks, column, file, file_with, levels, root, zeros,
};
use crate::program::{ojad, refused, stderr, succeeded};

/// Values of two columns: x has variance 2 (divided by n), y = 3x.
const X: [f32; 5] = [1.0, 2.0, 3.0, 4.0, 5.0];

fn plain(factor: f32) -> Chunk {
    let bytes: Vec<u8> = X.iter().flat_map(|x| (x * factor).to_le_bytes()).collect();
    Chunk::new(FLOAT, 5).data(5, PLAIN, 20, &bytes)
}

fn schema() -> Vec<Node> {
    vec![root(2), column("x", FLOAT, 0), column("y", FLOAT, 0)]
}

fn odd(quirks: Quirks) -> Vec<u8> {
    file_with(&schema(), 5, &[plain(1.0), plain(3.0)], quirks)
}

fn fit(path: &Path, more: &[&str]) -> Output {
    let mut command = ojad();
    command.args(["fit", "-k", "1", "--json"]).args(more);
    command.arg(path).output().expect("the program starts")
}

fn write(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("odd.parquet");
    std::fs::write(&path, bytes).expect("a file");
    (folder, path)
}

/// Rows, features and the eigenvalues.
fn learned(bytes: &[u8], more: &[&str]) -> (u64, u64, Vec<f64>) {
    let (_folder, path) = write(bytes);
    let output = fit(&path, more);
    succeeded(&output);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let number = |key: &str| json[key].as_u64().expect("a number");
    let found = json["components"].as_array().expect("components");
    let values = found
        .iter()
        .map(|c| c["eigenvalue"].as_f64().expect("a number"));
    (number("rows"), number("features"), values.collect())
}

fn is_read(what: &str, bytes: &[u8]) {
    let (rows, features, values) = learned(bytes, &[]);
    assert_eq!((rows, features), (5, 2), "{what}");
    // Of the covariance [[2, 6], [6, 18]].
    assert!((values[0] - 20.0).abs() < 1e-5, "{what}: {values:?}");
}

#[test]
fn footers_that_other_readers_read_are_read() {
    is_read("honest", &odd(Quirks::default()));
    let dictionary = Quirks {
        has_dictionary_at_zero: true,
        ..Quirks::default()
    };
    is_read("a dictionary at 0 where there is none", &odd(dictionary));
    let metadata = Quirks {
        has_odd_metadata: true,
        ..Quirks::default()
    };
    is_read("metadata that is no text", &odd(metadata));
    let rows = Quirks {
        file_rows: Some(0),
        ..Quirks::default()
    };
    is_read("no rows in the file, five in its row group", &odd(rows));
    let all = Quirks {
        is_first_encrypted: false,
        file_rows: Some(0),
        has_dictionary_at_zero: true,
        has_odd_metadata: true,
    };
    is_read("all of it", &odd(all));
    let mut annotated = schema();
    annotated[1].converted = Some(24);
    let bytes = file(&annotated, 5, &[plain(1.0), plain(3.0)]);
    is_read("an annotation that is not in the format", &bytes);
}

#[test]
fn rows_that_do_not_add_up_are_still_refused() {
    let rows = Quirks {
        file_rows: Some(4),
        ..Quirks::default()
    };
    let (_folder, path) = write(&odd(rows));
    refused(&fit(&path, &[]), 1, &["4 rows", "row groups have 5"]);
}

#[test]
fn repeated_fields_without_an_annotation_are_lists() {
    // Five rows of three values each.
    let runs: Vec<(u8, u64)> = [(0, 1), (1, 2)].repeat(5);
    let page = [levels(&runs), levels(&[(1, 15)]), zeros(15)].concat();
    let size = i32::try_from(page.len()).expect("a size");
    let list = Chunk::new(FLOAT, 15)
        .dictionary(1, &1_f32.to_le_bytes())
        .data(15, DICTIONARY, size, &page);
    let schema = [root(2), column("v", FLOAT, 2), column("x", FLOAT, 0)];
    for file_rows in [None, Some(0)] {
        let quirks = Quirks {
            file_rows,
            ..Quirks::default()
        };
        let chunks = [
            Chunk {
                pages: list.pages.clone(),
                ..list
            },
            plain(1.0),
        ];
        let bytes = file_with(&schema, 5, &chunks, quirks);
        let (rows, features, values) = learned(&bytes, &[]);
        assert_eq!((rows, features), (5, 4), "{file_rows:?}");
        assert!((values[0] - 2.0).abs() < 1e-6, "{values:?}");
    }
}

#[test]
fn what_only_a_key_opens_is_called_encrypted() {
    let column = odd(Quirks {
        is_first_encrypted: true,
        ..Quirks::default()
    });
    let (_folder, path) = write(&column);
    let output = fit(&path, &[]);
    refused(&output, 1, &["column `x` is encrypted", "features.exclude"]);
    assert!(!stderr(&output).contains("corrupt"), "{}", stderr(&output));
    // The others are read.
    let (rows, features, values) = learned(&column, &["--exclude", "x"]);
    assert_eq!((rows, features), (5, 1));
    assert!((values[0] - 18.0).abs() < 1e-5, "{values:?}");

    let mut footer = odd(Quirks::default());
    let end = footer.len();
    footer[end - 4..].copy_from_slice(b"PARE");
    let whole = [b"PARE", &footer[4..]].concat();
    for bytes in [footer, whole] {
        let (_folder, path) = write(&bytes);
        let output = fit(&path, &[]);
        refused(
            &output,
            1,
            &["footer", "Parquet", "encrypted", "cannot take a key"],
        );
        assert!(!stderr(&output).contains("corrupt"), "{}", stderr(&output));
        assert!(!stderr(&output).contains("neither"), "{}", stderr(&output));
    }
}
