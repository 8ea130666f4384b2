//! The messages between wire and a session before the command runs: one per packet of a SOCK_SEQPACKET socketpair, a
//! byte for the kind and then fields in the types of RFC 4251 section 5.
//!
//! wire forwards the client's requests in the client's order; the session answers each with `Answer`. The answer to
//! `Exec` or `Shell` carries wire's ends of the command's streams; after it wire only listens, and answers `Nfs` alone.
//! The session's end closes when the command starts.

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io;
use ssh_lite::wire::{Reader, WireError, Writer};

use crate::sys::fdpass;

/// The longest message. A unix socket takes about 208 KiB in one (net.core.wmem_default); Linux allows 128 KiB in one
/// environment variable or argument. What is longer is refused by [`ToSession::TooLong`].
pub const MESSAGE_MAX: usize = 192 * 1024;

/// The longest command line: a byte and a length are before it.
pub const COMMAND_MAX: usize = MESSAGE_MAX - 5;

/// The longest message from a session: a home directory of 255 bytes, names of 256, and less than 80 besides.
pub const FROM_SESSION_MAX: usize = 600;

/// From wire to a session.
#[derive(Debug, PartialEq)]
pub enum ToSession<'a> {
    /// An environment variable (RFC 4254 section 6.4).
    Env { name: &'a [u8], value: &'a [u8] },
    /// A pseudo terminal (section 6.2), with its modes as they came (section 8).
    Pty { term: &'a str, size: [u32; 4], modes: &'a [u8] },
    /// Run this command line (section 6.5).
    Exec { command: &'a [u8] },
    /// Run the user's shell (section 6.5).
    Shell,
    /// wire dropped a variable of this length: the session tells the user.
    TooLong { what: &'a [u8], length: u32 },
    /// wire dropped a command line of this length: the session tells the user, and runs nothing.
    CommandTooLong { length: u32 },
}

/// From a session to wire.
#[derive(Debug, PartialEq)]
pub enum FromSession<'a> {
    /// The answer to every message. After `Exec` or `Shell` it carries descriptors: standard input, output and error,
    /// or the terminal's master.
    Answer { ok: bool },
    /// Connect the kernel's 9P client, through the user's relay, to the client's file server on this forwarded port.
    /// `nonce` is written first; it is empty for a V2 client. `freshness_ms` is the freshness bound. `home` is the
    /// user's directory there; `names`, separated by slashes, are what the session will look up in its root. The
    /// descriptors are the relay's end of the kernel's socket, both ends of the stream between relay and wire, and the
    /// file for the relay's counters.
    Ninep { port: u32, nonce: &'a [u8], freshness_ms: u32, home: &'a [u8], names: &'a [u8] },
    /// The kernel has the file server mounted.
    Mounted,
    /// The kernel's NFS client will connect to the client's file server on this forwarded port. The descriptor that
    /// comes along carries one such connection in each message. The answer is one byte: 1 when the port is forwarded.
    Nfs { port: u32 },
}

impl<'a> ToSession<'a> {
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, WireError> {
        let mut w = Writer::new(out);
        match *self {
            Self::Env { name, value } => {
                w.byte(1)?;
                w.string(name)?;
                w.string(value)
            }
            Self::Pty { term, size, modes } => {
                w.byte(2)?;
                w.string(term.as_bytes())?;
                size.iter().try_for_each(|&n| w.uint32(n))?;
                w.string(modes)
            }
            Self::Exec { command } => w.byte(3).and_then(|()| w.string(command)),
            Self::Shell => w.byte(4),
            Self::TooLong { what, length } => {
                w.byte(5)?;
                w.string(what)?;
                w.uint32(length)
            }
            Self::CommandTooLong { length } => w.byte(6).and_then(|()| w.uint32(length)),
        }?;
        Ok(w.written())
    }

    pub fn decode(message: &'a [u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(message);
        let decoded = match r.byte()? {
            1 => Self::Env { name: r.string()?, value: r.string()? },
            2 => Self::Pty {
                term: r.text()?,
                size: [r.uint32()?, r.uint32()?, r.uint32()?, r.uint32()?],
                modes: r.string()?,
            },
            3 => Self::Exec { command: r.string()? },
            4 => Self::Shell,
            5 => Self::TooLong { what: r.string()?, length: r.uint32()? },
            6 => Self::CommandTooLong { length: r.uint32()? },
            _ => return Err(WireError::Trailing),
        };
        r.finish().map(|()| decoded)
    }
}

impl<'a> FromSession<'a> {
    /// Sends the message to wire, with these descriptors.
    pub fn send(&self, socket: &OwnedFd, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut out = [0; FROM_SESSION_MAX];
        let n = self.encode(&mut out).map_err(|_| io::Errno::MSGSIZE)?;
        fdpass::send(socket, &out[..n], fds)
    }

    pub fn encode(&self, out: &mut [u8]) -> Result<usize, WireError> {
        let mut w = Writer::new(out);
        match *self {
            Self::Answer { ok } => w.byte(1).and_then(|()| w.boolean(ok)),
            Self::Ninep { port, nonce, freshness_ms, home, names } => {
                w.byte(2)?;
                w.uint32(port)?;
                w.string(nonce)?;
                w.uint32(freshness_ms)?;
                w.string(home)?;
                w.string(names)
            }
            Self::Mounted => w.byte(3),
            Self::Nfs { port } => w.byte(4).and_then(|()| w.uint32(port)),
        }?;
        Ok(w.written())
    }

    pub fn decode(message: &'a [u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(message);
        let decoded = match r.byte()? {
            1 => Self::Answer { ok: r.boolean()? },
            2 => Self::Ninep {
                port: r.uint32()?,
                nonce: r.string()?,
                freshness_ms: r.uint32()?,
                home: r.string()?,
                names: r.string()?,
            },
            3 => Self::Mounted,
            4 => Self::Nfs { port: r.uint32()? },
            _ => return Err(WireError::Trailing),
        };
        r.finish().map(|()| decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_to_a_session_is_read_as_it_was_written() {
        let messages = [
            ToSession::Env { name: b"PATH", value: b"/bin" },
            ToSession::Pty { term: "ansi", size: [80, 24, 0, 0], modes: &[53, 0, 0, 0, 1, 0] },
            ToSession::Exec { command: b"-port9p=17011 'ls'" },
            ToSession::Shell,
            ToSession::TooLong { what: b"BIG", length: 200_000 },
            ToSession::CommandTooLong { length: 200_000 },
        ];
        for message in messages {
            let mut out = [0; 256];
            let n = message.encode(&mut out).unwrap();
            assert_eq!(ToSession::decode(&out[..n]), Ok(message));
            assert!((0..n).all(|cut| ToSession::decode(&out[..cut]).is_err()));
            assert_eq!(ToSession::decode(&out[..n + 1]), Err(WireError::Trailing));
        }
    }

    #[test]
    fn every_message_from_a_session_is_read_as_it_was_written() {
        let messages = [
            FromSession::Answer { ok: true },
            FromSession::Ninep {
                port: 17011,
                nonce: b"0123456789abcdef0123456789abcdef",
                freshness_ms: 1000,
                home: b"/home/glenda",
                names: b"usr/etc",
            },
            FromSession::Mounted,
            FromSession::Nfs { port: 17012 },
        ];
        for message in messages {
            let mut out = [0; 256];
            let n = message.encode(&mut out).unwrap();
            assert_eq!(FromSession::decode(&out[..n]), Ok(message));
            assert!((0..n).all(|cut| FromSession::decode(&out[..cut]).is_err()));
            assert_eq!(FromSession::decode(&out[..n + 1]), Err(WireError::Trailing));
        }
    }
}
