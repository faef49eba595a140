//! Files made to end the process, a few hundred bytes each, end in one message.
//!
//! Each goes through the program itself, in an address space of [`MEMORY_KB`]: what cannot be
//! caught (an overflow of the stack, memory that is not there) is a signal or an abort here.

// The sizes of the files belong into the log of the run; all of them fit an i32.
#![allow(clippy::print_stdout, clippy::cast_possible_wrap)]

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch, new_empty_array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

use flate2::write::GzEncoder;

use crate::handmade::{
    BYTES, Chunk, DELTA_LENGTH, DICTIONARY, FLOAT, INT64, PLAIN, column, file, float_list, group,
    levels, root, with_footer, zeros, zstd_zeros,
};
use crate::program::{ojad, refused, succeeded};

/// The program with its threads and the allocator's reserve takes two thirds of this.
const MEMORY_KB: u32 = 3 << 20;
/// 400 MB as floats, 3 GB with what the decoders keep beside them.
const MANY: u64 = 100_000_000;

/// The program in a small address space.
fn limited(what: &str) -> Command {
    let mut command = ojad();
    if cfg!(target_os = "linux") {
        command = Command::new("sh");
        command.args(["-c", "ulimit -v $1; shift; exec \"$@\"", "sh"]);
        command
            .arg(MEMORY_KB.to_string())
            .arg(env!("CARGO_BIN_EXE_ojad"));
    }
    command.arg(what);
    command
}

fn fit(path: &Path, more: &[&str]) -> Output {
    let mut command = limited("fit");
    let command = command.arg(path).args(["-k", "1"]).args(more);
    command.output().expect("it starts")
}

/// Writes the file and expects a message with these parts; says how large the file was.
fn says(name: &str, bytes: &[u8], parts: &[&str]) {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a file");
    println!("{name}: {} bytes", bytes.len());
    refused(&fit(&path, &[]), 1, &[&[name], parts].concat());
}

#[test]
fn the_handmade_files_are_right_where_they_are_honest() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("honest.parquet");
    // Five rows of three values each, all the same, and five scalars.
    let runs: Vec<(u8, u64)> = [(0, 1), (1, 2)].repeat(5);
    let page = [levels(&runs), levels(&[(1, 15)]), zeros(15)].concat();
    let size = page.len() as i32;
    let list = Chunk::new(FLOAT, 15)
        .dictionary(1, &1_f32.to_le_bytes())
        .data(15, DICTIONARY, size, &page);
    let frame = zstd_zeros(40);
    let mut scalar = Chunk::new(INT64, 5).data(5, PLAIN, 40, &frame);
    scalar.codec = 6;
    let mut schema = float_list();
    schema[0] = root(2);
    schema.push(column("x", INT64, 0));
    std::fs::write(&path, file(&schema, 5, &[list, scalar])).expect("a file");
    let output = fit(&path, &["--json"]);
    succeeded(&output);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&json["rows"], &json["features"]), (&5.into(), &4.into()));
}

#[test]
fn schemas_that_nest_too_deep_are_refused() {
    for depth in [65, 1_500, 100_000] {
        let mut schema = vec![root(1)];
        schema.extend(vec![group("g", 0, None); depth]);
        schema.push(column("x", FLOAT, 0));
        let bytes = file(&schema, 0, &[Chunk::new(FLOAT, 0)]);
        says("deep.parquet", &bytes, &["nests deeper", "64 levels"]);
    }
    // Hidden in what one decoder would skip and another read.
    let bytes = [vec![0x15, 4, 0x39, 0xF1, 0xFF, 0x7F], vec![0x3C; 1 << 14]].concat();
    says(
        "lies.parquet",
        &with_footer(b"PAR1".to_vec(), &bytes),
        &["footer"],
    );
}

#[test]
fn footers_that_declare_more_than_they_hold_are_refused() {
    let x = column("x", FLOAT, 0);
    for children in [i32::MAX, 3, -1] {
        let mut top = root(1);
        top.children = children;
        let bytes = file(&[top, x], 0, &[Chunk::new(FLOAT, 0)]);
        says("children.parquet", &bytes, &["schema"]);
    }
    // One name of 64 KB above 8,192 columns, each of which has a dotted name: half a gigabyte.
    let long: &'static str = Box::leak("n".repeat(1 << 16).into_boxed_str());
    let mut above = group(long, 0, None);
    above.children = 8192;
    let mut schema = vec![root(1), above];
    schema.extend(vec![x; 8192]);
    says(
        "names.parquet",
        &file(&schema, 0, &[]),
        &["names of its columns"],
    );
    let mut far = Chunk::new(FLOAT, 1).data(1, PLAIN, 4, &[0; 4]);
    let bytes = file(&[root(1), x], 1, std::slice::from_ref(&far));
    let outside = bytes.len() - 8;
    says(
        "cut.parquet",
        &[&bytes[..4], &bytes[outside - 70..]].concat(),
        &["footer"],
    );
    far.values = 7;
    let bytes = file(&[root(1), x], 1, &[far]);
    says("values.parquet", &bytes, &["`x`", "7 values", "1 rows"]);
}

/// A page of the lists that begin at these levels.
fn list_page(rep: &[(u8, u64)], values: u64) -> Chunk {
    let page = [levels(rep), levels(&[(1, values)]), zeros(values)].concat();
    let size = page.len() as i32;
    Chunk::new(FLOAT, values as i64)
        .dictionary(1, &1_f32.to_le_bytes())
        .data(values as i32, DICTIONARY, size, &page)
}

#[test]
fn lists_of_millions_in_a_few_bytes_are_refused() {
    let one = list_page(&[(0, 1), (1, MANY - 1)], MANY);
    says("one.parquet", &file(&float_list(), 1, &[one]), &["4194304"]);
    let second = list_page(&[(0, 1), (1, 2), (0, 1), (1, MANY - 4)], MANY);
    let bytes = file(&float_list(), 2, &[second]);
    says("second.parquet", &bytes, &["`l.list.element`"]);
    // In a page of its own, so that the first has told the length.
    let page = [levels(&[(0, 1), (1, MANY - 1)]), levels(&[(1, MANY)])].concat();
    let page = [page, zeros(MANY)].concat();
    let mut later = list_page(&[(0, 1), (1, 2), (0, 1), (1, 2)], 6);
    later = later.data(MANY as i32, DICTIONARY, page.len() as i32, &page);
    later.values = 6 + MANY as i64;
    let bytes = file(&float_list(), 3, &[later]);
    says(
        "later.parquet",
        &bytes,
        &["`l.list.element`", "3 values", "99999996 more"],
    );
    // Two hundred lists, each of them as long as may be, are no row to read either.
    let each = 4_000_000;
    let many: Vec<Chunk> = (0..200)
        .map(|_| list_page(&[(0, 1), (1, each - 1)], each))
        .collect();
    let mut schema = vec![root(200)];
    for i in 0..200 {
        let name: &'static str = Box::leak(format!("l{i}").into_boxed_str());
        let list = [
            group(name, 0, Some(3)),
            group("list", 2, None),
            column("element", FLOAT, 0),
        ];
        schema.extend(list);
    }
    says(
        "many.parquet",
        &file(&schema, 1, &many),
        &["800000000 features", "exclude"],
    );
}

#[test]
fn pages_that_declare_more_than_their_values_take_are_refused() {
    let x = [root(1), column("x", FLOAT, 0)];
    for (values, size) in [(1, i32::MAX), (1, 800 << 20), (1, 2 << 20)] {
        let frame = zstd_zeros(size as u64);
        let mut chunk = Chunk::new(FLOAT, values.into()).data(values, PLAIN, size, &frame);
        chunk.codec = 6;
        says("page.parquet", &file(&x, 1, &[chunk]), &["a page declares"]);
    }
    let words = Chunk::new(FLOAT, 1).dictionary(i32::MAX, &[0; 4]);
    let words = words.data(1, DICTIONARY, 4, &zeros(1));
    says(
        "words.parquet",
        &file(&x, 1, &[words]),
        &["2147483647 words"],
    );
    // Forty columns that each hold a page of 256 MiB: rows enough, but not at once.
    let rows = 64 << 20;
    let size = 4 * rows;
    let chunks = (0..40).map(|_| {
        let mut chunk = Chunk::new(FLOAT, rows.into());
        chunk = chunk.data(rows, PLAIN, size, &zstd_zeros(size as u64));
        chunk.codec = 6;
        chunk
    });
    let mut schema = vec![root(40)];
    for i in 0..40 {
        schema.push(column(
            Box::leak(format!("x{i}").into_boxed_str()),
            FLOAT,
            0,
        ));
    }
    let bytes = file(&schema, rows.into(), &chunks.collect::<Vec<_>>());
    says("beside.parquet", &bytes, &["with the pages beside it"]);
}

#[test]
fn gzip_and_brotli_stop_at_the_declared_length() {
    let zeros = vec![0; 64 << 20];
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&zeros).expect("memory");
    let mut brotli = brotli::CompressorWriter::new(Vec::new(), 1 << 16, 1, 22);
    brotli.write_all(&zeros).expect("memory");
    let x = [root(1), column("x", FLOAT, 0)];
    for (codec, frame) in [
        (2, gzip.finish().expect("memory")),
        (4, brotli.into_inner()),
    ] {
        let mut chunk = Chunk::new(FLOAT, 1).data(1, PLAIN, 4, &frame);
        chunk.codec = codec;
        let part = "a page does not hold the 4 bytes that it declares";
        says("long.parquet", &file(&x, 1, &[chunk]), &[part]);
    }
}

#[test]
fn ids_that_unfold_are_refused() {
    let schema = [root(2), column("x", FLOAT, 0), column("id", BYTES, 0)];
    let rows = 5000;
    let x = || Chunk::new(FLOAT, rows).data(rows as i32, PLAIN, 20_000, &vec![0; 20_000]);
    // A word of a megabyte, five thousand times.
    let word = [(1_u32 << 20).to_le_bytes().as_slice(), &vec![b'w'; 1 << 20]].concat();
    let indices = zeros(5000);
    let size = indices.len() as i32;
    let words = Chunk::new(BYTES, rows).dictionary(1, &word);
    let words = words.data(rows as i32, DICTIONARY, size, &indices);
    let bytes = file(&schema, rows, &[x(), words]);
    let folder = tempfile::tempdir().expect("a directory");
    let model = folder.path().join("model");
    let honest = folder.path().join("honest.parquet");
    std::fs::write(&honest, file(&[root(1), schema[1]], rows, &[x()])).expect("a file");
    succeeded(&fit(&honest, &["--output", model.to_str().expect("UTF-8")]));
    let says = |name: &str, bytes: &[u8], part: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        let mut command = limited("transform");
        command
            .arg(&path)
            .args(["--id", "id", "--model"])
            .arg(&model);
        command
            .arg("--output")
            .arg(folder.path().join("scores.parquet"));
        refused(&command.output().expect("it starts"), 1, &[name, part]);
    };
    says("word.parquet", &bytes, "word of 1048576 bytes");
    // A stream that declares 2^40 lengths.
    let lengths = [0x80, 1, 4, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0];
    let lengths = Chunk::new(BYTES, rows).data(rows as i32, DELTA_LENGTH, 10, &lengths);
    let bytes = file(&schema, rows, &[x(), lengths]);
    says("lengths.parquet", &bytes, "stream of lengths");
}

fn floats() -> RecordBatch {
    let x: ArrayRef = Arc::new(
        (0..1000)
            .map(|i| Some((i % 7) as f32))
            .collect::<Float32Array>(),
    );
    RecordBatch::try_from_iter([("x", x)]).expect("a batch")
}

/// The batch as a file and as a stream.
fn both(batch: &RecordBatch, compression: Option<CompressionType>) -> [Vec<u8>; 2] {
    let options = || {
        let options = IpcWriteOptions::default();
        options.try_with_compression(compression).expect("a codec")
    };
    let schema = batch.schema();
    let mut whole = FileWriter::try_new_with_options(Vec::new(), &schema, options()).expect("it");
    whole.write(batch).expect("rows");
    whole.finish().expect("a footer");
    let mut stream = StreamWriter::try_new_with_options(Vec::new(), &schema, options());
    let stream = stream.as_mut().expect("a writer");
    stream.write(batch).expect("rows");
    stream.finish().expect("an end");
    let whole = whole.into_inner().expect("bytes");
    [whole, std::mem::take(stream.get_mut())]
}

/// Replaces each number that is there in place of another.
fn replace(bytes: &mut [u8], from: i64, to: i64) -> usize {
    let mut found = 0;
    for at in 0..bytes.len() - 8 {
        if bytes[at..at + 8] == from.to_le_bytes() {
            bytes[at..at + 8].copy_from_slice(&to.to_le_bytes());
            found += 1;
        }
    }
    found
}

#[test]
fn deep_arrow_schemas_are_refused() {
    for depth in [60, 80, 1_500] {
        let mut data_type = DataType::Float32;
        for _ in 0..depth {
            data_type = DataType::Struct(vec![Field::new("s", data_type, true)].into());
        }
        let column = new_empty_array(&data_type);
        let schema = Arc::new(Schema::new(vec![Field::new("s", data_type, true)]));
        let batch = RecordBatch::try_new(schema, vec![column]).expect("a batch");
        let [whole, stream] = both(&batch, None);
        for (name, bytes) in [("deep.arrow", whole), ("deep.arrows", stream)] {
            let part = if depth == 60 {
                "no"
            } else {
                "depth limit reached"
            };
            says(name, &bytes, &[part]);
        }
    }
}

#[test]
fn a_body_of_100_gigabytes_is_refused() {
    const BODY: i64 = 100 << 30;
    let [mut whole, mut stream] = both(&floats(), None);
    // 1,000 floats take 4,000 bytes, padded to 64, and a validity buffer of none.
    assert_eq!(
        replace(&mut whole, 4032, BODY),
        2,
        "in the message and in the footer"
    );
    assert_eq!(replace(&mut stream, 4032, BODY), 1);
    says("body.arrow", &whole, &["outside the file"]);
    says("body.arrows", &stream, &["ends inside a message"]);
    let [mut whole, mut stream] = both(&floats(), None);
    for (name, bytes) in [("buffer.arrow", &mut whole), ("buffer.arrows", &mut stream)] {
        assert_eq!(replace(bytes, 4000, BODY), 1, "the length of the buffer");
        says(name, bytes, &["outside its record batch"]);
    }
    for codec in [CompressionType::ZSTD, CompressionType::LZ4_FRAME] {
        let [mut whole, mut stream] = both(&floats(), Some(codec));
        for (name, bytes) in [("codec.arrow", &mut whole), ("codec.arrows", &mut stream)] {
            assert_eq!(replace(bytes, 4000, BODY), 1, "what the buffer declares");
            says(name, bytes, &["107374182400 bytes uncompressed"]);
        }
    }
}

#[test]
fn an_arrow_header_of_2_gigabytes_is_refused() {
    let [mut whole, mut stream] = both(&floats(), None);
    let at = whole.len() - 10;
    whole[at..at + 4].copy_from_slice(&i32::MAX.to_le_bytes());
    says("footer.arrow", &whole, &["ends before its footer"]);
    stream[4..8].copy_from_slice(&i32::MAX.to_le_bytes());
    says("header.arrows", &stream, &["2147483647 bytes"]);
    stream[4..8].copy_from_slice(&(200_i32 << 20).to_le_bytes());
    says("header.arrows", &stream, &["ends inside a message"]);
    let folder = tempfile::tempdir().expect("a directory");
    // A footer of its own length and not of the file's.
    let sparse = folder.path().join("sparse.parquet");
    let mut file = File::create(&sparse).expect("a file");
    file.set_len(3 << 30).expect("a hole");
    let mut footer = (1_u32 << 30).to_le_bytes().to_vec();
    footer.extend(b"PAR1");
    file.write_all(b"PAR1").expect("bytes");
    file.seek(SeekFrom::End(-8)).expect("a place");
    file.write_all(&footer).expect("bytes");
    refused(
        &fit(&sparse, &[]),
        1,
        &["sparse.parquet", "footer of 1073741824 bytes"],
    );
}
