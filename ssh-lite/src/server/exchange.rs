//! Key exchange, the server's steps (RFC 4253 sections 7 to 9).

use super::machine::{Machine, Owed};
use crate::{
    Error, Event, Instant, Random, auth,
    error::{Bug, Misbehaviour},
    kex::{Choice, Direction, Offer, Reply, Secret, Transcript, derive, respond, wants_ext_info, wants_strict},
    keys,
    msg::{Encode, ExtInfo, KexEcdhInit, KexEcdhReply, KexInit, NewKeys, Rest},
    names::{HOSTBOUND, SERVER_SIG_ALGS, SSH_ED25519},
    wire::Writer,
};
use core::mem::replace;
use ssh_lite_cipher::Key;

pub const IDENT_PREFIX: &str = "SSH-2.0-";

/// This side's KEXINIT: 17 bytes, ten name-lists of which the longest has 97, 5 bytes.
const KEXINIT_LEN: usize = 768;

#[expect(clippy::large_enum_variant, reason = "one per connection, and there is no heap")]
pub enum Exchange {
    /// Keys are in use.
    Done {
        since: Instant,
    },
    Running(Step),
}

#[expect(clippy::enum_variant_names, reason = "each is what is awaited")]
pub enum Step {
    /// Our KEXINIT is out.
    AwaitKexInit(Offer),
    AwaitEcdhInit(Agreed),
    AwaitSignature(Unsigned),
    /// Our NEWKEYS is out; the key opens what follows the client's.
    AwaitNewKeys {
        key: Key,
        hash: [u8; 32],
    },
}

/// Both KEXINITs have been seen.
pub struct Agreed {
    choice: Choice,
    /// H up to the host key.
    transcript: Transcript,
    /// The client wants EXT_INFO after this exchange.
    ext_info: bool,
}

/// All of KEX_ECDH_REPLY but the signature, and what comes after it.
pub struct Unsigned {
    choice: Choice,
    ext_info: bool,
    reply: Reply,
    secret: Secret,
    hash: [u8; 32],
}

impl Step {
    pub const fn has_peer_kexinit(&self) -> bool {
        !matches!(self, Self::AwaitKexInit(_))
    }
}

impl Exchange {
    /// Whether the packet is a client's wrong guess, to be ignored once (RFC 4253 section 7).
    pub const fn skips_guess(&mut self, number: u8) -> bool {
        match self {
            Self::Running(Step::AwaitEcdhInit(agreed)) if agreed.choice.wrong_guess && matches!(number, 30..=49) => {
                agreed.choice.wrong_guess = false;
                true
            }
            _ => false,
        }
    }
}

impl Machine<'_> {
    /// Sends our KEXINIT. From here to our NEWKEYS only the key exchange's messages go out.
    pub fn start_exchange(&mut self, random: &mut dyn Random) -> Result<(), Error> {
        let mut cookie = [0; 16];
        random.fill(&mut cookie);
        let first = self.session_id.is_none();
        let offer = Offer { cookie, ciphers: self.config.ciphers, first };
        offer.message(|message| self.tx.send(message))?;
        self.tx.hold();
        self.rekey_wanted = false;
        self.exchange = Exchange::Running(Step::AwaitKexInit(offer));
        Ok(())
    }

    pub fn want_rekey(&mut self) {
        self.rekey_wanted = matches!(self.exchange, Exchange::Done { .. });
    }

    pub fn on_kex_init(
        &mut self,
        payload: &[u8],
        message: &KexInit<'_>,
        sequence: u32,
        random: &mut dyn Random,
    ) -> Result<(), Error> {
        if let Exchange::Done { .. } = self.exchange {
            self.login.count_attempt()?;
            self.start_exchange(random)?;
        }
        let Some(Step::AwaitKexInit(offer)) = self.take_running() else {
            return Err(unexpected::<KexInit<'_>>());
        };
        let first = self.session_id.is_none();
        if first {
            self.strict = wants_strict(message);
            if self.strict && sequence != 0 {
                return Err(Misbehaviour::KexInitNotFirst.into());
            }
        }
        let choice = Choice::new(message, self.config.ciphers)?;
        let transcript = self.transcript(payload, &offer)?;
        let ext_info = first && wants_ext_info(message);
        let step = Step::AwaitEcdhInit(Agreed { choice, transcript, ext_info });
        self.exchange = Exchange::Running(step);
        Ok(())
    }

    /// The part of H that is known when both KEXINITs are.
    fn transcript(&self, client_kexinit: &[u8], offer: &Offer) -> Result<Transcript, Error> {
        let mut kexinit = [0; KEXINIT_LEN];
        let mut to = Writer::new(&mut kexinit);
        offer.message(|message| message.encode(&mut to)).map_err(|_| Bug::NoRoom)?;
        Ok(Transcript::new()
            .string(&[self.client_ident()])
            .string(&[IDENT_PREFIX.as_bytes(), self.config.software.as_bytes()])
            .string(&[client_kexinit])
            .string(&[to.into_written()])
            .string(&[&keys::ed25519_blob(&self.config.host_key)]))
    }

    pub fn on_ecdh_init<'p>(&mut self, public: &[u8], random: &mut dyn Random) -> Result<Event<'p>, Error> {
        let Some(Step::AwaitEcdhInit(agreed)) = self.take_running() else {
            return Err(unexpected::<KexEcdhInit<'_>>());
        };
        let Agreed { choice, transcript, ext_info } = agreed;
        let (reply, secret) = respond(choice.method, public, random)?;
        let hash = transcript.string(&[public]).string(&[&reply]).finish(&secret);
        let unsigned = Unsigned { choice, reply, secret, hash, ext_info };
        self.exchange = Exchange::Running(Step::AwaitSignature(unsigned));
        self.owed = Some(Owed::Signature);
        Ok(Event::Sign { hash })
    }

    pub fn sign_answer(&mut self, signature: &[u8; 64]) {
        let asked = self.settle(|owed| matches!(owed, Owed::Signature).then_some(()));
        if let (Some(()), Some(Step::AwaitSignature(unsigned))) = (asked, self.take_running()) {
            let finished = self.finish(unsigned, signature);
            self.note(finished);
        }
    }

    /// Sends the reply and NEWKEYS; what this side sends from here on has the new key.
    fn finish(&mut self, unsigned: Unsigned, signature: &[u8; 64]) -> Result<(), Error> {
        let Unsigned { choice, reply, secret, hash, ext_info } = unsigned;
        let session_id = self.session_id.unwrap_or(hash);
        let key = |cipher, direction| derive(cipher, direction, &secret, &hash, &session_id);
        let outgoing = key(choice.to_client, Direction::ServerToClient);
        let incoming = key(choice.to_server, Direction::ClientToServer);

        self.tx.send(&KexEcdhReply {
            host_key: &keys::ed25519_blob(&self.config.host_key),
            public: &reply,
            signature: &signature_blob(signature)?,
        })?;
        self.tx.send(&NewKeys {})?;
        self.tx.rekey(outgoing, self.strict);
        if ext_info {
            self.send_ext_info()?;
        }
        self.exchange = Exchange::Running(Step::AwaitNewKeys { key: incoming, hash });
        Ok(())
    }

    pub fn on_new_keys(&mut self, now: Instant) -> Result<(), Error> {
        let Some(Step::AwaitNewKeys { key, hash }) = self.take_running() else {
            return Err(unexpected::<NewKeys>());
        };
        self.session_id.get_or_insert(hash);
        self.incoming_key = Some(key);
        self.exchange = Exchange::Done { since: now };
        Ok(())
    }

    /// RFC 8308 section 3.1: the signature algorithms that users may sign with; and that they may bind them to this host.
    fn send_ext_info(&mut self) -> Result<(), Error> {
        let mut extension = [0; 192];
        let mut to = Writer::new(&mut extension);
        to.string(SERVER_SIG_ALGS.as_bytes())
            .and_then(|()| to.string(auth::SIGNATURE_ALGORITHMS.as_bytes()))
            .and_then(|()| to.string(HOSTBOUND.as_bytes()))
            .and_then(|()| to.string(b"0"))
            .map_err(|_| Bug::NoRoom)?;
        self.tx.send(&ExtInfo { count: 2, extensions: Rest(to.into_written()) })
    }

    /// The step of the running exchange. The caller puts the next one in its place, or fails.
    fn take_running(&mut self) -> Option<Step> {
        let Exchange::Running(_) = self.exchange else { return None };
        match replace(&mut self.exchange, Exchange::Done { since: Instant(0) }) {
            Exchange::Running(step) => Some(step),
            Exchange::Done { .. } => None,
        }
    }
}

/// RFC 8709 section 6.
fn signature_blob(signature: &[u8; 64]) -> Result<[u8; 4 + 11 + 4 + 64], Error> {
    let mut blob = [0; 83];
    let mut to = Writer::new(&mut blob);
    to.string(SSH_ED25519.as_bytes()).and_then(|()| to.string(signature)).map_err(|_| Bug::NoRoom)?;
    Ok(blob)
}

fn unexpected<M: Encode>() -> Error {
    Misbehaviour::Unexpected { number: M::NUMBER }.into()
}
