//! The binary packet protocol (RFC 4253 sections 4 to 6) in the caller's buffers.

mod half;
mod ident;
mod queue;
mod receive;
mod send;

#[cfg(test)]
mod tests;

pub use half::Volume;
pub use ident::{IDENT_PREFIX, Ident};
pub use receive::Receiver;
pub use send::Sender;

/// Bytes of the padding_length field.
const PADDING_LENGTH_LEN: usize = 1;
/// The least padding of a packet.
const PADDING_MIN: usize = 4;
/// What the length of an unencrypted packet, its first field included, is a multiple of.
const PLAIN_BLOCK: usize = 8;
