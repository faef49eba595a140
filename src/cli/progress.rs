//! The progress bar of `fit`: rows, rows/s, MB/s, remaining time, and the eigenvalues as they
//! converge.
//!
//! It is drawn on a terminal only; elsewhere nothing is shown and nothing is computed for it.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::daemon::Progress;
use crate::learner::Learner;
use crate::source::Extent;

/// How often the line is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(200);

/// An eigenvalue read-out may take this share of the time.
const READ_OUT_SHARE: u32 = 50;

/// Leading eigenvalues shown.
const EIGENVALUES: usize = 3;

/// The bar, or nothing if stderr is not a terminal.
pub(super) struct Bar {
    drawing: Option<ProgressBar>,
    start: Instant,
    drawn: Instant,
    read_out: Instant,
    eigenvalues: String,
}

impl Bar {
    pub(super) fn new(extent: Extent) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = match extent.rows_total {
                Some(_) => "{bar:24} {percent:>3}% {msg} · {eta} to go",
                None => "{spinner} {msg}",
            };
            let bar =
                ProgressBar::with_draw_target(extent.rows_total, ProgressDrawTarget::stderr());
            bar.with_style(
                ProgressStyle::with_template(style)
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            )
        });
        let now = Instant::now();
        Self {
            drawing: bar,
            start: now,
            drawn: now,
            read_out: now,
            eigenvalues: String::new(),
        }
    }

    pub(super) fn show(&mut self, progress: Progress, learner: &dyn Learner) {
        let Some(bar) = &self.drawing else { return };
        if self.drawn.elapsed() < DRAW_EVERY {
            return;
        }
        self.drawn = Instant::now();
        if self.drawn >= self.read_out {
            if let Ok(estimate) = learner.estimate() {
                let leading = estimate.eigenvalues.iter().take(EIGENVALUES);
                self.eigenvalues = leading
                    .map(|v| format!("{v:.4e}"))
                    .collect::<Vec<_>>()
                    .join(" ");
            }
            // Scaled by what it has just cost, so that a wide model is read out less often.
            self.read_out = Instant::now() + READ_OUT_SHARE * self.drawn.elapsed();
        }
        let seconds = self.start.elapsed().as_secs_f64().max(1e-9);
        bar.set_position(progress.rows_read);
        bar.set_message(format!(
            "{} rows · {:.0} rows/s · {:.1} MB/s · λ {}",
            progress.rows_read,
            progress.rows_read as f64 / seconds,
            progress.extent.bytes_read as f64 / seconds / 1e6,
            self.eigenvalues,
        ));
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.drawing {
            bar.finish_and_clear();
        }
    }
}
