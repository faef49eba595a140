//! The terminal: taken over, drawn on, read from, and restored on every exit path.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGTERM};

use super::client::Client;
use super::draw::{Shown, View, draw};
use super::heard::Page;
use super::look::Look;

/// Longest wait for a key before a new page is shown: too short to notice.
const LISTEN: Duration = Duration::from_millis(50);
/// Ages are in seconds.
const DRAW_EVERY: Duration = Duration::from_secs(1);
/// Lines scrolled by PgUp and PgDn.
const PAGE_LINES: usize = 10;

/// Restores the terminal when dropped; `ratatui::try_init` does so in a panic.
struct Taken;

impl Drop for Taken {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Shows pages until a key or a signal stops it.
pub(super) fn show(client: Client, look: Look) -> io::Result<()> {
    let is_ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&is_ended))?;
    }
    let (pages, nudge) = client.watch()?;
    let _taken = Taken;
    let mut terminal = ratatui::try_init()?;
    let (mut page, mut view) = (Page::default(), View::default());
    let mut drawn: Option<Instant> = None;
    while !is_ended.load(Ordering::Relaxed) {
        if let Some(newer) = pages.try_iter().last() {
            page = newer;
            drawn = None;
        }
        if drawn.is_none_or(|at| at.elapsed() >= DRAW_EVERY) {
            terminal.draw(|frame| draw(frame, &page, &mut view, look))?;
            drawn = Some(Instant::now());
        }
        if !event::poll(LISTEN)? {
            continue;
        }
        match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => match heard(key, &mut view) {
                Said::End => break,
                // A full channel: it is asked already.
                Said::Again => drop(nudge.try_send(())),
                Said::Nothing => {}
            },
            _ => {}
        }
        drawn = None;
    }
    Ok(())
}

/// Commands of keys other than those that change the view.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    End,
    Again,
    Nothing,
}

fn heard(key: KeyEvent, view: &mut View) -> Said {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if is_control => return Said::End,
        KeyCode::Char('q') | KeyCode::Esc => return Said::End,
        KeyCode::Char('r') => return Said::Again,
        KeyCode::Char('?') => view.is_helping = !view.is_helping,
        KeyCode::Tab => view.turn(Shown::next),
        KeyCode::BackTab => view.turn(|shown| shown.next().next()),
        KeyCode::Up => view.scroll(1, true),
        KeyCode::Down => view.scroll(1, false),
        KeyCode::PageUp => view.scroll(PAGE_LINES, true),
        KeyCode::PageDown => view.scroll(PAGE_LINES, false),
        KeyCode::Home => view.scroll(usize::MAX, true),
        KeyCode::End => view.scroll(usize::MAX, false),
        _ => {}
    }
    Said::Nothing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_what_the_help_says() {
        let mut view = View::default();
        let mut press = |code, modifiers| heard(KeyEvent::new(code, modifiers), &mut view);
        let none = KeyModifiers::NONE;
        assert_eq!(press(KeyCode::Char('q'), none), Said::End);
        assert_eq!(press(KeyCode::Esc, none), Said::End);
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Said::End);
        assert_eq!(press(KeyCode::Char('c'), none), Said::Nothing);
        assert_eq!(press(KeyCode::Char('r'), none), Said::Again);
        assert_eq!(press(KeyCode::Tab, none), Said::Nothing);
        assert_eq!(press(KeyCode::Char('?'), none), Said::Nothing);
        assert!(view.is_helping && view.shown == Shown::Components);
    }
}
