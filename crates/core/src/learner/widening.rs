//! The closed form in f32 as long as that resolves the wanted components, and in f64 otherwise.
//!
//! One direction that outweighs all others (a counter, a sentinel of 999999, one row of 10⁶) leaves
//! in f32 products a rounding error of 10⁻⁷ of its own variance in every other direction: a wanted
//! eigenvalue of 10⁻⁸ of the largest is lost, and so is its direction. So before a block is
//! learned, the share of the k-th eigenvalue in the variance of all rows, including the block's,
//! decides whether f32 is enough. If it is not, the state continues in f64 from this block, which
//! is centred again, and returns to f32 once that is enough. What was learned in f32 until then had
//! errors of 10⁻⁷ of a variance that was still small.
//!
//! The answer is a function of the rows, so that a resumed run repeats the bits.

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::engine::{CovarianceTotals, Engine as _};
use crate::learner::low_rank::LowRank;
use crate::learner::moments::Moments;
use crate::learner::params::LearnerParams;
use crate::learner::saved::EngineTag;
use crate::learner::streaming::{Streaming, failed};
use crate::learner::summary::Summary;
use crate::learner::{LearnError, Learner};
use crate::linalg::Real as _;
use crate::rows::Minibatch;

/// The k-th eigenvalue must hold this share of the total variance for f32 to resolve it.
const SHARE: f64 = 1e-5;

/// And this share before f64 switches back to f32.
const SHARE_TO_RETURN: f64 = 16.0 * SHARE;

/// Total variances whose products neither overflow nor lose digits to underflow in f32, with room
/// for a share of [`SHARE`] and for the sums over rows.
const F32_RANGE: std::ops::Range<f64> = 1e-24..1e30;

/// The closed form on r held directions, in the width that the rows need.
pub struct Widening {
    features: usize,
    minibatch_rows: usize,
    /// The moments before the minibatch that is being learned.
    before: Moments,
    /// The engine before that minibatch, in cases where the engine changes before it is known
    /// whether f32 is enough.
    engine_before: LowRank<f32>,
    state: State,
}

enum State {
    Narrow(Streaming<LowRank<f32>>),
    Wide(Streaming<LowRank<f64>>),
}

impl Widening {
    /// A learner of `features` features that expects minibatches of `rows` rows.
    pub fn new(params: LearnerParams, features: usize, rows: usize) -> Self {
        Self {
            features,
            minibatch_rows: rows,
            before: Moments::new(&params, features),
            engine_before: LowRank::new(features, params.components, 0, params.seed),
            state: State::Narrow(streaming(params, features, rows)),
        }
    }

    fn learner(&self) -> &dyn Learner {
        match &self.state {
            State::Narrow(narrow) => narrow,
            State::Wide(wide) => wide,
        }
    }
}

fn streaming<T: crate::learner::product_float::ProductFloat>(
    params: LearnerParams,
    features: usize,
    rows: usize,
) -> Streaming<LowRank<T>> {
    let max_rank = params.max_rank(features);
    let engine = LowRank::new(features, params.components, max_rank, params.seed);
    Streaming::new(params, features, rows, engine)
}

impl Streaming<LowRank<f32>> {
    /// True if f32 can represent the block's units: values below 10⁻³⁸, divided by their deviation,
    /// cannot be represented.
    fn holds_units(&self) -> bool {
        let factors = self.centring.pivot.factor.iter().enumerate();
        let mut beyond = factors.filter(|(_, factor)| **factor >= f32::MAX);
        beyond.all(|(j, _)| self.block.as_mat().col(j).iter().all(|v| *v == 0.0))
    }

    /// Takes in a minibatch if f32 resolves it. If not, only the error bars of this state remain
    /// valid, and `before` holds the previous engine.
    fn try_update(
        &mut self,
        batch: &mut Minibatch,
        before: &mut LowRank<f32>,
    ) -> Result<bool, LearnError> {
        let rescaled = self.begin_block(batch)?;
        let totals = self.totals(&self.moments.scale);
        // Fewer directions than are wanted tell nothing before the block is learned.
        let is_young = !self.engine.holds_all_wanted();
        // Only in these two cases does the engine change before it is known whether f32 suffices.
        // Otherwise the current state can be asked, which saves the copy.
        let is_kept = rescaled || is_young;
        if is_kept {
            before.copy_from(&self.engine);
        } else {
            before.release();
        }
        let rescaling = if rescaled {
            self.engine.rescale(&self.centring.ratios)
        } else {
            Ok(())
        };
        let kept = self.block.prior_weight / self.block.total();
        let mut resolves = rescaling.is_ok()
            && self.holds_units()
            && is_in_range(totals, self.block.squared_norm / self.block.total())
            && (is_young || self.engine.resolves(totals, kept, SHARE));
        if resolves {
            match self.update_engine(totals) {
                Ok(()) if is_young => {
                    let wanted = (self.moments.rows as usize).saturating_sub(1);
                    resolves = self.engine.resolves_all(totals, wanted, SHARE);
                }
                Ok(()) => {}
                Err(_) if is_young => resolves = false,
                Err(source) => return Err(failed(batch, source)),
            }
        }
        if resolves {
            self.update_error_bars(batch.rows());
        } else if !is_kept {
            // It has learned nothing since.
            before.copy_from(&self.engine);
        }
        Ok(resolves)
    }
}

/// True if f32 has the range for all rows and for a block of this variance.
fn is_in_range(totals: CovarianceTotals, of_block: f64) -> bool {
    // Nothing has varied yet: there is nothing to resolve.
    (totals.total == 0.0 && of_block == 0.0)
        || F32_RANGE.contains(&totals.total) && of_block < F32_RANGE.end
}

impl Learner for Widening {
    fn update(&mut self, mut batch: Minibatch) -> Result<Minibatch, LearnError> {
        if batch.rows() == 0 {
            return Ok(batch);
        }
        let (m, rows) = (self.features, self.minibatch_rows);
        match &mut self.state {
            State::Narrow(narrow) => {
                self.before.copy_from(&narrow.moments);
                if narrow.try_update(&mut batch, &mut self.engine_before)? {
                    batch.clear();
                    return Ok(batch);
                }
                let mut wide = streaming(narrow.params().clone(), m, rows);
                wide.moments.copy_from(&self.before);
                std::mem::swap(&mut wide.fourth_moments, &mut narrow.fourth_moments);
                wide.engine = self.engine_before.converted();
                // Centring in place has used up the minibatch: its values are restored from the
                // block.
                let again = narrow.block.as_read(&narrow.centring.pivot).map(|values| {
                    let mut again = Minibatch::from_rows(&values, m);
                    again.set_first_row(batch.first_row());
                    again
                });
                match again {
                    Some(again) => {
                        wide.update(again)?;
                        batch.clear();
                    }
                    None => batch = wide.update(batch)?,
                }
                self.state = State::Wide(wide);
            }
            State::Wide(wide) => {
                batch = wide.update(batch)?;
                let totals = wide.totals(&wide.moments.scale);
                let factors = &wide.centring.pivot.factor;
                if F32_RANGE.contains(&totals.total)
                    && factors.iter().all(|factor| *factor < f32::LARGEST)
                    && wide.engine.holds_all_wanted()
                    && wide.engine.resolves(totals, 1.0, SHARE_TO_RETURN)
                {
                    let mut narrow = streaming(wide.params().clone(), m, rows);
                    std::mem::swap(&mut narrow.moments, &mut wide.moments);
                    std::mem::swap(&mut narrow.fourth_moments, &mut wide.fourth_moments);
                    narrow.engine = wide.engine.converted();
                    self.state = State::Narrow(narrow);
                }
            }
        }
        Ok(batch)
    }

    fn summary(&self) -> Result<Summary, LearnError> {
        Ok(Summary {
            is_widened: matches!(self.state, State::Wide(_)),
            ..self.learner().summary()?
        })
    }

    fn save(&self, to: &mut Encoder) {
        self.learner().save(to);
    }

    fn restore(&mut self, from: &mut Decoder<'_>) -> Result<(), CodecError> {
        let (params, m, rows) = (self.params().clone(), self.features, self.minibatch_rows);
        let mut narrow: Streaming<LowRank<f32>> = streaming(params.clone(), m, rows);
        // The tag that says which width was saved comes after the moments.
        let mut ahead = from.clone();
        narrow.restore_moments(&mut ahead)?;
        self.state = if ahead.u8()? == EngineTag::WideLowRank as u8 {
            let mut wide = streaming(params, m, rows);
            wide.restore(from)?;
            State::Wide(wide)
        } else {
            narrow.restore(from)?;
            State::Narrow(narrow)
        };
        Ok(())
    }

    fn params(&self) -> &LearnerParams {
        self.learner().params()
    }

    fn rows(&self) -> u64 {
        self.learner().rows()
    }
}
