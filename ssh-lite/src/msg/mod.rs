//! The messages of ssh: one table says what each looks like and when it is legal.

mod field;
mod table;

#[cfg(test)]
mod tests;

use crate::wire::{Reader, WireError, Writer};
pub use field::Rest;
pub use table::*;

/// One message's number and encoding; the rows of the table implement it.
pub trait Encode {
    const NUMBER: u8;
    /// Writes the whole payload, the number first.
    fn encode(&self, to: &mut Writer<'_>) -> Result<(), WireError>;
}

/// Who sends a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sender {
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

/// Whether `from` may send the message `number` in `phase`; `None` when the table has no such message.
pub fn legal(number: u8, from: Sender, phase: Phase) -> Option<bool> {
    let (sender, phases) = row(number)?;
    Some((sender == from || sender == Sender::Either) && phases.contains(&phase))
}

fn finished<'a, T>(
    mut reader: Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, WireError>,
) -> Result<T, WireError> {
    let value = read(&mut reader)?;
    reader.finish()?;
    Ok(value)
}
