//! Requests to the upstream server that have no reply yet.

use super::cache::ContentRef;
use super::hash::Hash;
use super::node::{Moment, NodeId, OpenId};
use crate::frame::Fault;

/// A request to the upstream server that has no reply yet. Its tag is its place in the table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    pub kind: RequestKind,
    /// The number of the message.
    pub message: u8,
    /// When it was sent.
    pub moment: Moment,
    /// The one job that its reply is for, if it is for one.
    pub job: u32,
    /// The node that it asks about, and holds; of a walk, the directory.
    pub node: NodeId,
    /// The upstream fid that it makes, opens or asks about.
    pub ffid: u32,
}

/// Why it was sent.
#[derive(Clone, Copy, Debug, Default)]
pub enum RequestKind {
    /// It was not: the tag is free.
    #[default]
    None,
    Version,
    Attach,
    /// Whose the user's home is.
    Home,
    /// What the client says of its mounts: the way there, or a piece of the file.
    Devices {
        offset: u64,
        count: u32,
    },
    Walk(Walk),
    /// A walk without attributes has found the file.
    WalkAttributes(Walk),
    Clone,
    Getattr,
    Readlink {
        /// Of the link.
        key: Hash,
    },
    Open {
        open: OpenId,
        /// Something is to be read before the file is known to be open.
        followed: bool,
    },
    OpenDirectory {
        followed: bool,
    },
    Clunk,
    /// Bytes of a file for the cache.
    Fetch(Transfer),
    /// Bytes of a file for one job.
    Direct {
        count: u32,
        /// The job is gone.
        lost: bool,
    },
    /// Entries of a directory for the cache.
    Listing(Transfer),
    /// Entries of a directory for one job.
    DirectListing {
        count: u32,
        lost: bool,
    },
    /// A step of the creation of a file: its name in the directory `node`, or none for the clone that becomes it.
    Create {
        name: Option<Hash>,
    },
    /// Zeroes behind the end of a file.
    Zeroes {
        offset: u64,
    },
    /// Mode or owner of what has been made.
    Mode,
    /// What a job asks the upstream server to do.
    Forward,
}

/// A name is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    pub name: Hash,
    /// The directory's, when it was asked.
    pub key: Hash,
    pub ahead: Ahead,
}

/// What is done with a file that a walk has found, before somebody asks for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ahead {
    No,
    /// A directory is listed.
    List,
    /// It is the first name in its directory.
    Enter,
    /// A file is opened; in a directory the next name is asked for, as [`super::habit`] expects.
    Use,
}

/// Bytes on their way to the cache.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    pub content: ContentRef,
    /// Where reading begins, or a listing goes on.
    pub offset: u64,
    /// Bytes that were asked for.
    pub count: u32,
    /// Bytes that have come; of a listing, all that are kept.
    pub got: u64,
    /// What comes is not kept.
    pub lost: bool,
    /// The file was still being opened when it was sent: that it is refused says nothing.
    pub early: bool,
}

impl Request {
    pub fn new(kind: RequestKind) -> Self {
        Self { kind, ..Self::default() }
    }

    /// About a node, which the caller pins.
    pub fn on(node: NodeId, kind: RequestKind) -> Self {
        Self { kind, node, ..Self::default() }
    }

    pub const fn is_free(&self) -> bool {
        matches!(self.kind, RequestKind::None)
    }

    /// The name in the directory `node` that it asks about.
    pub const fn name(&self) -> Option<Hash> {
        match self.kind {
            RequestKind::Walk(Walk { name, .. }) | RequestKind::WalkAttributes(Walk { name, .. }) => Some(name),
            RequestKind::Create { name } => name,
            _ => None,
        }
    }

    /// It is not followed by a read any more. False: it was not before.
    pub const fn stop_following(&mut self) -> bool {
        match &mut self.kind {
            RequestKind::Open { followed, .. } | RequestKind::OpenDirectory { followed } => {
                core::mem::replace(followed, false)
            }
            _ => false,
        }
    }

    pub const fn is_followed(&self) -> bool {
        matches!(self.kind, RequestKind::Open { followed: true, .. } | RequestKind::OpenDirectory { followed: true })
    }

    /// The bytes that it asked for; None when its reply has none.
    pub const fn count(&self) -> Option<u32> {
        match self.kind {
            RequestKind::Fetch(Transfer { count, .. })
            | RequestKind::Listing(Transfer { count, .. })
            | RequestKind::Direct { count, .. }
            | RequestKind::DirectListing { count, .. }
            | RequestKind::Devices { count, .. } => Some(count),
            _ => None,
        }
    }

    pub const fn is_listing(&self) -> bool {
        matches!(self.kind, RequestKind::Listing(_) | RequestKind::DirectListing { .. })
    }

    /// Its data goes to a job, and not to the cache.
    pub const fn is_direct(&self) -> bool {
        matches!(self.kind, RequestKind::Direct { .. } | RequestKind::DirectListing { .. })
    }

    /// Of such a one: nobody waits for the data any more.
    pub const fn lose(&mut self) {
        if let RequestKind::Direct { lost, .. } | RequestKind::DirectListing { lost, .. } = &mut self.kind {
            *lost = true;
        }
    }

    pub const fn wrong_reply(&self) -> Fault {
        Fault::WrongReply { request: self.message }
    }
}
