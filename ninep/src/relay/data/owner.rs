//! Who owns what: a session runs as user 0, the client's files belong to its user.

use super::hash::Hash;
use crate::types::{Attr, Qid};

/// The far user, shown as user 0. The far side's own user 0 stays what it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
    /// The far side has said so.
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

    /// Whether nobody but the far user and root can put something in the place of what they own in a directory.
    pub const fn is_his_alone(self, directory: &Attr) -> bool {
        let Attr { uid, mode, .. } = *directory;
        (uid == self.uid || uid == 0) && (mode & 0o022 == 0 || mode & 0o1000 != 0)
    }

    /// What the far side is to set where the session says `uid`, for a file that belongs to `now`; None: nothing, since
    /// it is so already.
    pub const fn far_uid(self, uid: u32, now: u32) -> Option<u32> {
        far(uid, now, self.uid)
    }

    pub const fn far_gid(self, gid: u32, now: u32) -> Option<u32> {
        far(gid, now, self.gid)
    }

    /// Whether the far user can surely not look up names in a directory; which groups he is in is not known.
    pub const fn is_shut_out(self, attr: &Attr) -> bool {
        let search = if attr.uid == self.uid { 0o100 } else { 0o011 };
        self.uid != 0 && attr.mode & search == 0
    }

    pub const fn shown(self, attr: &Attr) -> Attr {
        Attr { uid: self.shown_uid(attr.uid), gid: self.shown_gid(attr.gid), ..*attr }
    }
}

const fn far(id: u32, now: u32, own: u32) -> Option<u32> {
    let id = if id == 0 { own } else { id };
    if id == now { None } else { Some(id) }
}

/// The qid that the kernel is shown: the far side's path is an inode number, which is one file's only on one device.
/// v9fs's inode numbers are paths and 2, and git compares the lower 32 bits with what it saw at home.
pub fn shown_qid(far: &Qid, device: u32, version: Hash) -> Qid {
    let path = far.path.wrapping_sub(2) ^ u64::from(device & 0x7fff_ffff) << 32;
    // v9fs takes a version of 0 for a file that must not be cached.
    Qid { kind: far.kind, version: (version.0 as u32).max(1), path }
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
