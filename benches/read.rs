//! Time of `Reader::fill` beside a bare single-threaded read of the same file by the arrow and
//! parquet crates' own readers: `cargo bench --bench read`.
//!
//! Prints thousand rows a second and the ratio of the medians of interleaved runs.

mod files;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;

use files::{CASES, Failure, median, read_bare, timed};
use ojad::source::{BinaryDtype, SourceParams, open};

const RUNS: usize = 7;
const ROWS: usize = 40 * files::BATCH;

fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:<28} {:>10} {:>10} {:>7}",
        "file", "bare", "fill", "ratio"
    )?;
    for case in CASES {
        let path = folder.path().join(case.name);
        (case.make)(&path, ROWS)?;
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            bare.push(timed(|| read_bare(&path))?);
            ours.push(timed(|| read_ours(&path))?);
        }
        let (bare, ours) = (median(&mut bare), median(&mut ours));
        let rate = |seconds: f64| ROWS as f64 / seconds / 1e3;
        let (b, o, ratio) = (rate(bare), rate(ours), ours / bare);
        writeln!(
            out,
            "{:<28} {b:>6.0} k/s {o:>6.0} k/s {ratio:>7.2}",
            case.name
        )?;
        std::fs::remove_file(&path)?;
    }
    Ok(())
}

fn read_ours(path: &Path) -> Result<usize, Failure> {
    let params = SourceParams {
        dtype: Some(BinaryDtype::F32),
        ..SourceParams::default()
    };
    let mut reader = open(&[OsString::from(path)], &params)?;
    let mut batch = reader.new_minibatch(64);
    let mut rows = 0;
    loop {
        match reader.fill(&mut batch)? {
            0 => return Ok(rows),
            n => rows += n,
        }
    }
}
