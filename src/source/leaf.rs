//! One leaf column of a Parquet row group → a column of a chunk, by the crate's low-level column
//! reader: with no Arrow array in between and with reused buffers.
//!
//! A flat column has one value per row. A list has `len`: its repetition levels are checked where
//! rows must begin, its definition levels only where values are missing.

use parquet::column::page::PageReader;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{BoolType, DataType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};

use super::column::{Column, spread};
use super::values::Misfit;

/// Reads one leaf column of one row group.
pub(super) struct LeafReader {
    typed: Typed,
    levels: Depth,
}

/// Definition and repetition levels of interest.
#[derive(Clone, Copy, Debug)]
struct Depth {
    max_def: i16,
    max_rep: i16,
    /// Definition level from which the list has an entry.
    list_def: i16,
}

enum Typed {
    Bool(ColumnReaderImpl<BoolType>),
    /// Of at most 16 bits.
    Short(ColumnReaderImpl<Int32Type>),
    I32(ColumnReaderImpl<Int32Type>),
    U32(ColumnReaderImpl<Int32Type>),
    I64(ColumnReaderImpl<Int64Type>),
    U64(ColumnReaderImpl<Int64Type>),
    F32(ColumnReaderImpl<FloatType>),
    F64(ColumnReaderImpl<DoubleType>),
}

/// Buffers shared by all leaves of a file.
#[derive(Default)]
pub(super) struct Scratch {
    def: Vec<i16>,
    rep: Vec<i16>,
    bools: Vec<bool>,
    i32s: Vec<i32>,
    i64s: Vec<i64>,
}

/// True if [`LeafReader`] reads values of this Arrow type, stored as this physical type.
pub(super) fn is_plain(value: &arrow::datatypes::DataType, desc: &ColumnDescPtr) -> bool {
    use arrow::datatypes::DataType as A;
    use parquet::basic::Type as P;
    desc.max_rep_level() <= 1
        && matches!(
            (value, desc.physical_type()),
            (A::Boolean, P::BOOLEAN)
                | (
                    A::Int8 | A::Int16 | A::UInt8 | A::UInt16 | A::Int32 | A::UInt32,
                    P::INT32
                )
                | (A::Int64 | A::UInt64, P::INT64)
                | (A::Float32, P::FLOAT)
                | (A::Float64, P::DOUBLE)
        )
}

impl LeafReader {
    /// Reads the leaf `index` as values of Arrow type `value`, which [`is_plain`].
    pub fn new(
        schema: &SchemaDescriptor,
        index: usize,
        value: &arrow::datatypes::DataType,
        pages: Box<dyn PageReader>,
    ) -> Self {
        use arrow::datatypes::DataType as A;
        let desc = schema.column(index);
        let levels = Depth {
            max_def: desc.max_def_level(),
            max_rep: desc.max_rep_level(),
            list_def: list_def(schema, index),
        };
        let typed = match value {
            A::Boolean => Typed::Bool(ColumnReaderImpl::new(desc, pages)),
            A::Int32 => Typed::I32(ColumnReaderImpl::new(desc, pages)),
            A::UInt32 => Typed::U32(ColumnReaderImpl::new(desc, pages)),
            A::Int64 => Typed::I64(ColumnReaderImpl::new(desc, pages)),
            A::UInt64 => Typed::U64(ColumnReaderImpl::new(desc, pages)),
            A::Float32 => Typed::F32(ColumnReaderImpl::new(desc, pages)),
            A::Float64 => Typed::F64(ColumnReaderImpl::new(desc, pages)),
            _ => Typed::Short(ColumnReaderImpl::new(desc, pages)),
        };
        Self { typed, levels }
    }

    /// Reads the next `rows` rows.
    pub fn read(
        &mut self,
        rows: usize,
        out: &mut Column,
        scratch: &mut Scratch,
    ) -> Result<(), Misfit> {
        let Scratch {
            def,
            rep,
            bools,
            i32s,
            i64s,
        } = scratch;
        let mut job = Job {
            rows,
            len: out.len,
            levels: self.levels,
            def,
            rep,
            nulls: std::mem::take(&mut out.nulls),
        };
        let read = match &mut self.typed {
            Typed::F32(reader) => job.read(reader, out.clear::<f32>()),
            Typed::F64(reader) => job.read(reader, out.clear::<f64>()),
            Typed::Bool(reader) => job.read(reader, cleared(bools)).map(|()| {
                let to = |&v: &bool| f32::from(u8::from(v));
                out.clear::<f32>().extend(bools.iter().map(to));
            }),
            Typed::Short(reader) => job.read(reader, cleared(i32s)).map(|()| {
                out.clear::<f32>().extend(i32s.iter().map(|&v| v as f32));
            }),
            Typed::I32(reader) => job.read(reader, cleared(i32s)).map(|()| {
                out.clear::<f64>()
                    .extend(i32s.iter().map(|&v| f64::from(v)));
            }),
            Typed::U32(reader) => job.read(reader, cleared(i32s)).map(|()| {
                let to = |&v: &i32| f64::from(v.cast_unsigned());
                out.clear::<f64>().extend(i32s.iter().map(to));
            }),
            Typed::I64(reader) => job.read(reader, cleared(i64s)).map(|()| {
                out.clear::<f64>().extend(i64s.iter().map(|&v| v as f64));
            }),
            Typed::U64(reader) => job.read(reader, cleared(i64s)).map(|()| {
                let to = |&v: &i64| v.cast_unsigned() as f64;
                out.clear::<f64>().extend(i64s.iter().map(to));
            }),
        };
        out.nulls = job.nulls;
        read
    }
}

fn cleared<T>(values: &mut Vec<T>) -> &mut Vec<T> {
    values.clear();
    values
}

/// One call of [`LeafReader::read`].
struct Job<'a> {
    rows: usize,
    len: usize,
    levels: Depth,
    def: &'a mut Vec<i16>,
    rep: &'a mut Vec<i16>,
    nulls: Vec<bool>,
}

impl Job<'_> {
    fn read<T: DataType>(
        &mut self,
        reader: &mut ColumnReaderImpl<T>,
        values: &mut Vec<T::T>,
    ) -> Result<(), Misfit>
    where
        T::T: Copy + Default,
    {
        self.nulls.clear();
        self.def.clear();
        self.rep.clear();
        let mut done = 0;
        while done < self.rows {
            // Levels and values are appended.
            let (records, _, levels) = reader
                .read_records(
                    self.rows - done,
                    (self.levels.max_def > 0).then_some(&mut *self.def),
                    (self.levels.max_rep > 0).then_some(&mut *self.rep),
                    values,
                )
                .map_err(|error: ParquetError| Misfit::Other(error.to_string()))?;
            // Without this, an exhausted reader would be asked forever.
            if records == 0 && levels == 0 {
                return Err(Misfit::Other(format!(
                    "a column ends {} rows before its row group does",
                    self.rows - done
                )));
            }
            done += records;
        }
        let expected = self.rows * self.len;
        if self.levels.max_rep == 0 {
            // Fewer values than rows means nulls; without any, the levels need no look.
            if values.len() != expected {
                let max = self.levels.max_def;
                self.nulls.extend(self.def.iter().map(|&level| level < max));
            }
        } else {
            // As many levels as values, and a row beginning every `len` of them: since there are
            // as many rows as beginnings, all lists are `len` long.
            let regular = self.rep.len() == expected
                && values.len() == expected
                && self.rep.iter().step_by(self.len).all(|&level| level == 0);
            if !regular {
                self.irregular()?;
            }
        }
        if !self.nulls.is_empty() {
            if self.nulls.len() != expected {
                return Err(Misfit::Other("levels and rows disagree".to_owned()));
            }
            spread(values, &self.nulls);
        }
        Ok(())
    }

    /// Walks the levels of lists if some are null, contain nulls, or have another length.
    fn irregular(&mut self) -> Result<(), Misfit> {
        let Depth {
            max_def, list_def, ..
        } = self.levels;
        let (mut at, mut row) = (0, 0);
        while at < self.rep.len() {
            let next = self.rep[at + 1..].iter().position(|&level| level == 0);
            let end = next.map_or(self.rep.len(), |n| at + 1 + n);
            // Without definition levels everything is there.
            let def = |i: usize| self.def.get(i).copied().unwrap_or(max_def);
            if def(at) >= list_def {
                if end - at != self.len {
                    let found = end - at;
                    return Err(Misfit::Length { row, found });
                }
                self.nulls.extend((at..end).map(|i| def(i) < max_def));
            // One level below the repeated node: the list is there and empty, which is not a null
            // list.
            } else if def(at) == list_def - 1 {
                return Err(Misfit::Length { row, found: 0 });
            } else {
                self.nulls.extend(std::iter::repeat_n(true, self.len));
            }
            at = end;
            row += 1;
        }
        Ok(())
    }
}

/// The definition level at which the repeated node above a leaf is present; 0 for a flat column.
pub(super) fn list_def(schema: &SchemaDescriptor, index: usize) -> i16 {
    let desc = schema.column(index);
    let mut node = schema.get_column_root(index);
    let mut level = 0;
    for name in desc.path().parts().iter().skip(1).map(Some).chain([None]) {
        let info = node.get_basic_info();
        if info.has_repetition() {
            match info.repetition() {
                parquet::basic::Repetition::REQUIRED => {}
                parquet::basic::Repetition::OPTIONAL => level += 1,
                parquet::basic::Repetition::REPEATED => return level + 1,
            }
        }
        let child = name.and_then(|name| {
            let inner = node.is_group().then(|| node.get_fields())?;
            inner.iter().find(|field| field.name() == name)
        });
        match child {
            Some(child) => node = child,
            None => break,
        }
    }
    0
}
