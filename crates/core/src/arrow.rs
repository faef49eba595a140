//! The rows of an Arrow record batch: floats are borrowed in place, other numbers become f64.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;

use crate::score::{Cells, Lane, Rows};

/// Why a record batch has no rows to learn from.
///
/// ```
/// use std::sync::Arc;
/// use arrow_array::{ArrayRef, RecordBatch, StringArray};
/// use ojad_core::ArrowRows;
///
/// let names = Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef;
/// let batch = RecordBatch::try_from_iter([("name", names)])?;
/// let error = ArrowRows::new(&batch).unwrap_err();
/// assert!(error.to_string().contains("column `name`"));
/// # Ok::<(), arrow_schema::ArrowError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArrowRowsError {
    /// A column that is neither a number nor a list of a fixed number of floats.
    #[error("column `{column}` of type {data_type} cannot be a feature; select numeric columns")]
    Type {
        /// Name of the column.
        column: String,
        /// The type of the column.
        data_type: String,
    },
}

/// The rows of a record batch. Each numeric column is one feature and each fixed-size list of
/// floats is as many features as it has elements, in the order of the schema.
///
/// Columns of f32 and f64 without nulls are borrowed; others become f64, with NaN for a null.
///
/// ```
/// use std::sync::Arc;
/// use arrow_array::{ArrayRef, Float64Array, Int32Array, RecordBatch};
/// use ojad_core::{ArrowRows, Pca};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pressure: Float64Array = (0..500).map(|i| (i as f64 * 0.3).sin()).collect::<Vec<_>>().into();
/// let count: Int32Array = (0..500).map(|i| i % 7).collect::<Vec<_>>().into();
/// let batch = RecordBatch::try_from_iter([
///     ("pressure", Arc::new(pressure) as ArrayRef),
///     ("count", Arc::new(count)),
/// ])?;
/// let mut pca = Pca::builder().components(1).build(2)?;
/// pca.update(&ArrowRows::new(&batch)?.rows())?;
/// assert_eq!(pca.estimate()?.rows, 500);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ArrowRows<'a> {
    columns: Vec<Column<'a>>,
    rows: usize,
}

/// The values of one column, `width` per row.
#[derive(Clone, Debug)]
struct Column<'a> {
    values: Values<'a>,
    width: usize,
}

#[derive(Clone, Debug)]
enum Values<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    Made(Vec<f64>),
}

impl<'a> ArrowRows<'a> {
    /// The rows of `batch`.
    ///
    /// # Errors
    /// If a column holds no numbers.
    pub fn new(batch: &'a RecordBatch) -> Result<Self, ArrowRowsError> {
        let schema = batch.schema_ref();
        let columns = schema.fields().iter().zip(batch.columns());
        let columns = columns.map(|(field, array)| {
            column(array.as_ref()).ok_or_else(|| ArrowRowsError::Type {
                column: field.name().clone(),
                data_type: field.data_type().to_string(),
            })
        });
        Ok(Self {
            columns: columns.collect::<Result<_, _>>()?,
            rows: batch.num_rows(),
        })
    }

    /// Borrows the rows in the form that [`Pca`](crate::Pca) takes.
    pub fn rows(&self) -> Rows<'_> {
        let lanes = self.columns.iter().flat_map(|column| {
            let cells = match &column.values {
                Values::F32(values) => Cells::F32(values),
                Values::F64(values) => Cells::F64(values),
                Values::Made(values) => Cells::F64(values),
            };
            (0..column.width).map(move |start| Lane {
                cells,
                start,
                stride: column.width,
            })
        });
        Rows::lanes(lanes.collect(), self.rows)
    }
}

fn column(array: &dyn Array) -> Option<Column<'_>> {
    if let DataType::FixedSizeList(_, width) = array.data_type() {
        let width = usize::try_from(*width).ok()?;
        let list = array.as_fixed_size_list();
        // A slice of a fixed-size list slices its values.
        let (inner, rows) = (list.values(), list.len());
        if list.null_count() > 0 || inner.null_count() > 0 {
            let all = made(inner.as_ref())?;
            let mut values = all.get(..rows * width)?.to_vec();
            for row in (0..rows).filter(|row| list.is_null(*row)) {
                values[row * width..(row + 1) * width].fill(f64::NAN);
            }
            return Some(Column {
                values: Values::Made(values),
                width,
            });
        }
        let values = match numbers(inner.as_ref())? {
            Values::F32(values) => Values::F32(values.get(..rows * width)?),
            Values::F64(values) => Values::F64(values.get(..rows * width)?),
            Values::Made(values) => Values::Made(values.get(..rows * width)?.to_vec()),
        };
        return Some(Column { values, width });
    }
    let values = numbers(array)?;
    Some(Column { values, width: 1 })
}

fn numbers(array: &dyn Array) -> Option<Values<'_>> {
    let has_nulls = array.null_count() > 0;
    match array.data_type() {
        DataType::Float32 if !has_nulls => {
            Some(Values::F32(array.as_primitive::<Float32Type>().values()))
        }
        DataType::Float64 if !has_nulls => {
            Some(Values::F64(array.as_primitive::<Float64Type>().values()))
        }
        _ => made(array).map(Values::Made),
    }
}

/// The values as f64, NaN where there is none; `None` if they are not numbers.
fn made(array: &dyn Array) -> Option<Vec<f64>> {
    Some(match array.data_type() {
        DataType::Boolean => {
            let values = array.as_boolean().iter();
            values
                .map(|value| value.map_or(f64::NAN, |v| f64::from(u8::from(v))))
                .collect()
        }
        DataType::Int8 => each::<Int8Type>(array, f64::from),
        DataType::Int16 => each::<Int16Type>(array, f64::from),
        DataType::Int32 => each::<Int32Type>(array, f64::from),
        DataType::Int64 => each::<Int64Type>(array, |value| value as f64),
        DataType::UInt8 => each::<UInt8Type>(array, f64::from),
        DataType::UInt16 => each::<UInt16Type>(array, f64::from),
        DataType::UInt32 => each::<UInt32Type>(array, f64::from),
        DataType::UInt64 => each::<UInt64Type>(array, |value| value as f64),
        DataType::Float16 => each::<Float16Type>(array, f64::from),
        DataType::Float32 => each::<Float32Type>(array, f64::from),
        DataType::Float64 => each::<Float64Type>(array, |value| value),
        DataType::Null => vec![f64::NAN; array.len()],
        _ => return None,
    })
}

fn each<T: ArrowPrimitiveType>(array: &dyn Array, to: impl Fn(T::Native) -> f64) -> Vec<f64> {
    let values = array.as_primitive::<T>().iter();
    values.map(|value| value.map_or(f64::NAN, &to)).collect()
}
