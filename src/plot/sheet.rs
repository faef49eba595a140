//! A page of panels in a grid, with a title.

use plotters::backend::DrawingBackend;

use super::canvas::{Anchor, Canvas, GREY, INK};
use super::chart::Chart;
use super::heat::Heat;
use super::images::Images;
use super::text::wrap;
use super::{Figure, Frame};

/// Pixels around the page and between its parts.
const MARGIN: i32 = 20;
/// Pixels of a panel's width.
const PANEL: i32 = 420;
/// Pixels of a line of the title and of what stands below it.
const TITLE: i32 = 34;
const SUBTITLE: i32 = 20;
const TITLE_SIZE: i32 = 20;
const SUBTITLE_SIZE: i32 = 14;

/// A titled page of panels.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    /// First line.
    pub title: String,
    /// Sentences below it, wrapped to the page.
    pub subtitle: Vec<String>,
    /// Panels side by side.
    pub columns: usize,
    /// From left to right, then down.
    pub panels: Vec<Panel>,
}

/// What a place of the grid holds.
#[derive(Clone, Debug)]
pub enum Panel {
    /// Lines and points over two axes.
    Chart(Chart),
    /// Small images.
    Images(Images),
    /// A matrix of numbers.
    Heat(Heat),
    /// Nothing.
    Empty,
}

impl Panel {
    /// Pixels down that it needs at a width.
    fn height(&self, width: i32) -> i32 {
        match self {
            Self::Chart(chart) => chart.height(width),
            Self::Images(images) => images.height(width),
            Self::Heat(heat) => heat.height(width),
            Self::Empty => 0,
        }
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>, frame: Frame) -> Result<(), String> {
        match self {
            Self::Chart(chart) => chart.draw(canvas, frame),
            Self::Images(images) => images.draw(canvas, frame),
            Self::Heat(heat) => heat.draw(canvas, frame),
            Self::Empty => Ok(()),
        }
    }
}

impl Sheet {
    fn across(&self) -> usize {
        self.columns.clamp(1, self.panels.len().max(1))
    }

    fn width(&self) -> i32 {
        let across = i32::try_from(self.across()).unwrap_or(1);
        MARGIN + across * (PANEL + MARGIN)
    }

    fn lines(&self) -> Vec<String> {
        let room = self.width() - 2 * MARGIN;
        let wrapped = |text: &String| wrap(text, SUBTITLE_SIZE, room);
        self.subtitle.iter().flat_map(wrapped).collect()
    }

    /// Where the panels begin.
    fn top(&self) -> i32 {
        let lines = i32::try_from(self.lines().len()).unwrap_or(0);
        MARGIN + TITLE + lines * SUBTITLE + MARGIN / 2
    }

    /// Heights of the rows of panels.
    fn rows(&self) -> Vec<i32> {
        let tallest = |row: &[Panel]| row.iter().map(|panel| panel.height(PANEL)).max();
        let rows = self.panels.chunks(self.across());
        rows.map(|row| tallest(row).unwrap_or(0)).collect()
    }
}

impl Figure for Sheet {
    fn size(&self) -> (u32, u32) {
        let down = self.top()
            + self
                .rows()
                .iter()
                .map(|height| height + MARGIN)
                .sum::<i32>();
        let of = |pixels| u32::try_from(pixels).unwrap_or(1).max(1);
        (of(self.width()), of(down))
    }

    fn fineness(&self) -> u32 {
        3
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<(), String> {
        let left = f64::from(MARGIN);
        let at = (left, f64::from(MARGIN + TITLE / 2 - 4));
        canvas.label(&self.title, at, Anchor::Left, INK, TITLE_SIZE)?;
        for (number, line) in self.lines().iter().enumerate() {
            let down = MARGIN + TITLE + SUBTITLE * i32::try_from(number).unwrap_or(0);
            let at = (left, f64::from(down + SUBTITLE / 2));
            canvas.label(line, at, Anchor::Left, GREY, SUBTITLE_SIZE)?;
        }
        let mut top = self.top();
        for (row, height) in self.panels.chunks(self.across()).zip(self.rows()) {
            for (number, panel) in row.iter().enumerate() {
                let left = MARGIN + i32::try_from(number).unwrap_or(0) * (PANEL + MARGIN);
                panel.draw(canvas, Frame::new(left, top, left + PANEL, top + height))?;
            }
            top += height + MARGIN;
        }
        Ok(())
    }
}
