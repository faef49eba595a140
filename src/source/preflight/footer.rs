//! The footer of a Parquet file: checked as bytes, then decoded.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};

use super::edits::Edits;
use super::fault::{Fault, wrong};
use super::schema::check_encoded;
use super::shapes::{FILE, Name};
use super::thrift::{self, Visit};
use super::{DEPTH_MAX, FIELDS_MAX, METADATA_BYTES_MAX, NAME_BYTES_MAX};
use crate::source::SourceError;
use crate::source::error::unreadable;
use crate::source::positioned::Positioned;

/// Bytes after the footer: its length and the magic.
const TRAILER: usize = 8;
/// The largest valid annotation.
const CONVERTED_TYPE_MAX: i64 = 21;

/// Content of a footer.
pub(in crate::source) struct Read {
    pub meta: Arc<ParquetMetaData>,
    /// Leaf columns that are encrypted, in order.
    pub encrypted: Vec<usize>,
}

/// Reads the footer of `file`, which is at `path`.
pub(in crate::source) fn read_footer(path: &Path, file: &Positioned) -> Result<Read, SourceError> {
    let corrupt = |reason: String| SourceError::Corrupt {
        path: path.to_owned(),
        reason,
    };
    let short = || corrupt("the file ends before its footer".to_owned());
    let trailer_at = file.bytes().checked_sub(TRAILER as u64).ok_or_else(short)?;
    let mut trailer = [0; TRAILER];
    let read = |to: &mut [u8], at: u64| {
        file.read_exact_at(to, at)
            .map_err(|source| unreadable(path, source))
    };
    read(&mut trailer, trailer_at)?;
    let [a, b, c, d, magic @ ..] = trailer;
    match &magic {
        b"PAR1" => {}
        b"PARE" => return Err(SourceError::encrypted_footer(path.to_owned())),
        _ => return Err(corrupt("no footer at its end".to_owned())),
    }
    let len = u32::from_le_bytes([a, b, c, d]) as usize;
    let footer_at = trailer_at.checked_sub(len as u64).ok_or_else(short)?;
    if len > METADATA_BYTES_MAX {
        return Err(corrupt(format!(
            "a footer of {len} bytes, above the limit of {METADATA_BYTES_MAX}"
        )));
    }
    let mut bytes = vec![0; len];
    read(&mut bytes, footer_at)?;
    let bad = |reason: String| corrupt(format!("its footer cannot be read: {reason}"));
    let checked = walked(&bytes, footer_at).map_err(bad)?;
    let bytes = checked.edits.apply(&bytes).unwrap_or(bytes);
    // Nobody asks for statistics.
    let options = ParquetMetaDataOptions::new()
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
    let meta = ParquetMetaDataReader::decode_metadata_with_options(&bytes, Some(&options));
    Ok(Read {
        meta: Arc::new(meta.map_err(|error| bad(error.to_string()))?),
        encrypted: checked.encrypted.into_iter().collect(),
    })
}

/// Checks a footer that ends at byte `end` of its file.
pub(in crate::source) fn check(bytes: &[u8], end: u64) -> Result<(), String> {
    walked(bytes, end).map(|_| ())
}

/// A footer that may be decoded.
struct Checked {
    edits: Edits,
    encrypted: BTreeSet<usize>,
}

fn walked(bytes: &[u8], end: u64) -> Result<Checked, String> {
    let mut footer = Footer {
        end,
        ..Footer::default()
    };
    match thrift::mend(bytes, &FILE, &mut footer) {
        Ok(edits) => Ok(Checked {
            edits,
            encrypted: footer.encrypted,
        }),
        Err(Fault::Short) => Err("it ends before it is complete".to_owned()),
        Err(Fault::Wrong(reason)) => Err(reason.into()),
    }
}

/// State of the walk through a footer.
#[derive(Default)]
struct Footer {
    /// End that column chunks must not cross.
    end: u64,
    tree: Tree,
    element: Element,
    rows: i64,
    /// Of the row group.
    group_rows: i64,
    groups_rows: i64,
    column: Column,
    /// True if the chunk lies in another file.
    is_elsewhere: bool,
    /// Number of the chunk in its row group: of its leaf column.
    leaf: usize,
    /// True if the chunk is encrypted.
    is_encrypted: bool,
    encrypted: BTreeSet<usize>,
    is_arrow_schema: bool,
    value: Vec<u8>,
}

/// A node of the schema.
#[derive(Default)]
struct Element {
    name_bytes: u64,
    children: i64,
}

/// The nodes that still have children outstanding.
#[derive(Default)]
struct Tree {
    /// Outstanding children, and bytes of the names down to here.
    open: Vec<(i64, u64)>,
    /// Outstanding nodes.
    left: usize,
    has_root: bool,
    /// Bytes of all dotted names.
    name_bytes: u64,
}

#[derive(Default)]
struct Column {
    values: i64,
    uncompressed: i64,
    compressed: i64,
    data_at: i64,
    dictionary_at: Option<i64>,
}

impl Visit for Footer {
    fn is_meant(&self, of: Name, field: usize, value: i64) -> bool {
        match (of, field) {
            // An annotation that was never in the format, such as the 24 of early pandas.
            (Name::Element, 6) => (0..=CONVERTED_TYPE_MAX).contains(&value),
            // Some writers say 0 where there is no dictionary; no reader goes there, or behind the
            // first page.
            (Name::Column, 11) => value < 0 || (value > 0 && value <= self.column.data_at),
            _ => true,
        }
    }

    fn number(&mut self, of: Name, field: usize, value: i64) -> Result<(), Fault> {
        match (of, field) {
            (Name::File, 3) => self.rows = value,
            (Name::Element, 5) => self.element.children = value,
            (Name::Group, 3) => self.group_rows = value,
            (Name::Column, 5) => self.column.values = value,
            (Name::Column, 6) => self.column.uncompressed = value,
            (Name::Column, 7) => self.column.compressed = value,
            (Name::Column, 9) => self.column.data_at = value,
            (Name::Column, 11) => self.column.dictionary_at = Some(value),
            _ => {}
        }
        Ok(())
    }

    fn bytes(&mut self, of: Name, field: usize, value: &[u8]) -> Result<(), Fault> {
        match (of, field) {
            (Name::Element, 4) => self.element.name_bytes = value.len() as u64,
            (Name::KeyValue, 1) => self.is_arrow_schema = value == b"ARROW:schema",
            (Name::KeyValue, 2) => self.value = value.to_vec(),
            (Name::Chunk, 1) => self.is_elsewhere = true,
            _ => {}
        }
        Ok(())
    }

    fn list(&mut self, of: Name, len: usize) -> Result<(), Fault> {
        if of == Name::Element {
            if len > FIELDS_MAX {
                return wrong(format!(
                    "a schema of {len} columns and groups, above the limit of {FIELDS_MAX}"
                ));
            }
            self.tree.left = len;
        }
        Ok(())
    }

    fn end(&mut self, of: Name, _: u32) -> Result<(), Fault> {
        match of {
            Name::Element => self.tree.add(&std::mem::take(&mut self.element)),
            Name::Group => self.end_group(),
            Name::Crypto => {
                self.is_encrypted = true;
                Ok(())
            }
            Name::Chunk => {
                self.is_elsewhere = false;
                if std::mem::take(&mut self.is_encrypted) {
                    self.encrypted.insert(self.leaf);
                }
                self.leaf += 1;
                Ok(())
            }
            Name::Column => self.end_column(),
            Name::KeyValue => {
                let value = std::mem::take(&mut self.value);
                if std::mem::take(&mut self.is_arrow_schema) {
                    check_encoded(&value).or_else(wrong)?;
                }
                Ok(())
            }
            Name::File => self.end_file(),
            _ => Ok(()),
        }
    }
}

impl Footer {
    fn end_group(&mut self) -> Result<(), Fault> {
        self.leaf = 0;
        let all = self.groups_rows.checked_add(self.group_rows);
        match all {
            Some(all) if self.group_rows >= 0 => self.groups_rows = all,
            _ => return wrong(format!("a row group of {} rows", self.group_rows)),
        }
        Ok(())
    }

    fn end_column(&mut self) -> Result<(), Fault> {
        let column = std::mem::take(&mut self.column);
        let at = column.dictionary_at.unwrap_or(column.data_at);
        let sizes = [column.values, column.uncompressed, column.compressed, at];
        if sizes.iter().any(|&size| size < 0) {
            return wrong("a column chunk has a negative size");
        }
        let end = u64::try_from(at)
            .ok()
            .zip(u64::try_from(column.compressed).ok());
        let end = end.and_then(|(at, len)| at.checked_add(len));
        if !self.is_elsewhere && end.is_none_or(|end| end > self.end) {
            return wrong("a column chunk lies outside the file");
        }
        Ok(())
    }

    fn end_file(&mut self) -> Result<(), Fault> {
        if !self.tree.open.is_empty() {
            return wrong("its schema has fewer columns than it declares");
        }
        // An early writer said 0 whatever there was.
        if self.rows != self.groups_rows && self.rows != 0 {
            return wrong(format!(
                "{} rows in a file whose row groups have {}",
                self.rows, self.groups_rows
            ));
        }
        Ok(())
    }
}

impl Tree {
    /// Takes the next node, depth first.
    fn add(&mut self, element: &Element) -> Result<(), Fault> {
        if self.has_root && self.open.is_empty() {
            return wrong("its schema has more columns than it declares");
        }
        self.has_root = true;
        self.left = self.left.saturating_sub(1);
        let above = match self.open.last_mut() {
            Some((children, bytes)) => {
                *children -= 1;
                *bytes
            }
            None => 0,
        };
        let bytes = above.saturating_add(element.name_bytes).saturating_add(1);
        if element.children > 0 {
            if usize::try_from(element.children).is_ok_and(|n| n <= self.left) {
                self.open.push((element.children, bytes));
            } else {
                return wrong("its schema has fewer columns than it declares");
            }
            if self.open.len() > DEPTH_MAX {
                return wrong(format!(
                    "its schema nests deeper than the limit of {DEPTH_MAX} levels"
                ));
            }
        } else if element.children < 0 {
            return wrong("its schema has a negative number of columns");
        }
        self.name_bytes = self.name_bytes.saturating_add(bytes);
        if self.name_bytes > NAME_BYTES_MAX {
            return wrong(format!(
                "the names of its columns take more than {NAME_BYTES_MAX} bytes"
            ));
        }
        while matches!(self.open.last(), Some((0, _))) {
            self.open.pop();
        }
        Ok(())
    }
}
