//! `ojad lab uncertainty`: the claims about error bars, ranks, limits and drift, measured.

use std::io::IsTerminal as _;
use std::num::NonZero;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::{CliError, print};
use crate::lab::uncertainty::{Cell, Event, Head, Number, Options, Row, Sets, Subject, Table};

/// Reruns the claims of docs/statistics.md: error bars, number of components, limits, drift.
///
/// Rows are drawn from laws whose truth is known, learned in one pass, and what ojad says is counted beside what is
/// right. A line agrees with its claim if its numbers lie where chance puts those of a right program: if every claim of
/// a table is true, one table in a hundred has a line that does not agree.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ojad lab uncertainty                            all tables, few data sets: minutes
  ojad lab uncertainty coverage --only AR         error bars on dependent rows
  ojad lab uncertainty ranks --sets 50 --seed 7   rows that nobody has tuned anything on
  ojad lab uncertainty --full --markdown          the published tables: forty minutes

Times are those of two cores; the result does not depend on the number of threads. No two
seeds share a data set. docs/statistics.md names the seed of each of its tables, if it is not
0. The command fails if a line does not agree with its claim.")]
pub struct Args {
    /// Tables to run. Default: all.
    #[arg(value_name = "TABLE", value_enum)]
    subjects: Vec<Subject>,
    /// Data sets a line. Default: a few, fewer where they are large.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sets: Option<u32>,
    /// As many data sets as the published tables have.
    #[arg(long, conflicts_with = "sets")]
    full: bool,
    /// Seed of all rows.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Only lines whose name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Threads. Default: as many as there are cores.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Print Markdown, as in docs/statistics.md.
    #[arg(long)]
    markdown: bool,
    /// Print all numbers as JSON, with their right ranges and what chance allows.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let mut subjects = args.subjects.clone();
    if subjects.is_empty() {
        subjects = Subject::ALL.to_vec();
    }
    let options = Options {
        sets: match args.sets {
            Some(sets) => Sets::Exactly(u64::from(sets)),
            None if args.full => Sets::Published,
            None => Sets::Few,
        },
        seed: args.seed,
        only: args.only.clone(),
        threads: args.threads.map_or_else(
            || std::thread::available_parallelism().map_or(1, NonZero::get),
            usize::from,
        ),
    };
    let tables: Vec<(Subject, Box<dyn Table>)> = subjects
        .into_iter()
        .flat_map(|subject| {
            subject
                .tables()
                .into_iter()
                .map(move |table| (subject, table))
        })
        .collect();
    check(&tables, &options)?;
    let mut ended = Vec::new();
    for (subject, table) in tables {
        if table.names(&options).is_empty() {
            continue;
        }
        let rows = make(args, table.as_ref(), &options)?;
        ended.push((subject, table.head(), rows));
    }
    if args.json {
        print(&as_json(args, &ended))?;
    }
    judged(&ended)
}

/// Refuses a text that no line's name contains.
fn check(tables: &[(Subject, Box<dyn Table>)], options: &Options) -> Result<(), CliError> {
    let of = |options: &Options| -> Vec<String> {
        let names = tables.iter().flat_map(|(_, table)| table.names(options));
        names.collect()
    };
    if !of(options).is_empty() {
        return Ok(());
    }
    let mut names = of(&Options {
        only: None,
        ..options.clone()
    });
    // Tables share some.
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Err(CliError::Usage(format!(
        "--only {}: no line is named like that; the names are: {}",
        options.only.as_deref().unwrap_or_default(),
        names.join("; ")
    )))
}

/// Runs one table, and prints each line when it is through.
fn make(args: &Args, table: &dyn Table, options: &Options) -> Result<Vec<Row>, CliError> {
    let head = table.head();
    let shown = |row: &Row| match (args.json, args.markdown) {
        (true, _) => String::new(),
        (false, true) => markdown_line(
            row.cells.iter().map(|c| c.text.as_str()),
            &verdict(&head, row),
        ),
        (false, false) => text_line(
            &head,
            row.cells.iter().map(|c| c.text.as_str()),
            &verdict(&head, row),
        ),
    };
    if !args.json {
        print(&opening(&head, args.markdown))?;
    }
    let bar = bar();
    let mut rows: Vec<Row> = Vec::new();
    let mut printed = Ok(());
    table
        .run(options, &mut |event| match event {
            Event::Progress { done, of, name } => {
                if let Some(bar) = &bar {
                    bar.set_length(of);
                    bar.set_position(done);
                    bar.set_message(name.to_owned());
                }
            }
            Event::Row(row) => {
                let show = || print(&shown(row));
                let told = match &bar {
                    Some(bar) => bar.suspend(show),
                    None => show(),
                };
                if printed.is_ok() {
                    printed = told;
                }
                rows.push(row.clone());
            }
        })
        .map_err(|error| CliError::Failed(error.to_string()))?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    printed?;
    if !args.json {
        print(&closing(&rows))?;
    }
    Ok(rows)
}

/// The bar, on a terminal only.
fn bar() -> Option<ProgressBar> {
    std::io::stderr().is_terminal().then(|| {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = "{bar:24} {pos} of {len} data sets · {msg} · {eta} to go";
        bar.with_style(
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
        )
    })
}

/// Columns that do not agree by name, or that all do.
fn verdict(head: &Head, row: &Row) -> String {
    let columns = row.disagreeing().into_iter();
    let columns = columns.filter_map(|i| head.columns.get(i));
    let columns: Vec<&str> = columns.map(|(name, _)| *name).collect();
    match (columns.is_empty(), row.is_judged()) {
        (false, _) => format!("DOES NOT AGREE: {}", columns.join("; ")),
        (true, true) => "agrees".to_owned(),
        (true, false) => "not claimed".to_owned(),
    }
}

fn opening(head: &Head, is_markdown: bool) -> String {
    let names = || head.columns.iter().map(|(name, _)| *name);
    let claim = format!("{}\nclaim: {}\n\n", head.title, head.claim);
    if is_markdown {
        let line = markdown_line(names(), "verdict");
        return format!("{claim}{line}|{}\n", "---|".repeat(head.columns.len() + 1));
    }
    format!("{claim}{}", text_line(head, names(), "verdict"))
}

fn closing(rows: &[Row]) -> String {
    let judged = rows.iter().filter(|row| row.is_judged());
    let agree = judged.clone().filter(|row| row.disagreeing().is_empty());
    format!(
        "\n{} of {} lines agree with their claim\n\n",
        agree.count(),
        judged.count()
    )
}

fn markdown_line<'a>(cells: impl Iterator<Item = &'a str>, verdict: &'a str) -> String {
    let cells: Vec<&str> = cells.chain([verdict]).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// Aligned columns: the first to the left, the others to the right.
fn text_line<'a>(head: &Head, cells: impl Iterator<Item = &'a str>, verdict: &str) -> String {
    let mut text = String::new();
    for (i, (cell, (name, width))) in cells.zip(head.columns).enumerate() {
        let width = name.chars().count().max(*width);
        let pad = " ".repeat(width.saturating_sub(cell.chars().count()));
        if i == 0 {
            text.push_str(&format!("{cell}{pad}"));
        } else {
            text.push_str(&format!("  {pad}{cell}"));
        }
    }
    format!("{text}  {verdict}\n")
}

fn as_json(args: &Args, ended: &[(Subject, Head, Vec<Row>)]) -> String {
    let number = |number: &Number| {
        json!({
            // A delay that is infinite is none.
            "measured": number.measured.filter(|measured| measured.is_finite()),
            "right": number.right,
            "by_chance": number.by_chance.filter(|bounds| bounds.iter().all(|b| b.is_finite())),
            "agrees": number.agrees(),
        })
    };
    let cell = |cell: &Cell| {
        if cell.numbers.is_empty() {
            return json!(cell.text);
        }
        Value::Array(cell.numbers.iter().map(number).collect())
    };
    let line = |head: &Head, row: &Row| {
        let names = head.columns.iter().map(|(name, _)| (*name).to_owned());
        let cells: serde_json::Map<String, Value> = names.zip(row.cells.iter().map(cell)).collect();
        json!({
            "data_sets": row.sets,
            "agrees": row.is_judged().then(|| row.disagreeing().is_empty()),
            "columns": cells,
        })
    };
    let tables: Vec<Value> = ended
        .iter()
        .map(|(subject, head, rows)| {
            let lines: Vec<Value> = rows.iter().map(|row| line(head, row)).collect();
            json!({
                "table": subject.name(),
                "title": head.title,
                "claim": head.claim,
                "lines": lines,
            })
        })
        .collect();
    format!("{:#}\n", json!({ "seed": args.seed, "tables": tables }))
}

/// Fails if a line does not agree with its claim.
fn judged(ended: &[(Subject, Head, Vec<Row>)]) -> Result<(), CliError> {
    let bad = ended.iter().flat_map(|(subject, _, rows)| {
        let rows = rows.iter().filter(|row| !row.disagreeing().is_empty());
        rows.map(move |row| {
            let name = row.cells.first().map_or("", |cell| cell.text.as_str());
            format!("{} ({name})", subject.name())
        })
    });
    let bad: Vec<String> = bad.collect();
    if bad.is_empty() {
        return Ok(());
    }
    Err(CliError::Failed(format!(
        "{}: not what is claimed; run these lines with more --sets and another --seed, and report it if they still do \
         not agree",
        bad.join(", ")
    )))
}
