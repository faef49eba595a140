//! Fits a page into the available columns and rows: what does not fit is left out, least important
//! first.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

use super::heard::Page;
use super::lines;
use super::look::Look;
use super::pictures;

/// Width from which charts are shown next to the numbers.
const WIDE: u16 = 70;
/// Rows kept for the log when charts are shown: its title and the last lines.
const LOG_ROWS: u16 = 4;
/// Most rows that the header may take: its sentence is wrapped.
const HEAD_ROWS: u16 = 4;

const HELP: [&str; 9] = [
    "q, Esc, Ctrl-C   quit",
    "r                refresh now",
    "Tab              overview, components, log",
    "Up, Down         scroll",
    "PgUp, PgDn       scroll by ten lines",
    "Home, End        first line, last line",
    "?                show or hide this help",
    "",
    "Angles are standard errors of directions; ratios are shares of the whole variance.",
];

/// Views of the lower part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shown {
    /// Some of everything.
    #[default]
    Overview,
    /// All components.
    Components,
    /// The log alone.
    Log,
}

impl Shown {
    pub fn next(self) -> Self {
        match self {
            Self::Overview => Self::Components,
            Self::Components => Self::Log,
            Self::Log => Self::Overview,
        }
    }
}

/// Choices of the user.
#[derive(Debug, Default)]
pub(super) struct View {
    pub shown: Shown,
    pub is_helping: bool,
    /// Lines away from the end of the log, or from the first component.
    scrolled: usize,
}

impl View {
    pub fn turn(&mut self, to: impl FnOnce(Shown) -> Shown) {
        self.shown = to(self.shown);
        (self.scrolled, self.is_helping) = (0, false);
    }

    pub fn scroll(&mut self, lines: usize, is_up: bool) {
        // A log is read from its end, components from their first.
        let is_away = is_up != (self.shown == Shown::Components);
        self.scrolled = if is_away {
            self.scrolled.saturating_add(lines)
        } else {
            self.scrolled.saturating_sub(lines)
        };
    }

    /// The lines that fit.
    fn window<'a>(&mut self, mut lines: Vec<Line<'a>>, rows: u16) -> Vec<Line<'a>> {
        let rows = usize::from(rows);
        let hidden = lines.len().saturating_sub(rows);
        self.scrolled = self.scrolled.min(hidden);
        let first = if self.shown == Shown::Components {
            self.scrolled
        } else {
            hidden - self.scrolled
        };
        lines.drain(..first);
        lines.truncate(rows);
        lines
    }
}

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame, page: &Page, view: &mut View, look: Look) {
    let mut area = frame.area();
    if area.height > 3 {
        let keys = "q quit  r refresh  Tab view  ? help";
        let row = Rect::new(area.x, area.bottom() - 1, area.width, 1);
        frame.render_widget(Paragraph::new(keys).style(dim(look)), row);
        area.height -= 1;
    }
    let head = Paragraph::new(lines::head(page, look)).wrap(Wrap { trim: true });
    let columns = usize::from(area.width.max(1));
    let needed: usize = lines::head(page, look)
        .iter()
        // Words are wrapped whole: a line of air for each that is wrapped.
        .map(|line| line.width().div_ceil(columns).max(1) + usize::from(line.width() > columns))
        .sum();
    let needed = u16::try_from(needed).unwrap_or(u16::MAX);
    let most = HEAD_ROWS.max(area.height / 4);
    frame.render_widget(head, take(&mut area, needed.min(most)));
    if view.is_helping {
        let help = HELP.map(Line::raw).to_vec();
        frame.render_widget(Paragraph::new(help).wrap(Wrap { trim: false }), area);
        return;
    }
    match view.shown {
        Shown::Overview => overview(frame, area, page, view, look),
        Shown::Components => {
            title(frame, &mut area, "components", look);
            let all = pictures::scree(page, look, usize::from(area.width));
            let shown = view.window(all, area.height);
            frame.render_widget(Paragraph::new(shown), area);
        }
        Shown::Log => log(frame, area, page, view, look),
    }
}

fn overview(frame: &mut Frame, mut area: Rect, page: &Page, view: &mut View, look: Look) {
    let numbers = lines::numbers(page, look);
    let rows = u16::try_from(numbers.len()).unwrap_or(u16::MAX);
    let place = take(&mut area, rows);
    if place.width >= WIDE {
        let (left, mut right) = halves(place);
        frame.render_widget(Paragraph::new(numbers), left);
        title(frame, &mut right, "rows/s", look);
        let rates = pictures::rates(page, look, size(right));
        frame.render_widget(Paragraph::new(rates), right);
    } else {
        frame.render_widget(Paragraph::new(numbers), place);
    }
    let scree_rows = page
        .components
        .as_ref()
        .map_or(1, |known| known.all.len() + 1);
    // A title; the log keeps a few lines.
    let wanted = u16::try_from(scree_rows + 1).unwrap_or(u16::MAX).max(6);
    let most = area.height.saturating_sub(LOG_ROWS).max(6);
    let mut place = take(&mut area, wanted.min(most));
    if place.width >= WIDE {
        let (mut left, mut right) = halves(place);
        scree(frame, &mut left, page, look);
        title(frame, &mut right, "drift", look);
        let drift = pictures::drift(page, look, size(right));
        frame.render_widget(Paragraph::new(drift), right);
    } else {
        scree(frame, &mut place, page, look);
        if area.height >= 8 {
            let mut place = take(&mut area, 5);
            title(frame, &mut place, "drift", look);
            let drift = pictures::drift(page, look, size(place));
            frame.render_widget(Paragraph::new(drift), place);
        }
    }
    log(frame, area, page, view, look);
}

fn scree(frame: &mut Frame, area: &mut Rect, page: &Page, look: Look) {
    title(frame, area, "components", look);
    let all = pictures::scree(page, look, usize::from(area.width));
    frame.render_widget(Paragraph::new(all), *area);
}

fn log(frame: &mut Frame, mut area: Rect, page: &Page, view: &mut View, look: Look) {
    title(frame, &mut area, "log", look);
    let shown = view.window(lines::log(page, look), area.height);
    frame.render_widget(Paragraph::new(shown), area);
}

fn title(frame: &mut Frame, area: &mut Rect, text: &'static str, look: Look) {
    let rule = if look.unicode { "─" } else { "-" };
    let row = take(area, 1);
    let rest = usize::from(row.width).saturating_sub(text.len() + 1);
    let line = Line::raw(format!("{text} {}", rule.repeat(rest)));
    frame.render_widget(Paragraph::new(line).style(dim(look)), row);
}

fn dim(look: Look) -> Style {
    if look.colour {
        Style::new().add_modifier(Modifier::DIM)
    } else {
        Style::new()
    }
}

/// The upper rows, as many as there are.
fn take(area: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    let taken = Rect::new(area.x, area.y, area.width, rows);
    *area = Rect::new(area.x, area.y + rows, area.width, area.height - rows);
    taken
}

/// Left and right, a column apart.
fn halves(area: Rect) -> (Rect, Rect) {
    let left = area.width * 5 / 8;
    let right = area.width.saturating_sub(left + 1);
    (
        Rect::new(area.x, area.y, left, area.height),
        Rect::new(area.x + left + 1, area.y, right, area.height),
    )
}

fn size(area: Rect) -> [usize; 2] {
    [usize::from(area.width), usize::from(area.height)]
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use std::time::Instant;

    use super::*;

    const LOOK: Look = Look {
        unicode: true,
        colour: true,
    };

    fn degraded() -> Page {
        let status = serde_json::json!({
            "version": "0.1.0", "now_unix_s": 1000, "since_unix_s": 940, "state": "degraded",
            "headline": "the last snapshot could not be written", "rows": 1_234_567,
            "reasons": ["the last snapshot could not be written"], "rows_per_s": 4321.4,
            "files": 12, "quarantined": 2, "lag_files": 3, "lag_bytes": 3_145_728,
            "checkpoint_unix_s": 990, "reading": "feed/a\u{1b}[2J.parquet", "drifts": 1,
            "drifted_unix_s": 500, "drift": {"kind": "rotation", "scores": [7.5, 1.0, null],
                "threshold": 5.0, "subspace_distance": 0.25},
            "convergence": {"target_angle_rad": 0.087_266, "angle_stderr_rad": 0.174_53,
                "component": 2, "rows_more": 5000},
        });
        let components: Vec<_> = (1..=20)
            .map(|i| {
                serde_json::json!({"component": i, "eigenvalue": 100.0 / f64::from(i),
                    "eigenvalue_stderr": 0.5, "explained_variance_ratio": 0.3 / f64::from(i),
                    "angle_stderr_rad": 0.02, "active": i < 19})
            })
            .collect();
        let lines: Vec<_> = (0..200)
            .map(|i| serde_json::json!({"unix_ms": i * 1000, "level": "warn", "message": format!("line {i}")}))
            .collect();
        let points: Vec<_> = (0..300)
            .map(|i| serde_json::json!({"rows_per_s": i, "drift_score": i % 9, "drift_threshold": 5.0}))
            .collect();
        let of = |value: serde_json::Value| value.to_string();
        Page {
            url: "http://127.0.0.1:8650".to_owned(),
            status: serde_json::from_str(&of(status)).expect("a status"),
            components: serde_json::from_str(&of(serde_json::json!({"components": components})))
                .expect("components"),
            history: serde_json::from_str(&of(serde_json::json!({"points": points})))
                .expect("points"),
            log: serde_json::from_str(&of(serde_json::json!({"lines": lines}))).expect("lines"),
            ..Page::default()
        }
    }

    fn shown(page: &Page, view: &mut View, size: [u16; 2], look: Look) -> String {
        let mut terminal = Terminal::new(TestBackend::new(size[0], size[1])).expect("a terminal");
        terminal
            .draw(|frame| draw(frame, page, view, look))
            .expect("a page");
        terminal.backend().to_string()
    }

    #[test]
    fn everything_stands_on_a_page_of_80_by_24() {
        let page = degraded();
        for size in [[80, 24], [200, 60]] {
            let text = shown(&page, &mut View::default(), size, LOOK);
            for part in [
                "degraded for 60 s",
                "! the last snapshot",
                "1,234,567 learned",
                "rows/s    4,321",
                "3 files · 3.0 MiB",
                "checkpoint 10 s · snapshot none",
                "10.00 deg, target 5.00",
                "2 quarantined",
                r"a\u{1b}[2J.parquet",
                "  1 ████",
                "30.00%",
                "rotation 7.5 OVER alarm 5.0",
                "1 drift, last 8 min ago",
                "┄",
                "line 199",
                "q quit",
            ] {
                assert!(text.contains(part), "{part} is not in\n{text}");
            }
        }
    }

    #[test]
    fn no_size_and_no_state_panics() {
        let lost = Page {
            lost: Some((Instant::now(), "nobody is there".to_owned())),
            ..degraded()
        };
        for page in [Page::default(), degraded(), lost] {
            for shown_now in [Shown::Overview, Shown::Components, Shown::Log] {
                for size in [
                    [1, 1],
                    [3, 2],
                    [10, 4],
                    [40, 12],
                    [69, 23],
                    [80, 24],
                    [200, 60],
                    [500, 9],
                ] {
                    let mut view = View {
                        shown: shown_now,
                        ..View::default()
                    };
                    view.scroll(usize::MAX, true);
                    shown(&page, &mut view, size, LOOK);
                    view.is_helping = true;
                    shown(&page, &mut view, size, LOOK);
                }
            }
        }
        let text = shown(&Page::default(), &mut View::default(), [40, 12], LOOK);
        assert!(
            text.contains("asking") && text.contains("no status yet"),
            "{text}"
        );
        let text = shown(&degraded(), &mut View::default(), [40, 12], LOOK);
        assert!(
            text.contains("degraded") && text.contains("1,234,567"),
            "{text}"
        );
    }

    #[test]
    fn a_lost_connection_is_told_and_the_rest_stays() {
        let page = Page {
            lost: Some((Instant::now(), "refused".to_owned())),
            ..degraded()
        };
        let text = shown(&page, &mut View::default(), [80, 24], LOOK);
        assert!(text.contains("no connection for 0 s: refused"), "{text}");
        assert!(text.contains("1,234,567 learned"), "{text}");
    }

    #[test]
    fn colour_is_left_out_where_it_is_not_wanted() {
        let colours = |look| {
            let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a terminal");
            let (page, mut view) = (degraded(), View::default());
            terminal
                .draw(|frame| draw(frame, &page, &mut view, look))
                .expect("a page");
            let cells = terminal.backend().buffer().content().iter();
            cells
                .filter(|cell| cell.fg != ratatui::style::Color::Reset)
                .count()
        };
        assert!(colours(LOOK) > 0);
        assert_eq!(
            colours(Look {
                colour: false,
                ..LOOK
            }),
            0
        );
    }

    #[test]
    fn the_log_scrolls_to_its_ends() {
        let page = degraded();
        let mut view = View {
            shown: Shown::Log,
            ..View::default()
        };
        view.scroll(usize::MAX, true);
        assert!(shown(&page, &mut view, [80, 24], LOOK).contains("line 0 "));
        view.scroll(usize::MAX, false);
        assert!(shown(&page, &mut view, [80, 24], LOOK).contains("line 199"));
        // Components begin with the first, and Down leads to the last.
        view.turn(|_| Shown::Components);
        assert!(shown(&page, &mut view, [80, 12], LOOK).contains("  1 █"));
        view.scroll(usize::MAX, false);
        assert!(shown(&page, &mut view, [80, 12], LOOK).contains("penalty"));
    }

    #[test]
    fn a_terminal_without_unicode_gets_none() {
        let plain = Look {
            unicode: false,
            colour: false,
        };
        // TestBackend quotes its lines; the rest is what the terminal gets.
        let text = shown(&degraded(), &mut View::default(), [80, 24], plain);
        assert!(text.is_ascii(), "{text}");
        assert!(lines::printed(&degraded(), plain, 80).is_ascii());
    }
}
