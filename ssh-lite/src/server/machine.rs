//! Everything of a connection but the receive buffer, so that an event may borrow from that while
//! the rest moves on.

use super::{Config, channels::Question, exchange::Exchange, login::Login};
use crate::{
    Ciphers, Error, Event, Instant, Random,
    connection::Channels,
    error::{Malformed, Misbehaviour, Misuse, Reason},
    limits::{DISCONNECT_TEXT, OUTPUT_BEFORE_LOGIN, PACKETS_PER_KEY},
    msg::{self, Disconnect, Encode, Message, Phase, Unimplemented},
    names::GO,
    transport::{Ident, Sender},
    wire::WireError,
};
use core::fmt::Write;
use ssh_lite_cipher::Key;

/// The answer that the caller owes.
pub(super) enum Owed {
    Signature,
    Login { verify: bool },
    Channel(Question),
}

pub(super) struct Machine<'a> {
    pub(super) config: Config,
    pub(super) tx: Sender<'a>,
    /// The size of the receive buffer.
    pub(super) rx_capacity: usize,
    pub(super) peer: Option<Ident>,
    pub(super) exchange: Exchange,
    /// Strict key exchange has been agreed on.
    pub(super) strict: bool,
    /// There once the first key exchange is over, the client's NEWKEYS included.
    pub(super) session_id: Option<[u8; 32]>,
    /// Opens what follows the client's NEWKEYS.
    pub(super) incoming_key: Option<Key>,
    pub(super) rekey_wanted: bool,
    pub(super) login: Login,
    pub(super) channels: Channels,
    pub(super) owed: Option<Owed>,
    /// An error in a call that cannot return one; the next poll does.
    fault: Option<Error>,
    over: bool,
}

/// The error of a message whose fields depend on each other.
pub(super) fn malformed<M: Encode>(error: WireError) -> Error {
    Malformed::Message { number: M::NUMBER, error }.into()
}

impl<'a> Machine<'a> {
    pub fn new(config: Config, tx: &'a mut [u8], rx_capacity: usize, now: Instant) -> Self {
        let mut machine = Self {
            config,
            tx: Sender::using(tx, OUTPUT_BEFORE_LOGIN),
            rx_capacity,
            peer: None,
            exchange: Exchange::Done { since: now },
            strict: false,
            session_id: None,
            incoming_key: None,
            rekey_wanted: false,
            login: Login::new(now.after(config.login_grace)),
            channels: Channels::new(),
            owed: None,
            fault: None,
            over: false,
        };
        let started = machine.tx.ident(&[super::exchange::IDENT_PREFIX, config.software, "\r\n"]);
        machine.note(started);
        machine
    }

    pub const fn knows_peer(&self) -> bool {
        self.peer.is_some()
    }

    /// The client has said who it is: the first key exchange begins.
    pub fn meet(&mut self, peer: Ident, random: &mut dyn Random) -> Result<(), Error> {
        // The client's list decides (RFC 4253 section 7.1), and Go's has AES in front of the ChaCha20 that it knows.
        if self.config.ciphers == Ciphers::SLOW_AES && peer.as_bytes().starts_with(GO) {
            self.config.ciphers = Ciphers::PORTABLE;
        }
        self.peer = Some(peer);
        self.start_exchange(random)
    }

    /// The client's identification; empty before it has come.
    pub fn client_ident(&self) -> &[u8] {
        self.peer.as_ref().map_or(&[], |peer| peer.as_bytes())
    }

    pub const fn is_open(&self) -> bool {
        matches!(self.login, Login::Open)
    }

    /// A packet can be taken up.
    pub fn is_listening(&mut self) -> bool {
        !self.over && self.owed.is_none() && self.tx.has_answer_room()
    }

    /// The key of the client's next packets, and whether their sequence starts anew.
    pub fn take_incoming_key(&mut self) -> Option<(Key, bool)> {
        self.incoming_key.take().map(|key| (key, self.strict))
    }

    /// What time and room bring: time-outs, a re-key, messages that had to wait.
    pub fn tick(&mut self, received: (u64, u32), now: Instant, random: &mut dyn Random) -> Result<(), Error> {
        if self.over {
            return Ok(());
        }
        if let Some(error) = self.fault.take() {
            return Err(error);
        }
        if self.login.deadline().is_some_and(|deadline| now >= deadline) {
            return Err(Misbehaviour::LoginTimeout.into());
        }
        // A client that is stopped may take its time for an exchange; before the login that is bounded.
        if let Exchange::Done { since } = self.exchange {
            let worn = |(bytes, packets): (u64, u32)| bytes >= self.config.rekey_bytes || packets >= PACKETS_PER_KEY;
            self.rekey_wanted |=
                worn(received) || worn(self.tx.volume()) || now >= since.after(self.config.rekey_after);
            // OpenSSH's client takes no KEXINIT while its user logs in.
            if self.rekey_wanted && self.is_open() && self.tx.has_answer_room() {
                self.start_exchange(random)?;
            }
        }
        self.tx.flush();
        self.send_credit()
    }

    pub fn deadline(&self) -> Option<Instant> {
        if self.over {
            return None;
        }
        let exchange = match self.exchange {
            // A re-key that is wanted waits for room, not for time.
            Exchange::Done { since } if !self.rekey_wanted => Some(since.after(self.config.rekey_after)),
            _ => None,
        };
        [self.login.deadline(), exchange].into_iter().flatten().min()
    }

    fn phase(&self) -> Phase {
        match &self.exchange {
            Exchange::Running(step) if step.has_peer_kexinit() => {
                if self.strict && self.session_id.is_none() {
                    Phase::StrictKex
                } else {
                    Phase::Kex
                }
            }
            _ if self.session_id.is_none() => Phase::Kex,
            _ if self.is_open() => Phase::Open,
            _ => Phase::Login,
        }
    }

    /// Handles one packet of the client.
    pub fn handle<'p>(
        &mut self,
        payload: &'p [u8],
        sequence: u32,
        now: Instant,
        random: &mut dyn Random,
    ) -> Result<Event<'p>, Error> {
        let number = payload[0];
        self.login.count_packet(payload.len())?;
        if self.exchange.skips_guess(number) {
            return Ok(Event::Progress);
        }
        let phase = self.phase();
        match msg::legal(number, msg::Sender::Client, phase) {
            Some(true) => {}
            None if phase != Phase::StrictKex => {
                self.tx.send(&Unimplemented { sequence })?;
                return Ok(Event::Progress);
            }
            _ => return Err(Misbehaviour::Unexpected { number }.into()),
        }
        let message = Message::decode(payload).map_err(|error| Malformed::Message { number, error })?;
        let event = match message {
            Message::Disconnect(message) => {
                self.over = true;
                Some(Event::Disconnected { reason: message.reason, description: message.description })
            }
            Message::KexInit(message) => {
                self.on_kex_init(payload, &message, sequence, random)?;
                None
            }
            Message::KexEcdhInit(message) => Some(self.on_ecdh_init(message.public, random)?),
            Message::NewKeys(_) => {
                self.on_new_keys(now)?;
                None
            }
            Message::ServiceRequest(message) => {
                self.on_service_request(message.service)?;
                None
            }
            Message::UserauthRequest(message) => self.on_userauth_request(&message)?,
            message => self.on_connection(message)?,
        };
        Ok(event.unwrap_or(Event::Progress))
    }

    /// Keeps the error of a call that has no result.
    pub(super) fn note(&mut self, result: Result<(), Error>) {
        if let Err(error) = result {
            self.fault.get_or_insert(error);
        }
    }

    /// Sends a message from a call that has no result.
    pub(super) fn post(&mut self, message: &impl Encode) {
        if !self.over {
            let sent = self.tx.send(message);
            self.note(sent);
        }
    }

    /// The answer that was owed, if it is one that `pick` knows.
    pub(super) fn settle<T>(&mut self, pick: impl FnOnce(&Owed) -> Option<T>) -> Option<T> {
        let picked = self.owed.as_ref().and_then(pick);
        match picked {
            Some(_) => self.owed = None,
            None => self.note(Err(Misuse::AnswerNotOwed.into())),
        }
        picked
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
        let _ = self.tx.disconnect(&message);
    }
}
