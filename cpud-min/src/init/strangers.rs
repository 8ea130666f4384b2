//! Admission when connections are many: what each address has cost lately, and who is evicted when all places are
//! taken.
//!
//! The model is OpenSSH's PerSourcePenalties (each connection that ends without a login costs its address some seconds)
//! and MaxStartups (random early drop). Addresses of one network count as one crowd.

use core::cmp::Reverse;
use core::net::{IpAddr, SocketAddr};

use crate::sys;

/// Connections whose user has not logged in.
pub const MAX: usize = 64;

/// From this many on, a connection from an address that has one already may be refused at random: at [`MAX`] every
/// second one.
const EARLY: usize = MAX / 2;

/// What a connection that ends without a login costs its address, and how much an address may owe. From [`EARLY`] on it
/// may owe less, at [`MAX`] nothing. A known address, from which somebody has logged in, may owe more: others behind it
/// may be to blame.
const PENALTY_MS: u64 = 5000;
const OWES_MS: u64 = 30 * PENALTY_MS;
const KNOWN_OWES_MS: u64 = 600 * PENALTY_MS;

/// How many addresses are remembered.
const SOURCES: usize = 512;

/// `until` is when the address owes nothing any more, in tenths of a second, so that an entry has 16 bytes.
struct Source {
    address: u64,
    until: u32,
    /// Somebody has logged in from there.
    known: bool,
    /// The console has shown that it was refused.
    told: bool,
}

/// The addresses seen lately. A new one replaces the one that would be forgotten soonest, and known ones last.
pub struct Sources(heapless::Vec<Source, SOURCES>);

/// Why a connection is refused.
#[derive(Debug, Eq, PartialEq)]
pub enum Refusal {
    /// Too many of this address have ended without a login; `first` of a row.
    Penalty { first: bool },
    /// There are many strangers, and this one was drawn.
    Drop,
}

impl Refusal {
    /// What the peer is told (RFC 4253 section 4.2: lines before the identification).
    pub const fn sentence(&self) -> &'static [u8] {
        match self {
            Self::Penalty { .. } => b"cpud: too many connections from your address ended without a login\r\n",
            Self::Drop => b"cpud: too many connections are waiting for a login, try again\r\n",
        }
    }
}

impl Source {
    fn owes(&self, now: u64) -> u64 {
        (u64::from(self.until) * TENTH_MS).saturating_sub(now)
    }
}

const TENTH_MS: u64 = 100;

const fn tenths(ms: u64) -> u32 {
    ms.div_ceil(TENTH_MS) as u32
}

impl Sources {
    pub const fn new() -> Self {
        Self(heapless::Vec::new())
    }

    /// Whether one more connection of this address is admitted beside these strangers.
    pub fn admit(
        &mut self,
        peer: SocketAddr,
        strangers: impl Iterator<Item = SocketAddr> + Clone,
        now: u64,
    ) -> Result<(), Refusal> {
        let found = self.0.iter_mut().find(|source| source.address == address(peer));
        let known = found.as_ref().is_some_and(|source| source.known);
        let there = strangers.clone().filter(|&other| address(other) == address(peer)).count();
        if let Some(source) = found {
            let free = MAX.saturating_sub(strangers.clone().count()).min(EARLY);
            let most = if known { KNOWN_OWES_MS } else { OWES_MS * free as u64 / EARLY as u64 };
            // Those that are there owe for their ends already: many could be let in before the first has ended.
            if source.owes(now) + there as u64 * PENALTY_MS > most {
                return Err(Refusal::Penalty { first: !core::mem::replace(&mut source.told, true) });
            }
        }
        let early = strangers.count().saturating_sub(EARLY);
        let crowded = !known && early > 0 && there > 0;
        if crowded && random() % MAX as u64 <= early as u64 { Err(Refusal::Drop) } else { Ok(()) }
    }

    /// Charges the address for a connection that has ended, or was ended, without a login.
    pub fn penalise(&mut self, peer: SocketAddr, now: u64) {
        let source = self.find(address(peer), now);
        let most = if source.known { KNOWN_OWES_MS } else { OWES_MS } + PENALTY_MS;
        let owes = source.owes(now);
        source.told &= owes > 0;
        source.until = tenths(now + (owes + PENALTY_MS).min(most));
    }

    /// Notes a login from this address, which pays for a connection.
    pub fn know(&mut self, peer: SocketAddr, now: u64) {
        let source = self.find(address(peer), now);
        source.known = true;
        source.until = source.until.saturating_sub(tenths(PENALTY_MS));
    }

    pub fn knows(&self, peer: SocketAddr) -> bool {
        self.0.iter().any(|source| source.known && source.address == address(peer))
    }

    fn find(&mut self, address: u64, now: u64) -> &mut Source {
        let new = Source { address, until: tenths(now), known: false, told: false };
        let at = match self.0.iter().position(|source| source.address == address) {
            Some(at) => at,
            None => {
                let oldest = |(_, source): &(usize, &Source)| (source.known, source.until);
                match self.0.push(new) {
                    Ok(()) => self.0.len() - 1,
                    Err(new) => {
                        let at = self.0.iter().enumerate().min_by_key(oldest).map_or(0, |(at, _)| at);
                        self.0[at] = new;
                        at
                    }
                }
            }
        };
        &mut self.0[at]
    }
}

/// The stranger to evict, of these numbers and peers, oldest first. Unknown addresses go before known ones; among them
/// the largest crowd of a network, in that the largest of an address, in that the oldest.
pub fn to_evict(strangers: impl Iterator<Item = (usize, SocketAddr)> + Clone, sources: &Sources) -> Option<usize> {
    let crowd = |of: fn(SocketAddr) -> u64, peer| strangers.clone().filter(|&(_, other)| of(other) == of(peer)).count();
    let rank = |&(_, peer): &(usize, SocketAddr)| {
        (sources.knows(peer), Reverse(crowd(network, peer)), Reverse(crowd(address, peer)))
    };
    strangers.clone().min_by_key(rank).map(|(number, _)| number)
}

/// What counts as one stranger: an IPv4 address, or the 64 bits of an IPv6 address that one host gets to choose from.
fn address(peer: SocketAddr) -> u64 {
    match peer.ip() {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
}

/// What one owner may well have: 24 bits of an IPv4 address, 48 bits of an IPv6 address.
fn network(peer: SocketAddr) -> u64 {
    if peer.is_ipv4() { address(peer) >> 8 } else { address(peer) >> 16 }
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    sys::random(&mut bytes);
    u64::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), 1)
    }

    fn nobody() -> impl Iterator<Item = SocketAddr> + Clone {
        core::iter::empty()
    }

    const PENALTY: Result<(), Refusal> = Err(Refusal::Penalty { first: true });

    #[test]
    fn an_address_that_owes_too_much_is_admitted_now_and_then() {
        let (mut sources, stranger) = (Sources::new(), peer("192.0.2.1"));
        let mut now = 1_000_000;
        let mut knock = |ms| {
            now += ms;
            let admitted = sources.admit(stranger, nobody(), now);
            if admitted.is_ok() {
                sources.penalise(stranger, now);
            }
            admitted
        };
        assert_eq!((0..100).filter(|_| knock(0).is_ok()).count(), 31);
        assert_eq!((0..1000).filter(|_| knock(50).is_ok()).count(), 10);
        // Its console has one line of it, until it has been quiet.
        assert_eq!(knock(0), Err(Refusal::Penalty { first: false }));
        assert_eq!(knock(10_000), Ok(()));
        assert_eq!(sources.admit(peer("192.0.2.2"), nobody(), now), Ok(()));
    }

    #[test]
    fn connections_that_have_not_ended_yet_count_for_those_of_an_address() {
        let (mut sources, stranger) = (Sources::new(), peer("192.0.2.1"));
        (0..31).for_each(|_| sources.penalise(stranger, 0));
        let mut admitted = |there, now| sources.admit(stranger, core::iter::repeat_n(stranger, there), now).is_ok();
        assert!(admitted(0, PENALTY_MS) && !admitted(1, PENALTY_MS));
        assert!(admitted(1, 2 * PENALTY_MS) && admitted(2, 3 * PENALTY_MS) && !admitted(3, 3 * PENALTY_MS));
    }

    #[test]
    fn addresses_of_one_ipv6_host_are_one_and_a_login_makes_an_address_known() {
        let (mut sources, now) = (Sources::new(), 0);
        (0..31).for_each(|_| sources.penalise(peer("2001:db8::1"), now));
        assert_eq!(sources.admit(peer("2001:db8::ffff"), nobody(), now), PENALTY);
        sources.know(peer("2001:db8::2"), now);
        assert_eq!(sources.admit(peer("2001:db8::ffff"), nobody(), now), Ok(()));
        (0..1000).for_each(|_| sources.penalise(peer("2001:db8::1"), now));
        assert_eq!(sources.admit(peer("2001:db8::2"), nobody(), now), Err(Refusal::Penalty { first: false }));
        assert_eq!(sources.admit(peer("2001:db8::2"), nobody(), now + 10_000), Ok(()));
    }

    #[test]
    fn the_address_that_owes_least_is_forgotten_first_and_known_ones_last() {
        let mut sources = Sources::new();
        sources.know(peer("192.0.2.1"), 0);
        (0..31).for_each(|_| sources.penalise(peer("192.0.2.2"), 1));
        (0..10_000).for_each(|n: u32| sources.penalise(SocketAddr::new(IpAddr::V4((0x0a00_0000 + n).into()), 1), 2));
        assert!(sources.knows(peer("192.0.2.1")));
        assert_eq!(sources.admit(peer("192.0.2.2"), nobody(), 2), PENALTY);
        assert_eq!(sources.0.len(), SOURCES);
    }

    #[test]
    fn some_of_a_crowd_are_refused_at_random_but_nobody_known() {
        let mut sources = Sources::new();
        let crowd = |strangers| core::iter::repeat_n(peer("192.0.2.1"), strangers);
        let mut admitted =
            |strangers| (0..10_000).filter(|_| sources.admit(peer("192.0.2.1"), crowd(strangers), 0).is_ok()).count();
        assert_eq!(admitted(EARLY), 10_000);
        assert!((6_000..9_000).contains(&admitted(EARLY + EARLY / 2)));
        assert!((4_000..6_000).contains(&admitted(MAX)));
        assert!((0..10_000).all(|_| sources.admit(peer("192.0.2.2"), crowd(MAX), 0).is_ok()));
        sources.know(peer("192.0.2.1"), 0);
        assert!((0..10_000).all(|_| sources.admit(peer("192.0.2.1"), crowd(MAX), 0).is_ok()));
    }

    #[test]
    fn where_the_places_are_taken_an_address_that_owes_anything_waits() {
        let mut sources = Sources::new();
        let others = |n: usize| (0..n as u32).map(|n| SocketAddr::new(IpAddr::V4((0x0a00_0000 + n).into()), 1));
        let stranger = peer("192.0.2.1");
        assert_eq!(sources.admit(stranger, others(MAX), 0), Ok(()));
        sources.penalise(stranger, 0);
        assert_eq!(sources.admit(stranger, others(MAX), 1), PENALTY);
        assert_eq!(sources.admit(stranger, others(EARLY), 1), Ok(()));
        assert_eq!(sources.admit(stranger, others(MAX), PENALTY_MS), Ok(()));
    }

    #[test]
    fn the_one_who_goes_is_of_the_largest_crowd_and_none_who_is_known() {
        let mut sources = Sources::new();
        let peers = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.3", "198.51.100.1", "198.51.100.1"].map(peer);
        let goes = |sources: &Sources| to_evict(peers.into_iter().enumerate(), sources).map(|at| peers[at]);
        assert_eq!(goes(&sources), Some(peer("192.0.2.3")));
        sources.know(peer("192.0.2.3"), 0);
        assert_eq!(goes(&sources), Some(peer("192.0.2.1")));
        assert_eq!(to_evict([].into_iter(), &sources), None);
    }
}
