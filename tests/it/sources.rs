//! A source that is asked for record batches is followed exactly once, through stops and errors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use crossbeam_channel::bounded;
use ojad::config::load;
use ojad::daemon::run::{Command, RunParams, Surroundings, Until, run};
use ojad::disk::{Disk, RealDisk};
use ojad::source::follow::{Arrival, Connect, Source, SpoolInput};
use ojad::source::worker::InProcess;

use crate::feeds::{Place, parquet, rows};

const ROWS: usize = 5_000;
/// Rows of a record batch, no divisor of anything.
const STEP: usize = 37;

/// A log of rows; fails now and then, and goes where it is told.
struct Log {
    rows: RecordBatch,
    at: usize,
    calls: Arc<AtomicU64>,
    is_slow: bool,
}

impl Source for Log {
    fn seek(&mut self, position: Option<&[u8]>) -> Result<(), String> {
        self.at = match position {
            None => 0,
            Some(bytes) => std::str::from_utf8(bytes)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or("a position of another log")?,
        };
        Ok(())
    }

    fn next(&mut self) -> Result<Arrival, String> {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        if calls % 101 == 100 {
            return Err("the line was cut".to_owned());
        }
        if self.is_slow {
            std::thread::sleep(Duration::from_millis(12));
        }
        if self.at == self.rows.num_rows() {
            return Ok(Arrival::End);
        }
        let count = STEP.min(self.rows.num_rows() - self.at);
        let batch = self.rows.slice(self.at, count);
        self.at += count;
        let position = self.at.to_string().into_bytes();
        Ok(Arrival::Batch { batch, position })
    }
}

/// Runs until the log ends, or for a time.
fn follow(place: &Place, calls: &Arc<AtomicU64>, time: Option<Duration>) {
    let loaded = load(Some(&place.config()), std::iter::empty()).expect("a configuration");
    let mut params = RunParams::try_from(&loaded.config).expect("a plan");
    params.until = Until::Idle;
    params.follow.places.clear();
    let log = rows(ROWS, 1);
    let (calls, is_slow) = (Arc::clone(calls), time.is_some());
    let open = move || {
        let log = Log {
            rows: log.clone(),
            at: 0,
            calls: Arc::clone(&calls),
            is_slow,
        };
        Ok(Box::new(log) as Box<dyn Source>)
    };
    params.streams.push(SpoolInput::Source(Connect {
        name: "log".to_owned(),
        open: Arc::new(open),
    }));
    let decode = Box::new(InProcess::new(params.source.clone()));
    let (to, commands) = bounded(1);
    let stopper = std::thread::spawn(move || {
        if let Some(time) = time {
            std::thread::sleep(time);
            // A run that has ended needs no word.
            let _ = to.send(Command::Stop);
        } else {
            // Until the run is over.
            let _to = to;
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut never = || Err("no reload".to_owned());
    run(
        params,
        Surroundings::unseen(&disk, decode, &commands, &mut never),
    )
    .expect("a run");
    stopper.join().expect("a thread");
}

#[test]
fn a_log_is_followed_once_through_stops_and_errors() {
    let calm = Place::new("");
    parquet(&calm.feed().join("all.parquet"), &rows(ROWS, 1));
    let expected = calm.learned();
    let place = Place::new("");
    let calls = Arc::new(AtomicU64::new(0));
    let mut stops = 0;
    for time in [420, 450, 300] {
        follow(&place, &calls, Some(Duration::from_millis(time)));
        stops += 1;
        let read = place.inspect()["rows_read"].as_u64().unwrap_or(0);
        println!("after stop {stops}: {read} rows of {ROWS}");
        assert!(read < ROWS as u64, "the log ended too soon to be stopped");
    }
    follow(&place, &calls, None);
    let found = place.result();
    assert_eq!(found.rows_read, ROWS as u64);
    assert_eq!(found, expected);
    // Nothing is kept but the position.
    let kept = std::fs::read_dir(place.state().join("spool")).expect("a spool");
    let kept: Vec<_> = kept.flatten().map(|entry| entry.file_name()).collect();
    println!("kept: {kept:?}");
    // And what was read is not read again.
    follow(&place, &calls, None);
    assert_eq!(place.result(), expected);
}
