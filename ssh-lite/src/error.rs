//! Errors, each of which ends the connection: by who is to blame, and with the reason that the peer is told.

use crate::wire::WireError;
use core::fmt;

/// The connection cannot go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// Bytes from the peer that are not ssh.
    Malformed(Malformed),
    /// The peer breaks a rule of the protocol or of this side.
    PeerMisbehaved(Misbehaviour),
    /// The peer has nothing in common with this side.
    PeerIncompatible(Incompatibility),
    /// The caller broke a rule of this crate.
    Misuse(Misuse),
    /// This crate broke a rule of its own.
    Bug(Bug),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Malformed {
    /// The first line is not an identification (RFC 4253 section 4.2).
    Ident,
    /// A packet_length that is no multiple of the block, or too small or too large (RFC 4253 section 6.1).
    PacketLength(u32),
    /// A padding_length below 4 or beyond the packet (RFC 4253 section 6).
    Padding,
    /// The tag of a packet is wrong.
    Tag,
    /// A message whose fields do not fit its bytes.
    Message { number: u8, error: WireError },
    /// Neither a point nor, with ML-KEM, an encapsulation key.
    ExchangeValue,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Misbehaviour {
    /// A message that may not be sent in this phase, or not by a client.
    Unexpected {
        number: u8,
    },
    /// Under strict key exchange something was sent before the first KEXINIT.
    KexInitNotFirst,
    /// A service that does not exist (RFC 4253 section 10).
    Service,
    LoginTimeout,
    LoginAttempts,
    /// More packets, or bytes, than any login needs.
    LoginBudget,
    /// A message for a channel that is not open.
    NoSuchChannel(u32),
    /// More data than the window allows (RFC 4254 section 5.2).
    WindowExceeded,
    /// More data in one packet than this side takes (RFC 4254 section 5.1).
    PacketTooLarge,
    /// A window adjustment beyond 2^32 - 1 bytes (RFC 4254 section 5.2).
    WindowOverflow,
    /// Data after EOF (RFC 4254 section 5.3).
    DataAfterEof,
    /// The queue of messages that wait for the end of a key exchange is full.
    Flood,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Incompatibility {
    /// Another version of the protocol than 2.0.
    Version,
    Kex,
    HostKey,
    Cipher,
    Compression,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Misuse {
    /// An answer was given to a question that had not been asked.
    AnswerNotOwed,
    /// More data was committed than there was space for.
    TooMuchData,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bug {
    /// A message did not fit the room that was kept for it.
    NoRoom,
}

/// The reason codes of DISCONNECT (RFC 4253 section 11.1) that this side uses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Reason {
    ProtocolError = 2,
    KeyExchangeFailed = 3,
    MacError = 5,
    ServiceNotAvailable = 7,
    ProtocolVersionNotSupported = 8,
    ByApplication = 11,
    NoMoreAuthMethodsAvailable = 14,
}

impl Error {
    /// What the DISCONNECT says that the error sends.
    pub const fn disconnect_reason(&self) -> Reason {
        match self {
            Self::Malformed(Malformed::Tag) => Reason::MacError,
            Self::Malformed(Malformed::ExchangeValue) => Reason::KeyExchangeFailed,
            Self::Malformed(_) => Reason::ProtocolError,
            Self::PeerMisbehaved(Misbehaviour::Service) => Reason::ServiceNotAvailable,
            Self::PeerMisbehaved(Misbehaviour::LoginTimeout) => Reason::ByApplication,
            Self::PeerMisbehaved(Misbehaviour::LoginAttempts) => Reason::NoMoreAuthMethodsAvailable,
            Self::PeerMisbehaved(_) => Reason::ProtocolError,
            Self::PeerIncompatible(Incompatibility::Version) => Reason::ProtocolVersionNotSupported,
            Self::PeerIncompatible(_) => Reason::KeyExchangeFailed,
            Self::Misuse(_) | Self::Bug(_) => Reason::ByApplication,
        }
    }
}

macro_rules! from_detail {
    ($($blame:ident($detail:ident))*) => {
        $(impl From<$detail> for Error {
            fn from(detail: $detail) -> Self {
                Self::$blame(detail)
            }
        })*
    };
}

from_detail! {
    Malformed(Malformed)
    PeerMisbehaved(Misbehaviour)
    PeerIncompatible(Incompatibility)
    Misuse(Misuse)
    Bug(Bug)
}

impl core::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(detail) => detail.fmt(f),
            Self::PeerMisbehaved(detail) => detail.fmt(f),
            Self::PeerIncompatible(detail) => detail.fmt(f),
            Self::Misuse(Misuse::AnswerNotOwed) => f.write_str("an answer without a question"),
            Self::Misuse(Misuse::TooMuchData) => f.write_str("more data than there was space for"),
            Self::Bug(Bug::NoRoom) => f.write_str("no room for a message"),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ident => f.write_str("the first line is not an ssh identification"),
            Self::PacketLength(length) => write!(f, "a packet of {length} bytes"),
            Self::Padding => f.write_str("a packet with impossible padding"),
            Self::Tag => f.write_str("a packet was altered on its way"),
            Self::Message { number, error } => {
                let what = match error {
                    WireError::Truncated => "ends too early",
                    WireError::NotText => "has text that is not UTF-8",
                    WireError::Trailing => "goes on after its end",
                    WireError::NoRoom => "is too long",
                };
                write!(f, "message {number} {what}")
            }
            Self::ExchangeValue => f.write_str("an invalid public value in the key exchange"),
        }
    }
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unexpected { number } => return write!(f, "message {number} is not allowed now"),
            Self::NoSuchChannel(id) => return write!(f, "channel {id} is not open"),
            Self::KexInitNotFirst => "strict key exchange: KEXINIT was not the first packet",
            Self::Service => "no such service",
            Self::LoginTimeout => "the login took too long",
            Self::LoginAttempts => "too many login attempts",
            Self::LoginBudget => "too much was sent before the login",
            Self::WindowExceeded => "more data than the channel's window",
            Self::PacketTooLarge => "more data in a packet than the channel's maximum",
            Self::WindowOverflow => "a channel's window grew beyond 2^32 - 1",
            Self::DataAfterEof => "data after the end of a channel's data",
            Self::Flood => "too many requests during a key exchange",
        })
    }
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "only version 2.0 of ssh is spoken here",
            Self::Kex => "no key exchange in common",
            Self::HostKey => "no host key algorithm in common: this host has an ssh-ed25519 key",
            Self::Cipher => "no cipher in common",
            Self::Compression => "compression is not supported",
        })
    }
}
