//! The frame of the upstream server's that is under way.

use super::listing::Pieces;
use crate::limits::HDRSZ;
use crate::msg::Header;
use crate::wire::{Reader, Wire};

#[derive(Debug)]
pub struct Input<'m> {
    pub bytes: &'m mut [u8],
    pub filled: usize,
    /// Data that is still to come of a frame whose head has been dealt with.
    pub data_left: u32,
    pub tag: u16,
    /// The entry of a directory that is under way.
    pub entry: Pieces,
}

impl<'m> Input<'m> {
    pub fn new(bytes: &'m mut [u8]) -> Self {
        Self { bytes, filled: 0, data_left: 0, tag: 0, entry: Pieces::new() }
    }

    pub const fn into_memory(self) -> &'m mut [u8] {
        self.bytes
    }

    pub fn header(&self) -> Option<Header> {
        let head = self.bytes.first_chunk::<{ HDRSZ as usize }>().filter(|_| self.filled >= HDRSZ as usize)?;
        Some(Header::read(&mut Reader::new(head)))
    }
}
