//! What a client asks of a session (RFC 4254 sections 6.2 to 6.9).

use super::TerminalModes;
use crate::wire::{Reader, WireError};

/// A request on a session's channel. Byte strings may hold any byte; bounds are those of a packet.
#[derive(Clone, Copy, Debug)]
pub enum Request<'e> {
    /// RFC 4254 section 6.4.
    Env { name: &'e [u8], value: &'e [u8] },
    /// RFC 4254 section 6.2. Width and height are in pixels.
    Pty { term: &'e str, columns: u32, rows: u32, width: u32, height: u32, modes: TerminalModes<'e> },
    /// RFC 4254 section 6.7.
    WindowChange { columns: u32, rows: u32, width: u32, height: u32 },
    /// RFC 4254 section 6.5.
    Exec { command: &'e [u8] },
    /// RFC 4254 section 6.5.
    Shell,
    /// RFC 4254 section 6.5.
    Subsystem { name: &'e str },
    /// RFC 4254 section 6.9; the name is without SIG.
    Signal { name: &'e str },
}

impl<'e> Request<'e> {
    /// `None`: a request that is not known here.
    pub(crate) fn decode(name: &str, fields: &'e [u8]) -> Result<Option<Self>, WireError> {
        let mut from = Reader::new(fields);
        let request = match name {
            "env" => Self::Env { name: from.string()?, value: from.string()? },
            "pty-req" => Self::Pty {
                term: from.text()?,
                columns: from.uint32()?,
                rows: from.uint32()?,
                width: from.uint32()?,
                height: from.uint32()?,
                modes: TerminalModes::new(from.string()?),
            },
            "window-change" => Self::WindowChange {
                columns: from.uint32()?,
                rows: from.uint32()?,
                width: from.uint32()?,
                height: from.uint32()?,
            },
            "exec" => Self::Exec { command: from.string()? },
            "shell" => Self::Shell,
            "subsystem" => Self::Subsystem { name: from.text()? },
            "signal" => Self::Signal { name: from.text()? },
            _ => return Ok(None),
        };
        from.finish()?;
        Ok(Some(request))
    }

    /// Only one of these can succeed per channel (RFC 4254 section 6.5).
    pub(crate) const fn is_command(&self) -> bool {
        matches!(self, Self::Exec { .. } | Self::Shell | Self::Subsystem { .. })
    }
}
