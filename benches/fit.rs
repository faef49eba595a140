//! `ojad fit` end to end beside what it cannot go below, in one run: `cargo bench --bench fit`.
//!
//! For each layout of file: wall time of the command (start of the process, k = 10, table printed)
//! ÷ a bare single-threaded read by the parquet or arrow crate's own reader, and ÷ the bare
//! products of as many updates. The file is in the page cache. Medians of interleaved runs.
//!
//! `cargo bench --bench fit -- NAME` takes the layouts whose name contains NAME.

mod files;
mod products;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use files::{BATCH, CASES, Case, Failure, median, read_bare, timed};
use ojad::learner::LearnerParams;
use ojad::rows::{Layout, Minibatch, Values, Width};
use products::Products;

const RUNS: usize = 3;
/// Values of a file: 600,000 rows of 784 features, so that the beginning, where a minibatch takes
/// two steps, is a tenth of it.
const VALUES: usize = 600_000 * 784;

fn main() -> Result<(), Failure> {
    let only = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let folder = tempfile::tempdir()?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:<24} {:>10} {:>10} {:>10} {:>12} {:>16}",
        "file", "bare read", "products", "ojad fit", "fit ÷ read", "fit ÷ products"
    )?;
    for case in CASES {
        if only.as_ref().is_none_or(|name| case.name.contains(name)) {
            let path = folder.path().join(case.name);
            writeln!(out, "{}", compare(case, &path)?)?;
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn compare(case: &Case, path: &Path) -> Result<String, Failure> {
    let rows = VALUES / case.features / BATCH * BATCH;
    (case.make)(path, rows)?;
    let (mut bare, mut flops, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        bare.push(timed(|| read_bare(path))?);
        ours.push(timed(|| fit(path))?);
        flops.push(timed(|| {
            multiply(case.features, rows);
            Ok(())
        })?);
    }
    let (bare, flops, ours) = (median(&mut bare), median(&mut flops), median(&mut ours));
    let rate = |seconds: f64| rows as f64 / seconds / 1e3;
    Ok(format!(
        "{:<24} {:>6.0} k/s {:>6.0} k/s {:>6.0} k/s {:>12.2} {:>16.2}",
        case.name,
        rate(bare),
        rate(flops),
        rate(ours),
        ours / bare,
        ours / flops
    ))
}

fn fit(path: &Path) -> Result<(), Failure> {
    let status = Command::new(env!("CARGO_BIN_EXE_ojad"))
        .arg("fit")
        .arg(path)
        .args(["--components", "10", "--dtype", "f32"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{}: fit ended with {status}", path.display()).into())
    }
}

/// The bare products of as many minibatches as the rows make.
fn multiply(m: usize, rows: usize) {
    let params = LearnerParams::default();
    let b = params.minibatch_rows(m);
    let mut batch = Minibatch::new(Width::F32, Layout::RowMajor, b, m);
    if let Values::F32(values) = batch.values_mut() {
        for (i, v) in values.iter_mut().enumerate() {
            *v = ((i * 31) % 101) as f32 - 50.0;
        }
    }
    batch.set_rows(b);
    let mut products = Products::new(m, params.max_rank(m), b);
    for _ in 0..rows.div_ceil(b) {
        products.run(&batch);
    }
}
