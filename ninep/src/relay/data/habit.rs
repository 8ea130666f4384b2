//! Files that are used one after the other. Whoever asks for `enum.py`, and then for `enum.cpython-311.pyc` in
//! `__pycache__`, is about to do the same with the next name. Whoever asks for `__init__.py` first in one directory
//! does so in the next.

use heapless::Vec;

use super::hash::Hash;
use super::node::NodeId;
use super::request::Ahead;

/// Longest name that is taken notice of.
const NAME: usize = 48;

/// So many times a pair of files has to be seen before it is expected.
const TRUSTED: u8 = 2;

/// What was seen last: a file, and in a directory beside it another whose name begins alike.
#[derive(Debug, Default)]
pub struct Habit {
    /// The file that was found last, and the directory that was found last.
    file: (NodeId, Vec<u8, NAME>),
    directory: (NodeId, Vec<u8, NAME>),
    /// What follows the common part of both names, and what the other's directory is called.
    first: Vec<u8, NAME>,
    below: Vec<u8, NAME>,
    second: Vec<u8, NAME>,
    seen: u8,
    /// The directory that was found last, while no name in it is known. Of the one before: the directory above it, and
    /// the file that was found first in it.
    entered: NodeId,
    entry: (NodeId, Vec<u8, NAME>),
    /// A file's name, while the directory is asked for that the other file is in.
    pub waiting: Vec<u8, NAME>,
}

/// Where the part of a name begins that changes: at its first dot.
fn end_of(name: &[u8]) -> Option<usize> {
    name.iter().position(|&b| b == b'.').filter(|&at| at > 0)
}

pub fn short(name: &[u8]) -> Vec<u8, NAME> {
    Vec::from_slice(name).unwrap_or_default()
}

impl Habit {
    /// The kernel has found a directory in the directory `above`; in `entered` no name is known.
    pub fn enter(&mut self, above: NodeId, name: &[u8], entered: Option<NodeId>) {
        self.directory = (above, short(name));
        self.entered = entered.unwrap_or(self.entered);
    }

    /// What will be asked for first in a directory of `above`.
    pub fn entry(&self, above: NodeId) -> Option<Vec<u8, NAME>> {
        (self.entry.0 == above && !self.entry.1.is_empty()).then(|| self.entry.1.clone())
    }

    /// The kernel has found a file in `directory`, which is called `below` in the directory `above` it.
    pub fn note(&mut self, directory: NodeId, above: NodeId, below: Hash, name: &[u8]) {
        if let Some(at) = end_of(name)
            && self.file.0 == above
            && end_of(&self.file.1) == Some(at)
            && self.file.1[..at] == name[..at]
            && self.directory.0 == above
            && Hash::of(&self.directory.1) == below
        {
            let (first, second) = (short(&self.file.1[at..]), short(&name[at..]));
            if (&self.first, &self.below, &self.second) == (&first, &self.directory.1, &second) {
                self.seen = self.seen.saturating_add(1);
            } else {
                (self.first, self.below, self.second, self.seen) = (first, self.directory.1.clone(), second, 1);
            }
        } else if self.entered == directory {
            self.entry = (above, short(name));
        }
        self.entered = 0;
        self.file = (directory, short(name));
    }

    /// What will be asked for after `name`: what the directory beside it is called, and the name there.
    pub fn next(&self, name: &[u8]) -> Option<(Vec<u8, NAME>, Vec<u8, NAME>)> {
        let at = end_of(name).filter(|&at| self.seen >= TRUSTED && name[at..] == self.first)?;
        let mut next = short(&name[..at]);
        next.extend_from_slice(&self.second).ok()?;
        Some((self.below.clone(), next))
    }

    /// What was expected is not there.
    pub fn disappoint(&mut self, ahead: Ahead) {
        match ahead {
            Ahead::Use => self.seen /= 2,
            Ahead::Enter => self.entry.0 = 0,
            Ahead::No | Ahead::List => {}
        }
    }
}
