//! Writing at the end of a file, wherever that is by then: each open of a file has an inode of its own in v9fs, other
//! sessions and the client's own programs write too, and so nobody but the client's kernel knows where it is.
//!
//! A Twrite at [`END`] goes to a second far fid of the file, which is opened with O_APPEND, so that the client's kernel
//! finds the end and writes there in one step (write(2)). It is opened at the first such write, or before the file's
//! name goes; all of the session's opens of the file share it; it goes with the last that was opened for appending.
//! Writes by other fids go where they say: v9fs writes mapped pages back by any fid of the file.
//!
//! The stock server hands the flags of Tlopen to open(2) as they are. 0o2000 is O_APPEND for Linux, and O_TRUNC for
//! Darwin and the BSDs: it is sent only to a client that has Linux's file of its mounts (`learn/devices.rs`). Other
//! libraries than the stock server's may leave it out and then write at the offset. With those, and where the far side does
//! not open the file a second time, the relay asks for the size and writes there: one after the other in this session, and
//! no more than that.

use crate::errno::Errno;
use crate::msg::Twrite;
use crate::relay::data::job::Task;
use crate::relay::data::node::{End, Node, NodeId, Open, OpenId, SYNC};
use crate::relay::data::request::{Request, RequestKind};
use crate::relay::state::{JOB_UPSTREAM, Relay};
use crate::types::{Attr, open, setattr as set};
use crate::wire::Data;

/// The offset of a Twrite that stands for the end of the file. A far side that took it for an offset would refuse it.
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
    /// The upstream fid and the offset with which bytes are put at the end of a file; None: that is being found out.
    ///
    /// # Errors
    /// Where the end is cannot be said.
    pub(crate) fn end_of(&mut self, node: NodeId, opened: OpenId) -> Result<Option<(u32, u64)>, Errno> {
        // The relay itself is about to move the end.
        if self.jobs.iter().any(|j| matches!(j.task, Task::Own { .. }) && j.node == node) {
            return Ok(None);
        }
        self.tree.open(opened).appends = true;
        let o = *self.tree.open(opened);
        // What was cut off a file whose size is our own is still there at the far side, which would write behind it.
        let is_own = self.tree.node(node).own & set::SIZE != 0;
        if !is_own && o.end == End::Unknown {
            match self.appender(node, o.sync) {
                Appender::Fid(fid) => return Ok(Some((fid, END))),
                Appender::Later => return Ok(None),
                Appender::None => self.tree.open(opened).end = End::Wanted,
            }
        }
        let n = self.tree.view(node);
        // By whatever name, also by one that it has had.
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
