//! Jobs: what the kernel waits for. Each runs from its start whenever something it waits for is known.

use heapless::Vec;

use super::cache::{BLOCK, Cache, ContentRef};
use super::far::{Request, RequestKind};
use super::hash::Hash;
use super::kernel::set;
use super::listing::{ENTRY, HEAD};
use super::owner::shown_qid;
use super::tree::{Moment, Node, NodeId, Open, OpenId};
use super::{JOB_FAR, Relay};
use crate::errno::Errno;
use crate::limits::{IOHDRSZ, MAXWELEM, NOFID, NOTAG};
use crate::msg::{
    Rattach, Rflush, Rgetattr, Rlcreate, Rlopen, Rread, Rreaddir, Rreadlink, Rsetattr, Rwalk, Tattach, Tgetattr,
    Tlcreate, Tlopen, Tread, Treaddir, Treadlink, Twalk, Twalkgetattr, Twrite, Type,
};
use crate::types::{Attr, Qid, getattr, open, qt};
use crate::wire::{Data, Wire, Writer};

/// Bytes of the names in a walk that can wait.
pub const NAMES: usize = 512;

/// A request of the kernel that is not answered yet.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    pub(super) kind: JobKind,
    pub(super) tag: u16,
    /// Its place among all requests: answers to what was asked later are fresh for it.
    pub(super) seq: u64,
    pub(super) fid: u32,
    pub(super) newfid: u32,
    pub(super) node: NodeId,
    pub(super) open: OpenId,
    pub(super) offset: u64,
    pub(super) count: u32,
    pub(super) flags: u32,
    pub(super) mode: u32,
    pub(super) gid: u32,
    /// Tags of the requests it waits for; 0: none.
    pub(super) wait: [u16; 2],
    /// What one of them failed with.
    pub(super) error: u32,
    /// It waits until the kernel has taken replies.
    pub(super) stalled: bool,
    /// How often it has asked for data.
    pub(super) tries: u8,
    /// The far fid of a file that is being created; what becomes of it when it fails.
    pub(super) ffid: u32,
    /// It has been created, and its attributes are known.
    pub(super) created: bool,
    /// The Tflush that is answered after it, plus one.
    pub(super) flush: u32,
    /// Of a change of names: the other directory, and both names.
    pub(super) other: NodeId,
    pub(super) hashes: [Hash; 2],
    pub(super) names_end: u16,
    pub(super) names: [u8; NAMES],
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum JobKind {
    #[default]
    None,
    Attach,
    Walk,
    Getattr,
    Readlink,
    Open,
    Read,
    Readdir,
    Create,
    /// Attributes of a file without a name, which the far side could only set by name.
    Own,
    /// The far side does it; the reply is passed on.
    Forward(Type),
}

impl Default for Job {
    fn default() -> Self {
        Self {
            kind: JobKind::None,
            tag: 0,
            seq: 0,
            fid: 0,
            newfid: 0,
            node: 0,
            open: 0,
            offset: 0,
            count: 0,
            flags: 0,
            mode: 0,
            gid: 0,
            wait: [0; 2],
            error: 0,
            stalled: false,
            tries: 0,
            ffid: 0,
            created: false,
            flush: 0,
            other: 0,
            hashes: [Hash::default(); 2],
            names_end: 0,
            names: [0; NAMES],
        }
    }
}

/// What is known of a name.
enum Known {
    Child(NodeId),
    Absent,
    Nothing,
}

/// File types of st_mode (inode(7)).
mod mode {
    pub const FORMAT: u32 = 0o170_000;
    pub const REGULAR: u32 = 0o100_000;
}

/// A file up to this size is fetched as a whole.
const WHOLE: u64 = 256 * 1024;

/// A file up to this size is fetched as a whole when more than one piece of it was asked for.
const LIBRARY: u64 = 2 * 1024 * 1024;

/// What reading begins with, and the most that is asked for in one message.
const WINDOW_LEAST: u32 = 128 * 1024;
const WINDOW_MOST: u32 = 512 * 1024;

impl Relay<'_> {
    /// Does what can be done for a job now.
    pub(super) fn run(&mut self, j: usize, cache: &mut Cache<'_>) {
        let Job { kind, error, wait, .. } = *self.job(j);
        if wait != [0; 2] {
            return;
        }
        if error != 0 {
            return self.fail(j, Errno(error), cache);
        }
        match kind {
            JobKind::None | JobKind::Forward(_) => {}
            JobKind::Attach => self.run_attach(j, cache),
            JobKind::Walk => self.run_walk(j, cache),
            JobKind::Getattr => self.run_getattr(j, cache),
            JobKind::Readlink => self.run_readlink(j, cache),
            JobKind::Open => self.run_open(j, cache),
            JobKind::Read => self.run_read(j, cache),
            JobKind::Readdir => self.run_readdir(j, cache),
            JobKind::Create => self.run_create(j, cache),
            JobKind::Own => self.run_own(j, cache),
        }
    }

    /// Goes on with jobs that waited for room.
    pub(super) fn run_stalled(&mut self, cache: &mut Cache<'_>) {
        for j in 1..self.jobs.len() {
            if core::mem::take(&mut self.job(j).stalled) {
                self.run(j, cache);
            }
        }
    }

    pub(super) fn fail(&mut self, j: usize, errno: Errno, cache: &mut Cache<'_>) {
        let Job { tag, ffid, .. } = *self.job(j);
        if ffid != 0 {
            let _ = self.clunks.push(ffid);
        }
        self.error(tag, errno);
        self.finish(j, cache);
    }

    /// A job has been answered, or nobody waits for it.
    pub(super) fn finish(&mut self, j: usize, cache: &mut Cache<'_>) {
        let job = core::mem::take(self.job(j));
        for request in self.requests.iter_mut().filter(|r| r.job == j as u32) {
            request.job = 0;
        }
        if job.flush != 0 {
            self.to_kernel.message((job.flush - 1) as u16, &Rflush {});
        }
        if job.other != 0 {
            self.release_node(job.other, cache);
        }
        if job.node != 0 {
            self.tree.node(job.node).pins -= 1;
            self.release(job.node, job.open, cache);
        }
    }

    /// Somebody has let go of a node, and of an open if there is one.
    pub(super) fn release(&mut self, node: NodeId, open: OpenId, cache: &mut Cache<'_>) {
        let Self { tree, clunks, .. } = self;
        if open != 0 {
            tree.open(open).refs -= 1;
            let o = *tree.open(open);
            if o.refs == 0 {
                cache.unpin(o.listing);
                tree.open(open).listing = ContentRef::default();
                let n = tree.view(node);
                // Readers are kept for the next one; what could be written to is let go of.
                if n.qid.kind & qt::DIR != 0 || n.gone || (o.access != 0 && (n.pins == 0 || n.ffid != 0)) {
                    tree.drop_open(open, clunks);
                }
            }
        }
        if tree.node(node).pins == 0 {
            // A writer that had to stay as long as the kernel held the file.
            let mut id = tree.node(node).opens;
            while id != 0 {
                let o = *tree.open(id);
                if o.refs == 0 && o.opening == 0 && o.access != 0 {
                    tree.drop_open(id, clunks);
                }
                id = o.next;
            }
            tree.tidy(node, clunks);
        }
    }

    /// Whether the attributes of a node, or its absence, count for a job.
    pub(super) fn is_fresh(&self, node: &Node, seq: u64) -> bool {
        let Moment { seq: asked, ms } = node.asked;
        let overtaken = node.linked && (node.gone || asked < self.linked);
        let young = ms != 0 && self.now_ms.saturating_sub(ms) < self.freshness_ms && !overtaken;
        asked != 0 && (asked >= seq || young)
    }

    fn fresh(&mut self, id: NodeId, seq: u64) -> bool {
        let node = self.tree.view(id);
        self.is_fresh(&node, seq)
    }

    /// A far fid by which the file can be asked about: the open one, since it stays with the file.
    pub(super) fn any_fid(&self, node: NodeId, open: OpenId) -> Option<u32> {
        let node = &self.tree.nodes[node as usize];
        let opened = self.tree.opens[open as usize].ffid;
        let others = self.tree.opens_of(node.opens).map(|o| &self.tree.opens[o as usize]);
        let opens = others.filter(|o| o.opening == 0).map(|o| o.ffid);
        [opened, node.ffid].into_iter().chain(opens).find(|&ffid| ffid != 0)
    }

    /// Asks for a node's attributes, unless that is under way.
    fn ask_attributes(&mut self, j: usize, node: NodeId, open: OpenId, cache: &mut Cache<'_>) {
        match self.any_fid(node, open) {
            Some(fid) => self.ask_attributes_by(j, node, fid),
            None => self.fail(j, Errno::ESTALE, cache),
        }
    }

    fn wait_for(&mut self, j: usize, tag: u16) {
        let wait = &mut self.job(j).wait;
        let free = usize::from(wait[0] != 0);
        wait[free] = tag;
    }

    fn run_attach(&mut self, j: usize, cache: &mut Cache<'_>) {
        let Job { newfid, seq, tag, .. } = *self.job(j);
        if self.root == 0 {
            let pending = self.requests.iter().position(|r| r.kind == RequestKind::Attach);
            let tag = pending.map(|tag| tag as u16).unwrap_or_else(|| {
                let fid = self.new_ffid();
                let attach = Tattach { fid, afid: NOFID, uname: b"", aname: b"", n_uname: 0 };
                self.send(RequestKind::Attach, &attach, Request { ffid: fid, ..Request::default() })
            });
            return self.wait_for(j, tag);
        }
        let root = self.root;
        if !self.fresh(root, seq) {
            self.ask_attributes(j, root, 0, cache);
            if !self.home.is_empty() {
                let tag = self.ask_owner();
                self.wait_for(j, tag);
            }
            return;
        }
        self.bind(newfid, root, 0, cache);
        let reply = Rattach { qid: self.qid_of(root) };
        self.to_kernel.message(tag, &reply);
        self.finish(j, cache);
    }

    /// Asks whose the user's home is.
    fn ask_owner(&mut self) -> u16 {
        let home = core::mem::take(&mut self.home);
        let names = home.split(|&b| b == b'/').filter(|name| !name.is_empty()).take(MAXWELEM);
        let wname: Vec<&[u8], MAXWELEM> = names.collect();
        let newfid = self.new_ffid();
        let fid = self.tree.node(self.root).ffid;
        let request = Request { ffid: newfid, ..Request::default() };
        if self.google {
            self.send(RequestKind::Home, &Twalkgetattr { fid, newfid, wname }, request)
        } else {
            self.send(RequestKind::Home, &Twalk { fid, newfid, wname }, request)
        }
    }

    pub(super) fn qid_of(&mut self, id: NodeId) -> Qid {
        let node = self.tree.node(id);
        shown_qid(&node.qid, node.device, node.key)
    }

    fn run_walk(&mut self, j: usize, cache: &mut Cache<'_>) {
        let job = *self.job(j);
        let mut node = job.node;
        let mut wqid = Vec::new();
        let mut names = job.names();
        while !names.is_empty() {
            let name = <&[u8]>::read(&mut names);
            match self.look_up(node, name, job.seq, cache) {
                Ok(Known::Child(child)) => {
                    node = child;
                    let _ = wqid.push(self.qid_of(child));
                }
                Ok(Known::Absent) => return self.fail(j, Errno::ENOENT, cache),
                Ok(Known::Nothing) => return self.ask_name(j, node, name, cache),
                Err(errno) => return self.fail(j, errno, cache),
            }
        }
        self.bind(job.newfid, node, 0, cache);
        self.to_kernel.message(job.tag, &Rwalk { wqid });
        self.finish(j, cache);
    }

    fn look_up(&mut self, parent: NodeId, name: &[u8], seq: u64, cache: &mut Cache<'_>) -> Result<Known, Errno> {
        let directory = self.tree.view(parent);
        if directory.qid.kind & qt::DIR == 0 {
            return Err(Errno::ENOTDIR);
        }
        if directory.gone {
            return Ok(Known::Absent);
        }
        if let Some(id) = self.tree.find(parent, Hash::of(name)) {
            let node = self.tree.view(id);
            if self.is_fresh(&node, seq) && (node.absent || self.any_fid(id, 0).is_some()) {
                return Ok(if node.absent { Known::Absent } else { Known::Child(id) });
            }
        }
        if self.is_fresh(&directory, seq) && is_absent(cache, directory.key, name) {
            return Ok(Known::Absent);
        }
        Ok(Known::Nothing)
    }

    /// Asks what a name stands for.
    fn ask_name(&mut self, j: usize, parent: NodeId, name: &[u8], cache: &mut Cache<'_>) {
        let directory = self.tree.view(parent);
        // A directory that is as it was answers for all the names that were not in it.
        if self.freshness_ms > 0 && self.job(j).kind == JobKind::Walk && is_absent(cache, directory.key, name) {
            return self.ask_attributes(j, parent, 0, cache);
        }
        let hash = Hash::of(name);
        let pending = |r: &Request| r.kind == RequestKind::Walk && r.node == parent && r.name == hash;
        if let Some(tag) = self.requests.iter().position(pending) {
            return self.wait_for(j, tag as u16);
        }
        if let Some(child) = self.tree.find(parent, hash) {
            let node = self.tree.view(child);
            // The stock server's fids stand for paths, as long as they are not open.
            if self.google && node.ffid != 0 && !node.dir_open && !node.absent {
                return self.ask_attributes_by(j, child, node.ffid);
            }
        }
        let fid = directory.ffid;
        if fid == 0 {
            return self.fail(j, Errno::ESTALE, cache);
        }
        let newfid = self.new_ffid();
        let mut wname = Vec::new();
        let _ = wname.push(name);
        let request = Request { node: parent, name: hash, ffid: newfid, ..Request::default() };
        let tag = if self.google {
            self.send(RequestKind::Walk, &Twalkgetattr { fid, newfid, wname }, request)
        } else {
            self.send(RequestKind::Walk, &Twalk { fid, newfid, wname }, request)
        };
        self.tree.node(parent).pins += 1;
        self.wait_for(j, tag);
    }

    fn ask_attributes_by(&mut self, j: usize, node: NodeId, fid: u32) {
        let mut tag = self.tree.node(node).asking;
        if tag == 0 {
            let request = Request { node, ffid: fid, ..Request::default() };
            tag = self.send(RequestKind::Getattr, &Tgetattr { fid, request_mask: getattr::BASIC }, request);
            let n = self.tree.node(node);
            (n.asking, n.pins) = (tag, n.pins + 1);
        }
        self.wait_for(j, tag);
    }

    fn run_getattr(&mut self, j: usize, cache: &mut Cache<'_>) {
        let Job { node, open, seq, tag, .. } = *self.job(j);
        if !self.fresh(node, seq) {
            return self.ask_attributes(j, node, open, cache);
        }
        let attr = self.owner.shown(&self.tree.node(node).attr);
        let reply = Rgetattr { valid: getattr::BASIC, qid: self.qid_of(node), attr };
        self.to_kernel.message(tag, &reply);
        self.finish(j, cache);
    }

    fn run_readlink(&mut self, j: usize, cache: &mut Cache<'_>) {
        let Job { node, seq, tag, .. } = *self.job(j);
        let n = self.tree.view(node);
        if n.qid.kind & qt::SYMLINK == 0 {
            return self.fail(j, Errno::EINVAL, cache);
        }
        if !self.is_fresh(&n, seq) {
            return self.ask_attributes(j, node, 0, cache);
        }
        let target = cache.find(n.key);
        if let Some(target) = target.and_then(|at| cache.get(at)).and_then(|c| c.link()) {
            self.to_kernel.message(tag, &Rreadlink { target });
            return self.finish(j, cache);
        }
        let Some(fid) = self.any_fid(node, 0) else { return self.fail(j, Errno::ESTALE, cache) };
        let request = Request { job: j as u32, node, key: n.key, ..Request::default() };
        let sent = self.send(RequestKind::Readlink, &Treadlink { fid }, request);
        self.wait_for(j, sent);
    }

    fn run_open(&mut self, j: usize, cache: &mut Cache<'_>) {
        let Job { node, seq, tag, flags, fid, .. } = *self.job(j);
        let n = self.tree.view(node);
        if !self.is_fresh(&n, seq) {
            return self.ask_attributes(j, node, 0, cache);
        }
        let access = flags & 3;
        let opened = if n.qid.kind & qt::DIR != 0 {
            if access != open::RDONLY {
                return self.fail(j, Errno::EISDIR, cache);
            }
            let known = cache.find(n.key).and_then(|at| cache.get(at)).is_some_and(|c| c.listing().is_some());
            if !n.dir_open && !known {
                return self.open_directory(j, node, cache);
            }
            self.new_open(node, access)
        } else if n.attr.mode & mode::FORMAT == mode::REGULAR {
            let usable =
                |o: &&super::tree::Open| o.ffid != 0 && o.opening == 0 && o.access == access && flags & SYNC == 0;
            let shared = self.tree.opens_of(n.opens).find(|&o| usable(&&self.tree.opens[o as usize]));
            let whole = access == open::RDONLY && self.is_whole(&n, cache);
            match shared {
                Some(shared) => Some(shared),
                None if whole => self.new_open(node, access),
                None => return self.open_file(j, node, flags, cache),
            }
        } else {
            // The kernel opens a FIFO or a device itself; the far side would wait in it, and hold up everybody.
            return self.fail(j, Errno::ENXIO, cache);
        };
        let Some(opened) = opened else { return self.fail(j, Errno::ENFILE, cache) };
        self.tree.touch_open(opened);
        self.bind(fid, node, opened, cache);
        let reply = Rlopen { qid: self.qid_of(node), iounit: 0 };
        self.to_kernel.message(tag, &reply);
        self.finish(j, cache);
    }

    fn new_open(&mut self, node: NodeId, access: u32) -> Option<OpenId> {
        let Self { tree, clunks, .. } = self;
        tree.new_open(node, access, clunks)
    }

    /// All of a file is in the cache, and the far side has let the user read it as it is.
    fn is_whole(&self, node: &Node, cache: &mut Cache<'_>) -> bool {
        let Some(at) = cache.find(node.key).filter(|_| is_kept(node)) else { return false };
        let readable = cache.get(at).is_some_and(|content| content.readable);
        readable && cache.available(at, 0, node.attr.size) == node.attr.size
    }

    fn open_directory(&mut self, j: usize, node: NodeId, cache: &mut Cache<'_>) {
        let pending = |r: &Request| r.kind == RequestKind::OpenDirectory && r.node == node;
        let tag = match self.requests.iter().position(pending) {
            Some(tag) => tag as u16,
            None => {
                let fid = self.tree.node(node).ffid;
                if fid == 0 {
                    return self.fail(j, Errno::ESTALE, cache);
                }
                let lopen = Tlopen { fid, flags: open::RDONLY };
                self.tree.node(node).pins += 1;
                self.send(RequestKind::OpenDirectory, &lopen, Request { node, ffid: fid, ..Request::default() })
            }
        };
        self.wait_for(j, tag);
    }

    /// Opens a file on the far side with the node's own fid, or with a clone of another.
    fn open_file(&mut self, j: usize, node: NodeId, flags: u32, cache: &mut Cache<'_>) {
        let access = flags & 3;
        let opens = self.tree.opens_of(self.tree.nodes[node as usize].opens);
        let pending = opens.map(|o| &self.tree.opens[o as usize]).find(|o| o.opening != 0 && o.access == access);
        if let Some(tag) = pending.map(|o| o.opening) {
            return self.wait_for(j, tag);
        }
        let Some(ffid) = self.take_fid(j, node, cache) else { return };
        let Some(opened) = self.new_open(node, access) else {
            self.tree.node(node).ffid = ffid;
            return self.fail(j, Errno::ENFILE, cache);
        };
        self.send_open(j, opened, ffid, flags);
    }

    fn send_open(&mut self, j: usize, opened: OpenId, fid: u32, flags: u32) {
        let node = self.tree.open(opened).node;
        let request = Request { node, open: opened, ffid: fid, ..Request::default() };
        // Flags beyond these mean something else on another machine, or are the kernel's own business.
        let flags = flags & (3 | SYNC);
        let tag = self.send(RequestKind::Open, &Tlopen { fid, flags }, request);
        self.tree.open(opened).opening = tag;
        self.tree.node(node).pins += 1;
        self.wait_for(j, tag);
    }

    /// The node's own fid, which is not its own any more; None when the job waits for one, or has failed.
    fn take_fid(&mut self, j: usize, node: NodeId, cache: &mut Cache<'_>) -> Option<u32> {
        match core::mem::take(&mut self.tree.node(node).ffid) {
            0 => {
                match self.clone_fid(node) {
                    Some(tag) => self.wait_for(j, tag),
                    None => self.fail(j, Errno::ESTALE, cache),
                }
                None
            }
            ffid => Some(ffid),
        }
    }

    /// Asks for a fid of the node's own; the tag of the request.
    pub(super) fn clone_fid(&mut self, node: NodeId) -> Option<u16> {
        match self.tree.node(node).cloning {
            0 => {}
            NOTAG => {
                self.tree.node(node).cloning = 0;
                return None;
            }
            pending => return Some(pending),
        }
        let fid = self.any_fid(node, 0)?;
        let newfid = self.new_ffid();
        let request = Request { node, ffid: newfid, ..Request::default() };
        let tag = self.send(RequestKind::Clone, &Twalk { fid, newfid, wname: Vec::new() }, request);
        let n = self.tree.node(node);
        (n.cloning, n.pins) = (tag, n.pins + 1);
        Some(tag)
    }

    /// The opened far fid of a file that is being read; None when the job waits for it, or has failed.
    fn opened_fid(&mut self, j: usize, opened: OpenId, cache: &mut Cache<'_>) -> Option<u32> {
        let o = *self.tree.open(opened);
        if o.opening != 0 {
            self.wait_for(j, o.opening);
            return None;
        }
        if o.ffid == 0 {
            let ffid = self.take_fid(j, o.node, cache)?;
            self.send_open(j, opened, ffid, open::RDONLY);
            return None;
        }
        Some(o.ffid)
    }

    fn run_read(&mut self, j: usize, cache: &mut Cache<'_>) {
        let job = *self.job(j);
        let n = self.tree.view(job.node);
        if n.qid.kind & qt::DIR != 0 {
            return self.fail(j, Errno::EISDIR, cache);
        }
        let count = job.count.min(self.msize - IOHDRSZ);
        if self.to_kernel.room() < count as usize + self.jobs.len() * super::JOB_KERNEL {
            self.job(j).stalled = true;
            return;
        }
        let own_change = n.asked.seq == 0 || n.changing > 0;
        if own_change || self.freshness_ms == 0 {
            return self.read_direct(j, count, cache);
        }
        if !self.is_fresh(&n, job.seq) {
            return self.ask_attributes(j, job.node, job.open, cache);
        }
        if !is_kept(&n) {
            return self.read_direct(j, count, cache);
        }
        let wanted = u64::from(count).min(n.attr.size.saturating_sub(job.offset));
        let Some(content) = cache.find_or_make(n.key) else { return self.read_direct(j, count, cache) };
        let have = cache.available(content, job.offset, wanted);
        if have == wanted {
            let sent = self.to_kernel.with(11 + wanted as usize, |out| {
                let (head, data) = out.split_at_mut(11);
                read_head(job.tag, wanted as u32, head) && cache.copy(content, job.offset, data)
            });
            if !sent {
                // Its memory was needed by others this very moment.
                return self.read_direct(j, count, cache);
            }
            self.read_ahead(&job, &n, content, wanted, cache);
            return self.finish(j, cache);
        }
        // Once more than it takes to read it: the cache has no room, so the data passes by it.
        if job.tries >= 4 {
            return self.read_direct(j, count, cache);
        }
        let missing = job.offset + have;
        if let Some(tag) = self.fetch_of(content, missing) {
            self.job(j).tries += 1;
            return self.wait_for(j, tag);
        }
        if self.opened_fid(j, job.open, cache).is_none() {
            return;
        }
        self.job(j).tries += 1;
        let start = missing / BLOCK as u64 * BLOCK as u64;
        let o = self.tree.open(job.open);
        o.window = (o.window * 2).clamp(WINDOW_LEAST, WINDOW_MOST);
        let window = u64::from(o.window).max(wanted - have);
        let end = if n.attr.size <= WHOLE { n.attr.size } else { (start + window).min(n.attr.size) };
        match self.fetch(job.open, content, start, end, cache) {
            Some(tag) => self.wait_for(j, tag),
            None => return self.read_direct(j, count, cache),
        }
        if window > WINDOW_LEAST.into() && n.attr.size <= LIBRARY {
            self.fetch_rest(job.open, content, n.attr.size, cache);
        }
    }

    /// A file that is read here and there is likely to be mapped, and to be used by the next command too.
    fn fetch_rest(&mut self, opened: OpenId, content: ContentRef, size: u64, cache: &Cache<'_>) {
        let missing =
            |this: &Self, at: u64| cache.available(content, at, 1) == 0 && this.fetch_of(content, at).is_none();
        let mut start = 0;
        while start < size {
            let mut end = start;
            while end < size && end - start < WINDOW_MOST.into() && missing(self, end) {
                end += BLOCK as u64;
            }
            if end > start
                && (!self.has_far_room(64) || self.fetch(opened, content, start, end.min(size), cache).is_none())
            {
                return;
            }
            start = end.max(start + BLOCK as u64);
        }
    }

    /// The request that brings the byte at `offset`.
    fn fetch_of(&self, content: ContentRef, offset: u64) -> Option<u16> {
        let brings = |r: &Request| {
            r.kind == RequestKind::Fetch
                && r.content == content
                && (r.offset..r.offset + u64::from(r.count)).contains(&offset)
        };
        self.requests.iter().position(brings).map(|tag| tag as u16)
    }

    /// Asks for bytes that are to be kept; None when there is no room for that.
    fn fetch(&mut self, opened: OpenId, content: ContentRef, start: u64, end: u64, cache: &Cache<'_>) -> Option<u16> {
        let o = *self.tree.open(opened);
        let most = u64::from(self.far_msize - IOHDRSZ).min(cache.capacity() as u64 / 4).min(WINDOW_MOST.into());
        // What comes after it begins with a block, unless messages are shorter than that.
        let most = if most < BLOCK as u64 { most } else { most / BLOCK as u64 * BLOCK as u64 };
        let count = end.saturating_sub(start).min(most);
        if count == 0 || self.ahead + count > cache.capacity() as u64 / 2 {
            return None;
        }
        let read = Tread { fid: o.ffid, offset: start, count: count as u32 };
        let request = Request { node: o.node, content, offset: start, count: count as u32, ..Request::default() };
        self.ahead += count;
        self.tree.node(o.node).pins += 1;
        let tag = self.send(RequestKind::Fetch, &read, request);
        let o = self.tree.open(opened);
        o.ahead = o.ahead.max(start + count);
        Some(tag)
    }

    /// Keeps a sequential reader supplied.
    fn read_ahead(&mut self, job: &Job, node: &Node, content: ContentRef, taken: u64, cache: &Cache<'_>) {
        let o = *self.tree.open(job.open);
        let end = job.offset + taken;
        let sequential = o.next_read == job.offset && job.offset != 0;
        let o_ = self.tree.open(job.open);
        o_.next_read = end;
        let window = u64::from(o.window.max(WINDOW_LEAST));
        if !sequential {
            o_.ahead = end + cache.available(content, end, 4 * window);
            return;
        }
        if o.ffid == 0 || o.opening != 0 {
            return;
        }
        // Whole blocks: what comes after them begins with a block.
        let most = (end + (4 * window).min(cache.capacity() as u64 / 4)) / BLOCK as u64 * BLOCK as u64;
        let target = most.min(node.attr.size);
        let mut start = o.ahead.max(end).div_ceil(BLOCK as u64) * BLOCK as u64;
        // In pieces that are worth a message.
        while start < target
            && (target - start >= window / 2 || target == node.attr.size)
            && self.has_far_room(64)
            && cache.available(content, start, 1) == 0
            && self.fetch_of(content, start).is_none()
        {
            self.tree.open(job.open).window = (o.window * 2).clamp(WINDOW_LEAST, WINDOW_MOST);
            if self.fetch(job.open, content, start, (start + window).min(target), cache).is_none() {
                return;
            }
            start = self.tree.open(job.open).ahead.div_ceil(BLOCK as u64) * BLOCK as u64;
        }
    }

    /// The bytes go to the kernel as they come.
    fn read_direct(&mut self, j: usize, count: u32, cache: &mut Cache<'_>) {
        let job = *self.job(j);
        if self.tree.open(job.open).access == open::WRONLY {
            return self.fail(j, Errno::EBADF, cache);
        }
        let Some(fid) = self.opened_fid(j, job.open, cache) else { return };
        let n = self.tree.node(job.node);
        let left = if n.own & set::SIZE == 0 { u64::MAX } else { n.attr.size.saturating_sub(job.offset) };
        let count = u64::from(count).min(left) as u32;
        let read = Tread { fid, offset: job.offset, count };
        let tag = self.send(RequestKind::Direct, &read, Request { job: j as u32, count, ..Request::default() });
        self.wait_for(j, tag);
    }

    fn run_readdir(&mut self, j: usize, cache: &mut Cache<'_>) {
        let job = *self.job(j);
        let n = self.tree.view(job.node);
        if n.qid.kind & qt::DIR == 0 {
            return self.fail(j, Errno::ENOTDIR, cache);
        }
        let count = job.count.min(self.msize - IOHDRSZ);
        if self.to_kernel.room() < count as usize + self.jobs.len() * super::JOB_KERNEL {
            self.job(j).stalled = true;
            return;
        }
        let mut o = *self.tree.open(job.open);
        let kept = cache.get(o.listing).and_then(|c| c.listing());
        let is_here = kept.is_some_and(|end| {
            let rest = end.saturating_sub(job.offset);
            cache.available(o.listing, job.offset, rest) == rest
        });
        if (job.offset == 0 || !is_here) && !o.direct {
            if !self.is_fresh(&n, job.seq) && !n.gone {
                return self.ask_attributes(j, job.node, 0, cache);
            }
            let mut known = cache.find(n.key);
            if let Some(at) = known
                && let Some(end) = cache.get(at).and_then(|c| c.listing())
                && cache.available(at, 0, end) < end
            {
                // Some of its blocks had to go.
                cache.forget(at);
                known = None;
            }
            match known.filter(|&at| cache.get(at).is_some_and(|c| c.listing().is_some())) {
                Some(at) if at != o.listing => {
                    cache.unpin(o.listing);
                    cache.pin(at);
                    self.tree.open(job.open).listing = at;
                    o.listing = at;
                }
                Some(_) => {}
                None if job.tries >= 2 && job.offset > 0 => return self.fail(j, Errno::EIO, cache),
                None if job.tries >= 2 => {
                    self.tree.open(job.open).direct = true;
                    o.direct = true;
                }
                None => return self.fetch_listing(j, cache),
            }
        }
        if o.direct {
            return self.readdir_direct(j, count, cache);
        }
        let Some(end) = cache.get(o.listing).and_then(|c| c.listing()) else {
            return self.fail(j, Errno::EIO, cache);
        };
        let mut taken = 0;
        let whole = loop {
            let at = job.offset + taken;
            let mut head = [0; HEAD];
            if at >= end {
                break true;
            }
            if !cache.copy(o.listing, at, &mut head) {
                break false;
            }
            let next = taken + (HEAD + usize::from(u16::from_le_bytes([head[HEAD - 2], head[HEAD - 1]]))) as u64;
            if next > u64::from(count) {
                break true;
            }
            taken = next;
        };
        let sent = whole
            && self.to_kernel.with(11 + taken as usize, |out| {
                let (head, data) = out.split_at_mut(11);
                readdir_head(job.tag, taken as u32, head) && cache.copy(o.listing, job.offset, data)
            });
        match sent {
            true => self.finish(j, cache),
            // Its memory was needed by others this very moment, or the offset is none that was given out.
            false if job.tries < 2 => {
                self.job(j).tries += 1;
                self.run(j, cache);
            }
            false => self.fail(j, Errno::EIO, cache),
        }
    }

    /// Asks for all entries of a directory.
    fn fetch_listing(&mut self, j: usize, cache: &mut Cache<'_>) {
        let Job { node, .. } = *self.job(j);
        let n = self.tree.view(node);
        if !n.dir_open {
            return self.open_directory(j, node, cache);
        }
        let pending = |r: &Request| r.kind == RequestKind::Listing && r.node == node;
        if let Some(tag) = self.requests.iter().position(pending) {
            return self.wait_for(j, tag as u16);
        }
        self.job(j).tries += 1;
        let Some(content) = cache.find_or_make(n.key) else {
            self.job(j).tries = 2;
            return self.run(j, cache);
        };
        cache.pin(content);
        let tag = self.send_listing(Request { node, content, ffid: n.ffid, ..Request::default() });
        self.tree.node(node).pins += 1;
        self.wait_for(j, tag);
    }

    pub(super) fn send_listing(&mut self, request: Request) -> u16 {
        let count = self.far_msize - IOHDRSZ;
        let readdir = Treaddir { fid: request.ffid, offset: request.offset, count };
        self.send(RequestKind::Listing, &readdir, Request { count, ..request })
    }

    fn readdir_direct(&mut self, j: usize, count: u32, cache: &mut Cache<'_>) {
        let Job { node, offset, .. } = *self.job(j);
        let n = self.tree.view(node);
        if !n.dir_open {
            return self.open_directory(j, node, cache);
        }
        let request = Request { job: j as u32, node, count, ..Request::default() };
        self.tree.node(node).pins += 1;
        let tag = self.send(RequestKind::DirectListing, &Treaddir { fid: n.ffid, offset, count }, request);
        self.wait_for(j, tag);
    }

    fn run_own(&mut self, j: usize, cache: &mut Cache<'_>) {
        let Job { node, open, seq, tag, flags, offset: size, mode, .. } = *self.job(j);
        if !self.fresh(node, seq) {
            return self.ask_attributes(j, node, open, cache);
        }
        let n = self.tree.node(node);
        if flags & set::SIZE != 0 {
            n.own |= set::SIZE;
            if size > n.attr.size {
                return match self.zeroes(node, open, size) {
                    Ok(zeroes) => self.wait_for(j, zeroes),
                    Err(errno) => self.fail(j, errno, cache),
                };
            }
            if size < n.attr.size {
                (n.cut, n.attr.size) = (n.cut.max(n.attr.size), size);
            }
        }
        if flags & set::MODE != 0 {
            n.own |= set::MODE;
            n.attr.mode = n.attr.mode & mode::FORMAT | mode & !mode::FORMAT;
        }
        self.forget_content(node, cache);
        self.stale(node);
        self.to_kernel.message(tag, &Rsetattr {});
        self.finish(j, cache);
    }

    /// Makes a file whose size is its own longer, up to `end` or a part of the way.
    pub(super) fn zeroes(&mut self, node: NodeId, open: OpenId, end: u64) -> Result<u16, Errno> {
        let pending = |r: &Request| r.kind == RequestKind::Zeroes && r.node == node;
        if let Some(tag) = self.requests.iter().position(pending) {
            return Ok(tag as u16);
        }
        let zeroes = [0; JOB_FAR / 2];
        let &mut Node { attr: Attr { size, .. }, cut, .. } = self.tree.node(node);
        let Open { ffid: fid, access: 1.., .. } = *self.tree.open(open) else { return Err(Errno::EINVAL) };
        if cut == u64::MAX || fid == 0 {
            return Err(Errno::EIO);
        }
        // Behind what was cut off the far side finds zeroes itself.
        let offset = if size < cut { size } else { end - 1 };
        let end = if size < cut { end.min(cut) } else { end };
        let count = (end - offset).min(zeroes.len() as u64);
        let request = Request { node, offset, ..Request::default() };
        self.tree.node(node).pins += 1;
        Ok(self.send(RequestKind::Zeroes, &Twrite { fid, offset, data: Data(&zeroes[..count as usize]) }, request))
    }

    fn run_create(&mut self, j: usize, cache: &mut Cache<'_>) {
        let job = *self.job(j);
        let parent = self.tree.view(job.node);
        let name = <&[u8]>::read(&mut job.names());
        if job.created {
            return self.created(j, cache);
        }
        if parent.qid.kind & qt::DIR == 0 {
            return self.fail(j, Errno::ENOTDIR, cache);
        }
        if parent.gone {
            return self.fail(j, Errno::ENOENT, cache);
        }
        // The far side would open what somebody else has made meanwhile.
        let known = self.tree.find(job.node, Hash::of(name)).filter(|&id| self.tree.node(id).asked.seq >= job.seq);
        match known.map(|id| self.tree.node(id).absent) {
            Some(true) => {}
            Some(false) if job.flags & open::EXCL != 0 => return self.fail(j, Errno::EEXIST, cache),
            // The kernel looks again, and opens it.
            Some(false) => return self.fail(j, Errno::ESTALE, cache),
            None => {
                self.ask_name(j, job.node, name, cache);
                if self.job(j).kind == JobKind::None {
                    return;
                }
            }
        }
        if job.ffid == 0 {
            let newfid = self.new_ffid();
            let Some(fid) = self.any_fid(job.node, 0) else { return self.fail(j, Errno::ESTALE, cache) };
            let clone = Twalk { fid, newfid, wname: Vec::new() };
            let tag = self.send(RequestKind::Create, &clone, Request { job: j as u32, ..Request::default() });
            self.job(j).ffid = newfid;
            self.wait_for(j, tag);
        }
        if self.job(j).wait != [0; 2] {
            return;
        }
        let gid = self.owner.far_gid(job.gid, !0).unwrap_or(job.gid);
        let flags = job.flags & (3 | SYNC | open::EXCL);
        self.job(j).hashes[0] = Hash::of(name);
        let create = Tlcreate { fid: job.ffid, name, flags, mode: job.mode, gid };
        let request = Request { job: j as u32, node: job.node, name: Hash::of(name), ..Request::default() };
        let tag = self.send(RequestKind::Create, &create, request);
        self.stale(job.node);
        self.wait_for(j, tag);
    }

    /// The far side has created the file, and its attributes are known.
    fn created(&mut self, j: usize, cache: &mut Cache<'_>) {
        let job = *self.job(j);
        let name = <&[u8]>::read(&mut job.names());
        let node = self.tree.find(job.node, Hash::of(name)).filter(|&id| !self.tree.node(id).absent);
        let Some(node) = node else { return self.fail(j, Errno::ENOENT, cache) };
        let Some(opened) = self.new_open(node, job.flags & 3) else { return self.fail(j, Errno::ENFILE, cache) };
        self.tree.open(opened).ffid = job.ffid;
        self.job(j).ffid = 0;
        self.bind(job.fid, node, opened, cache);
        let reply = Rlcreate { qid: self.qid_of(node), iounit: 0 };
        self.to_kernel.message(job.tag, &reply);
        self.finish(j, cache);
    }

    /// Of a directory: its own fid, if it is not open. Otherwise another is asked for.
    pub(super) fn closed_fid(&mut self, node: NodeId) -> Result<Option<u32>, Errno> {
        let n = self.tree.view(node);
        if n.ffid != 0 && !n.dir_open {
            return Ok(Some(n.ffid));
        }
        self.clone_fid(node).ok_or(Errno::ESTALE).map(|_| None)
    }

    /// Before a name goes, the far side must have opened what the kernel has open under it. False: not yet.
    pub(super) fn keep_open(&mut self, parent: NodeId, name: &[u8]) -> Result<bool, Errno> {
        let Some(node) = self.tree.find(parent, Hash::of(name)) else { return Ok(true) };
        let opens = self.tree.opens_of(self.tree.nodes[node as usize].opens);
        let lazy = opens.into_iter().find(|&o| {
            let o = &self.tree.opens[o as usize];
            o.refs > 0 && o.ffid == 0 && !o.refused && self.tree.nodes[node as usize].qid.kind & qt::DIR == 0
        });
        let Some(lazy) = lazy else {
            let opening = self
                .tree
                .opens_of(self.tree.nodes[node as usize].opens)
                .any(|o| self.tree.opens[o as usize].opening != 0);
            return Ok(!opening);
        };
        if self.tree.open(lazy).opening != 0 {
            return Ok(false);
        }
        let ffid = core::mem::take(&mut self.tree.node(node).ffid);
        if ffid == 0 {
            return self.clone_fid(node).ok_or(Errno::ESTALE).map(|_| false);
        }
        let request = Request { node, open: lazy, ffid, ..Request::default() };
        let tag = self.send(RequestKind::Open, &Tlopen { fid: ffid, flags: open::RDONLY }, request);
        self.tree.open(lazy).opening = tag;
        self.tree.node(node).pins += 1;
        Ok(false)
    }

    /// What was known of a file's attributes does not hold any more.
    pub(super) fn stale(&mut self, node: NodeId) {
        let seq = self.next_moment().seq;
        let n = self.tree.node(node);
        (n.asked, n.changed) = (Moment::default(), seq);
        let (linked, gone, file) = (n.linked, n.gone, n.qid.path);
        if linked {
            self.linked = seq;
        }
        if linked && gone {
            // Names that were found after this one went do not know that there was another.
            for other in self.tree.nodes.iter_mut().filter(|n| n.used && n.qid.path == file) {
                (other.asked, other.changed) = (Moment::default(), seq);
            }
        }
    }

    /// The session changes a file: nobody is to see what it was, whatever its times will say.
    pub(super) fn change_begins(&mut self, node: NodeId, cache: &mut Cache<'_>) {
        self.stale(node);
        self.tree.node(node).changing += 1;
        self.forget_content(node, cache);
    }

    pub(super) fn change_ends(&mut self, node: NodeId, cache: &mut Cache<'_>) {
        self.stale(node);
        self.tree.node(node).changing -= 1;
        self.forget_content(node, cache);
    }

    fn forget_content(&mut self, node: NodeId, cache: &mut Cache<'_>) {
        if let Some(at) = cache.find(self.tree.node(node).key) {
            cache.forget(at);
        }
    }

    /// A name in a job's directories changes: neither the name nor the directory is what it was.
    pub(super) fn names_change(&mut self, j: usize, cache: &mut Cache<'_>) {
        let Job { node, other, hashes, .. } = *self.job(j);
        for (directory, name) in [(node, hashes[0]), (other, hashes[1])] {
            if directory == 0 {
                continue;
            }
            self.stale(directory);
            self.forget_content(directory, cache);
            // A second change may leave the directory's times as the first has made them.
            if let Some(at) = cache.find(absence(self.tree.node(directory).key, name)) {
                cache.forget(at);
            }
            if let Some(child) = self.tree.find(directory, name) {
                self.stale(child);
            }
        }
    }
}

/// O_DSYNC and O_SYNC, which are the same numbers on every machine that the client may run on.
const SYNC: u32 = open::DSYNC | open::SYNC;

/// The file's size says what reading it gives: so not a file of /proc, whose size is 0, nor of /sys, which has no blocks.
fn is_kept(node: &Node) -> bool {
    let regular = node.attr.mode & mode::FORMAT == mode::REGULAR;
    regular && node.attr.size > 0 && node.attr.blocks > 0 && node.changing == 0
}

/// Whether a directory with this key is known not to have a name: from its listing, or because it was asked for.
fn is_absent(cache: &mut Cache<'_>, directory: Hash, name: &[u8]) -> bool {
    let listed = cache.find(directory).and_then(|listing| is_listed(cache, listing, name));
    listed.map_or_else(|| cache.find(absence(directory, Hash::of(name))).is_some(), |listed| !listed)
}

/// The key of a content that stands for nothing but the absence of a name in a directory.
pub(super) fn absence(directory: Hash, name: Hash) -> Hash {
    Hash::of_words(&[directory.0, directory.1, name.0, name.1])
}

/// Whether a complete listing has a name; None when it is not complete.
fn is_listed(cache: &mut Cache<'_>, listing: ContentRef, name: &[u8]) -> Option<bool> {
    let end = cache.get(listing)?.listing()?;
    let mut at = 0;
    let mut entry = [0; ENTRY];
    while at < end {
        if !cache.copy(listing, at, &mut entry[..HEAD]) {
            return None;
        }
        let n = usize::from(u16::from_le_bytes([entry[HEAD - 2], entry[HEAD - 1]]));
        if n == name.len() {
            let room = entry.get_mut(..n)?;
            if !cache.copy(listing, at + HEAD as u64, room) {
                return None;
            }
            if room == name {
                return Some(true);
            }
        }
        at += (HEAD + n) as u64;
    }
    Some(false)
}

/// The head of an Rread with so many bytes.
pub(super) fn read_head(tag: u16, count: u32, out: &mut [u8]) -> bool {
    data_head(Type::Rread, tag, count, out)
}

pub(super) fn readdir_head(tag: u16, count: u32, out: &mut [u8]) -> bool {
    data_head(Type::Rreaddir, tag, count, out)
}

fn data_head(kind: Type, tag: u16, count: u32, out: &mut [u8]) -> bool {
    let mut writer = Writer::new(out);
    let header = crate::msg::Header { size: 11 + count, kind: kind as u8, tag };
    header.write(&mut writer);
    count.write(&mut writer);
    writer.written().is_ok()
}

const _: () = {
    // What the heads above are.
    assert!(<Rread<'_> as Wire<'_>>::LEAST == 4 && <Rreaddir<'_> as Wire<'_>>::LEAST == 4);
    assert!(<Data<'_> as Wire<'_>>::LEAST == 4);
};
