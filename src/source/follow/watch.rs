//! Directory notification: which names have changed. It is a hint that avoids checking all of them;
//! a listing is authoritative.
//!
//! In: directories, each watched before it is listed, so that changes after the listing are
//! reported. Out: names, directories to list again, or the notice that events were missed and
//! everything must be listed. The kernel queues events until they are read, so that a scan knows of
//! everything before it. A thread only waits for events and wakes the ingest thread.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::{CStr, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

/// Most names kept between two scans: beyond that, the directories are listed.
const NAMES_MAX: usize = 1 << 17;
/// Bytes of news that are read at once.
const BUFFER_BYTES: usize = 1 << 16;

/// The events subscribed to. Opening and reading are not among them: the ingest thread does that all the
/// time.
const HEARD: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::EXCL_UNLINK);

/// Events since the last call.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Names that came, went or changed.
    pub names: BTreeSet<PathBuf>,
    /// New directories, about whose contents nothing was reported.
    pub folders: BTreeSet<PathBuf>,
    /// Watched directories with events.
    pub heard: BTreeSet<PathBuf>,
    /// True if events were missed, or a directory was renamed.
    pub is_lost: bool,
}

/// Calls when there is news.
pub type Wake = Box<dyn Fn() + Send>;

/// Directories that are listened to.
#[derive(Debug)]
pub(super) struct Watch {
    queue: Arc<OwnedFd>,
    /// Names of the directories that are watched, by the kernel's number.
    folders: HashMap<i32, Vec<PathBuf>>,
    /// Directories whose events are not reported but trigger a scan.
    near: HashSet<i32>,
    /// Directories watched before the current listing.
    before: HashSet<i32>,
    news: News,
    buffer: Vec<MaybeUninit<u8>>,
    /// Tells the thread that the events were read.
    listen: Sender<()>,
    end: Arc<OwnedFd>,
}

impl Watch {
    /// A watch of nothing yet; `wake` is called from a thread that ends with this value.
    ///
    /// # Errors
    /// If the system has no notification, or no room for one more.
    pub(super) fn start(wake: Wake) -> io::Result<Self> {
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let (queue, end) = (
            Arc::new(queue),
            Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?),
        );
        let (listen, listening) = bounded(1);
        let theirs = (Arc::clone(&queue), Arc::clone(&end));
        thread::Builder::new()
            .name("ojad-watch".into())
            .spawn(move || wait(&theirs.0, &theirs.1, &listening, &wake))?;
        Ok(Self {
            queue,
            folders: HashMap::new(),
            near: HashSet::new(),
            before: HashSet::new(),
            news: News::default(),
            buffer: vec![MaybeUninit::uninit(); BUFFER_BYTES],
            listen,
            end,
        })
    }

    /// Watches a directory; returns whether its changes will be reported.
    pub(super) fn add(&mut self, folder: &Path) -> bool {
        let Ok(number) = inotify::add_watch(&*self.queue, folder, HEARD) else {
            return false;
        };
        let names = self.folders.entry(number).or_default();
        if !names.iter().any(|name| name == folder) {
            names.push(folder.to_owned());
        }
        self.before.remove(&number);
        // Watched even if shared: changes made on this machine are heard at once all the same.
        is_told_by_the_kernel(folder)
    }

    /// Only triggers scans for events in the directory where something is missing, or in its
    /// nearest existing parent.
    pub(super) fn add_near(&mut self, path: &Path) {
        let there = path.ancestors().skip(1).find(|folder| folder.is_dir());
        let added = there.map(|folder| inotify::add_watch(&*self.queue, folder, HEARD));
        if let Some(Ok(number)) = added {
            self.near.insert(number);
            self.before.remove(&number);
        }
    }

    /// Begins a new listing of everything: directories not added until [`Watch::end`] need no
    /// longer be watched.
    pub(super) fn begin(&mut self) {
        let before = std::mem::take(&mut self.folders).into_keys();
        self.before.extend(before.chain(self.near.drain()));
        self.news = News::default();
    }

    /// Drops directories that no longer exist.
    pub(super) fn end(&mut self) {
        for number in self.before.drain() {
            // It went with its directory, if that is gone.
            let _ = inotify::remove_watch(&*self.queue, number);
        }
    }

    /// Collects pending events and keeps them until requested.
    pub(super) fn hear(&mut self) {
        let mut reader = inotify::Reader::new(&*self.queue, &mut self.buffer);
        while let Ok(event) = reader.next() {
            let name = event.file_name().map(CStr::to_bytes);
            self.news
                .add(&self.folders, event.wd(), event.events(), name);
        }
        // One that is on its way is enough.
        let _ = self.listen.try_send(());
    }

    /// Events since the last call.
    pub(super) fn take(&mut self) -> News {
        self.hear();
        std::mem::take(&mut self.news)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = rustix::io::write(&*self.end, &1_u64.to_ne_bytes());
    }
}

impl News {
    fn add(
        &mut self,
        folders: &HashMap<i32, Vec<PathBuf>>,
        number: i32,
        events: ReadFlags,
        name: Option<&[u8]>,
    ) {
        if events.contains(ReadFlags::QUEUE_OVERFLOW) {
            self.is_lost = true;
            return;
        }
        let Some(folders) = folders.get(&number) else {
            return;
        };
        let Some(name) = name else {
            // The directory itself: it moved, went, or may be read by others now.
            // IGNORED only confirms that a watch was removed.
            self.is_lost |= !events.contains(ReadFlags::IGNORED);
            return;
        };
        let is_folder = events.contains(ReadFlags::ISDIR);
        let came = ReadFlags::CREATE | ReadFlags::MOVED_TO;
        let is_name = OsStr::from_bytes(name);
        for folder in folders {
            if !self.heard.contains(folder) {
                self.heard.insert(folder.clone());
            }
            let path = folder.join(is_name);
            match (is_folder, events.intersects(came)) {
                // Logs of table formats say what their neighbours are.
                (true, true) if name == b"metadata" || name.starts_with(b"_") => {
                    self.is_lost = true;
                }
                (true, true) if name.starts_with(b".") => self.is_lost |= name == b".hoodie",
                (true, true) => {
                    self.folders.insert(path);
                }
                (true, false) => self.is_lost |= !name.starts_with(b"."),
                (false, _) if name.ends_with(b".metadata.json") => self.is_lost = true,
                (false, _) => {
                    self.names.insert(path);
                }
            }
        }
        if self.names.len() + self.folders.len() > NAMES_MAX {
            self.is_lost = true;
        }
        if self.is_lost {
            // Everything is listed.
            self.names.clear();
            self.folders.clear();
        }
    }
}

/// Until the end, calls `wake` whenever there are events and waits until they were read.
fn wait(queue: &OwnedFd, end: &OwnedFd, listening: &Receiver<()>, wake: &Wake) {
    loop {
        let mut waits = [
            PollFd::new(queue, PollFlags::IN),
            PollFd::new(end, PollFlags::IN),
        ];
        match poll(&mut waits, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
        }
        if !waits[1].revents().is_empty() {
            return;
        }
        // Permissions from before this event no longer count, because each wake must be answered
        // by hearing the news once.
        while listening.try_recv().is_ok() {}
        wake();
        // The other side is gone: so is its queue.
        if listening.recv().is_err() {
            return;
        }
    }
}

/// True if all changes in a directory go through this kernel: changes by other machines to a shared
/// one are not reported.
fn is_told_by_the_kernel(folder: &Path) -> bool {
    /// `statfs` of NFS, SMB (three), 9P, Ceph, AFS, FUSE, Lustre, GFS2, OCFS2 and VirtualBox.
    const SHARED: [u32; 12] = [
        0x6969,
        0x517B,
        0xFF53_4D42,
        0xFE53_4D42,
        0x0102_1997,
        0x00C3_6400,
        0x5346_414F,
        0x6573_5546,
        0x0BD0_0BD0,
        0x0116_1970,
        0x7461_636F,
        0x786F_4256,
    ];
    rustix::fs::statfs(folder).is_ok_and(|at| !SHARED.contains(&(at.f_type as u32)))
}
