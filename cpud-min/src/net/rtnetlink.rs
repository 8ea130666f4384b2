//! Messages to and from the kernel's routing (rtnetlink(7)), as bytes.

use core::net::{IpAddr, Ipv4Addr};

use heapless::Vec;

use super::dhcp::message::Route;
use super::mac::Mac;

/// The longest of ours.
const MESSAGE_MAX: usize = 128;

/// The kernel fills no more at a time (NLMSG_GOODSIZE of linux/netlink.h).
pub const BUFFER: usize = 8192;

// linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/if.h
const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_CREATE: u16 = 0x400;
const IFF_UP: u32 = 0x1;
const IFF_RUNNING: u32 = 0x40;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINKINFO: u16 = 18;
const IFLA_CARRIER_CHANGES: u16 = 35;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const IFA_PROTO: u16 = 11;
const IFA_F_DADFAILED: u32 = 0x8;
const IFA_F_TENTATIVE: u32 = 0x40;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTNH_F_ONLINK: u32 = 4;
const RT_TABLE_MAIN: u8 = 254;
const RTN_UNICAST: u8 = 1;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const ARPHRD_ETHER: u16 = 1;

/// By which our addresses and routes are known again: RTPROT_DHCP.
const OURS: u8 = 16;

/// The events that are listened for: RTMGRP_LINK, RTMGRP_IPV6_IFADDR.
pub const GROUPS: u32 = 0x1 | 0x100;

/// A request, whose length is put in when it is sent.
pub struct Message(Vec<u8, MESSAGE_MAX>);

impl Message {
    fn new(kind: u16, flags: u16, header: &[u8]) -> Self {
        let mut bytes = Vec::new();
        let _ = bytes.resize(16, 0);
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        let _ = bytes.extend_from_slice(header);
        Self(bytes)
    }

    /// An attribute; the next begins at a multiple of four.
    fn with(mut self, kind: u16, value: &[u8]) -> Self {
        let length = (4 + value.len()) as u16;
        let _ = self.0.extend_from_slice(&length.to_ne_bytes());
        let _ = self.0.extend_from_slice(&kind.to_ne_bytes());
        let _ = self.0.extend_from_slice(value);
        let _ = self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub fn bytes(&mut self) -> &[u8] {
        let length = (self.0.len() as u32).to_ne_bytes();
        self.0[..4].copy_from_slice(&length);
        &self.0
    }
}

/// Asks for all links, and then [`dump_addresses`] for all addresses.
pub fn dump_links() -> Message {
    Message::new(RTM_GETLINK, NLM_F_DUMP, &[0; 16])
}

pub fn dump_addresses() -> Message {
    Message::new(RTM_GETADDR, NLM_F_DUMP, &[0; 8])
}

/// struct ifinfomsg: family, type, index, flags, and which of these are meant.
fn link(index: u32, flags: u32) -> Message {
    let words = [0, index, flags, flags];
    let mut header = [0; 16];
    for (bytes, word) in header.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
    Message::new(RTM_NEWLINK, NLM_F_ACK, &header)
}

pub fn set_up(index: u32) -> Message {
    link(index, IFF_UP)
}

pub fn set_mtu(index: u32, mtu: u32) -> Message {
    link(index, 0).with(IFLA_MTU, &mtu.to_ne_bytes())
}

/// What is on the link with an address of this prefix.
pub fn netmask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

/// struct ifaddrmsg and struct ifa_cacheinfo. `seconds`: until the kernel takes it away by itself.
pub fn add_address(index: u32, address: (Ipv4Addr, u8), seconds: u32) -> Message {
    let broadcast = u32::from(address.0) | !netmask(address.1);
    let message = self::address(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, index, address);
    let message = message.with(IFA_PROTO, &[OURS]).with(IFA_BROADCAST, &broadcast.to_be_bytes());
    let mut times = [0; 16];
    times[..4].copy_from_slice(&seconds.to_ne_bytes());
    times[4..8].copy_from_slice(&seconds.to_ne_bytes());
    message.with(IFA_CACHEINFO, &times)
}

pub fn remove_address(index: u32, address: (Ipv4Addr, u8)) -> Message {
    self::address(RTM_DELADDR, NLM_F_ACK, index, address)
}

fn address(kind: u16, flags: u16, index: u32, (address, prefix): (Ipv4Addr, u8)) -> Message {
    let scope = if address.is_link_local() { SCOPE_LINK } else { SCOPE_UNIVERSE };
    let [a, b, c, d] = index.to_ne_bytes();
    let message = Message::new(kind, flags, &[AF_INET, prefix, 0, scope, a, b, c, d]);
    message.with(IFA_LOCAL, &address.octets()).with(IFA_ADDRESS, &address.octets())
}

/// A route by an interface that has `address`: a gateway outside of its network is on the link all the same. The interface
/// with the lower index goes before others.
pub fn add_route(index: u32, address: (Ipv4Addr, u8), route: &Route) -> Message {
    let apart = (u32::from(route.gateway) ^ u32::from(address.0)) & netmask(address.1) != 0;
    let flags = if apart { RTNH_F_ONLINK } else { 0 };
    self::route(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, index, route, flags)
}

pub fn remove_route(index: u32, route: &Route) -> Message {
    self::route(RTM_DELROUTE, NLM_F_ACK, index, route, 0)
}

/// struct rtmsg
fn route(kind: u16, flags: u16, index: u32, route: &Route, onlink: u32) -> Message {
    let direct = route.gateway.is_unspecified();
    let (scope, onlink) = if direct { (SCOPE_LINK, 0) } else { (SCOPE_UNIVERSE, onlink) };
    let mut header = [AF_INET, route.prefix, 0, 0, RT_TABLE_MAIN, OURS, scope, RTN_UNICAST, 0, 0, 0, 0];
    header[8..].copy_from_slice(&onlink.to_ne_bytes());
    let message = Message::new(kind, flags, &header)
        .with(RTA_DST, &route.destination.octets())
        .with(RTA_OIF, &index.to_ne_bytes())
        .with(RTA_PRIORITY, &(100 + index).to_ne_bytes());
    if direct { message } else { message.with(RTA_GATEWAY, &route.gateway.octets()) }
}

/// What the kernel says.
#[derive(Debug, Eq, PartialEq)]
pub enum Event<'a> {
    Link(Link<'a>),
    LinkGone(u32),
    /// `usable`: it is known that nobody else has it.
    Address {
        index: u32,
        address: (IpAddr, u8),
        usable: bool,
        ours: bool,
        /// Seconds, all bits for ever.
        left: u32,
    },
    AddressGone(u32, IpAddr),
    /// To a request: 0, or the number of an error.
    Answer(i32),
    Other,
}

/// An Ethernet card, or what looks like one.
#[derive(Debug, Eq, PartialEq)]
pub struct Link<'a> {
    pub index: u32,
    pub name: &'a [u8],
    pub mac: Mac,
    pub mtu: u32,
    pub up: bool,
    pub plugged_in: bool,
    /// How often it was plugged in or out. The kernel tells of what happens within a second together.
    pub changes: u32,
}

/// The messages in what was read at a time.
pub fn events(mut bytes: &[u8]) -> impl Iterator<Item = Event<'_>> {
    core::iter::from_fn(move || {
        let (header, _) = bytes.split_first_chunk::<16>()?;
        let length = u32_at(header, 0)? as usize;
        let body = bytes.get(16..length)?;
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(event(kind, body).unwrap_or(Event::Other))
    })
}

fn event(kind: u16, body: &[u8]) -> Option<Event<'_>> {
    match kind {
        NLMSG_ERROR => Some(Event::Answer(-(u32_at(body, 0)? as i32))),
        RTM_NEWLINK => {
            let (index, flags) = (u32_at(body, 4)?, u32_at(body, 8)?);
            let ethernet = u16::from_ne_bytes([*body.get(2)?, *body.get(3)?]) == ARPHRD_ETHER;
            let attribute = |kind| attributes(body.get(16..)?).find(|(k, _)| *k == kind).map(|(_, value)| value);
            // What sessions make has a kind, and so has what belongs to such a one: bridges, tunnels, their members.
            if !ethernet || attribute(IFLA_LINKINFO).is_some() {
                return None;
            }
            let name = attribute(IFLA_IFNAME)?.split(|&byte| byte == 0).next()?;
            let mac = attribute(IFLA_ADDRESS)?.try_into().ok()?;
            let mtu = u32_at(attribute(IFLA_MTU)?, 0)?;
            let (up, plugged_in) = (flags & IFF_UP != 0, flags & IFF_RUNNING != 0);
            let changes = attribute(IFLA_CARRIER_CHANGES).and_then(|value| u32_at(value, 0)).unwrap_or(0);
            Some(Event::Link(Link { index, name, mac, mtu, up, plugged_in, changes }))
        }
        RTM_DELLINK => Some(Event::LinkGone(u32_at(body, 4)?)),
        RTM_NEWADDR | RTM_DELADDR => {
            let (prefix, index) = (*body.get(1)?, u32_at(body, 4)?);
            let attribute = |kind| attributes(body.get(8..)?).find(|(k, _)| *k == kind).map(|(_, value)| value);
            let value = attribute(IFA_LOCAL).or_else(|| attribute(IFA_ADDRESS))?;
            let address: IpAddr = match *body.first()? {
                AF_INET => <[u8; 4]>::try_from(value).ok()?.into(),
                AF_INET6 => <[u8; 16]>::try_from(value).ok()?.into(),
                _ => return None,
            };
            if kind == RTM_DELADDR {
                return Some(Event::AddressGone(index, address));
            }
            let flags = attribute(IFA_FLAGS).and_then(|value| u32_at(value, 0)).unwrap_or(0);
            let usable = flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) == 0;
            let ours = attribute(IFA_PROTO) == Some(&[OURS]);
            let left = attribute(IFA_CACHEINFO).and_then(|value| u32_at(value, 4)).unwrap_or(u32::MAX);
            Some(Event::Address { index, address: (address, prefix), usable, ours, left })
        }
        _ => None,
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    core::iter::from_fn(move || {
        let (header, _) = bytes.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        // The two highest bits say what is inside (NLA_TYPE_MASK).
        let kind = u16::from_ne_bytes([header[2], header[3]]) & 0x3fff;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

#[cfg(test)]
mod tests {
    use std::vec::Vec as Bytes;

    use super::*;
    use crate::net::dhcp::tests::Numbers;

    fn words(bytes: &[u8]) -> Bytes<u32> {
        bytes.chunks(4).map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]])).collect()
    }

    #[test]
    fn requests_are_byte_for_byte_those_of_rtnetlink_7() {
        let address = (Ipv4Addr::new(10, 0, 2, 15), 24);
        // A header, an ifaddrmsg, and IFA_LOCAL, ADDRESS, PROTO, BROADCAST, CACHEINFO, on a little-endian machine.
        assert_eq!(
            words(add_address(2, address, 600).bytes()),
            [
                0x4c00_0000,
                0x1400_0505,
                0,
                0,
                0x0218_0000,
                0x0200_0000,
                0x0800_0200,
                0x0a00_020f,
                0x0800_0100,
                0x0a00_020f,
                0x0500_0b00,
                0x1000_0000,
                0x0800_0400,
                0x0a00_02ff,
                0x1400_0600,
                0x5802_0000,
                0x5802_0000,
                0,
                0,
            ]
        );
        let route = Route { destination: Ipv4Addr::UNSPECIFIED, prefix: 0, gateway: Ipv4Addr::new(10, 0, 2, 2) };
        let near = words(add_route(2, address, &route).bytes());
        assert_eq!(near[..7], [0x3c00_0000, 0x1800_0505, 0, 0, 0x0200_0000, 0xfe10_0001, 0]);
        assert_eq!(
            near[7..],
            [0x0800_0100, 0, 0x0800_0400, 0x0200_0000, 0x0800_0600, 0x6600_0000, 0x0800_0500, 0x0a00_0202]
        );
        // A gateway that is outside of the network (RTNH_F_ONLINK), and none.
        let apart = words(add_route(2, (address.0, 32), &route).bytes());
        assert_eq!((apart[6], apart[5]), (0x0400_0000, 0xfe10_0001));
        let direct = words(add_route(2, address, &Route { gateway: Ipv4Addr::UNSPECIFIED, ..route }).bytes());
        assert_eq!((direct.len(), direct[5], direct[6]), (13, 0xfe10_fd01, 0));
        assert_eq!([0, 1, 24, 32].map(netmask), [0, 0x8000_0000, 0xffff_ff00, 0xffff_ffff]);
    }

    /// A message of the kernel's.
    fn message(kind: u16, header: &[u8], attributes: &[(u16, &[u8])]) -> Bytes<u8> {
        let mut message = Message::new(kind, 0, header);
        for (kind, value) in attributes {
            message = message.with(*kind, value);
        }
        message.bytes().to_vec()
    }

    #[test]
    fn links_and_addresses_are_read_and_what_sessions_make_is_not() {
        let mac = [2, 0, 0, 0, 0, 1];
        let card: [(u16, &[u8]); 4] = [(3, b"eth0\0"), (1, &mac), (4, &[0xdc, 5, 0, 0]), (35, &[7, 0, 0, 0])];
        let header = [0, 0, 1, 0, 2, 0, 0, 0, 0x41, 0, 1, 0, 0, 0, 0, 0];
        let mut bytes = message(RTM_NEWLINK, &header, &card);
        bytes.extend(message(RTM_NEWLINK, &header, &[&card[..], &[(18, b"x")]].concat()));
        bytes.extend(message(RTM_DELLINK, &header, &[]));
        bytes.extend(message(NLMSG_ERROR, &(-17_i32).to_ne_bytes(), &[]));
        let expected = Link { index: 2, name: b"eth0", mac, mtu: 1500, up: true, plugged_in: true, changes: 7 };
        let read: Bytes<_> = events(&bytes).collect();
        assert_eq!(read, [Event::Link(expected), Event::Other, Event::LinkGone(2), Event::Answer(17)]);
        let v4: [(u16, &[u8]); 3] = [(2, &[10, 0, 2, 15]), (11, &[16]), (6, &[1, 0, 0, 0, 9, 0, 0, 0])];
        let header = [2, 24, 0, 0, 2, 0, 0, 0];
        let bytes = message(RTM_NEWADDR, &header, &v4);
        let address = (Ipv4Addr::new(10, 0, 2, 15).into(), 24);
        let expected = Event::Address { index: 2, address, usable: true, ours: true, left: 9 };
        assert_eq!(events(&bytes).collect::<Bytes<_>>(), [expected]);
    }

    #[test]
    fn garbage_is_read_to_its_end() {
        let mut numbers = Numbers(5);
        for _ in 0..20_000 {
            let mut bytes: Bytes<u8> = (0..numbers.below(120)).map(|_| numbers.draw() as u8).collect();
            for (at, value) in [(0, 16 + numbers.below(90) as u8), (4, 16 + numbers.below(8) as u8), (18, 1), (24, 8)] {
                bytes.get_mut(at).into_iter().for_each(|byte| *byte = value);
            }
            [1, 2, 3, 5].iter().for_each(|&at| bytes.get_mut(at).into_iter().for_each(|byte| *byte = 0));
            assert!(events(&bytes).count() <= 8);
        }
    }
}
