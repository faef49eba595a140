//! One integration-test binary; a module per promise.

// A test that cannot get at its data has failed; saying so by a panic is its way.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, missing_docs)]

mod accuracy;
mod allocation;
mod bad_input;
mod config;
mod error_bars;
mod fit;
mod handmade;
mod house;
mod layers;
mod merging;
mod mutations;
mod plot;
mod preflight;
mod program;
mod reference;
mod shapes;
mod snapshot;
mod source_errors;
mod source_values;
mod units;
