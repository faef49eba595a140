//! Bytes → record batches → minibatches.
//!
//! [`open`] finds the files, agrees on the features and returns a [`Reader`], which fills
//! minibatches. In: files, directories, globs, `-`. Out: full minibatches of finite values (NaN
//! where the mean is to be substituted). Refused: see [`SourceError`].

mod batches;
mod catch_panic;
mod column;
mod discover;
mod error;
mod feature_schema;
mod fill;
mod filter;
pub mod fingerprint;
mod fix;
pub mod follow;
mod format;
mod frames;
mod framing;
mod id_encoder;
mod ipc;
mod later;
mod leaf;
mod open;
mod pandas;
mod params;
mod parquet;
mod patterns;
mod place;
mod positioned;
mod preflight;
mod pushed;
mod reader;
mod segment;
mod segment_reader;
mod select;
mod selection;
mod stream;
mod stream_error;
mod table;
mod values;
mod walk;
pub mod worker;

pub use catch_panic::quiet_decoder_panics;
pub use discover::LeftOut;
pub use error::SourceError;
pub use feature_schema::FeatureSchema;
pub use format::Format;
pub use frames::Frames;
pub use id_encoder::RowIdEncoder;
pub use pandas::indexes as pandas_indexes;
pub use params::{BadValue, BinaryDtype, Decoders, Extra, Limit, SourceParams};
pub use pushed::{Numbers, Pushed, PushedError, Shape};
pub use reader::{Extent, Reader, open, open_for_model};
pub use segment::{Segment, SegmentRead};
pub use segment_reader::{Appended, SegmentReader};
pub use selection::Selection;

/// Runs the checks that precede the decoding of a Parquet footer.
///
/// # Errors
/// What is wrong with it.
#[doc(hidden)] // For the fuzz target: a file is checked where it is opened.
pub fn check_footer(bytes: &[u8]) -> Result<(), String> {
    preflight::check_footer_at(bytes, bytes.len() as u64)
}
