//! Rows of a piece → a minibatch that is partly filled.

use crate::rows::{Layout, Minibatch, Values};

/// Copies a piece to `batch` after its first `at` rows.
pub(super) fn append(batch: &mut Minibatch, at: usize, piece: &Minibatch) {
    let rows = piece.rows();
    let to = (batch.layout(), batch.row_stride(), batch.col_stride());
    match (batch.values_mut(), piece.values()) {
        (Values::F32(into), Values::F32(values)) => copy(into, to, at, values, piece),
        (Values::F64(into), Values::F64(values)) => copy(into, to, at, values, piece),
        // A piece of another width was refused.
        _ => {}
    }
    batch.set_rows(at + rows);
}

fn copy<T: Copy>(
    into: &mut [T],
    (layout, row_stride, col_stride): (Layout, usize, usize),
    at: usize,
    values: &[T],
    piece: &Minibatch,
) {
    let rows = piece.rows();
    if layout == Layout::RowMajor {
        let len = rows * row_stride;
        into[at * row_stride..][..len].copy_from_slice(&values[..len]);
        return;
    }
    let columns = values.chunks_exact(piece.col_stride());
    for (from, to) in columns.zip(into.chunks_exact_mut(col_stride)) {
        to[at..at + rows].copy_from_slice(&from[..rows]);
    }
}
