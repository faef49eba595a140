//! Formatting of numbers and colours in a terminal.

use ratatui::style::{Color, Style};

/// Capabilities of the terminal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub unicode: bool,
    pub colour: bool,
}

/// Meaning of a colour; the text says it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Warn,
    Bad,
}

impl Look {
    pub fn style(self, tone: Tone) -> Style {
        if !self.colour {
            return Style::new();
        }
        Style::new().fg(match tone {
            Tone::Good => Color::Green,
            Tone::Warn => Color::Yellow,
            Tone::Bad => Color::Red,
        })
    }

    pub fn levels(self) -> [char; 9] {
        if self.unicode {
            [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
        } else {
            [' ', '.', ':', '-', '=', '+', '*', '%', '#']
        }
    }

    pub fn pick(self, unicode: &'static str, plain: &'static str) -> &'static str {
        if self.unicode { unicode } else { plain }
    }
}

/// 1234567 → 1,234,567.
pub(super) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

pub(super) fn bytes(value: u64) -> String {
    const STEP: f64 = 1024.0;
    let (mut value, mut unit) = (value as f64, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value < STEP {
            break;
        }
        (value, unit) = (value / STEP, larger);
    }
    let digits = usize::from(unit != "B");
    format!("{value:.digits$} {unit}")
}

/// A duration in everyday units: 5 s, 12 min, 3 h, 2 d.
pub(super) fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

pub(super) fn number(value: Option<f64>) -> String {
    match value {
        None => "?".to_owned(),
        Some(v) if v != 0.0 && !(1e-3..1e6).contains(&v.abs()) => format!("{v:.3e}"),
        // Five digits or so: columns are few, and the error says how many mean something.
        Some(v) if v.abs() >= 1e3 => format!("{v:.0}"),
        Some(v) if v.abs() >= 10.0 => format!("{v:.2}"),
        Some(v) => format!("{v:.4}"),
    }
}
