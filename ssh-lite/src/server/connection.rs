//! The connection protocol (RFC 4254): channels, the client's messages on them, and the caller's answers.

use crate::{
    Error, Event,
    connection::{Channel, ChannelId, Channels, Kind, Open, OpenFailure, Request, Stream, Terms},
    error::{Misbehaviour, Misuse},
    limits::{DISCONNECT_TEXT, FORWARDED_PACKET, PACKET_OVERHEAD, SESSION_PACKET},
    msg::{
        ChannelOpen, ChannelOpenConfirmation, ChannelOpenFailure, ChannelRequest, GlobalRequest, Message,
        RequestFailure, RequestSuccess, Rest, malformed,
    },
    names::{CANCEL_TCPIP_FORWARD, EXIT_SIGNAL, EXIT_STATUS, FORWARDED_TCPIP, KEEPALIVE, SESSION, TCPIP_FORWARD},
    transport::Sender,
    wire::{Reader, WireError, Writer},
};

pub struct Connection {
    channels: Channels,
    /// What the caller has been asked and has not answered.
    question: Option<Question>,
    /// The largest packet that can be received.
    rx_capacity: usize,
}

/// A question to the caller, with what its answer needs.
enum Question {
    Open(ChannelId),
    Request {
        channel: ChannelId,
        want_reply: bool,
        /// The request starts the channel's command.
        command: bool,
    },
    Forward {
        want_reply: bool,
        /// The client left the choice of the port to this side.
        tell_port: bool,
    },
}

/// Messages of the client.
impl Connection {
    pub const fn new(rx_capacity: usize) -> Self {
        Self { channels: Channels::new(), question: None, rx_capacity }
    }

    /// No message can be handled before the caller has answered.
    pub const fn awaits_answer(&self) -> bool {
        self.question.is_some()
    }

    pub fn on_message<'p>(&mut self, out: &mut Sender<'_>, message: Message<'p>) -> Result<Option<Event<'p>>, Error> {
        match message {
            Message::GlobalRequest(message) => self.on_global_request(out, &message),
            Message::ChannelOpen(message) => self.on_open(out, &message),
            Message::ChannelOpenConfirmation(message) => self.on_open_confirmation(&message),
            Message::ChannelOpenFailure(message) => self.on_open_failure(&message),
            Message::ChannelWindowAdjust(message) => {
                self.find(message.recipient)?.1.on_window_adjust(message.bytes)?;
                Ok(None)
            }
            Message::ChannelData(message) => {
                let (channel, open) = self.find(message.recipient)?;
                open.on_data(message.data)?;
                let wanted = !open.close_sent() && !message.data.is_empty();
                Ok(wanted.then_some(Event::Data { channel, data: message.data }))
            }
            Message::ChannelExtendedData(message) => {
                // A client has no stream beside its data: what comes is thrown away.
                let (_, open) = self.find(message.recipient)?;
                open.on_data(message.data)?;
                open.credit(message.data.len() as u32);
                Ok(None)
            }
            Message::ChannelEof(message) => {
                let (channel, open) = self.find(message.recipient)?;
                open.on_eof();
                Ok((!open.close_sent()).then_some(Event::Eof { channel }))
            }
            Message::ChannelClose(message) => {
                let (channel, open) = self.find(message.recipient)?;
                open.close(out)?;
                self.channels.remove(channel);
                Ok(Some(Event::Closed { channel }))
            }
            Message::ChannelRequest(message) => self.on_request(out, &message),
            // Transport messages that ask for nothing, and answers: this side's only question, the
            // keepalive, is answered by any message.
            _ => Ok(None),
        }
    }

    /// The open channel that a message of the client's is for.
    fn find(&mut self, number: u32) -> Result<(ChannelId, &mut Open), Error> {
        match self.channels.find(number) {
            Some((channel, Channel::Open(open))) => Ok((channel, open)),
            _ => Err(Misbehaviour::NoSuchChannel(number).into()),
        }
    }

    fn on_global_request<'p>(
        &mut self,
        out: &mut Sender<'_>,
        message: &GlobalRequest<'p>,
    ) -> Result<Option<Event<'p>>, Error> {
        let cancel = message.name == CANCEL_TCPIP_FORWARD;
        if !cancel && message.name != TCPIP_FORWARD {
            if message.want_reply {
                out.send(&RequestFailure {})?;
            }
            return Ok(None);
        }
        let (address, port) = forward_fields(message.fields.0).map_err(malformed::<GlobalRequest<'_>>)?;
        let tell_port = !cancel && port == 0;
        self.question = Some(Question::Forward { want_reply: message.want_reply, tell_port });
        Ok(Some(if cancel { Event::CancelForward { address, port } } else { Event::Forward { address, port } }))
    }

    fn on_open<'p>(&mut self, out: &mut Sender<'_>, message: &ChannelOpen<'_>) -> Result<Option<Event<'p>>, Error> {
        let &ChannelOpen { kind, sender: number, window, maximum_packet, .. } = message;
        if kind != SESSION {
            refuse_open(out, number, OpenFailure::UnknownChannelType, "only sessions can be opened")?;
            return Ok(None);
        }
        let asked = Channel::Asked(Terms { number, window, maximum_packet });
        let Some(channel) = self.channels.add(Kind::Session, asked) else {
            refuse_open(out, number, OpenFailure::ResourceShortage, "too many sessions")?;
            return Ok(None);
        };
        self.question = Some(Question::Open(channel));
        Ok(Some(Event::Open { channel }))
    }

    fn on_open_confirmation<'p>(&mut self, message: &ChannelOpenConfirmation<'_>) -> Result<Option<Event<'p>>, Error> {
        let maximum_packet = self.maximum_packet(Kind::Forwarded);
        let Some((channel, place)) = self.channels.find(message.recipient) else {
            return Err(Misbehaviour::NoSuchChannel(message.recipient).into());
        };
        let &mut Channel::Opening { window } = place else {
            return Err(Misbehaviour::NoSuchChannel(message.recipient).into());
        };
        let &ChannelOpenConfirmation { sender: number, window: theirs, maximum_packet: their_packet, .. } = message;
        let peer = Terms { number, window: theirs, maximum_packet: their_packet };
        *place = Channel::Open(Open::new(peer, window, maximum_packet));
        Ok(Some(Event::Opened { channel }))
    }

    fn on_open_failure<'p>(&mut self, message: &ChannelOpenFailure<'p>) -> Result<Option<Event<'p>>, Error> {
        let Some((channel, Channel::Opening { .. })) = self.channels.find(message.recipient) else {
            return Err(Misbehaviour::NoSuchChannel(message.recipient).into());
        };
        self.channels.remove(channel);
        let &ChannelOpenFailure { reason, description, .. } = message;
        Ok(Some(Event::OpenFailed { channel, reason, description }))
    }

    fn on_request<'p>(
        &mut self,
        out: &mut Sender<'_>,
        message: &ChannelRequest<'p>,
    ) -> Result<Option<Event<'p>>, Error> {
        let (channel, open) = self.find(message.recipient)?;
        let request = match Channels::kind(channel) {
            Kind::Session => {
                Request::decode(message.name, message.fields.0).map_err(malformed::<ChannelRequest<'_>>)?
            }
            Kind::Forwarded => None,
        };
        let want_reply = message.want_reply;
        match request {
            // RFC 4254 section 5.3: nothing is sent after CLOSE.
            _ if open.close_sent() => Ok(None),
            Some(request) if !(request.is_command() && open.command_started()) => {
                let command = request.is_command();
                self.question = Some(Question::Request { channel, want_reply, command });
                Ok(Some(Event::Request { channel, request }))
            }
            _ => {
                if want_reply {
                    open.reply(out, false)?;
                }
                Ok(None)
            }
        }
    }

    /// The data that this side takes in one packet.
    fn maximum_packet(&self, kind: Kind) -> u32 {
        let wanted = match kind {
            Kind::Session => SESSION_PACKET,
            Kind::Forwarded => FORWARDED_PACKET,
        };
        let holds = self.rx_capacity.saturating_sub(PACKET_OVERHEAD);
        u32::try_from(holds).map_or(wanted, |holds| holds.min(wanted))
    }
}

/// Answers and calls of the caller; what they do is said at the methods of [`Server`](super::Server).
impl Connection {
    pub fn open_answer(
        &mut self,
        out: &mut Sender<'_>,
        channel: ChannelId,
        answer: Result<u32, OpenFailure>,
    ) -> Result<(), Error> {
        match (self.question.take(), self.channels.get(channel)) {
            (Some(Question::Open(asked)), Some(&mut Channel::Asked(peer))) if asked == channel => match answer {
                Ok(window) => self.confirm_open(out, channel, peer, window),
                Err(reason) => {
                    self.channels.remove(channel);
                    refuse_open(out, peer.number, reason, "the session cannot be opened")
                }
            },
            _ => Err(Misuse::AnswerNotOwed.into()),
        }
    }

    fn confirm_open(
        &mut self,
        out: &mut Sender<'_>,
        channel: ChannelId,
        peer: Terms,
        window: u32,
    ) -> Result<(), Error> {
        let maximum_packet = self.maximum_packet(Kind::Session);
        self.channels.replace(channel, Channel::Open(Open::new(peer, window, maximum_packet)));
        out.send(&ChannelOpenConfirmation {
            recipient: peer.number,
            sender: channel.number(),
            window,
            maximum_packet,
            fields: Rest(&[]),
        })
    }

    pub fn request_answer(&mut self, out: &mut Sender<'_>, channel: ChannelId, ok: bool) -> Result<(), Error> {
        match (self.question.take(), self.channels.open(channel)) {
            (Some(Question::Request { channel: asked, want_reply, command }), Some(open)) if asked == channel => {
                if command && ok {
                    open.start_command();
                }
                if want_reply { open.reply(out, ok) } else { Ok(()) }
            }
            _ => Err(Misuse::AnswerNotOwed.into()),
        }
    }

    pub fn forward_answer(&mut self, out: &mut Sender<'_>, port: Option<u16>) -> Result<(), Error> {
        let Some(Question::Forward { want_reply, tell_port }) = self.question.take() else {
            return Err(Misuse::AnswerNotOwed.into());
        };
        match port {
            _ if !want_reply => Ok(()),
            Some(port) if tell_port => out.send(&RequestSuccess { fields: Rest(&u32::from(port).to_be_bytes()) }),
            Some(_) => out.send(&RequestSuccess { fields: Rest(&[]) }),
            None => out.send(&RequestFailure {}),
        }
    }

    pub fn grant(&mut self, out: &mut Sender<'_>, channel: ChannelId, n: u32) -> Result<(), Error> {
        let Some(open) = self.channels.open(channel) else { return Ok(()) };
        open.credit(n);
        self.send_credit(out)
    }

    /// Sends the window adjustments that are due.
    pub fn send_credit(&mut self, out: &mut Sender<'_>) -> Result<(), Error> {
        self.channels.each_open().try_for_each(|open| open.send_credit(out))
    }

    pub fn data_space<'o>(&mut self, out: &'o mut Sender<'_>, channel: ChannelId, stream: Stream) -> &'o mut [u8] {
        self.channels.open(channel).map_or(&mut [], |open| open.data_space(out, stream))
    }

    pub fn data_commit(
        &mut self,
        out: &mut Sender<'_>,
        channel: ChannelId,
        stream: Stream,
        n: usize,
    ) -> Result<(), Error> {
        if n == 0 {
            return Ok(());
        }
        self.channels.open(channel).ok_or(Misuse::TooMuchData)?.data_commit(out, stream, n)
    }

    pub fn unacknowledged(&mut self, channel: ChannelId) -> u64 {
        self.channels.open(channel).map_or(0, |open| open.unacknowledged())
    }

    pub fn eof(&mut self, out: &mut Sender<'_>, channel: ChannelId) -> Result<(), Error> {
        self.channels.open(channel).map_or(Ok(()), |open| open.eof(out))
    }

    pub fn exit_status(&mut self, out: &mut Sender<'_>, channel: ChannelId, status: u32) -> Result<(), Error> {
        self.channels.open(channel).map_or(Ok(()), |open| open.exit(out, EXIT_STATUS, &status.to_be_bytes()))
    }

    pub fn exit_signal(
        &mut self,
        out: &mut Sender<'_>,
        channel: ChannelId,
        name: &str,
        core_dumped: bool,
        message: &str,
    ) -> Result<(), Error> {
        let Some(open) = self.channels.open(channel) else { return Ok(()) };
        let message = &message[..message.floor_char_boundary(DISCONNECT_TEXT)];
        let mut fields = [0; DISCONNECT_TEXT + 64];
        let mut to = Writer::new(&mut fields);
        let written = to
            .string(name.as_bytes())
            .and_then(|()| to.boolean(core_dumped))
            .and_then(|()| to.string(message.as_bytes()))
            .and_then(|()| to.string(b""));
        // The longest name of a signal in RFC 4254 has four bytes: one that does not fit is none.
        written.map_or(Ok(()), |()| open.exit(out, EXIT_SIGNAL, to.into_written()))
    }

    pub fn close(&mut self, out: &mut Sender<'_>, channel: ChannelId) -> Result<(), Error> {
        self.channels.open(channel).map_or(Ok(()), |open| open.close(out))
    }

    /// Asks for a channel of the type forwarded-tcpip, if one is free. `fields` are what that type adds to CHANNEL_OPEN.
    pub fn open_forwarded(
        &mut self,
        out: &mut Sender<'_>,
        window: u32,
        fields: &[u8],
    ) -> Result<Option<ChannelId>, Error> {
        let maximum_packet = self.maximum_packet(Kind::Forwarded);
        let Some(channel) = self.channels.add(Kind::Forwarded, Channel::Opening { window }) else { return Ok(None) };
        let (kind, sender, fields) = (FORWARDED_TCPIP, channel.number(), Rest(fields));
        out.send(&ChannelOpen { kind, sender, window, maximum_packet, fields })?;
        Ok(Some(channel))
    }

    pub fn keepalive(&mut self, out: &mut Sender<'_>) -> Result<(), Error> {
        // While messages have to wait, one more would tell nothing about the client.
        if out.is_ready() {
            out.send(&GlobalRequest { name: KEEPALIVE, want_reply: true, fields: Rest(&[]) })?;
        }
        Ok(())
    }
}

/// The address and the port of tcpip-forward and of its cancel (RFC 4254 section 7.1).
fn forward_fields(fields: &[u8]) -> Result<(&str, u32), WireError> {
    let mut from = Reader::new(fields);
    let (address, port) = (from.text()?, from.uint32()?);
    from.finish()?;
    Ok((address, port))
}

fn refuse_open(out: &mut Sender<'_>, recipient: u32, reason: OpenFailure, description: &str) -> Result<(), Error> {
    let reason = reason as u32;
    out.send(&ChannelOpenFailure { recipient, reason, description, language: "" })
}
