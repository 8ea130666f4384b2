//! What messages are made of. A field that the protocol calls `type` is `kind` here, since `type`
//! is a keyword.

#[cfg(test)]
mod tests;

use crate::wire::{Data, Reader, Wire, WireError, record};

record! {
    /// The server's identity of a file (intro(5)): `type[1] version[4] path[8]`.
    #[derive(Copy)]
    Qid: kind[1] version[4] path[8]
}

/// Bits of [`Qid::kind`] (stat(5); 9P2000.u for symbolic links).
pub mod qt {
    pub const DIR: u8 = 0x80;
    pub const APPEND: u8 = 0x40;
    pub const EXCL: u8 = 0x20;
    pub const MOUNT: u8 = 0x10;
    pub const AUTH: u8 = 0x08;
    pub const TMP: u8 = 0x04;
    pub const SYMLINK: u8 = 0x02;
    pub const LINK: u8 = 0x01;
    pub const FILE: u8 = 0x00;
}

record! {
    /// The attributes of a file as stat(2) has them; times in seconds and nanoseconds since 1970.
    ///
    /// Which fields hold something is said by the `valid` of the message around it ([`getattr`]).
    /// The protocol's `gen`, a keyword as well, is `gen_number`.
    #[derive(Copy)]
    Attr: mode[4] uid[4] gid[4] nlink[8] rdev[8] size[8] blksize[8] blocks[8]
        atime_sec[8] atime_nsec[8] mtime_sec[8] mtime_nsec[8]
        ctime_sec[8] ctime_nsec[8] btime_sec[8] btime_nsec[8]
        gen_number[8] data_version[8]
}

/// Bits of `request_mask` in Tgetattr and of `valid` in Rgetattr (`P9_STATS_*`).
pub mod getattr {
    pub const MODE: u64 = 0x0001;
    pub const NLINK: u64 = 0x0002;
    pub const UID: u64 = 0x0004;
    pub const GID: u64 = 0x0008;
    pub const RDEV: u64 = 0x0010;
    pub const ATIME: u64 = 0x0020;
    pub const MTIME: u64 = 0x0040;
    pub const CTIME: u64 = 0x0080;
    pub const INO: u64 = 0x0100;
    pub const SIZE: u64 = 0x0200;
    pub const BLOCKS: u64 = 0x0400;
    pub const BTIME: u64 = 0x0800;
    pub const GEN: u64 = 0x1000;
    pub const DATA_VERSION: u64 = 0x2000;
    /// Everything that stat(2) tells: up to BLOCKS.
    pub const BASIC: u64 = 0x07ff;
    pub const ALL: u64 = 0x3fff;
}

/// Bits of `valid` in Tsetattr (`P9_ATTR_*`).
pub mod setattr {
    pub const MODE: u32 = 1 << 0;
    pub const UID: u32 = 1 << 1;
    pub const GID: u32 = 1 << 2;
    pub const SIZE: u32 = 1 << 3;
    pub const ATIME: u32 = 1 << 4;
    pub const MTIME: u32 = 1 << 5;
    pub const CTIME: u32 = 1 << 6;
    /// The time that is given; without it, now.
    pub const ATIME_SET: u32 = 1 << 7;
    pub const MTIME_SET: u32 = 1 << 8;
}

/// File types of [`Attr::mode`] (inode(7)).
pub mod mode {
    pub const FORMAT: u32 = 0o170_000;
    pub const REGULAR: u32 = 0o100_000;
    pub const DIRECTORY: u32 = 0o040_000;
}

/// Flags of Tlopen and Tlcreate (`P9_DOTL_*`): those of open(2) on x86, whatever the machine.
pub mod open {
    pub const RDONLY: u32 = 0o0;
    pub const WRONLY: u32 = 0o1;
    pub const RDWR: u32 = 0o2;
    pub const CREATE: u32 = 0o100;
    pub const EXCL: u32 = 0o200;
    pub const NOCTTY: u32 = 0o400;
    pub const TRUNC: u32 = 0o1000;
    pub const APPEND: u32 = 0o2000;
    pub const NONBLOCK: u32 = 0o4000;
    pub const DSYNC: u32 = 0o10000;
    pub const FASYNC: u32 = 0o20000;
    pub const DIRECT: u32 = 0o40000;
    pub const LARGEFILE: u32 = 0o100000;
    pub const DIRECTORY: u32 = 0o200000;
    pub const NOFOLLOW: u32 = 0o400000;
    pub const NOATIME: u32 = 0o1000000;
    pub const CLOEXEC: u32 = 0o2000000;
    pub const SYNC: u32 = 0o4000000;
}

record! {
    /// One entry of a directory (readdir in diod's protocol.md): `qid[13] offset[8] type[1]
    /// name[s]`.
    ///
    /// `offset` is what the Treaddir that goes on after this entry says, `kind` a `DT_*` of
    /// readdir(3).
    Dirent<'a>: qid[13] offset[8] kind[1] name[s]
}

/// The entries in the payload of an Rreaddir. Ends after the first one that is malformed.
#[derive(Clone, Debug)]
pub struct Dirents<'a> {
    rest: Option<Reader<'a>>,
}

impl<'a> Dirents<'a> {
    pub const fn new(Data(payload): Data<'a>) -> Self {
        Self { rest: Some(Reader::new(payload)) }
    }
}

impl<'a> Iterator for Dirents<'a> {
    type Item = Result<Dirent<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = self.rest.take()?;
        if reader.is_empty() {
            return None;
        }
        let entry = Dirent::read(&mut reader);
        let entry = reader.check().map(|()| entry);
        self.rest = entry.is_ok().then_some(reader);
        Some(entry)
    }
}
