//! 5. Weights as images, and the rows in the latent space.

use std::collections::BTreeSet;

use faer::{Mat, MatRef};

use super::runs::minimum_from;
use super::{Experiment, Filled, Made, series, three};
use crate::data::Data;
use crate::problem::Problem;
use crate::weights::Weights;
use ojad_plot::{Chart, Image, Images, Legend, Mark, Panel, Sheet, Words};

/// Iterations of exact minimisation: on images the eigenvalues lie far apart.
const ITERATIONS_MAX: usize = 3_000;

/// Rows drawn in a plane of the latent space.
const DOTS: usize = 1_000;

/// Rows that are images.
#[derive(Clone, Copy, Debug)]
pub struct ImageSet<'a> {
    /// Pixels row by row, and labels.
    pub data: &'a Data,
    /// Pixels across; the rest is down.
    pub width: usize,
    /// The number of components, k.
    pub components: usize,
    /// Of the random start.
    pub seed: u64,
}

/// Trains on images under the three losses, at λ of half the k-th eigenvalue.
///
/// # Errors
/// If the rows are not finite.
pub fn images(set: &ImageSet<'_>) -> Made {
    let problem = Problem::new(set.data.rows.as_ref());
    let spectrum = problem.spectrum()?;
    let k = set.components;
    let truth = spectrum.vectors.subcols(0, k);
    let mut data = Filled::new(&["loss", "matrix"], &["component", "pixel", "value"]);
    let mut weights_panels = vec![pictures("principal directions", truth, set.width)];
    let (mut planes, mut errors) = (Vec::new(), Vec::new());
    for loss in three(0.5 * spectrum.values[k - 1]) {
        let start = Weights::random(problem.features(), k, 0.05, set.seed);
        let weights = minimum_from(&problem, &loss, start, ITERATIONS_MAX)?;
        let found = weights.found()?;
        errors.push((found.axis_error(truth), found.subspace_error(truth)));
        for (name, matrix) in [
            ("decoder", &weights.decoder),
            ("singular vectors", &found.directions),
        ] {
            for (j, i) in (0..k).flat_map(|j| (0..problem.features()).map(move |i| (j, i))) {
                let numbers = [(j + 1) as f64, i as f64, matrix[(i, j)]];
                data.row([loss.name(), name], numbers);
            }
        }
        let title = format!("{}: columns of W₂", loss.name());
        weights_panels.push(pictures(&title, weights.decoder.as_ref(), set.width));
        let own = oriented(&found.directions, truth);
        let title = format!("{}: left singular vectors of W₂", loss.name());
        weights_panels.push(pictures(&title, own.as_ref(), set.width));
        planes.push(Panel::Chart(plane(loss.name(), set.data, &weights)));
    }
    // Three losses below each other, what they learned beside the space that they learned it in.
    let mut rows = weights_panels.into_iter();
    let mut panels = vec![Panel::Images(rows.next().unwrap_or_default())];
    panels.push(Panel::Chart(plane(
        "principal components",
        set.data,
        &Weights::tied(truth.to_owned()),
    )));
    panels.push(Words::default().into());
    for plane in planes {
        panels.extend(rows.by_ref().take(2).map(Panel::Images));
        panels.push(plane);
    }
    Ok(Experiment {
        name: "5-images",
        predicted:
            "the left singular vectors of the decoder are the principal images under the sum loss; \
                    under the others they, and all columns, are mixtures (landscape theorem)"
                .into(),
        found: format!(
            "mean sin² of {k} singular vectors to the principal images: none {:.3}, product {:.3}, sum {:.1e}; \
             of the spans: {:.1e}, {:.1e}, {:.1e}",
            errors[0].0, errors[1].0, errors[2].0, errors[0].1, errors[1].1, errors[2].1
        ),
        holds: errors[2].0 < 1e-3 && errors[0].0 > 1e-2 && errors[1].0 > 1e-2,
        data: data.done(),
        sheet: Sheet {
            panels,
            ..Sheet::new("5. What is learned from images", 3)
                .note(format!(
                    "{} images of {} pixels, k = {k}. Colours: below and above zero. Right: two latent \
                     dimensions, coloured by label.",
                    set.data.count(),
                    set.data.features()
                ))
                .panel_size(460, 340)
        },
    })
}

/// The columns of `matrix` as images.
fn pictures(title: &str, matrix: MatRef<'_, f64>, width: usize) -> Images {
    let image = |j: usize| Image {
        caption: (j + 1).to_string(),
        width,
        height: matrix.nrows() / width.max(1),
        values: matrix.col(j).iter().copied().collect(),
    };
    Images {
        title: title.to_owned(),
        images: (0..matrix.ncols()).map(image).collect(),
        diverging: true,
        columns: matrix.ncols().min(4),
    }
}

/// Columns with the sign of the truth, so that equal pictures look equal.
fn oriented(directions: &Mat<f64>, truth: MatRef<'_, f64>) -> Mat<f64> {
    let sign = |j: usize| (directions.col(j).transpose() * truth.col(j)).signum();
    Mat::from_fn(directions.nrows(), directions.ncols(), |i, j| {
        sign(j) * directions[(i, j)]
    })
}

/// The first two latent dimensions of some rows, a colour a label.
fn plane(title: &str, data: &Data, weights: &Weights) -> Chart {
    let codes = &data.rows * weights.encoder.transpose(); // n×k
    let second = usize::from(codes.ncols() > 1);
    let mut chart = Chart::new(title, "z₁", if second == 1 { "z₂" } else { "z₁" });
    chart.legend = Legend::Right;
    let shown = data.count().min(DOTS);
    let labels: BTreeSet<&str> = data.labels.iter().map(String::as_str).collect();
    if labels.is_empty() || labels.len() > 20 {
        let points = (0..shown)
            .map(|i| (codes[(i, 0)], codes[(i, second)]))
            .collect();
        chart.series.push(series("", Mark::Dots, 0, points));
        return chart;
    }
    for (color, label) in labels.into_iter().enumerate() {
        let own = (0..shown).filter(|i| data.labels[*i] == label);
        let points = own.map(|i| (codes[(i, 0)], codes[(i, second)])).collect();
        chart.series.push(series(label, Mark::Dots, color, points));
    }
    chart
}
