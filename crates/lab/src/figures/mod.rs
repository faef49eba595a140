//! The experiments of the papers: each with its data, its picture, and what theory says of it.
//!
//! In: rows in memory (any that [`crate::data::Data`] holds), k, λ. Out: [`Experiment`]s. Every
//! picture draws the prediction (dashed, or crosses) beside what was found.

mod images;
mod landscape;
mod likelihood;
mod runs;
mod shrinkage;
mod singular;
mod symmetry;
mod transpose;

use faer::MatRef;

pub use images::{ImageSet, images};
pub use landscape::landscape;
pub use likelihood::likelihood;
pub use shrinkage::shrinkage;
pub use singular::singular_vectors;
pub use symmetry::symmetry;
pub use transpose::transpose;

use crate::LabError;
use crate::loss::Loss;
use ojad_plot::{Mark, Series, Sheet};

/// The rows and settings that experiments are made with.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The centred rows, n×m.
    pub rows: MatRef<'a, f64>,
    /// The number of components, k.
    pub components: usize,
    /// λ, in units of C = XᵀX.
    pub lambda: f64,
    /// Of the random starts.
    pub seed: u64,
}

/// A column of an experiment's data.
#[derive(Clone, Debug)]
pub enum Column {
    /// A column of texts.
    Text(Vec<String>),
    /// Numbers; NaN where there is none.
    Numbers(Vec<f64>),
}

/// Data, a picture and a verdict.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// Of its files: `3-shrinkage`.
    pub name: &'static str,
    /// The prediction of the theory, with its place in the papers.
    pub predicted: String,
    /// The outcome, in words and numbers.
    pub found: String,
    /// True if the two agree, within what is written in `found`.
    pub holds: bool,
    /// Names and columns of equal length.
    pub data: Vec<(&'static str, Column)>,
    /// The picture of prediction and outcome.
    pub sheet: Sheet,
}

/// The result of making an experiment.
type Made = Result<Experiment, LabError>;

/// The three losses of Kunin 2019.
fn three(lambda: f64) -> [Loss; 3] {
    [Loss::None, Loss::Product(lambda), Loss::Sum(lambda)]
}

/// Makes a series of what was found, or of what is predicted, in colour `color`.
fn series(name: impl Into<String>, mark: Mark, color: usize, points: Vec<(f64, f64)>) -> Series {
    Series {
        name: name.into(),
        points,
        mark,
        color,
        band: None,
    }
}

/// A table filled row by row.
#[derive(Debug, Default)]
struct Filled {
    text: Vec<(&'static str, Vec<String>)>,
    numbers: Vec<(&'static str, Vec<f64>)>,
}

impl Filled {
    fn new(text: &[&'static str], numbers: &[&'static str]) -> Self {
        Self {
            text: text.iter().map(|name| (*name, Vec::new())).collect(),
            numbers: numbers.iter().map(|name| (*name, Vec::new())).collect(),
        }
    }

    fn row<const T: usize, const N: usize>(&mut self, text: [&str; T], numbers: [f64; N]) {
        for ((_, column), value) in self.text.iter_mut().zip(text) {
            column.push(value.to_owned());
        }
        for ((_, column), value) in self.numbers.iter_mut().zip(numbers) {
            column.push(value);
        }
    }

    fn done(self) -> Vec<(&'static str, Column)> {
        let text = self
            .text
            .into_iter()
            .map(|(name, values)| (name, Column::Text(values)));
        let numbers = self
            .numbers
            .into_iter()
            .map(|(name, values)| (name, Column::Numbers(values)));
        text.chain(numbers).collect()
    }
}
