//! What the kernel asks: frames become jobs.

use super::append;
use super::cache::Cache;
use super::far::{Request, RequestKind};
use super::hash::Hash;
use super::run::{Job, JobKind, NAMES};
use super::tree::{Fid, Node, NodeId, OpenId};
use super::{FAR_MSIZE, JOB_FAR, JOB_KERNEL, Relay, State};
use crate::errno::Errno;
use crate::frame::{Fault, FrameError, Sender};
use crate::limits::{HDRSZ, MSIZE_MIN, NONUNAME, NOTAG};
use crate::msg::{
    DecodeError, Header, Message, Rclunk, Rflush, Rgetlock, Rlock, Rstatfs, Tlcreate, Tlink, Tmkdir, Tmknod, Trenameat,
    Tsetattr, Tstatfs, Tsymlink, Tunlinkat, Tversion, Twrite, Type, VERSION,
};
use crate::types::qt;
use crate::wire::{Data, Reader, Wire, Writer};

/// Whether a frame was taken.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Taken {
    Yes,
    /// Something must be known or there must be room first; the frame stays where it is.
    Later,
}

/// What keeps a request from being a job: the answer is an error.
type Refused = Errno;

/// `valid` of Tsetattr (`P9_ATTR_*`).
pub(super) mod set {
    pub const MODE: u32 = 1 << 0;
    pub const UID: u32 = 1 << 1;
    pub const GID: u32 = 1 << 2;
    pub const SIZE: u32 = 1 << 3;
    pub const ATIME: u32 = 1 << 4;
    pub const MTIME: u32 = 1 << 5;
    pub const CTIME: u32 = 1 << 6;
    /// The time that is given; without it, now.
    pub const ATIME_SET: u32 = 1 << 7;
    pub const MTIME_SET: u32 = 1 << 8;
    /// Of no message: a directory that the session has made, with nothing in it yet.
    pub const EMPTY: u32 = 1 << 31;
}

/// Of Tlock and Tgetlock (F_UNLCK).
const UNLOCKED: u8 = 2;

impl Relay<'_> {
    pub(super) fn take_kernel(&mut self, cache: &mut Cache<'_>) -> Result<(), FrameError> {
        let memory = core::mem::take(&mut self.from_kernel);
        let (mut start, end) = (0, self.from_kernel_end);
        let mut result = Ok(());
        while let Some(frame) = next_frame(&memory[start..end]) {
            match frame {
                Ok(frame) => match self.take_frame(frame, cache) {
                    Ok(Taken::Yes) => start += frame.len(),
                    Ok(Taken::Later) => break,
                    Err(fault) => {
                        result = Err(error(frame, fault));
                        break;
                    }
                },
                Err(fault) => {
                    result = Err(error(&memory[start..end], fault));
                    break;
                }
            }
        }
        if result.is_ok() && start == 0 && end == memory.len() && next_frame(&memory[..end]).is_none() {
            result = Err(error(&memory[..end], Fault::AboveMsize { msize: memory.len() as u32 }));
        }
        memory.copy_within(start..end, 0);
        self.from_kernel_end = end - start;
        self.from_kernel = memory;
        result
    }

    fn take_frame(&mut self, frame: &[u8], cache: &mut Cache<'_>) -> Result<Taken, Fault> {
        let Header { kind, tag, .. } = Header::read(&mut Reader::new(frame));
        let message = match Type::from_number(kind) {
            _ if Type::is_of_9p2000(kind) => None,
            Some(kind) if !kind.is_request() => return Err(Fault::WrongWay),
            _ => Some(decode(frame)?),
        };
        if let Some(Message::Tversion(version)) = message {
            return self.version(tag, &version);
        }
        match self.state {
            State::Silent | State::Version { .. } => return Err(Fault::BeforeVersion),
            State::Open | State::Gone => {}
        }
        if frame.len() > self.msize as usize {
            return Err(Fault::AboveMsize { msize: self.msize });
        }
        if tag == NOTAG {
            return Err(Fault::Tag);
        }
        let jobs = self.jobs.len();
        let has_room = self.to_far.room() >= frame.len() + (jobs + 1) * JOB_FAR
            && self.to_kernel.room() >= (jobs + 1) * JOB_KERNEL
            && self.requests.len() > self.busy_requests + 2 * jobs;
        let Some(job) = (1..jobs).find(|&j| self.job(j).kind == JobKind::None).filter(|_| has_room) else {
            return Ok(Taken::Later);
        };
        if self.jobs.iter().any(|j| j.kind != JobKind::None && j.tag == tag) {
            return Err(Fault::TagInUse);
        }
        let is_gone = self.state == State::Gone;
        let taken = match message {
            Some(message) if !is_gone || matches!(message, Message::Tclunk(_) | Message::Tflush(_)) => {
                self.request(job, tag, &message, cache)?
            }
            _ => Err(if is_gone { Errno::EIO } else { Errno::EOPNOTSUPP }),
        };
        let taken = match taken {
            Ok(taken) => taken,
            Err(errno) => {
                self.error(tag, errno);
                Taken::Yes
            }
        };
        self.counters.asked += u64::from(taken == Taken::Yes);
        Ok(taken)
    }

    fn version(&mut self, tag: u16, asked: &Tversion<'_>) -> Result<Taken, Fault> {
        if self.state != State::Silent {
            return Err(Fault::SecondVersion);
        }
        if tag != NOTAG {
            return Err(Fault::Tag);
        }
        if asked.version != VERSION {
            return Err(Fault::Version);
        }
        if asked.msize < MSIZE_MIN {
            return Err(Fault::Msize { msize: asked.msize });
        }
        self.msize = asked.msize.min(self.msize_limit);
        self.ask_version(true);
        Ok(Taken::Yes)
    }

    pub(super) fn ask_version(&mut self, google: bool) {
        self.state = State::Version { google };
        let version: &[u8] = if google { b"9P2000.L.Google.2" } else { VERSION };
        self.send(RequestKind::Version, &Tversion { msize: FAR_MSIZE, version }, Request::default());
    }

    /// Turns a request into a job, or answers it at once.
    fn request(
        &mut self,
        j: usize,
        tag: u16,
        message: &Message<'_>,
        cache: &mut Cache<'_>,
    ) -> Result<Result<Taken, Refused>, Fault> {
        let mut new = Job { tag, ..Job::default() };
        let job = &mut new;
        let begun = match message {
            Message::Tflush(flush) => return Ok(self.flush(tag, flush.oldtag, cache)),
            Message::Tclunk(clunk) => {
                let unknown = self.fid(clunk.fid).is_err();
                self.clunk(clunk.fid, cache);
                if unknown {
                    return Ok(Err(Errno::EBADF));
                }
                self.to_kernel.message(tag, &Rclunk {});
                return Ok(Ok(Taken::Yes));
            }
            Message::Tattach(attach) => {
                let uid = if attach.n_uname == NONUNAME { 0 } else { attach.n_uname };
                (job.kind, job.newfid, job.uid) = (JobKind::Attach, attach.fid, uid);
                self.free_fid(attach.fid)
            }
            Message::Twalk(walk) => self.walk(job, walk.fid, walk.newfid, &walk.wname),
            Message::Tgetattr(getattr) => {
                job.flags = getattr.request_mask as u32;
                self.on(job, getattr.fid, JobKind::Getattr)
            }
            Message::Treadlink(readlink) => self.on(job, readlink.fid, JobKind::Readlink),
            Message::Tlopen(lopen) => {
                job.flags = lopen.flags;
                let known = self.on(job, lopen.fid, JobKind::Open);
                if job.open == 0 { known } else { Err(Errno::EINVAL) }
            }
            Message::Tread(read) => self.on_part(job, read.fid, JobKind::Read, read.offset, read.count),
            Message::Treaddir(read) => self.on_part(job, read.fid, JobKind::Readdir, read.offset, read.count),
            Message::Tlcreate(create) => self.create(job, create),
            Message::Tstatfs(Tstatfs { fid }) => {
                let known = self.fid(*fid);
                return Ok(known.map(|fid| {
                    if self.asking_devices().is_some() {
                        return Taken::Later;
                    }
                    self.to_kernel.message(tag, &statfs(self.device(fid.node)));
                    Taken::Yes
                }));
            }
            // The kernel has settled a conflict between its own processes before it asks.
            Message::Tlock(lock) => {
                let known = self.fid(lock.fid);
                return Ok(known.map(|fid| {
                    // What is locked is never stale.
                    if lock.kind != UNLOCKED {
                        let n = self.tree.node(fid.node);
                        n.asked.ms = 0;
                        // Nor is what is being asked about it.
                        let Node { asking, parent, name, .. } = *n;
                        self.requests[usize::from(asking)].moment.ms = 0;
                        let walks = |r: &&mut Request| r.node == parent && r.name == name;
                        self.requests.iter_mut().filter(walks).for_each(|r| r.moment.ms = 0);
                    }
                    self.to_kernel.message(tag, &Rlock { status: 0 });
                    Taken::Yes
                }));
            }
            Message::Tgetlock(lock) => {
                let reply = Rgetlock {
                    kind: UNLOCKED,
                    start: lock.start,
                    length: lock.length,
                    proc_id: lock.proc_id,
                    client_id: lock.client_id,
                };
                return Ok(self.fid(lock.fid).map(|_| {
                    self.to_kernel.message(tag, &reply);
                    Taken::Yes
                }));
            }
            Message::Twrite(_)
            | Message::Tfsync(_)
            | Message::Tsetattr(_)
            | Message::Tmkdir(_)
            | Message::Tsymlink(_)
            | Message::Tmknod(_)
            | Message::Tlink(_)
            | Message::Tunlinkat(_)
            | Message::Trenameat(_) => return Ok(self.forward(j, job, message, cache)),
            // Linux goes another way after these (v9fs_vfs_rename, v9fs_remove), or is told not to ask (noxattr).
            Message::Trename(_) | Message::Txattrwalk(_) | Message::Txattrcreate(_) | Message::Tauth(_) => {
                Err(Errno::EOPNOTSUPP)
            }
            Message::Tremove(remove) => {
                self.clunk(remove.fid, cache);
                Err(Errno::EOPNOTSUPP)
            }
            _ => return Err(Fault::WrongWay),
        };
        Ok(begun.map(|()| {
            self.begin(j, &new);
            self.run(j, cache);
            Taken::Yes
        }))
    }

    fn begin(&mut self, j: usize, job: &Job) {
        self.jobs[j] = *job;
        self.job(j).seq = self.next_moment().seq;
        if job.node != 0 {
            self.tree.node(job.node).pins += 1;
        }
        if job.open != 0 {
            self.tree.open(job.open).refs += 1;
        }
        if job.other != 0 {
            self.tree.node(job.other).pins += 1;
        }
    }

    pub(super) fn fid(&self, fid: u32) -> Result<Fid, Refused> {
        self.tree.fids.get(fid as usize).copied().filter(|f| f.node != 0).ok_or(Errno::EBADF)
    }

    /// The number is one that can be given out now.
    fn free_fid(&self, fid: u32) -> Result<(), Refused> {
        match self.tree.fids.get(fid as usize) {
            None => Err(Errno::ENFILE),
            Some(fid) if fid.node != 0 => Err(Errno::EINVAL),
            Some(_) => Ok(()),
        }
    }

    fn on(&self, job: &mut Job, fid: u32, kind: JobKind) -> Result<(), Refused> {
        let Fid { node, open, uid } = self.fid(fid)?;
        (job.kind, job.fid, job.node, job.open, job.uid) = (kind, fid, node, open, uid);
        Ok(())
    }

    fn on_open(&self, job: &mut Job, fid: u32, kind: JobKind) -> Result<(), Refused> {
        self.on(job, fid, kind)?;
        if job.open == 0 { Err(Errno::EBADF) } else { Ok(()) }
    }

    fn on_part(&self, job: &mut Job, fid: u32, kind: JobKind, offset: u64, count: u32) -> Result<(), Refused> {
        (job.offset, job.count) = (offset, count);
        self.on_open(job, fid, kind)
    }

    fn create(&self, job: &mut Job, create: &Tlcreate<'_>) -> Result<(), Refused> {
        self.on(job, create.fid, JobKind::Create)?;
        (job.flags, job.mode, job.gid) = (create.flags, create.mode, create.gid);
        job.set_names(&[create.name])?;
        match job.open {
            _ if self.drops(create.mode) => Err(Errno::EPERM),
            0 => Ok(()),
            _ => Err(Errno::EINVAL),
        }
    }

    fn walk(&self, job: &mut Job, fid: u32, newfid: u32, names: &[&[u8]]) -> Result<(), Refused> {
        let Fid { node, open, uid } = self.fid(fid)?;
        if newfid != fid {
            self.free_fid(newfid)?;
        } else if open != 0 {
            return Err(Errno::EBUSY);
        }
        (job.kind, job.fid, job.newfid, job.node, job.uid) = (JobKind::Walk, fid, newfid, node, uid);
        job.set_names(names)
    }

    /// Lets a number of the kernel's stand for a file.
    pub(super) fn bind(&mut self, fid: u32, node: NodeId, open: OpenId, cache: &mut Cache<'_>) {
        self.tree.node(node).pins += 1;
        if open != 0 {
            self.tree.open(open).refs += 1;
        }
        let uid = self.tree.fids.get(fid as usize).map_or(0, |slot| slot.uid);
        self.clunk(fid, cache);
        if let Some(slot) = self.tree.fids.get_mut(fid as usize) {
            *slot = Fid { node, open, uid };
        }
    }

    fn clunk(&mut self, fid: u32, cache: &mut Cache<'_>) {
        let Some(slot) = self.tree.fids.get_mut(fid as usize) else { return };
        let Fid { node, open, .. } = core::mem::take(slot);
        if node != 0 {
            self.tree.node(node).pins -= 1;
            self.release(node, open, cache);
        }
    }

    /// flush(5): what can be asked again is forgotten, what changes something is answered first.
    fn flush(&mut self, tag: u16, oldtag: u16, cache: &mut Cache<'_>) -> Result<Taken, Refused> {
        let old = (1..self.jobs.len()).find(|&j| self.job(j).kind != JobKind::None && self.job(j).tag == oldtag);
        if let Some(old) = old {
            if matches!(self.jobs[old].kind, JobKind::Create | JobKind::Made | JobKind::Forward(_)) {
                if self.jobs[old].flush != 0 {
                    return Ok(Taken::Later);
                }
                self.jobs[old].flush = u32::from(tag) + 1;
                return Ok(Taken::Yes);
            }
            self.finish(old, cache);
        }
        self.to_kernel.message(tag, &Rflush {});
        Ok(Taken::Yes)
    }

    /// Requests that change something go to the far side as they are, but for fids and owners.
    fn forward(
        &mut self,
        j: usize,
        job: &mut Job,
        message: &Message<'_>,
        cache: &mut Cache<'_>,
    ) -> Result<Taken, Refused> {
        let directory = |this: &Self, fid: u32| -> Result<NodeId, Refused> {
            let Fid { node, .. } = this.fid(fid)?;
            let node_ = &this.tree.nodes[node as usize];
            if node_.qid.kind & qt::DIR == 0 {
                return Err(Errno::ENOTDIR);
            }
            if node_.gone { Err(Errno::ENOENT) } else { Ok(node) }
        };
        // The far side refuses changes by way of a directory that is open.
        macro_rules! closed {
            ($node:expr) => {
                match self.closed_fid($node)? {
                    Some(ffid) => ffid,
                    None => return Ok(Taken::Later),
                }
            };
        }
        // A file's only fid may be about to be opened.
        macro_rules! fid_of {
            ($node:expr, $open:expr) => {
                match self.any_fid($node, $open) {
                    Some(fid) => fid,
                    None if self.opening($node).is_some() => return Ok(Taken::Later),
                    None => return Err(Errno::ESTALE),
                }
            };
        }
        let tag = match message {
            Message::Twrite(Twrite { fid, offset, data: Data(data) }) => {
                self.on_part(job, *fid, JobKind::Forward(Type::Twrite), *offset, data.len() as u32)?;
                let open = *self.tree.open(job.open);
                if open.access == 0 || open.ffid == 0 {
                    return Err(Errno::EBADF);
                }
                let mut fid = open.ffid;
                if *offset == append::END {
                    match self.end_of(job.node, job.open)? {
                        Some(end) => (fid, job.offset) = end,
                        None if job.keep(data) => {
                            (job.kind, job.stalled) = (JobKind::Append, true);
                            self.begin(j, job);
                            return Ok(Taken::Yes);
                        }
                        // It would hold up the others that the kernel asks for.
                        None => return Ok(Taken::Later),
                    }
                }
                let n = self.tree.node(job.node);
                if n.own & set::SIZE != 0 && n.attr.size < n.cut.min(job.offset) {
                    // What is being written may be where the zeroes would go.
                    if n.changing == 0 {
                        self.zeroes(job.node, job.open, job.offset)?;
                    }
                    return Ok(Taken::Later);
                }
                self.begin(j, job);
                self.change_begins(job.node, cache);
                self.counters.written += data.len() as u64;
                let write = Twrite { fid, offset: job.offset, data: Data(data) };
                self.send_for(j, 0, &write)
            }
            Message::Tfsync(fsync) => {
                self.on_open(job, fsync.fid, JobKind::Sync)?;
                job.flags = fsync.datasync;
                self.begin(j, job);
                self.run(j, cache);
                return Ok(Taken::Yes);
            }
            Message::Tsetattr(setattr) => {
                self.on(job, setattr.fid, JobKind::Forward(Type::Tsetattr))?;
                (job.flags, job.offset) = (setattr.valid, setattr.size);
                if !self.owner.known && self.asking_devices().is_some() {
                    return Ok(Taken::Later);
                }
                let Some(setattr) = self.far_setattr(job.node, setattr) else {
                    self.to_kernel.message(job.tag, &crate::msg::Rsetattr {});
                    return Ok(Taken::Yes);
                };
                let n = self.tree.node(job.node);
                if (n.gone && !n.linked) || n.qid.kind & qt::SYMLINK != 0 {
                    if setattr.valid & (set::UID | set::GID) != 0 {
                        return Err(Errno::EPERM);
                    }
                    (job.kind, job.mode) = (JobKind::Own, setattr.mode);
                    self.begin(j, job);
                    self.run(j, cache);
                    return Ok(Taken::Yes);
                }
                // The far side goes by the name of what is open, too.
                if job.open != 0 && !self.is_named(job.node) {
                    return Ok(Taken::Later);
                }
                if self.is_special(job.node, job.flags, setattr.mode) {
                    (job.kind, job.mode) = (JobKind::Chmod, setattr.mode);
                    self.begin(j, job);
                    self.run(j, cache);
                    return Ok(Taken::Yes);
                }
                let fid = fid_of!(job.node, job.open);
                self.begin(j, job);
                self.change_begins(job.node, cache);
                let setattr = Tsetattr { fid, ..setattr };
                self.send_for(j, 0, &setattr)
            }
            Message::Tmkdir(mkdir) => {
                let node = directory(self, mkdir.dfid)?;
                let dfid = closed!(node);
                (job.mode, job.uid, job.gid) = (mkdir.mode, self.fid(mkdir.dfid)?.uid, mkdir.gid);
                job.set_names(&[mkdir.name])?;
                self.begin_in(j, job, Type::Tmkdir, (node, mkdir.name), None, cache);
                let gid = self.owner.far_gid(mkdir.gid, !0).unwrap_or(mkdir.gid);
                let mkdir = Tmkdir { dfid, gid, ..mkdir.clone() };
                self.send_for(j, 0, &mkdir)
            }
            Message::Tsymlink(symlink) => {
                let node = directory(self, symlink.fid)?;
                let fid = closed!(node);
                self.begin_in(j, job, Type::Tsymlink, (node, symlink.name), None, cache);
                let gid = self.owner.far_gid(symlink.gid, !0).unwrap_or(symlink.gid);
                let symlink = Tsymlink { fid, gid, ..symlink.clone() };
                self.send_for(j, 0, &symlink)
            }
            Message::Tmknod(mknod) => {
                let node = directory(self, mknod.dfid)?;
                let dfid = closed!(node);
                self.begin_in(j, job, Type::Tmknod, (node, mknod.name), None, cache);
                let mknod = Tmknod { dfid, ..mknod.clone() };
                self.send_for(j, 0, &mknod)
            }
            Message::Tlink(link) => {
                let node = directory(self, link.dfid)?;
                let target = self.fid(link.fid)?;
                let dfid = closed!(node);
                let fid = fid_of!(target.node, target.open);
                self.begin_in(j, job, Type::Tlink, (node, link.name), None, cache);
                self.stale(target.node);
                self.linked = self.next_moment().seq;
                let n = self.tree.node(target.node);
                (n.linked, n.pins) = (true, n.pins + 1);
                let link = Tlink { dfid, fid, ..link.clone() };
                self.send_for(j, target.node, &link)
            }
            Message::Tunlinkat(unlink) => {
                let node = directory(self, unlink.dirfid)?;
                let dirfid = closed!(node);
                if !self.keep_open(node, unlink.name)? {
                    return Ok(Taken::Later);
                }
                self.begin_in(j, job, Type::Tunlinkat, (node, unlink.name), None, cache);
                let unlink = Tunlinkat { dirfid, ..unlink.clone() };
                self.send_for(j, 0, &unlink)
            }
            Message::Trenameat(rename) => {
                let (old, new) = (directory(self, rename.olddirfid)?, directory(self, rename.newdirfid)?);
                let (olddirfid, newdirfid) = (closed!(old), closed!(new));
                if !self.keep_open(new, rename.newname)? || !self.keep_open(old, rename.oldname)? {
                    return Ok(Taken::Later);
                }
                self.begin_in(j, job, Type::Trenameat, (old, rename.oldname), Some((new, rename.newname)), cache);
                let rename = Trenameat { olddirfid, newdirfid, ..rename.clone() };
                self.send_for(j, 0, &rename)
            }
            _ => return Err(Errno::EOPNOTSUPP),
        };
        self.wait_for(j, tag);
        Ok(Taken::Yes)
    }

    /// Begins a change to one or two names.
    fn begin_in(
        &mut self,
        j: usize,
        job: &mut Job,
        kind: Type,
        (node, name): (NodeId, &[u8]),
        other: Option<(NodeId, &[u8])>,
        cache: &mut Cache<'_>,
    ) {
        let hashes = [Hash::of(name), other.map_or(Hash::default(), |(_, name)| Hash::of(name))];
        let other = other.map_or(0, |(node, _)| node);
        (job.kind, job.node, job.other, job.hashes) = (JobKind::Forward(kind), node, other, hashes);
        self.begin(j, job);
        self.names_change(j, cache);
    }

    /// What of Tsetattr is left to be done by the far side.
    fn far_setattr(&mut self, node: NodeId, setattr: &Tsetattr) -> Option<Tsetattr> {
        let Node { attr, qid, asked, changed, .. } = *self.tree.node(node);
        let mut far = setattr.clone();
        if far.valid & set::SIZE != 0 && far.valid & (set::ATIME_SET | set::MTIME_SET) == 0 {
            // truncate(2) sets the time by itself. The far side would give it, which is its owner's alone to do.
            far.valid &= !(set::ATIME | set::MTIME);
        }
        if asked.seq > changed {
            // The far side would set the other time to now.
            match far.valid & (set::ATIME | set::MTIME) {
                set::MTIME => {
                    far.valid |= set::ATIME | set::ATIME_SET;
                    (far.atime_sec, far.atime_nsec) = (attr.atime_sec, attr.atime_nsec);
                }
                set::ATIME => {
                    far.valid |= set::MTIME | set::MTIME_SET;
                    (far.mtime_sec, far.mtime_nsec) = (attr.mtime_sec, attr.mtime_nsec);
                }
                _ => {}
            }
        }
        if qid.kind & qt::SYMLINK != 0 {
            // The far side would set the times of what the link points to.
            far.valid &= set::UID | set::GID;
        }
        if far.valid & set::UID != 0 {
            match self.owner.far_uid(far.uid, attr.uid) {
                Some(uid) => far.uid = uid,
                None => far.valid &= !set::UID,
            }
        }
        if far.valid & set::GID != 0 {
            match self.owner.far_gid(far.gid, attr.gid) {
                Some(gid) => far.gid = gid,
                None => far.valid &= !set::GID,
            }
        }
        let nothing = setattr.valid & !set::CTIME != 0 && far.valid & !set::CTIME == 0;
        (!nothing).then_some(far)
    }
}

/// What df shows: the stock server cannot tell, and programs that look for room find some.
fn statfs(device: u32) -> Rstatfs {
    /// Of what is remote, as tail and others know: what the client changes raises no event here.
    const FUSE_SUPER_MAGIC: u32 = 0x6573_5546;
    const MANY: u64 = 1 << 28;
    Rstatfs {
        kind: FUSE_SUPER_MAGIC,
        bsize: 4096,
        blocks: MANY,
        bfree: MANY / 2,
        bavail: MANY / 2,
        files: MANY,
        ffree: MANY / 2,
        fsid: device.into(),
        namelen: 255,
    }
}

fn decode(frame: &[u8]) -> Result<Message<'_>, Fault> {
    let (_, message) = Message::decode(frame).map_err(|error| match error {
        DecodeError::UnknownType(_) => Fault::UnknownType,
        DecodeError::Frame(_) => Fault::Size,
        DecodeError::Body(_, error) => Fault::Body(error),
    })?;
    Ok(message)
}

/// The frame at the front of `bytes`, when all of it is there.
fn next_frame(bytes: &[u8]) -> Option<Result<&[u8], Fault>> {
    let size = u32::from_le_bytes(*bytes.first_chunk()?);
    if size < HDRSZ {
        return Some(Err(Fault::Size));
    }
    bytes.get(..size as usize).map(Ok)
}

fn error(bytes: &[u8], fault: Fault) -> FrameError {
    let mut head = [0; HDRSZ as usize];
    let n = bytes.len().min(head.len());
    head[..n].copy_from_slice(&bytes[..n]);
    let header = Header::read(&mut Reader::new(&head));
    FrameError { good: 0, sender: Sender::Kernel, header, fault }
}

impl Job {
    /// Keeps names in the form that they have in Twalk.
    fn set_names(&mut self, names: &[&[u8]]) -> Result<(), Refused> {
        let mut writer = Writer::new(&mut self.names);
        const { assert!(NAMES >= 2 + 255) };
        for name in names {
            if name.len() > 255 {
                return Err(Errno::ENAMETOOLONG);
            }
            name.write(&mut writer);
        }
        self.names_end = writer.written().map_err(|_| Errno::ENAMETOOLONG)? as u16;
        Ok(())
    }

    /// Keeps what is to be written, if it is short.
    fn keep(&mut self, data: &[u8]) -> bool {
        let Some(room) = self.names.get_mut(..data.len()) else { return false };
        room.copy_from_slice(data);
        self.names_end = data.len() as u16;
        true
    }

    /// Where they can be read.
    pub(super) fn names(&self) -> Reader<'_> {
        Reader::new(&self.names[..self.names_end.into()])
    }
}
