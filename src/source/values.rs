//! Arrow arrays → columns of a chunk: every type, without a copy if Arrow already holds the floats.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowNativeType, ArrowPrimitiveType, DataType, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use half::f16;

use super::column::{Column, Float, either};
use super::params::BinaryDtype;
use super::select::{Leaf, Shape};

/// Why a column of a batch cannot be taken.
#[derive(Debug)]
pub(super) enum Misfit {
    /// A list of another length.
    Length {
        /// Row of the batch.
        row: usize,
        /// Its values.
        found: usize,
    },
    /// Anything else: the decoder's output does not match the schema.
    Other(String),
}

/// Loads the column that `leaf` names, below the root column `root`; the caller scans it.
pub(super) fn load(
    batch: &RecordBatch,
    root: usize,
    leaf: &Leaf,
    out: &mut Column,
) -> Result<(), Misfit> {
    if leaf.is_blank() {
        out.set_all_null(batch.num_rows());
        return Ok(());
    }
    let (array, parents) = pick(batch, root, &leaf.path)?;
    out.nulls.clear();
    match leaf.shape {
        Shape::Scalar => scalars(&array, out)?,
        Shape::List => lists(&array, out)?,
        Shape::Binary(dtype) => binaries(&array, dtype, out)?,
    }
    // A null struct hides whatever values its children have.
    if let Some(parents) = parents.filter(|nulls| nulls.null_count() > 0) {
        null_rows(out, &parents);
    }
    let held = either!(&out.values, v => v.len());
    if held == batch.num_rows() * out.len {
        Ok(())
    } else {
        Err(Misfit::Other(format!(
            "column `{}` holds {held} values in {} rows",
            leaf.name,
            batch.num_rows()
        )))
    }
}

/// The index in `batch` of the root column of each leaf, looked up once per file: looking up names
/// per chunk took longer than the values of 784 columns.
pub(super) fn roots(batch: &RecordBatch, leaves: &[Leaf]) -> Vec<usize> {
    let schema = batch.schema_ref();
    let fields = schema.fields().iter().enumerate();
    let at: HashMap<&str, usize> = fields
        .map(|(i, field)| (field.name().as_str(), i))
        .collect();
    let root = |leaf: &Leaf| at.get(leaf.path.first()?.as_str()).copied();
    leaves
        .iter()
        .map(|leaf| root(leaf).unwrap_or(usize::MAX))
        .collect()
}

/// The array that the names lead to, and the nulls of the structs above it.
fn pick(
    batch: &RecordBatch,
    root: usize,
    path: &[String],
) -> Result<(ArrayRef, Option<NullBuffer>), Misfit> {
    let missing = || Misfit::Other(format!("column `{}` was not decoded", path.join(".")));
    let mut array = batch.columns().get(root).ok_or_else(missing)?.clone();
    let below = &path[1..];
    let mut nulls: Option<NullBuffer> = None;
    for name in below {
        let parent = array.as_struct_opt().ok_or_else(missing)?;
        nulls = NullBuffer::union(nulls.as_ref(), parent.nulls());
        array = parent.column_by_name(name).ok_or_else(missing)?.clone();
    }
    Ok((array, nulls))
}

/// Loads a whole array: a value per row, or a list.
pub(super) fn load_array(array: &ArrayRef, is_list: bool, out: &mut Column) -> Result<(), Misfit> {
    out.nulls.clear();
    if is_list {
        lists(array, out)
    } else {
        scalars(array, out)
    }
}

/// Marks all values of the null rows.
fn null_rows(out: &mut Column, nulls: &NullBuffer) {
    let len = out.len;
    out.nulls.resize(nulls.len() * len, false);
    for (row, valid) in nulls.iter().enumerate() {
        if !valid {
            out.nulls[row * len..][..len].fill(true);
        }
    }
}

/// Values of a numeric array, one after another, with their nulls.
fn scalars(array: &dyn Array, out: &mut Column) -> Result<(), Misfit> {
    match array.data_type() {
        DataType::Float32 => out.share(array.as_primitive::<Float32Type>().values().clone()),
        DataType::Float64 => out.share(array.as_primitive::<Float64Type>().values().clone()),
        DataType::Float16 => convert::<Float16Type, f32>(array, out, f16::to_f32),
        DataType::Int8 => convert::<Int8Type, f32>(array, out, f32::from),
        DataType::Int16 => convert::<Int16Type, f32>(array, out, f32::from),
        DataType::UInt8 => convert::<UInt8Type, f32>(array, out, f32::from),
        DataType::UInt16 => convert::<UInt16Type, f32>(array, out, f32::from),
        DataType::Int32 => convert::<Int32Type, f64>(array, out, f64::from),
        DataType::UInt32 => convert::<UInt32Type, f64>(array, out, f64::from),
        DataType::Int64 => convert::<Int64Type, f64>(array, out, |v| v as f64),
        DataType::UInt64 => convert::<UInt64Type, f64>(array, out, |v| v as f64),
        DataType::Decimal32(_, s) => {
            let unit = unit(*s);
            convert::<Decimal32Type, f64>(array, out, |v| unit.of(f64::from(v)));
        }
        DataType::Decimal64(_, s) => {
            let unit = unit(*s);
            convert::<Decimal64Type, f64>(array, out, |v| unit.of(v as f64));
        }
        DataType::Decimal128(_, s) => {
            let unit = unit(*s);
            convert::<Decimal128Type, f64>(array, out, |v| unit.of(v as f64));
        }
        DataType::Decimal256(_, s) => {
            let unit = unit(*s);
            convert::<Decimal256Type, f64>(array, out, |v| unit.of(big(v)));
        }
        DataType::Boolean => {
            let bits = array.as_boolean().values().iter();
            out.clear::<f32>()
                .extend(bits.map(|bit| f32::from(u8::from(bit))));
        }
        DataType::Duration(unit) => seconds(array, *unit, out),
        DataType::Null => {
            out.set_all_null(array.len() / out.len.max(1));
            return Ok(());
        }
        DataType::Dictionary(..) => return dictionary(array, out),
        other => {
            return Err(Misfit::Other(format!(
                "a column of type {other} is not numeric"
            )));
        }
    }
    mark(array, out);
    Ok(())
}

fn mark(array: &dyn Array, out: &mut Column) {
    out.nulls.clear();
    if let Some(nulls) = array.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
        out.nulls.extend(nulls.iter().map(|valid| !valid));
    }
}

/// Appends the values of an array of `A`, each as `to` makes it a float.
fn convert<A: ArrowPrimitiveType, T: Float>(
    array: &dyn Array,
    out: &mut Column,
    to: impl Fn(A::Native) -> T,
) {
    let values = array.as_primitive::<A>().values();
    out.clear().extend(values.iter().map(|&v| to(v)));
}

/// Durations as seconds: dividing by an exact power of ten rounds once.
fn seconds(array: &dyn Array, unit: TimeUnit, out: &mut Column) {
    match unit {
        TimeUnit::Second => convert::<DurationSecondType, f64>(array, out, |v| v as f64),
        TimeUnit::Millisecond => {
            convert::<DurationMillisecondType, f64>(array, out, |v| v as f64 / 1e3);
        }
        TimeUnit::Microsecond => {
            convert::<DurationMicrosecondType, f64>(array, out, |v| v as f64 / 1e6);
        }
        TimeUnit::Nanosecond => {
            convert::<DurationNanosecondType, f64>(array, out, |v| v as f64 / 1e9);
        }
    }
}

/// 10^scale of a decimal: dividing by an exact power rounds once.
#[derive(Clone, Copy)]
struct Unit {
    divide: bool,
    power: f64,
}

fn unit(scale: i8) -> Unit {
    Unit {
        divide: scale >= 0,
        power: 10_f64.powi(i32::from(scale).abs()),
    }
}

impl Unit {
    fn of(self, digits: f64) -> f64 {
        if self.divide {
            digits / self.power
        } else {
            digits * self.power
        }
    }
}

/// 256 bits: exact where 128 hold them, else the sum of the halves, which rounds twice.
fn big(value: arrow::datatypes::i256) -> f64 {
    if let Some(small) = value.to_i128() {
        return small as f64;
    }
    let (low, high) = value.to_parts();
    high as f64 * 2_f64.powi(128) + low as f64
}

/// The values behind the keys.
fn dictionary(array: &dyn Array, out: &mut Column) -> Result<(), Misfit> {
    let Some(coded) = array.as_any_dictionary_opt() else {
        return Err(Misfit::Other("a dictionary without keys".to_owned()));
    };
    let mut words = Column::new(1);
    scalars(coded.values(), &mut words)?;
    // Keys of an empty dictionary cannot be normalized; all rows are null then.
    let keys = if coded.values().is_empty() {
        vec![0; array.len()]
    } else {
        coded.normalized_keys()
    };
    either!(&words.values, v => pick_keys(v, &keys, out));
    mark(array, out);
    Ok(())
}

/// The value of each key; 0 for one without, which is null.
fn pick_keys<T: Float>(values: &[T], keys: &[usize], out: &mut Column) {
    let at = |&key: &usize| values.get(key).copied().unwrap_or_default();
    out.clear().extend(keys.iter().map(at));
}

fn lists(array: &dyn Array, out: &mut Column) -> Result<(), Misfit> {
    match array.data_type() {
        DataType::List(_) => offset_lists::<i32>(array, out),
        DataType::LargeList(_) => offset_lists::<i64>(array, out),
        DataType::FixedSizeList(..) => {
            let list = array.as_fixed_size_list();
            // The array may be a slice of a longer one.
            let start = list.value_offset_at(0);
            let items = list.values().slice(start, list.len() * out.len);
            scalars(&items, out)?;
            if let Some(nulls) = list.nulls().filter(|nulls| nulls.null_count() > 0) {
                null_rows(out, nulls);
            }
            Ok(())
        }
        other => Err(Misfit::Other(format!(
            "a column of type {other} is not a list"
        ))),
    }
}

fn offset_lists<O: OffsetSizeTrait>(array: &dyn Array, out: &mut Column) -> Result<(), Misfit> {
    let list = array.as_list::<O>();
    let len = out.len;
    let offsets: Vec<usize> = list.value_offsets().iter().map(|o| o.as_usize()).collect();
    let wrong = offsets
        .windows(2)
        .enumerate()
        // A null list may have any length: its values are not used.
        .find(|(row, pair)| list.is_valid(*row) && pair[1] - pair[0] != len);
    if let Some((row, pair)) = wrong {
        return Err(Misfit::Length {
            row,
            found: pair[1] - pair[0],
        });
    }
    let (first, last) = (offsets[0], offsets[list.len()]);
    if last - first == list.len() * len && list.null_count() == 0 {
        return scalars(&list.values().slice(first, last - first), out);
    }
    let mut items = Column::new(1);
    scalars(&list.values().slice(first, last - first), &mut items)?;
    let rows = offsets.iter().map(|offset| offset - first);
    let rows = rows.take(list.len()).enumerate();
    let rows = rows.map(|(row, at)| list.is_valid(row).then_some(at));
    either!(&items.values, v => gather(v, rows.clone(), out));
    for at in rows {
        match at {
            None => out.nulls.extend(std::iter::repeat_n(true, len)),
            Some(_) if items.nulls.is_empty() => {
                out.nulls.extend(std::iter::repeat_n(false, len));
            }
            Some(at) => out.nulls.extend_from_slice(&items.nulls[at..at + len]),
        }
    }
    Ok(())
}

/// The rows that start at these values, zeros for the others.
fn gather<T: Float>(from: &[T], rows: impl Iterator<Item = Option<usize>>, out: &mut Column) {
    let len = out.len;
    let to = out.clear();
    for at in rows {
        match at {
            Some(at) => to.extend_from_slice(&from[at..at + len]),
            None => to.extend(std::iter::repeat_n(T::default(), len)),
        }
    }
}

fn binaries(array: &dyn Array, dtype: BinaryDtype, out: &mut Column) -> Result<(), Misfit> {
    let Some(rows) = array.as_fixed_size_binary_opt() else {
        return Err(Misfit::Other(
            "a column is not fixed-size binary".to_owned(),
        ));
    };
    let bytes = rows.values();
    match dtype {
        BinaryDtype::F32 => match shared::<f32>(bytes) {
            Some(values) => out.share(values),
            None => raw_values(bytes, out, f32::from_le_bytes),
        },
        BinaryDtype::F64 => match shared::<f64>(bytes) {
            Some(values) => out.share(values),
            None => raw_values(bytes, out, f64::from_le_bytes),
        },
        BinaryDtype::F16 => raw_values(bytes, out, |raw| f16::from_le_bytes(raw).to_f32()),
    }
    if let Some(nulls) = rows.nulls().filter(|nulls| nulls.null_count() > 0) {
        null_rows(out, nulls);
    }
    Ok(())
}

/// The bytes as values without a copy, if the machine is little-endian and they are aligned.
fn shared<T: ArrowNativeType>(bytes: &Buffer) -> Option<ScalarBuffer<T>> {
    let fits = cfg!(target_endian = "little") && bytes.as_ptr().align_offset(align_of::<T>()) == 0;
    fits.then(|| ScalarBuffer::new(bytes.clone(), 0, bytes.len() / size_of::<T>()))
}

fn raw_values<T: Float, const N: usize>(
    bytes: &[u8],
    out: &mut Column,
    read: impl Fn([u8; N]) -> T,
) {
    let rows = bytes.as_chunks::<N>().0;
    out.clear().extend(rows.iter().map(|&raw| read(raw)));
}
