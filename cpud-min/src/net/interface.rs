//! One interface: where its IPv4 address comes from, and what is to be sent for it. A machine without I/O.

use core::fmt::{self, Display, Formatter};
use core::net::Ipv4Addr;

use super::claim::{Arp, Claim, Verdict};
use super::dhcp::message::{Reply, Request, Route};
use super::dhcp::{self, Client};
use super::link_local::{self, LinkLocal};
use super::mac::{Mac, Shown};
use crate::plan::network::Names;

type Ms = u64;

/// An address of the settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Static {
    pub address: Ipv4Addr,
    pub prefix: u8,
    pub gateway: Option<Ipv4Addr>,
}

/// What the kernel is to be told about the interface, as long as that is so.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Wanted {
    pub address: Option<(Ipv4Addr, u8)>,
    pub source: Source,
    pub routes: heapless::Vec<Route, { dhcp::message::ROUTES }>,
    pub mtu: Option<u16>,
    pub names: Names,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Source {
    #[default]
    Nobody,
    Settings,
    Server(Ipv4Addr),
    LinkLocal,
}

#[derive(Debug, Eq, PartialEq)]
pub enum Event {
    Dhcp(dhcp::Event),
    /// The address was somebody's already.
    Taken(Ipv4Addr, Mac),
    /// Somebody has taken it.
    Contested(Ipv4Addr, Mac),
}

impl Display for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dhcp(dhcp::Event::Refused(address, server)) => {
                write!(f, "{address} is not ours any more, says ")?;
                match server {
                    Some(server) => write!(f, "{server}"),
                    None => f.write_str("a DHCP server"),
                }
            }
            Self::Dhcp(dhcp::Event::Expired(address)) => {
                write!(f, "{address} is given up: no DHCP server has renewed it in time")
            }
            Self::Dhcp(dhcp::Event::Silent) => f.write_str("no DHCP server answers so far; it is asked on"),
            Self::Taken(address, mac) => write!(f, "{address} is {}'s already, and declined", Shown(*mac)),
            Self::Contested(address, mac) => write!(f, "{} uses {address}, too, which is ours", Shown(*mac)),
        }
    }
}

#[derive(Debug, Eq, PartialEq)]
pub enum Output {
    Dhcp(Request),
    Arp(Arp),
    Event(Event),
}

pub struct Interface {
    pub mac: Mac,
    fixed: Option<Static>,
    dhcp: Client,
    link_local: LinkLocal,
    /// To the address of the settings, or of the lease.
    claim: Option<Claim>,
    plugged_in: bool,
    event: Option<Event>,
}

impl Interface {
    /// Without a cable. `before`: the lease that it had before this program was started anew.
    pub fn new(mac: Mac, fixed: Option<Static>, before: Option<dhcp::Lease>, now: Ms) -> Self {
        let dhcp = match before {
            Some(lease) => Client::resuming(lease, now),
            None => Client::new(),
        };
        Self { mac, fixed, dhcp, link_local: LinkLocal::new(mac), claim: None, plugged_in: false, event: None }
    }

    /// Whether this is news.
    pub fn set_plugged_in(&mut self, plugged_in: bool, now: Ms) -> bool {
        let changed = self.plugged_in != plugged_in;
        self.plugged_in = plugged_in;
        if changed {
            // On another link the address may be somebody's.
            self.claim = None;
            self.link_local.want(false, now);
            match (plugged_in, self.fixed) {
                (true, None) => self.dhcp.plugged_in(now),
                (false, _) => self.dhcp.unplugged(),
                (true, Some(_)) => {}
            }
            self.settle(now);
        }
        changed
    }

    /// True when a lease holds by it.
    pub fn on_reply(&mut self, reply: Reply, now: Ms) -> bool {
        let bound = self.dhcp.on_reply(reply, now);
        self.settle(now);
        bound
    }

    pub fn on_arp(&mut self, arp: Arp, now: Ms) {
        self.link_local.on_arp(arp, now);
        let Some(claim) = &mut self.claim else { return };
        let address = claim.address;
        match claim.on_arp(arp, true, now) {
            Verdict::Fine | Verdict::Contested { again: true, .. } => {}
            Verdict::Contested { by, again: false } => self.event = Some(Event::Contested(address, by)),
            Verdict::Taken(by) if self.fixed.is_none() => {
                self.event = Some(Event::Taken(address, by));
                self.dhcp.conflict(now);
                self.settle(now);
            }
            // What a person has set is kept: it may be the other who is wrong.
            Verdict::Taken(by) => self.event = Some(Event::Contested(address, by)),
        }
    }

    pub fn deadline(&self) -> Option<Ms> {
        if self.event.is_some() {
            return Some(0);
        }
        let claim = self.claim.as_ref().filter(|_| self.plugged_in).and_then(Claim::deadline);
        [self.dhcp.deadline(), self.link_local.deadline(), claim].into_iter().flatten().min()
    }

    /// What is to be done; called until there is nothing.
    pub fn poll(&mut self, now: Ms, random: u32) -> Option<Output> {
        if let Some(event) = self.event.take() {
            return Some(Output::Event(event));
        }
        let output = self.dhcp.poll(now, random);
        self.settle(now);
        match output {
            Some(dhcp::Output::Send(request)) => return Some(Output::Dhcp(request)),
            Some(dhcp::Output::Event(event)) => return Some(Output::Event(Event::Dhcp(event))),
            None => {}
        }
        let claim = self.claim.as_mut().filter(|_| self.plugged_in);
        let arp = self.link_local.poll(now, random).or_else(|| claim?.poll(now, random));
        arp.map(Output::Arp)
    }

    /// A new address is claimed, and a made-up one wanted or not.
    fn settle(&mut self, now: Ms) {
        let address = self.fixed.map(|fixed| fixed.address).or(self.dhcp.lease().map(|lease| lease.address));
        if self.claim.as_ref().map(|claim| claim.address) != address {
            self.claim = address.map(|address| Claim::new(address, self.mac, now));
        }
        self.link_local.want(self.plugged_in && self.fixed.is_none() && self.dhcp.is_silent(), now);
    }

    /// What is so now.
    pub fn wanted(&self) -> Wanted {
        if let Some(fixed) = self.fixed {
            let gateway = |gateway| Route { destination: Ipv4Addr::UNSPECIFIED, prefix: 0, gateway };
            let (address, routes) = (Some((fixed.address, fixed.prefix)), fixed.gateway.map(gateway));
            return Wanted {
                address,
                source: Source::Settings,
                routes: routes.into_iter().collect(),
                ..Wanted::default()
            };
        }
        if let Some(lease) = self.dhcp.lease() {
            return Wanted {
                address: Some((lease.address, lease.prefix)),
                source: Source::Server(lease.server),
                routes: lease.routes.clone(),
                mtu: lease.mtu,
                names: lease.names.clone(),
            };
        }
        match self.link_local.address() {
            Some(address) => {
                Wanted { address: Some((address, link_local::PREFIX)), source: Source::LinkLocal, ..Wanted::default() }
            }
            None => Wanted::default(),
        }
    }

    /// When its address ends, if it does.
    pub fn valid_until(&self) -> Option<Ms> {
        self.dhcp.valid_until().filter(|_| self.fixed.is_none())
    }
}
