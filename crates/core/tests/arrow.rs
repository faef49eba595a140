//! Record batches of every shape against the same rows as plain values.

#![allow(clippy::expect_used)]

use std::sync::Arc;

use arrow_array::types::Float32Type;
use arrow_array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int64Array,
    RecordBatch, StringArray,
};
use ojad_core::{ArrowRows, Missing, Pca, Rows};

fn saved(rows: &Rows<'_>) -> Vec<f64> {
    let mut pca = Pca::builder()
        .components(2)
        .missing(Missing::Mean)
        .build(rows.features())
        .expect("a model");
    pca.update(rows).expect("rows");
    let estimate = pca.estimate().expect("an estimate");
    [estimate.eigenvalues, estimate.mean, estimate.vectors].concat()
}

fn close(left: &[f64], right: &[f64]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(a, b)| (a - b).abs() < 1e-6)
}

#[test]
fn numbers_of_every_type_are_features() {
    let value = |i: usize, j: usize| ((i * 7 + j * 3) % 11) as f64;
    let n = 300;
    let column = |j: usize| (0..n).map(move |i| value(i, j));
    let batch = RecordBatch::try_from_iter([
        (
            "a",
            Arc::new(Float64Array::from_iter_values(column(0))) as ArrayRef,
        ),
        (
            "b",
            Arc::new(Float32Array::from_iter_values(column(1).map(|v| v as f32))),
        ),
        (
            "c",
            Arc::new(Int64Array::from_iter_values(column(2).map(|v| v as i64))),
        ),
        (
            "d",
            Arc::new((0..n).map(|i| Some(i % 3 == 0)).collect::<BooleanArray>()),
        ),
    ])
    .expect("a batch");
    let expected: Vec<f64> = (0..n)
        .flat_map(|i| {
            [
                value(i, 0),
                value(i, 1),
                value(i, 2),
                f64::from(u8::from(i % 3 == 0)),
            ]
        })
        .collect();
    let expected = saved(&Rows::from_f64(&expected, 4));
    assert!(close(
        &saved(&ArrowRows::new(&batch).expect("numbers").rows()),
        &expected
    ));
}

#[test]
fn a_slice_of_a_list_column_is_its_rows() {
    let lists = (0..400_u16).map(|i| {
        Some(
            (0..3_u16)
                .map(move |j| Some(f32::from((i * 5 + j * j) % 13)))
                .collect::<Vec<_>>(),
        )
    });
    let lists = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(lists, 3);
    let batch = RecordBatch::try_from_iter([("v", Arc::new(lists) as ArrayRef)]).expect("a batch");
    let sliced = batch.slice(100, 250);
    let expected: Vec<f64> = (100..350_u16)
        .flat_map(|i| (0..3_u16).map(move |j| f64::from((i * 5 + j * j) % 13)))
        .collect();
    let rows = ArrowRows::new(&sliced).expect("numbers");
    assert_eq!(rows.rows().len(), 250);
    assert!(close(
        &saved(&rows.rows()),
        &saved(&Rows::from_f64(&expected, 3))
    ));
}

#[test]
fn nulls_are_missing_and_text_is_refused() {
    let values = (0..100).map(|i| (i % 4 != 0).then(|| f64::from(i % 9)));
    let other = Float64Array::from_iter_values((0..100).map(|i| f64::from(i % 5)));
    let nulls: Float64Array = values.clone().collect();
    let batch =
        RecordBatch::try_from_iter([("a", Arc::new(nulls) as ArrayRef), ("b", Arc::new(other))])
            .expect("a batch");
    let expected: Vec<f64> = values
        .zip(0..100)
        .flat_map(|(value, i)| [value.unwrap_or(f64::NAN), f64::from(i % 5)])
        .collect();
    let rows = ArrowRows::new(&batch).expect("numbers");
    assert!(close(
        &saved(&rows.rows()),
        &saved(&Rows::from_f64(&expected, 2))
    ));
    let text = Arc::new(StringArray::from_iter_values(["x", "y"])) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("name", text)]).expect("a batch");
    let error = ArrowRows::new(&batch).expect_err("text");
    assert!(error.to_string().contains("`name`"), "{error}");
}
