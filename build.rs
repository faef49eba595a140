//! Takes Plotly.js out of the crate that carries it and compresses it for the page, where there is one.

/// A program without the page needs no Plotly.js.
#[cfg(not(feature = "page"))]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}

/// Writes `plotly.min.js.gz`, the form in which browsers take it.
#[cfg(feature = "page")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::io::Write as _;
    use std::path::PathBuf;
    use std::{env, fs};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    println!("cargo::rerun-if-changed=build.rs");
    let scripts = plotly::Plot::offline_js_sources();
    // The first of the script elements; the second is MathJax, which no picture here needs.
    let script = scripts
        .split_once("<script type=\"text/javascript\">")
        .and_then(|(_, rest)| rest.split_once("</script>\n"))
        .map(|(script, _)| script)
        .filter(|script| script.contains("plotly.js v"))
        .ok_or("the plotly crate has no Plotly.js where it was")?;
    let to = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is unset")?);
    let mut file = GzEncoder::new(
        fs::File::create(to.join("plotly.min.js.gz"))?,
        Compression::best(),
    );
    file.write_all(script.as_bytes())?;
    file.finish()?;
    Ok(())
}
