//! The bytes of a session's files: between the kernel's 9P client and the channel to the client's file server.

use core::mem::MaybeUninit;

use ninep::frame::{Check, FrameError};
use rustix::fd::OwnedFd;
use ssh_lite::connection::ChannelId;

use crate::sys::fs::{self, Io};

/// The longest 9P message that the kernel is told to use; it allocates each in one piece.
pub const MSIZE: u32 = 128 * 1024;

/// The window of the channel. The kernel always reads, so it bounds what is on its way and no memory of ours.
pub const WINDOW: u32 = 2 * 1024 * 1024;

/// How long the client's file server may take for its first answers, which mount(2) waits for.
pub const MOUNT_MS: u64 = 30_000;

/// The nonce of the client, 32 bytes; none for a V2 client.
pub type Nonce = heapless::Vec<u8, 32>;

pub struct Ninep {
    pub channel: ChannelId,
    /// The other end of the kernel's socket.
    pub fd: OwnedFd,
    /// What is left to be written before anything else, once the channel is open.
    pub nonce: Nonce,
    pub open: bool,
    /// When the mount must have worked; None once it has.
    pub deadline: Option<u64>,
    check: &'static mut Check,
    /// Bytes at the front of the data at hand that have been checked and not been taken by the kernel.
    checked: usize,
}

/// Where a [`Check`] is kept: not resident before its first use.
pub enum CheckRoom {
    Unused(&'static mut MaybeUninit<Check>),
    Free(&'static mut Check),
    Taken,
}

impl CheckRoom {
    pub fn take(&mut self) -> Option<&'static mut Check> {
        match core::mem::replace(self, Self::Taken) {
            Self::Unused(room) => Some(room.write(Check::new(MSIZE))),
            Self::Free(check) => {
                *check = Check::new(MSIZE);
                Some(check)
            }
            Self::Taken => None,
        }
    }
}

/// What became of bytes from the client's file server.
pub enum Taken {
    /// So many were passed on to the kernel.
    Some(usize),
    /// The kernel does not take any at the moment.
    Wait,
    /// The kernel has closed its end: the files are not mounted any more.
    Ended,
}

impl Ninep {
    pub const fn new(channel: ChannelId, fd: OwnedFd, nonce: Nonce, deadline: u64, check: &'static mut Check) -> Self {
        Self { channel, fd, nonce, open: false, deadline: Some(deadline), check, checked: 0 }
    }

    /// Passes bytes that came from the file server on to the kernel, if they may pass.
    ///
    /// `data` begins with what an earlier call was given and did not take.
    pub fn pass_to_kernel(&mut self, data: &[u8]) -> Result<Taken, FrameError> {
        self.check.far(&data[self.checked..])?;
        match fs::write(&self.fd, data) {
            Io::Moved(n) => {
                self.checked = data.len() - n;
                Ok(Taken::Some(n))
            }
            Io::Wait => {
                self.checked = data.len();
                Ok(Taken::Wait)
            }
            Io::Ended => Ok(Taken::Ended),
        }
    }

    /// Reads the nonce, and then what the kernel asks, into `out`, if it may pass.
    pub fn read_kernel(&mut self, out: &mut [u8]) -> Result<Io, FrameError> {
        if !self.nonce.is_empty() {
            let n = out.len().min(self.nonce.len());
            out[..n].copy_from_slice(&self.nonce[..n]);
            self.nonce.drain(..n);
            return Ok(Io::Moved(n));
        }
        let read = fs::read(&self.fd, out);
        if let Io::Moved(n) = read {
            self.check.kernel(&out[..n])?;
        }
        Ok(read)
    }

    pub fn into_room(self) -> CheckRoom {
        CheckRoom::Free(self.check)
    }
}
