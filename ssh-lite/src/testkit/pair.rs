//! A client and a server, and the states a test starts from.

use super::{Client, Counter, Dialect, payload, written};
use crate::{
    Ciphers, Error, Event, Instant, Server, auth,
    connection::ChannelId,
    keys::host_key::HostKey,
    msg::{ChannelOpen, Encode, Rest, ServiceRequest, UserauthRequest},
    server::{Buffers, Config},
    wire::Writer,
};
use core::time::Duration;
use ed25519_dalek::{Signer, SigningKey};
use std::{boxed::Box, format, string::String, vec, vec::Vec};

/// The user's key.
const USER_SEED: [u8; 32] = [9; 32];
/// The receive buffer: a packet of 256 KiB and more.
pub const RX: usize = 300 * 1024;
/// The send buffer: two packets of data and the answers.
pub const TX: usize = 72 * 1024;
/// The room that a channel opened by [`Pair::open`] has for data in each direction.
pub const WINDOW: u32 = 64 * 1024;

pub struct Pair<'a> {
    pub client: Client,
    pub server: Server<'a>,
    /// What the server told its caller, but for Progress and Sign: `Debug` of the event.
    pub events: Vec<String>,
    /// Whether the signature in the last AuthVerify was good.
    pub verified: bool,
    pub now: Instant,
    /// How many bytes the server gets at once.
    pub fragment: usize,
    pub random: Counter,
    host_key: HostKey,
}

/// Before anything has been sent.
pub fn pair_of(dialect: Dialect, change: impl FnOnce(&mut Config)) -> Pair<'static> {
    let buffers = Buffers { rx: Box::leak(vec![0; RX].into()), tx: Box::leak(vec![0; TX].into()) };
    pair_in(buffers, dialect, change)
}

/// The same in buffers that the caller has, of [`RX`] and [`TX`] bytes.
pub fn pair_in(buffers: Buffers<'_>, dialect: Dialect, change: impl FnOnce(&mut Config)) -> Pair<'_> {
    let host_key = HostKey::from_seed(&[7; 32]);
    let mut config = Config {
        software: "ssh-lite",
        host_key: host_key.public(),
        ciphers: Ciphers::ALL,
        rekey_bytes: 1 << 30,
        rekey_after: Duration::from_secs(3600),
        login_grace: Duration::from_secs(60),
    };
    change(&mut config);
    let now = Instant(0);
    let random = Counter(2);
    let server = Server::new(config, buffers, now);
    Pair {
        client: Client::new(dialect),
        server,
        events: Vec::new(),
        verified: false,
        now,
        fragment: usize::MAX,
        random,
        host_key,
    }
}

/// After the first key exchange.
pub fn pair() -> Pair<'static> {
    let mut pair = pair_of(Dialect::OPENSSH, |_| {});
    pair.client.start_exchange();
    pair.run().expect("the key exchange");
    pair
}

/// After the login.
pub fn pair_authed() -> Pair<'static> {
    let mut pair = pair();
    pair.login();
    pair
}

/// With a session's channel, its number 0 on either side, and [`WINDOW`] bytes of window each way.
pub fn pair_with_channel() -> (Pair<'static>, ChannelId) {
    let mut pair = pair_authed();
    let channel = pair.open(0);
    (pair, channel)
}

impl Pair<'_> {
    /// Carries bytes both ways, signs for the host, and notes the server's events, until one side
    /// must be asked.
    pub fn run(&mut self) -> Result<(), Error> {
        loop {
            let event = self.poll();
            self.client.absorb(self.server.output());
            self.server.consume(usize::MAX);
            let fragment = self.fragment.min(self.client.outbox.len());
            let taken = self.server.input(&self.client.outbox[..fragment]);
            self.client.outbox.drain(..taken);
            if !event? && taken == 0 && self.server.output().is_empty() {
                return Ok(());
            }
        }
    }

    /// Lets the server do one thing; false if it had nothing to do.
    fn poll(&mut self) -> Result<bool, Error> {
        let session_id = self.server.session_id().copied();
        let mut to_sign = None;
        let mut used = None;
        match self.server.poll(self.now, &mut self.random)? {
            None => return Ok(false),
            Some(Event::Progress) => {}
            Some(Event::Sign { hash }) => to_sign = Some(hash),
            Some(event) => {
                self.events.push(format!("{event:?}"));
                match &event {
                    Event::AuthVerify(request) => {
                        let session_id = session_id.expect("keys before a login");
                        self.verified = auth::verify(&session_id, authorized(), request).is_ok();
                    }
                    Event::Data { channel, data } => used = Some((*channel, data.len())),
                    _ => {}
                }
            }
        }
        if let Some(hash) = to_sign {
            self.server.sign_answer(&self.sign(&hash));
        }
        if let Some((channel, len)) = used {
            self.server.data_used(channel, len);
        }
        Ok(true)
    }

    /// The host key's signature.
    pub fn sign(&self, hash: &[u8; 32]) -> [u8; 64] {
        self.host_key.sign(hash)
    }

    /// The client's message goes through the server; the events that come of it.
    pub fn deliver(&mut self, message: &impl Encode) -> Result<Vec<String>, Error> {
        self.deliver_altered(message, |_| {})
    }

    /// The same with another payload than the message's.
    pub fn deliver_altered(
        &mut self,
        message: &impl Encode,
        alter: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Vec<String>, Error> {
        let mut payload = payload(message);
        alter(&mut payload);
        self.client.send(&payload);
        self.events.clear();
        self.run()?;
        Ok(core::mem::take(&mut self.events))
    }

    /// The payload of the server's next message.
    pub fn reply(&mut self) -> Option<Vec<u8>> {
        self.run().expect("the server goes on");
        self.client.inbox.pop_front()
    }

    /// The numbers of all messages that the server has sent since the last call.
    pub fn replies(&mut self) -> Vec<u8> {
        self.run().expect("the server goes on");
        self.client.inbox.drain(..).map(|payload| payload[0]).collect()
    }

    /// Logs in with a key that the server knows.
    pub fn login(&mut self) {
        self.deliver(&ServiceRequest { service: "ssh-userauth" }).unwrap();
        let request = self.signed_request();
        self.deliver(&UserauthRequest {
            user: "glenda",
            service: "ssh-connection",
            method: "publickey",
            fields: Rest(&request),
        })
        .unwrap();
        assert!(self.verified);
        self.server.auth_answer(true);
        self.run().unwrap();
        self.client.inbox.clear();
    }

    /// The fields of `publickey` with a good signature (RFC 4252 section 7).
    pub fn signed_request(&self) -> Vec<u8> {
        let key = user_key();
        let session_id = self.client.session_id.expect("keys before a login");
        let fields = |to: &mut Writer<'_>| {
            to.boolean(true)?;
            to.string(b"ssh-ed25519")?;
            to.string(&blob(&key))
        };
        let signed = written(|to| {
            to.string(&session_id)?;
            to.byte(50)?;
            to.string(b"glenda")?;
            to.string(b"ssh-connection")?;
            to.string(b"publickey")?;
            fields(to)
        });
        let signature = key.sign(&signed).to_bytes();
        written(|to| {
            fields(to)?;
            to.string(&written(|to| {
                to.string(b"ssh-ed25519")?;
                to.string(&signature)
            }))
        })
    }

    /// Opens a session, the client's number for it being `number`.
    pub fn open(&mut self, number: u32) -> ChannelId {
        let mut opened = None;
        self.client.send(&payload(&ChannelOpen {
            kind: "session",
            sender: number,
            window: WINDOW,
            maximum_packet: 32 * 1024,
            fields: Rest(&[]),
        }));
        while opened.is_none() {
            self.client.absorb(self.server.output());
            self.server.consume(usize::MAX);
            let taken = self.server.input(&self.client.outbox);
            self.client.outbox.drain(..taken);
            match self.server.poll(self.now, &mut self.random).expect("a session") {
                Some(Event::Open { channel }) => opened = Some(channel),
                Some(event) => assert!(matches!(event, Event::Progress), "{event:?}"),
                None => assert!(taken > 0, "no session"),
            }
        }
        let channel = opened.expect("the loop ends with one");
        self.server.open_answer(channel, Ok(WINDOW));
        self.run().unwrap();
        self.client.inbox.clear();
        channel
    }
}

pub fn user_key() -> SigningKey {
    SigningKey::from_bytes(&USER_SEED)
}

/// The blob of the public half (RFC 8709 section 4).
pub fn blob(key: &SigningKey) -> Vec<u8> {
    written(|to| {
        to.string(b"ssh-ed25519")?;
        to.string(key.verifying_key().as_bytes())
    })
}

/// The `authorized_keys` file of the user's key.
fn authorized() -> &'static [u8] {
    b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP0XJDhaoMdbZPt4zWAvodmR/ev3axPFjtcC6sg16fYY user@testkit\n"
}
