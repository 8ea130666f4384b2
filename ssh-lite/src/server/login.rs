//! Services and user authentication (RFC 4253 section 10, RFC 4252).

use super::machine::{Machine, Owed, malformed};
use crate::{
    Error, Event, Instant, auth,
    error::{Misbehaviour, Misuse},
    keys::ed25519_blob,
    limits::{BYTES_BEFORE_LOGIN, KEY_BLOB, LOGIN_ATTEMPTS, PACKETS_BEFORE_LOGIN, SIGNATURE_BLOB},
    msg::{Message, ServiceAccept, UserauthFailure, UserauthPkOk, UserauthRequest, UserauthSuccess},
    names::{CONNECTION, NONE, PUBLICKEY, PUBLICKEY_HOSTBOUND, USERAUTH},
    wire::{Reader, WireError},
};
use core::mem::replace;

pub enum Login {
    AwaitService(Stranger),
    AwaitUser(Stranger),
    Open,
}

/// What somebody who has not logged in has used up of what he may.
pub struct Stranger {
    deadline: Instant,
    attempts: u32,
    packets: u32,
    bytes: usize,
}

impl Login {
    pub const fn new(deadline: Instant) -> Self {
        Self::AwaitService(Stranger { deadline, attempts: 0, packets: 0, bytes: 0 })
    }

    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Self::AwaitService(stranger) | Self::AwaitUser(stranger) => Some(stranger.deadline),
            Self::Open => None,
        }
    }

    /// Counts a packet, so that nothing which is answered or read before the login is free.
    pub fn count_packet(&mut self, len: usize) -> Result<(), Error> {
        let (Self::AwaitService(stranger) | Self::AwaitUser(stranger)) = self else { return Ok(()) };
        stranger.packets += 1;
        stranger.bytes += len;
        let within = stranger.packets <= PACKETS_BEFORE_LOGIN && stranger.bytes <= BYTES_BEFORE_LOGIN;
        if within { Ok(()) } else { Err(Misbehaviour::LoginBudget.into()) }
    }

    /// Counts what costs this side a signature or the check of one, until somebody has logged in.
    pub fn count_attempt(&mut self) -> Result<(), Error> {
        let (Self::AwaitService(stranger) | Self::AwaitUser(stranger)) = self else { return Ok(()) };
        stranger.attempts += 1;
        if stranger.attempts <= LOGIN_ATTEMPTS { Ok(()) } else { Err(Misbehaviour::LoginAttempts.into()) }
    }
}

/// The fields of the method `publickey` (RFC 4252 section 7), and of the one that has the host key among them.
struct PublicKeyFields<'a> {
    algorithm: &'a str,
    key: &'a [u8],
    host_key: Option<&'a [u8]>,
    /// Absent in a query.
    signature: Option<&'a [u8]>,
}

impl<'a> PublicKeyFields<'a> {
    fn decode(method: &str, fields: &'a [u8]) -> Result<Self, WireError> {
        let mut from = Reader::new(fields);
        let signed = from.boolean()?;
        let (algorithm, key) = (from.text()?, from.string()?);
        let host_key = if method == PUBLICKEY_HOSTBOUND { Some(from.string()?) } else { None };
        let signature = if signed { Some(from.string()?) } else { None };
        from.finish()?;
        Ok(Self { algorithm, key, host_key, signature })
    }
}

impl Machine<'_> {
    pub fn on_service_request(&mut self, service: &str) -> Result<(), Error> {
        if service != USERAUTH {
            return Err(Misbehaviour::Service.into());
        }
        self.login = match replace(&mut self.login, Login::Open) {
            // paramiko asks anew for each key that it tries.
            Login::AwaitService(stranger) | Login::AwaitUser(stranger) => Login::AwaitUser(stranger),
            Login::Open => return Err(Misbehaviour::Service.into()),
        };
        self.tx.send(&ServiceAccept { service })
    }

    pub fn on_userauth_request<'p>(&mut self, request: &UserauthRequest<'p>) -> Result<Option<Event<'p>>, Error> {
        match self.login {
            Login::AwaitService(_) => return Err(Misbehaviour::Service.into()),
            Login::AwaitUser(_) => self.login.count_attempt()?,
            // RFC 4252 section 5.1: after the success further requests are ignored.
            Login::Open => return Ok(None),
        }
        let &UserauthRequest { user, service, method, fields } = request;
        if service != CONNECTION {
            return Err(Misbehaviour::Service.into());
        }
        if method != PUBLICKEY && method != PUBLICKEY_HOSTBOUND {
            self.refuse_login()?;
            return Ok((method != NONE).then_some(Event::AuthRefused { user, method }));
        }
        let PublicKeyFields { algorithm, key, host_key, signature } =
            PublicKeyFields::decode(method, fields.0).map_err(malformed::<UserauthRequest<'_>>)?;
        // What passes here is bounded, so that the caller can hand it on whole.
        let too_long =
            user.len() > auth::USER_MAX || signature.is_some_and(|signature| signature.len() > SIGNATURE_BLOB);
        let why =
            auth::unusable(algorithm, key).or((too_long || key.len() > KEY_BLOB).then_some(auth::Refused::TooLong));
        let other_host = host_key.is_some_and(|key| key != ed25519_blob(&self.config.host_key));
        if let Some(why) = why.or(other_host.then_some(auth::Refused::HostKey)) {
            self.refuse_login()?;
            return Ok(Some(Event::AuthUnusable { user, algorithm, key, why }));
        }
        self.owed = Some(Owed::Login { verify: signature.is_some() });
        Ok(Some(match signature {
            None => Event::AuthQuery { user, algorithm, key },
            Some(signature) => Event::AuthVerify(auth::Request { user, service, algorithm, key, host_key, signature }),
        }))
    }

    /// `payload` is the request that was asked about.
    pub fn auth_answer(&mut self, accepted: bool, payload: &[u8]) {
        let verify = self.settle(|owed| match owed {
            Owed::Login { verify } => Some(*verify),
            _ => None,
        });
        let Some(verify) = verify else { return };
        let sent = match (accepted, verify) {
            (false, _) => self.refuse_login(),
            (true, false) => self.accept_key(payload),
            (true, true) => {
                self.login = Login::Open;
                self.tx.use_all();
                self.tx.send(&UserauthSuccess {})
            }
        };
        self.note(sent);
    }

    fn accept_key(&mut self, payload: &[u8]) -> Result<(), Error> {
        let Ok(Message::UserauthRequest(request)) = Message::decode(payload) else {
            return Err(Misuse::AnswerNotOwed.into());
        };
        let PublicKeyFields { algorithm, key, .. } =
            PublicKeyFields::decode(request.method, request.fields.0).map_err(malformed::<UserauthRequest<'_>>)?;
        self.tx.send(&UserauthPkOk { algorithm, key })
    }

    fn refuse_login(&mut self) -> Result<(), Error> {
        self.tx.send(&UserauthFailure { can_continue: PUBLICKEY, partial_success: false })
    }
}
