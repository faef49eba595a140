//! A daemon's answers → lines: the same for the page and for `--once`.

use std::fmt::Write as _;

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::heard::{Page, Said, Status};
use super::look::{Look, Tone, age, bytes, grouped};
use super::pictures::{drift, scree};

/// The state as a word and a sentence, and the age of the last answer.
pub(super) fn head(page: &Page, look: Look) -> Vec<Line<'static>> {
    let version = page
        .status
        .as_ref()
        .map(|status| format!(" {}", status.version));
    let mut lines = vec![Line::raw(format!(
        "ojad{} at {}",
        version.unwrap_or_default(),
        page.url
    ))];
    if let Some((since, why)) = &page.lost {
        let for_long = age(since.elapsed().as_secs());
        let bad = look.style(Tone::Bad).add_modifier(Modifier::BOLD);
        let text = format!("no connection for {for_long}: {why}");
        lines.push(Line::styled(text, bad));
    }
    let Some(status) = &page.status else {
        if page.lost.is_none() {
            lines.push(Line::raw("asking ..."));
        }
        return lines;
    };
    let style = match status.state.as_str() {
        "learning" => look.style(Tone::Good),
        "drifted" => look.style(Tone::Warn),
        "degraded" => look.style(Tone::Bad),
        _ => Style::new(),
    };
    let state = match status.state.as_str() {
        "" => "state unknown".to_owned(),
        state if status.since_unix_s > 0 => {
            let since = page.now_unix_s().saturating_sub(status.since_unix_s);
            format!("{state} for {}", age(since))
        }
        state => state.to_owned(),
    };
    let mut spans = vec![Span::styled(state, style.add_modifier(Modifier::BOLD))];
    if !status.headline.as_str().is_empty() {
        spans.push(Span::raw(format!(" - {}", status.headline)));
    }
    lines.push(Line::from(spans));
    for reason in &status.reasons {
        lines.push(Line::styled(format!("! {reason}"), look.style(Tone::Bad)));
    }
    lines
}

/// Rows, lag, ages, convergence, sources.
pub(super) fn numbers(page: &Page, look: Look) -> Vec<Line<'static>> {
    let Some(status) = &page.status else {
        return vec![Line::raw("no status yet")];
    };
    let ago = |at: Option<u64>| {
        let now = page.now_unix_s();
        at.map_or_else(|| "none".to_owned(), |at| age(now.saturating_sub(at)))
    };
    let (dot, rate) = (look.pick(" · ", ", "), status.rows_per_s);
    let known = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), grouped);
    let mut rows = format!("rows      {} learned", grouped(status.rows));
    for (count, what) in [
        (status.rows_waiting, "waiting"),
        (status.rows_rejected, "rejected"),
    ] {
        if count > 0 {
            let _ = write!(rows, "{dot}{} {what}", grouped(count));
        }
    }
    let rate = rate.map_or_else(|| "?".to_owned(), |rate| grouped(rate.round() as u64));
    let mut sources = vec![Span::raw(format!(
        "sources   {} files",
        grouped(status.files)
    ))];
    if status.quarantined > 0 {
        let text = format!("{dot}{} quarantined", grouped(status.quarantined));
        sources.push(Span::styled(text, look.style(Tone::Warn)));
    }
    let mut lines = vec![
        Line::raw(rows),
        Line::raw(format!("rows/s    {rate}")),
        Line::raw(format!(
            "lag       {} files{dot}{}",
            known(status.lag_files),
            status.lag_bytes.map_or_else(|| "?".to_owned(), bytes)
        )),
        Line::raw(format!(
            "age       checkpoint {}{dot}snapshot {}",
            ago(status.checkpoint_unix_s),
            ago(status.snapshot_unix_s)
        )),
        convergence(status, look),
        Line::from(sources),
    ];
    if let Some(reading) = &status.reading {
        lines.push(Line::raw(format!("reading   {reading}")));
    }
    lines
}

fn convergence(status: &Status, look: Look) -> Line<'static> {
    let Some(known) = &status.convergence else {
        return Line::raw("error     not known yet");
    };
    let degrees = |angle: Option<f64>| {
        angle.map_or_else(
            || "?".to_owned(),
            |angle| format!("{:.2}", angle.to_degrees()),
        )
    };
    let mut text = format!(
        "error     {} deg, target {}",
        degrees(known.angle_stderr_rad),
        degrees(known.target_angle_rad)
    );
    if let Some(component) = known.component {
        let _ = write!(text, " (component {component})");
    }
    if known.is_converged {
        text.push_str(": converged");
        return Line::styled(text, look.style(Tone::Good));
    }
    if let Some(more) = known.rows_more {
        let _ = write!(text, ", {} more rows", grouped(more));
    }
    Line::raw(text)
}

/// The log, oldest first.
pub(super) fn log(page: &Page, look: Look) -> Vec<Line<'static>> {
    let Some(log) = page.log.as_ref().filter(|log| !log.lines.is_empty()) else {
        return vec![Line::raw("no log lines yet")];
    };
    let line = |said: &Said| {
        let of_day = said.unix_ms / 1000 % 86_400;
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let level = said.level.as_str().to_uppercase();
        let style = match level.as_str() {
            "ERROR" => look.style(Tone::Bad),
            "WARN" => look.style(Tone::Warn),
            _ => Style::new(),
        };
        Line::from(vec![
            Span::raw(format!("{hour:02}:{minute:02}:{second:02}Z ")),
            Span::styled(format!("{level:<5} "), style),
            Span::raw(said.message.to_string()),
        ])
    };
    log.lines.iter().map(line).collect()
}

/// Lines of the log on a printed page.
const PRINTED_LOG: usize = 10;

/// Everything, as plain text.
pub(super) fn printed(page: &Page, look: Look, columns: usize) -> String {
    let mut log = log(page, look);
    let log = log.split_off(log.len().saturating_sub(PRINTED_LOG));
    let mut text = String::new();
    for (title, lines) in [
        ("", head(page, look)),
        ("", numbers(page, look)),
        ("components", scree(page, look, columns - 2)),
        ("drift", drift(page, look, [columns - 2, 6])),
        ("log", log),
    ] {
        if !title.is_empty() {
            let _ = writeln!(text, "{title}");
        }
        for line in lines {
            let line = line.to_string();
            let _ = writeln!(
                text,
                "{}{}",
                if title.is_empty() { "" } else { "  " },
                line.trim_end()
            );
        }
    }
    text
}
