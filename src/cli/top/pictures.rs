//! Bars and columns of characters: the components, rows/s and drift.

use std::fmt::Write as _;

use ratatui::style::{Modifier, Style};
use ratatui::text::Line;

use super::heard::Page;
use super::look::{Look, Tone, age, grouped, number};

/// One bar per component: its share of the variance, its eigenvalue and error.
pub(super) fn scree(page: &Page, look: Look, columns: usize) -> Vec<Line<'static>> {
    let Some(known) = page
        .components
        .as_ref()
        .filter(|known| !known.all.is_empty())
    else {
        return vec![Line::raw("no components yet")];
    };
    let ratios = known
        .all
        .iter()
        .filter_map(|one| one.explained_variance_ratio);
    let largest = ratios.fold(0.0, f64::max);
    let is_wide = columns >= 50;
    let room = columns.saturating_sub(if is_wide { 39 } else { 12 });
    let mut lines: Vec<Line<'static>> = known
        .all
        .iter()
        .map(|one| {
            let ratio = one.explained_variance_ratio;
            let share = ratio
                .filter(|_| largest > 0.0)
                .map_or(0.0, |ratio| ratio / largest);
            let percent = ratio.map_or_else(|| "?".to_owned(), |r| format!("{:.2}%", 100.0 * r));
            let mut text = format!("{:>3} {} {percent:>7}", one.number, bar(share, room, look));
            if is_wide {
                let error = one.eigenvalue_stderr;
                let value = format!(
                    "{} {} {}",
                    number(one.eigenvalue),
                    look.pick("±", "+-"),
                    number(error)
                );
                let angle = one.angle_stderr_rad.map(f64::to_degrees);
                let angle = angle.map_or_else(|| "?".to_owned(), |angle| format!("{angle:.1}"));
                let _ = write!(text, " {value:>20}{angle:>5}{}", look.pick("°", "d"));
            }
            if one.active == Some(false) {
                let style = Style::new().add_modifier(Modifier::DIM);
                let why = match one.determined {
                    Some(false) => " not determined",
                    _ => " inactive",
                };
                Line::styled(text + why, if look.colour { style } else { Style::new() })
            } else {
                Line::raw(text)
            }
        })
        .collect();
    let noise = format!(
        "noise variance {}, penalty {}",
        number(known.noise_variance),
        number(known.penalty)
    );
    lines.push(Line::raw(noise));
    lines
}

/// A bar over `share` of `columns`, to an eighth of a character where the terminal can show that.
fn bar(share: f64, columns: usize, look: Look) -> String {
    let share = if share.is_finite() {
        share.clamp(0.0, 1.0)
    } else {
        0.0
    };
    let eighths = (share * columns as f64 * 8.0).round() as usize;
    let parts = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let (whole, part) = (eighths / 8, eighths % 8);
    let full = look.pick("█", "#").repeat(whole);
    let rest = if whole == columns {
        String::new()
    } else if look.unicode {
        parts[part].to_string()
    } else {
        " ".to_owned()
    };
    format!(
        "{full}{rest}{}",
        " ".repeat(columns.saturating_sub(whole + 1))
    )
}

/// Columns of characters: the last values that fit, from 0 to the largest or to `mark`, where a
/// line is drawn.
pub(super) fn spark(
    values: &[f64],
    mark: Option<f64>,
    size: [usize; 2],
    look: Look,
) -> Vec<String> {
    let [columns, rows] = size;
    let values = &values[values.len().saturating_sub(columns)..];
    let finite = |value: &f64| {
        if value.is_finite() {
            value.max(0.0)
        } else {
            0.0
        }
    };
    let largest = values
        .iter()
        .map(finite)
        .fold(mark.unwrap_or(0.0), f64::max);
    let levels = look.levels();
    let height = |value: f64| {
        if largest > 0.0 {
            (value / largest * rows as f64 * 8.0).round() as usize
        } else {
            0
        }
    };
    let marked = mark.map(|mark| height(mark).saturating_sub(1) / 8);
    (0..rows)
        .rev()
        .map(|row| {
            let line = if marked == Some(row) {
                look.pick("┄", "-")
            } else {
                " "
            };
            let drawn = values.iter().map(|value| {
                match height(finite(value)).saturating_sub(8 * row).min(8) {
                    0 => line.to_owned(),
                    level => levels[level].to_string(),
                }
            });
            let drawn: String = drawn.collect();
            drawn + &line.repeat(columns.saturating_sub(values.len()))
        })
        .collect()
}

/// Rows/s over time: from the daemon's history, or from what was received since the start.
pub(super) fn rates(page: &Page, look: Look, size: [usize; 2]) -> Vec<Line<'static>> {
    let points = page.history.as_ref().map(|history| &history.points);
    let told = points
        .into_iter()
        .flatten()
        .filter_map(|point| point.rows_per_s);
    let told: Vec<f64> = told.collect();
    let values = if told.is_empty() { &page.rates } else { &told };
    spark(values, None, size, look)
        .into_iter()
        .map(Line::raw)
        .collect()
}

/// The drift score over time against its threshold.
pub(super) fn drift(page: &Page, look: Look, size: [usize; 2]) -> Vec<Line<'static>> {
    let status = page.status.as_ref();
    let Some(report) = status.and_then(|status| status.drift.as_ref()) else {
        return vec![Line::raw("not watched, or not known yet")];
    };
    let (score, threshold) = (report.score(), report.threshold);
    let is_over = score
        .zip(threshold)
        .is_some_and(|(score, most)| score > most);
    let style = if is_over {
        look.style(Tone::Warn)
    } else {
        Style::new()
    };
    let limit = threshold.map_or_else(
        || ", alarms off".to_owned(),
        |most| format!("{} alarm {most:.1}", if is_over { " OVER" } else { "," }),
    );
    let score = score.map_or_else(|| "?".to_owned(), |score| format!("{score:.1}"));
    let mut lines = vec![
        Line::styled(format!("{} {score}{limit}", report.kind), style),
        Line::raw(format!("distance {}", number(report.subspace_distance))),
    ];
    if let Some(status) = status.filter(|status| status.drifts > 0) {
        let last = status
            .drifted_unix_s
            .map(|at| page.now_unix_s().saturating_sub(at));
        let last = last.map_or_else(String::new, |last| format!(", last {} ago", age(last)));
        let plural = if status.drifts == 1 { "" } else { "s" };
        let text = format!("{} drift{plural}{last}", grouped(status.drifts));
        lines.push(Line::styled(text, look.style(Tone::Warn)));
    }
    let points = page
        .history
        .as_ref()
        .map_or(&[][..], |history| &history.points);
    let scores: Vec<f64> = points
        .iter()
        .filter_map(|point| point.drift_score)
        .collect();
    let mark = threshold.or_else(|| points.last().and_then(|point| point.drift_threshold));
    let rows = size[1].saturating_sub(lines.len());
    if !scores.is_empty() {
        lines.extend(
            spark(&scores, mark, [size[0], rows], look)
                .into_iter()
                .map(Line::raw),
        );
    }
    lines
}
