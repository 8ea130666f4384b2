//! Key exchange, the server's steps (RFC 4253 sections 7 to 9).

use super::config::Config;
use crate::{
    Ciphers, Error, Event, Instant, Random, auth,
    error::{Bug, Misbehaviour, Misuse},
    kex::{Choice, Direction, Offer, Reply, Secret, Transcript, derive, respond, wants_ext_info, wants_strict},
    keys,
    limits::PACKETS_PER_KEY,
    msg::{Encode, ExtInfo, KexEcdhInit, KexEcdhReply, KexInit, NewKeys, Phase, Rest, unexpected},
    names::{GO, HOSTBOUND, SERVER_SIG_ALGS, SSH_ED25519},
    transport::{IDENT_PREFIX, Ident, Sender, Volume},
    wire::Writer,
};
use core::mem::replace;
use ssh_lite_cipher::Key;

/// This side's KEXINIT: 17 bytes, ten name-lists of which the longest has 97, 5 bytes.
const KEXINIT_LEN: usize = 768;

pub struct KeyExchange {
    config: Config,
    /// The client's identification.
    client: Option<Ident>,
    exchange: Exchange,
    /// Strict key exchange has been agreed on.
    strict: bool,
    /// The hash of the first key exchange, once that is over, the client's NEWKEYS included.
    session_id: Option<[u8; 32]>,
    /// The key of what follows the client's NEWKEYS, until the receiver takes it.
    incoming_key: Option<Key>,
    rekey_wanted: bool,
}

#[expect(clippy::large_enum_variant, reason = "one per connection, and there is no heap")]
enum Exchange {
    /// Keys are in use.
    Done {
        since: Instant,
    },
    Running(Step),
}

#[expect(clippy::enum_variant_names, reason = "each is what is awaited")]
enum Step {
    /// We have sent KEXINIT.
    AwaitKexInit(Offer),
    AwaitEcdhInit(Agreed),
    AwaitSignature(Unsigned),
    /// We have sent NEWKEYS; `key` opens what follows the client's.
    AwaitNewKeys {
        key: Key,
        hash: [u8; 32],
    },
}

/// Both KEXINITs have been seen.
struct Agreed {
    choice: Choice,
    /// H up to the host key.
    transcript: Transcript,
    /// The client wants EXT_INFO after this exchange.
    ext_info: bool,
}

/// All of KEX_ECDH_REPLY but the signature, and what comes after it.
struct Unsigned {
    choice: Choice,
    ext_info: bool,
    reply: Reply,
    secret: Secret,
    hash: [u8; 32],
}

impl KeyExchange {
    pub const fn new(config: Config, now: Instant) -> Self {
        Self {
            config,
            client: None,
            exchange: Exchange::Done { since: now },
            strict: false,
            session_id: None,
            incoming_key: None,
            rekey_wanted: false,
        }
    }

    /// The client's identification.
    pub const fn client(&self) -> Option<&Ident> {
        self.client.as_ref()
    }

    pub const fn session_id(&self) -> Option<&[u8; 32]> {
        self.session_id.as_ref()
    }

    /// No message can be handled before the caller has signed.
    pub const fn awaits_answer(&self) -> bool {
        matches!(self.exchange, Exchange::Running(Step::AwaitSignature(_)))
    }

    pub const fn is_running(&self) -> bool {
        matches!(self.exchange, Exchange::Running(_))
    }

    /// The key of the client's next packets, and whether their sequence starts anew.
    pub fn take_incoming_key(&mut self) -> Option<(Key, bool)> {
        self.incoming_key.take().map(|key| (key, self.strict))
    }

    /// The phase of the connection while a key exchange decides it: before the first, and from the client's KEXINIT to
    /// its NEWKEYS.
    pub const fn phase(&self) -> Option<Phase> {
        match (&self.exchange, self.session_id) {
            (Exchange::Running(Step::AwaitKexInit(_)) | Exchange::Done { .. }, Some(_)) => None,
            (Exchange::Running(Step::AwaitKexInit(_)) | Exchange::Done { .. }, None) => Some(Phase::Kex),
            (Exchange::Running(_), None) if self.strict => Some(Phase::StrictKex),
            (Exchange::Running(_), _) => Some(Phase::Kex),
        }
    }

    /// When the keys are too old.
    pub fn deadline(&self) -> Option<Instant> {
        match self.exchange {
            // A re-key that is wanted waits for room, not for time.
            Exchange::Done { since } if !self.rekey_wanted => Some(since.after(self.config.rekey_after)),
            _ => None,
        }
    }

    pub const fn want_rekey(&mut self) {
        self.rekey_wanted = !self.is_running();
    }

    /// A re-key is due: the caller wants one, or the keys are too old or have been used too much.
    pub fn is_due(&mut self, received: Volume, sent: Volume, now: Instant) -> bool {
        let Exchange::Done { since } = self.exchange else { return false };
        let worn = |volume: Volume| volume.bytes >= self.config.rekey_bytes || volume.packets >= PACKETS_PER_KEY;
        self.rekey_wanted |= worn(received) || worn(sent) || now >= since.after(self.config.rekey_after);
        self.rekey_wanted
    }

    /// The client has sent its identification: the first key exchange begins.
    pub fn on_ident(&mut self, out: &mut Sender<'_>, client: Ident, random: &mut dyn Random) -> Result<(), Error> {
        // The client's list decides (RFC 4253 section 7.1), and Go's has AES in front of the ChaCha20 that it knows.
        if self.config.ciphers == Ciphers::SLOW_AES && client.as_bytes().starts_with(GO) {
            self.config.ciphers = Ciphers::PORTABLE;
        }
        self.client = Some(client);
        self.start(out, random)
    }

    /// Sends our KEXINIT. Until our NEWKEYS only messages of the key exchange are sent.
    pub fn start(&mut self, out: &mut Sender<'_>, random: &mut dyn Random) -> Result<(), Error> {
        let mut cookie = [0; 16];
        random.fill(&mut cookie);
        let first = self.session_id.is_none();
        let offer = Offer { cookie, ciphers: self.config.ciphers, first };
        out.send(&offer)?;
        out.start_rekey();
        self.rekey_wanted = false;
        self.exchange = Exchange::Running(Step::AwaitKexInit(offer));
        Ok(())
    }

    /// The packet is the client's wrong guess, which is ignored once (RFC 4253 section 7).
    pub const fn skips_guess(&mut self, number: u8) -> bool {
        match &mut self.exchange {
            Exchange::Running(Step::AwaitEcdhInit(agreed))
                if agreed.choice.wrong_guess && matches!(number, 30..=49) =>
            {
                agreed.choice.wrong_guess = false;
                true
            }
            _ => false,
        }
    }

    /// `sequence` is the packet's number.
    pub fn on_kex_init(
        &mut self,
        out: &mut Sender<'_>,
        payload: &[u8],
        message: &KexInit<'_>,
        sequence: u32,
        random: &mut dyn Random,
    ) -> Result<(), Error> {
        if !self.is_running() {
            self.start(out, random)?;
        }
        let Some(Step::AwaitKexInit(offer)) = self.take_step() else {
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
        offer.encode(&mut to).map_err(|_| Bug::NoRoom)?;
        Ok(Transcript::new()
            .string(&[self.client.as_ref().map_or(&[], Ident::as_bytes)])
            .string(&[IDENT_PREFIX.as_bytes(), self.config.software.as_bytes()])
            .string(&[client_kexinit])
            .string(&[to.into_written()])
            .string(&[&keys::ed25519_blob(&self.config.host_key)]))
    }

    /// The exchange hash is known, and the caller is asked to sign it.
    pub fn on_ecdh_init<'p>(&mut self, public: &[u8], random: &mut dyn Random) -> Result<Event<'p>, Error> {
        let Some(Step::AwaitEcdhInit(agreed)) = self.take_step() else {
            return Err(unexpected::<KexEcdhInit<'_>>());
        };
        let Agreed { choice, transcript, ext_info } = agreed;
        let (reply, secret) = respond(choice.method, public, random)?;
        let hash = transcript.string(&[public]).string(&[&reply]).finish(&secret);
        let unsigned = Unsigned { choice, reply, secret, hash, ext_info };
        self.exchange = Exchange::Running(Step::AwaitSignature(unsigned));
        Ok(Event::Sign { hash })
    }

    /// Sends the reply with the caller's signature, and NEWKEYS; what this side sends from here on has the new key.
    #[inline(never)] // larger in the caller, whose stack frame makes addresses long
    pub fn answer(&mut self, out: &mut Sender<'_>, signature: &[u8; 64]) -> Result<(), Error> {
        let Some(Step::AwaitSignature(unsigned)) = self.take_step() else {
            return Err(Misuse::AnswerNotOwed.into());
        };
        let Unsigned { choice, reply, secret, hash, ext_info } = unsigned;
        let session_id = self.session_id.unwrap_or(hash);
        let key = |cipher, direction| derive(cipher, direction, &secret, &hash, &session_id);
        let outgoing = key(choice.to_client, Direction::ServerToClient);
        let incoming = key(choice.to_server, Direction::ClientToServer);

        out.send(&KexEcdhReply {
            host_key: &keys::ed25519_blob(&self.config.host_key),
            public: &reply,
            signature: &signature_blob(signature)?,
        })?;
        out.send(&NewKeys {})?;
        out.rekey(outgoing, self.strict);
        if ext_info {
            send_ext_info(out)?;
        }
        self.exchange = Exchange::Running(Step::AwaitNewKeys { key: incoming, hash });
        Ok(())
    }

    pub fn on_new_keys(&mut self, now: Instant) -> Result<(), Error> {
        let Some(Step::AwaitNewKeys { key, hash }) = self.take_step() else {
            return Err(unexpected::<NewKeys>());
        };
        self.session_id.get_or_insert(hash);
        self.incoming_key = Some(key);
        self.exchange = Exchange::Done { since: now };
        Ok(())
    }

    /// The step of the running exchange. The caller puts the next one in its place, or fails.
    fn take_step(&mut self) -> Option<Step> {
        match replace(&mut self.exchange, Exchange::Done { since: Instant(0) }) {
            Exchange::Running(step) => Some(step),
            Exchange::Done { .. } => None,
        }
    }
}

/// RFC 8308 section 3.1: the signature algorithms that users may sign with; and that they may bind them to this host.
fn send_ext_info(out: &mut Sender<'_>) -> Result<(), Error> {
    let mut extension = [0; 192];
    let mut to = Writer::new(&mut extension);
    to.string(SERVER_SIG_ALGS.as_bytes())
        .and_then(|()| to.string(auth::SIGNATURE_ALGORITHMS.as_bytes()))
        .and_then(|()| to.string(HOSTBOUND.as_bytes()))
        .and_then(|()| to.string(b"0"))
        .map_err(|_| Bug::NoRoom)?;
    out.send(&ExtInfo { count: 2, extensions: Rest(to.into_written()) })
}

/// RFC 8709 section 6.
fn signature_blob(signature: &[u8; 64]) -> Result<[u8; 4 + 11 + 4 + 64], Error> {
    let mut blob = [0; 83];
    let mut to = Writer::new(&mut blob);
    to.string(SSH_ED25519.as_bytes()).and_then(|()| to.string(signature)).map_err(|_| Bug::NoRoom)?;
    Ok(blob)
}
