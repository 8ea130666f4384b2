//! The queue of bytes to one side.

use crate::msg::{Body, Header, Rread, Rreaddir, Type};
use crate::wire::{Data, Wire, Writer};

/// Bytes of a reply before its data: `size[4] type[1] tag[2] count[4]`.
pub const DATA_HEAD: usize = 11;

/// A queue in memory that was handed in. A frame can be queued before its data has come ([`reserve`](Out::reserve)).
/// What is behind it in the queue waits for that.
#[derive(Debug)]
pub struct Out<'m> {
    memory: &'m mut [u8],
    start: usize,
    end: usize,
    /// The bytes of a reserved frame that are still to come, none when empty.
    hole: core::ops::Range<usize>,
}

impl<'m> Out<'m> {
    pub const fn new(memory: &'m mut [u8]) -> Self {
        Self { memory, start: 0, end: 0, hole: 0..0 }
    }

    pub const fn into_memory(self) -> &'m mut [u8] {
        self.memory
    }

    pub const fn room(&self) -> usize {
        self.memory.len() - (self.end - self.start)
    }

    /// What can be taken now.
    pub fn ready(&self) -> &[u8] {
        let end = if self.hole.is_empty() { self.end } else { self.hole.start };
        &self.memory[self.start..end]
    }

    pub fn consume(&mut self, n: usize) {
        self.start += n;
        debug_assert!(self.start <= self.end);
        if self.start == self.end {
            (self.start, self.end, self.hole) = (0, 0, 0..0);
        }
    }

    /// The next `n` free bytes; `n` is at most [`room`](Self::room).
    fn space(&mut self, n: usize) -> &mut [u8] {
        if self.memory.len() - self.end < n {
            self.memory.copy_within(self.start..self.end, 0);
            if !self.hole.is_empty() {
                self.hole = self.hole.start - self.start..self.hole.end - self.start;
            }
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.memory[self.end..]
    }

    /// Appends a message. The caller makes sure that there is room.
    pub fn message<'a, M: Body<'a>>(&mut self, tag: u16, message: &M) {
        let mut writer = self.frame();
        message.write(&mut writer);
        let written = writer.finish(M::TYPE, tag);
        debug_assert!(written.is_ok(), "{} does not fit", M::TYPE);
        self.end += written.unwrap_or(0);
    }

    #[inline(never)]
    fn frame(&mut self) -> Writer<'_> {
        let room = self.room();
        Writer::after_header(self.space(room))
    }

    /// Appends `n` bytes that `write` fills in. When it returns false, nothing is appended.
    pub fn with(&mut self, n: usize, write: impl FnOnce(&mut [u8]) -> bool) -> bool {
        let written = write(&mut self.space(n)[..n]);
        self.end += if written { n } else { 0 };
        written
    }

    /// Appends `head` and `n` bytes that are still to come. No other hole may be open.
    pub fn reserve(&mut self, head: &[u8], n: usize) {
        debug_assert!(self.hole.is_empty());
        self.space(head.len() + n)[..head.len()].copy_from_slice(head);
        self.hole = self.end + head.len()..self.end + head.len() + n;
        self.end = self.hole.end;
    }

    /// The next bytes of the reserved frame.
    pub fn fill(&mut self, bytes: &[u8]) {
        self.memory[self.hole.start..][..bytes.len()].copy_from_slice(bytes);
        self.hole.start += bytes.len();
    }
}

/// The head of an Rread or Rreaddir with so many bytes.
pub fn data_head(kind: Type, tag: u16, count: u32) -> [u8; DATA_HEAD] {
    const {
        assert!(<Rread<'_> as Wire<'_>>::LEAST == 4 && <Rreaddir<'_> as Wire<'_>>::LEAST == 4);
        assert!(<Data<'_> as Wire<'_>>::LEAST == 4);
    };
    let mut head = [0; DATA_HEAD];
    let mut writer = Writer::new(&mut head);
    Header { size: DATA_HEAD as u32 + count, kind: kind as u8, tag }.write(&mut writer);
    count.write(&mut writer);
    debug_assert!(writer.written().is_ok());
    head
}
