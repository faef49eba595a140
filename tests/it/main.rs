//! One integration-test binary; a module per promise.

// A test that cannot get at its data has failed; saying so by a panic is its way.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, missing_docs)]

mod source_errors;
mod source_values;
