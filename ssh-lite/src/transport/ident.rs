//! The identification line (RFC 4253 section 4.2).

use crate::{
    error::{Error, Incompatibility, Malformed},
    limits::IDENT_LINE,
};

/// What every identification of version 2.0 begins with.
pub const IDENT_PREFIX: &str = "SSH-2.0-";

/// The peer's identification without CR LF, as the exchange hash has it.
#[derive(Clone, Debug)]
pub struct Ident(heapless::Vec<u8, IDENT_LINE>);

impl Ident {
    /// Takes the line off the front of `bytes`: the identification and how long the line was.
    /// `None` when its end has not arrived. Only a server may send other lines before it.
    pub fn take(bytes: &[u8]) -> Result<Option<(Self, usize)>, Error> {
        let head = &bytes[..bytes.len().min(IDENT_LINE)];
        let Some(end) = head.iter().position(|&b| b == b'\n') else {
            // A peer that speaks another protocol is told at once, not when its line ends.
            let starts = b"SSH-".iter().zip(head).all(|(a, b)| a == b);
            return if starts && head.len() < IDENT_LINE { Ok(None) } else { Err(Malformed::Ident.into()) };
        };
        let line = head[..end].strip_suffix(b"\r").unwrap_or(&head[..end]);
        let version = line.strip_prefix(b"SSH-").ok_or(Malformed::Ident)?;
        if line.contains(&0) {
            return Err(Malformed::Ident.into());
        }
        // RFC 4253 section 5.1: a peer that can also speak the old version says 1.99.
        if !version.starts_with(b"2.0-") && !version.starts_with(b"1.99-") {
            return Err(Incompatibility::Version.into());
        }
        let ident = heapless::Vec::from_slice(line).map_err(|_| Malformed::Ident)?;
        Ok(Some((Self(ident), end + 1)))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
