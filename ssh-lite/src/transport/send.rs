//! Packets for the peer, sealed where they wait to be written.

use super::{
    PADDING_LENGTH_LEN, PADDING_MIN, PLAIN_BLOCK,
    half::{Half, Volume},
    ident::IDENT_PREFIX,
    queue::Queue,
};
use crate::{
    error::{Bug, Error, Misbehaviour},
    limits::{ANSWER_ROOM, DISCONNECT_ROOM, PACKET_OVERHEAD},
    msg::{Disconnect, Encode, Payload},
    wire::{WireError, Writer},
};
use ssh_lite_cipher::{Key, LENGTH_LEN, TAG_LEN};

const HEADER_LEN: usize = LENGTH_LEN + PADDING_LENGTH_LEN;

/// Messages up to this number belong to the transport and are sent during a key exchange
/// (RFC 4253 section 7.1; the two of the services in between are never sent then).
const LAST_OF_TRANSPORT: u8 = 49;

/// The send buffer, and the half of the transport that seals what goes into it.
///
/// `0 <= start <= end <= used <= buffer.len()`; `start..end` waits to be written.
pub struct Sender<'a> {
    buffer: &'a mut [u8],
    /// How much of the buffer is used.
    used: usize,
    start: usize,
    end: usize,
    pub(super) half: Half,
    /// This side has sent KEXINIT and not yet NEWKEYS: no message of the connection may go (RFC 4253 section 7.1).
    rekeying: bool,
    queue: Queue,
}

impl<'a> Sender<'a> {
    /// Uses the first `used` bytes of the buffer, at most all, until [`use_all`](Self::use_all).
    pub fn using(buffer: &'a mut [u8], used: usize) -> Self {
        Self {
            used: used.min(buffer.len()),
            buffer,
            start: 0,
            end: 0,
            half: Half::new(),
            rekeying: false,
            queue: Queue::new(),
        }
    }

    pub fn use_all(&mut self) {
        self.used = self.buffer.len();
    }

    /// What waits to be written.
    pub fn output(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The first `n` bytes of [`output`](Self::output) have been written.
    pub fn consume(&mut self, n: usize) {
        self.start = self.start.saturating_add(n).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// What went out under the present key.
    pub const fn volume(&self) -> Volume {
        self.half.volume
    }

    /// The identification line of `software`, before any packet.
    pub fn ident(&mut self, software: &str) -> Result<(), Error> {
        let mut to = Writer::new(&mut self.buffer[self.end..]);
        let parts = [IDENT_PREFIX, software, "\r\n"];
        parts.iter().try_for_each(|part| to.bytes(part.as_bytes())).map_err(|_| Bug::NoRoom)?;
        self.end += to.written();
        Ok(())
    }

    /// The answer to any packet fits.
    pub fn has_answer_room(&mut self) -> bool {
        self.make_room(ANSWER_ROOM + DISCONNECT_ROOM) >= ANSWER_ROOM + DISCONNECT_ROOM
    }

    /// Sends a message, or queues it while a key exchange runs or the peer does not read. The order is
    /// kept.
    pub fn send<M: Encode>(&mut self, message: &M) -> Result<(), Error> {
        self.send_payload(M::NUMBER, &|to| message.encode(to))
    }

    /// One function for all messages, and not one for each.
    fn send_payload(&mut self, number: u8, payload: Payload<'_>) -> Result<(), Error> {
        if number <= LAST_OF_TRANSPORT || self.is_ready() && self.has_answer_room() {
            return self.seal_payload(payload, DISCONNECT_ROOM);
        }
        self.queue.push(payload).map_err(|_| Misbehaviour::Flood.into())
    }

    /// The last message; it alone may use the last of the room.
    pub fn disconnect(&mut self, message: &Disconnect<'_>) -> Result<(), Error> {
        self.make_room(DISCONNECT_ROOM);
        self.seal_payload(&|to| message.encode(to), 0)
    }

    /// Sends what is in the queue, as far as it can go now.
    pub fn flush(&mut self) {
        while !self.rekeying
            && self.has_answer_room()
            && let Some(payload) = self.queue.first()
        {
            let at = self.end + HEADER_LEN;
            let len = payload.len();
            self.buffer[at..at + len].copy_from_slice(payload);
            self.seal(len);
            self.queue.pop();
        }
    }

    /// A message of the connection need not be queued, if it fits.
    pub const fn is_ready(&self) -> bool {
        !self.rekeying && self.queue.is_empty()
    }

    /// Our KEXINIT has been sent: until [`rekey`](Self::rekey) the messages of the connection are queued.
    pub const fn start_rekey(&mut self) {
        self.rekeying = true;
    }

    /// Our NEWKEYS has been sent: the next packet is sealed with `key`. Strict key exchange
    /// restarts the sequence.
    pub fn rekey(&mut self, key: Key, restart_sequence: bool) {
        self.half.rekey(key, restart_sequence);
        self.rekeying = false;
    }

    /// Room for up to `wanted` bytes of a channel's data behind `header_len` bytes of its message.
    /// Empty when less than that, and less than a quarter of the buffer, is free: packets would be small
    /// and the buffer's content moved often.
    pub fn data_space(&mut self, header_len: usize, wanted: usize) -> &mut [u8] {
        let reserve = PACKET_OVERHEAD + ANSWER_ROOM + DISCONNECT_ROOM;
        let enough = wanted.min(self.used / 4);
        let room = self.make_room(enough + reserve).saturating_sub(reserve);
        if enough == 0 || room < enough || !self.is_ready() {
            return &mut [];
        }
        let at = self.end + HEADER_LEN + header_len;
        &mut self.buffer[at..at + room.min(wanted)]
    }

    /// Seals a packet of the header that `write` makes and the `data_len` bytes that lie in
    /// [`data_space`](Self::data_space).
    pub fn data_commit(
        &mut self,
        header_len: usize,
        data_len: usize,
        write: impl FnOnce(&mut Writer<'_>) -> Result<(), WireError>,
    ) -> Result<(), Error> {
        let at = self.end + HEADER_LEN;
        let header = self.buffer.get_mut(at..at + header_len).ok_or(Bug::NoRoom)?;
        write(&mut Writer::new(header)).map_err(|_| Bug::NoRoom)?;
        self.seal(header_len + data_len);
        Ok(())
    }

    fn seal_payload(&mut self, payload: Payload<'_>, reserve: usize) -> Result<(), Error> {
        // What is behind the payload at most: 19 bytes of padding and the tag.
        let end = self.used.saturating_sub(reserve + 19 + TAG_LEN);
        let room = self.buffer.get_mut(self.end + HEADER_LEN..end).ok_or(Bug::NoRoom)?;
        let mut to = Writer::new(room);
        payload(&mut to).map_err(|_| Bug::NoRoom)?;
        let len = to.written();
        self.seal(len);
        Ok(())
    }

    /// Makes a packet of the payload that lies where it has to (RFC 4253 section 6).
    ///
    /// The padding is not random, as section 6 recommends: packets are either public or sealed by
    /// an authenticated cipher, which does not care what it seals.
    fn seal(&mut self, payload_len: usize) {
        let (outside, block, tag_len) = match &self.half.key {
            None => (LENGTH_LEN, PLAIN_BLOCK, 0),
            Some(key) => (0, key.algorithm().block_len(), TAG_LEN),
        };
        let unpadded = outside + PADDING_LENGTH_LEN + payload_len;
        let padding = (unpadded + PADDING_MIN).next_multiple_of(block) - unpadded;
        let length = PADDING_LENGTH_LEN + payload_len + padding;
        let packet = self.end..self.end + LENGTH_LEN + length + tag_len;
        let bytes = &mut self.buffer[packet.clone()];
        bytes[..LENGTH_LEN].copy_from_slice(&(length as u32).to_be_bytes());
        bytes[LENGTH_LEN] = padding as u8;
        bytes[HEADER_LEN + payload_len..][..padding].fill(0);
        if let Some(key) = &mut self.half.key {
            key.seal(self.half.sequence, bytes);
        }
        self.half.count(packet.len());
        self.end = packet.end;
    }

    /// Room behind what waits, moved to the front first if that is what `wanted` bytes need.
    fn make_room(&mut self, wanted: usize) -> usize {
        if self.used - self.end < wanted && self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        self.used - self.end
    }
}
