//! One integration-test binary; a module per promise.

// A test that cannot get at its data has failed; saying so by a panic is its way. Numbers of runs
// are printed: `.ci/test` shows them.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod above_noise;
mod accuracy;
mod allocation;
mod bad_input;
mod circles;
mod columns;
mod config;
mod crash;
mod crowd;
mod drift;
mod entries;
mod error_bars;
mod faults;
mod feeds;
mod first_file;
mod fit;
mod fit_worker;
mod following;
mod footers;
mod fraction;
mod framing;
mod handmade;
mod hidden;
mod hostile;
mod house;
mod http;
#[cfg(feature = "lab")]
mod lab_align;
#[cfg(feature = "lab")]
mod lab_commands;
#[cfg(feature = "lab")]
mod lab_theorems;
mod lab_uncertainty;
mod late;
mod layers;
#[cfg(not(any(feature = "lab", feature = "plot", feature = "top")))]
mod lean;
mod links;
mod long_names;
mod merging;
mod messages;
mod moving;
mod mutations;
#[cfg(feature = "page")]
mod page;
#[cfg(feature = "plot")]
mod plot;
mod precision;
mod preflight;
mod program;
mod push;
mod push_crash;
mod pusher;
mod rank;
mod recent;
mod reference;
mod runs;
#[cfg(feature = "tls")]
mod safe;
mod scoring;
mod shapes;
mod simdisk;
mod snapshot;
mod source_errors;
mod source_values;
mod sources;
mod state;
mod stops;
mod streams;
mod sudden;
mod tables;
#[cfg(feature = "top")]
mod top;
mod unit;
mod units;
mod unkind;
mod views;
mod void;
