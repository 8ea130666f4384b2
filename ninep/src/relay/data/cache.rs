//! The bytes of files, listings and symbolic links, each under a key made of what the upstream server says about the
//! file. They outlive requests and sessions.
//!
//! The kernel may take back pages of the blocks' memory, which then read as zeroes ([`Cache::reclaimable`]). So each
//! block remembers the place of one byte that is not 0, its witness. When the witness has become 0, the block counts as
//! evicted. A block of zeroes has no witness and loses nothing.
//!
//! Both tables are set-associative with sixteen ways, and evict the least recently used entry of a set. A look-up reads
//! sixteen entries. Blocks are not linked: a content that is forgotten loses its generation, and its blocks are free.

use core::sync::atomic::{Ordering, fence};

use super::hash::Hash;

/// Bytes of one block.
pub const BLOCK: usize = 4096;

const WAYS: usize = 16;

/// Longest target of a symbolic link that is kept.
pub const LINK: usize = 64;

/// The bytes of one file, directory listing or symbolic link as they were when its attributes had this key.
#[derive(Clone, Copy, Debug)]
pub struct Content {
    key: Hash,
    /// 0: unused.
    generation: u32,
    used: u32,
    /// Opens that read it piece by piece, and requests that fill it. Its blocks are not evicted meanwhile.
    pins: u32,
    /// Bytes of a listing that is complete, plus one.
    complete: u64,
    /// The upstream server has opened the file for reading while it had this key.
    pub readable: bool,
    /// Length of `link`, plus one.
    link_end: u8,
    link: [u8; LINK],
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Block {
    owner: u32,
    /// 0: unused.
    generation: u32,
    index: u32,
    used: u32,
    /// Valid bytes from the block's start.
    end: u16,
    /// Where one of them is not 0; [`NO_WITNESS`] when all are.
    witness: u16,
}

const NO_WITNESS: u16 = BLOCK as u16;

/// A content that may have been forgotten since.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ContentRef {
    index: u32,
    generation: u32,
}

/// Shared by the relays of one user.
#[derive(Debug)]
pub struct Cache<'m> {
    contents: &'m mut [Content],
    blocks: &'m mut [Block],
    data: &'m mut [u8],
    clock: u32,
    generation: u32,
    /// Bytes have been put in since [`reclaimable`](Self::reclaimable) was asked.
    changed: bool,
    pub evictions: u64,
}

impl Default for Content {
    fn default() -> Self {
        Self {
            key: Hash::default(),
            generation: 0,
            used: 0,
            pins: 0,
            complete: 0,
            readable: false,
            link_end: 0,
            link: [0; LINK],
        }
    }
}

impl<'m> Cache<'m> {
    /// `contents` and `blocks` are all default, at least sixteen of each; `data` has [`BLOCK`] bytes a block.
    pub fn new(contents: &'m mut [Content], blocks: &'m mut [Block], data: &'m mut [u8]) -> Self {
        let (c, b) = (contents.len() / WAYS * WAYS, (blocks.len().min(data.len() / BLOCK)) / WAYS * WAYS);
        assert!(c > 0 && b > 0, "a cache has at least {WAYS} entries");
        Self {
            contents: &mut contents[..c],
            blocks: &mut blocks[..b],
            data: &mut data[..b * BLOCK],
            clock: 0,
            generation: 0,
            changed: false,
            evictions: 0,
        }
    }

    /// Bytes of file data it can hold.
    pub const fn capacity(&self) -> usize {
        self.data.len()
    }

    /// Bytes of blocks that were filled and not given up for others.
    pub fn used(&self) -> usize {
        self.blocks.iter().filter(|b| b.generation != 0).count() * BLOCK
    }

    /// The memory of the blocks, once after each change. Its pages may become zeroes from then on, when others need
    /// them, as with `MADV_FREE` of madvise(2).
    pub fn reclaimable(&mut self) -> Option<&mut [u8]> {
        core::mem::take(&mut self.changed).then_some(&mut *self.data)
    }

    /// What was put into a block is still in it.
    fn is_intact(&self, block: usize) -> bool {
        let witness = self.blocks[block].witness;
        witness == NO_WITNESS || self.data[block * BLOCK + usize::from(witness)] != 0
    }

    /// The content with this key, if it is known.
    pub fn find(&mut self, key: Hash) -> Option<ContentRef> {
        let set = self.content_set(key);
        let index = set.into_iter().find(|&i| self.contents[i].generation != 0 && self.contents[i].key == key)?;
        self.clock = self.clock.wrapping_add(1);
        self.contents[index].used = self.clock;
        Some(ContentRef { index: index as u32, generation: self.contents[index].generation })
    }

    /// As [`find`](Self::find), made when it is not known. None when every place is held.
    pub fn find_or_make(&mut self, key: Hash) -> Option<ContentRef> {
        if let Some(found) = self.find(key) {
            return Some(found);
        }
        let set = self.content_set(key).filter(|&i| self.contents[i].pins == 0);
        let age = |i: usize| {
            if self.contents[i].generation == 0 { u32::MAX } else { self.clock.wrapping_sub(self.contents[i].used) }
        };
        let index = set.max_by_key(|&i| age(i))?;
        self.generation = self.generation.wrapping_add(1).max(1);
        let used = self.clock;
        self.contents[index] = Content { key, generation: self.generation, used, ..Content::default() };
        Some(ContentRef { index: index as u32, generation: self.generation })
    }

    pub fn get(&mut self, at: ContentRef) -> Option<&mut Content> {
        self.contents.get_mut(at.index as usize).filter(|c| c.generation != 0 && c.generation == at.generation)
    }

    /// The complete listing with this key, and how many bytes it has.
    pub fn listing(&mut self, key: Hash) -> Option<(ContentRef, u64)> {
        let at = self.find(key)?;
        Some((at, self.get(at)?.listing()?))
    }

    /// Forgets a content: nobody finds it any more, and its bytes go unless somebody holds them.
    pub fn forget(&mut self, at: ContentRef) {
        if let Some(content) = self.get(at) {
            if content.pins > 0 {
                content.key.1 = content.generation.into();
            } else {
                *content = Content::default();
            }
        }
    }

    pub fn pin(&mut self, at: ContentRef) {
        if let Some(content) = self.get(at) {
            content.pins += 1;
        }
    }

    pub fn unpin(&mut self, at: ContentRef) {
        if let Some(content) = self.get(at) {
            content.pins = content.pins.saturating_sub(1);
        }
    }

    fn content_set(&self, key: Hash) -> core::ops::Range<usize> {
        let set = key.0 as usize % (self.contents.len() / WAYS);
        set * WAYS..(set + 1) * WAYS
    }

    fn block_set(&self, at: ContentRef, index: u32) -> core::ops::Range<usize> {
        let spread = (at.index as usize).wrapping_mul(0x9e37_79b9);
        let set = spread.wrapping_add(index as usize) % (self.blocks.len() / WAYS);
        set * WAYS..(set + 1) * WAYS
    }

    fn find_block(&self, at: ContentRef, index: u32) -> Option<usize> {
        let is_it = |b: &Block| b.generation == at.generation && b.owner == at.index && b.index == index;
        self.block_set(at, index).find(|&i| is_it(&self.blocks[i]) && self.is_intact(i))
    }

    /// How many of the `wanted` bytes from `offset` on are here in one piece.
    pub fn available(&self, at: ContentRef, offset: u64, wanted: u64) -> u64 {
        let alive = self.contents.get(at.index as usize).is_some_and(|c| c.generation == at.generation);
        let mut have = 0;
        while alive && have < wanted {
            let (place, start) = ((offset + have) / BLOCK as u64, (offset + have) % BLOCK as u64);
            let block = u32::try_from(place).ok().and_then(|index| self.find_block(at, index));
            let end = block.map_or(0, |b| u64::from(self.blocks[b].end));
            if end <= start {
                break;
            }
            have += end - start;
            if end < BLOCK as u64 {
                break;
            }
        }
        have.min(wanted)
    }

    /// Keeps `bytes` that belong at `offset`, where what is before them in the block is here. False when they are not
    /// kept: the content is forgotten, or there is no room.
    pub fn put(&mut self, at: ContentRef, mut offset: u64, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let Ok(index) = u32::try_from(offset / BLOCK as u64) else { return false };
            let start = (offset % BLOCK as u64) as usize;
            let Some(block) = self.block_for(at, index) else { return false };
            let Block { end, witness, .. } = &mut self.blocks[block];
            if usize::from(*end) < start {
                return false;
            }
            let n = bytes.len().min(BLOCK - start);
            self.data[block * BLOCK + start..][..n].copy_from_slice(&bytes[..n]);
            *end = (*end).max((start + n) as u16);
            if (start..start + n).contains(&usize::from(*witness)) || *witness == NO_WITNESS {
                let found = bytes[..n].iter().position(|&b| b != 0);
                *witness = found.map_or(NO_WITNESS, |at| (start + at) as u16);
            }
            self.changed = true;
            offset += n as u64;
            bytes = &bytes[n..];
        }
        true
    }

    fn block_for(&mut self, at: ContentRef, index: u32) -> Option<usize> {
        self.get(at)?;
        if let Some(block) = self.find_block(at, index) {
            return Some(block);
        }
        let mut best: Option<(u32, usize)> = None;
        for i in self.block_set(at, index) {
            let block = self.blocks[i];
            let owner = self.contents.get(block.owner as usize).filter(|c| c.generation == block.generation);
            let age = match owner {
                Some(owner) if owner.pins > 0 => continue,
                Some(_) if block.generation != 0 => self.clock.wrapping_sub(block.used),
                _ => u32::MAX,
            };
            if best.is_none_or(|(oldest, _)| age > oldest) {
                best = Some((age, i));
            }
        }
        let (age, block) = best?;
        self.evictions += u64::from(age != u32::MAX);
        self.clock = self.clock.wrapping_add(1);
        self.blocks[block] =
            Block { owner: at.index, generation: at.generation, index, used: self.clock, end: 0, witness: NO_WITNESS };
        Some(block)
    }

    /// Copies bytes to `out`; false when one of them is not here.
    pub fn copy(&mut self, at: ContentRef, mut offset: u64, mut out: &mut [u8]) -> bool {
        if self.get(at).is_none() {
            return out.is_empty();
        }
        while !out.is_empty() {
            let place = u32::try_from(offset / BLOCK as u64).ok().and_then(|index| self.find_block(at, index));
            let Some(block) = place else { return false };
            let start = (offset % BLOCK as u64) as usize;
            let bytes = self.data[block * BLOCK..].get(start..self.blocks[block].end.into()).unwrap_or_default();
            let n = bytes.len().min(out.len());
            out[..n].copy_from_slice(&bytes[..n]);
            // The page may have gone meanwhile; what is there after the copy was there before it.
            fence(Ordering::Acquire);
            if n == 0 || !self.is_intact(block) {
                return false;
            }
            self.clock = self.clock.wrapping_add(1);
            self.blocks[block].used = self.clock;
            offset += n as u64;
            out = &mut out[n..];
        }
        true
    }
}

impl Content {
    /// Bytes of the listing, when all of it was read.
    pub const fn listing(&self) -> Option<u64> {
        self.complete.checked_sub(1)
    }

    pub const fn set_listing(&mut self, end: u64) {
        self.complete = end + 1;
    }

    pub fn link(&self) -> Option<&[u8]> {
        let end = self.link_end.checked_sub(1)?;
        self.link.get(..usize::from(end))
    }

    pub fn set_link(&mut self, target: &[u8]) {
        if let Some(room) = self.link.get_mut(..target.len()) {
            room.copy_from_slice(target);
            self.link_end = target.len() as u8 + 1;
        }
    }
}

/// The key of a content that stands for nothing but the absence of a name in a directory.
pub fn absence(directory: Hash, name: Hash) -> Hash {
    Hash::of_words(&[directory.0, directory.1, name.0, name.1])
}
