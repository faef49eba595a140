//! The built-in font: how wide words are, and where lines break.

use std::sync::OnceLock;

use plotters::style::{FontStyle, IntoFont as _, register_font};

/// DejaVu Sans, cut down to Latin, Greek, Cyrillic, super- and subscripts and mathematical signs
/// (`assets/DejaVuSans.LICENSE`): what a PNG's text is drawn with and an SVG's is measured by,
/// whatever the machine has.
static FONT: &[u8] = include_bytes!("../assets/DejaVuSans-subset.ttf");

/// Registers the font on the first call.
pub(crate) fn has_font() -> bool {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    *REGISTERED.get_or_init(|| register_font("sans-serif", FontStyle::Normal, FONT).is_ok())
}

/// Pixels across a text of this size.
pub(crate) fn width(text: &str, size: i32) -> i32 {
    if !has_font() {
        return 0;
    }
    // Ten times as large: the answer comes in whole pixels.
    let font = ("sans-serif", 10 * size).into_font();
    font.box_size(text).map_or(0, |(width, _)| {
        i32::try_from(width.div_ceil(10)).unwrap_or(0)
    })
}

/// The text in lines of at most `room` pixels, broken between words; a longer word gets a separate
/// line.
pub(crate) fn wrap(text: &str, size: i32, room: i32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        if let Some(line) = lines.last_mut() {
            let longer = format!("{line} {word}");
            if width(&longer, size) <= room {
                *line = longer;
                continue;
            }
        }
        lines.push(word.to_owned());
    }
    lines
}

/// The text, or its beginning and an ellipsis where it is wider than `room`.
pub(crate) fn cut(text: &str, size: i32, room: i32) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    while kept.pop().is_some() {
        let shorter: String = kept.iter().chain(&['…']).collect();
        if width(&shorter, size) <= room {
            return shorter;
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::{FONT, cut, width, wrap};

    #[test]
    fn lines_fit_and_lose_no_word() {
        let text = "‖W₂W₁ − I‖² falls as σ² − λ for every component above the penalty";
        let lines = wrap(text, 16, 200);
        assert!(lines.len() > 2);
        assert!(lines.iter().all(|line| width(line, 16) <= 200));
        assert_eq!(lines.join(" "), text);
        assert_eq!(wrap("", 16, 200), Vec::<String>::new());
    }

    #[test]
    fn a_cut_text_says_so() {
        assert_eq!(cut("short", 16, 200), "short");
        let short = cut("a name that is far too long for its place", 16, 100);
        assert!(short.ends_with('…') && width(&short, 16) <= 100);
        assert_eq!(cut("anything", 16, 1), "");
    }

    #[test]
    fn the_font_has_the_signs_of_the_papers() {
        // A glyph that is not there has the width of the box for it.
        assert!(FONT.len() > 10_000);
        let missing = width("日", 100);
        for sign in "σλκεθ‖²³ᵀ₀₁₂ₖ⁻−×→≤≥·±√∑∇⊥≈∞…".chars()
        {
            assert_ne!(width(&sign.to_string(), 100), missing, "{sign}");
        }
    }
}
