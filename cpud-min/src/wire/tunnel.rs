//! A forwarded channel and what is at this end of it: the files of a session, from the user's relay by 9P, or from the
//! kernel's NFS client.

use rustix::fd::OwnedFd;
use ssh_lite::connection::ChannelId;

use crate::sys::fs::{self, Io};

/// The window of the channel. The relay and the kernel always read, so it bounds what is on its way and no memory of
/// ours.
pub const WINDOW: u32 = 16 * 1024 * 1024;

/// How long the client's file server may take for its first answers, which mount(2) waits for.
pub const MOUNT_MS: u64 = 30_000;

/// The nonce of the client, 32 bytes; none for a V2 client.
pub type Nonce = heapless::Vec<u8, 32>;

pub struct Tunnel {
    /// Whose files they are: the number of a session.
    pub session: usize,
    /// What the relay knows them by.
    pub begun: u32,
    pub channel: ChannelId,
    /// The stream to the relay, or the connection that the kernel has made.
    pub fd: OwnedFd,
    pub kind: Kind,
    /// What is left to be written before anything else, once the channel is open.
    pub nonce: Nonce,
    pub open: bool,
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Kind {
    /// The one stream of a session. The mount must have worked at this time; None once it has.
    Ninep { deadline: Option<u64> },
    /// One of the connections of a session.
    Nfs,
}

impl Tunnel {
    /// Passes bytes that came from the file server on. When the other end is closed, the files are not mounted any more.
    pub fn pass(&self, data: &[u8]) -> Io {
        fs::write(&self.fd, data)
    }

    /// Reads the nonce, and then what the file server is asked, into `out`.
    pub fn read(&mut self, out: &mut [u8]) -> Io {
        if !self.nonce.is_empty() {
            let n = out.len().min(self.nonce.len());
            out[..n].copy_from_slice(&self.nonce[..n]);
            self.nonce.drain(..n);
            return Io::Moved(n);
        }
        fs::read(&self.fd, out)
    }

    pub const fn deadline(&self) -> Option<u64> {
        match self.kind {
            Kind::Ninep { deadline } => deadline,
            Kind::Nfs => None,
        }
    }
}
