//! Services and user authentication (RFC 4253 section 10, RFC 4252).

use crate::{
    Error, Event, Instant, auth,
    error::{Misbehaviour, Misuse},
    keys::ed25519_blob,
    limits::{BYTES_BEFORE_LOGIN, KEY_BLOB, LOGIN_ATTEMPTS, PACKETS_BEFORE_LOGIN, SIGNATURE_BLOB},
    msg::{Message, ServiceAccept, UserauthFailure, UserauthPkOk, UserauthRequest, UserauthSuccess, malformed},
    names::{CONNECTION, NONE, PUBLICKEY, PUBLICKEY_HOSTBOUND, USERAUTH},
    transport::Sender,
    wire::{Reader, WireError},
};

pub struct Login {
    /// The public part of the ssh-ed25519 host key, to which a signature may be bound.
    host_key: [u8; 32],
    /// None when the user has logged in.
    stranger: Option<Stranger>,
}

/// A client that has not logged in, and what it has used up of its budget.
struct Stranger {
    step: Step,
    deadline: Instant,
    attempts: u32,
    packets: u32,
    bytes: usize,
}

/// What the login waits for.
enum Step {
    Service,
    Request,
    /// The caller's answer about a request, with a signature or without.
    Answer {
        signed: bool,
    },
}

impl Login {
    pub const fn new(host_key: [u8; 32], deadline: Instant) -> Self {
        let stranger = Stranger { step: Step::Service, deadline, attempts: 0, packets: 0, bytes: 0 };
        Self { host_key, stranger: Some(stranger) }
    }

    /// The user has logged in.
    pub const fn is_done(&self) -> bool {
        self.stranger.is_none()
    }

    /// No message can be handled before the caller has answered.
    pub const fn awaits_answer(&self) -> bool {
        matches!(self.stranger, Some(Stranger { step: Step::Answer { .. }, .. }))
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.stranger.as_ref().map(|stranger| stranger.deadline)
    }

    /// Counts a packet, so that nothing which is answered or read before the login is free.
    pub fn count_packet(&mut self, len: usize) -> Result<(), Error> {
        let Some(stranger) = &mut self.stranger else { return Ok(()) };
        stranger.packets += 1;
        stranger.bytes += len;
        let within = stranger.packets <= PACKETS_BEFORE_LOGIN && stranger.bytes <= BYTES_BEFORE_LOGIN;
        if within { Ok(()) } else { Err(Misbehaviour::LoginBudget.into()) }
    }

    /// Counts what costs this side a signature or the check of one, until the user has logged in.
    pub fn count_attempt(&mut self) -> Result<(), Error> {
        let Some(stranger) = &mut self.stranger else { return Ok(()) };
        stranger.attempts += 1;
        if stranger.attempts <= LOGIN_ATTEMPTS { Ok(()) } else { Err(Misbehaviour::LoginAttempts.into()) }
    }

    pub fn on_service_request(&mut self, out: &mut Sender<'_>, service: &str) -> Result<(), Error> {
        match &mut self.stranger {
            // paramiko asks anew for each key that it tries.
            Some(stranger) if service == USERAUTH => stranger.step = Step::Request,
            _ => return Err(Misbehaviour::Service.into()),
        }
        out.send(&ServiceAccept { service })
    }

    pub fn on_userauth_request<'p>(
        &mut self,
        out: &mut Sender<'_>,
        request: &UserauthRequest<'p>,
    ) -> Result<Option<Event<'p>>, Error> {
        // RFC 4252 section 5.1: after the success further requests are ignored.
        let Some(stranger) = &mut self.stranger else { return Ok(None) };
        if let Step::Service = stranger.step {
            return Err(Misbehaviour::Service.into());
        }
        self.count_attempt()?;
        let &UserauthRequest { user, service, method, fields } = request;
        if service != CONNECTION {
            return Err(Misbehaviour::Service.into());
        }
        if method != PUBLICKEY && method != PUBLICKEY_HOSTBOUND {
            refuse(out)?;
            return Ok((method != NONE).then_some(Event::AuthRefused { user, method }));
        }
        let fields = PublicKeyFields::decode(method, fields.0).map_err(malformed::<UserauthRequest<'_>>)?;
        let PublicKeyFields { algorithm, key, host_key, signature } = fields;
        if let Some(why) = self.unusable(user, &fields) {
            refuse(out)?;
            return Ok(Some(Event::AuthUnusable { user, algorithm, key, why }));
        }
        if let Some(stranger) = &mut self.stranger {
            stranger.step = Step::Answer { signed: signature.is_some() };
        }
        Ok(Some(match signature {
            None => Event::AuthQuery { user, algorithm, key },
            Some(signature) => Event::AuthVerify(auth::Request { user, service, algorithm, key, host_key, signature }),
        }))
    }

    /// Why the caller need not be asked. What it is asked about is bounded, so that it can hand it on whole.
    fn unusable(&self, user: &str, fields: &PublicKeyFields<'_>) -> Option<auth::Refused> {
        let &PublicKeyFields { algorithm, key, host_key, signature } = fields;
        let too_long = user.len() > auth::USER_MAX
            || key.len() > KEY_BLOB
            || signature.is_some_and(|signature| signature.len() > SIGNATURE_BLOB);
        let other_host = host_key.is_some_and(|key| key != ed25519_blob(&self.host_key));
        auth::unusable(algorithm, key)
            .or(too_long.then_some(auth::Refused::TooLong))
            .or(other_host.then_some(auth::Refused::HostKey))
    }

    /// The caller's answer; `payload` is the request that it was asked about.
    pub fn answer(&mut self, out: &mut Sender<'_>, accepted: bool, payload: &[u8]) -> Result<(), Error> {
        let stranger = self.stranger.as_mut().ok_or(Misuse::AnswerNotOwed)?;
        let Step::Answer { signed } = stranger.step else { return Err(Misuse::AnswerNotOwed.into()) };
        stranger.step = Step::Request;
        match (accepted, signed) {
            (false, _) => refuse(out),
            (true, false) => accept_key(out, payload),
            (true, true) => {
                self.stranger = None;
                out.use_all();
                out.send(&UserauthSuccess {})
            }
        }
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

fn accept_key(out: &mut Sender<'_>, payload: &[u8]) -> Result<(), Error> {
    let Ok(Message::UserauthRequest(request)) = Message::decode(payload) else {
        return Err(Misuse::AnswerNotOwed.into());
    };
    let PublicKeyFields { algorithm, key, .. } =
        PublicKeyFields::decode(request.method, request.fields.0).map_err(malformed::<UserauthRequest<'_>>)?;
    out.send(&UserauthPkOk { algorithm, key })
}

fn refuse(out: &mut Sender<'_>) -> Result<(), Error> {
    out.send(&UserauthFailure { can_continue: PUBLICKEY, partial_success: false })
}
