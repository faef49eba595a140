//! Names of directories, each kept once for all files in it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Directories by number, with how many files each holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Folders {
    names: Vec<(Arc<[u8]>, u32)>,
    numbers: HashMap<Arc<[u8]>, u32>,
    free: Vec<u32>,
}

impl Folders {
    /// The number of a directory that gets another file.
    pub(super) fn enter(&mut self, name: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            self.names[*number as usize].1 += 1;
            return *number;
        }
        let name: Arc<[u8]> = name.into();
        let folder = (Arc::clone(&name), 1);
        let number = if let Some(number) = self.free.pop() {
            self.names[number as usize] = folder;
            number
        } else {
            self.names.push(folder);
            (self.names.len() - 1) as u32
        };
        self.numbers.insert(name, number);
        number
    }

    /// The numbers of the directories whose names match.
    pub(super) fn numbers(&self, is_so: impl Fn(&[u8]) -> bool) -> HashSet<u32> {
        let numbers = self.numbers.iter();
        let numbers = numbers.filter(|(name, _)| is_so(name));
        numbers.map(|(_, number)| *number).collect()
    }

    /// A file of this directory is forgotten; with the last one the directory is.
    pub(super) fn leave(&mut self, number: u32) {
        let Some((name, files)) = self.names.get_mut(number as usize) else {
            return;
        };
        *files -= 1;
        if *files == 0 {
            self.numbers.remove(name);
            *name = Arc::from([]);
            self.free.push(number);
        }
    }

    /// The directory's name, its slash behind it.
    pub(super) fn name(&self, number: u32) -> &[u8] {
        self.names
            .get(number as usize)
            .map_or(&[], |(name, _)| name.as_ref())
    }
}
