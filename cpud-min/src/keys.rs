//! The two key files: authorized keys and the host key. init reports at start what is wrong with them, guard reads them
//! for each connection, and `--check` looks at them before they are written. All of them call this file.

use core::ffi::CStr;

use rustix::io::Errno;
use ssh_lite::keys::authorized_keys;
use ssh_lite::keys::host_key::{HostKey, HostKeyError};

use crate::plan::quoted::Quoted;
use crate::say;
use crate::sys::errno::Sentence;
use crate::sys::{fs, memory};

/// The largest file of authorized keys that is read.
pub const AUTHORIZED_KEYS_MAX: usize = 64 * 1024;

/// The largest file that an ed25519 host key is read from.
const HOST_KEY_MAX: usize = 4096;

/// Whoever can write this file can log in: sshd's StrictModes.
const WRITTEN_BY_OTHERS: u32 = 0o022;

/// Whoever can read this file can impersonate this machine.
const OPEN_TO_OTHERS: u32 = 0o077;

/// Reads a file of authorized keys.
pub fn read_authorized_keys<'b>(path: &CStr, room: &'b mut [u8]) -> Result<&'b [u8], Errno> {
    fs::read_guarded_file(path, room, WRITTEN_BY_OTHERS)
}

/// Reads the host key and wipes the buffer that held its text.
pub fn read_host_key(path: &CStr) -> Result<HostKey, Unusable> {
    let mut buffer = [0; HOST_KEY_MAX];
    let read = fs::read_guarded_file(path, &mut buffer, OPEN_TO_OTHERS).map_err(Unusable::Unreadable)?;
    let key = HostKey::from_openssh(read).map_err(Unusable::NoKey);
    buffer.fill(0);
    // Without this the compiler may drop the write, since nobody reads the buffer again.
    core::hint::black_box(&buffer);
    key
}

/// What is wrong with the text of a host key that is about to be written.
pub fn host_key_error(text: &[u8]) -> Option<HostKeyError> {
    if text.len() < HOST_KEY_MAX { HostKey::from_openssh(text).err() } else { Some(HostKeyError::TooLong) }
}

/// Why there is no host key.
pub enum Unusable {
    Unreadable(Errno),
    NoKey(HostKeyError),
}

impl Unusable {
    /// As an error of a system call.
    pub const fn errno(&self) -> Errno {
        match self {
            Self::Unreadable(error) => *error,
            Self::NoKey(_) => Errno::NOKEY,
        }
    }
}

/// The host key, or None after saying why nobody can connect.
pub fn host_key_or_say(path: &CStr) -> Option<HostKey> {
    let name = Quoted(path.to_bytes());
    match read_host_key(path) {
        Ok(key) => return Some(key),
        Err(Unusable::Unreadable(error)) => {
            say!("cpud: nobody can connect: the host key {name} cannot be read: {}", Sentence(error));
        }
        Err(Unusable::NoKey(error)) => say!("cpud: nobody can connect: the host key {name}: {error}"),
    }
    None
}

/// Reports up to `most` bad lines of a file of authorized keys; None when it cannot be read.
pub fn look_at_authorized_keys(path: &CStr, most: usize) -> Option<Found> {
    let read = memory::pages(AUTHORIZED_KEYS_MAX).and_then(|room| read_authorized_keys(path, room));
    match read {
        Ok(text) => Some(look_at_lines(path, text, most)),
        Err(error) => {
            say!("cpud: nobody can log in: {} cannot be read: {}", Quoted(path.to_bytes()), Sentence(error));
            None
        }
    }
}

/// How many lines hold a usable key, and how many were refused.
pub struct Found {
    pub usable: usize,
    pub refused: usize,
}

/// Reports up to `most` bad lines of the file `path`.
pub fn look_at_lines(path: &CStr, text: &[u8], most: usize) -> Found {
    let mut found = Found { usable: 0, refused: 0 };
    for entry in authorized_keys::parse(text) {
        match entry {
            Ok(_) => found.usable += 1,
            Err(problem) => {
                found.refused += 1;
                say!("cpud: {}: {problem}", Quoted(path.to_bytes()));
                if found.refused == most {
                    break;
                }
            }
        }
    }
    found
}

/// Says that nobody can log in.
pub fn say_that_none_is_usable(path: &CStr) {
    say!("cpud: nobody can log in: there is no usable key in {}", Quoted(path.to_bytes()));
}
