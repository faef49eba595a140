//! Compares one current file with what was taken.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::time::Instant;

use super::wait::entry_of;
use super::{FileStatus, Follower, LOOKS_AT_REST, NextSegment, refreshed};
use crate::source::fingerprint::{Fingerprint, open_quietly};
use crate::source::follow::entry::{FileEntry, FileState};
use crate::source::follow::scan::ScannedFile;
use crate::source::follow::state::IngestState;
use crate::source::format::{Told, is_named_as_data};
use crate::source::worker::{Decode, Fault};
use crate::source::{Format, Segment};

impl Follower {
    /// Decides about a file.
    pub(super) fn judge(
        &mut self,
        seen: &ScannedFile,
        state: &IngestState,
        decode: &mut dyn Decode,
        now: Instant,
    ) -> FileStatus {
        // Judged before and unchanged since, so it is not opened again at every scan.
        if self.left_out.get(&seen.path) == Some(&seen.meta) {
            return FileStatus::Known;
        }
        if self.is_resting(&seen.path, now) {
            return FileStatus::Wait;
        }
        let status = self.judge_awake(seen, state, decode, now);
        if !matches!(status, FileStatus::Wait) {
            self.unreadable.remove(&seen.path);
        }
        if matches!(status, FileStatus::Known | FileStatus::Refreshed(..)) {
            self.resting.remove(&seen.path);
        }
        status
    }

    fn judge_awake(
        &mut self,
        seen: &ScannedFile,
        state: &IngestState,
        decode: &mut dyn Decode,
        now: Instant,
    ) -> FileStatus {
        // The metadata is a hint that spares reading; where it says something new the content is asked.
        let known = state.files.by_inode(seen.meta.device, seen.meta.inode);
        let known = known.filter(|(file, entry)| {
            entry.fingerprint.meta.is_same_inode(&seen.meta) && !self.claimed.contains(file)
        });
        if let Some((file, entry)) = &known {
            let file = *file;
            let is_quiet = entry.fingerprint.meta == seen.meta;
            if is_quiet && entry.state != FileState::Growing {
                self.claimed.insert(file);
                self.waiting.remove(&seen.path);
                return if entry.path == seen.path {
                    FileStatus::Known
                } else {
                    FileStatus::Refreshed(file, refreshed(entry, seen))
                };
            }
            // The worker has it open: what it finds decides.
            if state.reading.as_ref().is_some_and(|r| r.file == file) {
                return FileStatus::Wait;
            }
            return self.judge_known(seen, (file, entry), state, decode, now);
        }
        if state
            .reading
            .as_ref()
            .is_some_and(|r| r.segment.fingerprint.meta.is_same_inode(&seen.meta))
        {
            return FileStatus::Wait;
        }
        // The system may give a disk another number: nothing else of the metadata is then different.
        let here = state.files.by_path(&seen.path);
        if let Some((file, entry)) = here
            && entry.fingerprint.meta.is_same_but_device(&seen.meta)
            && entry.state != FileState::Growing
            && self.claimed.insert(file)
        {
            return FileStatus::Refreshed(file, refreshed(&entry, seen));
        }
        self.judge_new(seen, None, state, decode, now)
            .unwrap_or_else(|error| self.unreadable(seen, now, &error))
    }

    /// Judges a changed file of which something was taken.
    fn judge_known(
        &mut self,
        seen: &ScannedFile,
        (file, entry): (u64, &FileEntry),
        state: &IngestState,
        decode: &mut dyn Decode,
        now: Instant,
    ) -> FileStatus {
        let looked = open_quietly(&seen.path).and_then(|handle| {
            let same = entry.fingerprint.is_prefix_of(&handle)?;
            let format = entry.format.unwrap_or(Format::Parquet);
            let is_whole =
                entry.is_stream() || has_footer(&handle, format, handle.metadata()?.len())?;
            Ok((same, is_whole))
        });
        let (same, is_whole) = match looked {
            Ok(looked) => looked,
            Err(error) => return self.unreadable(seen, now, &error),
        };
        // What a connection goes on to send puts nothing right that it began with.
        let may_grow = entry.is_stream() || self.is_spooled(seen);
        let same = same && (may_grow || seen.meta.bytes == entry.fingerprint.bytes);
        match (same, entry.state) {
            (true, FileState::Growing) => {
                self.claimed.insert(file);
                self.judge_new(seen, Some((file, entry)), state, decode, now)
                    .unwrap_or_else(|error| self.unreadable(seen, now, &error))
            }
            // A stream that had ended goes on: another may follow it.
            (true, FileState::Done)
                if entry.is_stream() && seen.meta.bytes > entry.fingerprint.bytes =>
            {
                self.claimed.insert(file);
                self.judge_new(seen, Some((file, entry)), state, decode, now)
                    .unwrap_or_else(|error| self.unreadable(seen, now, &error))
            }
            // Only its time or name changed, or it was put back.
            (true, _) => {
                self.claimed.insert(file);
                self.waiting.remove(&seen.path);
                let mut entry = refreshed(entry, seen);
                let was_whole = entry.rows > 0 && entry.within.is_none();
                if entry.state == FileState::Quarantined && was_whole {
                    entry.state = FileState::Done;
                }
                FileStatus::Refreshed(file, entry)
            }
            // Nothing of it was taken: it may have been put right.
            (false, FileState::Quarantined) if entry.rows == 0 => self
                .judge_new(seen, Some((file, entry)), state, decode, now)
                .unwrap_or_else(|error| self.unreadable(seen, now, &error)),
            // It is refused already.
            (false, FileState::Quarantined) => FileStatus::Refreshed(file, refreshed(entry, seen)),
            // Somebody may be writing the same content to its place again.
            (false, _) if !is_whole && !self.is_settled(seen, now) => FileStatus::Wait,
            _ => {
                self.waiting.remove(&seen.path);
                FileStatus::Changed(file, refreshed(entry, seen))
            }
        }
    }

    /// Judges a file that is new or may have grown.
    fn judge_new(
        &mut self,
        seen: &ScannedFile,
        known: Option<(u64, &FileEntry)>,
        state: &IngestState,
        decode: &mut dyn Decode,
        now: Instant,
    ) -> io::Result<FileStatus> {
        let handle = open_quietly(&seen.path)?;
        let told = Told::of(&handle)?;
        let Some(format) = told.format else {
            return Ok(self.judge_unknown(seen, &told, now));
        };
        if format == Format::IpcStream {
            return self.judge_stream(seen, (&handle, now), known, state, decode);
        }
        // Parquet and Arrow files are written from front to back: only the footer says that the
        // writer is done.
        if !has_footer(&handle, format, seen.meta.bytes)? {
            return Ok(self.wait(seen, now, "it has no footer", None));
        }
        let fingerprint = Fingerprint::of(&handle, seen.meta.bytes)?;
        let former = match known {
            None => self.former(seen, &fingerprint, state)?,
            Some(_) => None,
        };
        self.waiting.remove(&seen.path);
        if let Some((file, entry)) = &former
            && entry.state != FileState::Growing
        {
            let mut now_here = refreshed(entry, seen);
            now_here.fingerprint = fingerprint;
            return Ok(FileStatus::Copy(*file, now_here, entry.path.clone()));
        }
        let known = known.or(former.as_ref().map(|(file, entry)| (*file, entry)));
        let skip = known.map_or(0, |(_, entry)| entry.ahead);
        let segment = Segment {
            path: seen.path.clone(),
            format,
            fingerprint,
            start: 0,
        };
        Ok(FileStatus::NextSegment(NextSegment {
            file: known.map(|(file, _)| file),
            segment,
            skip,
            is_final: true,
        }))
    }

    /// Judges a file of unknown format: left out, or refused if it was meant to be data.
    fn judge_unknown(&mut self, seen: &ScannedFile, told: &Told, now: Instant) -> FileStatus {
        let is_meant = seen.is_named
            || self.is_spooled(seen)
            || is_named_as_data(&seen.path)
            || told.is_other_data();
        let looks = match (self.has_ended(seen), told.is_open()) {
            (true, _) => Some(0),
            (false, is_open) => (!is_open).then_some(LOOKS_AT_REST),
        };
        if is_meant {
            return self.wait(seen, now, &told.reason(), looks);
        }
        // What is still to be written may yet become data.
        if told.is_open() && !matches!(self.wait(seen, now, "", None), FileStatus::Refuse(..)) {
            return FileStatus::Wait;
        }
        self.waiting.remove(&seen.path);
        self.left_out.insert(seen.path.clone(), seen.meta.clone());
        FileStatus::Known
    }

    fn judge_stream(
        &mut self,
        seen: &ScannedFile,
        (handle, now): (&File, Instant),
        known: Option<(u64, &FileEntry)>,
        state: &IngestState,
        decode: &mut dyn Decode,
    ) -> io::Result<FileStatus> {
        let former = match known {
            None => self.former_stream(seen, handle, state)?,
            Some(_) => None,
        };
        if known.is_none() && former.is_none() && self.has_twin(seen, handle, state)? {
            return Ok(FileStatus::Wait);
        }
        let known = known.or(former.as_ref().map(|(file, entry)| (*file, entry)));
        // One that was found by its content is remembered as it is now, whatever follows.
        let otherwise = |status| match &former {
            Some((file, entry)) => {
                FileStatus::Copy(*file, refreshed(entry, seen), entry.path.clone())
            }
            None => status,
        };
        let start = known
            .filter(|(_, entry)| entry.is_stream())
            .map_or(0, |(_, entry)| entry.start());
        if let Some(waiting) = self.waiting.get(&seen.path)
            && waiting.meta == seen.meta
        {
            // Nothing came since its tail was found incomplete.
            let waits = self.wait_for_rest(seen, known.is_some(), now);
            return Ok(otherwise(waits));
        }
        if known.is_some() && seen.meta.bytes == start {
            return Ok(otherwise(FileStatus::Known));
        }
        let frames = match decode.frames(&seen.path) {
            Ok(frames) => frames,
            Err(refusal) if refusal.fault == Fault::File => {
                let entry = entry_of(seen, Some(Format::IpcStream), Some(handle), start);
                return Ok(FileStatus::Refuse(entry, refusal));
            }
            Err(refusal) if refusal.fault.is_passing() => {
                if self.put_off(&seen.path, &refusal, now) && refusal.fault == Fault::Unreadable {
                    self.cannot_read(&seen.path, refusal.reason);
                }
                return Ok(otherwise(FileStatus::Wait));
            }
            Err(refusal) => return Ok(self.wait(seen, now, &refusal.reason, None)),
        };
        if frames.end <= start || !frames.has_schema {
            let waits = self.wait_for_rest(seen, known.is_some(), now);
            return Ok(otherwise(waits));
        }
        self.waiting.remove(&seen.path);
        let segment = Segment {
            path: seen.path.clone(),
            format: Format::IpcStream,
            fingerprint: Fingerprint::of(handle, frames.end)?,
            start,
        };
        Ok(FileStatus::NextSegment(NextSegment {
            file: known.map(|(file, _)| file),
            segment,
            skip: known.map_or(0, |(_, entry)| entry.ahead),
            is_final: frames.is_ended,
        }))
    }
}

/// True if the last bytes are those of a complete file.
fn has_footer(file: &File, format: Format, bytes: u64) -> io::Result<bool> {
    // The minimum is both magic numbers and the length of the footer.
    let (tail, least): (&[u8], u64) = match format {
        Format::Parquet => (b"PAR1", 12),
        _ => (b"ARROW1", 18),
    };
    if bytes < least {
        return Ok(false);
    }
    let mut last = [0; 6];
    let last = &mut last[..tail.len()];
    file.read_exact_at(last, bytes - tail.len() as u64)?;
    Ok(last == tail)
}
