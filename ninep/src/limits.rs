//! Every bound of this crate, with where it is from.

/// Bytes of `size[4] type[1] tag[2]`, the least a frame can have (intro(5); `P9_HDRSZ`).
pub const HDRSZ: u32 = 7;

/// Bytes to keep free of payload in a message of msize (`P9_IOHDRSZ`): Twrite needs 23, Rread and
/// Rreaddir 11.
pub const IOHDRSZ: u32 = 24;

/// The least msize that Linux mounts with (`p9_client_version`).
pub const MSIZE_MIN: u32 = 4096;

/// Most names in one Twalk (walk(5); `P9_MAXWELEM`).
pub const MAXWELEM: usize = 16;

/// The tag of Tversion and Rversion, and of nothing else (version(5); `P9_NOTAG`).
pub const NOTAG: u16 = !0;

/// The afid of an attach without authentication (attach(5); `P9_NOFID`).
pub const NOFID: u32 = !0;

/// The n_uname of an attach by name only (diod's protocol.md; `P9_NONUNAME`).
pub const NONUNAME: u32 = !0;

/// Tags that [`frame::Check`](crate::frame::Check) follows: 0 to 1023, at 4 bytes each.
///
/// v9fs takes the lowest free tag and a task waits for its reply, so reaching 1,024 takes as many
/// tasks inside the mount at the same moment. The protocol allows 65,535, which would make 256 KiB
/// a session.
pub const TAGS: usize = 1024;
