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
    /// The name was removed, or is another file's now.
    pub gone: bool,
    /// The file has, or has had, other names. Changes by way of those show here.
    pub linked: bool,
    /// Its attributes were asked for more than once.
    pub again: bool,
    /// Its attributes came by the fid of an open file, which does not tell whose the name is.
    pub nameless: bool,
    /// The kernel has asked for its attributes since they came.
    pub wanted: bool,
    /// `ffid` has been opened, for a listing.
    pub dir_open: bool,
    pub parent: NodeId,
    /// The next node in the same bucket of the hash table.
    pub next: NodeId,
    /// How many nodes have this one as parent.
    pub children: u32,
    pub name: Hash,
    pub qid: Qid,
    /// A hash of its path.
    pub place: Hash,
    /// The client's device that it was found on. The inode number that the kernel is shown depends on it.
    pub device: u32,
    /// The number of the mount that it is in; 0: unknown.
    pub mount: u16,
    pub attr: Attr,
    /// When the question was sent that `attr` answers; never: `attr` is out of date.
    pub asked: Moment,
    /// When the upstream server last confirmed that the name is this file's, in milliseconds.
    pub named: u64,
    /// The upstream fid of the name; 0: none. Not opened unless `dir_open`.
    pub ffid: u32,
    /// Fids of the kernel, jobs and requests that hold it.
    pub pins: u32,
    /// The first of its opens.
    pub opens: OpenId,
    pub lru: u32,
    /// Tag of the request for its attributes; 0: none.
    pub asking: u16,
    /// Tag of the request for another fid; 0: none, NOTAG: it failed.
    pub cloning: u16,
    /// Writes and changes of attributes that are not answered yet.
    pub changing: u32,
    /// When the session last changed it: answers to questions after this know of the change.
    pub changed: u64,
    /// Key of the version of the content that `attr` describes.
    pub key: Hash,
    /// Of a file without a name: which attributes were set here alone (bits of Tsetattr's `valid`). Of a directory:
    /// `EMPTY`.
    pub own: u32,
    /// Of a file without a name: upstream, the bytes from its size up to here are not zeroes. `u64::MAX`: and cannot be
    /// made so.
    pub cut: u64,
}

impl Node {
    /// Whether what is known of it was asked for after that question, or made by the session since.
    pub fn is_newer_than(&self, question: Moment) -> bool {
        self.asked.seq.max(self.changed) > question.seq
    }

    /// Whether its bytes are kept: its size says how many there are. That excludes files of /proc, whose size is 0, and
    /// of /sys, which have no blocks.
    pub const fn is_kept(&self) -> bool {
        let regular = self.attr.mode & mode::FORMAT == mode::REGULAR;
        regular && self.attr.size > 0 && self.attr.blocks > 0 && self.changing == 0
    }
}

/// A point in time, and its place among all requests.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Moment {
    /// Counts from 1; 0: never.
    pub seq: u64,
    /// Milliseconds; 0: a change of the session's has overtaken the answer.
    pub ms: u64,
}

impl Moment {
    /// The moment of a question, after which the session may have made a change. An answer that was overtaken still
    /// counts for jobs that came before the question.
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
    /// The user of the attach that it comes from.
    pub uid: u32,
}

/// An open file, which several fids of the kernel share when they read only.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open {
    pub node: NodeId,
    /// The node's next open.
    pub next: OpenId,
    /// The upstream fid, opened; 0: not opened yet, since all of the file is in the cache. Directories use the node's.
    pub ffid: u32,
    /// O_RDONLY, O_WRONLY or O_RDWR.
    pub access: u32,
    /// With O_DSYNC or O_SYNC, which are the same to v9fs.
    pub sync: bool,
    /// The kernel opened it for appending, or has appended by it.
    pub appends: bool,
    /// Opened upstream with O_APPEND, for all of the file's opens that append. The kernel has no fid for it.
    pub appender: bool,
    /// Without an appender: where the next write at the end goes.
    pub end: End,
    /// Fids of the kernel and jobs that hold it.
    pub refs: u32,
    /// Tag of the Tlopen under way; 0: none.
    pub opening: u16,
    /// The upstream server has refused to open it.
    pub refused: bool,
    pub lru: u32,
    /// Where a sequential reader goes on.
    pub next_read: u64,
    /// Where reading ahead goes on.
    pub ahead: u64,
    pub window: u32,
    /// Of a directory: the listing that it reads.
    pub listing: ContentRef,
    /// The listing has no room in the cache. Entries are passed on as they come.
    pub direct: bool,
}

impl Open {
    /// Whether open(2) with these flags may share it.
    pub const fn is_for(&self, flags: u32) -> bool {
        !self.appender && self.access == flags & 3 && self.sync == (flags & SYNC != 0)
    }
}

/// Where the end of a file is, when the relay itself has to find it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum End {
    #[default]
    Unknown,
    /// It is about to be asked for.
    Wanted,
    /// The size was asked for, after this change.
    Asked(u64),
}
