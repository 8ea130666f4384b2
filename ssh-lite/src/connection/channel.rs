//! One channel: how far its opening has come, and what its two sides may still send (RFC 4254 section 5).

use super::window::{Exceeded, ReceiveWindow, SendWindow};
use crate::{
    error::{Error, Misbehaviour, Misuse},
    msg::{
        ChannelClose, ChannelData, ChannelEof, ChannelExtendedData, ChannelFailure, ChannelRequest, ChannelSuccess,
        ChannelWindowAdjust, Encode, Rest,
    },
    transport::Sender,
    wire::{WireError, Writer},
};

/// Which of a session's outputs (RFC 4254 section 5.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// SSH_EXTENDED_DATA_STDERR (RFC 4254 section 5.2).
const STDERR: u32 = 1;

impl Stream {
    /// Bytes of the message before the data.
    const fn header_len(self) -> usize {
        match self {
            Self::Stdout => 1 + 4 + 4,
            Self::Stderr => 1 + 4 + 4 + 4,
        }
    }

    fn write_header(self, to: &mut Writer<'_>, peer: u32, len: u32) -> Result<(), WireError> {
        match self {
            Self::Stdout => to.byte(ChannelData::NUMBER)?,
            Self::Stderr => to.byte(ChannelExtendedData::NUMBER)?,
        }
        to.uint32(peer)?;
        if self == Self::Stderr {
            to.uint32(STDERR)?;
        }
        to.uint32(len)
    }
}

#[derive(Debug)]
pub(crate) enum Channel {
    /// The peer's CHANNEL_OPEN awaits this side's answer.
    Asked(Terms),
    /// This side's CHANNEL_OPEN, with so many bytes of window, awaits the peer's answer.
    Opening { window: u32 },
    /// Both sides have agreed.
    Open(Open),
}

/// What one side says of a channel in CHANNEL_OPEN or in its confirmation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// That side's number for the channel.
    pub number: u32,
    /// Bytes of data that it takes until it adjusts the window.
    pub window: u32,
    /// Bytes of data that it takes in one packet.
    pub maximum_packet: u32,
}

/// Data may flow, each way until that side's EOF or CLOSE.
#[derive(Debug)]
pub(crate) struct Open {
    /// The peer's number for the channel.
    peer: u32,
    send: SendWindow,
    /// The peer's bound for the data in one packet.
    send_packet: u32,
    receive: ReceiveWindow,
    /// This side's bound for the data in one packet.
    receive_packet: u32,
    eof_received: bool,
    eof_sent: bool,
    status_sent: bool,
    close_sent: bool,
    /// A shell, command or subsystem runs.
    command_started: bool,
}

impl Open {
    pub const fn new(peer: Terms, window: u32, maximum_packet: u32) -> Self {
        Self {
            peer: peer.number,
            send: SendWindow::new(peer.window),
            send_packet: peer.maximum_packet,
            receive: ReceiveWindow::new(window),
            receive_packet: maximum_packet,
            eof_received: false,
            eof_sent: false,
            status_sent: false,
            close_sent: false,
            command_started: false,
        }
    }

    pub const fn close_sent(&self) -> bool {
        self.close_sent
    }

    pub const fn command_started(&self) -> bool {
        self.command_started
    }

    /// Takes the peer's data out of the window.
    pub fn on_data(&mut self, data: &[u8]) -> Result<(), Error> {
        if self.eof_received {
            return Err(Misbehaviour::DataAfterEof.into());
        }
        if data.len() > self.receive_packet as usize {
            return Err(Misbehaviour::PacketTooLarge.into());
        }
        self.receive.consume(data.len()).map_err(|Exceeded| Misbehaviour::WindowExceeded.into())
    }

    pub fn on_window_adjust(&mut self, bytes: u32) -> Result<(), Error> {
        self.send.grant(bytes).map_err(|Exceeded| Misbehaviour::WindowOverflow.into())
    }

    pub const fn on_eof(&mut self) {
        self.eof_received = true;
    }

    /// Answers a request of the peer's.
    pub fn reply(&self, out: &mut Sender<'_>, ok: bool) -> Result<(), Error> {
        let recipient = self.peer;
        if ok { out.send(&ChannelSuccess { recipient }) } else { out.send(&ChannelFailure { recipient }) }
    }

    /// A shell, command or subsystem has been started: no other can be.
    pub const fn start_command(&mut self) {
        self.command_started = true;
    }

    /// `bytes` of the peer's data have been used up.
    pub fn credit(&mut self, bytes: u32) {
        self.receive.credit(bytes);
    }

    /// Sends a window adjustment that is due, if it can go at once.
    pub fn send_credit(&mut self, out: &mut Sender<'_>) -> Result<(), Error> {
        if let Some(bytes) = self.receive.due()
            && !self.eof_received
            && !self.close_sent
            && out.is_ready()
            && out.has_answer_room()
        {
            out.send(&ChannelWindowAdjust { recipient: self.peer, bytes })?;
            self.receive.adjusted();
        }
        Ok(())
    }

    /// Bytes sent that the peer's window adjustments have not given back.
    pub const fn unacknowledged(&self) -> u64 {
        self.send.unacknowledged()
    }

    /// Room for data that the peer takes in one packet now.
    pub fn data_space<'o>(&self, out: &'o mut Sender<'_>, stream: Stream) -> &'o mut [u8] {
        let ended = self.eof_sent || self.close_sent;
        let sendable = if ended { 0 } else { self.send.left().min(self.send_packet) };
        out.data_space(stream.header_len(), sendable as usize)
    }

    /// Sends the first `n` bytes of [`data_space`](Self::data_space).
    pub fn data_commit(&mut self, out: &mut Sender<'_>, stream: Stream, n: usize) -> Result<(), Error> {
        if n > self.data_space(out, stream).len() {
            return Err(Misuse::TooMuchData.into());
        }
        self.send.consume(n).map_err(|Exceeded| Misuse::TooMuchData)?;
        let peer = self.peer;
        out.data_commit(stream.header_len(), n, |to| stream.write_header(to, peer, n as u32))
    }

    /// Sends EOF, once.
    pub fn eof(&mut self, out: &mut Sender<'_>) -> Result<(), Error> {
        if self.eof_sent || self.close_sent {
            return Ok(());
        }
        self.eof_sent = true;
        out.send(&ChannelEof { recipient: self.peer })
    }

    /// Sends how the command ended, once: `exit-status` or `exit-signal` (RFC 4254 section 6.10) with its fields.
    pub fn exit(&mut self, out: &mut Sender<'_>, name: &str, fields: &[u8]) -> Result<(), Error> {
        if self.status_sent || self.close_sent {
            return Ok(());
        }
        self.status_sent = true;
        out.send(&ChannelRequest { recipient: self.peer, name, want_reply: false, fields: Rest(fields) })
    }

    /// Sends CLOSE, once.
    pub fn close(&mut self, out: &mut Sender<'_>) -> Result<(), Error> {
        if self.close_sent {
            return Ok(());
        }
        self.close_sent = true;
        out.send(&ChannelClose { recipient: self.peer })
    }
}
