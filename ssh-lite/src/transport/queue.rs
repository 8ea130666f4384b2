//! Messages that cannot be sent yet.

use crate::{
    limits::{ANSWER_ROOM, PACKET_OVERHEAD, QUEUE},
    msg::Payload,
    wire::{WireError, Writer},
};
use core::ops::Range;

const SIZE_LEN: usize = 2;

/// A queue of payloads, each after its size in two bytes: `0 <= start <= end <= QUEUE`.
pub struct Queue {
    bytes: [u8; QUEUE],
    start: usize,
    end: usize,
}

impl Queue {
    pub const fn new() -> Self {
        Self { bytes: [0; QUEUE], start: 0, end: 0 }
    }

    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub fn push(&mut self, payload: Payload<'_>) -> Result<(), WireError> {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let (size, room) = self.bytes[self.end..].split_first_chunk_mut::<SIZE_LEN>().ok_or(WireError::NoRoom)?;
        // What is kept here must fit the room that it will be sent from.
        let longest = room.len().min(ANSWER_ROOM - PACKET_OVERHEAD);
        let mut to = Writer::new(&mut room[..longest]);
        payload(&mut to)?;
        let written = to.written();
        *size = u16::try_from(written).map_err(|_| WireError::NoRoom)?.to_be_bytes();
        self.end += SIZE_LEN + written;
        Ok(())
    }

    pub fn first(&self) -> Option<&[u8]> {
        self.first_range().map(|range| &self.bytes[range])
    }

    pub fn pop(&mut self) {
        if let Some(range) = self.first_range() {
            self.start = range.end;
        }
    }

    fn first_range(&self) -> Option<Range<usize>> {
        let size = self.bytes[self.start..self.end].first_chunk::<SIZE_LEN>()?;
        let start = self.start + SIZE_LEN;
        Some(start..start + usize::from(u16::from_be_bytes(*size)))
    }
}
