//! The comparison as a picture: accuracy, angle of the backward weights and angle of the
//! pseudogradient over epochs, a line a rule with a band of ± one standard deviation over seeds.

use ojad_plot::{Chart, Legend, Mark, Series, Sheet};

use super::compare::{Run, Spread, of_rule};
use super::rules::Rule;
use super::train::{Epoch, Setup};

/// Epochs drawn at most: a line needs no more, and the file stays small.
const DRAWN: usize = 100;

/// Draws what [`super::compare`] found.
pub fn figure(runs: &[Run], setup: &Setup, rules: &[Rule]) -> Sheet {
    let seeds = rules.first().map_or(0, |rule| of_rule(runs, *rule).len());
    let widths: Vec<String> = setup.hidden.iter().map(ToString::to_string).collect();
    let accuracy = chart("Test accuracy", "% of test rows", runs, rules, &|epoch| {
        100.0 * epoch.test_accuracy
    });
    let angle = chart(
        "Angle between B and Wᵀ, mean over layers",
        "degrees",
        runs,
        rules,
        &|epoch| epoch.angles.iter().sum::<f64>() / epoch.angles.len().max(1) as f64,
    );
    let gradient = chart(
        "Angle between pseudogradient and gradient",
        "degrees",
        runs,
        rules,
        &|epoch| epoch.gradient_angle,
    );
    Sheet::new("Learning without weight transport", 3)
        .note(format!(
            "Hidden layers of {} units, {seeds} seeds; the bands are ± one standard deviation over \
             the seeds",
            widths.join("–")
        ))
        .panel_size(460, 420)
        .panel(accuracy.legend(Legend::BottomRight))
        .panel(angle.y_range(0.0, 100.0).legend(Legend::None))
        .panel(gradient.y_range(0.0, 100.0).legend(Legend::None))
}

fn chart(
    title: &str,
    unit: &str,
    runs: &[Run],
    rules: &[Rule],
    value: &dyn Fn(&Epoch) -> f64,
) -> Chart {
    let mut chart = Chart::new(title, "epoch", unit);
    for rule in rules {
        let runs = of_rule(runs, *rule);
        let count = runs.first().map_or(0, |run| run.epochs.len());
        let stride = count.div_ceil(DRAWN).max(1);
        let mut points = Vec::new();
        let mut band = Vec::new();
        for place in (0..count).step_by(stride) {
            let spread = Spread::of(&runs, place, value);
            let (mean, deviation) = (spread.mean(), spread.deviation());
            let deviation = if deviation.is_nan() { 0.0 } else { deviation };
            points.push((place as f64, mean));
            band.push((mean - deviation, mean + deviation));
        }
        chart = chart.with(Series {
            name: rule.name().to_owned(),
            points,
            mark: Mark::Line,
            // A rule has its colour whichever others are shown.
            color: Rule::ALL
                .iter()
                .position(|other| other == rule)
                .unwrap_or(0),
            band: Some(band),
        });
    }
    chart
}
