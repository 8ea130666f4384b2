//! Requests that change something. They go to the upstream server as they are, but for fids and owners.

use super::begin::Begun;
use crate::errno::Errno;
use crate::msg::{Body, Message, Tfsync, Tlink, Tmkdir, Tmknod, Trenameat, Tsetattr, Tsymlink, Tunlinkat, Twrite};
use crate::relay::ask::END;
use crate::relay::data::cache::Cache;
use crate::relay::data::hash::Hash;
use crate::relay::data::job::{Bytes, Change, NewFile, Reply, Task};
use crate::relay::data::node::{Fid, Node, NodeId};
use crate::relay::state::Relay;
use crate::types::{qt, setattr as set};
use crate::wire::Data;

impl Relay<'_> {
    pub(super) fn change(
        &mut self,
        j: usize,
        tag: u16,
        message: &Message<'_>,
        cache: &mut Cache<'_>,
    ) -> Result<Begun, Errno> {
        match message {
            Message::Twrite(write) => self.write(j, tag, write, cache),
            Message::Tfsync(Tfsync { fid, datasync }) => {
                let task = Task::Sync { datasync: *datasync, opened: false };
                Ok(self.begin_and_run(j, tag, self.open_fid(*fid)?, &task, cache))
            }
            Message::Tsetattr(setattr) => self.set_attributes(j, tag, setattr, cache),
            Message::Tmkdir(mkdir) => self.make_directory(j, tag, mkdir, cache),
            Message::Tsymlink(symlink) => {
                let Some((node, fid)) = self.closed_directory(symlink.fid)? else { return Ok(Begun::Later) };
                self.begin_in(j, tag, node, Change::Symlink(Hash::of(symlink.name)), cache);
                let gid = self.owner.upstream_gid(symlink.gid, !0).unwrap_or(symlink.gid);
                Ok(self.ask_for(j, 0, &Tsymlink { fid, gid, ..symlink.clone() }))
            }
            Message::Tmknod(mknod) => {
                let Some((node, dfid)) = self.closed_directory(mknod.dfid)? else { return Ok(Begun::Later) };
                self.begin_in(j, tag, node, Change::Mknod(Hash::of(mknod.name)), cache);
                Ok(self.ask_for(j, 0, &Tmknod { dfid, ..mknod.clone() }))
            }
            Message::Tlink(link) => self.link(j, tag, link, cache),
            Message::Tunlinkat(unlink) => {
                let Some((node, dirfid)) = self.closed_directory(unlink.dirfid)? else { return Ok(Begun::Later) };
                if !self.keep_open(node, unlink.name)? {
                    return Ok(Begun::Later);
                }
                self.begin_in(j, tag, node, Change::Unlink(Hash::of(unlink.name)), cache);
                Ok(self.ask_for(j, 0, &Tunlinkat { dirfid, ..unlink.clone() }))
            }
            Message::Trenameat(rename) => self.rename(j, tag, rename, cache),
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    /// Sends what a job asks for, with a further node that it concerns.
    fn ask_for<'a, M: Body<'a>>(&mut self, j: usize, node: NodeId, message: &M) -> Begun {
        let sent = self.send_for(j, node, message);
        self.wait_for(j, sent);
        Begun::Job
    }

    /// Begins a change of names in a directory.
    fn begin_in(&mut self, j: usize, tag: u16, node: NodeId, change: Change, cache: &mut Cache<'_>) {
        self.begin(j, tag, Fid { node, ..Fid::default() }, &Task::Forward(change));
        self.names_change(j, cache);
    }

    fn directory(&self, fid: u32) -> Result<NodeId, Errno> {
        let Fid { node, .. } = self.fid(fid)?;
        let n = &self.tree.nodes[node as usize];
        if n.qid.kind & qt::DIR == 0 {
            return Err(Errno::ENOTDIR);
        }
        if n.gone { Err(Errno::ENOENT) } else { Ok(node) }
    }

    /// A directory, and the upstream fid by which names in it are changed; None: the fid is being asked for. The
    /// upstream server refuses changes by a fid that is open.
    fn closed_directory(&mut self, fid: u32) -> Result<Option<(NodeId, u32)>, Errno> {
        let node = self.directory(fid)?;
        Ok(self.closed_fid(node)?.map(|ffid| (node, ffid)))
    }

    /// An upstream fid of a file; None: its only one is about to be opened.
    fn fid_for_change(&self, Fid { node, open, .. }: Fid) -> Result<Option<u32>, Errno> {
        match self.any_fid(node, open) {
            None if self.opening(node).is_none() => Err(Errno::ESTALE),
            fid => Ok(fid),
        }
    }

    fn write(&mut self, j: usize, tag: u16, write: &Twrite<'_>, cache: &mut Cache<'_>) -> Result<Begun, Errno> {
        let &Twrite { fid, offset, data: Data(data) } = write;
        let on = self.open_fid(fid)?;
        let o = *self.tree.open(on.open);
        if o.access == 0 || o.ffid == 0 {
            return Err(Errno::EBADF);
        }
        let mut to = (o.ffid, offset);
        if offset == END {
            match self.end_of(on.node, on.open)? {
                Some(end) => to = end,
                None => {
                    // Longer ones would hold up the others that the kernel asks for.
                    let Some(data) = Bytes::of_data(data) else { return Ok(Begun::Later) };
                    self.begin(j, tag, on, &Task::Append(data));
                    self.job(j).stalled = true;
                    return Ok(Begun::Job);
                }
            }
        }
        let n = self.tree.node(on.node);
        if n.own & set::SIZE != 0 && n.attr.size < n.cut.min(to.1) {
            // What is being written may be where the zeroes would go.
            if n.changing == 0 {
                self.zeroes(on.node, on.open, to.1)?;
            }
            return Ok(Begun::Later);
        }
        self.begin(j, tag, on, &Task::Forward(Change::Write { offset: to.1, count: data.len() as u32 }));
        let sent = self.send_write(j, on.node, to, data, cache);
        self.wait_for(j, sent);
        Ok(Begun::Job)
    }

    fn set_attributes(
        &mut self,
        j: usize,
        tag: u16,
        setattr: &Tsetattr,
        cache: &mut Cache<'_>,
    ) -> Result<Begun, Errno> {
        let on = self.fid(setattr.fid)?;
        let &Tsetattr { valid, mode, size, .. } = setattr;
        if !self.owner.known && self.asking_devices().is_some() {
            return Ok(Begun::Later);
        }
        let Some(setattr) = self.upstream_setattr(on.node, setattr) else { return Ok(Begun::Reply(Reply::Setattr)) };
        let n = self.tree.node(on.node);
        if (n.gone && !n.linked) || n.qid.kind & qt::SYMLINK != 0 {
            if setattr.valid & (set::UID | set::GID) != 0 {
                return Err(Errno::EPERM);
            }
            return Ok(self.begin_and_run(j, tag, on, &Task::Own { valid, mode, size }, cache));
        }
        // The upstream server goes by the name of what is open, too.
        if on.open != 0 && !self.is_named(on.node) {
            return Ok(Begun::Later);
        }
        if self.is_special(on.node, valid, mode) {
            return Ok(self.begin_and_run(j, tag, on, &Task::Chmod { valid, mode }, cache));
        }
        let Some(fid) = self.fid_for_change(on)? else { return Ok(Begun::Later) };
        self.begin(j, tag, on, &Task::Forward(Change::Setattr { valid, size, by_writing: false }));
        self.change_begins(on.node, cache);
        Ok(self.ask_for(j, 0, &Tsetattr { fid, ..setattr }))
    }

    fn make_directory(
        &mut self,
        j: usize,
        tag: u16,
        mkdir: &Tmkdir<'_>,
        cache: &mut Cache<'_>,
    ) -> Result<Begun, Errno> {
        let Some((node, dfid)) = self.closed_directory(mkdir.dfid)? else { return Ok(Begun::Later) };
        let new = NewFile::new(Bytes::of_names(&[mkdir.name])?, mkdir.mode, mkdir.gid);
        let on = Fid { node, open: 0, uid: self.fid(mkdir.dfid)?.uid };
        self.begin(j, tag, on, &Task::Forward(Change::Mkdir(new)));
        self.names_change(j, cache);
        let gid = self.owner.upstream_gid(mkdir.gid, !0).unwrap_or(mkdir.gid);
        Ok(self.ask_for(j, 0, &Tmkdir { dfid, gid, ..mkdir.clone() }))
    }

    fn link(&mut self, j: usize, tag: u16, link: &Tlink<'_>, cache: &mut Cache<'_>) -> Result<Begun, Errno> {
        let node = self.directory(link.dfid)?;
        let target = self.fid(link.fid)?;
        let Some(dfid) = self.closed_fid(node)? else { return Ok(Begun::Later) };
        let Some(fid) = self.fid_for_change(target)? else { return Ok(Begun::Later) };
        self.begin_in(j, tag, node, Change::Link(Hash::of(link.name)), cache);
        self.stale(target.node);
        self.linked = self.next_moment().seq;
        let n = self.tree.node(target.node);
        (n.linked, n.pins) = (true, n.pins + 1);
        Ok(self.ask_for(j, target.node, &Tlink { dfid, fid, ..link.clone() }))
    }

    fn rename(&mut self, j: usize, tag: u16, rename: &Trenameat<'_>, cache: &mut Cache<'_>) -> Result<Begun, Errno> {
        let (old, new) = (self.directory(rename.olddirfid)?, self.directory(rename.newdirfid)?);
        let Some(olddirfid) = self.closed_fid(old)? else { return Ok(Begun::Later) };
        let Some(newdirfid) = self.closed_fid(new)? else { return Ok(Begun::Later) };
        if !self.keep_open(new, rename.newname)? || !self.keep_open(old, rename.oldname)? {
            return Ok(Begun::Later);
        }
        let (oldname, newname) = (Hash::of(rename.oldname), Hash::of(rename.newname));
        self.begin_in(j, tag, old, Change::Rename { old: oldname, other: new, new: newname }, cache);
        Ok(self.ask_for(j, 0, &Trenameat { olddirfid, newdirfid, ..rename.clone() }))
    }

    /// What of a Tsetattr the upstream server is to do; None: nothing.
    fn upstream_setattr(&mut self, node: NodeId, setattr: &Tsetattr) -> Option<Tsetattr> {
        let Node { attr, qid, asked, changed, .. } = *self.tree.node(node);
        let mut left = setattr.clone();
        if left.valid & set::SIZE != 0 && left.valid & (set::ATIME_SET | set::MTIME_SET) == 0 {
            // truncate(2) sets the time by itself. Setting it to a given time needs the file's owner.
            left.valid &= !(set::ATIME | set::MTIME);
        }
        if asked.seq > changed {
            // The upstream server would set the other time to now.
            match left.valid & (set::ATIME | set::MTIME) {
                set::MTIME => {
                    left.valid |= set::ATIME | set::ATIME_SET;
                    (left.atime_sec, left.atime_nsec) = (attr.atime_sec, attr.atime_nsec);
                }
                set::ATIME => {
                    left.valid |= set::MTIME | set::MTIME_SET;
                    (left.mtime_sec, left.mtime_nsec) = (attr.mtime_sec, attr.mtime_nsec);
                }
                _ => {}
            }
        }
        if qid.kind & qt::SYMLINK != 0 {
            // The upstream server would set the times of what the link points to.
            left.valid &= set::UID | set::GID;
        }
        if left.valid & set::UID != 0 {
            match self.owner.upstream_uid(left.uid, attr.uid) {
                Some(uid) => left.uid = uid,
                None => left.valid &= !set::UID,
            }
        }
        if left.valid & set::GID != 0 {
            match self.owner.upstream_gid(left.gid, attr.gid) {
                Some(gid) => left.gid = gid,
                None => left.valid &= !set::GID,
            }
        }
        let nothing = setattr.valid & !set::CTIME != 0 && left.valid & !set::CTIME == 0;
        (!nothing).then_some(left)
    }
}
