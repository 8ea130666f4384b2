//! A forwarded channel and the descriptor at its end here: the stream of a session's relay (9P), or a connection of the
//! kernel's NFS client.

use rustix::fd::OwnedFd;
use ssh_lite::connection::ChannelId;

use crate::sys::fs::{self, Io};

/// The window of the channel. It bounds what is under way and needs no memory here, since the relay and the kernel
/// always read.
pub const WINDOW: u32 = 16 * 1024 * 1024;

/// How long the client's file server may take for its first answers, for which mount(2) waits.
pub const MOUNT_MS: u64 = 30_000;

/// The client's nonce, 32 bytes; none for a V2 client.
pub type Nonce = heapless::Vec<u8, 32>;

pub struct Tunnel {
    /// Whose files they are: the number of a session.
    pub session: usize,
    /// The number by which the relay knows the session.
    pub begun: u32,
    pub channel: ChannelId,
    /// The stream to the relay, or the connection that the kernel has made.
    pub fd: OwnedFd,
    pub kind: Kind,
    /// Goes out before anything else once the channel is open.
    pub nonce: Nonce,
    pub open: bool,
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Kind {
    /// The one stream of a session. `deadline` is when the mount must have worked; None once it has.
    Ninep { deadline: Option<u64> },
    /// One of the connections of a session.
    Nfs,
}

impl Tunnel {
    /// Passes on bytes from the file server. When the descriptor is closed, the files are no longer mounted.
    pub fn pass(&self, data: &[u8]) -> Io {
        fs::write(&self.fd, data)
    }

    /// Reads the nonce, then requests to the file server, into `out`.
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
