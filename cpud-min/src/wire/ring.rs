//! A queue of input that the command has not read yet.

/// A queue of bytes in borrowed memory.
///
/// `start` is where the oldest byte is, `len` how many follow it, over the end of the memory if need be. An empty queue
/// begins at 0 again, so that one keystroke at a time touches one page.
pub struct Ring<'m> {
    memory: &'m mut [u8],
    start: usize,
    len: usize,
}

impl<'m> Ring<'m> {
    pub const fn new(memory: &'m mut [u8]) -> Self {
        Self { memory, start: 0, len: 0 }
    }

    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends as much of `bytes` as there is room for; returns how much that was.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let size = self.memory.len();
        let n = bytes.len().min(size - self.len);
        let end = (self.start + self.len) % size;
        let before_the_end = n.min(size - end);
        self.memory[end..end + before_the_end].copy_from_slice(&bytes[..before_the_end]);
        self.memory[..n - before_the_end].copy_from_slice(&bytes[before_the_end..n]);
        self.len += n;
        n
    }

    /// The oldest bytes, as many as are contiguous.
    pub fn front(&self) -> &[u8] {
        &self.memory[self.start..self.memory.len().min(self.start + self.len)]
    }

    /// Drops the `n` oldest bytes, at most all.
    pub fn pop(&mut self, n: usize) {
        let n = n.min(self.len);
        self.len -= n;
        self.start = if self.len == 0 { 0 } else { (self.start + n) % self.memory.len() };
    }

    /// Returns the memory.
    pub const fn into_memory(self) -> &'m mut [u8] {
        self.memory
    }

    /// Drops all bytes and returns the memory's pages to the kernel; how many bytes there were.
    pub fn clear(&mut self) -> usize {
        crate::sys::memory::release(self.memory);
        self.start = 0;
        core::mem::take(&mut self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn bytes_come_out_in_order_over_the_end_of_the_memory() {
        let mut memory = [0; 7];
        let mut ring = Ring::new(&mut memory);
        let (mut out, mut next) = (Vec::new(), 0_u8);
        for round in 0..40 {
            let bytes: Vec<u8> = (0..round % 5).map(|i| next.wrapping_add(i)).collect();
            next = next.wrapping_add(ring.push(&bytes) as u8);
            let n = ring.front().len().min(3);
            out.extend_from_slice(&ring.front()[..n]);
            ring.pop(n);
        }
        while !ring.is_empty() {
            out.push(ring.front()[0]);
            ring.pop(1);
        }
        let expected: Vec<u8> = (0..next).collect();
        assert!(out.len() > 50);
        assert_eq!(out, expected);
    }

    #[test]
    fn what_does_not_fit_is_not_taken() {
        let mut memory = [0; 4];
        let mut ring = Ring::new(&mut memory);
        assert_eq!(ring.push(b"abcdef"), 4);
        assert_eq!(ring.push(b"g"), 0);
        assert_eq!(ring.front(), b"abcd");
    }
}
