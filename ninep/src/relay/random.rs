//! Random histories against the model: what the relay answers is what the far side holds at that moment, or held within
//! the freshness bound.

use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use super::Config;
use super::cache::BLOCK;
use super::model::Model;
use super::testkit::{Bench, CONFIG, FRESH, Owned, cache, memory};
use crate::errno::Errno;
use crate::msg::{Tlink, Tread, Trenameat};

/// Numbers that look random (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let n = self.roll(most);
        let first = self.roll(256);
        (0..n).map(|i| (first + i * 3 + i / 256) as u8).collect()
    }
}

const DIRECTORIES: [&str; 3] = ["", "/d", "/d/e"];
const NAMES: [&str; 5] = ["a.c", "a.o", "b.c", "b.o", "x"];

struct History {
    b: Bench,
    dice: Dice,
    /// Open fids, and the inodes they are of.
    open: Vec<(u32, u64)>,
}

impl History {
    fn new(seed: u64, freshness_ms: u64) -> Self {
        let mut far = Model::new();
        far.google = !seed.is_multiple_of(4);
        far.dir("/d");
        far.dir("/d/e");
        let small = seed.is_multiple_of(2);
        let (nodes, blocks) = if small { (24, 16) } else { (200, 256) };
        let mut b = Bench::with(far, Config { freshness_ms, ..CONFIG }, memory(nodes, 16 * 1024), cache(blocks));
        b.distant = seed.is_multiple_of(3);
        Self { b, dice: Dice(seed * 2 + 1), open: vec![] }
    }

    fn place(&mut self) -> (&'static str, &'static str) {
        (DIRECTORIES[self.dice.roll(3)], NAMES[self.dice.roll(5)])
    }

    fn step(&mut self) {
        let (directory, name) = self.place();
        let path = format!("{directory}/{name}");
        let there = self.b.far.at(&path).map(|inode| inode.data.clone());
        match self.dice.roll(15) {
            0 => match self.b.create(directory, name, 0o302) {
                Ok(fid) => {
                    assert_eq!(there, None, "{path}");
                    self.keep(fid, &path);
                }
                Err(errno) => assert_eq!((errno, there.is_some()), (Errno::EEXIST, true), "{path}"),
            },
            1 => {
                let done = self.b.unlink(directory, name);
                assert_eq!(done.is_ok(), there.is_some(), "{path}");
            }
            2 => {
                let (to, new) = self.place();
                let (old, other) = (self.b.walk(directory).unwrap(), self.b.walk(to).unwrap());
                let (oldname, newname) = (name.as_bytes(), new.as_bytes());
                let done = self.b.ask(&Trenameat { olddirfid: old, oldname, newdirfid: other, newname });
                assert_eq!(done.is_ok(), there.is_some(), "{path} to {to}/{new}: {done:?}");
                self.b.clunk(old);
                self.b.clunk(other);
            }
            3 => {
                let (to, new) = self.place();
                if let Ok(fid) = self.b.walk(&path) {
                    let dfid = self.b.walk(to).unwrap();
                    let _ = self.b.ask(&Tlink { dfid, fid, name: new.as_bytes() });
                    self.b.clunk(dfid);
                    self.b.clunk(fid);
                }
            }
            4 => {
                let flags = [0, 2][self.dice.roll(2)];
                match self.b.open(&path, flags) {
                    Ok(fid) => self.keep(fid, &path),
                    Err(errno) => assert_eq!((errno, there), (Errno::ENOENT, None), "{path}"),
                }
            }
            5..8 => self.write(),
            8 | 9 => self.read(),
            10 => assert_eq!(self.b.cat(&path), there.ok_or(Errno::ENOENT), "{path}"),
            11 => {
                let size = there.map(|data| data.len() as u64).ok_or(Errno::ENOENT);
                assert_eq!(self.b.stat(&path).map(|a| a.size), size, "{path}");
            }
            12 => self.list(directory),
            13 => self.lose_pages(),
            _ => self.b.now += self.dice.roll(600) as u64,
        }
    }

    fn keep(&mut self, fid: u32, path: &str) {
        let ino = self.b.far.ino(path).unwrap();
        self.open.push((fid, ino));
        if self.open.len() > 6 {
            let at = self.dice.roll(6);
            let (fid, _) = self.open.swap_remove(at);
            self.b.clunk(fid);
        }
    }

    /// As a kernel that is short of memory.
    fn lose_pages(&mut self) {
        let Some(memory) = self.b.cache.reclaimable() else { return };
        for page in memory.chunks_mut(BLOCK) {
            if self.dice.roll(2) == 0 {
                page.fill(0);
            }
        }
    }

    fn write(&mut self) {
        let Some(at) = self.open.len().checked_sub(1).map(|n| self.dice.roll(n + 1)) else { return };
        let (fid, ino) = self.open[at];
        let data = self.dice.bytes(9000);
        let size = self.b.far.inodes[&ino].data.len();
        let offset = self.dice.roll(size + 1) as u64;
        // A fid that only reads is refused.
        let _ = self.b.write_at(fid, offset, &data);
    }

    fn read(&mut self) {
        let Some(at) = self.open.len().checked_sub(1).map(|n| self.dice.roll(n + 1)) else { return };
        let (fid, ino) = self.open[at];
        assert_eq!(self.b.read_all(fid).unwrap(), self.b.far.inodes[&ino].data);
        assert_eq!(self.b.attr(fid).unwrap().size, self.b.far.inodes[&ino].data.len() as u64);
    }

    fn list(&mut self, directory: &str) {
        let listed: Vec<_> = self.b.list(directory).unwrap().into_iter().map(|(name, _)| name).collect();
        let listed: Vec<_> = listed.into_iter().filter(|name| !name.starts_with(b".")).collect();
        let wanted: Vec<_> = self.b.far.at(directory).unwrap().children.keys().cloned().collect();
        assert_eq!(listed, wanted, "{directory}");
    }

    /// Everything, after a change that is not the session's own and the time that it may take to show.
    fn compare(&mut self) {
        for directory in DIRECTORIES {
            self.list(directory);
            for name in NAMES {
                let path = format!("{directory}/{name}");
                let there = self.b.far.at(&path).map(|inode| inode.data.clone());
                assert_eq!(self.b.cat(&path), there.ok_or(Errno::ENOENT), "{path}");
            }
        }
    }

    /// Questions side by side, answered in any order.
    fn at_once(&mut self) {
        let mut asked = vec![];
        for tag in 0..8 {
            let Some(at) = self.open.len().checked_sub(1).map(|n| self.dice.roll(n + 1)) else { return };
            let (fid, ino) = self.open[at];
            let data = self.b.far.inodes[&ino].data.clone();
            let offset = self.dice.roll(data.len() + 100);
            let count = self.dice.roll(9000) as u32;
            let end = data.len().min(offset + count as usize);
            asked.push(data.get(offset.min(end)..end).unwrap_or(&[]).to_vec());
            self.b.send(tag, &Tread { fid, offset: offset as u64, count });
        }
        self.b.pump();
        while !self.b.replies.is_empty() {
            let at = self.dice.roll(self.b.replies.len());
            self.b.deliver(at);
        }
        for _ in 0..asked.len() {
            let (tag, reply) = self.b.reply().expect("an answer to every question");
            let Owned::Data(data) = reply else { panic!("{reply:?}") };
            let wanted = &asked[usize::from(tag)];
            assert_eq!(data.is_empty(), wanted.is_empty(), "{} of {} bytes", data.len(), wanted.len());
            assert!(wanted.starts_with(&data), "{} of {} bytes", data.len(), wanted.len());
        }
    }
}

fn run(seed: u64, freshness_ms: u64) {
    let mut h = History::new(seed, freshness_ms);
    for round in 0..60 {
        for _ in 0..12 {
            h.step();
        }
        h.at_once();
        if round % 5 == 0 {
            let (directory, name) = h.place();
            let path: String = format!("{directory}/{name}");
            let data = h.dice.bytes(9000);
            h.b.far.file(&path, &data);
            h.b.now += freshness_ms;
            h.compare();
        }
    }
}

#[test]
fn every_answer_is_what_the_far_side_holds() {
    (1..60).for_each(|seed| run(seed, FRESH));
}

#[test]
fn without_memory_too() {
    (60..80).for_each(|seed| run(seed, 0));
}
