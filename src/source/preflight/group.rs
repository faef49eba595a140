//! A row group for the crate's Arrow reader with pages checked in passing; and the first list of a
//! column, by its levels alone.

use std::collections::HashMap;
use std::sync::Arc;

use parquet::arrow::arrow_reader::RowGroups;
use parquet::column::page::{PageIterator, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use super::FEATURES_MAX;
use super::levels;
use super::pages::{self, Budget};
use crate::source::positioned::Positioned;

/// Most values of a list that is passed through as an id.
const ID_VALUES_MAX: usize = 1 << 16;

/// One row group of a file.
pub(in crate::source) struct Group<'a> {
    file: &'a Positioned,
    meta: &'a ParquetMetaData,
    index: usize,
    rows: usize,
    /// Rows decoded at once.
    at_once: usize,
    /// Lengths of lists, by the leaf that holds their values.
    lengths: HashMap<usize, usize>,
    budget: Arc<Budget>,
}

impl<'a> Group<'a> {
    /// The row group `index` with the wanted leaves, the lengths of those that are lists, and the
    /// wanted ids.
    pub fn new(
        file: &'a Positioned,
        meta: &'a ParquetMetaData,
        index: usize,
        at_once: usize,
        wanted: &[(usize, Option<usize>)],
        ids: &[usize],
    ) -> Result<Self> {
        let group = meta.row_group(index);
        let leaves = wanted.iter().map(|(leaf, _)| leaf).chain(ids);
        let mut stored = 0;
        for &leaf in leaves {
            let Some(column) = group.columns().get(leaf) else {
                let reason = "a row group has fewer columns than the schema";
                return Err(ParquetError::General(reason.to_owned()));
            };
            stored += u64::try_from(column.compressed_size()).unwrap_or(0);
        }
        let lengths = wanted.iter().map(|&(leaf, len)| (leaf, len.unwrap_or(1)));
        Ok(Self {
            file,
            meta,
            index,
            rows: usize::try_from(group.num_rows())?,
            at_once,
            lengths: lengths.collect(),
            budget: Budget::new(stored),
        })
    }

    /// The pages of a leaf.
    pub fn pages(&self, leaf: usize) -> Result<Box<dyn PageReader>> {
        let column = self.meta.row_group(self.index).column(leaf);
        let len = self.lengths.get(&leaf).copied().unwrap_or(ID_VALUES_MAX);
        let (rows, at_once) = (self.rows, self.at_once);
        let pages = pages::open(self.file, column, rows, at_once, len, &self.budget)?;
        Ok(Box::new(pages))
    }
}

impl RowGroups for Group<'_> {
    fn num_rows(&self) -> usize {
        self.rows
    }

    fn column_chunks(&self, i: usize) -> Result<Box<dyn PageIterator>> {
        Ok(Box::new(Once(Some(self.pages(i)?))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.meta.row_group(self.index)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.meta
    }
}

/// The pages of the one row group.
struct Once(Option<Box<dyn PageReader>>);

impl Iterator for Once {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for Once {}

/// Values of the first list of this leaf that is not null; `list_def` is the definition level
/// from which a list has an entry. No value is decoded.
pub(in crate::source) fn first_length(
    file: &Positioned,
    meta: &ParquetMetaData,
    leaf: usize,
    list_def: u16,
) -> Result<Option<usize>> {
    for index in 0..meta.num_row_groups() {
        let wanted = [(leaf, Some(FEATURES_MAX))];
        let group = Group::new(file, meta, index, 1, &wanted, &[])?;
        let column = meta.row_group(index).column(leaf);
        if group.rows == 0 {
            continue;
        }
        let mut pages = group.pages(leaf)?;
        let mut found = None;
        while let Some(page) = pages.get_next_page()? {
            let sections = levels::sections(&page, column.column_descr());
            let sections = sections.map_err(|reason| ParquetError::General(reason.to_owned()))?;
            let Some(sections) = sections else { continue };
            for (rep, def) in sections.rep.singly().zip(sections.def.singly()) {
                match &mut found {
                    Some(_) if rep == 0 => return Ok(found),
                    Some(len) => *len += 1,
                    None if def >= list_def => found = Some(1),
                    // A null or empty list tells nothing.
                    None => {}
                }
            }
        }
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
