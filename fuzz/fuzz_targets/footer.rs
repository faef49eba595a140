//! Footers of Parquet files, before any decoder sees them: refused or passed, whatever they are.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Refusing is as good as passing; coming back is what counts.
    let _ = ojad::source::check_footer(bytes);
});
