//! The data types of intro(5): little-endian integers, strings with a two-byte count, and what is
//! made of them.

use core::fmt;

use heapless::Vec;

/// A value that cannot be read from, or does not fit into, the bytes at hand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WireError {
    /// The bytes end inside a value.
    Truncated,
    /// Bytes are left after the last field of a message.
    Trailing,
    /// A string has a NUL byte, which intro(5) forbids.
    Nul,
    /// A list has more than [`MAXWELEM`](crate::limits::MAXWELEM) elements.
    TooMany,
    /// The output has no room for the value, or its count field cannot express the length.
    NoRoom,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "it ends inside a field",
            Self::Trailing => "it has bytes after its last field",
            Self::Nul => "it has a NUL byte in a string",
            Self::TooMany => "it has too many names or qids",
            Self::NoRoom => "it does not fit",
        })
    }
}

impl core::error::Error for WireError {}

/// A value with exactly one form in bytes.
pub trait Wire<'a>: Sized {
    /// The least number of bytes it can take.
    const LEAST: u32;
    /// The greatest number of bytes it can take, `u32::MAX` at most.
    const MOST: u32;

    fn read(reader: &mut Reader<'a>) -> Self;
    fn write(&self, writer: &mut Writer<'_>);
}

/// Takes values off the front of a slice. After one that cannot be read all values are zeroes, and
/// [`finish`](Self::finish) says why: the fields of a message then need no check each.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    error: Option<WireError>,
}

impl<'a> Reader<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, error: None }
    }

    /// The next `n` bytes.
    #[inline(never)]
    pub fn bytes(&mut self, n: usize) -> &'a [u8] {
        match self.rest.split_at_checked(n) {
            Some((head, rest)) => {
                self.rest = rest;
                head
            }
            None => self.fail(WireError::Truncated),
        }
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.bytes(N).first_chunk().copied().unwrap_or([0; N])
    }

    fn fail(&mut self, error: WireError) -> &'a [u8] {
        self.error.get_or_insert(error);
        self.rest = &[];
        &[]
    }

    /// No bytes are left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// # Errors
    /// Why a value could not be read.
    pub const fn check(&self) -> Result<(), WireError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Ends the reading of a message.
    ///
    /// # Errors
    /// Why a value could not be read, or that bytes are left.
    pub fn finish(self) -> Result<(), WireError> {
        self.check()?;
        if self.is_empty() { Ok(()) } else { Err(WireError::Trailing) }
    }
}

/// Appends values to a slice. After one that does not fit it takes no more, and [`written`](Self::written) says so: the
/// fields of a message then need no check each.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut [u8],
    end: usize,
    error: Option<WireError>,
}

impl<'a> Writer<'a> {
    pub const fn new(out: &'a mut [u8]) -> Self {
        Self { out, end: 0, error: None }
    }

    /// How many bytes have been written.
    ///
    /// # Errors
    /// Why a value could not be.
    pub const fn written(&self) -> Result<usize, WireError> {
        match self.error {
            None => Ok(self.end),
            Some(error) => Err(error),
        }
    }

    /// Of what was written, the first bytes anew.
    pub(crate) const fn rewrite(self) -> Self {
        Self::new(self.out)
    }

    /// A call, which takes fewer bytes of code than what it does, for every field of every message.
    #[inline(never)]
    pub fn bytes(&mut self, bytes: &[u8]) {
        match self.out[self.end..].split_at_mut_checked(bytes.len()) {
            Some((room, _)) if self.error.is_none() => {
                room.copy_from_slice(bytes);
                self.end += bytes.len();
            }
            _ => self.fail(WireError::NoRoom),
        }
    }

    fn fail(&mut self, error: WireError) {
        self.error.get_or_insert(error);
    }
}

/// The notation `1`, `2`, `4`, `8`: little-endian integers.
macro_rules! integers {
    ($($int:ty)*) => {$(
        impl<'a> Wire<'a> for $int {
            const LEAST: u32 = size_of::<$int>() as u32;
            const MOST: u32 = Self::LEAST;

            #[inline(never)]
            fn read(reader: &mut Reader<'a>) -> Self {
                Self::from_le_bytes(reader.array())
            }

            fn write(&self, writer: &mut Writer<'_>) {
                writer.bytes(&self.to_le_bytes());
            }
        }
    )*};
}
integers! { u8 u16 u32 u64 }

/// The notation `s`: a count of two bytes and a text, without a NUL. Its encoding is UTF-8 by the
/// manual, any by Linux.
impl<'a> Wire<'a> for &'a [u8] {
    const LEAST: u32 = 2;
    const MOST: u32 = 2 + u16::MAX as u32;

    fn read(reader: &mut Reader<'a>) -> Self {
        let n = u16::read(reader);
        let text = reader.bytes(n.into());
        if text.contains(&0) { reader.fail(WireError::Nul) } else { text }
    }

    fn write(&self, writer: &mut Writer<'_>) {
        if self.contains(&0) {
            return writer.fail(WireError::Nul);
        }
        match u16::try_from(self.len()) {
            Ok(n) => n.write(writer),
            Err(_) => writer.fail(WireError::NoRoom),
        }
        writer.bytes(self);
    }
}

/// The notation `data[count]`: a count of four bytes and as many bytes of anything.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Data<'a>(pub &'a [u8]);

impl<'a> Wire<'a> for Data<'a> {
    const LEAST: u32 = 4;
    const MOST: u32 = u32::MAX;

    fn read(reader: &mut Reader<'a>) -> Self {
        let n = u32::read(reader);
        Self(reader.bytes(usize::try_from(n).unwrap_or(usize::MAX)))
    }

    fn write(&self, writer: &mut Writer<'_>) {
        match u32::try_from(self.0.len()) {
            Ok(n) => n.write(writer),
            Err(_) => writer.fail(WireError::NoRoom),
        }
        writer.bytes(self.0);
    }
}

/// The notations `nwname*s` and `nwqid*13`: a count of two bytes and as many elements, `N` at most.
impl<'a, T: Wire<'a>, const N: usize> Wire<'a> for Vec<T, N> {
    const LEAST: u32 = 2;
    const MOST: u32 = 2 + N as u32 * T::MOST;

    fn read(reader: &mut Reader<'a>) -> Self {
        let n = usize::from(u16::read(reader));
        if n > N {
            reader.fail(WireError::TooMany);
            return Self::new();
        }
        (0..n).map(|_| T::read(reader)).collect()
    }

    fn write(&self, writer: &mut Writer<'_>) {
        const { assert!(N <= u16::MAX as usize) };
        (self.len() as u16).write(writer);
        self.iter().for_each(|element| element.write(writer));
    }
}

/// The type of a field from its unit in the notation of the man pages.
macro_rules! unit {
    (1) => { u8 };
    (2) => { u16 };
    (4) => { u32 };
    (8) => { u64 };
    (13) => { $crate::types::Qid };
    (132) => { $crate::types::Attr };
    (s) => { &'a [u8] };
    (count) => { $crate::wire::Data<'a> };
    (nwname*s) => { heapless::Vec<&'a [u8], { $crate::limits::MAXWELEM }> };
    (nwqid*13) => { heapless::Vec<$crate::types::Qid, { $crate::limits::MAXWELEM }> };
}

/// A struct whose fields follow one another on the wire, from a row of the man pages.
macro_rules! record {
    ($(#[$meta:meta])* $name:ident $(<$lt:lifetime>)?: $($field:ident [$($unit:tt)+])*) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, Eq, PartialEq)]
        pub struct $name $(<$lt>)? {
            $(pub $field: $crate::wire::unit!($($unit)+),)*
        }

        impl<'a> $crate::wire::Wire<'a> for $name $(<$lt>)? {
            const LEAST: u32 = 0 $(+ <$crate::wire::unit!($($unit)+)>::LEAST)*;
            const MOST: u32 = 0u32 $(.saturating_add(<$crate::wire::unit!($($unit)+)>::MOST))*;

            #[allow(unused_variables, reason = "some messages have no fields")]
            fn read(reader: &mut $crate::wire::Reader<'a>) -> Self {
                Self { $($field: $crate::wire::Wire::read(reader),)* }
            }

            #[allow(unused_variables, reason = "some messages have no fields")]
            fn write(&self, writer: &mut $crate::wire::Writer<'_>) {
                $($crate::wire::Wire::write(&self.$field, writer);)*
            }
        }
    };
}

pub(crate) use {record, unit};
