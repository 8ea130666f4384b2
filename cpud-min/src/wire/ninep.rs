//! The bytes of a session's files: between the user's relay and the channel to the client's file server.

use rustix::fd::OwnedFd;
use ssh_lite::connection::ChannelId;

use crate::sys::fs::{self, Io};

/// The window of the channel. The relay always reads, so it bounds what is on its way and no memory of ours.
pub const WINDOW: u32 = 16 * 1024 * 1024;

/// How long the client's file server may take for its first answers, which mount(2) waits for.
pub const MOUNT_MS: u64 = 30_000;

/// The nonce of the client, 32 bytes; none for a V2 client.
pub type Nonce = heapless::Vec<u8, 32>;

pub struct Ninep {
    pub channel: ChannelId,
    /// The stream to the relay.
    pub fd: OwnedFd,
    /// What is left to be written before anything else, once the channel is open.
    pub nonce: Nonce,
    pub open: bool,
    /// When the mount must have worked; None once it has.
    pub deadline: Option<u64>,
}

/// What became of bytes from the client's file server.
pub enum Taken {
    /// So many were passed on to the relay.
    Some(usize),
    /// The relay does not take any at the moment.
    Wait,
    /// The relay has closed its end: the files are not mounted any more.
    Ended,
}

impl Ninep {
    pub const fn new(channel: ChannelId, fd: OwnedFd, nonce: Nonce, deadline: u64) -> Self {
        Self { channel, fd, nonce, open: false, deadline: Some(deadline) }
    }

    /// Passes bytes that came from the file server on to the relay.
    pub fn pass_to_relay(&mut self, data: &[u8]) -> Taken {
        match fs::write(&self.fd, data) {
            Io::Moved(n) => Taken::Some(n),
            Io::Wait => Taken::Wait,
            Io::Ended => Taken::Ended,
        }
    }

    /// Reads the nonce, and then what the relay asks, into `out`.
    pub fn read_relay(&mut self, out: &mut [u8]) -> Io {
        if !self.nonce.is_empty() {
            let n = out.len().min(self.nonce.len());
            out[..n].copy_from_slice(&self.nonce[..n]);
            self.nonce.drain(..n);
            return Io::Moved(n);
        }
        fs::read(&self.fd, out)
    }
}
