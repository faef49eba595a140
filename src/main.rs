//! The `ojad` program: see [`ojad::cli`].

use std::process::ExitCode;

// Decoding reuses its pages: a copy into fresh pages runs at 2 GB/s here, into kept ones at 20.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ojad::cli::main()
}
