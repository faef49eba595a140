//! One integration-test binary; a module per promise.

mod accuracy;
mod allocation;
mod error_bars;
mod merging;
mod reference;
mod shapes;
mod units;
