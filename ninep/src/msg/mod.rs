//! The messages of 9P2000.L: a struct for each, [`Message`] for any of them, and the frame around
//! them.

mod table;
#[cfg(test)]
mod tests;

use core::fmt;
use core::ops::RangeInclusive;

use crate::limits::HDRSZ;
use crate::wire::{Reader, Wire, WireError, Writer, record};

/// The version string of this protocol (version(5)).
pub const VERSION: &[u8] = b"9P2000.L";

record! {
    /// What a frame begins with (intro(5)): `size[4] type[1] tag[2]`; size counts the whole frame,
    /// itself included.
    #[derive(Copy)]
    Header: size[4] kind[1] tag[2]
}

/// A message of the table: its fields are the body, what follows the header.
pub trait Body<'a>: Wire<'a> {
    const TYPE: Type;

    /// Writes the whole frame to the front of `out` and returns it.
    ///
    /// # Errors
    /// [`WireError::NoRoom`] when `out` or a count field is too small, [`WireError::Nul`] for a NUL
    /// in a string.
    fn encode<'o>(&self, tag: u16, out: &'o mut [u8]) -> Result<&'o mut [u8], WireError> {
        let mut writer = Writer::after_header(out);
        self.write(&mut writer);
        let end = writer.finish(Self::TYPE, tag)?;
        Ok(&mut out[..end])
    }
}

/// What all messages share is code once.
impl<'o> Writer<'o> {
    /// For the body of a frame that begins where `out` does.
    #[inline(never)]
    pub(crate) fn after_header(out: &'o mut [u8]) -> Self {
        let mut writer = Self::new(out);
        writer.bytes(&[0; HDRSZ as usize]);
        writer
    }

    /// Puts the header before the body; the length of the frame.
    #[inline(never)]
    pub(crate) fn finish(self, kind: Type, tag: u16) -> Result<usize, WireError> {
        let end = self.written()?;
        let size = u32::try_from(end).map_err(|_| WireError::NoRoom)?;
        Header { size, kind: kind as u8, tag }.write(&mut self.rewrite());
        Ok(end)
    }
}

/// One whole frame: its header, and its body not yet read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame<'a> {
    pub header: Header,
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Takes `bytes` as one frame.
    ///
    /// # Errors
    /// [`WireError::Truncated`] or [`WireError::Trailing`] when size\[4\] is not the number of
    /// bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let header = Header::read(&mut reader);
        let size = usize::try_from(header.size).map_err(|_| WireError::Truncated)?;
        let body = reader.bytes(size.checked_sub(HDRSZ as usize).ok_or(WireError::Truncated)?);
        reader.finish()?;
        Ok(Self { header, body })
    }

    /// The body as a `B`, whatever the header's type says.
    pub fn body<B: Body<'a>>(&self) -> Result<B, WireError> {
        let mut reader = Reader::new(self.body);
        let body = B::read(&mut reader);
        reader.finish()?;
        Ok(body)
    }
}

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DecodeError {
    /// The bytes are not one frame.
    Frame(WireError),
    /// The number is no message of 9P2000.L.
    UnknownType(u8),
    /// The body is not what the type asks for.
    Body(Type, WireError),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => write!(f, "malformed 9P frame: {error}"),
            Self::UnknownType(number) => write!(f, "unknown 9P message type {number}"),
            Self::Body(kind, error) => write!(f, "malformed {kind}: {error}"),
        }
    }
}

impl core::error::Error for DecodeError {}

macro_rules! define {
    ($(
        $(#[$doc:meta])*
        $name:ident $(<$lt:lifetime>)? = $number:literal: $($field:ident [$($unit:tt)+])*;
    )*) => {
        /// The types of 9P2000.L by number.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[repr(u8)]
        pub enum Type {
            $($name = $number,)*
        }

        impl Type {
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The sizes that a whole frame of this type can have.
            pub const fn sizes(self) -> RangeInclusive<u32> {
                match self {
                    $(Self::$name => HDRSZ + $name::LEAST..=$name::MOST.saturating_add(HDRSZ),)*
                }
            }
        }

        $(
            record! {
                $(#[$doc])*
                #[doc = concat!("\n\n`size[4] ", stringify!($name), " tag[2]"
                    $(, " ", stringify!($field), "[", $(stringify!($unit),)+ "]")*, "`")]
                $name $(<$lt>)?: $($field [$($unit)+])*
            }

            impl<'a> Body<'a> for $name $(<$lt>)? {
                const TYPE: Type = Type::$name;
            }
        )*

        /// Any message.
        #[derive(Clone, Debug, Eq, PartialEq)]
        pub enum Message<'a> {
            $($name($name $(<$lt>)?),)*
        }

        impl<'a> Message<'a> {
            /// Reads one whole frame: its tag and its message.
            pub fn decode(frame: &'a [u8]) -> Result<(u16, Self), DecodeError> {
                let frame = Frame::parse(frame).map_err(DecodeError::Frame)?;
                let Header { kind, tag, .. } = frame.header;
                let kind = Type::from_number(kind).ok_or(DecodeError::UnknownType(kind))?;
                let mut reader = Reader::new(frame.body);
                let message = match kind {
                    $(Type::$name => Self::$name(Wire::read(&mut reader)),)*
                };
                reader.finish().map_err(|error| DecodeError::Body(kind, error))?;
                Ok((tag, message))
            }

            /// As [`Body::encode`].
            pub fn encode<'o>(
                &self,
                tag: u16,
                out: &'o mut [u8],
            ) -> Result<&'o mut [u8], WireError> {
                match self {
                    $(Self::$name(body) => body.encode(tag, out),)*
                }
            }
        }
    };
}
table::messages!(define);

impl Type {
    /// Whether it goes from the client to the server.
    pub const fn is_request(self) -> bool {
        (self as u8).is_multiple_of(2)
    }

    /// Whether a number is one of 9P2000's requests that 9P2000.L has others for: Topen, Tcreate, Tstat and Twstat.
    /// Linux knows them (`p9_msg_t`), and asks Twstat of a server that supports neither Trenameat nor Trename. The last
    /// number is Google's Twalkgetattr, too, which Linux does not know.
    pub const fn is_of_9p2000(number: u8) -> bool {
        matches!(number, 112 | 114 | 124 | 126)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
