//! A DHCP client of one interface (RFC 2131), as a machine without I/O: messages, time and random numbers go in, messages
//! and a lease come out. `docs/network.md` says how servers really behave.
//!
//! ```text
//! INIT ──> SELECTING ──offer──> REQUESTING ──ack──> BOUND ──T1──> RENEWING ──T2──> REBINDING ──end──> INIT
//!             ^ silence: again, ever         nak ──> INIT   any of these: ack ──> BOUND, nak ──> INIT
//! the cable is plugged in again: INIT-REBOOT ──ack──> BOUND; nak or silence ──> INIT
//! ```

pub mod message;

use core::net::Ipv4Addr;

pub use message::Lease;
use message::{FOREVER, Kind, Reply, Request, RequestKind};

/// Milliseconds of the monotonic clock.
type Ms = u64;

/// The first answer is waited for so long, each further one twice as long (RFC 2131 section 4.1), up to the longest.
const RETRY_MS: Ms = 1000;
const RETRY_DOUBLINGS: u32 = 5;

/// Unanswered messages until it is said that no server answers, and an address is made up meanwhile.
const SILENT: u32 = 3;

/// Unanswered messages until an offer, or an address of before, is given up: 7 s.
const REQUESTS: u32 = 3;

/// How long a client keeps quiet after it declined an address (section 3.1 point 5), doubled for each in a row: a server
/// may offer the same again at once.
const DECLINED_MS: Ms = 10_000;
const FAILURE_DOUBLINGS: u32 = 5;

/// The shortest time between two attempts to renew (section 4.4.5), but for leases of minutes.
const RENEWAL_MAX: u32 = 60;

/// When a message is sent again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Retry {
    sent: u32,
    next: Ms,
}

impl Retry {
    const fn at(next: Ms) -> Self {
        Self { sent: 0, next }
    }

    /// Notes that it was sent. A quarter of the time is by chance, lest boxes that lost power together ask together.
    fn step(&mut self, now: Ms, random: u32) {
        let wait = RETRY_MS << self.sent.min(RETRY_DOUBLINGS);
        self.next = now + wait - wait / 8 + u64::from(random) % (wait / 4);
        self.sent = self.sent.saturating_add(1);
    }
}

/// The states of RFC 2131 figure 5, and one for a cable that is not plugged in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Unplugged,
    /// Nothing is asked before this time.
    Init(Ms),
    Selecting(Retry),
    Requesting {
        address: Ipv4Addr,
        server: Ipv4Addr,
        retry: Retry,
    },
    /// INIT-REBOOT and REBOOTING: does the address of before hold here?
    Rebooting(Retry),
    Bound,
    /// With the time of the next message.
    Renewing(Ms),
    Rebinding(Ms),
}

/// What a person may want to know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The server that is named does not let this address be used.
    Refused(Ipv4Addr, Option<Ipv4Addr>),
    /// Nobody has renewed it in time.
    Expired(Ipv4Addr),
    /// No server answers. It is said once until one does.
    Silent,
}

/// What is to be done now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    Send(Request),
    Event(Event),
}

/// A lease, and when its time began: with the request, which is before the server's own.
#[derive(Clone, Debug)]
struct Held {
    lease: Lease,
    since: Ms,
}

impl Held {
    /// So many seconds after it began; None is never.
    fn after(&self, seconds: u32) -> Option<Ms> {
        (self.lease.seconds != FOREVER).then(|| self.since + u64::from(seconds) * 1000)
    }
}

pub struct Client {
    state: State,
    held: Option<Held>,
    /// Of the exchange that is under way.
    xid: u32,
    began: Ms,
    /// When the last request was sent.
    asked: Ms,
    /// Refusals and conflicts in a row, which slow down what would go round at the network's pace.
    failures: u32,
    /// No server has answered for a while.
    silent: bool,
    decline: Option<Lease>,
    event: Option<Event>,
}

impl Client {
    /// Without a cable.
    pub const fn new() -> Self {
        let (state, decline, event) = (State::Unplugged, None, None);
        Self { state, held: None, xid: 0, began: 0, asked: 0, failures: 0, silent: false, decline, event }
    }

    /// One that had this lease before it was started anew.
    pub fn resuming(lease: Lease, now: Ms) -> Self {
        Self { held: Some(Held { lease, since: now }), ..Self::new() }
    }

    /// The lease whose address is to be used now.
    pub fn lease(&self) -> Option<&Lease> {
        self.held.as_ref().map(|held| &held.lease)
    }

    /// When it ends, if it does.
    pub fn valid_until(&self) -> Option<Ms> {
        self.held.as_ref().and_then(|held| held.after(held.lease.seconds))
    }

    /// Whether an address has to come from elsewhere meanwhile.
    pub fn is_silent(&self) -> bool {
        self.silent && self.held.is_none()
    }

    pub fn plugged_in(&mut self, now: Ms) {
        if self.state == State::Unplugged {
            self.failures = 0;
            self.silent = false;
            self.state = if self.held.is_some() { State::Rebooting(Retry::at(now)) } else { State::Init(now) };
        }
    }

    pub fn unplugged(&mut self) {
        self.state = State::Unplugged;
        self.decline = None;
    }

    /// Somebody else has the address of the lease.
    pub fn conflict(&mut self, now: Ms) {
        if let Some(Held { lease, .. }) = self.held.take() {
            self.decline = Some(lease);
            self.silent = true;
            self.restart(now + (DECLINED_MS << self.failures.min(FAILURE_DOUBLINGS)));
        }
    }

    fn restart(&mut self, at: Ms) {
        self.failures = self.failures.saturating_add(1);
        if self.state != State::Unplugged {
            self.state = State::Init(at);
        }
    }

    /// When [`Client::poll`] has something to do.
    pub fn deadline(&self) -> Option<Ms> {
        if self.decline.is_some() || self.event.is_some() {
            return Some(0);
        }
        let held = self.held.as_ref();
        let end = held.and_then(|held| held.after(held.lease.seconds));
        let t2 = held.and_then(|held| held.after(held.lease.t2));
        let next = match self.state {
            State::Unplugged => None,
            State::Init(at) => Some(at),
            State::Selecting(retry) | State::Requesting { retry, .. } | State::Rebooting(retry) => Some(retry.next),
            State::Bound => held.and_then(|held| held.after(held.lease.t1)),
            State::Renewing(at) => Some(t2.map_or(at, |t2| t2.min(at))),
            State::Rebinding(at) => Some(at),
        };
        [end, next].into_iter().flatten().min()
    }

    /// What is to be done; called until there is nothing. `random` is another number each time.
    pub fn poll(&mut self, now: Ms, random: u32) -> Option<Output> {
        if let Some(lease) = self.decline.take() {
            let (requested, server) = (Some(lease.address), Some(lease.server));
            return Some(self.send(RequestKind::Decline, now, Request { requested, server, ..BROADCAST }));
        }
        self.expire(now);
        if let Some(event) = self.event.take() {
            return Some(Output::Event(event));
        }
        if let State::Init(at) = self.state
            && at <= now
        {
            (self.xid, self.began) = (random, now);
            self.state = State::Selecting(Retry::at(now));
        }
        match self.state {
            State::Unplugged | State::Init(_) => None,
            State::Selecting(mut retry) if retry.next <= now => {
                if retry.sent == SILENT && !self.silent {
                    self.silent = true;
                    return Some(Output::Event(Event::Silent));
                }
                retry.step(now, random);
                self.state = State::Selecting(retry);
                Some(self.send(RequestKind::Discover, now, BROADCAST))
            }
            State::Requesting { address, server, mut retry } if retry.next <= now => {
                if retry.sent >= REQUESTS {
                    self.state = State::Init(now);
                    return self.poll(now, random);
                }
                retry.step(now, random);
                self.state = State::Requesting { address, server, retry };
                let (requested, server) = (Some(address), Some(server));
                Some(self.send(RequestKind::Request, now, Request { requested, server, ..BROADCAST }))
            }
            State::Rebooting(mut retry) if retry.next <= now => {
                // Its time has not ended: it goes on being used until a server gives another (section 3.2 point 4).
                if retry.sent >= REQUESTS {
                    self.state = State::Init(now);
                    return self.poll(now, random);
                }
                if retry.sent == 0 {
                    (self.xid, self.began) = (random, now);
                }
                retry.step(now, random);
                self.state = State::Rebooting(retry);
                let requested = self.lease().map(|lease| lease.address);
                Some(self.send(RequestKind::Request, now, Request { requested, ..BROADCAST }))
            }
            State::Bound | State::Renewing(_) | State::Rebinding(_) => self.renew(now, random),
            State::Selecting(_) | State::Requesting { .. } | State::Rebooting(_) => None,
        }
    }

    fn expire(&mut self, now: Ms) {
        let ended = |held: &mut Held| held.after(held.lease.seconds).is_some_and(|end| end <= now);
        let Some(held) = self.held.take_if(ended) else { return };
        self.event = Some(Event::Expired(held.lease.address));
        if matches!(self.state, State::Bound | State::Renewing(_) | State::Rebinding(_) | State::Rebooting(_)) {
            self.state = State::Init(now);
        }
    }

    fn renew(&mut self, now: Ms, random: u32) -> Option<Output> {
        let held = self.held.as_ref()?;
        let (t1, t2) = (held.after(held.lease.t1)?, held.after(held.lease.t2)?);
        let end = held.after(held.lease.seconds)?;
        let (client, server, lease_seconds) = (held.lease.address, held.lease.server, held.lease.seconds);
        match self.state {
            State::Bound if t1 <= now => {
                (self.xid, self.began, self.failures) = (random, now, 0);
                self.state = State::Renewing(now);
            }
            State::Renewing(_) if t2 <= now => self.state = State::Rebinding(now),
            _ => {}
        }
        // Half of the time that is left, and not less than a minute where minutes are left.
        let least = u64::from((lease_seconds / 16).clamp(1, RENEWAL_MAX)) * 1000;
        let next = |end: Ms| now + (end.saturating_sub(now) / 2).max(least);
        let to = match self.state {
            State::Renewing(at) if at <= now => {
                self.state = State::Renewing(next(t2));
                if server.is_unspecified() { Ipv4Addr::BROADCAST } else { server }
            }
            State::Rebinding(at) if at <= now => {
                self.state = State::Rebinding(next(end));
                Ipv4Addr::BROADCAST
            }
            _ => return None,
        };
        Some(self.send(RequestKind::Request, now, Request { client, to, ..BROADCAST }))
    }

    fn send(&mut self, kind: RequestKind, now: Ms, request: Request) -> Output {
        self.asked = now;
        let seconds = u16::try_from((now - self.began) / 1000).unwrap_or(u16::MAX);
        Output::Send(Request { kind, xid: self.xid, seconds, ..request })
    }

    /// A message of a server's has come, by whatever way. True when a lease holds by it.
    pub fn on_reply(&mut self, reply: Reply, now: Ms) -> bool {
        let Reply { kind, xid, server, lease } = reply;
        if xid != self.xid {
            return false;
        }
        match (self.state, kind) {
            (State::Selecting(_), Kind::Offer) => {
                if let (Some(lease), Some(server)) = (lease, server) {
                    self.state = State::Requesting { address: lease.address, server, retry: Retry::at(now) };
                }
            }
            (State::Requesting { address, server: chosen, .. }, _) if server.is_none_or(|server| server == chosen) => {
                match (kind, lease) {
                    (Kind::Ack, Some(lease)) if lease.address == address => return self.bind(lease, chosen),
                    (Kind::Nak, _) => self.refused(address, server, now),
                    _ => {}
                }
            }
            (State::Rebooting(Retry { sent: 1.., .. }) | State::Renewing(_) | State::Rebinding(_), _) => {
                let old = self.lease().map(|lease| (lease.address, lease.server));
                match (kind, lease, old) {
                    (Kind::Ack, Some(lease), Some((address, before))) if lease.address == address => {
                        return self.bind(lease, before);
                    }
                    (Kind::Nak, _, Some((address, _))) => {
                        self.held = None;
                        self.refused(address, server, now);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        false
    }

    /// `server`: who gave it, when the message does not say.
    fn bind(&mut self, mut lease: Lease, server: Ipv4Addr) -> bool {
        if lease.server.is_unspecified() {
            lease.server = server;
        }
        self.silent = false;
        self.held = Some(Held { lease, since: self.asked });
        self.state = State::Bound;
        true
    }

    /// The first refusal is followed by a question at once; more in a row, more and more slowly.
    fn refused(&mut self, address: Ipv4Addr, server: Option<Ipv4Addr>, now: Ms) {
        self.event = Some(Event::Refused(address, server));
        let wait = if self.failures == 0 { 0 } else { RETRY_MS << self.failures.min(FAILURE_DOUBLINGS) };
        self.restart(now + wait);
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

/// To everybody; kind, xid and seconds are [`Client::send`]'s.
const BROADCAST: Request = Request {
    kind: RequestKind::Request,
    xid: 0,
    seconds: 0,
    client: Ipv4Addr::UNSPECIFIED,
    requested: None,
    server: None,
    to: Ipv4Addr::BROADCAST,
};

#[cfg(test)]
pub mod tests;
