//! A page: a heading and panels in a grid.

use plotters::backend::DrawingBackend;

use crate::Figure;
use crate::bars::{self, Bars};
use crate::canvas::{Anchor, Canvas, Frame, GREY, INK, LABEL, LINE, TITLE};
use crate::chart::{self, Chart};
use crate::error::DrawError;
use crate::heat::{self, Heat};
use crate::images::{self, Images};
use crate::text;

/// Pixels left and right of everything, and of a line of the title.
const MARGIN: i32 = 20;
const TITLE_LINE: i32 = 30;

/// Default size of a panel in pixels.
const PANEL: (u32, u32) = (520, 400);

/// A titled page of panels in a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet {
    /// The heading of the page.
    pub title: String,
    /// Texts below the heading; each begins a line and is broken where it is too long.
    pub subtitle: Vec<String>,
    /// Panels side by side.
    pub columns: usize,
    /// Pixels across and down a panel.
    pub panel: (u32, u32),
    /// From left to right, from above to below.
    pub panels: Vec<Panel>,
}

/// The content of a place of the grid.
#[derive(Clone, Debug, PartialEq)]
pub enum Panel {
    /// Series of points over two axes.
    Chart(Chart),
    /// Small images side by side.
    Images(Images),
    /// A matrix of numbers.
    Heat(Heat),
    /// Named numbers to both sides of zero.
    Bars(Bars),
    /// Text in the place of a picture.
    Words(Words),
}

/// Lines of text in the place of a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Words {
    /// The line above it.
    pub title: String,
    /// Each begins a line and is broken where it is too long.
    pub lines: Vec<String>,
}

impl From<Chart> for Panel {
    fn from(chart: Chart) -> Self {
        Self::Chart(chart)
    }
}

impl From<Images> for Panel {
    fn from(images: Images) -> Self {
        Self::Images(images)
    }
}

impl From<Heat> for Panel {
    fn from(heat: Heat) -> Self {
        Self::Heat(heat)
    }
}

impl From<Bars> for Panel {
    fn from(bars: Bars) -> Self {
        Self::Bars(bars)
    }
}

impl From<Words> for Panel {
    fn from(words: Words) -> Self {
        Self::Words(words)
    }
}

impl Sheet {
    /// A page with nothing on it yet, `columns` panels wide.
    pub fn new(title: impl Into<String>, columns: usize) -> Self {
        Self {
            title: title.into(),
            subtitle: Vec::new(),
            columns,
            panel: PANEL,
            panels: Vec::new(),
        }
    }

    /// With one more line below the heading.
    #[must_use]
    pub fn note(mut self, line: impl Into<String>) -> Self {
        self.subtitle.push(line.into());
        self
    }

    /// With panels of this size in pixels.
    #[must_use]
    pub fn panel_size(mut self, width: u32, height: u32) -> Self {
        self.panel = (width, height);
        self
    }

    /// With one more panel.
    #[must_use]
    pub fn panel(mut self, panel: impl Into<Panel>) -> Self {
        self.panels.push(panel.into());
        self
    }

    fn across(&self) -> usize {
        self.columns.max(1)
    }

    fn width(&self) -> i32 {
        pixels(self.panel.0) * count(self.across()) + 2 * MARGIN
    }

    /// The lines of the title and of what stands below it.
    fn head(&self) -> (Vec<String>, Vec<String>) {
        let room = self.width() - 2 * MARGIN;
        let below = self.subtitle.iter();
        (
            text::wrap(&self.title, TITLE, room),
            below
                .flat_map(|line| text::wrap(line, LABEL, room))
                .collect(),
        )
    }

    /// Pixels above the panels.
    fn top(&self) -> i32 {
        let (title, below) = self.head();
        MARGIN + TITLE_LINE * count(title.len()) + LINE * count(below.len()) + 8
    }
}

fn pixels(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn count(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

impl Figure for Sheet {
    fn size(&self) -> (u32, u32) {
        let rows = self.panels.len().div_ceil(self.across());
        let height = self.top() + pixels(self.panel.1) * count(rows) + MARGIN / 2;
        (self.width().unsigned_abs(), height.unsigned_abs())
    }

    fn fineness(&self) -> u32 {
        4
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<(), DrawError> {
        let (title, below) = self.head();
        let mut y = MARGIN + TITLE_LINE / 2;
        for line in title {
            canvas.words(&line, (MARGIN, y), Anchor::Left, INK, TITLE)?;
            y += TITLE_LINE;
        }
        for line in below {
            canvas.words(&line, (MARGIN, y), Anchor::Left, GREY, LABEL)?;
            y += LINE;
        }
        let (width, height) = (pixels(self.panel.0), pixels(self.panel.1));
        for (i, panel) in self.panels.iter().enumerate() {
            let left = MARGIN + width * count(i % self.across());
            let top = self.top() + height * count(i / self.across());
            let frame = Frame::new(left, top, left + width, top + height).inside(4, 4, 4, 8);
            panel.draw(canvas, frame)?;
        }
        Ok(())
    }
}

impl Panel {
    /// Draws it into a part of a page.
    ///
    /// # Errors
    /// If the canvas refuses, in its words.
    pub fn draw<B: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, B>,
        frame: Frame,
    ) -> Result<(), DrawError> {
        match self {
            Self::Chart(chart) => chart::draw(canvas, frame, chart),
            Self::Images(images) => images::draw(canvas, frame, images),
            Self::Heat(heat) => heat::draw(canvas, frame, heat),
            Self::Bars(bars) => bars::draw(canvas, frame, bars),
            Self::Words(words) => write(canvas, frame, words),
        }
    }
}

/// Lines of text, as many as fit.
fn write<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    frame: Frame,
    words: &Words,
) -> Result<(), DrawError> {
    let frame = canvas.heading(frame, &words.title)?;
    let mut y = frame.top + LINE / 2;
    for line in &words.lines {
        // An empty line keeps its height.
        for part in text::wrap(line, LABEL, frame.width() - 24)
            .iter()
            .chain(line.trim().is_empty().then_some(line))
        {
            if y > frame.bottom {
                return Ok(());
            }
            canvas.words(part, (frame.left + 12, y), Anchor::Left, INK, LABEL)?;
            y += LINE;
        }
    }
    Ok(())
}
