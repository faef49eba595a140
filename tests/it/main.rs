//! One integration-test binary; a module per promise.

mod source_errors;
mod source_values;
