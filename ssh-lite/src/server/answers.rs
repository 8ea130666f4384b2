//! The connection protocol: what the caller answers and sends on it (RFC 4254).

use super::{
    channels::Question,
    machine::{Machine, Owed},
};
use crate::{
    Error,
    connection::{Channel, ChannelId, Exceeded, Kind, NoRoom, Open, OpenFailure, Opening, Stream},
    error::Misuse,
    limits::{DISCONNECT_TEXT, FORWARDED_PACKET, PACKET_OVERHEAD, SESSION_PACKET},
    msg::{
        ChannelClose, ChannelData, ChannelEof, ChannelExtendedData, ChannelFailure, ChannelOpen,
        ChannelOpenConfirmation, ChannelRequest, ChannelSuccess, Encode, GlobalRequest, RequestFailure, RequestSuccess,
        Rest,
    },
    names::{FORWARDED_TCPIP, KEEPALIVE},
    wire::{WireError, Writer},
};

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

impl Machine<'_> {
    /// The data that this side takes in one packet.
    pub fn maximum_packet(&self, kind: Kind) -> u32 {
        let wanted = match kind {
            Kind::Session => SESSION_PACKET,
            Kind::Forwarded => FORWARDED_PACKET,
        };
        let holds = self.rx_capacity.saturating_sub(PACKET_OVERHEAD);
        u32::try_from(holds).map_or(wanted, |holds| holds.min(wanted))
    }

    pub fn open_answer(&mut self, channel: ChannelId, answer: Result<u32, OpenFailure>) {
        let asked = self.settle(|owed| match owed {
            Owed::Channel(Question::Open(asked)) if *asked == channel => Some(()),
            _ => None,
        });
        let (Some(()), Some(Channel::Asked(asked))) = (asked, self.channels.get(channel)) else {
            return;
        };
        let (peer, their_window, their_packet) = (asked.peer, asked.window, asked.maximum_packet);
        match answer {
            Ok(window) => {
                let maximum_packet = self.maximum_packet(Kind::Session);
                let open = Open::new(peer, their_window, their_packet, window, maximum_packet);
                self.channels.replace(channel, Channel::Open(open));
                self.post(&ChannelOpenConfirmation {
                    recipient: peer,
                    sender: channel.number(),
                    window,
                    maximum_packet,
                    fields: Rest(&[]),
                });
            }
            Err(reason) => {
                self.channels.remove(channel);
                let sent = self.refuse_open(peer, reason, "the session cannot be opened");
                self.note(sent);
            }
        }
    }

    pub fn request_answer(&mut self, channel: ChannelId, ok: bool) {
        let asked = self.settle(|owed| match owed {
            Owed::Channel(Question::Request { channel: asked, want_reply, command }) if *asked == channel => {
                Some((*want_reply, *command))
            }
            _ => None,
        });
        let (Some((want_reply, command)), Some(open)) = (asked, self.channels.open(channel)) else {
            return;
        };
        open.command_started |= command && ok;
        let recipient = open.peer;
        match (want_reply, ok) {
            (false, _) => {}
            (true, true) => self.post(&ChannelSuccess { recipient }),
            (true, false) => self.post(&ChannelFailure { recipient }),
        }
    }

    pub fn forward_answer(&mut self, port: Option<u16>) {
        let asked = self.settle(|owed| match owed {
            Owed::Channel(Question::Forward { want_reply, tell_port }) => Some((*want_reply, *tell_port)),
            _ => None,
        });
        match (asked, port) {
            (Some((true, true)), Some(port)) => {
                self.post(&RequestSuccess { fields: Rest(&u32::from(port).to_be_bytes()) });
            }
            (Some((true, false)), Some(_)) => self.post(&RequestSuccess { fields: Rest(&[]) }),
            (Some((true, _)), None) => self.post(&RequestFailure {}),
            _ => {}
        }
    }

    pub fn grant(&mut self, channel: ChannelId, n: u32) {
        if let Some(open) = self.channels.open(channel) {
            open.receive.credit(n);
            let sent = self.send_credit();
            self.note(sent);
        }
    }

    pub fn data_space(&mut self, channel: ChannelId, stream: Stream) -> &mut [u8] {
        let wanted = self.channels.open(channel).map_or(0, |open| open.sendable());
        self.tx.data_space(stream.header_len(), wanted)
    }

    pub fn data_commit(&mut self, channel: ChannelId, stream: Stream, n: usize) {
        if n == 0 {
            return;
        }
        let committed = self.commit(channel, stream, n);
        self.note(committed);
    }

    fn commit(&mut self, channel: ChannelId, stream: Stream, n: usize) -> Result<(), Error> {
        if n > self.data_space(channel, stream).len() {
            return Err(Misuse::TooMuchData.into());
        }
        let open = self.channels.open(channel).ok_or(Misuse::TooMuchData)?;
        open.send.consume(n).map_err(|Exceeded| Misuse::TooMuchData)?;
        let peer = open.peer;
        let header_len = stream.header_len();
        self.tx.data_commit(header_len, n, |to| stream.write_header(to, peer, n as u32))
    }

    pub fn unacknowledged(&mut self, channel: ChannelId) -> u64 {
        self.channels.open(channel).map_or(0, |open| open.send.unacknowledged())
    }

    pub fn eof(&mut self, channel: ChannelId) {
        if let Some(open) = self.channels.open(channel)
            && !open.eof_sent
            && !open.close_sent
        {
            open.eof_sent = true;
            let recipient = open.peer;
            self.post(&ChannelEof { recipient });
        }
    }

    pub fn exit_status(&mut self, channel: ChannelId, status: u32) {
        self.send_status(channel, "exit-status", |to| to.uint32(status));
    }

    pub fn exit_signal(&mut self, channel: ChannelId, name: &str, core_dumped: bool, message: &str) {
        let message = &message[..message.floor_char_boundary(DISCONNECT_TEXT)];
        self.send_status(channel, "exit-signal", |to| {
            to.string(name.as_bytes())?;
            to.boolean(core_dumped)?;
            to.string(message.as_bytes())?;
            to.string(b"")
        });
    }

    fn send_status(
        &mut self,
        channel: ChannelId,
        name: &str,
        write: impl FnOnce(&mut Writer<'_>) -> Result<(), WireError>,
    ) {
        let Some(open) = self.channels.open(channel) else { return };
        if open.status_sent || open.close_sent {
            return;
        }
        open.status_sent = true;
        let recipient = open.peer;
        let mut fields = [0; DISCONNECT_TEXT + 64];
        let mut to = Writer::new(&mut fields);
        // Of RFC 4254's names the longest is "exit-signal"'s "KILL": anything that does not fit 40
        // bytes is none.
        if write(&mut to).is_ok() {
            let fields = Rest(to.into_written());
            self.post(&ChannelRequest { recipient, name, want_reply: false, fields });
        }
    }

    pub fn close(&mut self, channel: ChannelId) {
        if let Some(open) = self.channels.open(channel)
            && !open.close_sent
        {
            open.close_sent = true;
            let recipient = open.peer;
            self.post(&ChannelClose { recipient });
        }
    }

    pub fn open_forwarded(
        &mut self,
        address: &str,
        port: u16,
        originator: &str,
        originator_port: u16,
        window: u32,
    ) -> Result<ChannelId, NoRoom> {
        let mut fields = [0; 1024];
        let mut to = Writer::new(&mut fields);
        to.string(address.as_bytes())
            .and_then(|()| to.uint32(port.into()))
            .and_then(|()| to.string(originator.as_bytes()))
            .and_then(|()| to.uint32(originator_port.into()))
            .map_err(|_| NoRoom)?;
        if !self.is_open() {
            return Err(NoRoom);
        }
        let opening = Channel::Opening(Opening { window });
        let channel = self.channels.add(Kind::Forwarded, opening).ok_or(NoRoom)?;
        self.post(&ChannelOpen {
            kind: FORWARDED_TCPIP,
            sender: channel.number(),
            window,
            maximum_packet: self.maximum_packet(Kind::Forwarded),
            fields: Rest(to.into_written()),
        });
        Ok(channel)
    }

    pub fn keepalive(&mut self) {
        // While messages have to wait, one more would tell nothing about the client.
        if self.is_open() && self.tx.is_ready() {
            self.post(&GlobalRequest { name: KEEPALIVE, want_reply: true, fields: Rest(&[]) });
        }
    }
}
