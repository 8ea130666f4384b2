//! A client that asks one thing at a time over any stream of bytes: what tests ask a 9P server
//! with.

#[cfg(test)]
mod tests;

use core::fmt;

use embedded_io::{Read, ReadExactError, Write};
use heapless::Vec;

use crate::errno::Errno;
use crate::limits::{HDRSZ, IOHDRSZ, MAXWELEM, NOFID, NOTAG};
use crate::msg::{
    Body, DecodeError, Frame, Rattach, Rclunk, Rgetattr, Rlerror, Rlopen, Rread, Rreaddir, Rversion, Rwalk, Tattach,
    Tclunk, Tgetattr, Tlopen, Tread, Treaddir, Tversion, Twalk, Type, VERSION,
};
use crate::types::{Dirents, Qid};
use crate::wire::{Data, WireError};

/// A session over the stream `S`, with a buffer of the caller's that holds one message.
///
/// Each call sends one request and waits for its reply, for as long as `S` waits.
#[derive(Debug)]
pub struct Client<'b, S> {
    stream: S,
    /// As long as msize.
    buffer: &'b mut [u8],
    next_fid: u32,
}

/// A file at the server, from [`Client::attach`] or [`Client::walk`] until [`Client::clunk`].
#[derive(Debug, Eq, PartialEq)]
pub struct Fid(u32);

/// Why a call failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error<E> {
    /// The stream's own error.
    Io(E),
    /// The server closed the stream.
    Closed,
    /// The request does not fit into the buffer, or a name has a NUL.
    Request(WireError),
    /// The server answered with Rlerror.
    Refused(Errno),
    /// The names up to this one were found, and this one, counted from 0, was not (walk(5)).
    NotFound(usize),
    /// The reply's size\[4\] is below 7 or above msize.
    Size(u32),
    /// The reply is no message.
    Malformed(DecodeError),
    /// The reply has another tag or type than the request asks for.
    WrongReply { kind: Type, tag: u16 },
    /// Rversion has another version or a greater msize than asked for, or there is more in a reply
    /// than asked for.
    Excess(Type),
}

impl<'b, S: Read + Write> Client<'b, S> {
    /// Begins a session of 9P2000.L (version(5)); msize is `buffer.len()` or less, if the server
    /// wants less.
    pub fn version(stream: S, buffer: &'b mut [u8]) -> Result<Self, Error<S::Error>> {
        let mut client = Self { stream, buffer, next_fid: 0 };
        let asked = u32::try_from(client.buffer.len()).unwrap_or(u32::MAX);
        let Rversion { msize, version } = client.call(NOTAG, &Tversion { msize: asked, version: VERSION })?;
        if version != VERSION || msize > asked {
            return Err(Error::Excess(Type::Rversion));
        }
        client.buffer = &mut client.buffer[..msize as usize];
        Ok(client)
    }

    /// Bytes of the longest message.
    pub const fn msize(&self) -> usize {
        self.buffer.len()
    }

    /// Takes hold of the root of the tree `aname`, without authentication (attach(5)).
    ///
    /// `n_uname` is the numeric user, or [`NONUNAME`](crate::limits::NONUNAME) where the name says
    /// it all.
    pub fn attach(&mut self, uname: &[u8], aname: &[u8], n_uname: u32) -> Result<(Fid, Qid), Error<S::Error>> {
        let fid = self.new_fid();
        let Rattach { qid } = self.call(0, &Tattach { fid: fid.0, afid: NOFID, uname, aname, n_uname })?;
        Ok((fid, qid))
    }

    /// Takes hold of what `names` lead to from `fid`, or of the same file when there are none
    /// (walk(5)).
    ///
    /// # Errors
    /// [`Error::NotFound`] when the server found only some; most refuse as a whole. More than
    /// [`MAXWELEM`] names are [`WireError::TooMany`].
    pub fn walk(&mut self, fid: &Fid, names: &[&[u8]]) -> Result<(Fid, Vec<Qid, MAXWELEM>), Error<S::Error>> {
        let wname = Vec::from_slice(names).map_err(|_| Error::Request(WireError::TooMany))?;
        let newfid = self.new_fid();
        let Rwalk { wqid } = self.call(0, &Twalk { fid: fid.0, newfid: newfid.0, wname })?;
        match wqid.len() {
            n if n < names.len() => Err(Error::NotFound(n)),
            n if n > names.len() => Err(Error::Excess(Type::Rwalk)),
            _ => Ok((newfid, wqid)),
        }
    }

    /// Asks for the attributes in `request_mask` ([`getattr`](crate::types::getattr)).
    pub fn getattr(&mut self, fid: &Fid, request_mask: u64) -> Result<Rgetattr, Error<S::Error>> {
        self.call(0, &Tgetattr { fid: fid.0, request_mask })
    }

    /// Opens a file for [`read`](Self::read) or a directory for [`readdir`](Self::readdir), with
    /// [`open`](crate::types::open) as flags.
    pub fn lopen(&mut self, fid: &Fid, flags: u32) -> Result<Rlopen, Error<S::Error>> {
        self.call(0, &Tlopen { fid: fid.0, flags })
    }

    /// Reads up to `count` bytes of a file, fewer when they do not fit into a message; none at its
    /// end (read(5)).
    pub fn read(&mut self, fid: &Fid, offset: u64, count: u32) -> Result<&[u8], Error<S::Error>> {
        let count = count.min(self.payload());
        let Rread { data: Data(data) } = self.call(0, &Tread { fid: fid.0, offset, count })?;
        if data.len() > count as usize { Err(Error::Excess(Type::Rread)) } else { Ok(data) }
    }

    /// Reads entries of a directory, as many as `count` bytes and a message hold; none at its end.
    ///
    /// `offset` is 0 or that of the last entry that was read.
    pub fn readdir(&mut self, fid: &Fid, offset: u64, count: u32) -> Result<Dirents<'_>, Error<S::Error>> {
        let count = count.min(self.payload());
        let Rreaddir { data } = self.call(0, &Treaddir { fid: fid.0, offset, count })?;
        if data.0.len() > count as usize { Err(Error::Excess(Type::Rreaddir)) } else { Ok(Dirents::new(data)) }
    }

    /// Lets go of a file. It is gone even when the server answers with an error (clunk(5)).
    pub fn clunk(&mut self, fid: Fid) -> Result<(), Error<S::Error>> {
        self.call(0, &Tclunk { fid: fid.0 }).map(|Rclunk {}| ())
    }

    /// Fids are not used twice: 2³² of them last longer than a test.
    const fn new_fid(&mut self) -> Fid {
        let fid = Fid(self.next_fid);
        self.next_fid += 1;
        fid
    }

    /// The longest payload of a message.
    fn payload(&self) -> u32 {
        (self.msize() as u32).saturating_sub(IOHDRSZ)
    }

    fn call<'t, 's, T: Body<'t>, R: Body<'s>>(&'s mut self, tag: u16, request: &T) -> Result<R, Error<S::Error>> {
        const { assert!(R::TYPE as u8 == T::TYPE as u8 + 1) };
        let frame = request.encode(tag, self.buffer).map_err(Error::Request)?;
        self.stream.write_all(frame).map_err(Error::Io)?;
        self.stream.flush().map_err(Error::Io)?;

        let reply = self.receive()?;
        let (number, got) = (reply.header.kind, reply.header.tag);
        let kind = Type::from_number(number).ok_or(Error::Malformed(DecodeError::UnknownType(number)))?;
        let malformed = |error| Error::Malformed(DecodeError::Body(kind, error));
        if got != tag {
            Err(Error::WrongReply { kind, tag: got })
        } else if kind == R::TYPE {
            reply.body().map_err(malformed)
        } else if kind == Type::Rlerror {
            let Rlerror { ecode } = reply.body().map_err(malformed)?;
            Err(Error::Refused(Errno(ecode)))
        } else {
            Err(Error::WrongReply { kind, tag: got })
        }
    }

    fn receive(&mut self) -> Result<Frame<'_>, Error<S::Error>> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size).map_err(Error::from_read)?;
        let size_field = u32::from_le_bytes(size);
        let frame = usize::try_from(size_field)
            .ok()
            .filter(|&size| size >= HDRSZ as usize)
            .and_then(|size| self.buffer.get_mut(..size))
            .ok_or(Error::Size(size_field))?;
        let (head, rest) = frame.split_at_mut(size.len());
        head.copy_from_slice(&size);
        self.stream.read_exact(rest).map_err(Error::from_read)?;
        Frame::parse(frame).map_err(|error| Error::Malformed(DecodeError::Frame(error)))
    }
}

impl<E> Error<E> {
    fn from_read(error: ReadExactError<E>) -> Self {
        match error {
            ReadExactError::UnexpectedEof => Self::Closed,
            ReadExactError::Other(error) => Self::Io(error),
        }
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Closed => f.write_str("the 9P server closed the connection"),
            Self::Request(error) => write!(f, "the 9P request cannot be sent: {error}"),
            Self::Refused(errno) => write!(f, "the 9P server answered {errno}"),
            Self::NotFound(n) => write!(f, "name {n} of the walk was not found"),
            Self::Size(size) => write!(f, "the 9P server sent a frame of {size} bytes"),
            Self::Malformed(error) => write!(f, "from the 9P server: {error}"),
            Self::WrongReply { kind, tag } => {
                write!(f, "the 9P server answered with {kind}, tag {tag}")
            }
            Self::Excess(kind) => {
                write!(f, "the 9P server's {kind} goes beyond what was asked for")
            }
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for Error<E> {}
