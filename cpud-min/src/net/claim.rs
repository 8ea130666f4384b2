//! One IPv4 address on a link: asked for before or while it is used, announced, and defended (RFC 5227).

use core::net::Ipv4Addr;

use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress};

use crate::net::mac::Mac;

type Ms = u64;

/// Section 1.1.
const PROBES: u8 = 3;
const PROBE_MS: Ms = 1000;
const ANNOUNCE_WAIT_MS: Ms = 2000;
const ANNOUNCEMENTS: u8 = 2;
const ANNOUNCE_INTERVAL_MS: Ms = 2000;
const DEFEND_INTERVAL_MS: Ms = 10_000;

/// The bytes of an ARP packet of Ethernet and IPv4.
pub const ARP_LENGTH: usize = 28;

/// An ARP request or reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arp {
    pub sender: (Mac, Ipv4Addr),
    pub target: Ipv4Addr,
}

impl Arp {
    /// None when it is none of Ethernet and IPv4.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let packet = ArpPacket::new_checked(packet).ok()?;
        let ArpRepr::EthernetIpv4 { source_hardware_addr, source_protocol_addr, target_protocol_addr, .. } =
            ArpRepr::parse(&packet).ok()?
        else {
            return None;
        };
        Some(Self { sender: (source_hardware_addr.0, source_protocol_addr), target: target_protocol_addr })
    }

    /// As a request to everybody.
    pub fn emit(&self) -> [u8; ARP_LENGTH] {
        let mut out = [0; ARP_LENGTH];
        let request = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr: EthernetAddress(self.sender.0),
            source_protocol_addr: self.sender.1,
            target_hardware_addr: EthernetAddress([0; 6]),
            target_protocol_addr: self.target,
        };
        request.emit(&mut ArpPacket::new_unchecked(&mut out[..]));
        out
    }
}

/// What has come of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    Fine,
    /// Somebody else has it, and had it before.
    Taken(Mac),
    /// Somebody else has it, who took it while it was ours. `again`: within ten seconds of the last time.
    Contested {
        by: Mac,
        again: bool,
    },
}

/// The claim to an address.
pub struct Claim {
    pub address: Ipv4Addr,
    mac: Mac,
    /// Probes and announcements.
    sent: u8,
    next: Option<Ms>,
    /// When it was last contested.
    contested: Option<Ms>,
    defend: bool,
}

impl Claim {
    pub const fn new(address: Ipv4Addr, mac: Mac, at: Ms) -> Self {
        Self { address, mac, sent: 0, next: Some(at), contested: None, defend: false }
    }

    /// Whether nobody has answered in time.
    pub const fn is_settled(&self) -> bool {
        self.sent > PROBES
    }

    pub fn deadline(&self) -> Option<Ms> {
        if self.defend { Some(0) } else { self.next }
    }

    /// What is to be sent now.
    pub fn poll(&mut self, now: Ms, random: u32) -> Option<Arp> {
        let announcement = Arp { sender: (self.mac, self.address), target: self.address };
        if core::mem::take(&mut self.defend) {
            return Some(announcement);
        }
        self.next.filter(|&next| next <= now)?;
        self.sent += 1;
        let wait = match self.sent {
            0..PROBES => Some(PROBE_MS + u64::from(random) % PROBE_MS),
            PROBES => Some(ANNOUNCE_WAIT_MS),
            sent if sent < PROBES + ANNOUNCEMENTS => Some(ANNOUNCE_INTERVAL_MS),
            _ => None,
        };
        self.next = wait.map(|wait| now + wait);
        let probe = Arp { sender: (self.mac, Ipv4Addr::UNSPECIFIED), target: self.address };
        Some(if self.sent <= PROBES { probe } else { announcement })
    }

    /// What a packet says about it. Who only probes for it counts as long as it is not ours.
    pub fn on_arp(&mut self, arp: Arp, used: bool, now: Ms) -> Verdict {
        let (mac, address) = arp.sender;
        let probes = address.is_unspecified() && arp.target == self.address && !used;
        if mac == self.mac || (address != self.address && !probes) {
            return Verdict::Fine;
        }
        if !self.is_settled() {
            return Verdict::Taken(mac);
        }
        let again = self.contested.is_some_and(|last| now < last + DEFEND_INTERVAL_MS);
        if !again {
            self.contested = Some(now);
            self.defend = true;
        }
        Verdict::Contested { by: mac, again }
    }
}
