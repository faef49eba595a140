//! Checks of a file before the decoders see it.
//!
//! The decoders trust what a file declares: a footer whose schema nests 1,500 deep overflows their
//! stack, a length of 100 GB is allocated before a byte of it has been read, a page of 40 bytes
//! expands to a gigabyte. Each kills the process, and no error can be caught. In: footers, page
//! headers, record batch headers, as bytes. Out: the same bytes, checked, at the cost of a second
//! look at the metadata and none at the values. Refused: files that contradict themselves or their
//! size, and files beyond the limits below, which no honest file comes near.

mod batch;
mod edits;
mod fault;
mod footer;
mod group;
mod inflate;
mod levels;
mod packed;
mod pages;
mod schema;
mod shapes;
mod thrift;

pub(super) use batch::{Batch, check_block, check_dictionary};
pub(super) use footer::{check as check_footer_at, read_footer};
pub(super) use group::{Group, first_length};
pub(super) use schema::{block_header, check_later_schema, check_schema};

/// Bytes of a footer, or of the header of a record batch: a million column chunks fit.
pub(super) const METADATA_BYTES_MAX: usize = 256 << 20;
/// Levels that a schema nests: the decoders recurse once or several times a level.
const DEPTH_MAX: usize = 64;
/// Columns, groups and lists of a schema.
const FIELDS_MAX: usize = 1_000_000;
/// Bytes of all dotted names of a schema, each as long as its parts together.
const NAME_BYTES_MAX: u64 = 256 << 20;
/// Features of a row: an image of 2,048 by 2,048 pixels. Each has a name, and a weight per
/// component.
pub(super) const FEATURES_MAX: usize = 1 << 22;
/// Number of values by which lists may exceed their length: the error names the row, for which the
/// rows before it must be decoded.
const EXCESS_MAX: u64 = 1 << 20;
/// Bytes of one page when it is uncompressed: writers aim at 1 MiB, some write a page a row group.
const PAGE_BYTES_MAX: u64 = 1 << 30;
/// Bytes that may always be uncompressed at once, whatever the ratio.
const UNCOMPRESSED_FREE: u64 = 1 << 30;
/// Beyond [`UNCOMPRESSED_FREE`], bytes that one stored byte may become: sparse columns reach some
/// hundreds, only constant ones more.
const RATIO_MAX: u64 = 4096;

/// Bytes that this many stored bytes may become at once.
fn uncompressed_max(stored: u64) -> u64 {
    stored.saturating_mul(RATIO_MAX).max(UNCOMPRESSED_FREE)
}

/// The verifier's error without its long trace.
pub(super) fn brief(error: impl std::fmt::Display) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}
