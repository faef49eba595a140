//! The `ojad` program: see [`ojad::cli`].

use std::process::ExitCode;
use std::thread::Builder;

// Decoding reuses its pages: a copy into fresh pages runs at 2 GB/s here, into kept ones at 20.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Stack of the thread that all commands run on, as large as the system gives by default. The one that a
/// process begins with may be as small as its user was allowed (`ulimit -s`), and would overflow.
const STACK_BYTES: usize = 8 << 20;
/// Exit code after a panic, whose message was printed when it happened.
const PANICKED: u8 = 101;

fn main() -> ExitCode {
    let work = Builder::new()
        .name("ojad".into())
        .stack_size(STACK_BYTES)
        .spawn(ojad::cli::main);
    match work {
        Ok(work) => work.join().unwrap_or(ExitCode::from(PANICKED)),
        // No memory for it: with what there is.
        Err(_) => ojad::cli::main(),
    }
}
