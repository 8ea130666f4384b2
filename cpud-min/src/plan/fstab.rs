//! fstab(5): one mount a line, six fields, blanks inside a field written as `\040`.

use core::ffi::CStr;
use core::fmt::{self, Display, Formatter};

use super::mount_options::{Meaning, meaning};
use super::number::number;
use super::strings::{Refusal, Strings};

/// Bytes for one line's fields: three paths of `PATH_MAX` and one page of options, which is all
/// that mount(2) reads.
pub const ROOM: usize = 4 * 4096;

/// One line, ready for mount(2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry<'r> {
    /// The first field, `fs_spec`.
    pub source: &'r CStr,
    /// The second field, `fs_file`.
    pub target: &'r CStr,
    /// The third field, `fs_vfstype`.
    pub fstype: &'r CStr,
    /// The options in the fourth field, `fs_mntops`, that are `MS_*` flags.
    pub flags: u32,
    /// The others, comma by comma.
    pub data: &'r CStr,
}

impl Entry<'_> {
    /// Whether the kernel's client of NFS version 3 mounts it.
    pub fn is_nfs(&self) -> bool {
        self.fstype == NFS
    }
}

const NFS: &CStr = c"nfs";

/// The port of the first line of `table` that mounts NFS from this machine itself, as the stock client's `-nfs` writes
/// it: of type `nfs`, with the options `addr=127.0.0.1` and `port=`.
pub fn nfs_port(table: &[u8]) -> Option<u16> {
    Lines::new(table).find_map(|(_, fields)| {
        let fields = fields.ok().filter(|fields| fields.fstype == NFS.to_bytes())?;
        let value = |name: &[u8]| fields.options().find_map(|option| option.strip_prefix(name));
        matches!(value(b"addr="), Some(b"127.0.0.1")).then_some(())?;
        number(value(b"port=")?)
    })
}

/// What is wrong with a line. The sentence needs its line in front.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Malformed {
    /// It has this many fields, where four are needed and six are the most.
    Fields(usize),
    /// Its fields need more than [`ROOM`].
    TooLong,
    /// A NUL byte.
    Nul,
}

impl Display for Malformed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fields(n @ ..4) => write!(f, "has {n} of the 4 fields that it needs: source, target, type, options"),
            Self::Fields(n) => write!(f, "has {n} fields, more than the 6 of an fstab (a blank in a name is \\040)"),
            Self::TooLong => write!(f, "is longer than {ROOM} bytes"),
            Self::Nul => f.write_str("has a NUL byte in it"),
        }
    }
}

impl From<Refusal> for Malformed {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Nul => Self::Nul,
            Refusal::TooLong | Refusal::TooMany { .. } | Refusal::NoRoom { .. } => Self::TooLong,
        }
    }
}

/// The first four fields of a line, as written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fields<'t> {
    pub source: &'t [u8],
    pub target: &'t [u8],
    pub fstype: &'t [u8],
    pub options: &'t [u8],
}

impl<'t> Fields<'t> {
    fn split(line: &'t [u8]) -> Result<Self, Malformed> {
        let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
        let count = fields.clone().count();
        match (count, fields.next(), fields.next(), fields.next(), fields.next()) {
            (4..=6, Some(source), Some(target), Some(fstype), Some(options)) => {
                Ok(Self { source, target, fstype, options })
            }
            _ => Err(Malformed::Fields(count)),
        }
    }

    fn options(&self) -> impl Iterator<Item = &'t [u8]> {
        self.options.split(|&byte| byte == b',')
    }

    /// Whether mount(8) mounts the line when asked for all: not `noauto`, not the types `swap` and
    /// `ignore`, and not the mount point `none`, which is also how the stock client's `-namespace
    /// none` arrives.
    fn is_for_now(&self) -> bool {
        self.target != b"none"
            && !matches!(self.fstype, b"swap" | b"ignore")
            && self.options().all(|option| meaning(option) != Meaning::NotNow)
    }

    /// Parses the fields into an entry, its strings in `room`.
    pub fn decode<'r>(&self, room: &'r mut [u8; ROOM]) -> Result<Entry<'r>, Malformed> {
        let mut strings = Strings::new(room, 4);
        for field in [self.source, self.target, self.fstype] {
            unescape(field, &mut strings)?;
            strings.finish()?;
        }
        let (mut flags, mut comma) = (0, b"".as_slice());
        for option in self.options() {
            match meaning(option) {
                Meaning::Set(set) => flags |= set,
                Meaning::Clear(clear) => flags &= !clear,
                Meaning::Nothing | Meaning::NotNow => {}
                Meaning::Data => {
                    strings.put(comma)?;
                    unescape(option, &mut strings)?;
                    comma = b",";
                }
            }
        }
        strings.finish()?;
        let [source, target, fstype, data] = strings.into_array();
        Ok(Entry { source, target, fstype, flags, data })
    }
}

/// The lines of a table that are to be mounted, each with its number, the first of which is 1.
#[derive(Clone, Debug)]
pub struct Lines<'t> {
    rest: &'t [u8],
    number: usize,
}

impl<'t> Lines<'t> {
    pub const fn new(table: &'t [u8]) -> Self {
        Self { rest: table, number: 0 }
    }
}

impl<'t> Iterator for Lines<'t> {
    type Item = (usize, Result<Fields<'t>, Malformed>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let end = self.rest.iter().position(|&byte| byte == b'\n').unwrap_or(self.rest.len());
            let (line, rest) = self.rest.split_at(end);
            self.rest = rest.get(1..).unwrap_or_default();
            self.number += 1;
            let line = line.trim_ascii();
            if matches!(line, [] | [b'#', ..]) {
                continue;
            }
            let fields = Fields::split(line);
            if fields.is_err() || fields.is_ok_and(|fields| fields.is_for_now()) {
                return Some((self.number, fields));
            }
        }
        None
    }
}

/// Copies `field`, decoding each `\ooo`, three octal digits. A NUL cannot be written.
fn unescape(mut field: &[u8], strings: &mut Strings<'_>) -> Result<(), Refusal> {
    loop {
        field = match field {
            [] => return Ok(()),
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
                strings.put(&[(a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')])?;
                rest
            }
            [byte, rest @ ..] => {
                strings.put(&[*byte])?;
                rest
            }
        }
    }
}

#[cfg(test)]
mod tests;
