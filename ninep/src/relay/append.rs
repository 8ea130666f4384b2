//! Writing at the end of a file, wherever that is by then: each open of a file has an inode of its own in v9fs, other
//! sessions and the client's own programs write too, and so nobody but the client's kernel knows where it is.
//!
//! A Twrite at [`END`] goes to a second far fid of the file, which is opened with O_APPEND, so that the client's kernel
//! finds the end and writes there in one step (write(2)). It is opened at the first such write, or before the file's
//! name goes; all of the session's opens of the file share it; it goes with the last that was opened for appending.
//! Writes by other fids go where they say: v9fs writes mapped pages back by any fid of the file.
//!
//! The stock server hands the flags of Tlopen to open(2) as they are. 0o2000 is O_APPEND for Linux, and O_TRUNC for
//! Darwin and the BSDs: it is sent only to a client that has Linux's file of its mounts ([`super::devices`]). Other
//! libraries than the stock server's may leave it out and then write at the offset. With those, and where the far side does
//! not open the file a second time, the relay asks for the size and writes there: one after the other in this session, and
//! no more than that.

use super::Relay;
use super::cache::Cache;
use super::kernel::set;
use super::run::JobKind;
use super::tree::{Node, NodeId, Open, OpenId};
use crate::errno::Errno;
use crate::msg::{Twrite, Type};
use crate::types::open;
use crate::wire::Data;

/// The offset of a Twrite that stands for the end of the file. A far side that took it for an offset would refuse it.
pub(super) const END: u64 = u64::MAX;

/// Where the end of a file is that the relay itself writes at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum End {
    #[default]
    Unknown,
    Wanted,
    /// Its size was asked for after this moment.
    Asked(u64),
}

/// The fid by which a file is appended to.
enum Appender {
    Fid(u32),
    /// It is being opened.
    Later,
    /// The far side gives none.
    None,
}

impl Relay<'_> {
    /// The far fid and the offset with which bytes are put at the end of a file; None: that is being found out.
    ///
    /// # Errors
    /// Where the end is cannot be said.
    pub(super) fn end_of(&mut self, node: NodeId, opened: OpenId) -> Result<Option<(u32, u64)>, Errno> {
        // The relay itself is about to move the end.
        if self.jobs.iter().any(|j| j.kind == JobKind::Own && j.node == node) {
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

    /// Appends what was kept, once it is known how.
    pub(super) fn run_append(&mut self, j: usize, cache: &mut Cache<'_>) {
        let job = *self.job(j);
        let (fid, offset) = match self.end_of(job.node, job.open) {
            Ok(Some(end)) => end,
            Ok(None) => return self.job(j).stalled = true,
            Err(errno) => return self.fail(j, errno, cache),
        };
        (self.job(j).kind, self.job(j).offset) = (JobKind::Forward(Type::Twrite), offset);
        self.change_begins(job.node, cache);
        self.counters.written += u64::from(job.count);
        let write = Twrite { fid, offset, data: Data(&job.names[..job.names_end.into()]) };
        let tag = self.send_for(j, 0, &write);
        self.wait_for(j, tag);
    }

    /// Before a name goes, what was opened for appending must be able to. False: not yet.
    pub(super) fn keep_appenders(&mut self, node: NodeId) -> bool {
        let waits = |this: &mut Self, sync| {
            let wanted = |o: &Open| o.appends && o.refs > 0 && o.sync == sync;
            let is_wanted =
                this.tree.opens_of(this.tree.nodes[node as usize].opens).any(|o| wanted(&this.tree.opens[o as usize]));
            is_wanted && matches!(this.appender(node, sync), Appender::Later)
        };
        !(waits(self, false) || waits(self, true))
    }

    fn appender(&mut self, node: NodeId, sync: bool) -> Appender {
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
        let flags = open::WRONLY | if sync { open::SYNC | open::DSYNC } else { 0 };
        self.send_open(opened, n.ffid, flags);
        Appender::Later
    }
}
