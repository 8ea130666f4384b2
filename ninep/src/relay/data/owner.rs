//! Who owns what: a session runs as user 0, and the client's files belong to its user.

use super::hash::Hash;
use crate::types::{Attr, Qid};

/// The user that the upstream server runs as. The session sees that user as user 0; the client's root is 0, too.
#[derive(Clone, Copy, Debug, Default)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
    /// The upstream server has said so.
    pub known: bool,
}

impl Owner {
    pub const fn shown_uid(self, uid: u32) -> u32 {
        if uid == self.uid { 0 } else { uid }
    }

    pub const fn shown_gid(self, gid: u32) -> u32 {
        if gid == self.gid { 0 } else { gid }
    }

    /// The client's server may give files away.
    pub const fn is_root(self) -> bool {
        self.known && self.uid == 0
    }

    /// Whether in a directory nobody but the upstream user and root can replace what they own.
    pub const fn is_his_alone(self, directory: &Attr) -> bool {
        let Attr { uid, mode, .. } = *directory;
        (uid == self.uid || uid == 0) && (mode & 0o022 == 0 || mode & 0o1000 != 0)
    }

    /// What the upstream server is to set when the session says `uid`. None: the file's owner, `now`, is that already.
    pub const fn upstream_uid(self, uid: u32, now: u32) -> Option<u32> {
        changed(uid, now, self.uid)
    }

    pub const fn upstream_gid(self, gid: u32, now: u32) -> Option<u32> {
        changed(gid, now, self.gid)
    }

    /// Whether the upstream user certainly cannot look up names in a directory. Which groups he is in is unknown.
    pub const fn is_shut_out(self, attr: &Attr) -> bool {
        let search = if attr.uid == self.uid { 0o100 } else { 0o011 };
        self.uid != 0 && attr.mode & search == 0
    }

    pub const fn shown(self, attr: &Attr) -> Attr {
        Attr { uid: self.shown_uid(attr.uid), gid: self.shown_gid(attr.gid), ..*attr }
    }
}

const fn changed(id: u32, now: u32, own: u32) -> Option<u32> {
    let id = if id == 0 { own } else { id };
    if id == now { None } else { Some(id) }
}

/// The qid that the kernel is shown. The upstream server's path is an inode number, which is unique on one device only,
/// so the device goes into the upper 32 bits. v9fs adds 2 to a path for the inode number, and git compares the lower 32
/// bits with what it saw at home.
pub fn shown_qid(upstream: &Qid, device: u32, version: Hash) -> Qid {
    let path = upstream.path.wrapping_sub(2) ^ u64::from(device & 0x7fff_ffff) << 32;
    // v9fs takes a version of 0 for a file that must not be cached.
    Qid { kind: upstream.kind, version: (version.0 as u32).max(1), path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_other_user_may_write_is_his_alone() {
        let root = Owner { uid: 0, gid: 0, known: true };
        let is = |uid, mode: u32| root.is_his_alone(&Attr { uid, mode: 0o040_000 | mode, ..Attr::default() });
        assert!(is(0, 0o755) && is(0, 0o700) && is(0, 0o1777) && is(0, 0o1775));
        assert!(!is(0, 0o775) && !is(0, 0o757) && !is(0, 0o2775) && !is(0, 0o777));
        assert!(!is(1000, 0o755) && !is(1000, 0o1777) && !is(65534, 0o700));
        assert!(root.is_root());
        assert!(!Owner { uid: 1000, ..root }.is_root() && !Owner { known: false, ..root }.is_root());
    }
}
