//! A kernel and a server around a relay, in one thread.

use std::boxed::Box;
use std::collections::VecDeque;
use std::vec;
use std::vec::Vec;

use super::data::cache::{BLOCK, Block, Cache, Content};
use super::data::job::Job;
use super::data::mounts::Mount;
use super::data::node::{Fid, Node, Open};
use super::data::request::Request;
use super::model::{Model, OTHER_SESSION};
use super::{Config, Memory, Relay};
use crate::errno::Errno;
use crate::frame::{Check, Fault, FrameError};
use crate::limits::{NOFID, NOTAG};
use crate::msg::{
    Body, Message, Rlerror, Tattach, Tclunk, Tgetattr, Tlcreate, Tlopen, Tread, Treaddir, Treadlink, Tsetattr,
    Tunlinkat, Tversion, Twalk, Twrite, VERSION,
};
use crate::types::{Attr, Dirents, getattr};

fn table<T: Clone + Default>(n: usize) -> &'static mut [T] {
    Box::leak(vec![T::default(); n].into_boxed_slice())
}

pub fn memory(nodes: usize, msize: usize) -> Memory<'static> {
    const JOBS: usize = 16;
    Memory {
        nodes: table::<Node>(nodes),
        heads: table(nodes),
        fids: table::<Fid>(512),
        opens: table::<Open>(32),
        mounts: table::<Mount>(16),
        jobs: table::<Job>(JOBS),
        requests: table::<Request>(4 * JOBS + 16),
        from_kernel: table(msize),
        to_kernel: table(2 * msize + JOBS * 256),
        from_upstream: table(8192),
        to_upstream: table(msize + (JOBS + 2) * 1024),
    }
}

pub fn cache(blocks: usize) -> Cache<'static> {
    Cache::new(table::<Content>(blocks.max(64)), table::<Block>(blocks), table(blocks * BLOCK))
}

/// A session's relay, and what holds its kernel's side to the protocol.
pub struct Watched {
    pub relay: Relay<'static>,
    check: Check,
}

pub struct Bench {
    pub relay: Relay<'static>,
    check: Check,
    pub cache: Cache<'static>,
    pub server: Model,
    pub now: u64,
    to_server: Vec<u8>,
    /// Replies of the server that are under way.
    pub replies: VecDeque<Vec<u8>>,
    from_relay: Vec<u8>,
    /// Replies to the kernel.
    pub received: VecDeque<Vec<u8>>,
    /// The next fid of the kernel's, and those that are free again.
    next_fid: u32,
    free_fids: Vec<u32>,
    /// Answers take long, and some of the reads that follow an open overtake it.
    pub distant: bool,
    /// Tag and fid of each Tlopen.
    opening: Vec<(u16, u32)>,
    overtaken: usize,
}

/// What v9fs asks for when it looks a name up (v9fs_fid_iget_dotl), and for stat(2).
const LOOKUP: u64 = getattr::BASIC | getattr::GEN;
pub const STAT: u64 = getattr::ALL;

pub const FRESH: u64 = 1000;
/// The kernel's greatest message.
const MSIZE: u32 = 16 * 1024;
pub const ROOT: u32 = 0;

/// What most tests decide.
pub const CONFIG: Config<'static> = Config { freshness_ms: FRESH, home: b"", names: b"" };

impl Bench {
    pub fn new(server: Model) -> Self {
        Self::with(server, CONFIG, memory(200, 16 * 1024), cache(64))
    }

    pub fn with(server: Model, config: Config<'_>, memory: Memory<'static>, cache: Cache<'static>) -> Self {
        let mut bench = Self {
            relay: Relay::new(&config, memory),
            check: Check::new(MSIZE),
            cache,
            server,
            now: 1,
            to_server: vec![],
            replies: VecDeque::new(),
            from_relay: vec![],
            received: VecDeque::new(),
            next_fid: 1,
            free_fids: vec![],
            distant: false,
            opening: vec![],
            overtaken: 0,
        };
        bench.mount();
        bench
    }

    fn mount(&mut self) {
        self.send(NOTAG, &Tversion { msize: MSIZE, version: VERSION });
        self.settle();
        assert!(matches!(self.reply(), Some((NOTAG, Owned::Other(101)))));
        let attach = Tattach { fid: ROOT, afid: NOFID, uname: b"", aname: b"", n_uname: 0 };
        self.ask(&attach).unwrap();
    }

    /// Another session with the same cache and server, beside this one; its upstream fids are others.
    pub fn other_session(&mut self) -> Watched {
        let mut relay = Relay::new(&CONFIG, memory(200, 16 * 1024));
        relay.next_ffid = OTHER_SESSION.into();
        let mut other = Watched { relay, check: Check::new(MSIZE) };
        self.in_session(&mut other, Self::mount);
        other
    }

    /// Does something in a session that was made by [`other_session`](Self::other_session).
    pub fn in_session(&mut self, other: &mut Watched, act: impl FnOnce(&mut Self)) {
        let mut swap = |bench: &mut Self| {
            core::mem::swap(&mut bench.relay, &mut other.relay);
            core::mem::swap(&mut bench.check, &mut other.check);
        };
        swap(self);
        act(self);
        swap(self);
    }

    /// Another session with the same cache and server.
    pub fn next_session(self) -> Self {
        let Self { relay, mut cache, mut server, now, .. } = self;
        relay.into_memory(&mut cache);
        server.asked.clear();
        let mut next = Self::with(server, CONFIG, memory(200, 16 * 1024), cache);
        next.now = now;
        next
    }

    pub fn send<'a, M: Body<'a>>(&mut self, tag: u16, message: &M) {
        let mut frame = vec![0; 64 * 1024];
        let n = message.encode(tag, &mut frame).unwrap().len();
        self.check.kernel(&frame[..n]).unwrap();
        self.send_bytes(&frame[..n]).unwrap();
    }

    /// Sends a frame that may be malformed, about which the check of frames agrees.
    pub fn send_frame(&mut self, frame: &[u8]) -> Result<(), Fault> {
        let checked = self.check.kernel(frame).map_err(|error| error.fault);
        let sent = self.send_bytes(frame).map_err(|error| error.fault);
        assert_eq!(sent, checked);
        sent
    }

    pub fn send_bytes(&mut self, mut bytes: &[u8]) -> Result<(), FrameError> {
        while !bytes.is_empty() {
            let space = self.relay.kernel_space();
            let n = space.len().min(bytes.len());
            assert!(n > 0, "the relay takes no more");
            space[..n].copy_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            self.relay.kernel_commit(n);
            self.relay.poll(self.now, &mut self.cache)?;
        }
        Ok(())
    }

    /// Moves what the relay says; the server's answers stay under way.
    pub fn pump(&mut self) {
        while self.pump_once() {}
    }

    fn pump_once(&mut self) -> bool {
        self.relay.poll(self.now, &mut self.cache).unwrap();
        let n = self.relay.upstream_output().len();
        self.to_server.extend_from_slice(self.relay.upstream_output());
        self.relay.upstream_consume(n);
        while let Some(frame) = take_frame(&mut self.to_server) {
            let mut reply = self.server.answer(&frame);
            if self.distant && self.overtakes(&frame) {
                refuse(&mut reply);
            }
            self.replies.push_back(reply);
        }
        let (asked, n) = (n, self.relay.kernel_output().len());
        self.check.upstream(self.relay.kernel_output()).unwrap();
        self.from_relay.extend_from_slice(self.relay.kernel_output());
        self.relay.kernel_consume(n);
        while let Some(frame) = take_frame(&mut self.from_relay) {
            self.received.push_back(frame);
        }
        asked + n > 0
    }

    /// Whether this is a read of what is being opened, every second time.
    fn overtakes(&mut self, frame: &[u8]) -> bool {
        const RLOPEN: u8 = 13;
        let tag = u16::from_le_bytes([frame[5], frame[6]]);
        match Message::decode(frame).unwrap().1 {
            Message::Tlopen(open) => {
                self.opening.retain(|&(t, _)| t != tag);
                self.opening.push((tag, open.fid));
            }
            Message::Tread(Tread { fid, .. }) | Message::Treaddir(Treaddir { fid, .. }) => {
                let tags: Vec<u16> = self.opening.iter().filter(|o| o.1 == fid).map(|o| o.0).collect();
                let opens = |r: &Vec<u8>| r[4] == RLOPEN && tags.contains(&u16::from_le_bytes([r[5], r[6]]));
                if self.replies.iter().any(opens) {
                    self.overtaken += 1;
                    return self.overtaken.is_multiple_of(2);
                }
            }
            _ => {}
        }
        false
    }

    /// Hands the relay the reply at `index` of those under way.
    pub fn deliver(&mut self, index: usize) {
        let reply = self.replies.remove(index).unwrap();
        let mut rest = &reply[..];
        while !rest.is_empty() {
            let n = self.relay.upstream_input(rest, self.now, &mut self.cache).unwrap();
            rest = &rest[n..];
            self.pump();
        }
    }

    /// Until nothing moves any more.
    pub fn settle(&mut self) {
        self.pump();
        for _ in 0..100_000 {
            if self.replies.is_empty() {
                return;
            }
            self.deliver(0);
        }
        panic!("the relay asks without end");
    }

    pub fn reply(&mut self) -> Option<(u16, Owned)> {
        let frame = self.received.pop_front()?;
        let (tag, message) = Message::decode(&frame).unwrap();
        let owned = match message {
            Message::Rlerror(e) => Owned::Error(Errno(e.ecode)),
            Message::Rread(r) => Owned::Data(r.data.0.to_vec()),
            Message::Rreaddir(r) => Owned::Entries(
                Dirents::new(r.data)
                    .map(|e| e.unwrap())
                    .map(|e| (e.name.to_vec(), e.kind, e.offset, e.qid.path))
                    .collect(),
            ),
            Message::Rreadlink(r) => Owned::Data(r.target.to_vec()),
            Message::Rgetattr(r) => Owned::Attr(r.attr, r.qid.path, r.qid.version),
            Message::Rwrite(r) => Owned::Count(r.count),
            _ => Owned::Other(frame[4]),
        };
        Some((tag, owned))
    }

    /// Asks one thing and waits for the answer.
    pub fn ask<'a, M: Body<'a>>(&mut self, message: &M) -> Result<Owned, Errno> {
        self.send(7, message);
        if self.distant {
            self.pump();
            self.now += self.relay.due().unwrap_or(0);
        }
        self.settle();
        match self.reply() {
            Some((7, Owned::Error(errno))) => Err(errno),
            Some((7, reply)) => Ok(reply),
            other => panic!("{} was answered with {other:?}", M::TYPE),
        }
    }

    pub fn new_fid(&mut self) -> u32 {
        self.free_fids.pop().unwrap_or_else(|| {
            self.next_fid += 1;
            self.next_fid - 1
        })
    }

    /// A fid for a path, component by component, as v9fs walks.
    pub fn walk(&mut self, path: &str) -> Result<u32, Errno> {
        let mut at = self.new_fid();
        self.ask(&Twalk { fid: ROOT, newfid: at, wname: heapless::Vec::new() })?;
        for name in path.split('/').filter(|n| !n.is_empty()) {
            let newfid = self.new_fid();
            let wname = heapless::Vec::from_slice(&[name.as_bytes()]).unwrap();
            let walked = self.ask(&Twalk { fid: at, newfid, wname });
            self.clunk(at);
            walked?;
            self.ask(&Tgetattr { fid: newfid, request_mask: LOOKUP })?;
            at = newfid;
        }
        Ok(at)
    }

    pub fn clunk(&mut self, fid: u32) {
        self.ask(&Tclunk { fid }).unwrap();
        self.free_fids.push(fid);
    }

    pub fn attr(&mut self, fid: u32) -> Result<Attr, Errno> {
        match self.ask(&Tgetattr { fid, request_mask: STAT })? {
            Owned::Attr(attr, ..) => Ok(attr),
            other => panic!("{other:?}"),
        }
    }

    pub fn stat(&mut self, path: &str) -> Result<Attr, Errno> {
        let fid = self.walk(path)?;
        let attr = self.attr(fid);
        self.clunk(fid);
        attr
    }

    /// Opens as v9fs does: a walk, a clone, Tlopen.
    pub fn open(&mut self, path: &str, flags: u32) -> Result<u32, Errno> {
        let fid = self.walk(path)?;
        let newfid = self.new_fid();
        self.ask(&Twalk { fid, newfid, wname: heapless::Vec::new() })?;
        let opened = self.ask(&Tlopen { fid: newfid, flags });
        self.clunk(fid);
        if opened.is_err() {
            self.clunk(newfid);
        }
        opened.map(|_| newfid)
    }

    pub fn read_at(&mut self, fid: u32, offset: u64, count: u32) -> Result<Vec<u8>, Errno> {
        match self.ask(&Tread { fid, offset, count })? {
            Owned::Data(data) => Ok(data),
            other => panic!("{other:?}"),
        }
    }

    pub fn read_all(&mut self, fid: u32) -> Result<Vec<u8>, Errno> {
        let mut all = vec![];
        loop {
            let data = self.read_at(fid, all.len() as u64, 8192)?;
            if data.is_empty() {
                return Ok(all);
            }
            all.extend(data);
        }
    }

    pub fn cat(&mut self, path: &str) -> Result<Vec<u8>, Errno> {
        let fid = self.open(path, 0)?;
        let all = self.read_all(fid);
        self.clunk(fid);
        all
    }

    pub fn write_at(&mut self, fid: u32, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let written = self.ask(&Twrite { fid, offset, data: crate::wire::Data(data) })?;
        assert_eq!(written, Owned::Count(data.len() as u32));
        Ok(())
    }

    pub fn create(&mut self, directory: &str, name: &str, flags: u32) -> Result<u32, Errno> {
        let fid = self.walk(directory)?;
        let (name, mode) = (name.as_bytes(), 0o100_644);
        let created = self.ask(&Tlcreate { fid, name, flags, mode, gid: 0 });
        if created.is_err() {
            self.clunk(fid);
        }
        created.map(|_| fid)
    }

    pub fn unlink(&mut self, directory: &str, name: &str) -> Result<(), Errno> {
        let dirfid = self.walk(directory)?;
        let done = self.ask(&Tunlinkat { dirfid, name: name.as_bytes(), flags: 0 });
        self.clunk(dirfid);
        done.map(drop)
    }

    pub fn truncate(&mut self, fid: u32, size: u64) -> Result<(), Errno> {
        self.ask(&Tsetattr { fid, valid: 8, size, ..Tsetattr::default() }).map(drop)
    }

    pub fn readlink(&mut self, path: &str) -> Result<Vec<u8>, Errno> {
        let fid = self.walk(path)?;
        let target = self.ask(&Treadlink { fid });
        self.clunk(fid);
        match target? {
            Owned::Data(target) => Ok(target),
            other => panic!("{other:?}"),
        }
    }

    /// Names with their types, as readdir(3) shows them.
    pub fn list(&mut self, path: &str) -> Result<Vec<(Vec<u8>, u8)>, Errno> {
        let fid = self.open(path, 0o200_000)?;
        let all = self.list_fid(fid, 2000)?;
        self.clunk(fid);
        Ok(all)
    }

    pub fn list_fid(&mut self, fid: u32, count: u32) -> Result<Vec<(Vec<u8>, u8)>, Errno> {
        let (mut all, mut at) = (vec![], 0);
        loop {
            match self.ask(&Treaddir { fid, offset: at, count })? {
                Owned::Entries(entries) if entries.is_empty() => return Ok(all),
                Owned::Entries(entries) => {
                    at = entries.last().unwrap().2;
                    all.extend(entries.into_iter().map(|(name, kind, ..)| (name, kind)));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Makes an error of an answer of the server.
pub fn refuse(reply: &mut Vec<u8>) {
    let tag = u16::from_le_bytes([reply[5], reply[6]]);
    let mut frame = [0; 64];
    *reply = Rlerror { ecode: Errno::EINVAL.0 }.encode(tag, &mut frame).unwrap().to_vec();
}

/// A reply to the kernel.
#[derive(Clone, Debug, PartialEq)]
pub enum Owned {
    Error(Errno),
    Data(Vec<u8>),
    Entries(Vec<(Vec<u8>, u8, u64, u64)>),
    Attr(Attr, u64, u32),
    Count(u32),
    Other(u8),
}

fn take_frame(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let size = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    (bytes.len() >= size).then(|| bytes.drain(..size).collect())
}
