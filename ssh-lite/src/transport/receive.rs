//! Packets of the peer, opened where they arrived.

use super::{
    PADDING_LENGTH_LEN, PADDING_MIN, PLAIN_BLOCK,
    half::{Half, Volume},
    ident::Ident,
};
use crate::{
    error::{Error, Malformed},
    limits::READ_AHEAD,
};
use core::ops::Range;
use ssh_lite_cipher::{Key, LENGTH_LEN, TAG_LEN};

/// The receive buffer, and the half of the transport that opens what is in it.
///
/// `0 <= start <= end <= buffer.len()`. `start..end` has arrived and is not done with; `current` is
/// the packet being handled and begins at `start`. Bytes beyond `end` are never touched, so that
/// a large buffer costs memory only when large packets come.
pub struct Receiver<'a> {
    buffer: &'a mut [u8],
    start: usize,
    end: usize,
    current: Option<Range<usize>>,
    /// The size of the whole packet at `start`, once its length field has arrived.
    expected: Option<usize>,
    pub(super) half: Half,
    /// How far the buffer is filled ahead of the packet at hand.
    ahead: usize,
}

impl<'a> Receiver<'a> {
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, start: 0, end: 0, current: None, expected: None, half: Half::new(), ahead: READ_AHEAD }
    }

    /// The buffer is filled no further ahead than that, and than [`READ_AHEAD`].
    pub fn read_ahead(&mut self, bytes: usize) {
        self.ahead = bytes.min(READ_AHEAD);
    }

    /// The largest packet that can be received.
    pub const fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// Room for bytes of the peer; empty when packets must be handled first.
    pub fn space(&mut self) -> &mut [u8] {
        let bound = self.bound();
        self.buffer.get_mut(self.end..bound).unwrap_or_default()
    }

    /// The first `n` bytes of [`space`](Self::space) have been filled.
    pub fn commit(&mut self, n: usize) {
        self.end = (self.end + n).min(self.buffer.len());
    }

    /// The peer's first line.
    pub fn ident(&mut self) -> Result<Option<Ident>, Error> {
        let Some((ident, taken)) = Ident::take(&self.buffer[self.start..self.end])? else {
            return Ok(None);
        };
        self.start += taken;
        Ok(Some(ident))
    }

    /// Opens the next packet, done with the one before, and returns where its payload lies. `None`:
    /// not all of it has arrived. `limit` bounds the whole packet beside the size of the buffer.
    pub fn next(&mut self, limit: usize) -> Result<Option<Range<usize>>, Error> {
        if let Some(done) = self.current.take() {
            self.start = done.end;
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let Some(&field) = self.buffer[self.start..self.end].first_chunk() else {
            self.make_room(LENGTH_LEN);
            return Ok(None);
        };
        let expected = match self.expected {
            Some(expected) => expected,
            None => *self.expected.insert(self.packet_size(field, limit)?),
        };
        if self.end - self.start < expected {
            self.make_room(expected);
            return Ok(None);
        }
        self.open(self.start..self.start + expected).map(Some)
    }

    /// The bytes of a payload that [`next`](Self::next) returned.
    pub fn payload(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// The sequence number of the packet that was opened last.
    pub const fn last_sequence(&self) -> u32 {
        self.half.sequence.wrapping_sub(1)
    }

    /// What came under the present key.
    pub const fn volume(&self) -> Volume {
        self.half.volume
    }

    /// From the next packet on `key` is used; strict key exchange restarts the sequence.
    pub fn rekey(&mut self, key: Key, restart_sequence: bool) {
        self.half.rekey(key, restart_sequence);
    }

    /// How far the buffer may be filled: no further than to read ahead, or than the packet at hand.
    fn bound(&self) -> usize {
        self.ahead.max(self.start + self.expected.unwrap_or(LENGTH_LEN)).min(self.buffer.len())
    }

    /// Moves an unfinished packet to the front if it would not fit where it is.
    fn make_room(&mut self, size: usize) {
        if self.start > 0 && self.start + size > self.ahead.min(self.buffer.len()) {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
    }

    /// The size of a whole packet, if its length is one that a packet can have (RFC 4253 section 6).
    fn packet_size(&self, field: [u8; LENGTH_LEN], limit: usize) -> Result<usize, Error> {
        let (length, outside, block, tag_len) = match &self.half.key {
            None => (u32::from_be_bytes(field), LENGTH_LEN, PLAIN_BLOCK, 0),
            Some(key) => (key.packet_length(self.half.sequence, field), 0, key.algorithm().block_len(), TAG_LEN),
        };
        let size = LENGTH_LEN.saturating_add(length as usize).saturating_add(tag_len);
        let aligned = (length as usize).saturating_add(outside).is_multiple_of(block);
        // RFC 4253 section 6: at least 16 bytes, or a block, without the tag.
        let least = if outside == 0 { block } else { 16 - LENGTH_LEN };
        if aligned && length as usize >= least && size <= limit.min(self.buffer.len()) {
            Ok(size)
        } else {
            Err(Malformed::PacketLength(length).into())
        }
    }

    fn open(&mut self, packet: Range<usize>) -> Result<Range<usize>, Error> {
        let tag_len = match &mut self.half.key {
            None => 0,
            Some(key) => {
                let bytes = &mut self.buffer[packet.clone()];
                key.open(self.half.sequence, bytes).map_err(|_| Malformed::Tag)?;
                TAG_LEN
            }
        };
        let start = packet.start + LENGTH_LEN + PADDING_LENGTH_LEN;
        let end = packet.end - tag_len;
        let padding = usize::from(self.buffer[packet.start + LENGTH_LEN]);
        // A payload has at least the message's number.
        if padding < PADDING_MIN || start + padding >= end {
            return Err(Malformed::Padding.into());
        }
        self.half.count(packet.len());
        self.current = Some(packet);
        self.expected = None;
        Ok(start..end - padding)
    }
}
