//! The data types of RFC 4251 section 5: reading them from a packet and writing them into one.

mod reader;
mod writer;

pub use reader::Reader;
pub use writer::Writer;

/// A value that cannot be read from, or does not fit into, the bytes at hand.
///
/// One byte wide, since it is in the result of every read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WireError {
    /// The bytes end inside a value.
    Truncated,
    /// A string that must be UTF-8 or US-ASCII is not.
    NotText,
    /// Bytes are left after the last field of a message.
    Trailing,
    /// The output has no room for the value.
    NoRoom,
}
