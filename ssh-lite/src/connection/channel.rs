//! One channel, by how far it has come.

use super::{ReceiveWindow, SendWindow};

/// Which of a session's outputs (RFC 4254 section 5.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stream {
    Stdout,
    Stderr,
}

#[derive(Debug)]
pub(crate) enum Channel {
    Asked(Asked),
    Opening(Opening),
    Open(Open),
}

/// The peer's CHANNEL_OPEN has not been answered yet.
#[derive(Debug)]
pub(crate) struct Asked {
    pub peer: u32,
    pub window: u32,
    pub maximum_packet: u32,
}

/// This side's CHANNEL_OPEN has not been answered yet.
#[derive(Debug)]
pub(crate) struct Opening {
    pub window: u32,
}

/// Data may flow, at least until the ends below.
#[derive(Debug)]
pub(crate) struct Open {
    /// The peer's number for the channel.
    pub peer: u32,
    pub send: SendWindow,
    /// The peer's bound for the data in one packet.
    pub send_packet: u32,
    pub receive: ReceiveWindow,
    /// This side's bound for the data in one packet.
    pub receive_packet: u32,
    pub eof_received: bool,
    pub eof_sent: bool,
    pub status_sent: bool,
    pub close_sent: bool,
    /// A shell, command or subsystem runs.
    pub command_started: bool,
}

impl Open {
    pub const fn new(peer: u32, window: u32, send_packet: u32, receive: u32, receive_packet: u32) -> Self {
        Self {
            peer,
            send: SendWindow::new(window),
            send_packet,
            receive: ReceiveWindow::new(receive),
            receive_packet,
            eof_received: false,
            eof_sent: false,
            status_sent: false,
            close_sent: false,
            command_started: false,
        }
    }

    /// Bytes of data that the peer takes in one packet now.
    pub fn sendable(&self) -> usize {
        if self.eof_sent || self.close_sent {
            return 0;
        }
        self.send.left().min(self.send_packet) as usize
    }
}
