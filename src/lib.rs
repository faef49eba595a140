//! Principal components of data that never ends.
//!
//! Rows stream from Parquet and Arrow files into a learner in one pass and bounded memory; out
//! come components, eigenvalues and their error bars. From bottom to top (a module uses only
//! lower ranks; `tests/it/layers.rs` holds the table):
//!
//! | rank | module | what it is for |
//! |---|---|---|
//! | 0 | [`linalg`] | thin wrappers of faer, the sign convention, principal angles |
//! | 0 | [`codec`] | plain data ↔ bytes |
//! | 0 | [`disk`] | file operations whose order and durability the promises rest on |
//! | 0 | [`text`] | long texts without their middle |
//! | 1 | [`rows`] | minibatches, feature names, watermarks |
//! | 2 | [`source`] | bytes → record batches → minibatches |
//! | 2 | [`learner`] | minibatches → state → estimate |
//! | 3 | [`snapshot`] | estimate → components, eigenvalues, files |
//! | 3 | [`checkpoint`] | state and positions ↔ one atomic file, and the journal between two |
//! | 3 | [`synth`] | rows with a planted spectrum |
//! | 4 | [`config`] | TOML → a checked plan |
//! | 4 | [`published`] | values in cells: what a run publishes, whoever looks on |
//! | 5 | [`http`] | what is published, to be asked for; rows to be scored and pushed |
//! | 5 | [`daemon`] | threads, channels, draining |
//! | 6 | `lab` | the crate `ojad-lab` with files and a server |
//! | 7 | [`cli`] | arguments → call → exit code |
//!
//! [`linalg`], [`codec`], [`learner`], minibatches and scores are the crate `ojad-core`, which stands without
//! files, threads and servers: whoever has rows in memory uses that. `plot` is the crate `ojad-plot`, figures
//! of charts, images and matrices → SVG and PNG files; it and `lab` are there with features of these names.

pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod disk;
pub mod http;
#[cfg(feature = "lab")]
pub mod lab;
pub mod published;
pub mod rows;
pub mod snapshot;
pub mod source;
pub mod synth;
pub mod text;

pub use ojad_core::{codec, learner, linalg, prequential};
#[cfg(feature = "plot")]
pub use ojad_plot as plot;
