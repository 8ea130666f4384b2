//! The messages between wire and guard: one per packet of a SOCK_SEQPACKET socketpair, a byte for the kind and then
//! fields in the types of RFC 4251 section 5.
//!
//! wire asks one thing at a time; [`FromGuard::Ended`] may come at any moment.

use rustix::fd::{AsFd, OwnedFd};
use ssh_lite::auth;
use ssh_lite::wire::{Reader, WireError, Writer};

use crate::sys::fdpass;
use crate::sys::process::Status;

/// The longest message: a signature request with a 4096-bit RSA key (535 bytes), its signature (532) and names.
pub const MESSAGE_MAX: usize = 2048;

/// Every request that passes [`ssh_lite::Server`] fits: a byte, a boolean, then user, service, algorithm, key and
/// signature as strings.
const _: () = assert!(
    2 + 5 * 4 + auth::USER_MAX + 14 + 19 + ssh_lite::limits::KEY_BLOB + ssh_lite::limits::SIGNATURE_BLOB <= MESSAGE_MAX
);

/// One of the sessions of a connection: the number that wire gave it, less than [`SESSIONS_MAX`].
pub type SessionId = u32;

/// How many sessions a connection may have at a time (OpenSSH's MaxSessions).
pub const SESSIONS_MAX: usize = ssh_lite::limits::SESSIONS;

/// From wire to guard.
#[derive(Debug, PartialEq)]
pub enum ToGuard<'a> {
    /// Sign this exchange hash. The first one becomes the session id. Answer: `Signature`.
    Sign { hash: [u8; 32] },
    /// Would this key be accepted? Answer: `Verdict`.
    Query { user: &'a str, algorithm: &'a str, key: &'a [u8] },
    /// Is this user's signature valid, and the key permitted? Answer: `Verdict`. `bound`: the signature covers the host
    /// key, too.
    Verify { user: &'a str, service: &'a str, algorithm: &'a str, key: &'a [u8], bound: bool, signature: &'a [u8] },
    /// Open a session. Answer: `Opened`, with wire's end of the session's socket when it worked.
    Open { session: SessionId },
    /// Send the signal of this Linux number to the session's command. No answer.
    Signal { session: SessionId, signal: u32 },
    /// The client has closed the session: end what runs in it. No answer but the `Ended` that follows.
    Close { session: SessionId },
    /// The user tried a method that is not offered, or a key that cannot be used: a line for the console. No answer.
    Refused { user: &'a str, what: &'a str },
    /// The connection ends for this reason: a line for the console. No answer.
    Fatal { reason: &'a str },
}

/// From guard to wire.
#[derive(Debug, PartialEq)]
pub enum FromGuard {
    /// The first message: the host key.
    Hello {
        host_key: [u8; 32],
    },
    Signature {
        signature: [u8; 64],
    },
    Verdict {
        accepted: bool,
    },
    Opened {
        opened: bool,
    },
    /// The session's command has ended, and with it all that ran in the session.
    Ended {
        session: SessionId,
        status: Status,
    },
}

impl<'a> ToGuard<'a> {
    /// Sends the message. When guard is gone, wire sees its hang-up.
    pub fn send(&self, guard: impl AsFd) {
        let mut out = [0; MESSAGE_MAX];
        if let Ok(n) = self.encode(&mut out) {
            let _ = fdpass::send(guard, &out[..n], &[]);
        }
    }

    pub fn encode(&self, out: &mut [u8]) -> Result<usize, WireError> {
        let mut w = Writer::new(out);
        match *self {
            Self::Sign { hash } => w.byte(1).and_then(|()| w.bytes(&hash)),
            Self::Query { user, algorithm, key } => {
                w.byte(2)?;
                [user.as_bytes(), algorithm.as_bytes(), key].iter().try_for_each(|s| w.string(s))
            }
            Self::Verify { user, service, algorithm, key, bound, signature } => {
                w.byte(3)?;
                w.boolean(bound)?;
                let fields = [user.as_bytes(), service.as_bytes(), algorithm.as_bytes(), key, signature];
                fields.iter().try_for_each(|s| w.string(s))
            }
            Self::Open { session } => w.byte(4).and_then(|()| w.uint32(session)),
            Self::Signal { session, signal } => {
                w.byte(5)?;
                w.uint32(session)?;
                w.uint32(signal)
            }
            Self::Close { session } => w.byte(6).and_then(|()| w.uint32(session)),
            Self::Refused { user, what } => {
                w.byte(7)?;
                w.string(user.as_bytes())?;
                w.string(what.as_bytes())
            }
            Self::Fatal { reason } => w.byte(8).and_then(|()| w.string(reason.as_bytes())),
        }?;
        Ok(w.written())
    }

    pub fn decode(message: &'a [u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(message);
        let decoded = match r.byte()? {
            1 => Self::Sign { hash: *r.array()? },
            2 => Self::Query { user: r.text()?, algorithm: r.text()?, key: r.string()? },
            3 => Self::Verify {
                bound: r.boolean()?,
                user: r.text()?,
                service: r.text()?,
                algorithm: r.text()?,
                key: r.string()?,
                signature: r.string()?,
            },
            4 => Self::Open { session: r.uint32()? },
            5 => Self::Signal { session: r.uint32()?, signal: r.uint32()? },
            6 => Self::Close { session: r.uint32()? },
            7 => Self::Refused { user: r.text()?, what: r.text()? },
            8 => Self::Fatal { reason: r.text()? },
            _ => return Err(WireError::Trailing),
        };
        r.finish().map(|()| decoded)
    }
}

impl<'a> From<auth::Request<'a>> for ToGuard<'a> {
    fn from(r: auth::Request<'a>) -> Self {
        let auth::Request { user, service, algorithm, key, host_key, signature } = r;
        Self::Verify { user, service, algorithm, key, bound: host_key.is_some(), signature }
    }
}

impl FromGuard {
    /// Sends the message, perhaps with a descriptor. When wire is gone, guard sees its hang-up in the next round.
    pub fn send(&self, wire: &OwnedFd, fd: Option<&OwnedFd>) {
        let mut out = [0; MESSAGE_MAX];
        if let Ok(n) = self.encode(&mut out) {
            let fd = fd.map(AsFd::as_fd);
            let _ = fdpass::send(wire, &out[..n], fd.as_slice());
        }
    }

    pub fn encode(&self, out: &mut [u8]) -> Result<usize, WireError> {
        let mut w = Writer::new(out);
        match *self {
            Self::Hello { host_key } => w.byte(1).and_then(|()| w.bytes(&host_key)),
            Self::Signature { signature } => w.byte(2).and_then(|()| w.bytes(&signature)),
            Self::Verdict { accepted } => w.byte(3).and_then(|()| w.boolean(accepted)),
            Self::Opened { opened } => w.byte(4).and_then(|()| w.boolean(opened)),
            Self::Ended { session, status } => {
                w.byte(5)?;
                w.uint32(session)?;
                let status = match status {
                    Status::Exited(code) => [0, code, 0],
                    Status::Killed { signal, core_dumped } => [1, signal, core_dumped.into()],
                };
                w.bytes(&status)
            }
        }?;
        Ok(w.written())
    }

    pub fn decode(message: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(message);
        let decoded = match r.byte()? {
            1 => Self::Hello { host_key: *r.array()? },
            2 => Self::Signature { signature: *r.array()? },
            3 => Self::Verdict { accepted: r.boolean()? },
            4 => Self::Opened { opened: r.boolean()? },
            5 => {
                let session = r.uint32()?;
                let status = match *r.array()? {
                    [0, code, _] => Status::Exited(code),
                    [_, signal, core_dumped] => Status::Killed { signal, core_dumped: core_dumped != 0 },
                };
                Self::Ended { session, status }
            }
            _ => return Err(WireError::Trailing),
        };
        r.finish().map(|()| decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_to_guard_is_read_as_it_was_written() {
        let messages = [
            ToGuard::Sign { hash: [7; 32] },
            ToGuard::Query { user: "glenda", algorithm: "ssh-ed25519", key: b"key" },
            ToGuard::Verify { user: "g", service: "s", algorithm: "a", key: b"k", bound: true, signature: b"sig" },
            ToGuard::Open { session: 3 },
            ToGuard::Signal { session: 3, signal: 15 },
            ToGuard::Close { session: 9 },
            ToGuard::Refused { user: "root", what: "password" },
            ToGuard::Fatal { reason: "packet too long" },
        ];
        for message in messages {
            let mut out = [0; MESSAGE_MAX];
            let n = message.encode(&mut out).unwrap();
            assert_eq!(ToGuard::decode(&out[..n]), Ok(message));
            assert!((0..n).all(|cut| ToGuard::decode(&out[..cut]).is_err()));
            assert_eq!(ToGuard::decode(&out[..n + 1]), Err(WireError::Trailing));
        }
    }

    #[test]
    fn every_message_from_guard_is_read_as_it_was_written() {
        let messages = [
            FromGuard::Hello { host_key: [1; 32] },
            FromGuard::Signature { signature: [2; 64] },
            FromGuard::Verdict { accepted: true },
            FromGuard::Opened { opened: false },
            FromGuard::Ended { session: 1, status: Status::Exited(143) },
            FromGuard::Ended { session: 1, status: Status::Killed { signal: 11, core_dumped: true } },
        ];
        for message in messages {
            let mut out = [0; MESSAGE_MAX];
            let n = message.encode(&mut out).unwrap();
            assert_eq!(FromGuard::decode(&out[..n]), Ok(message));
            assert!((0..n).all(|cut| FromGuard::decode(&out[..cut]).is_err()));
            assert_eq!(FromGuard::decode(&out[..n + 1]), Err(WireError::Trailing));
        }
    }
}
