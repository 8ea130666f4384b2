//! Checks the 9P session that passes by between a kernel and an upstream file server, in any split,
//! without keeping bodies.

#[cfg(test)]
mod tests;

use core::fmt;

use crate::limits::{HDRSZ, IOHDRSZ, MSIZE_MIN, NOTAG, TAGS};
use crate::msg::{Body, DecodeError, Frame, Header, Rversion, Tflush, Tversion, Type, VERSION};
use crate::wire::{Reader, Wire, WireError};

/// One session, both directions.
///
/// What it holds the two sides to:
/// - size\[4\] is one that the type can have and at most msize, and count\[4\] of Twrite, Rread and
///   Rreaddir fits it;
/// - the first request is Tversion for 9P2000.L with msize up to a limit, there is no other
///   Tversion (it would abort everything, version(5), and v9fs never sends one), and nothing is
///   asked before Rversion;
/// - Rversion says 9P2000.L and an msize that Linux takes and that is not above the asked one;
/// - a request's tag is free, and each request gets one reply: its own type or Rlerror. Rflush ends
///   the flushed request too (flush(5)); an Rlerror to a Tflush does not, which is how v9fs takes
///   it;
/// - a request of 9P2000 that 9P2000.L does not have ([`Type::is_of_9p2000`]) is answered with Rlerror.
///
/// Strings, names and payloads are not looked at. Each call does work for the bytes it is given and
/// no more.
#[derive(Debug)]
pub struct Check {
    state: State,
    from_kernel: Cursor,
    from_upstream: Cursor,
    /// By tag.
    requests: [Request; TAGS],
}

#[derive(Clone, Copy, Debug)]
enum State {
    AwaitTversion { limit: u32 },
    AwaitRversion { limit: u32, asked: u32 },
    Open { msize: u32 },
}

/// A request without its reply, or none.
#[derive(Clone, Copy, Debug)]
struct Request {
    /// Its number; 0: none.
    kind: u8,
    /// Of a Tflush.
    oldtag: u16,
}

const NO_REQUEST: Request = Request { kind: 0, oldtag: 0 };

/// Who sent a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sender {
    Kernel,
    Upstream,
}

/// A frame that must not pass, and with it the end of the session: the [`Check`] is of no further
/// use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FrameError {
    /// So many bytes of the slice came before the frame and may pass.
    ///
    /// Of a frame that began in an earlier call some bytes of the head have passed already, never
    /// all of it.
    pub good: usize,
    pub sender: Sender,
    pub header: Header,
    pub fault: Fault,
}

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// type\[1\] is no message of 9P2000.L.
    UnknownType,
    /// A reply from the kernel or a request from the upstream server.
    WrongWay,
    /// size\[4\] is not one that the type can have, or contradicts count\[4\].
    Size,
    /// size\[4\] is above msize.
    AboveMsize { msize: u32 },
    /// Another request before Rversion.
    BeforeVersion,
    /// A Tversion in a session that has begun.
    SecondVersion,
    /// Tversion or Rversion for another protocol.
    Version,
    /// msize\[4\] of Tversion is above the limit, or that of Rversion outside of 4096 to the asked
    /// one.
    Msize { msize: u32 },
    /// A Tversion or its reply with a tag other than NOTAG, or a request with a tag above those
    /// followed.
    Tag,
    /// The tag's earlier request has no reply yet.
    TagInUse,
    /// A reply to nothing.
    NoRequest,
    /// A reply of another type than the request's.
    WrongReply { request: u8 },
    /// What follows the header is not what the type asks for.
    Body(WireError),
    /// There is more in a reply than was asked for.
    Excess,
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::UnknownType(_) => Self::UnknownType,
            DecodeError::Frame(_) => Self::Size,
            DecodeError::Body(_, error) => Self::Body(error),
        }
    }
}

impl Check {
    /// A session that has not begun, with `msize_limit` bytes as the longest frame.
    pub const fn new(msize_limit: u32) -> Self {
        Self {
            state: State::AwaitTversion { limit: msize_limit },
            from_kernel: Cursor::new(),
            from_upstream: Cursor::new(),
            requests: [NO_REQUEST; TAGS],
        }
    }

    /// Checks the next bytes that leave the kernel.
    ///
    /// # Errors
    /// The first frame that must not pass. All of `bytes` may pass otherwise.
    pub fn kernel(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        let mut rest = bytes;
        while let Some(head) = self.from_kernel.next_head(&mut rest) {
            self.request(&head).map_err(|fault| head.error(Sender::Kernel, fault, bytes.len() - rest.len()))?;
        }
        Ok(())
    }

    /// As [`kernel`](Self::kernel), for the next bytes that arrive from the upstream server.
    pub fn upstream(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        let mut rest = bytes;
        while let Some(head) = self.from_upstream.next_head(&mut rest) {
            self.reply(&head).map_err(|fault| head.error(Sender::Upstream, fault, bytes.len() - rest.len()))?;
        }
        Ok(())
    }

    fn request(&mut self, head: &Head) -> Result<(), Fault> {
        let Header { kind: number, tag, .. } = head.header;
        let kind = if Type::is_of_9p2000(number) { None } else { Some(head.kind()?) };
        if !kind.is_none_or(Type::is_request) {
            return Err(Fault::WrongWay);
        }
        head.check_size(kind, self.msize())?;
        match (self.state, kind) {
            (State::AwaitTversion { limit }, Some(Type::Tversion)) => {
                check_no_tag(tag)?;
                let Tversion { msize: asked, version } = head.message().ok_or(Fault::Version)?;
                check_version(version)?;
                if asked > limit {
                    return Err(Fault::Msize { msize: asked });
                }
                self.state = State::AwaitRversion { limit, asked };
            }
            (_, Some(Type::Tversion)) => return Err(Fault::SecondVersion),
            (State::AwaitTversion { .. } | State::AwaitRversion { .. }, _) => {
                return Err(Fault::BeforeVersion);
            }
            (State::Open { .. }, _) => {
                let slot = self.requests.get_mut(usize::from(tag)).ok_or(Fault::Tag)?;
                if slot.kind != 0 {
                    return Err(Fault::TagInUse);
                }
                let oldtag =
                    if kind == Some(Type::Tflush) { head.message::<Tflush>().ok_or(Fault::Size)?.oldtag } else { 0 };
                *slot = Request { kind: number, oldtag };
            }
        }
        Ok(())
    }

    fn reply(&mut self, head: &Head) -> Result<(), Fault> {
        let kind = head.kind()?;
        if kind.is_request() {
            return Err(Fault::WrongWay);
        }
        head.check_size(Some(kind), self.msize())?;
        let tag = head.header.tag;
        match self.state {
            State::AwaitTversion { .. } => return Err(Fault::NoRequest),
            State::AwaitRversion { limit, asked } => {
                check_answers(kind, Type::Tversion as u8)?;
                check_no_tag(tag)?;
                if kind == Type::Rlerror {
                    self.state = State::AwaitTversion { limit };
                    return Ok(());
                }
                let Rversion { msize, version } = head.message().ok_or(Fault::Version)?;
                check_version(version)?;
                if !(MSIZE_MIN..=asked).contains(&msize) {
                    return Err(Fault::Msize { msize });
                }
                self.state = State::Open { msize };
            }
            State::Open { .. } => {
                let slot = self.requests.get_mut(usize::from(tag)).ok_or(Fault::NoRequest)?;
                if slot.kind == 0 {
                    return Err(Fault::NoRequest);
                }
                check_answers(kind, slot.kind)?;
                let oldtag = usize::from(slot.oldtag);
                *slot = NO_REQUEST;
                if kind == Type::Rflush
                    && let Some(flushed) = self.requests.get_mut(oldtag)
                {
                    *flushed = NO_REQUEST;
                }
            }
        }
        Ok(())
    }

    /// What bounds size\[4\] now.
    const fn msize(&self) -> u32 {
        match self.state {
            State::AwaitTversion { limit } => limit,
            State::AwaitRversion { asked, .. } => asked,
            State::Open { msize } => msize,
        }
    }
}

fn check_version(version: &[u8]) -> Result<(), Fault> {
    if version == VERSION { Ok(()) } else { Err(Fault::Version) }
}

fn check_no_tag(tag: u16) -> Result<(), Fault> {
    if tag == NOTAG { Ok(()) } else { Err(Fault::Tag) }
}

fn check_answers(reply: Type, request: u8) -> Result<(), Fault> {
    let answers = reply == Type::Rlerror || (reply as u8 == request + 1 && !Type::is_of_9p2000(request));
    if answers { Ok(()) } else { Err(Fault::WrongReply { request }) }
}

/// The most bytes that a frame is judged by: all of Tversion and Rversion, and Twrite up to its
/// data.
const HEAD: usize = IOHDRSZ as usize - 1;

/// One direction: the head of the frame under way, and how much is to come of the frame whose head
/// is whole.
#[derive(Debug)]
struct Cursor {
    bytes: [u8; HEAD],
    /// How many of `bytes` have arrived.
    filled: usize,
    tail: u32,
}

/// The first bytes of a frame: all of it, or `HEAD` bytes.
struct Head {
    header: Header,
    bytes: [u8; HEAD],
    end: usize,
}

impl Cursor {
    const fn new() -> Self {
        Self { bytes: [0; HEAD], filled: 0, tail: 0 }
    }

    /// Takes bytes off the front of `rest` until the head of a frame is whole; `None` when they are
    /// all taken.
    fn next_head(&mut self, rest: &mut &[u8]) -> Option<Head> {
        let skipped = rest.len().min(usize::try_from(self.tail).unwrap_or(usize::MAX));
        *rest = &rest[skipped..];
        self.tail -= skipped as u32;
        if self.tail > 0 {
            return None;
        }
        self.fill(rest, HDRSZ as usize)?;
        let header = Header::read(&mut Reader::new(&self.bytes));
        let end = usize::try_from(header.size).unwrap_or(usize::MAX).clamp(HDRSZ as usize, HEAD);
        self.fill(rest, end)?;
        self.filled = 0;
        self.tail = header.size.saturating_sub(end as u32);
        Some(Head { header, bytes: self.bytes, end })
    }

    /// Takes bytes off the front of `rest` until `end` have arrived.
    fn fill(&mut self, rest: &mut &[u8], end: usize) -> Option<()> {
        let missing = end.saturating_sub(self.filled);
        let (taken, left) = rest.split_at(missing.min(rest.len()));
        self.bytes[self.filled..self.filled + taken.len()].copy_from_slice(taken);
        self.filled += taken.len();
        *rest = left;
        (self.filled >= end).then_some(())
    }
}

impl Head {
    fn kind(&self) -> Result<Type, Fault> {
        Type::from_number(self.header.kind).ok_or(Fault::UnknownType)
    }

    /// The message, when the head is all of it and it is a `B`.
    fn message<'a, B: Body<'a>>(&'a self) -> Option<B> {
        Frame::parse(&self.bytes[..self.end]).ok()?.body().ok()
    }

    /// Of a request that 9P2000.L does not have every size is one.
    fn check_size(&self, kind: Option<Type>, msize: u32) -> Result<(), Fault> {
        let size = self.header.size;
        if size > msize {
            return Err(Fault::AboveMsize { msize });
        }
        let sizes = kind.map_or(HDRSZ..=msize, Type::sizes);
        if !sizes.contains(&size) {
            return Err(Fault::Size);
        }
        if !matches!(kind, Some(Type::Twrite | Type::Rread | Type::Rreaddir)) {
            return Ok(());
        }
        let least = *sizes.start();
        let mut fields = Reader::new(&self.bytes[..self.end]);
        fields.bytes(least as usize - 4);
        if size - least == u32::read(&mut fields) { Ok(()) } else { Err(Fault::Size) }
    }

    /// The error for this frame, of whose bytes and those before it `taken` are from the slice at
    /// hand.
    const fn error(&self, sender: Sender, fault: Fault, taken: usize) -> FrameError {
        FrameError { good: taken.saturating_sub(self.end), sender, header: self.header, fault }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Header { size, kind, tag } = self.header;
        f.write_str(match self.sender {
            Sender::Kernel => "9P frame from the kernel: ",
            Sender::Upstream => "9P frame from the client's server: ",
        })?;
        write!(f, "{}, tag {tag}, size {size}: {}", Number(kind), self.fault)
    }
}

impl core::error::Error for FrameError {}

/// Of a message, that may be none.
struct Number(u8);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Type::from_number(self.0) {
            Some(kind) => write!(f, "{kind}"),
            None => write!(f, "type {}", self.0),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType => f.write_str("there is no such message"),
            Self::WrongWay => f.write_str("it goes the other way"),
            Self::Size => f.write_str("its size is wrong for its type"),
            Self::AboveMsize { msize } => write!(f, "msize is {msize}"),
            Self::BeforeVersion => f.write_str("the version is not agreed yet"),
            Self::SecondVersion => f.write_str("the version is agreed already"),
            Self::Version => f.write_str("the version is not 9P2000.L"),
            Self::Msize { msize } => write!(f, "an msize of {msize} is out of bounds"),
            Self::Tag => f.write_str("its tag is out of bounds"),
            Self::TagInUse => f.write_str("its tag has a request without a reply"),
            Self::NoRequest => f.write_str("nothing was asked with its tag"),
            Self::WrongReply { request } => write!(f, "it answers a {}", Number(*request)),
            Self::Body(error) => write!(f, "{error}"),
            Self::Excess => f.write_str("it has more than was asked for"),
        }
    }
}
