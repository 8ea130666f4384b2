//! Writing at the end of a file. Only the client's kernel knows where that is: in v9fs each open of a file has an inode
//! of its own, and other sessions and the client's programs write, too.
//!
//! A Twrite at [`END`] goes to a second upstream fid of the file, the *appender*, which is opened with O_APPEND. So the
//! client's kernel finds the end and writes there in one step (write(2)). The appender is opened at the first such
//! write, or before the file's name goes. All of the session's opens of the file share it, and it ends with the last of
//! them that appends. Writes at other offsets go where they say: v9fs writes mapped pages back by any fid of the file.
//!
//! The stock server passes the flags of Tlopen to open(2) as they are. 0o2000 is O_APPEND on Linux, but O_TRUNC on
//! Darwin and the BSDs. So the flag is sent only where /proc/self/mountinfo has shown that the client is Linux
//! (`learn/devices.rs`). Other servers may ignore it and write at the offset. There, and where a file cannot be opened
//! a second time, the relay asks for the size and writes at it. That keeps the order of this session's appends, but not
//! of others'.

use crate::errno::Errno;
use crate::msg::Twrite;
use crate::relay::data::job::Task;
use crate::relay::data::node::{End, Node, NodeId, Open, OpenId, SYNC};
use crate::relay::data::request::{Request, RequestKind};
use crate::relay::state::{JOB_UPSTREAM, Relay};
use crate::types::{Attr, open, setattr as set};
use crate::wire::Data;

/// The offset of a Twrite at the end of the file. A server that took it for an offset would refuse it.
pub(crate) const END: u64 = u64::MAX;

/// The fid by which a file is appended to.
pub(super) enum Appender {
    Fid(u32),
    /// It is being opened.
    Later,
    /// The upstream server gives none.
    None,
}

impl Relay<'_> {
    /// The upstream fid and the offset of a write at the end of a file; None: they are being asked for.
    ///
    /// # Errors
    /// The upstream server does not say where the end is.
    pub(crate) fn end_of(&mut self, node: NodeId, opened: OpenId) -> Result<Option<(u32, u64)>, Errno> {
        // The relay itself is about to move the end.
        if self.jobs.iter().any(|j| matches!(j.task, Task::Own { .. }) && j.node == node) {
            return Ok(None);
        }
        self.tree.open(opened).appends = true;
        let o = *self.tree.open(opened);
        // Upstream a file whose size is our own still has what was cut off, and O_APPEND would write behind that.
        let is_own = self.tree.node(node).own & set::SIZE != 0;
        if !is_own && o.end == End::Unknown {
            match self.appender(node, o.sync) {
                Appender::Fid(fid) => return Ok(Some((fid, END))),
                Appender::Later => return Ok(None),
                Appender::None => self.tree.open(opened).end = End::Wanted,
            }
        }
        let n = self.tree.view(node);
        // By whatever name, even a former one.
        let is_it = |other: &&Node| other.used && other.qid.path == n.qid.path;
        let changes = self.tree.nodes.iter().filter(is_it).map(|other| (other.changing, other.changed));
        let (changing, changed) = changes.fold((0, 0), |(a, b), (c, d)| (a.max(c), b.max(d)));
        if n.asking != 0 || changing > 0 {
            return Ok(None);
        }
        match core::mem::take(&mut self.tree.open(opened).end) {
            _ if is_own => {}
            End::Asked(seq) if n.asked.seq > changed.max(seq) => {}
            End::Asked(seq) if changed < seq => return Err(Errno::EIO),
            _ => {
                self.tree.open(opened).end = End::Asked(self.next_moment().seq);
                self.send_getattr(node, o.ffid);
                return Ok(None);
            }
        }
        Ok(Some((o.ffid, n.attr.size)))
    }

    /// The fid by which a file is appended to. It is opened if there is none.
    pub(super) fn appender(&mut self, node: NodeId, sync: bool) -> Appender {
        let n = self.tree.view(node);
        let is_it = |o: &Open| o.appender && o.sync == sync;
        let known = self.tree.opens_of(n.opens).find(|&o| is_it(&self.tree.opens[o as usize]));
        if let Some(known) = known {
            let o = self.tree.open(known);
            o.refs = 1;
            return match (o.opening, o.ffid) {
                (0, 0) => Appender::None,
                (0, ffid) => Appender::Fid(ffid),
                _ => Appender::Later,
            };
        }
        // An unlinked file cannot be walked to.
        if n.gone || !self.google {
            return Appender::None;
        }
        if self.devices.ffid == 0 {
            return if self.asking_devices().is_some() { Appender::Later } else { Appender::None };
        }
        if n.ffid == 0 {
            let cloning = self.clone_fid(node).is_some() || self.opening(node).is_some();
            return if cloning { Appender::Later } else { Appender::None };
        }
        let Some(opened) = self.new_open(node, open::WRONLY) else { return Appender::None };
        let o = self.tree.open(opened);
        (o.appender, o.refs) = (true, 1);
        self.tree.node(node).ffid = 0;
        let flags = open::WRONLY | if sync { SYNC } else { 0 };
        self.send_open(opened, n.ffid, flags);
        Appender::Later
    }

    /// Makes a file whose size is its own longer, up to `end` or a part of the way.
    pub(crate) fn zeroes(&mut self, node: NodeId, open: OpenId, end: u64) -> Result<u16, Errno> {
        if let Some(tag) = self.pending(|r| matches!(r.kind, RequestKind::Zeroes { .. }) && r.node == node) {
            return Ok(tag);
        }
        let zeroes = [0; JOB_UPSTREAM / 2];
        let &mut Node { attr: Attr { size, .. }, cut, .. } = self.tree.node(node);
        let Open { ffid: fid, access: 1.., .. } = *self.tree.open(open) else { return Err(Errno::EINVAL) };
        if cut == u64::MAX || fid == 0 {
            return Err(Errno::EIO);
        }
        // Behind what was cut off the upstream server finds zeroes itself.
        let offset = if size < cut { size } else { end - 1 };
        let end = if size < cut { end.min(cut) } else { end };
        let count = (end - offset).min(zeroes.len() as u64);
        self.tree.node(node).pins += 1;
        let write = Twrite { fid, offset, data: Data(&zeroes[..count as usize]) };
        Ok(self.send(&write, Request::on(node, RequestKind::Zeroes { offset })))
    }
}
