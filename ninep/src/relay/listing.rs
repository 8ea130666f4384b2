//! The entries of a directory, as they arrive in pieces.

use crate::limits::HDRSZ;
use crate::types::{Dirent, qt};
use crate::wire::{Reader, Wire, WireError};

/// Bytes of an entry before its name: `qid[13] offset[8] type[1] name[s]`.
pub const HEAD: usize = 24;

/// Longest entry that is kept: Linux's programs can name what has up to 255 bytes.
pub const ENTRY: usize = HEAD + 255;

/// Longest entry that there is: file systems with names in UTF-16 (vfat, exfat, NTFS) show 255 units of it as up to 765
/// bytes.
pub const LONGEST: usize = HEAD + 765;

const _: () = assert!(HEAD > HDRSZ as usize);

/// Puts an entry together that comes in pieces.
#[derive(Debug)]
pub struct Pieces {
    bytes: [u8; ENTRY],
    end: usize,
    /// What is to come of a name that is too long.
    skip: usize,
}

impl Pieces {
    pub const fn new() -> Self {
        Self { bytes: [0; ENTRY], end: 0, skip: 0 }
    }

    pub const fn is_empty(&self) -> bool {
        self.end + self.skip == 0
    }

    pub const fn clear(&mut self) {
        (self.end, self.skip) = (0, 0);
    }

    /// Takes bytes off the front of `rest`. Some when an entry is whole; one whose name is too long has no name then.
    ///
    /// # Errors
    /// The entry is malformed, or its name is too long where entries may not be left out.
    pub fn next<'p>(&'p mut self, rest: &mut &[u8], all: bool) -> Result<Option<Dirent<'p>>, WireError> {
        loop {
            let skipped = self.skip.min(rest.len());
            (self.skip, *rest) = (self.skip - skipped, &rest[skipped..]);
            let wanted = match self.bytes.first_chunk::<HEAD>().filter(|_| self.end >= HEAD) {
                Some(&[.., low, high]) => HEAD + usize::from(u16::from_le_bytes([low, high])),
                None => HEAD,
            };
            if wanted > ENTRY && !all {
                (self.skip, self.end) = (wanted - HEAD, 0);
                self.bytes[HEAD - 2..HEAD].fill(0);
                return Ok(Some(Dirent::read(&mut Reader::new(&self.bytes[..HEAD]))));
            }
            let room = self.bytes.get_mut(self.end..wanted).ok_or(WireError::NoRoom)?;
            let n = room.len().min(rest.len());
            room[..n].copy_from_slice(&rest[..n]);
            *rest = &rest[n..];
            self.end += n;
            if self.end < wanted {
                return Ok(None);
            }
            if wanted > HEAD || (self.end >= HEAD && self.bytes[HEAD - 2..HEAD] == [0, 0]) {
                self.end = 0;
                let mut reader = Reader::new(&self.bytes[..wanted]);
                let entry = Dirent::read(&mut reader);
                return reader.finish().map(|()| Some(entry));
            }
        }
    }
}

/// The `DT_*` of an entry: the stock server gives the qid's type in its place.
pub const fn dirent_kind(entry: &Dirent<'_>) -> u8 {
    const DT_UNKNOWN: u8 = 0;
    const DT_DIR: u8 = 4;
    const DT_REG: u8 = 8;
    const DT_LNK: u8 = 10;
    match (entry.kind, entry.qid.kind) {
        (kind, qid) if kind != qid => kind,
        (_, qid) if qid & qt::DIR != 0 => DT_DIR,
        (_, qid) if qid & qt::SYMLINK != 0 => DT_LNK,
        (_, qt::FILE) => DT_REG,
        _ => DT_UNKNOWN,
    }
}
