//! The connection protocol: what the client sends on it (RFC 4254).

use super::machine::{Machine, Owed, malformed};
use crate::{
    Error, Event,
    connection::{Asked, Channel, ChannelId, Channels, Exceeded, Kind, Open, OpenFailure, Request},
    error::Misbehaviour,
    msg::{
        ChannelClose, ChannelFailure, ChannelOpen, ChannelOpenConfirmation, ChannelOpenFailure, ChannelRequest,
        ChannelWindowAdjust, GlobalRequest, Message, RequestFailure,
    },
    names::{CANCEL_TCPIP_FORWARD, SESSION, TCPIP_FORWARD},
    wire::Reader,
};

/// What the caller has been asked about the connection.
#[derive(Clone, Copy)]
pub enum Question {
    Open(ChannelId),
    Request {
        channel: ChannelId,
        want_reply: bool,
        command: bool,
    },
    /// `tell_port`: the client left the choice of the port to this side.
    Forward {
        want_reply: bool,
        tell_port: bool,
    },
}

impl Machine<'_> {
    pub fn on_connection<'p>(&mut self, message: Message<'p>) -> Result<Option<Event<'p>>, Error> {
        match message {
            Message::GlobalRequest(message) => self.on_global_request(&message),
            Message::ChannelOpen(message) => self.on_open(&message),
            Message::ChannelOpenConfirmation(message) => self.on_open_confirmation(&message),
            Message::ChannelOpenFailure(message) => self.on_open_failure(&message),
            Message::ChannelWindowAdjust(message) => {
                let (_, open) = self.find(message.recipient)?;
                open.send.grant(message.bytes).map_err(|Exceeded| Misbehaviour::WindowOverflow)?;
                Ok(None)
            }
            Message::ChannelData(message) => {
                let (channel, open) = self.receive(message.recipient, message.data)?;
                let wanted = !open.close_sent && !message.data.is_empty();
                Ok(wanted.then_some(Event::Data { channel, data: message.data }))
            }
            Message::ChannelExtendedData(message) => {
                // A client has no stream beside its data: what comes is thrown away.
                let (_, open) = self.receive(message.recipient, message.data)?;
                open.receive.credit(message.data.len() as u32);
                Ok(None)
            }
            Message::ChannelEof(message) => {
                let (channel, open) = self.find(message.recipient)?;
                open.eof_received = true;
                Ok((!open.close_sent).then_some(Event::Eof { channel }))
            }
            Message::ChannelClose(message) => self.on_close(message.recipient).map(Some),
            Message::ChannelRequest(message) => self.on_request(&message),
            // Transport messages that ask for nothing, and answers: this side's only question, the
            // keepalive, is answered by any message.
            _ => Ok(None),
        }
    }

    /// Window adjustments that have become due.
    pub fn send_credit(&mut self) -> Result<(), Error> {
        for open in self.channels.each_open() {
            if let Some(bytes) = open.receive.due()
                && !open.eof_received
                && !open.close_sent
                && self.tx.is_ready()
                && self.tx.has_answer_room()
            {
                self.tx.send(&ChannelWindowAdjust { recipient: open.peer, bytes })?;
                open.receive.adjusted();
            }
        }
        Ok(())
    }

    fn find(&mut self, number: u32) -> Result<(ChannelId, &mut Open), Error> {
        match self.channels.find(number) {
            Some((channel, Channel::Open(open))) => Ok((channel, open)),
            _ => Err(Misbehaviour::NoSuchChannel(number).into()),
        }
    }

    /// Takes data out of the channel's window.
    fn receive(&mut self, number: u32, data: &[u8]) -> Result<(ChannelId, &mut Open), Error> {
        let (channel, open) = self.find(number)?;
        if open.eof_received {
            return Err(Misbehaviour::DataAfterEof.into());
        }
        if data.len() > open.receive_packet as usize {
            return Err(Misbehaviour::PacketTooLarge.into());
        }
        open.receive.consume(data.len()).map_err(|Exceeded| Misbehaviour::WindowExceeded)?;
        Ok((channel, open))
    }

    fn on_global_request<'p>(&mut self, message: &GlobalRequest<'p>) -> Result<Option<Event<'p>>, Error> {
        let cancel = message.name == CANCEL_TCPIP_FORWARD;
        if !cancel && message.name != TCPIP_FORWARD {
            if message.want_reply {
                self.tx.send(&RequestFailure {})?;
            }
            return Ok(None);
        }
        let malformed = malformed::<GlobalRequest<'_>>;
        let mut from = Reader::new(message.fields.0);
        let address = from.text().map_err(malformed)?;
        let port = from.uint32().map_err(malformed)?;
        from.finish().map_err(malformed)?;
        let tell_port = !cancel && port == 0;
        self.owed = Some(Owed::Channel(Question::Forward { want_reply: message.want_reply, tell_port }));
        Ok(Some(if cancel { Event::CancelForward { address, port } } else { Event::Forward { address, port } }))
    }

    fn on_open<'p>(&mut self, message: &ChannelOpen<'_>) -> Result<Option<Event<'p>>, Error> {
        let &ChannelOpen { kind, sender: peer, window, maximum_packet, .. } = message;
        if kind != SESSION {
            let text = "only sessions can be opened";
            self.refuse_open(peer, OpenFailure::UnknownChannelType, text)?;
            return Ok(None);
        }
        let asked = Channel::Asked(Asked { peer, window, maximum_packet });
        let Some(channel) = self.channels.add(Kind::Session, asked) else {
            self.refuse_open(peer, OpenFailure::ResourceShortage, "too many sessions")?;
            return Ok(None);
        };
        self.owed = Some(Owed::Channel(Question::Open(channel)));
        Ok(Some(Event::Open { channel }))
    }

    pub fn refuse_open(&mut self, recipient: u32, reason: OpenFailure, description: &str) -> Result<(), Error> {
        let reason = reason as u32;
        self.tx.send(&ChannelOpenFailure { recipient, reason, description, language: "" })
    }

    fn on_open_confirmation<'p>(&mut self, message: &ChannelOpenConfirmation<'_>) -> Result<Option<Event<'p>>, Error> {
        let receive_packet = self.maximum_packet(Kind::Forwarded);
        match self.channels.find(message.recipient) {
            Some((channel, place @ Channel::Opening(_))) => {
                let Channel::Opening(opening) = place else { return Ok(None) };
                *place = Channel::Open(Open::new(
                    message.sender,
                    message.window,
                    message.maximum_packet,
                    opening.window,
                    receive_packet,
                ));
                Ok(Some(Event::Opened { channel }))
            }
            _ => Err(Misbehaviour::NoSuchChannel(message.recipient).into()),
        }
    }

    fn on_open_failure<'p>(&mut self, message: &ChannelOpenFailure<'p>) -> Result<Option<Event<'p>>, Error> {
        let Some((channel, Channel::Opening(_))) = self.channels.find(message.recipient) else {
            return Err(Misbehaviour::NoSuchChannel(message.recipient).into());
        };
        self.channels.remove(channel);
        let &ChannelOpenFailure { reason, description, .. } = message;
        Ok(Some(Event::OpenFailed { channel, reason, description }))
    }

    fn on_close<'p>(&mut self, number: u32) -> Result<Event<'p>, Error> {
        let (channel, open) = self.find(number)?;
        let (recipient, answered) = (open.peer, open.close_sent);
        if !answered {
            self.tx.send(&ChannelClose { recipient })?;
        }
        self.channels.remove(channel);
        Ok(Event::Closed { channel })
    }

    fn on_request<'p>(&mut self, message: &ChannelRequest<'p>) -> Result<Option<Event<'p>>, Error> {
        let (channel, open) = self.find(message.recipient)?;
        let (peer, command_started, close_sent) = (open.peer, open.command_started, open.close_sent);
        let request = match Channels::kind(channel) {
            Kind::Session => {
                Request::decode(message.name, message.fields.0).map_err(malformed::<ChannelRequest<'_>>)?
            }
            Kind::Forwarded => None,
        };
        let want_reply = message.want_reply;
        match request {
            // RFC 4254 section 5.3: nothing is sent after CLOSE.
            _ if close_sent => Ok(None),
            Some(request) if !(request.is_command() && command_started) => {
                let command = request.is_command();
                self.owed = Some(Owed::Channel(Question::Request { channel, want_reply, command }));
                Ok(Some(Event::Request { channel, request }))
            }
            _ => {
                if want_reply {
                    self.tx.send(&ChannelFailure { recipient: peer })?;
                }
                Ok(None)
            }
        }
    }
}
