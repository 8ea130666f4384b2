//! The server: bytes in, events out, answers in, bytes out.
//!
//! Nothing here blocks, and every call does bounded work: [`Server::poll`] handles at most one
//! packet. A caller reads into [`Server::input_space`], polls until there is no event, answers what
//! is asked, moves the data of channels, writes [`Server::output`], and waits for its socket or for
//! [`Server::deadline`].

mod config;
mod connection;
mod key_exchange;
mod login;
mod machine;

#[cfg(test)]
mod tests;

use crate::{
    Error, Event, Instant, Random,
    connection::{ChannelId, NoRoom, OpenFailure, Stream},
    error::Reason,
    limits::PACKET_BEFORE_LOGIN,
    transport::{Ident, Receiver},
    wire::Writer,
};
pub use config::{Buffers, Config, LOGIN_GRACE};
use core::ops::Range;
use machine::Machine;

/// One connection of a client.
pub struct Server<'a> {
    rx: Receiver<'a>,
    machine: Machine<'a>,
    /// The payload of the packet that was handled last.
    payload: Range<usize>,
    /// Bytes of data at the end of that payload that the caller has not used yet.
    unused: Option<(ChannelId, usize)>,
}

/// What poll found, before an event borrows from the buffer.
enum Step {
    Wait,
    Data(ChannelId, usize),
    Packet,
}

impl<'a> Server<'a> {
    /// The identification is in the output at once, KEXINIT when the client's has come.
    pub fn new(config: Config, buffers: Buffers<'a>, now: Instant) -> Self {
        let mut rx = Receiver::new(buffers.rx);
        rx.read_ahead(PACKET_BEFORE_LOGIN);
        let machine = Machine::new(config, buffers.tx, rx.capacity(), now);
        Self { rx, machine, payload: 0..0, unused: None }
    }

    /// Room for bytes of the client. While it is empty the caller must not read.
    pub fn input_space(&mut self) -> &mut [u8] {
        self.rx.space()
    }

    /// The first `n` bytes of [`input_space`](Self::input_space) have been filled.
    pub fn input_commit(&mut self, n: usize) {
        self.rx.commit(n);
    }

    /// Copies bytes of the client in; returns how many there was room for.
    pub fn input(&mut self, bytes: &[u8]) -> usize {
        let space = self.input_space();
        let n = bytes.len().min(space.len());
        space[..n].copy_from_slice(&bytes[..n]);
        self.input_commit(n);
        n
    }

    /// Bytes for the client.
    pub fn output(&self) -> &[u8] {
        self.machine.output()
    }

    /// The first `n` bytes of [`output`](Self::output) have been written.
    pub fn consume(&mut self, n: usize) {
        self.machine.consume(n);
    }

    /// Handles at most one packet. `None`: more input, more room in the output, or an answer is needed.
    ///
    /// After an error, or after [`Event::Disconnected`], nothing more happens: the caller writes the
    /// last output, which tells the client of an error, and closes the connection.
    #[inline(never)] // larger in the caller, whose stack frame makes addresses long
    pub fn poll(&mut self, now: Instant, random: &mut dyn Random) -> Result<Option<Event<'_>>, Error> {
        match self.step(now, random) {
            Ok(Step::Wait) => Ok(None),
            Ok(Step::Data(channel, len)) => {
                let data = self.payload.end - len..self.payload.end;
                Ok(Some(Event::Data { channel, data: self.rx.payload(data) }))
            }
            Ok(Step::Packet) => {
                let payload = self.rx.payload(self.payload.clone());
                let sequence = self.rx.last_sequence();
                match self.machine.handle(payload, sequence, now, random) {
                    Ok(event) => {
                        if let Event::Data { channel, data } = event {
                            self.unused = Some((channel, data.len()));
                        }
                        Ok(Some(event))
                    }
                    Err(error) => Err(self.machine.fail(error)),
                }
            }
            Err(error) => Err(self.machine.fail(error)),
        }
    }

    fn step(&mut self, now: Instant, random: &mut dyn Random) -> Result<Step, Error> {
        if let Some((key, restart_sequence)) = self.machine.take_incoming_key() {
            self.rx.rekey(key, restart_sequence);
        }
        self.machine.tick(self.rx.volume(), now, random)?;
        if !self.machine.is_listening() {
            return Ok(Step::Wait);
        }
        if let Some((channel, len)) = self.unused {
            return Ok(Step::Data(channel, len));
        }
        if self.machine.client().is_none() {
            let Some(ident) = self.rx.ident()? else { return Ok(Step::Wait) };
            self.machine.on_ident(ident, random)?;
        }
        let limit = if self.machine.is_open() { self.rx.capacity() } else { PACKET_BEFORE_LOGIN };
        self.rx.read_ahead(limit);
        let Some(payload) = self.rx.next(limit)? else { return Ok(Step::Wait) };
        self.payload = payload;
        Ok(Step::Packet)
    }

    /// When [`poll`](Self::poll) must be called at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        self.machine.deadline()
    }

    /// The hash of the first key exchange (RFC 4253 section 7.2), which users sign. `None` before its end.
    pub const fn session_id(&self) -> Option<&[u8; 32]> {
        self.machine.session_id()
    }

    /// The client's identification (RFC 4253 section 4.2); empty before it has come.
    pub fn client_ident(&self) -> &[u8] {
        self.machine.client().map_or(&[], Ident::as_bytes)
    }

    /// Answers [`Event::Sign`]: the host key's signature of the hash (RFC 8709 section 6).
    pub fn sign_answer(&mut self, signature: &[u8; 64]) {
        self.machine.sign_answer(signature);
    }

    /// Answers [`Event::AuthQuery`] and [`Event::AuthVerify`].
    pub fn auth_answer(&mut self, accepted: bool) {
        let payload = self.rx.payload(self.payload.clone());
        self.machine.auth_answer(accepted, payload);
    }

    /// Answers [`Event::Open`]: with the bytes of data that this side has room for, or with the reason
    /// why the channel is refused.
    pub fn open_answer(&mut self, channel: ChannelId, open: Result<u32, OpenFailure>) {
        self.machine.act(|connection, out| connection.open_answer(out, channel, open));
    }

    /// Answers [`Event::Request`]. Sends nothing if the client wants no reply.
    pub fn request_answer(&mut self, channel: ChannelId, ok: bool) {
        self.machine.act(|connection, out| connection.request_answer(out, channel, ok));
    }

    /// Answers [`Event::Forward`], with the port that connections are announced for, and
    /// [`Event::CancelForward`], with any port; `None` refuses.
    pub fn forward_answer(&mut self, port: Option<u16>) {
        self.machine.act(|connection, out| connection.forward_answer(out, port));
    }

    /// The caller has used `n` bytes of the last [`Event::Data`]; the next poll offers the rest again,
    /// before anything else.
    #[inline(never)] // four times in the caller otherwise
    pub fn data_used(&mut self, channel: ChannelId, n: usize) {
        self.unused = self
            .unused
            .map(|(id, len)| (id, if id == channel { len.saturating_sub(n) } else { len }))
            .filter(|(_, len)| *len > 0);
    }

    /// The caller has room for `n` more bytes of data. The client is told when it is worth a message.
    pub fn grant(&mut self, channel: ChannelId, n: u32) {
        self.machine.act(|connection, out| connection.grant(out, channel, n));
    }

    /// Room for data that can be sent at once, bounded by the client's window and packet size and
    /// by the output. Empty in a key exchange, without window, when the output is full, and after
    /// EOF or CLOSE. What is written here is sent by [`data_commit`](Self::data_commit), which
    /// must be the next call.
    pub fn data_space(&mut self, channel: ChannelId, stream: Stream) -> &mut [u8] {
        self.machine.data_space(channel, stream)
    }

    /// Sends the first `n` bytes of [`data_space`](Self::data_space).
    pub fn data_commit(&mut self, channel: ChannelId, stream: Stream, n: usize) {
        self.machine.act(|connection, out| connection.data_commit(out, channel, stream, n));
    }

    /// Bytes sent that the client's window adjustments have not given back: what it may not have read
    /// yet.
    pub fn unacknowledged(&mut self, channel: ChannelId) -> u64 {
        self.machine.unacknowledged(channel)
    }

    /// Ends this side's data. Once per channel; later calls do nothing.
    pub fn eof(&mut self, channel: ChannelId) {
        self.machine.act(|connection, out| connection.eof(out, channel));
    }

    /// How the command ended (RFC 4254 section 6.10). Once per channel, the signal included.
    pub fn exit_status(&mut self, channel: ChannelId, status: u32) {
        self.machine.act(|connection, out| connection.exit_status(out, channel, status));
    }

    /// The signal, named without SIG, that ended the command (RFC 4254 section 6.10).
    pub fn exit_signal(&mut self, channel: ChannelId, name: &str, core_dumped: bool, message: &str) {
        self.machine.act(|connection, out| connection.exit_signal(out, channel, name, core_dumped, message));
    }

    /// Closes this side of the channel; [`Event::Closed`] follows when the client has, too.
    pub fn close(&mut self, channel: ChannelId) {
        self.machine.act(|connection, out| connection.close(out, channel));
    }

    /// Asks the client for a channel for a connection from `originator` to a forwarded address (RFC 4254
    /// section 7.2). `window` is the room for the client's data.
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
        self.machine.open_forwarded(window, to.into_written())
    }

    /// Starts a key exchange at the next poll.
    pub fn rekey(&mut self) {
        self.machine.want_rekey();
    }

    /// Asks the client for a sign of life. There is no event for its answer, which is seen as input.
    pub fn keepalive(&mut self) {
        if self.machine.is_open() {
            self.machine.act(|connection, out| connection.keepalive(out));
        }
    }

    /// Ends the connection: the caller writes the rest of the output, and nothing more happens.
    pub fn disconnect(&mut self, reason: Reason, text: &str) {
        self.machine.disconnect(reason, text);
    }
}
