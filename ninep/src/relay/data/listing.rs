//! The entries of a directory: as they arrive in pieces, and as they lie in a listing.

use core::ops::Range;

use super::cache::{Cache, ContentRef, absence};
use super::hash::Hash;
use crate::limits::HDRSZ;
use crate::types::{Dirent, qt};
use crate::wire::{Reader, Wire, WireError};

/// Bytes of an entry before its name: `qid[13] offset[8] type[1] name[s]`.
pub const HEAD: usize = 24;

/// Longest entry that is kept: a name on Linux has up to 255 bytes.
pub const ENTRY: usize = HEAD + 255;

/// Longest entry that a server sends: file systems with names in UTF-16 (vfat, exfat, NTFS) have 255 units, which are
/// up to 765 bytes of UTF-8.
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

    /// Takes bytes off the front of `rest`. Some when an entry is whole. A name that is too long is left empty.
    ///
    /// # Errors
    /// The entry is malformed, or its name is too long and `all` entries are wanted.
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

/// Whether it is known that a directory with this key does not have a name: from its listing, or from an earlier
/// answer.
pub fn is_absent(cache: &mut Cache<'_>, directory: Hash, name: &[u8]) -> bool {
    is_listed(cache, directory, name)
        .map_or_else(|| cache.find(absence(directory, Hash::of(name))).is_some(), |listed| !listed)
}

/// Whether the listing of a directory with this key has a name; None when it is not complete.
fn is_listed(cache: &mut Cache<'_>, directory: Hash, name: &[u8]) -> Option<bool> {
    let (listing, end) = cache.listing(directory)?;
    let mut at = 0;
    let mut entry = [0; ENTRY];
    while at < end {
        let n = read_entry(cache, listing, at, &mut entry)?;
        if &entry[HEAD..HEAD + n] == name {
            return Some(true);
        }
        at += (HEAD + n) as u64;
    }
    Some(false)
}

/// The entry at an offset of a listing; the length of its name. None when it is not here any more.
pub fn read_entry(cache: &mut Cache<'_>, listing: ContentRef, at: u64, entry: &mut [u8; ENTRY]) -> Option<usize> {
    if !cache.copy(listing, at, &mut entry[..HEAD]) {
        return None;
    }
    let n = usize::from(u16::from_le_bytes([entry[HEAD - 2], entry[HEAD - 1]]));
    cache.copy(listing, at + HEAD as u64, entry.get_mut(HEAD..HEAD + n)?).then_some(n)
}

/// Whether an entry of a listing, or its end, is at an offset.
pub fn begins_entry(cache: &mut Cache<'_>, listing: ContentRef, offset: u64) -> bool {
    let (mut at, mut entry) = (0, [0; ENTRY]);
    while at < offset
        && let Some(n) = read_entry(cache, listing, at, &mut entry)
    {
        at += (HEAD + n) as u64;
    }
    at == offset
}

/// How many bytes of a listing make whole entries within `count` bytes; None when one of them is not here any more.
pub fn entries_within(cache: &mut Cache<'_>, listing: ContentRef, range: Range<u64>, count: u32) -> Option<u64> {
    let mut taken = 0;
    while range.start + taken < range.end {
        let mut head = [0; HEAD];
        if !cache.copy(listing, range.start + taken, &mut head) {
            return None;
        }
        let next = taken + (HEAD + usize::from(u16::from_le_bytes([head[HEAD - 2], head[HEAD - 1]]))) as u64;
        if next > u64::from(count) {
            break;
        }
        taken = next;
    }
    Some(taken)
}
