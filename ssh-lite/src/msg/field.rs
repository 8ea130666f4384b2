//! How the types of a message's fields are read and written.

use crate::wire::{Reader, WireError, Writer};

pub trait Field<'a>: Sized {
    fn read(from: &mut Reader<'a>) -> Result<Self, WireError>;
    fn write(self, to: &mut Writer<'_>) -> Result<(), WireError>;
}

/// The end of a message, whose shape depends on a field before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rest<'a>(pub &'a [u8]);

impl<'a> Field<'a> for bool {
    fn read(from: &mut Reader<'a>) -> Result<Self, WireError> {
        from.boolean()
    }
    fn write(self, to: &mut Writer<'_>) -> Result<(), WireError> {
        to.boolean(self)
    }
}

impl<'a> Field<'a> for u32 {
    fn read(from: &mut Reader<'a>) -> Result<Self, WireError> {
        from.uint32()
    }
    fn write(self, to: &mut Writer<'_>) -> Result<(), WireError> {
        to.uint32(self)
    }
}

impl<'a, const N: usize> Field<'a> for &'a [u8; N] {
    fn read(from: &mut Reader<'a>) -> Result<Self, WireError> {
        from.array()
    }
    fn write(self, to: &mut Writer<'_>) -> Result<(), WireError> {
        to.bytes(self)
    }
}

impl<'a> Field<'a> for &'a [u8] {
    fn read(from: &mut Reader<'a>) -> Result<Self, WireError> {
        from.string()
    }
    fn write(self, to: &mut Writer<'_>) -> Result<(), WireError> {
        to.string(self)
    }
}

impl<'a> Field<'a> for &'a str {
    fn read(from: &mut Reader<'a>) -> Result<Self, WireError> {
        from.text()
    }
    fn write(self, to: &mut Writer<'_>) -> Result<(), WireError> {
        to.string(self.as_bytes())
    }
}

impl<'a> Field<'a> for Rest<'a> {
    fn read(from: &mut Reader<'a>) -> Result<Self, WireError> {
        let rest = from.rest();
        from.bytes(rest.len()).map(Self)
    }
    fn write(self, to: &mut Writer<'_>) -> Result<(), WireError> {
        to.bytes(self.0)
    }
}
