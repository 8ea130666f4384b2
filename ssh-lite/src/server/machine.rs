//! All of a server but the receive buffer: an event borrows from that while the machine is changed.
//!
//! Each part of the machine has private state and is handed the sender with each call. The machine alone decides which
//! part a message is for.

use super::{config::Config, connection::Connection, key_exchange::KeyExchange, login::Login};
use crate::{
    Error, Event, Instant, Random,
    connection::{ChannelId, NoRoom, Stream},
    error::{Malformed, Misbehaviour, Reason},
    limits::{DISCONNECT_TEXT, OUTPUT_BEFORE_LOGIN},
    msg::{self, Disconnect, Message, Phase, SentBy, Unimplemented},
    transport::{Ident, Sender, Volume},
};
use core::fmt::Write;
use ssh_lite_cipher::Key;

pub struct Machine<'a> {
    out: Sender<'a>,
    key_exchange: KeyExchange,
    login: Login,
    connection: Connection,
    /// The first error of a call that cannot return one; the next poll returns it.
    fault: Option<Error>,
    /// The last message has been sent or received.
    over: bool,
}

impl<'a> Machine<'a> {
    /// The identification is in the output.
    pub fn new(config: Config, tx: &'a mut [u8], rx_capacity: usize, now: Instant) -> Self {
        let mut out = Sender::using(tx, OUTPUT_BEFORE_LOGIN);
        let fault = out.ident(config.software).err();
        Self {
            out,
            key_exchange: KeyExchange::new(config, now),
            login: Login::new(config.host_key, now.after(config.login_grace)),
            connection: Connection::new(rx_capacity),
            fault,
            over: false,
        }
    }

    /// Bytes for the client.
    pub fn output(&self) -> &[u8] {
        self.out.output()
    }

    pub fn consume(&mut self, n: usize) {
        self.out.consume(n);
    }

    /// The client's identification, once it has come.
    pub const fn client(&self) -> Option<&Ident> {
        self.key_exchange.client()
    }

    pub const fn session_id(&self) -> Option<&[u8; 32]> {
        self.key_exchange.session_id()
    }

    /// The user has logged in.
    pub const fn is_open(&self) -> bool {
        self.login.is_done()
    }

    /// A packet can be handled.
    pub fn is_listening(&mut self) -> bool {
        let asked = self.key_exchange.awaits_answer() || self.login.awaits_answer() || self.connection.awaits_answer();
        !self.over && !asked && self.out.has_answer_room()
    }

    /// The key of the client's next packets, and whether their sequence starts anew.
    pub fn take_incoming_key(&mut self) -> Option<(Key, bool)> {
        self.key_exchange.take_incoming_key()
    }

    /// Does what has become due with time, or can be done with new room: time-outs, a re-key, queued messages.
    pub fn tick(&mut self, received: Volume, now: Instant, random: &mut dyn Random) -> Result<(), Error> {
        if self.over {
            return Ok(());
        }
        if let Some(error) = self.fault.take() {
            return Err(error);
        }
        // A client that is stopped may take its time for an exchange; before the login that is bounded.
        if self.login.deadline().is_some_and(|deadline| now >= deadline) {
            return Err(Misbehaviour::LoginTimeout.into());
        }
        // OpenSSH's client takes no KEXINIT while its user logs in.
        if self.key_exchange.is_due(received, self.out.volume(), now) && self.is_open() && self.out.has_answer_room() {
            self.key_exchange.start(&mut self.out, random)?;
        }
        self.out.flush();
        self.connection.send_credit(&mut self.out)
    }

    /// When [`tick`](Self::tick) must be called at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        if self.over {
            return None;
        }
        [self.login.deadline(), self.key_exchange.deadline()].into_iter().flatten().min()
    }

    /// The client has sent its identification.
    pub fn on_ident(&mut self, client: Ident, random: &mut dyn Random) -> Result<(), Error> {
        self.key_exchange.on_ident(&mut self.out, client, random)
    }

    fn phase(&self) -> Phase {
        let phase = if self.is_open() { Phase::Open } else { Phase::Login };
        self.key_exchange.phase().unwrap_or(phase)
    }

    /// Handles the payload of one packet; `sequence` is the packet's number.
    pub fn handle<'p>(
        &mut self,
        payload: &'p [u8],
        sequence: u32,
        now: Instant,
        random: &mut dyn Random,
    ) -> Result<Event<'p>, Error> {
        let number = payload[0];
        self.login.count_packet(payload.len())?;
        if self.key_exchange.skips_guess(number) {
            return Ok(Event::Progress);
        }
        let phase = self.phase();
        match msg::legal(number, SentBy::Client, phase) {
            Some(true) => {}
            None if phase != Phase::StrictKex => {
                self.out.send(&Unimplemented { sequence })?;
                return Ok(Event::Progress);
            }
            _ => return Err(Misbehaviour::Unexpected { number }.into()),
        }
        let message = Message::decode(payload).map_err(|error| Malformed::Message { number, error })?;
        let out = &mut self.out;
        let event = match message {
            Message::Disconnect(message) => {
                self.over = true;
                Some(Event::Disconnected { reason: message.reason, description: message.description })
            }
            Message::KexInit(message) => {
                if !self.key_exchange.is_running() {
                    self.login.count_attempt()?;
                }
                self.key_exchange.on_kex_init(out, payload, &message, sequence, random)?;
                None
            }
            Message::KexEcdhInit(message) => Some(self.key_exchange.on_ecdh_init(message.public, random)?),
            Message::NewKeys(_) => {
                self.key_exchange.on_new_keys(now)?;
                None
            }
            Message::ServiceRequest(message) => {
                self.login.on_service_request(out, message.service)?;
                None
            }
            Message::UserauthRequest(message) => self.login.on_userauth_request(out, &message)?,
            message => self.connection.on_message(out, message)?,
        };
        Ok(event.unwrap_or(Event::Progress))
    }

    pub fn sign_answer(&mut self, signature: &[u8; 64]) {
        if !self.over {
            let answered = self.key_exchange.answer(&mut self.out, signature);
            self.note(answered);
        }
    }

    /// `payload` is the request that was asked about.
    pub fn auth_answer(&mut self, accepted: bool, payload: &[u8]) {
        if !self.over {
            let answered = self.login.answer(&mut self.out, accepted, payload);
            self.note(answered);
        }
    }

    /// Lets the caller act on the connection. After the last message nothing is done.
    pub fn act(&mut self, act: impl FnOnce(&mut Connection, &mut Sender<'_>) -> Result<(), Error>) {
        if !self.over {
            let done = act(&mut self.connection, &mut self.out);
            self.note(done);
        }
    }

    pub fn data_space(&mut self, channel: ChannelId, stream: Stream) -> &mut [u8] {
        if self.over {
            return &mut [];
        }
        self.connection.data_space(&mut self.out, channel, stream)
    }

    pub fn unacknowledged(&mut self, channel: ChannelId) -> u64 {
        self.connection.unacknowledged(channel)
    }

    pub fn open_forwarded(&mut self, window: u32, fields: &[u8]) -> Result<ChannelId, NoRoom> {
        let mut channel = None;
        if self.is_open() {
            self.act(|connection, out| {
                channel = connection.open_forwarded(out, window, fields)?;
                Ok(())
            });
        }
        channel.ok_or(NoRoom)
    }

    pub const fn want_rekey(&mut self) {
        self.key_exchange.want_rekey();
    }

    /// Keeps the error of a call that has no result.
    #[inline(never)] // ten times in the callers otherwise
    fn note(&mut self, result: Result<(), Error>) {
        if let Err(error) = result {
            self.fault.get_or_insert(error);
        }
    }

    /// Tells the client why the connection ends.
    pub fn fail(&mut self, error: Error) -> Error {
        let mut text = heapless::String::<DISCONNECT_TEXT>::new();
        // A sentence that is cut is still better than none.
        let _ = write!(text, "{error}");
        self.disconnect(error.disconnect_reason(), &text);
        error
    }

    pub fn disconnect(&mut self, reason: Reason, text: &str) {
        if self.over {
            return;
        }
        self.over = true;
        let description = &text[..text.floor_char_boundary(DISCONNECT_TEXT)];
        let message = Disconnect { reason: reason as u32, description, language: "" };
        // Without room for it the connection ends all the same.
        let _ = self.out.disconnect(&message);
    }
}
