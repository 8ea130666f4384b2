//! Random histories against the model: what the relay answers is what the server holds at that moment, or held within
//! the freshness bound, and what is appended is all there, whoever appends.
//!
//! `NINEP_STEPS=10000000 cargo test --release -p ninep --lib relay::random -- --ignored --nocapture` takes so many
//! steps.

use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use super::Config;
use super::data::cache::BLOCK;
use super::model::Model;
use super::testkit::{Bench, CONFIG, FRESH, Owned, Watched, cache, memory};
use crate::errno::Errno;
use crate::msg::{Tlink, Tread, Trenameat, Twrite};
use crate::wire::Data;

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
    open: Vec<Opened>,
    /// Another session of the user's.
    other: Watched,
}

/// A fid of the kernel's.
#[derive(Clone, Copy)]
struct Opened {
    fid: u32,
    ino: u64,
    flags: u32,
    /// The client has put another file in its place: what the server had not opened by then is gone.
    lost: bool,
}

impl History {
    fn new(seed: u64, freshness_ms: u64) -> Self {
        let mut server = Model::new();
        server.google = !seed.is_multiple_of(4);
        if !seed.is_multiple_of(5) {
            server.mounts("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
        }
        server.dir("/d");
        server.dir("/d/e");
        let small = seed.is_multiple_of(2);
        let (nodes, blocks) = if small { (24, 16) } else { (200, 256) };
        let mut b = Bench::with(server, Config { freshness_ms, ..CONFIG }, memory(nodes, 16 * 1024), cache(blocks));
        b.distant = seed.is_multiple_of(3);
        let other = b.other_session();
        Self { b, dice: Dice(seed * 2 + 1), open: vec![], other }
    }

    fn place(&mut self) -> (&'static str, &'static str) {
        (DIRECTORIES[self.dice.roll(3)], NAMES[self.dice.roll(5)])
    }

    fn step(&mut self) {
        let (directory, name) = self.place();
        let path = format!("{directory}/{name}");
        let there = self.b.server.at(&path).map(|inode| inode.data.clone());
        match self.dice.roll(19) {
            0 => match self.b.create(directory, name, 0o2302) {
                Ok(fid) => {
                    assert_eq!(there, None, "{path}");
                    self.keep(fid, 2, &path);
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
                let flags = [0, 2, 0o2001, 0o2002][self.dice.roll(4)];
                match self.b.open(&path, flags) {
                    Ok(fid) => self.keep(fid, flags, &path),
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
            14..17 => self.append(),
            17 => self.append_elsewhere(&path),
            _ => self.b.now += self.dice.roll(600) as u64,
        }
    }

    fn keep(&mut self, fid: u32, flags: u32, path: &str) {
        let ino = self.b.server.ino(path).unwrap();
        self.open.push(Opened { fid, ino, flags, lost: false });
        if self.open.len() > 6 {
            let at = self.dice.roll(6);
            let opened = self.open.swap_remove(at);
            self.b.clunk(opened.fid);
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
        let Some(Opened { fid, ino, .. }) = self.any_open() else { return };
        let data = self.dice.bytes(9000);
        let size = self.b.server.inodes[&ino].data.len();
        let offset = self.dice.roll(size + 1) as u64;
        // A fid that only reads is refused.
        let _ = self.b.write_at(fid, offset, &data);
    }

    fn read(&mut self) {
        let Some(Opened { fid, ino, flags, lost }) = self.any_open() else { return };
        match self.b.read_all(fid) {
            Ok(data) => assert!(data == self.b.server.inodes[&ino].data, "{flags:o}"),
            Err(errno) => assert!(lost && flags == 0 || flags & 3 == 1, "{errno}"),
        }
        match self.b.attr(fid) {
            Ok(attr) => assert_eq!(attr.size, self.b.server.inodes[&ino].data.len() as u64),
            Err(errno) => assert!(lost && flags == 0, "{errno}"),
        }
    }

    /// What one process appends is what is there, and what another has appended since.
    fn append(&mut self) {
        let Some(Opened { fid, ino, flags, .. }) = self.any_open().filter(|o| o.flags & 3 != 0) else { return };
        let data = self.dice.bytes(3000);
        if self.dice.roll(3) == 0 {
            self.b.server.inodes.get_mut(&ino).unwrap().data.push(b'!');
        }
        let wanted = [&self.b.server.inodes[&ino].data, &data[..]].concat();
        self.b.write_at(fid, u64::MAX, &data).unwrap_or_else(|errno| panic!("{errno}, {flags:o}"));
        assert!(self.b.server.inodes[&ino].data == wanted, "{flags:o}");
    }

    fn append_elsewhere(&mut self, path: &str) {
        let Some(wanted) = self.b.server.at(path).map(|inode| inode.data.clone()) else { return };
        let data = self.dice.bytes(3000);
        self.b.in_session(&mut self.other, |b| {
            b.now += FRESH;
            let fid = b.open(path, 0o2001).unwrap();
            b.write_at(fid, u64::MAX, &data).unwrap();
            b.clunk(fid);
        });
        self.b.now += FRESH;
        let now = self.b.server.at(path).unwrap().data.clone();
        assert!(now == [wanted, data].concat(), "{path}");
    }

    /// Several processes append at the same moment, and a program of the client's: each write is whole, none is lost.
    fn append_at_once(&mut self) {
        let mut wanted: Vec<(u64, Vec<u8>)> = vec![];
        let before: Vec<_> = self.open.iter().map(|o| (o.ino, self.b.server.inodes[&o.ino].data.len())).collect();
        let mut sent = 0;
        for n in 0..8 {
            let Some(Opened { fid, ino, flags, .. }) = self.any_open() else { return };
            let data = vec![n; 1 + self.dice.roll(2000)];
            if flags & 3 == 0 {
                self.b.server.inodes.get_mut(&ino).unwrap().data.extend_from_slice(&data);
            } else {
                self.b.send(n.into(), &Twrite { fid, offset: u64::MAX, data: Data(&data) });
                sent += 1;
            }
            wanted.push((ino, data));
        }
        self.b.pump();
        while !self.b.replies.is_empty() {
            let at = self.dice.roll(self.b.replies.len());
            self.b.deliver(at);
        }
        for _ in 0..sent {
            let (tag, reply) = self.b.reply().expect("an answer to every write");
            assert_eq!(reply, Owned::Count(wanted[usize::from(tag)].1.len() as u32));
        }
        self.b.now += FRESH;
        for (ino, old) in before {
            let new = &self.b.server.inodes[&ino].data[old..];
            let mut writes: Vec<_> = new.chunk_by(|a, b| a == b).collect();
            writes.sort();
            let appended: Vec<_> = wanted.iter().filter(|w| w.0 == ino).map(|w| &w.1[..]).collect();
            let show = |writes: &[&[u8]]| writes.iter().map(|w| (w[0], w.len())).collect::<Vec<_>>();
            let open: Vec<_> = self.open.iter().map(|o| (o.fid, o.ino, o.flags, o.lost)).collect();
            assert_eq!(show(&writes), show(&appended), "{ino} of {open:?}, {}", self.b.server.google);
        }
    }

    fn any_open(&mut self) -> Option<Opened> {
        let at = self.dice.roll(self.open.len().max(1));
        self.open.get(at).copied()
    }

    fn list(&mut self, directory: &str) {
        let listed: Vec<_> = self.b.list(directory).unwrap().into_iter().map(|(name, _)| name).collect();
        let listed: Vec<_> = listed.into_iter().filter(|name| !name.starts_with(b".")).collect();
        let wanted: Vec<_> = self.b.server.at(directory).unwrap().children.keys().cloned().collect();
        assert_eq!(listed, wanted, "{directory}");
    }

    /// The client puts another file in the place of one that is open.
    fn replace(&mut self, path: &str) {
        if let Some(ino) = self.b.server.ino(path) {
            self.b.server.unlink(path);
            self.open.iter_mut().filter(|o| o.ino == ino).for_each(|o| o.lost = true);
        }
    }

    /// Everything, after a change that is not the session's own and the time that it may take to show.
    fn compare(&mut self) {
        for directory in DIRECTORIES {
            self.list(directory);
            for name in NAMES {
                let path = format!("{directory}/{name}");
                let there = self.b.server.at(&path).map(|inode| inode.data.clone());
                assert_eq!(self.b.cat(&path), there.ok_or(Errno::ENOENT), "{path}");
            }
        }
    }

    /// Questions side by side, answered in any order.
    fn at_once(&mut self) {
        let mut asked = vec![];
        for _ in 0..8 {
            let Some(Opened { fid, ino, .. }) = self.any_open().filter(|o| !o.lost && o.flags & 3 != 1) else {
                continue;
            };
            let data = self.b.server.inodes[&ino].data.clone();
            let offset = self.dice.roll(data.len() + 100);
            let count = self.dice.roll(9000) as u32;
            let end = data.len().min(offset + count as usize);
            asked.push(data.get(offset.min(end)..end).unwrap_or(&[]).to_vec());
            self.b.send(asked.len() as u16 - 1, &Tread { fid, offset: offset as u64, count });
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
    for round in 0..ROUNDS {
        for _ in 0..STEPS {
            h.step();
        }
        h.at_once();
        h.append_at_once();
        if round % 5 == 0 {
            let (directory, name) = h.place();
            let path: String = format!("{directory}/{name}");
            let data = h.dice.bytes(9000);
            if h.dice.roll(2) == 0 {
                h.replace(&path);
            }
            h.b.server.file(&path, &data);
            h.b.now += freshness_ms;
            h.compare();
        }
    }
}

const ROUNDS: usize = 60;
/// In a round, one by one; eight reads and eight appends follow side by side.
const STEPS: usize = 12;

#[test]
fn every_answer_is_what_the_server_holds() {
    (1..60).for_each(|seed| run(seed, FRESH));
}

#[test]
fn without_memory_too() {
    (60..80).for_each(|seed| run(seed, 0));
}

#[test]
#[ignore = "takes as long as NINEP_STEPS says"]
fn as_many_steps_as_are_asked_for() {
    let steps: usize = std::env::var("NINEP_STEPS").expect("NINEP_STEPS, a number").parse().unwrap();
    let begun = std::time::Instant::now();
    let runs = steps.div_ceil(ROUNDS * (STEPS + 16));
    for seed in 100..100 + runs as u64 {
        run(seed, if seed.is_multiple_of(5) { 0 } else { FRESH });
    }
    let taken = runs * ROUNDS * (STEPS + 16);
    std::println!("{taken} steps, {} a second", taken as u64 * 1000 / begun.elapsed().as_millis() as u64);
}
