//! A [`Pca`] ↔ bytes, the same on every machine.
//!
//! `OJADPCA1`, the parameters, the learner's state, the waiting rows, and the FNV-1a hash (64 bits)
//! of all of it: a corrupted model is refused.

use super::Pca;
use super::builder::{Missing, check};
use super::waiting::Waiting;
use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::{Forgetting, LearnerParams, Penalty, Precision, Rule, Scale, Step};
use crate::rows::{Layout, Minibatch, Width};

const MAGIC: &[u8; 8] = b"OJADPCA1";
/// Name of the bytes in errors.
const SECTION: &str = "the saved model";
/// Numbers of features or minibatch rows above this are taken for damage.
const SIZE_MAX: usize = 1 << 40;

impl Pca {
    /// The whole state: [`Pca::from_bytes`] continues bit for bit.
    ///
    /// ```
    /// # use ojad_core::{Pca, Rows};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let values: Vec<f64> = (0..3000).map(|i| (i as f64 * 0.37).sin()).collect();
    /// let mut pca = Pca::builder().components(2).build(3)?;
    /// pca.update(&Rows::from_f64(&values, 3))?;
    /// let restored = Pca::from_bytes(&pca.to_bytes())?;
    /// assert_eq!(restored.estimate()?, pca.estimate()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = Encoder::new();
        to.raw(MAGIC);
        to.usize(self.features());
        save_params(&self.params, &mut to);
        to.bool(self.missing == Missing::Mean);
        self.learner.save(&mut to);
        save_waiting(self.waiting.as_minibatch(), &mut to);
        let hash = fnv1a(to.as_bytes());
        to.u64(hash);
        to.into_bytes()
    }

    /// The state that [`Pca::to_bytes`] wrote.
    ///
    /// # Errors
    /// If the bytes are not a whole saved model, or were changed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let (content, hash) = bytes.split_last_chunk::<8>().unwrap_or((bytes, &[0; 8]));
        let mut from = Decoder::new(SECTION, content);
        if !content.starts_with(MAGIC) {
            return Err(from.refuse("not a saved model: it does not begin with OJADPCA1"));
        }
        if fnv1a(content) != u64::from_le_bytes(*hash) {
            return Err(from.refuse("truncated or changed: the checksum does not match"));
        }
        from.array::<8>()?;
        let features = from.usize()?;
        let params = restore_params(&mut from)?;
        let missing = if from.bool()? {
            Missing::Mean
        } else {
            Missing::Error
        };
        let rows = params.minibatch.unwrap_or(0);
        if features
            .checked_mul(rows.max(1))
            .is_none_or(|size| size > SIZE_MAX)
        {
            return Err(from.refuse(format!("{features} features, {rows} rows a minibatch")));
        }
        check(&params).map_err(|error| from.refuse(error))?;
        let mut pca = Self::new(params, missing, features).map_err(|error| from.refuse(error))?;
        pca.learner.restore(&mut from)?;
        pca.waiting = restore_waiting(&mut from, pca.waiting.as_minibatch())?;
        from.finish()?;
        Ok(pca)
    }
}

/// 64-bit FNV-1a. Source: Fowler, Noll, Vo; draft-eastlake-fnv.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn save_params(params: &LearnerParams, to: &mut Encoder) {
    to.usize(params.components);
    save_option(params.oversampling, to);
    let (rule, step) = match params.rule {
        Rule::ClosedForm => (0, 0.0),
        Rule::Oja(Step::AdaOja) => (1, 0.0),
        Rule::Oja(Step::Constant(alpha)) => (2, alpha),
        Rule::Oja(Step::COverT(c)) => (3, c),
        Rule::MatrixStep { c } => (4, c),
    };
    to.u8(rule);
    to.f64(step);
    to.bool(params.precision == Precision::F64);
    save_option(params.minibatch, to);
    to.bool(params.center);
    to.bool(params.scale == Scale::Standard);
    let (is_fixed, penalty) = match params.penalty {
        Penalty::Auto => (false, 0.0),
        Penalty::Fixed(value) => (true, value),
    };
    to.bool(is_fixed);
    to.f64(penalty);
    let (kind, rate) = match params.forgetting {
        Forgetting::None => (0, 0.0),
        Forgetting::PerRow(factor) => (1, factor),
        Forgetting::HalfLifeRows(rows) => (2, rows),
    };
    to.u8(kind);
    to.f64(rate);
    to.u64(params.seed);
}

fn restore_params(from: &mut Decoder<'_>) -> Result<LearnerParams, CodecError> {
    let components = from.usize()?;
    let oversampling = restore_option(from)?;
    let rule = match (from.u8()?, from.f64()?) {
        (0, _) => Rule::ClosedForm,
        (1, _) => Rule::Oja(Step::AdaOja),
        (2, alpha) => Rule::Oja(Step::Constant(alpha)),
        (3, c) => Rule::Oja(Step::COverT(c)),
        (4, c) => Rule::MatrixStep { c },
        (other, _) => return Err(from.refuse(format!("unknown rule {other}"))),
    };
    let precision = if from.bool()? {
        Precision::F64
    } else {
        Precision::F32
    };
    let minibatch = restore_option(from)?;
    let center = from.bool()?;
    let scale = if from.bool()? {
        Scale::Standard
    } else {
        Scale::None
    };
    let penalty = match (from.bool()?, from.f64()?) {
        (false, _) => Penalty::Auto,
        (true, value) => Penalty::Fixed(value),
    };
    let forgetting = match (from.u8()?, from.f64()?) {
        (0, _) => Forgetting::None,
        (1, factor) => Forgetting::PerRow(factor),
        (2, rows) => Forgetting::HalfLifeRows(rows),
        (other, _) => return Err(from.refuse(format!("unknown forgetting {other}"))),
    };
    Ok(LearnerParams {
        components,
        oversampling,
        rule,
        precision,
        minibatch,
        center,
        scale,
        penalty,
        forgetting,
        seed: from.u64()?,
    })
}

fn save_option(value: Option<usize>, to: &mut Encoder) {
    to.bool(value.is_some());
    to.usize(value.unwrap_or(0));
}

fn restore_option(from: &mut Decoder<'_>) -> Result<Option<usize>, CodecError> {
    let (is_some, value) = (from.bool()?, from.usize()?);
    Ok(is_some.then_some(value))
}

/// Width and layout, then the rows.
fn save_waiting(batch: &Minibatch, to: &mut Encoder) {
    to.bool(batch.width() == Width::F64);
    to.bool(batch.layout() == Layout::ColumnMajor);
    batch.save(to);
}

fn restore_waiting(from: &mut Decoder<'_>, empty: &Minibatch) -> Result<Waiting, CodecError> {
    let width = if from.bool()? { Width::F64 } else { Width::F32 };
    let layout = if from.bool()? {
        Layout::ColumnMajor
    } else {
        Layout::RowMajor
    };
    let mut batch = Minibatch::new(width, layout, empty.capacity(), empty.features());
    batch.restore(from)?;
    Ok(Waiting::of(batch))
}
