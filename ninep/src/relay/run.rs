//! Jobs: what the kernel waits for. Each runs from its start whenever something it waits for is known.

use heapless::Vec;

use super::append::End;
use super::cache::{Cache, ContentRef};
use super::far::{Ahead, Request, RequestKind};
use super::hash::Hash;
use super::listing::{ENTRY, HEAD};
use super::owner::shown_qid;
use super::read::is_kept;
use super::tree::{Moment, Node, NodeId, Open, OpenId};
use super::{JOB_FAR, Relay};
use crate::errno::Errno;
use crate::limits::{NOFID, NOTAG};
use crate::msg::{
    Rattach, Rflush, Rgetattr, Rlopen, Rreadlink, Rwalk, Tattach, Tgetattr, Tlopen, Treadlink, Twalk, Twalkgetattr,
    Type,
};
use crate::types::{Attr, Qid, getattr, open, qt};
use crate::wire::Wire;

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
    /// The user that asks, and the group of what he makes.
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Tags of the requests it waits for; 0: none.
    pub(super) wait: [u16; 2],
    /// What one of them failed with.
    pub(super) error: u32,
    /// What it waits for may fail.
    pub(super) patient: bool,
    /// It waits until the kernel has taken replies, or for what no tag stands for.
    pub(super) stalled: bool,
    /// It waits for the far side, or has.
    pub(super) waited: bool,
    /// How often it has asked for data.
    pub(super) tries: u8,
    /// The far fid of a file that is being created; what becomes of it when it fails.
    pub(super) ffid: u32,
    /// It has been created, and its attributes are known.
    pub(super) created: bool,
    /// How many directories were asked about, to give away what has been made.
    pub(super) asked: u8,
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
    /// A directory has been made; whether as it was to be is looked at.
    Made,
    /// Its names are bytes that go to the end of a file.
    Append,
    /// What was changed is to be on the client's disk.
    Sync,
    /// Permissions of a file that has bits which the far side would drop, or is to have.
    Chmod,
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
            uid: 0,
            gid: 0,
            wait: [0; 2],
            error: 0,
            patient: false,
            stalled: false,
            waited: false,
            tries: 0,
            ffid: 0,
            created: false,
            asked: 0,
            flush: 0,
            other: 0,
            hashes: [Hash::default(); 2],
            names_end: 0,
            names: [0; NAMES],
        }
    }
}

/// What is known of a name.
pub(super) enum Known {
    Child(NodeId),
    Absent,
    Nothing,
}

/// File types of st_mode (inode(7)).
pub(super) mod mode {
    pub const FORMAT: u32 = 0o170_000;
    pub const REGULAR: u32 = 0o100_000;
    pub const DIRECTORY: u32 = 0o040_000;
}

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
            JobKind::Made => self.run_made(j, cache),
            JobKind::Append => self.run_append(j, cache),
            JobKind::Sync => self.run_sync(j, cache),
            JobKind::Own => self.run_own(j, cache),
            JobKind::Chmod => self.run_chmod(j, cache),
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
        if job.kind == JobKind::Append {
            // Who appends next asks anew.
            self.tree.open(job.open).end = End::Unknown;
        }
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
                let unused = n.qid.kind & qt::DIR != 0 || n.gone || (o.access != 0 && (n.pins == 0 || n.ffid != 0));
                // An answer that is under way would find somebody else in its place.
                tree.open(open).appends = false;
                if unused && o.opening == 0 {
                    tree.drop_open(open, clunks);
                }
                if o.appends {
                    tree.drop_appenders(node, clunks);
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

    /// What is used shortly before it is too old is asked for again before somebody has to wait for it.
    fn is_ageing(&self, node: &Node) -> bool {
        let age = self.now_ms.saturating_sub(node.asked.ms);
        let ageing = !node.absent && node.asked.ms != 0 && self.freshness_ms > 0 && age > self.freshness_ms * 3 / 4;
        ageing && self.has_far_room(JOB_FAR)
    }

    pub(super) fn fresh(&mut self, id: NodeId, seq: u64) -> bool {
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
    pub(super) fn ask_attributes(&mut self, j: usize, node: NodeId, open: OpenId, cache: &mut Cache<'_>) {
        match self.any_fid(node, open) {
            Some(fid) => self.ask_attributes_by(j, node, fid),
            None if self.wait_for_opening(j, node) => {}
            None => self.fail(j, Errno::ESTALE, cache),
        }
    }

    /// A file's only fid may be about to be opened: a job that needs none waits for that. False when it is not.
    fn wait_for_opening(&mut self, j: usize, node: NodeId) -> bool {
        let opening = self.opening(node);
        if let Some(tag) = opening {
            self.job(j).patient = true;
            self.wait_for(j, tag);
        }
        opening.is_some()
    }

    /// The request that opens a file.
    pub(super) fn opening(&self, node: NodeId) -> Option<u16> {
        let opens = self.tree.opens_of(self.tree.nodes[node as usize].opens);
        opens.map(|o| self.tree.opens[o as usize].opening).find(|&tag| tag != 0)
    }

    pub(super) fn wait_for(&mut self, j: usize, tag: u16) {
        let job = self.job(j);
        let free = usize::from(job.wait[0] != 0);
        job.wait[free] = tag;
        let first = !core::mem::replace(&mut job.waited, true);
        self.counters.waited += u64::from(first);
    }

    fn run_attach(&mut self, j: usize, cache: &mut Cache<'_>) {
        let Job { newfid, tag, uid, .. } = *self.job(j);
        if self.root == 0 {
            let pending = self.requests.iter().position(|r| r.kind == RequestKind::Attach);
            let tag = pending.map(|tag| tag as u16).unwrap_or_else(|| {
                let fid = self.new_ffid();
                let attach = Tattach { fid, afid: NOFID, uname: b"", aname: b"", n_uname: 0 };
                self.send(RequestKind::Attach, &attach, Request { ffid: fid, ..Request::default() })
            });
            return self.wait_for(j, tag);
        }
        self.bind(newfid, self.root, 0, cache);
        self.tree.fids[newfid as usize].uid = uid;
        let reply = Rattach { qid: self.qid_of(self.root) };
        self.to_kernel.message(tag, &reply);
        self.finish(j, cache);
    }

    /// The root is there: what a session asks first is asked at once.
    pub(super) fn root_known(&mut self) {
        for name in core::mem::take(&mut self.names).split(|&b| b == b'/').filter(|name| !name.is_empty()) {
            if self.freshness_ms > 0 && self.has_far_room(JOB_FAR) {
                self.send_name(self.root, name, Ahead::No);
            }
        }
        self.ask_devices();
    }

    pub(super) fn qid_of(&mut self, id: NodeId) -> Qid {
        let node = self.tree.view(id);
        let qid = shown_qid(&node.qid, node.device, node.key);
        // The kernel keeps pages of what has a version: not when nothing is to be answered from memory, nor when the
        // attributes do not tell about the content.
        let regular = node.attr.mode & mode::FORMAT == mode::REGULAR;
        let telling = node.attr.size == 0 || node.attr.blocks > 0;
        if regular && !(telling && self.freshness_ms > 0) { Qid { version: 0, ..qid } } else { qid }
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
                    let Node { parent: above, name: called, .. } = self.tree.view(node);
                    if self.tree.node(child).qid.kind & qt::DIR == 0 {
                        self.habit.note(node, above, called, name);
                    } else {
                        let new = (self.tree.node(child).children == 0).then_some(child);
                        self.habit.enter(node, name, new);
                    }
                    node = child;
                    let _ = wqid.push(self.qid_of(child));
                }
                Ok(Known::Absent) => return self.fail(j, Errno::ENOENT, cache),
                Ok(Known::Nothing) => return self.ask_name(j, node, name, cache),
                Err(errno) => return self.fail(j, errno, cache),
            }
        }
        self.bind(job.newfid, node, 0, cache);
        self.tree.fids[job.newfid as usize].uid = job.uid;
        self.to_kernel.message(job.tag, &Rwalk { wqid });
        self.finish(j, cache);
    }

    pub(super) fn look_up(
        &mut self,
        parent: NodeId,
        name: &[u8],
        seq: u64,
        cache: &mut Cache<'_>,
    ) -> Result<Known, Errno> {
        let directory = self.tree.view(parent);
        if directory.qid.kind & qt::DIR == 0 {
            return Err(Errno::ENOTDIR);
        }
        if directory.gone {
            return Ok(Known::Absent);
        }
        if let Some(id) = self.tree.find(parent, Hash::of(name)) {
            let node = self.tree.view(id);
            let is_it = node.absent || (!node.nameless && self.any_fid(id, 0).is_some());
            if self.is_fresh(&node, seq) && is_it {
                if self.is_ageing(&node) && self.tree.node(parent).ffid != 0 {
                    self.send_name(parent, name, Ahead::No);
                }
                self.tree.node(id).wanted = true;
                return Ok(if node.absent { Known::Absent } else { Known::Child(id) });
            }
        }
        if self.is_fresh(&directory, seq) && is_absent(cache, directory.key, name) {
            return Ok(Known::Absent);
        }
        Ok(Known::Nothing)
    }

    /// Asks what a name stands for.
    pub(super) fn ask_name(&mut self, j: usize, parent: NodeId, name: &[u8], cache: &mut Cache<'_>) {
        let directory = self.tree.view(parent);
        if self.job(j).kind == JobKind::Walk
            && let Some(child) = self.tree.find(parent, Hash::of(name))
            && self.fresh(child, self.jobs[j].seq)
            && self.wait_for_opening(j, child)
        {
            return;
        }
        // A directory that is as it was answers for all the names that were not in it.
        if self.freshness_ms > 0 && self.job(j).kind == JobKind::Walk && is_absent(cache, directory.key, name) {
            return self.ask_attributes(j, parent, 0, cache);
        }
        if directory.ffid == 0 {
            return self.fail(j, Errno::ESTALE, cache);
        }
        let known = self.tree.find(parent, Hash::of(name)).map(|id| self.tree.node(id).asked);
        let tag = self.send_name(parent, name, Ahead::No);
        self.wait_for(j, tag);
        self.ask_followers(known.unwrap_or_default());
        if self.freshness_ms > 0 && self.google {
            self.ask_ahead(parent, name, cache);
            self.ask_next(parent, name);
        }
    }

    /// Reads a link unless its target is known; one in the root is what the session's own begins with.
    pub(super) fn read_link(&mut self, link: NodeId, cache: &mut Cache<'_>) {
        let n = self.tree.view(link);
        let target = cache.find(n.key).and_then(|at| cache.get(at)).and_then(|c| c.link());
        if let Some(target) = target {
            if n.parent == self.root {
                self.follow_link(link, target);
            }
        } else if n.ffid != 0 && self.freshness_ms > 0 && self.has_far_room(64) && self.reading(link).is_none() {
            self.send_readlink(0, link, n.ffid);
        }
    }

    /// The request that reads a link.
    fn reading(&self, link: NodeId) -> Option<u16> {
        let reads = |r: &Request| r.kind == RequestKind::Readlink && r.node == link;
        self.requests.iter().position(reads).map(|tag| tag as u16)
    }

    fn send_readlink(&mut self, j: usize, node: NodeId, fid: u32) -> u16 {
        let n = self.tree.node(node);
        n.pins += 1;
        let request = Request { job: j as u32, node, key: n.key, ..Request::default() };
        self.send(RequestKind::Readlink, &Treadlink { fid }, request)
    }

    /// Asks what a name stands for, by a fid of the file if there is one.
    pub(super) fn send_name(&mut self, parent: NodeId, name: &[u8], ahead: Ahead) -> u16 {
        let hash = Hash::of(name);
        let pending = |r: &Request| r.kind == RequestKind::Walk && r.node == parent && r.name == hash;
        if let Some(tag) = self.requests.iter().position(pending) {
            return tag as u16;
        }
        if let Some(child) = self.tree.find(parent, hash) {
            let node = self.tree.view(child);
            // The stock server's fids stand for paths, as long as they are not open.
            if self.google && node.ffid != 0 && !node.dir_open && !node.absent && !node.asked.is_overtaken() {
                return self.send_getattr(child, node.ffid);
            }
        }
        let Node { ffid: fid, key, .. } = *self.tree.node(parent);
        let newfid = self.new_ffid();
        let mut wname = Vec::new();
        let _ = wname.push(name);
        let request = Request { node: parent, name: hash, ffid: newfid, key, ahead, ..Request::default() };
        self.tree.node(parent).pins += 1;
        if self.google {
            self.send(RequestKind::Walk, &Twalkgetattr { fid, newfid, wname }, request)
        } else {
            self.send(RequestKind::Walk, &Twalk { fid, newfid, wname }, request)
        }
    }

    fn ask_attributes_by(&mut self, j: usize, node: NodeId, fid: u32) {
        let before = self.tree.node(node).asked;
        let tag = self.send_getattr(node, fid);
        self.wait_for(j, tag);
        self.ask_followers(before);
    }

    /// The tag of the request for a node's attributes.
    pub(super) fn send_getattr(&mut self, node: NodeId, fid: u32) -> u16 {
        let mut tag = self.tree.node(node).asking;
        if tag == 0 {
            let request = Request { node, ffid: fid, ..Request::default() };
            tag = self.send(RequestKind::Getattr, &Tgetattr { fid, request_mask: getattr::BASIC }, request);
            let n = self.tree.node(node);
            (n.asking, n.pins) = (tag, n.pins + 1);
        }
        tag
    }

    fn run_getattr(&mut self, j: usize, cache: &mut Cache<'_>) {
        let Job { node, open, seq, tag, flags: mask, .. } = *self.job(j);
        let n = self.tree.view(node);
        let is_stat = u64::from(mask) & getattr::DATA_VERSION != 0;
        // The mount asks about the root, and does not need to know.
        let is_mount = node == self.root && n.key == Hash::default() && !is_stat;
        if !self.is_fresh(&n, seq) && !is_mount {
            return self.ask_attributes(j, node, open, cache);
        }
        let owned = !self.owner.known && (n.attr.uid != 0 || n.attr.gid != 0);
        if let Some(asking) = self.asking_devices().filter(|_| is_stat || owned) {
            return self.wait_for(j, asking);
        }
        if self.is_ageing(&n)
            && let Some(fid) = self.any_fid(node, open)
        {
            self.send_getattr(node, fid);
        }
        self.tree.node(node).wanted = true;
        let attr = Attr { gen_number: self.device(node).into(), ..self.owner.shown(&n.attr) };
        let reply = Rgetattr { valid: getattr::BASIC | getattr::GEN, qid: self.qid_of(node), attr };
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
        let target = cache.find(n.key).filter(|_| self.freshness_ms > 0);
        if let Some(target) = target.and_then(|at| cache.get(at)).and_then(|c| c.link()) {
            self.to_kernel.message(tag, &Rreadlink { target });
            return self.finish(j, cache);
        }
        let Some(fid) = self.any_fid(node, 0) else { return self.fail(j, Errno::ESTALE, cache) };
        let sent = self.reading(node).unwrap_or_else(|| self.send_readlink(j, node, fid));
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
            let known = cache.listing(n.key).is_some();
            if !n.dir_open && !known {
                return self.open_directory(j, node, cache);
            }
            self.new_open(node, access)
        } else if n.attr.mode & mode::FORMAT == mode::REGULAR {
            let usable = |o: &Open| o.ffid != 0 && o.opening == 0 && is_for(o, flags);
            let shared = self.tree.opens_of(n.opens).find(|&o| usable(&self.tree.opens[o as usize]));
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
        self.tree.open(opened).appends |= access != open::RDONLY && flags & open::APPEND != 0;
        self.bind(fid, node, opened, cache);
        let reply = Rlopen { qid: self.qid_of(node), iounit: 0 };
        self.to_kernel.message(tag, &reply);
        self.finish(j, cache);
    }

    pub(super) fn new_open(&mut self, node: NodeId, access: u32) -> Option<OpenId> {
        let Self { tree, clunks, .. } = self;
        tree.new_open(node, access, clunks)
    }

    /// All of a file is in the cache, and the far side has let the user read it as it is.
    fn is_whole(&self, node: &Node, cache: &mut Cache<'_>) -> bool {
        let Some(at) = cache.find(node.key).filter(|_| is_kept(node) && self.freshness_ms > 0) else { return false };
        let readable = cache.get(at).is_some_and(|content| content.readable);
        readable && cache.available(at, 0, node.attr.size) == node.attr.size
    }

    /// Opens a directory on the far side, where its listing is asked for then.
    pub(super) fn open_directory(&mut self, j: usize, node: NodeId, cache: &mut Cache<'_>) {
        match self.ask_listing(node, cache) {
            Some(tag) => self.wait_for(j, tag),
            None => self.fail(j, Errno::ESTALE, cache),
        }
    }

    /// Opens a file on the far side with the node's own fid, or with a clone of another.
    fn open_file(&mut self, j: usize, node: NodeId, flags: u32, cache: &mut Cache<'_>) {
        let opens = self.tree.opens_of(self.tree.nodes[node as usize].opens);
        let pending = opens.map(|o| &self.tree.opens[o as usize]).find(|o| o.opening != 0 && is_for(o, flags));
        if let Some(tag) = pending.map(|o| o.opening) {
            return self.wait_for(j, tag);
        }
        let Some(ffid) = self.take_fid(j, node, cache) else { return };
        let Some(opened) = self.new_open(node, flags & 3) else {
            self.tree.node(node).ffid = ffid;
            return self.fail(j, Errno::ENFILE, cache);
        };
        let tag = self.send_open(opened, ffid, flags);
        self.wait_for(j, tag);
    }

    /// Opens a file before somebody wants it, unless all of it is here.
    pub(super) fn open_ahead(&mut self, node: NodeId, cache: &mut Cache<'_>) {
        let n = self.tree.view(node);
        if !is_kept(&n) || n.ffid == 0 || n.opens != 0 || self.is_whole(&n, cache) || !self.has_far_room(128) {
            return;
        }
        if let Some(opened) = self.new_open(node, open::RDONLY) {
            self.tree.node(node).ffid = 0;
            self.send_open(opened, n.ffid, open::RDONLY);
        }
    }

    /// The tag of the request.
    pub(super) fn send_open(&mut self, opened: OpenId, fid: u32, flags: u32) -> u16 {
        let Open { node, appender, .. } = *self.tree.open(opened);
        let followed = flags & 3 == open::RDONLY && self.freshness_ms > 0;
        let request = Request { node, open: opened, ffid: fid, followed, ..Request::default() };
        // Flags beyond these mean something else on another machine, or are the kernel's own business.
        let flags = flags & (3 | SYNC) | if appender { open::APPEND } else { 0 };
        let tag = self.send(RequestKind::Open, &Tlopen { fid, flags }, request);
        let o = self.tree.open(opened);
        (o.opening, o.sync) = (tag, flags & SYNC != 0);
        self.tree.node(node).pins += 1;
        tag
    }

    /// The node's own fid, which is not its own any more; None when the job waits for one, or has failed.
    fn take_fid(&mut self, j: usize, node: NodeId, cache: &mut Cache<'_>) -> Option<u32> {
        match core::mem::take(&mut self.tree.node(node).ffid) {
            0 => {
                match self.clone_fid(node) {
                    Some(tag) => self.wait_for(j, tag),
                    None if self.wait_for_opening(j, node) => {}
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
    pub(super) fn opened_fid(&mut self, j: usize, opened: OpenId, cache: &mut Cache<'_>) -> Option<u32> {
        let o = *self.tree.open(opened);
        if o.opening != 0 {
            self.wait_for(j, o.opening);
            return None;
        }
        if o.ffid == 0 {
            let ffid = self.take_fid(j, o.node, cache)?;
            let tag = self.send_open(opened, ffid, open::RDONLY);
            self.wait_for(j, tag);
            return None;
        }
        Some(o.ffid)
    }
}

/// Whether open(2) with these flags may share it.
const fn is_for(o: &Open, flags: u32) -> bool {
    !o.appender && o.access == flags & 3 && o.sync == (flags & SYNC != 0)
}

/// O_DSYNC and O_SYNC, which are the same numbers on every machine that the client may run on.
pub(super) const SYNC: u32 = open::DSYNC | open::SYNC;

/// Whether a directory with this key is known not to have a name: from its listing, or because it was asked for.
fn is_absent(cache: &mut Cache<'_>, directory: Hash, name: &[u8]) -> bool {
    is_listed(cache, directory, name)
        .map_or_else(|| cache.find(absence(directory, Hash::of(name))).is_some(), |listed| !listed)
}

/// The key of a content that stands for nothing but the absence of a name in a directory.
pub(super) fn absence(directory: Hash, name: Hash) -> Hash {
    Hash::of_words(&[directory.0, directory.1, name.0, name.1])
}

/// Whether the listing of a directory with this key has a name; None when it is not complete.
fn is_listed(cache: &mut Cache<'_>, directory: Hash, name: &[u8]) -> Option<bool> {
    let (listing, end) = cache.listing(directory)?;
    let mut at = 0;
    let mut entry = [0; ENTRY];
    while at < end {
        let n = read_entry(cache, listing, at, &mut entry)?;
        if &entry[HEAD..HEAD + n] == name {
            return Some(true);
        }
        at += (HEAD + n) as u64;
    }
    Some(false)
}

/// The entry at an offset of a listing; the length of its name. None when it is not here any more.
pub(super) fn read_entry(
    cache: &mut Cache<'_>,
    listing: ContentRef,
    at: u64,
    entry: &mut [u8; ENTRY],
) -> Option<usize> {
    if !cache.copy(listing, at, &mut entry[..HEAD]) {
        return None;
    }
    let n = usize::from(u16::from_le_bytes([entry[HEAD - 2], entry[HEAD - 1]]));
    cache.copy(listing, at + HEAD as u64, entry.get_mut(HEAD..HEAD + n)?).then_some(n)
}
