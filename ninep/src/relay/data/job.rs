//! Jobs: requests of the kernel that are not answered yet, and what a job needs next.

use heapless::Vec;

use super::hash::Hash;
use super::node::{NodeId, OpenId};
use crate::errno::Errno;
use crate::limits::MAXWELEM;
use crate::msg::Rstatfs;
use crate::types::{Attr, Qid};
use crate::wire::{Reader, Wire, Writer};

/// A request of the kernel that is not answered yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Job {
    pub task: Task,
    pub tag: u16,
    /// Its place among all requests: answers to what was asked later are fresh for it.
    pub seq: u64,
    /// The file or directory that the request names, and its open if it names one.
    pub node: NodeId,
    pub open: OpenId,
    /// The user that asks.
    pub uid: u32,
    /// Tags of the requests that it waits for; 0: none.
    pub wait: [u16; 2],
    /// What one of them failed with.
    pub error: u32,
    /// What it waits for may fail.
    pub ignore_wait_error: bool,
    /// It waits until the kernel has taken replies, or for what no tag stands for.
    pub stalled: bool,
    /// It has waited for the upstream server at least once.
    pub waited: bool,
    /// The Tflush that is answered after it, plus one.
    pub flush: u32,
}

/// What the kernel asked for.
#[derive(Clone, Copy, Debug, Default)]
pub enum Task {
    /// Nothing: the place is free.
    #[default]
    None,
    Attach {
        fid: u32,
    },
    Walk {
        newfid: u32,
        names: Bytes,
    },
    Getattr {
        /// For stat(2), which shows the device.
        is_stat: bool,
    },
    Readlink,
    Open {
        fid: u32,
        flags: u32,
    },
    Read(Part),
    Readdir(Part),
    Create(Create),
    /// A directory has been made. Its owner and mode may have to be put right.
    Made(NewFile),
    /// These bytes go to the end of a file.
    Append(Bytes),
    /// What was changed is to be on the client's disk.
    Sync {
        datasync: u32,
        /// The directory has been opened for that, or could not be.
        opened: bool,
    },
    /// Permissions of a file that has bits which the upstream server would drop, or is to have.
    Chmod {
        valid: u32,
        mode: u32,
    },
    /// Attributes of a file without a name, which the upstream server could only set by name.
    Own {
        valid: u32,
        mode: u32,
        size: u64,
    },
    /// The upstream server does it. The reply is passed on.
    Forward(Change),
}

/// A part of a file or of a listing.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub offset: u64,
    pub count: u32,
    /// How often it has been asked for.
    pub tries: u8,
}

/// A file or directory that is being made.
#[derive(Clone, Copy, Debug)]
pub struct NewFile {
    pub name: Bytes,
    pub mode: u32,
    pub gid: u32,
    /// How many directories were asked about, to give it away.
    pub asked: u8,
    /// Permissions that were not given have been asked for again.
    pub is_restored: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Create {
    pub new: NewFile,
    pub fid: u32,
    pub flags: u32,
    /// The upstream fid that becomes the file's. It is clunked when the job fails.
    pub ffid: u32,
    /// The qid's path of what was created.
    pub path: u64,
    /// It has been created, and its attributes are known.
    pub is_done: bool,
}

/// What the upstream server is changing.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "a job has room for a name anyway")]
pub enum Change {
    Write {
        offset: u64,
        count: u32,
    },
    Setattr {
        valid: u32,
        size: u64,
        /// The size was refused. Now the last byte is being written instead.
        by_writing: bool,
    },
    Fsync,
    Mkdir(NewFile),
    Symlink(Hash),
    Mknod(Hash),
    Link(Hash),
    Unlink(Hash),
    Rename {
        old: Hash,
        /// The other directory, and the name there.
        other: NodeId,
        new: Hash,
    },
}

/// A few bytes of a request that has to wait: names as Twalk has them, or data.
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    end: u16,
    bytes: [u8; Self::MOST],
}

impl Bytes {
    const MOST: usize = 512;

    /// # Errors
    /// A name is longer than Linux allows, or all of them together have no room.
    pub fn of_names(names: &[&[u8]]) -> Result<Self, Errno> {
        const { assert!(Self::MOST >= 2 + 255) };
        let mut new = Self { end: 0, bytes: [0; Self::MOST] };
        let mut writer = Writer::new(&mut new.bytes);
        for name in names {
            if name.len() > 255 {
                return Err(Errno::ENAMETOOLONG);
            }
            name.write(&mut writer);
        }
        new.end = writer.written().map_err(|_| Errno::ENAMETOOLONG)? as u16;
        Ok(new)
    }

    /// None when there are too many of them.
    pub fn of_data(data: &[u8]) -> Option<Self> {
        let mut new = Self { end: data.len() as u16, bytes: [0; Self::MOST] };
        new.bytes.get_mut(..data.len())?.copy_from_slice(data);
        Some(new)
    }

    pub fn data(&self) -> &[u8] {
        &self.bytes[..self.end.into()]
    }

    /// Where names can be read.
    pub fn names(&self) -> Reader<'_> {
        Reader::new(self.data())
    }

    /// The only name.
    pub fn name(&self) -> &[u8] {
        <&[u8]>::read(&mut self.names())
    }
}

impl NewFile {
    pub const fn new(name: Bytes, mode: u32, gid: u32) -> Self {
        Self { name, mode, gid, asked: 0, is_restored: false }
    }

    pub fn hash(&self) -> Hash {
        Hash::of(self.name.name())
    }
}

impl Job {
    pub const fn is_free(&self) -> bool {
        matches!(self.task, Task::None)
    }

    /// It is done in any case, so that whoever flushes it is answered afterwards.
    pub const fn is_change(&self) -> bool {
        matches!(self.task, Task::Create(_) | Task::Made(_) | Task::Forward(_))
    }

    /// It looks for a name: that there is none is no failure.
    pub const fn looks_up(&self) -> bool {
        matches!(self.task, Task::Walk { .. } | Task::Create(_) | Task::Made(_))
    }

    /// The upstream fid of a file that is being created.
    pub const fn ffid(&self) -> u32 {
        if let Task::Create(create) = &self.task { create.ffid } else { 0 }
    }

    /// The second directory that it holds; 0: none.
    pub const fn other(&self) -> NodeId {
        if let Task::Forward(Change::Rename { other, .. }) = self.task { other } else { 0 }
    }

    /// The names that it changes, each with its directory; 0: none.
    pub fn names(&self) -> [(NodeId, Hash); 2] {
        let none = (0, Hash::default());
        match &self.task {
            Task::Create(Create { new, .. }) | Task::Forward(Change::Mkdir(new)) => [(self.node, new.hash()), none],
            &Task::Forward(Change::Symlink(name) | Change::Mknod(name) | Change::Link(name) | Change::Unlink(name)) => {
                [(self.node, name), none]
            }
            &Task::Forward(Change::Rename { old, other, new }) => [(self.node, old), (other, new)],
            _ => [none; 2],
        }
    }

    /// It waits for one request less; for `new` in its place if that is not 0.
    pub fn replace_wait(&mut self, old: usize, new: u16) {
        self.wait = self.wait.map(|tag| if usize::from(tag) == old { new } else { tag });
    }

    pub fn waits_for(&self, tag: usize) -> bool {
        self.wait.iter().any(|&wait| usize::from(wait) == tag)
    }
}

/// What a job needs next: the kernel gets a reply, or there is none yet.
pub type Outcome = Result<Reply, Unanswered>;

/// What the kernel is answered.
pub enum Reply {
    Version(u32),
    Attach(Qid),
    Walk(Vec<Qid, MAXWELEM>),
    Getattr(Qid, Attr),
    Open(Qid),
    Create(Qid),
    Write(u32),
    Setattr,
    Fsync,
    Mkdir,
    Symlink(Qid),
    Mknod(Qid),
    Link,
    Unlink,
    Rename,
    Statfs(Rstatfs),
    Lock,
    Flush,
    Clunk,
    /// It has been sent: it was copied from the cache.
    Sent,
}

/// Why a job has no reply.
#[derive(Clone, Copy)]
pub enum Unanswered {
    /// The reply is an error.
    Fail(Errno),
    /// Requests were sent, or were on their way already. The job runs again once all of them are answered.
    Wait { on: [u16; 2], ignore_error: bool },
    /// It runs again with the next [`poll`](super::super::Relay::poll).
    Stall,
    /// It runs again now.
    Again,
}

impl Unanswered {
    pub const fn wait(tag: u16) -> Self {
        Self::Wait { on: [tag, 0], ignore_error: false }
    }
}

impl From<Errno> for Unanswered {
    fn from(errno: Errno) -> Self {
        Self::Fail(errno)
    }
}
