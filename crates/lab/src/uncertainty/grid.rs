//! A table of claims: lines of data sets, run on several threads, and what is measured beside what is right.
//!
//! In: lines, and how many data sets each draws. Out: a [`Row`] per line, in order, as soon as its data sets are
//! through. A data set depends on its number and the seed alone, so the rows are the same on any number of threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::LabError;

/// Data sets of one seed: those of the next seed come behind them.
const SETS_A_SEED: u64 = 1_000_000;

/// A table in which every claim is true is found not to agree with this probability at most.
const FALSE_VERDICT: f64 = 0.01;

/// How many data sets each line draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sets {
    /// A few, for a table within a minute or two.
    Few,
    /// As many as the published tables have.
    Published,
    /// So many.
    Exactly(u64),
}

/// What of a table is run, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Data sets a line.
    pub sets: Sets,
    /// Of all rows. Seeds share no data set.
    pub seed: u64,
    /// Only lines whose name contains this.
    pub only: Option<String>,
    /// Threads that draw and learn; the results do not depend on it.
    pub threads: usize,
}

impl Options {
    /// The data sets of a line of `few` or `published` ones.
    pub(super) fn sets_of(&self, few: u64, published: u64) -> u64 {
        match self.sets {
            Sets::Few => few,
            Sets::Published => published,
            Sets::Exactly(count) => count,
        }
    }

    fn wants(&self, name: &str) -> bool {
        let only = self.only.as_ref();
        only.is_none_or(|word| name.contains(word.as_str()))
    }
}

/// A measured number, and where it may lie if the claim is true.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    /// As measured; `None` where the program withholds it.
    pub measured: Option<f64>,
    /// The range that is right; `None` where nothing is claimed.
    pub right: Option<[f64; 2]>,
    /// Where the measured number lies, by chance, if the right one lies in that range.
    pub by_chance: Option<[f64; 2]>,
}

impl Number {
    /// A number that is shown and not judged.
    pub(super) fn shown(measured: f64) -> Self {
        Self {
            measured: Some(measured),
            right: None,
            by_chance: None,
        }
    }

    /// A number with the range that is right, and what chance makes of that.
    pub(super) fn judged(measured: f64, right: [f64; 2], by_chance: [f64; 2]) -> Self {
        Self {
            measured: Some(measured),
            right: Some(right),
            by_chance: Some(by_chance),
        }
    }

    /// True if the number lies where it may; `None` where nothing is claimed.
    pub fn agrees(&self) -> Option<bool> {
        let [low, high] = self.by_chance?;
        // Bounds of shares are counts divided by a number, and so is what is measured.
        let slack = 1e-12 * (1.0 + high.abs().min(1e6));
        self.measured
            .map(|measured| (low - slack..=high + slack).contains(&measured))
    }
}

/// One place of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// As the table shows it; what is in parentheses is not claimed.
    pub text: String,
    /// What was measured; none in a column of names.
    pub numbers: Vec<Number>,
}

impl Cell {
    /// A cell of a column of names.
    pub(super) fn name(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            numbers: Vec::new(),
        }
    }
}

/// A line of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// A cell for each column.
    pub cells: Vec<Cell>,
    /// Data sets behind it.
    pub sets: u64,
}

impl Row {
    /// Numbers of the columns that do not agree with their claim.
    pub fn disagreeing(&self) -> Vec<usize> {
        let bad = |cell: &Cell| cell.numbers.iter().any(|n| n.agrees() == Some(false));
        let cells = self.cells.iter().enumerate();
        cells
            .filter(|(_, cell)| bad(cell))
            .map(|(i, _)| i)
            .collect()
    }

    /// True if anything is claimed in this line.
    pub fn is_judged(&self) -> bool {
        let mut numbers = self.cells.iter().flat_map(|cell| &cell.numbers);
        numbers.any(|number| number.agrees().is_some())
    }
}

/// Title, claim and columns of a table.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// The experiment and what is counted.
    pub title: &'static str,
    /// The claim, and which values agree with it.
    pub claim: &'static str,
    /// Names of the columns, and how many characters their cells have; the first is that of the lines.
    pub columns: &'static [(&'static str, usize)],
}

/// What happens while a table is made.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// So many of all data sets are through; those of the line `name` come next.
    Progress {
        /// Data sets of all lines that are through.
        done: u64,
        /// Data sets of all lines.
        of: u64,
        /// The line whose row comes next.
        name: &'a str,
    },
    /// A line is through.
    Row(&'a Row),
}

/// A line before it is measured.
pub(super) trait Line: Sync {
    /// What a data set shows.
    type Outcome: Send;

    /// The text by which a reader asks for it.
    fn name(&self) -> String;

    /// Data sets that it draws.
    fn sets(&self, options: &Options) -> u64;

    /// Numbers that are judged.
    fn claims(&self) -> usize;

    /// Draws and learns data set number `set`.
    fn measure(&self, set: u64) -> Result<Self::Outcome, LabError>;

    /// The outcomes in the order of the data sets → the line. A right program disagrees in a single number with
    /// probability `tail` at most.
    fn row(&self, outcomes: &[Self::Outcome], tail: f64) -> Row;
}

/// A table that can be run.
pub trait Table {
    /// Title, claim and columns.
    fn head(&self) -> Head;

    /// Names of the lines that are wanted.
    fn names(&self, options: &Options) -> Vec<String>;

    /// Runs all wanted lines.
    ///
    /// # Errors
    /// If the learner refuses a data set.
    fn run(&self, options: &Options, on: &mut dyn FnMut(Event<'_>)) -> Result<(), LabError>;
}

/// A head with its lines.
pub(super) struct Grid<L> {
    pub(super) head: Head,
    pub(super) lines: Vec<L>,
}

impl<L: Line> Table for Grid<L> {
    fn head(&self) -> Head {
        self.head
    }

    fn names(&self, options: &Options) -> Vec<String> {
        let names = self.lines.iter().map(Line::name);
        names.filter(|name| options.wants(name)).collect()
    }

    fn run(&self, options: &Options, on: &mut dyn FnMut(Event<'_>)) -> Result<(), LabError> {
        let wanted = self.lines.iter().filter(|line| options.wants(&line.name()));
        let wanted: Vec<&L> = wanted.collect();
        let claims: usize = wanted.iter().map(|line| line.claims()).sum();
        let tail = FALSE_VERDICT / claims.max(1) as f64;
        let jobs: Vec<(usize, u64)> = wanted
            .iter()
            .enumerate()
            .flat_map(|(i, line)| (0..line.sets(options)).map(move |set| (i, set)))
            .collect();
        let first = options.seed.wrapping_mul(SETS_A_SEED);
        let measure = |(i, set): (usize, u64)| wanted[i].measure(first.wrapping_add(set));
        let mut waiting = Waiting::new(&wanted, options);
        on_threads(
            &jobs,
            options.threads,
            &measure,
            &mut |(i, set), outcome| {
                waiting.put(i, set, outcome);
                while let Some((line, outcomes)) = waiting.complete() {
                    on(Event::Row(&wanted[line].row(&outcomes, tail)));
                }
                let next = wanted.get(waiting.next).map(|line| line.name());
                on(Event::Progress {
                    done: waiting.done,
                    of: jobs.len() as u64,
                    name: &next.unwrap_or_default(),
                });
            },
        )
    }
}

/// Outcomes of lines that are not through.
struct Waiting<O> {
    lines: Vec<Vec<Option<O>>>,
    next: usize,
    done: u64,
}

impl<O> Waiting<O> {
    fn new<L: Line<Outcome = O>>(lines: &[&L], options: &Options) -> Self {
        let empty = |line: &&L| (0..line.sets(options)).map(|_| None).collect();
        Self {
            lines: lines.iter().map(empty).collect(),
            next: 0,
            done: 0,
        }
    }

    fn put(&mut self, line: usize, set: u64, outcome: O) {
        self.done += 1;
        self.lines[line][set as usize] = Some(outcome);
    }

    /// The next line whose data sets are all there.
    fn complete(&mut self) -> Option<(usize, Vec<O>)> {
        let line = self.lines.get_mut(self.next)?;
        if line.iter().any(Option::is_none) {
            return None;
        }
        let line = std::mem::take(line).into_iter().flatten().collect();
        self.next += 1;
        Some((self.next - 1, line))
    }
}

/// Does the jobs on threads, and hands each outcome to `take` on this one.
fn on_threads<J: Copy + Send + Sync, O: Send>(
    jobs: &[J],
    threads: usize,
    measure: &(dyn Fn(J) -> Result<O, LabError> + Sync),
    take: &mut dyn FnMut(J, O),
) -> Result<(), LabError> {
    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let failure = Mutex::new(None);
    let (to, from) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            let to = to.clone();
            let (next, is_over, failure) = (&next, &is_over, &failure);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        return;
                    };
                    match measure(*job) {
                        Ok(outcome) => {
                            if to.send((*job, outcome)).is_err() {
                                return;
                            }
                        }
                        Err(error) => {
                            is_over.store(true, Ordering::Relaxed);
                            if let Ok(mut first) = failure.lock() {
                                first.get_or_insert(error);
                            }
                        }
                    }
                }
            });
        }
        drop(to);
        for (job, outcome) in from {
            take(job, outcome);
        }
    });
    match failure.into_inner() {
        Ok(Some(error)) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line whose data sets are their numbers, and which later ones overtake.
    struct Numbers(&'static str);

    impl Line for Numbers {
        type Outcome = u64;

        fn name(&self) -> String {
            self.0.to_owned()
        }

        fn sets(&self, options: &Options) -> u64 {
            options.sets_of(5, 50)
        }

        fn claims(&self) -> usize {
            1
        }

        fn measure(&self, set: u64) -> Result<u64, LabError> {
            Ok(set)
        }

        fn row(&self, outcomes: &[u64], tail: f64) -> Row {
            let numbers = outcomes.iter().map(|set| Number::shown(*set as f64));
            Row {
                cells: vec![
                    Cell::name(self.0),
                    Cell {
                        text: format!("{tail}"),
                        numbers: numbers.collect(),
                    },
                ],
                sets: outcomes.len() as u64,
            }
        }
    }

    fn rows(options: &Options) -> Vec<Row> {
        let grid = Grid {
            head: Head {
                title: "",
                claim: "",
                columns: &[("", 0), ("", 0)],
            },
            lines: vec![Numbers("one"), Numbers("two"), Numbers("twofold")],
        };
        let mut rows = Vec::new();
        let mut last = 0;
        grid.run(options, &mut |event| match event {
            Event::Row(row) => rows.push(row.clone()),
            Event::Progress { done, .. } => {
                assert_eq!(done, last + 1);
                last = done;
            }
        })
        .unwrap();
        rows
    }

    #[test]
    fn rows_come_in_order_whatever_the_number_of_threads() {
        let mut options = Options {
            sets: Sets::Few,
            seed: 2,
            only: Some("two".into()),
            threads: 1,
        };
        let one = rows(&options);
        let names: Vec<&str> = one.iter().map(|row| row.cells[0].text.as_str()).collect();
        assert_eq!(names, ["two", "twofold"]);
        let sets: Vec<_> = one[1].cells[1].numbers.iter().map(|n| n.measured).collect();
        let right: Vec<_> = (2_000_000..2_000_005)
            .map(|set| Some(f64::from(set)))
            .collect();
        assert_eq!(sets, right);
        // Two claims are judged, and one in a hundred tables may be wrong.
        assert_eq!(one[0].cells[1].text, "0.005");
        for threads in [2, 7] {
            options.threads = threads;
            assert_eq!(rows(&options), one);
        }
    }
}
