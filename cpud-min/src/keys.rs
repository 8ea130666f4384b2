//! The two files of keys: authorized keys and the host key. init says at the start what is wrong with them, guard reads
//! them for each connection, and `--check` before they are written anywhere: all by what is here.

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

/// Who may write this file may log in: sshd's StrictModes.
const WRITTEN_BY_OTHERS: u32 = 0o022;

/// And who may read this one may pretend to be this machine.
const OPEN_TO_OTHERS: u32 = 0o077;

/// Reads a file of authorized keys.
pub fn read_authorized_keys<'b>(path: &CStr, room: &'b mut [u8]) -> Result<&'b [u8], Errno> {
    fs::read_guarded_file(path, room, WRITTEN_BY_OTHERS)
}

/// Reads the host key into this process alone.
pub fn read_host_key(path: &CStr) -> Result<HostKey, Unusable> {
    let mut buffer = [0; HOST_KEY_MAX];
    let read = fs::read_guarded_file(path, &mut buffer, OPEN_TO_OTHERS).map_err(Unusable::Unreadable)?;
    let key = HostKey::from_openssh(read).map_err(Unusable::NoKey);
    buffer.fill(0);
    // The compiler may drop a last write to a buffer that nobody reads.
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

/// Says what is wrong with a file of authorized keys, `most` lines of it; None when it cannot be read.
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

/// Lines of authorized keys.
pub struct Found {
    pub usable: usize,
    pub refused: usize,
}

/// Says what is wrong with lines that stand in the file `path`, up to the `most`th that is refused.
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
