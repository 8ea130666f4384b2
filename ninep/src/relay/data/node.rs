//! Files, what the kernel holds of them, and how they are open.

use super::cache::ContentRef;
use super::hash::Hash;
use crate::types::{Attr, Qid, mode, open};

/// Index of a [`Node`]; 0: none.
pub type NodeId = u32;
/// Index of an [`Open`]; 0: none.
pub type OpenId = u32;

/// Of [`Node::own`]: a directory that the session has made, with nothing in it yet. No message has this bit.
pub const EMPTY: u32 = 1 << 31;

/// O_DSYNC and O_SYNC, which are the same numbers on every machine that the client may run on.
pub const SYNC: u32 = open::DSYNC | open::SYNC;

/// A name in a directory: a file, or the knowledge that there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Node {
    pub used: bool,
    /// Nothing has this name.
    pub absent: bool,
    /// The name has been removed or stands for another file now.
    pub gone: bool,
    /// A file that has, or has had, other names: what is changed by way of them shows here.
    pub linked: bool,
    /// Its attributes were asked for more than once.
    pub again: bool,
    /// They were asked for by the fid of an open file, which does not tell whose the name is.
    pub nameless: bool,
    /// Since they came, the kernel has asked for it.
    pub wanted: bool,
    /// `ffid` has been opened, for a listing.
    pub dir_open: bool,
    pub parent: NodeId,
    /// The next node with the same place in the hash table.
    pub next: NodeId,
    pub children: u32,
    pub name: Hash,
    pub qid: Qid,
    /// Stands for its path.
    pub place: Hash,
    /// Which of the client's devices it is on, as far as one could tell when it was found: its inode number goes by that.
    pub device: u32,
    /// The number of the mount that it is in; 0: not known.
    pub mount: u16,
    pub attr: Attr,
    /// When the question was asked that `attr` answers; 0: `attr` does not hold any more.
    pub asked: Moment,
    /// When the far side was last asked whether its name stands for it, and answered, in milliseconds.
    pub named: u64,
    /// The far side's fid for it, not opened unless `dir_open`; 0: none.
    pub ffid: u32,
    /// Fids of the kernel and requests under way.
    pub pins: u32,
    /// The first of its opens.
    pub opens: OpenId,
    pub lru: u32,
    /// Tag of a request that asks for its attributes; 0: none.
    pub asking: u16,
    /// Tag of a request for a fid of its own; 0: none, NOTAG: it failed.
    pub cloning: u16,
    /// Writes and changes of size that the far side has not answered.
    pub changing: u32,
    /// The place among all requests after which an answer knows of the session's own last change.
    pub changed: u64,
    /// Stands for the version of the content that `attr` tells.
    pub key: Hash,
    /// What `attr` has of a file without a name that the far side was not told (bits of Tsetattr's `valid`); of a directory,
    /// [`EMPTY`].
    pub own: u32,
    /// Of such a file: the far side has other bytes than zeroes from its size up to here. `u64::MAX`: and keeps them.
    pub cut: u64,
}

impl Node {
    /// Whether what is known of it was asked for, or made by the session itself, after that question.
    pub fn is_newer_than(&self, question: Moment) -> bool {
        self.asked.seq.max(self.changed) > question.seq
    }

    /// The file's size says what reading it gives: so not a file of /proc, whose size is 0, nor of /sys, which has no
    /// blocks.
    pub const fn is_kept(&self) -> bool {
        let regular = self.attr.mode & mode::FORMAT == mode::REGULAR;
        regular && self.attr.size > 0 && self.attr.blocks > 0 && self.changing == 0
    }
}

/// A point in time, and its place among all requests.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Moment {
    /// From 1; 0: never.
    pub seq: u64,
    /// 0: a change of our own has overtaken the answer.
    pub ms: u64,
}

impl Moment {
    /// Of a question. What a change that came after it has overtaken is good for those who asked before the change.
    pub const fn unless_overtaken_by(self, change: u64) -> Self {
        Self { ms: if self.seq > change { self.ms } else { 0 }, ..self }
    }

    pub const fn is_overtaken(self) -> bool {
        self.seq != 0 && self.ms == 0
    }
}

/// What the upstream server has said of a file.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    pub qid: Qid,
    pub attr: Attr,
    /// The upstream fid by which it was asked, or that the walk has made.
    pub ffid: u32,
    /// When it was asked.
    pub moment: Moment,
}

/// A fid of the kernel's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fid {
    /// 0: the number is free.
    pub node: NodeId,
    pub open: OpenId,
    /// Whose it is: that of the attach that it comes from.
    pub uid: u32,
}

/// An open file, which several fids of the kernel share when they read only.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open {
    pub node: NodeId,
    /// The next of the node's.
    pub next: OpenId,
    /// The far side's opened fid; 0: not opened there yet, since all of it is in the cache. Not used for directories.
    pub ffid: u32,
    /// What it was opened for: 0, 1 or 2 as in open(2).
    pub access: u32,
    /// With O_DSYNC or O_SYNC, between which v9fs makes no difference.
    pub sync: bool,
    /// The kernel opened it for appending, or has appended by it.
    pub appends: bool,
    /// Opened with O_APPEND at the far side, for all of the file's opens that append; none of the kernel's own.
    pub appender: bool,
    /// Where a write at the end goes that is about to be sent, without an appender.
    pub end: End,
    /// Fids of the kernel and requests under way.
    pub refs: u32,
    /// Tag of the Tlopen under way; 0: none.
    pub opening: u16,
    /// The far side would not open it.
    pub refused: bool,
    pub lru: u32,
    /// Where a sequential reader goes on.
    pub next_read: u64,
    /// Where reading ahead goes on.
    pub ahead: u64,
    pub window: u32,
    /// Of a directory: the listing it reads.
    pub listing: ContentRef,
    /// The listing is not kept: entries are passed on as they come.
    pub direct: bool,
}

impl Open {
    /// Whether open(2) with these flags may share it.
    pub const fn is_for(&self, flags: u32) -> bool {
        !self.appender && self.access == flags & 3 && self.sync == (flags & SYNC != 0)
    }
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
