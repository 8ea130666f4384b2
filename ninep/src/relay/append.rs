//! Writing at the end of a file, wherever that is by then: each open of a file has an inode of its own in v9fs, other
//! sessions and the client's own programs write too, and so nobody but the client's kernel knows where it is.
//!
//! A Twrite at [`END`] goes to a second far fid of the file, which is opened with O_APPEND, so that the client's kernel
//! finds the end and writes there in one step (write(2)). It is opened at the first such write, or before the file's
//! name goes; all of the session's opens of the file share it; it goes with the last that was opened for appending.
//! Writes by other fids go where they say: v9fs writes mapped pages back by any fid of the file.
//!
//! The stock server hands the flags of Tlopen to open(2) as they are. 0o2000 is O_APPEND for Linux and O_TRUNC for
//! Darwin and the BSDs. So where the client did not tell of its mounts as Linux does ([`super::devices`]), a directory is
//! opened with it first, once a session and only when somebody appends: what O_TRUNC may not do with a directory is
//! EISDIR there (open(2) of both). Other libraries than the stock server's may
//! leave O_APPEND out and then write at the offset. With those, and where the far side does not open the file a second
//! time, the relay asks for the size and writes there: one after the other in this session, and no more than that.

use heapless::Vec;

use super::Relay;
use super::cache::Cache;
use super::kernel::set;
use super::run::JobKind;
use super::tree::{Node, NodeId, Open, OpenId};
use crate::errno::Errno;
use crate::msg::{Message, Tlopen, Twalk, Twrite, Type};
use crate::types::open;
use crate::wire::Data;

/// The offset of a Twrite that stands for the end of the file. A far side that took it for an offset would refuse it.
pub(super) const END: u64 = u64::MAX;

/// What the far side makes of O_APPEND.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Appends {
    #[default]
    Unknown,
    Asked,
    Known(bool),
}

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
        // By whatever name.
        let changes = |other: &Node| other.changing > 0 && other.qid.path == n.qid.path;
        if n.asking != 0 || n.changing > 0 || (n.linked && self.tree.nodes.iter().any(changes)) {
            return Ok(None);
        }
        let changed = if n.linked { n.changed.max(self.linked) } else { n.changed };
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
        match self.appends {
            // An unlinked file cannot be walked to.
            _ if n.gone || !self.google => return Appender::None,
            Appends::Known(false) => return Appender::None,
            Appends::Unknown => self.ask_appends(),
            Appends::Asked | Appends::Known(true) => {}
        }
        if n.ffid == 0 {
            let cloning = self.clone_fid(node).is_some() || self.opening(node).is_some();
            return if cloning { Appender::Later } else { Appender::None };
        }
        if self.appends != Appends::Known(true) {
            return Appender::Later;
        }
        let Some(opened) = self.new_open(node, open::WRONLY) else { return Appender::None };
        let o = self.tree.open(opened);
        (o.appender, o.refs) = (true, 1);
        self.tree.node(node).ffid = 0;
        let flags = open::WRONLY | if sync { open::SYNC | open::DSYNC } else { 0 };
        self.send_open(opened, n.ffid, flags);
        Appender::Later
    }

    /// Opens the root with O_APPEND, unless the client has told of its mounts as Linux does.
    fn ask_appends(&mut self) {
        if self.devices.ffid != 0 {
            self.appends = Appends::Known(true);
        } else if self.asking_devices().is_none() {
            self.appends = Appends::Asked;
            let (fid, newfid) = (self.tree.node(self.root).ffid, self.new_ffid());
            let request = Request { ffid: newfid, ..Request::default() };
            self.send(RequestKind::Appends, &Twalk { fid, newfid, wname: Vec::new() }, request);
        }
    }

    fn open_with_append(&mut self, fid: u32) {
        let request = Request { ffid: fid, ..Request::default() };
        self.send(RequestKind::Appends, &Tlopen { fid, flags: open::RDONLY | open::APPEND }, request);
    }

    /// The far side has cloned the fid of the root, or opened a directory with O_APPEND, or refused.
    pub(super) fn appends_answered(&mut self, request: &Request, message: &Message<'_>) {
        match message {
            Message::Rwalk(_) => self.open_with_append(request.ffid),
            _ => self.appends = Appends::Known(matches!(message, Message::Rlopen(_))),
        }
    }
}
