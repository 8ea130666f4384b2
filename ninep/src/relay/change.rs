//! Changes that the session makes: new files, files without a name, and what is not known any more after each.

use heapless::Vec;

use super::cache::Cache;
use super::far::{Request, RequestKind};
use super::hash::Hash;
use super::kernel::set;
use super::run::{Job, JobKind, Known, SYNC, absence, mode};
use super::tree::{Moment, Node, NodeId, Open, OpenId};
use super::{JOB_FAR, Relay};
use crate::errno::Errno;
use crate::msg::{Rfsync, Rlcreate, Rmkdir, Rsetattr, Tfsync, Tlcreate, Tlopen, Tsetattr, Twalk, Twrite, Type};
use crate::types::{Attr, Qid, open, qt};
use crate::wire::{Data, Wire};

impl Relay<'_> {
    pub(super) fn run_own(&mut self, j: usize, cache: &mut Cache<'_>) {
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

    /// The stock server has one number for whatever is wrong with a change of size (`fmt.Errorf` of no error). Who has
    /// the file open and wants it so large that it may be too large hears why its last byte cannot be written; or it can.
    pub(super) fn grow_by_writing(&mut self, j: usize, errno: Errno, cache: &mut Cache<'_>) -> bool {
        /// The least size that some file system's files cannot have (vfat's, 2 to the 32).
        const LARGE: u64 = 1 << 32;
        let Job { kind, node, open, flags, offset: size, count, .. } = *self.job(j);
        let Open { ffid: fid, access, .. } = *self.tree.open(open);
        let grows = size >= LARGE && size > self.tree.node(node).attr.size;
        let truncates = kind == JobKind::Forward(Type::Tsetattr) && flags & set::SIZE != 0 && count == 0;
        if errno != Errno::EIO || !truncates || !grows || access == 0 || fid == 0 {
            return false;
        }
        self.job(j).count = 1;
        self.change_begins(node, cache);
        let tag = self.send_for(j, 0, &Twrite { fid, offset: size - 1, data: Data(&[0]) });
        self.wait_for(j, tag);
        true
    }

    pub(super) fn run_sync(&mut self, j: usize, cache: &mut Cache<'_>) {
        let Job { node, open, tag, tries, flags: datasync, .. } = *self.job(j);
        let n = self.tree.view(node);
        let fid = if n.dir_open { n.ffid } else { self.tree.open(open).ffid };
        if fid == 0
            && n.qid.kind & qt::DIR != 0
            && n.changed != 0
            && tries == 0
            && let Some(opening) = self.ask_listing(node, cache)
        {
            // Names were changed by way of a fid that is not open. They are not read.
            self.followed -= usize::from(core::mem::take(&mut self.requests[usize::from(opening)].followed));
            (self.job(j).tries, self.job(j).patient) = (1, true);
            return self.wait_for(j, opening);
        }
        if fid == 0 && n.qid.kind & qt::DIR == 0 && !n.gone {
            // All of it was in the cache when it was opened; what others have written to it is meant, too.
            self.opened_fid(j, open, cache);
            return;
        }
        if fid == 0 {
            // No name was changed, or what has none cannot be opened any more.
            self.to_kernel.message(tag, &Rfsync {});
            return self.finish(j, cache);
        }
        self.job(j).kind = JobKind::Forward(Type::Tfsync);
        let sent = self.send_for(j, 0, &Tfsync { fid, datasync });
        self.wait_for(j, sent);
    }

    pub(super) fn run_create(&mut self, j: usize, cache: &mut Cache<'_>) {
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
        let Some(node) = node else { return self.fail(j, Errno::ENFILE, cache) };
        if self.give(j, node, cache) || self.restore_mode(j, node, job.ffid, cache) {
            return;
        }
        let Some(opened) = self.new_open(node, job.flags & 3) else { return self.fail(j, Errno::ENFILE, cache) };
        let o = self.tree.open(opened);
        (o.ffid, o.appends) = (job.ffid, job.flags & 3 != open::RDONLY && job.flags & open::APPEND != 0);
        self.job(j).ffid = 0;
        self.bind(job.fid, node, opened, cache);
        let reply = Rlcreate { qid: self.qid_of(node), iounit: 0 };
        self.to_kernel.message(job.tag, &reply);
        self.finish(j, cache);
    }

    pub(super) fn run_made(&mut self, j: usize, cache: &mut Cache<'_>) {
        let job = *self.job(j);
        let name = <&[u8]>::read(&mut job.names());
        match self.look_up(job.node, name, job.seq, cache) {
            Ok(Known::Nothing) => return self.ask_name(j, job.node, name, cache),
            Ok(Known::Child(made)) => {
                self.tree.node(made).own |= set::EMPTY;
                let fid = self.tree.node(made).ffid;
                if fid != 0 && (self.give(j, made, cache) || self.restore_mode(j, made, fid, cache)) {
                    return;
                }
            }
            _ => {}
        }
        self.to_kernel.message(job.tag, &Rmkdir { qid: Qid::default() });
        self.finish(j, cache);
    }

    /// Asks for permissions that were not given, once. Those that a umask of 022 takes away tell that the program has set
    /// its own, which at home would have been the only one; without them the client's own holds, too. The stock server
    /// leaves out the sticky bit. What has inherited setgid would lose it.
    fn restore_mode(&mut self, j: usize, node: NodeId, fid: u32, cache: &mut Cache<'_>) -> bool {
        let Job { mode, tries, .. } = *self.job(j);
        let now = self.tree.node(node).attr.mode;
        let mode = now | mode & if mode & 0o022 == 0 { 0o1000 } else { !mode::FORMAT };
        if tries > 0 || mode == now || self.drops(now) {
            return false;
        }
        self.job(j).tries = 1;
        self.change_begins(node, cache);
        self.tree.node(node).pins += 1;
        let setattr = Tsetattr { fid, valid: set::MODE, mode, ..Tsetattr::default() };
        let tag = self.send(RequestKind::Mode, &setattr, Request { node, ..Request::default() });
        self.wait_for(j, tag);
        true
    }

    /// Of a directory: its own fid, if it is not open. Otherwise another is asked for.
    pub(super) fn closed_fid(&mut self, node: NodeId) -> Result<Option<u32>, Errno> {
        let n = self.tree.view(node);
        if self.requests.iter().any(|r| r.kind == RequestKind::OpenDirectory && r.node == node) {
            return Ok(None);
        }
        if n.ffid != 0 && !n.dir_open {
            return Ok(Some(n.ffid));
        }
        self.clone_fid(node).ok_or(Errno::ESTALE).map(|_| None)
    }

    /// Whether a file's name stood for it a moment ago. False: that has been asked.
    pub(super) fn is_named(&mut self, node: NodeId) -> bool {
        const MOMENT_MS: u64 = 1000;
        let n = self.tree.view(node);
        let lately = n.named != 0 && self.now_ms.saturating_sub(n.named) < MOMENT_MS;
        if n.gone || n.dir_open || lately {
            return true;
        }
        if n.ffid == 0 {
            // What cannot be asked is left to the far side.
            return self.clone_fid(node).is_none() && self.opening(node).is_none();
        }
        self.send_getattr(node, n.ffid);
        false
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
            return Ok(!opening && self.keep_appenders(node));
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

    /// Also what was read by way of another name.
    pub(super) fn forget_content(&mut self, node: NodeId, cache: &mut Cache<'_>) {
        let n = self.tree.view(node);
        let nodes = if n.linked { &self.tree.nodes[..] } else { &[] };
        let others = nodes.iter().filter(|other| other.qid.path == n.qid.path);
        for key in others.map(|other| other.key).chain([n.key]) {
            if let Some(at) = cache.find(key) {
                cache.forget(at);
            }
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
            self.tree.node(directory).own &= !set::EMPTY;
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
