//! The floating-point work that an update cannot do without, alone.

use std::hint::black_box;

use faer::linalg::matmul::{matmul, triangular};
use faer::{Accum, Mat, MatMut, MatRef, Par};
use ojad::rows::{Layout, Minibatch, Values};

/// The products of an update on bare buffers: on held directions P = YUᵀ, Z = PᵀY, PᵀP, HU, ZZᵀ
/// and S⁻¹Z in f32; on all directions YᵀY in f64.
pub struct Products {
    m: usize,
    r: usize,
    b: usize,
    wide: Mat<f64>,
    covariance: Mat<f64>,
    w: Vec<f32>,
    z: Vec<f32>,
    p: Mat<f32>,
    small: Mat<f32>,
}

impl Products {
    /// Buffers for blocks of b rows of m features on r directions.
    pub fn new(m: usize, r: usize, b: usize) -> Self {
        let all = ojad::learner::full_covariance::FullCovariance::pays(m, r);
        let (rows, cols) = if all { (b, m) } else { (0, 0) };
        Self {
            m,
            r,
            b,
            wide: Mat::from_fn(rows, cols, |i, j| ((i * 31 + j * 17) % 101) as f64 - 50.0),
            covariance: Mat::zeros(cols, cols),
            w: vec![0.01; r * m],
            z: vec![0.01; r * m],
            p: Mat::zeros(b, r),
            small: Mat::zeros(r, r),
        }
    }

    /// Once.
    pub fn run(&mut self, batch: &Minibatch) {
        let (m, r, b) = (self.m, self.r, self.b);
        if self.wide.nrows() > 0 {
            let y = self.wide.as_ref();
            triangular::matmul(
                self.covariance.as_mut(),
                triangular::BlockStructure::TriangularLower,
                Accum::Add,
                y.transpose(),
                triangular::BlockStructure::Rectangular,
                y,
                triangular::BlockStructure::Rectangular,
                1.0,
                Par::Seq,
            );
            black_box(&self.covariance);
            return;
        }
        let Values::F32(values) = batch.values() else {
            return;
        };
        let y = match batch.layout() {
            Layout::RowMajor => MatRef::from_row_major_slice(values, b, m),
            Layout::ColumnMajor => MatRef::from_column_major_slice(values, b, m),
        };
        let w = MatRef::from_row_major_slice(&self.w, r, m);
        matmul(
            self.p.as_mut(),
            Accum::Replace,
            y,
            w.transpose(),
            1.0,
            Par::Seq,
        );
        let mut z = MatMut::from_row_major_slice_mut(&mut self.z, r, m);
        matmul(
            z.as_mut(),
            Accum::Replace,
            self.p.transpose(),
            y,
            1.0,
            Par::Seq,
        );
        let p = self.p.as_ref();
        matmul(
            self.small.as_mut(),
            Accum::Replace,
            p.transpose(),
            p,
            1.0,
            Par::Seq,
        );
        matmul(
            z.as_mut(),
            Accum::Add,
            self.small.as_ref(),
            w,
            1e-9,
            Par::Seq,
        );
        let z = MatRef::from_row_major_slice(&self.z, r, m);
        matmul(
            self.small.as_mut(),
            Accum::Replace,
            z,
            z.transpose(),
            1e-9,
            Par::Seq,
        );
        let mut w = MatMut::from_row_major_slice_mut(&mut self.w, r, m);
        matmul(
            w.as_mut(),
            Accum::Replace,
            self.small.as_ref(),
            z,
            1e-9,
            Par::Seq,
        );
        self.w.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
        black_box(&self.w);
    }
}
