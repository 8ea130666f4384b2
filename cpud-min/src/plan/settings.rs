//! The settings of one box, in the first 64 KiB of its flash part: who may log in, its own key, its name and address.
//!
//! ```text
//! offset  0  "cpud-set"
//!         8  version, 1               32 bits, little endian
//!        12  length of the text       32 bits, little endian
//!        16  SHA-256 of the text
//!        48  the text: lines of a word, a blank, and its value; empty lines and those with # are nothing
//! ```
//!
//! `scripts/settings.sh` writes it. If one line is not understood, no line is used: half of the settings could admit
//! whom the other half keeps out.

use core::fmt::{self, Display, Formatter};

use sha2::{Digest, Sha256};

use super::network::Network;
use super::quoted::Quoted;

/// The size of the region, at the beginning of the flash part.
pub const REGION: usize = 64 * 1024;

const MAGIC: &[u8; 8] = b"cpud-set";
const VERSION: u32 = 1;
const HEADER: usize = 48;

/// Settings that passed every check.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings<'a> {
    text: &'a [u8],
    pub network: Network<'a>,
}

/// Why there are no settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SettingsError<'a> {
    /// Erased flash.
    Empty,
    /// Something else is there.
    Magic,
    Version(u32),
    /// The text is longer than what was read.
    Length(u32),
    Checksum,
    /// A line, counted from 1, that means nothing.
    Line(usize, &'a [u8]),
}

impl Display for SettingsError<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty"),
            Self::Magic => f.write_str("not in cpud's format"),
            Self::Version(version) => write!(f, "in format {version}, and this cpud knows {VERSION}"),
            Self::Length(length) => write!(f, "damaged: {length} bytes of text do not fit"),
            Self::Checksum => f.write_str("damaged: the checksum differs"),
            Self::Line(number, text) => {
                write!(f, "not understood: line {number}")?;
                // Other words may be part of a secret.
                let shown = matches!(split(text), (b"hostname" | b"address" | b"gateway", _));
                if shown { write!(f, ": {}", Quoted(text)) } else { Ok(()) }
            }
        }
    }
}

impl<'a> Settings<'a> {
    /// Parses a region, or as much of it as there is.
    pub fn parse(region: &'a [u8]) -> Result<Self, SettingsError<'a>> {
        if region.iter().all(|&byte| byte == 0xff) {
            return Err(SettingsError::Empty);
        }
        let (header, rest) = region.split_first_chunk::<HEADER>().ok_or(SettingsError::Magic)?;
        let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (version, length) = (word(8), word(12));
        if !header.starts_with(MAGIC) {
            return Err(SettingsError::Magic);
        }
        if version != VERSION {
            return Err(SettingsError::Version(version));
        }
        let text = rest.get(..length as usize).ok_or(SettingsError::Length(length))?;
        if Sha256::digest(text).as_slice() != &header[16..] {
            return Err(SettingsError::Checksum);
        }
        Self::read(text)
    }

    fn read(text: &'a [u8]) -> Result<Self, SettingsError<'a>> {
        let mut settings = Self { text, network: Network::default() };
        for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let bad = SettingsError::Line(number + 1, line);
            match split(line) {
                (b"" | b"#", _) | (b"authorized-key" | b"host-key", _) => {}
                (word, value) => settings.network.set(word, value).map_err(|_| bad)?,
            }
        }
        Ok(settings)
    }

    /// The lines of the network's words: the last of each.
    pub fn network_lines(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let text = self.text;
        let last = move |kind: &[u8]| text.rsplit(|&byte| byte == b'\n').find(|line| split(line).0 == kind);
        [&b"hostname"[..], b"address", b"gateway"].into_iter().filter_map(last)
    }

    /// The lines of an authorized_keys file.
    pub fn authorized_keys(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.values(b"authorized-key")
    }

    /// The lines of a host key's file.
    pub fn host_key(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.values(b"host-key")
    }

    fn values(&self, name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        let lines = self.text.split(|&byte| byte == b'\n').map(split);
        lines.filter(move |(word, _)| *word == name).map(|(_, value)| value)
    }
}

/// Joins lines into a file, in `room`, which is as large as the region that they are from.
pub fn join<'b, 'l>(lines: impl Iterator<Item = &'l [u8]>, room: &'b mut [u8]) -> &'b [u8] {
    let mut end = 0;
    for line in lines {
        room[end..][..line.len()].copy_from_slice(line);
        room[end + line.len()] = b'\n';
        end += line.len() + 1;
    }
    &room[..end]
}

/// A line's first word, and the text after one blank.
pub fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
    (&line[..end], line.get(end + 1..).unwrap_or_default())
}

#[cfg(test)]
mod tests;
