//! Every text that a user can meet follows the same few rules. `cargo test --test it -- messages:: --nocapture` with
//! OJAD_MESSAGES=1 in the environment prints them all, sorted by file, for whoever wants to read them in one go.

use std::fs;
use std::path::Path;

use crate::layers::sources;

/// A string literal of the sources.
struct Text {
    place: String,
    line: usize,
    /// As it is shown: without continuations and escapes.
    words: String,
    /// Names before the parentheses that are open around it, such as `format!` and `refuse`.
    calls: Vec<String>,
}

/// Calls and attributes whose texts are messages: they begin in lower case, because something stands before them
/// ("ojad: ", a path, a time), and end without a full stop.
const MESSAGES: [&str; 18] = [
    "#[error",
    "error!",
    "warn!",
    "info!",
    "debug!",
    "refuse",
    "damaged",
    "problem",
    "corrupt",
    "wrong",
    "Usage",
    "Failed",
    "bad",
    "Refusal::new",
    "failed",
    "usage",
    "unknown",
    "io::Error::other",
];

/// Texts for whoever reads or breaks the code.
const UNSEEN: [&str; 7] = [
    "#[expect",
    "#[allow",
    "assert!",
    "assert_eq!",
    "debug_assert!",
    "debug_assert_eq!",
    "unreachable!",
];

/// Capital letters that a message may begin with: names, and formats that print one.
const NAMES: [&str; 5] = ["Feather", "Parquet", "Arrow", "Plotly.js", "TLS"];

/// Phrases that are correct and that nobody would say. Each stood in a message once.
const TRANSLATED: [(&str, &str); 26] = [
    (" is no feature", "is not a feature; cannot be a feature"),
    (" is no number", "is not a number"),
    (" no finite number", "not a finite number"),
    (" no whole number", "not a whole number"),
    (" are no ", "are not …; do not make …"),
    (" is no Arrow", "is not an Arrow …"),
    (" is no glob", "is not a glob"),
    (" is no list", "is not a list"),
    (" is no parameter", "unknown parameter"),
    ("no answer of", "not an answer from"),
    ("program knows", "this program reads"),
    ("come again", "try again"),
    ("ask again", "try again"),
    ("can be asked", "see /openapi.json"),
    ("says why", "see the log"),
    ("can be had", "is available"),
    ("cannot be had", "is not available"),
    ("begin anew", "start over"),
    ("put back", "restore"),
    ("put it back", "restore it"),
    ("that are read", "above the limit of"),
    ("as may be", "all … are in use"),
    ("fit its content", "match its content"),
    ("does not begin as", "does not start with"),
    (" comes twice", "appears twice; is given twice"),
    (" of its own", "its own …; a separate …"),
];

/// The string literals of Rust code that hold at least two words, comments and unit tests left out.
fn texts(place: &Path) -> Vec<Text> {
    let code = fs::read_to_string(place).expect("text");
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    let bytes = code.as_bytes();
    let mut texts = Vec::new();
    let mut calls: Vec<String> = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let rest = &code[at..];
        let step = match bytes[at] {
            b'/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            b'\'' => char_literal(rest),
            b'(' | b'[' | b'{' => {
                calls.push(caller(&code[..at], bytes[at]));
                1
            }
            b')' | b']' | b'}' => {
                calls.pop();
                1
            }
            b'"' => {
                let hashes = code[..at].len() - code[..at].trim_end_matches('#').len();
                let is_raw = code[..at - hashes].ends_with('r');
                let (len, words) = literal(rest, is_raw.then_some(hashes));
                let is_shown = !calls.iter().any(|call| UNSEEN.contains(&call.as_str()));
                if is_shown && is_prose(&words) {
                    texts.push(Text {
                        place: shown(place),
                        line,
                        words,
                        calls: calls.clone(),
                    });
                }
                len
            }
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
        line += rest[..step].matches('\n').count();
        at += step;
    }
    texts
}

/// Length of a character literal, or 1 where the quote begins a lifetime.
fn char_literal(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => rest[2..].find('\'').map_or(1, |end| {
            if rest[2..].starts_with('\'') {
                4
            } else {
                end + 3
            }
        }),
        Some(_) => match chars.next() {
            Some((end, '\'')) => end + 1,
            _ => 1,
        },
        None => 1,
    }
}

/// The name before an opening bracket, with `!` of a macro or `#[` of an attribute.
fn caller(before: &str, bracket: u8) -> String {
    if bracket == b'{' {
        return "{".to_owned();
    }
    let is_part = |c: char| c.is_alphanumeric() || "_!:".contains(c);
    let start = before.trim_end_matches(is_part).len();
    let name = &before[start..];
    let attribute = before[..start].ends_with("#[");
    let name = name.trim_start_matches("tracing::");
    let last = name.rsplit("::").next().unwrap_or(name);
    match (attribute, name) {
        (true, _) => format!("#[{name}"),
        (_, "Refusal::new" | "io::Error::other") => name.to_owned(),
        _ => last.to_owned(),
    }
}

/// Length in the source of a literal with its quotes, and what it says.
fn literal(rest: &str, raw: Option<usize>) -> (usize, String) {
    if let Some(hashes) = raw {
        let end = format!("\"{}", "#".repeat(hashes));
        let len = rest[1..].find(&end).map_or(rest.len() - 1, |at| at + 1);
        return (len + 1, rest[1..len].to_owned());
    }
    let mut words = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (at + 1, words),
            '\\' => match chars.next() {
                Some((_, '\n')) => {
                    // Leading blanks of the next line are no part of the text.
                    let mut ahead = chars.clone();
                    while ahead.next().is_some_and(|(_, c)| c.is_whitespace()) {
                        chars.next();
                    }
                }
                Some((_, 'n')) => words.push('\n'),
                Some((_, 'u')) => words.push('…'),
                Some((_, c)) => words.push(c),
                None => {}
            },
            c => words.push(c),
        }
    }
    (rest.len(), words)
}

/// True with at least two words that are not code: keys, paths and placeholders do not count.
fn is_prose(text: &str) -> bool {
    let is_word = |word: &&str| {
        let word = word.trim_matches(|c: char| ",;:.()?".contains(c));
        word.len() > 1 && word.chars().all(char::is_alphabetic)
    };
    text.split_whitespace().filter(is_word).count() >= 2
}

/// The parts of a line that stand between an opening and its closing mark, or go on to the end of the line.
fn between<'a>(line: &'a str, marks: &[(char, char)]) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut rest = line;
    // HTML text may begin on the line before.
    if marks[0].0 == '>' && !line.trim_start().starts_with('<') {
        parts.push(line.split('<').next().unwrap_or_default());
    }
    while let Some(start) = rest.find(|c| marks.iter().any(|(open, _)| *open == c)) {
        let opening = rest[start..].chars().next();
        let close = marks.iter().find(|(open, _)| Some(*open) == opening);
        let inside = &rest[start + 1..];
        let end = close.and_then(|(_, close)| inside.find(*close));
        let end = end.unwrap_or(inside.len());
        parts.push(&inside[..end]);
        rest = inside.get(end + 1..).unwrap_or_default();
    }
    parts
}

/// A path as it is named within the project.
fn shown(path: &Path) -> String {
    let inside = path.strip_prefix(env!("CARGO_MANIFEST_DIR"));
    inside.unwrap_or(path).display().to_string()
}

/// Texts of the pages and of the description of the API: what stands between quotes or tags.
fn page_texts() -> Vec<Text> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for directory in ["src/http", "src/http/page", "crates/lab/src/page"] {
        for entry in fs::read_dir(root.join(directory)).expect("a directory") {
            let path = entry.expect("an entry").path();
            let kind = path.extension().unwrap_or_default().to_owned();
            let marks: &[(char, char)] = if kind == "html" {
                &[('>', '<')]
            } else if kind == "js" || kind == "json" {
                &[('"', '"'), ('`', '`')]
            } else {
                continue;
            };
            let text = fs::read_to_string(&path).expect("text");
            for (number, line) in text.lines().enumerate() {
                let is_comment = ["//", "/*", "*", "<!--"]
                    .iter()
                    .any(|mark| line.trim_start().starts_with(mark));
                let parts = between(line, marks).into_iter();
                let parts = parts.filter(|part| !is_comment && is_prose(part));
                found.extend(parts.map(|part| Text {
                    place: shown(&path),
                    line: number + 1,
                    words: part.trim().to_owned(),
                    calls: Vec::new(),
                }));
            }
        }
    }
    found
}

fn all() -> Vec<Text> {
    let files = sources().into_iter();
    let files = files.filter(|path| !path.ends_with("tests.rs"));
    let mut texts: Vec<Text> = files.flat_map(|path| texts(&path)).collect();
    texts.extend(page_texts());
    texts.extend(help());
    texts.sort_by(|a, b| (&a.place, a.line).cmp(&(&b.place, b.line)));
    texts
}

fn is_message(text: &Text) -> bool {
    let open = text.calls.iter().rev();
    let mut open = open.take_while(|call| *call != "{");
    open.any(|call| MESSAGES.contains(&call.as_str()))
}

fn broken(rule: &str, texts: &[Text], is_broken: impl Fn(&Text) -> bool) {
    let broken = texts.iter().filter(|text| is_broken(text));
    let list: Vec<String> = broken
        .map(|text| format!("{}:{}: {}", text.place, text.line, text.words))
        .collect();
    assert!(list.is_empty(), "{rule}:\n{}", list.join("\n"));
}

#[test]
fn messages_begin_and_end_alike() {
    let texts = all();
    if std::env::var_os("OJAD_MESSAGES").is_some() {
        for text in &texts {
            println!("{}:{}: {}", text.place, text.line, text.words);
        }
        println!("{} texts", texts.len());
    }
    let messages: Vec<Text> = texts.into_iter().filter(is_message).collect();
    // Fewer would mean that they are not found any more.
    assert!(messages.len() > 300, "{} messages", messages.len());
    broken("begins with a capital", &messages, |text| {
        let name = text.words.split([' ', ':']).next().unwrap_or_default();
        let is_name = NAMES.contains(&name) || name.len() > 1 && name == name.to_uppercase();
        text.words.starts_with(char::is_uppercase) && !is_name
    });
    broken("ends with a full stop", &messages, |text| {
        text.words.trim_end().ends_with('.')
    });
    broken("two blanks in a row", &messages, |text| {
        text.words.trim().contains("  ") && !text.words.contains('\n')
    });
}

#[test]
fn no_text_sounds_translated() {
    let texts = all();
    for (phrase, better) in TRANSLATED {
        broken(&format!("`{phrase}`: write `{better}`"), &texts, |text| {
            text.words.contains(phrase)
        });
    }
}

/// What `ojad COMMAND --help` shows of an option or argument.
fn help() -> Vec<Text> {
    let mut help = Vec::new();
    for path in sources() {
        if !path.display().to_string().contains("/cli/") {
            continue;
        }
        let code = fs::read_to_string(&path).expect("text");
        let lines: Vec<&str> = code.lines().map(str::trim).collect();
        for (number, line) in lines.iter().enumerate() {
            if !line.starts_with("#[arg") || line.contains("hide = true") {
                continue;
            }
            let above = lines[..number].iter().rev();
            let first = above.take_while(|line| line.starts_with("///")).last();
            help.push(Text {
                place: shown(&path),
                line: number + 1,
                words: first.map_or("", |line| line[3..].trim()).to_owned(),
                calls: Vec::new(),
            });
        }
    }
    help
}

#[test]
fn every_option_says_what_it_is_or_does() {
    let help = help();
    assert!(help.len() > 60, "{} options", help.len());
    broken("no help", &help, |text| text.words.is_empty());
    broken("begins in lower case", &help, |text| {
        text.words.starts_with(char::is_lowercase)
    });
    let questions = ["What ", "Whether ", "Where ", "Which ", "How "];
    broken("begins with a question", &help, |text| {
        let words = text.words.as_str();
        questions.iter().any(|word| words.starts_with(word)) && !words.starts_with("What to ")
    });
}
