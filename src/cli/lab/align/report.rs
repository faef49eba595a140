//! The comparison as a table, as JSON and as Parquet.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use serde_json::{Value, json};

use crate::cli::CliError;
use crate::cli::table_file::TableFile;
use crate::lab::align::{Epoch, Nonlinearity, Rule, Run, Setup, Spread, of_rule};
use crate::lab::data::Data;

/// Of the last epoch of each run.
fn at_end(runs: &[&Run], value: impl Fn(&Epoch) -> f64) -> Spread {
    let values = runs.iter().filter_map(|run| run.last().map(&value));
    Spread {
        values: values.collect(),
    }
}

/// Accuracy less that of backpropagation with the same seed; nothing without backpropagation.
fn against_backprop(all: &[Run], runs: &[&Run]) -> Option<Spread> {
    let reference = of_rule(all, Rule::Backprop);
    let values: Vec<f64> = runs
        .iter()
        .filter_map(|run| {
            let pair = reference.iter().find(|other| other.seed == run.seed)?;
            Some(run.last()?.test_accuracy - pair.last()?.test_accuracy)
        })
        .collect();
    (!values.is_empty()).then_some(Spread { values })
}

fn layers(runs: &[Run]) -> usize {
    let last = runs.first().and_then(Run::last);
    last.map_or(0, |last| last.angles.len())
}

/// mean ± deviation with this many digits; a single value has no deviation.
fn shown(spread: &Spread, factor: f64, digits: usize) -> String {
    let (mean, deviation) = (factor * spread.mean(), factor * spread.deviation());
    if mean.is_nan() {
        return "none".into();
    }
    if spread.values.len() < 2 {
        return format!("{mean:.digits$}");
    }
    format!("{mean:.digits$} ± {deviation:.digits$}")
}

/// One row per rule: its results as mean ± standard deviation over the seeds.
pub(super) fn table(setup: &Setup, rules: &[Rule], runs: &[Run]) -> String {
    let mut head: Vec<String> = [
        "rule",
        "test accuracy %",
        "less backprop's",
        "training loss",
    ]
    .map(String::from)
    .to_vec();
    head.extend((0..layers(runs)).map(|l| format!("B:Wᵀ {}", l + 2)));
    head.push("gradient".into());
    let mut rows = vec![head];
    let mut notes = String::new();
    for rule in rules {
        let of = of_rule(runs, *rule);
        let paired = against_backprop(runs, &of);
        let mut row = vec![
            rule.name().to_owned(),
            shown(&at_end(&of, |end| end.test_accuracy), 100.0, 1),
            paired.map_or_else(String::new, |paired| shown(&paired, 100.0, 1)),
            shown(&at_end(&of, |end| end.train_loss), 1.0, 3),
        ];
        for l in 0..layers(runs) {
            let angle = at_end(&of, |end| end.angles.get(l).copied().unwrap_or(f64::NAN));
            row.push(shown(&angle, 1.0, 1));
        }
        row.push(shown(&at_end(&of, |end| end.gradient_angle), 1.0, 1));
        rows.push(row);
        let diverged = of.iter().filter(|run| run.is_diverged()).count();
        if diverged > 0 {
            notes.push_str(&format!(
                "{}: {diverged} of {} networks diverged and cannot classify; try a smaller `--learning-rate`\n",
                rule.name(),
                of.len()
            ));
        }
    }
    let seeds = rules.first().map_or(0, |rule| of_rule(runs, *rule).len());
    format!(
        "{}{notes}mean ± standard deviation, {seeds} seed(s), {} epoch(s); B:Wᵀ l is the angle \
         between B and Wᵀ of layer l in degrees, gradient the angle between pseudogradient and \
         gradient\n",
        aligned(&rows),
        setup.epochs
    )
}

/// Aligned columns: the first left-aligned, the others right-aligned.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |j: usize| {
        let cells = rows.iter().filter_map(|row| row.get(j));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (j, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width - cell.chars().count());
            if j == 0 {
                text.push_str(&format!("{cell}{pad}"));
            } else {
                text.push_str(&format!("  {pad}{cell}"));
            }
        }
        text.push('\n');
    }
    text
}

fn spread_json(spread: &Spread) -> Value {
    json!({
        "mean": spread.mean(),
        "standard_deviation": spread.deviation(),
        "values": spread.values,
    })
}

/// All of the table, and every seed's value.
pub(super) fn json(
    data: &Data,
    setup: &Setup,
    rules: &[Rule],
    runs: &[Run],
) -> Result<String, CliError> {
    let of_rules: Vec<Value> = rules
        .iter()
        .map(|rule| {
            let of = of_rule(runs, *rule);
            let angles: Vec<Value> = (0..layers(runs))
                .map(|l| {
                    let angle = at_end(&of, |end| end.angles.get(l).copied().unwrap_or(f64::NAN));
                    json!({ "layer": l + 2, "degrees": spread_json(&angle) })
                })
                .collect();
            json!({
                "rule": rule.name(),
                "test_accuracy": spread_json(&at_end(&of, |end| end.test_accuracy)),
                "less_backprop": against_backprop(runs, &of).map(|spread| spread_json(&spread)),
                "train_loss": spread_json(&at_end(&of, |end| end.train_loss)),
                "angles": angles,
                "gradient_angle": spread_json(&at_end(&of, |end| end.gradient_angle)),
                "diverged": of.iter().filter(|run| run.is_diverged()).count(),
            })
        })
        .collect();
    let first = rules.first().map(|rule| of_rule(runs, *rule));
    let seeds: Vec<u64> = first.iter().flatten().map(|run| run.seed).collect();
    let value = json!({
        "rows": data.count(),
        "features": data.features(),
        "hidden": setup.hidden,
        "nonlinearity": match setup.nonlinearity {
            Nonlinearity::Relu => "relu",
            Nonlinearity::Tanh => "tanh",
        },
        "learning_rate": setup.learning_rate,
        "momentum": setup.momentum,
        "batch": setup.batch,
        "epochs": setup.epochs,
        "seeds": seeds,
        "rules": of_rules,
    });
    serde_json::to_string_pretty(&value)
        .map(|text| text + "\n")
        .map_err(|error| CliError::Failed(format!("cannot assemble the results: {error}")))
}

/// A row for each rule, seed and epoch.
pub(super) fn parquet(path: &Path, runs: &[Run]) -> Result<(), CliError> {
    let rows: Vec<(&Run, &Epoch)> = runs
        .iter()
        .flat_map(|run| run.epochs.iter().map(move |epoch| (run, epoch)))
        .collect();
    let floats = |value: &dyn Fn(&Epoch) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(
            rows.iter().map(|(_, epoch)| value(epoch)),
        ))
    };
    let names = rows.iter().map(|(run, _)| run.rule.name());
    let seeds = rows.iter().map(|(run, _)| run.seed);
    let epochs = rows
        .iter()
        .map(|(_, epoch)| u32::try_from(epoch.epoch).unwrap_or(u32::MAX));
    let mut columns: Vec<(String, ArrayRef)> = vec![
        (
            "rule".into(),
            Arc::new(StringArray::from_iter_values(names)),
        ),
        (
            "seed".into(),
            Arc::new(UInt64Array::from_iter_values(seeds)),
        ),
        (
            "epoch".into(),
            Arc::new(UInt32Array::from_iter_values(epochs)),
        ),
        ("train_loss".into(), floats(&|epoch| epoch.train_loss)),
        ("test_accuracy".into(), floats(&|epoch| epoch.test_accuracy)),
        (
            "gradient_angle".into(),
            floats(&|epoch| epoch.gradient_angle),
        ),
    ];
    for l in 0..layers(runs) {
        columns.push((
            format!("angle_layer_{}", l + 2),
            floats(&|epoch| epoch.angles.get(l).copied().unwrap_or(f64::NAN)),
        ));
    }
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| {
            let kind: DataType = column.data_type().clone();
            Field::new(name, kind, false)
        })
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)
        .map_err(|error| CliError::Failed(format!("cannot assemble the epochs: {error}")))?;
    let mut file = TableFile::create(path, &schema)?;
    file.write(&batch)?;
    file.finish()
}
