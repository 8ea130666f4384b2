//! The messages of ssh: one table says what each looks like and when it is legal.

mod field;
mod table;

#[cfg(test)]
mod tests;

use crate::{
    error::{Error, Malformed, Misbehaviour},
    wire::{Reader, WireError, Writer},
};
pub use field::Rest;
pub use table::*;

/// One message's number and encoding; the rows of the table implement it.
pub trait Encode {
    const NUMBER: u8;
    /// Writes the whole payload, the number first.
    fn encode(&self, to: &mut Writer<'_>) -> Result<(), WireError>;
}

/// Writes the payload of some message.
pub(crate) type Payload<'m> = &'m dyn Fn(&mut Writer<'_>) -> Result<(), WireError>;

/// Who sends a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SentBy {
    Client,
    Server,
    Either,
}

/// Where a connection stands, as far as it decides which messages the peer may send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// The first key exchange, both KEXINITs seen, under strict key exchange.
    StrictKex,
    /// Any other key exchange between the peer's KEXINIT and its NEWKEYS, and before the first.
    Kex,
    /// There are keys, the user is not known yet.
    Login,
    /// The user has logged in.
    Open,
}

/// The error of a message `M` whose fields depend on each other.
pub(crate) fn malformed<M: Encode>(error: WireError) -> Error {
    Malformed::Message { number: M::NUMBER, error }.into()
}

/// The error of a message `M` that is out of its order.
pub(crate) fn unexpected<M: Encode>() -> Error {
    Misbehaviour::Unexpected { number: M::NUMBER }.into()
}

fn finished<'a, T>(
    mut reader: Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, WireError>,
) -> Result<T, WireError> {
    let value = read(&mut reader)?;
    reader.finish()?;
    Ok(value)
}
