//! DHCP messages in their IPv4 packets (RFC 2131 section 2, RFC 2132), by the parsers of smoltcp.

use core::net::Ipv4Addr;

use heapless::Vec;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpHardware, DhcpMessageType, DhcpOpCode, DhcpOption, DhcpPacket, EthernetAddress, IPV4_HEADER_LEN, IpProtocol,
    Ipv4Packet, Ipv4Repr, UDP_HEADER_LEN, UdpPacket, UdpRepr,
};

use crate::net::mac::Mac;
use crate::plan::network::{Names, SERVERS, is_hostname};

pub const SERVER_PORT: u16 = 67;
pub const CLIENT_PORT: u16 = 68;

/// What every host takes (RFC 791), so that a request is never cut.
pub const REQUEST_MAX: usize = 576;

/// The least that BOOTP relays pass on (RFC 951 section 3).
const BOOTP_LENGTH: usize = 300;

const MAGIC: u32 = 0x6382_5363;

/// The numbers of RFC 2132 that count here, and RFC 3442's.
mod code {
    pub const SUBNET_MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const RESOLVERS: u8 = 6;
    pub const LOG_SERVERS: u8 = 7;
    pub const HOST_NAME: u8 = 12;
    pub const DOMAIN_NAME: u8 = 15;
    pub const MTU: u8 = 26;
    pub const NTP_SERVERS: u8 = 42;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const LEASE_TIME: u8 = 51;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER: u8 = 54;
    pub const PARAMETERS: u8 = 55;
    pub const MESSAGE_SIZE: u8 = 57;
    pub const T1: u8 = 58;
    pub const T2: u8 = 59;
    pub const CLIENT: u8 = 61;
    pub const CLASSLESS_ROUTES: u8 = 121;
}

/// What is asked for. RFC 3442: classless routes before the router.
const PARAMETERS: [u8; 12] = [
    code::SUBNET_MASK,
    code::CLASSLESS_ROUTES,
    code::ROUTER,
    code::RESOLVERS,
    code::LOG_SERVERS,
    code::HOST_NAME,
    code::DOMAIN_NAME,
    code::MTU,
    code::NTP_SERVERS,
    code::LEASE_TIME,
    code::T1,
    code::T2,
];

/// No lease ends (RFC 2131 section 3.3).
pub const FOREVER: u32 = u32::MAX;

/// Routes of a lease; of more the first are taken.
pub const ROUTES: usize = 16;

/// The least MTU that is believed: below it there is no IPv6 (RFC 8200 section 5).
const MTU_MIN: u16 = 1280;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Route {
    pub destination: Ipv4Addr,
    pub prefix: u8,
    /// Unspecified: the destination is on the link.
    pub gateway: Ipv4Addr,
}

/// What a server gives, without when.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lease {
    pub address: Ipv4Addr,
    pub prefix: u8,
    /// Unspecified: it is not known who gave it.
    pub server: Ipv4Addr,
    /// Seconds, or [`FOREVER`].
    pub seconds: u32,
    /// Seconds after which it is renewed, and by whatever server: T1 and T2.
    pub t1: u32,
    pub t2: u32,
    pub routes: Vec<Route, ROUTES>,
    pub mtu: Option<u16>,
    pub names: Names,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Offer,
    Ack,
    Nak,
}

/// A server's message to one of us.
#[derive(Debug, Eq, PartialEq)]
pub struct Reply {
    pub kind: Kind,
    pub xid: u32,
    /// Option 54, which slirp leaves out of a NAK.
    pub server: Option<Ipv4Addr>,
    /// Of an Offer or an Ack; None when what it says cannot be used.
    pub lease: Option<Lease>,
}

impl Reply {
    /// Reads an IPv4 packet. Err: it is for our port and no message of a server's to `mac`; None: it is another's.
    ///
    /// The checksum of UDP is not looked at: a virtual machine's network leaves it to hardware that is not there.
    pub fn parse(packet: &[u8], mac: Mac) -> Option<Result<Self, Malformed>> {
        let ip = Ipv4Packet::new_checked(packet).ok()?;
        let whole = !ip.more_frags() && ip.frag_offset() == 0 && ip.next_header() == IpProtocol::Udp;
        let udp = UdpPacket::new_checked(ip.payload()).ok().filter(|_| whole)?;
        if udp.dst_port() != CLIENT_PORT {
            return None;
        }
        if !ip.verify_checksum() {
            return Some(Err(Malformed));
        }
        let Ok(message) = DhcpPacket::new_checked(udp.payload()) else { return Some(Err(Malformed)) };
        let ours = message.client_hardware_address() == EthernetAddress(mac);
        if message.magic_number() != MAGIC || message.opcode() != DhcpOpCode::Reply {
            return Some(Err(Malformed));
        }
        ours.then(|| Self::read(&message).ok_or(Malformed))
    }

    fn read(message: &DhcpPacket<&[u8]>) -> Option<Self> {
        let kind = match option(message, code::MESSAGE_TYPE)?.first().map(|&number| DhcpMessageType::from(number))? {
            DhcpMessageType::Offer => Kind::Offer,
            DhcpMessageType::Ack => Kind::Ack,
            DhcpMessageType::Nak => Kind::Nak,
            _ => return None,
        };
        let server = option(message, code::SERVER).and_then(address);
        let lease = if kind == Kind::Nak { None } else { lease(message, server) };
        Some(Self { kind, xid: message.transaction_id(), server, lease })
    }
}

/// A message that is not one of a server's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Malformed;

fn option<'a>(message: &'a DhcpPacket<&[u8]>, code: u8) -> Option<&'a [u8]> {
    message.options().find(|option| option.kind == code).map(|option| option.data)
}

fn lease(message: &DhcpPacket<&[u8]>, server: Option<Ipv4Addr>) -> Option<Lease> {
    let option = |code| option(message, code);
    let address = message.your_ip();
    if !is_host(address) {
        return None;
    }
    let seconds = option(code::LEASE_TIME).and_then(number).filter(|&seconds| seconds > 0)?;
    let (t1, t2) = times(seconds, option(code::T1).and_then(number), option(code::T2).and_then(number));
    let prefix = match option(code::SUBNET_MASK).and_then(self::address).map(u32::from) {
        Some(mask) if mask.leading_ones() == mask.count_ones() && mask != 0 => mask.leading_ones() as u8,
        Some(_) => return None,
        None => class_prefix(address),
    };
    let mut names = Names::default();
    let text = |code| {
        let value = option(code)?;
        let end = value.iter().rposition(|&byte| byte != 0)? + 1;
        Vec::from_slice(&value[..end]).ok().filter(|name| is_hostname(name))
    };
    names.hostname = text(code::HOST_NAME).unwrap_or_default();
    names.domain = text(code::DOMAIN_NAME).unwrap_or_default();
    names.resolvers = servers(option(code::RESOLVERS));
    names.ntp_servers = servers(option(code::NTP_SERVERS));
    names.log_servers = servers(option(code::LOG_SERVERS));
    let mtu = option(code::MTU).and_then(|value| value.try_into().ok()).map(u16::from_be_bytes);
    Some(Lease {
        address,
        prefix,
        server: server.unwrap_or(Ipv4Addr::UNSPECIFIED),
        seconds,
        t1,
        t2,
        routes: routes(option(code::CLASSLESS_ROUTES), option(code::ROUTER)),
        mtu: mtu.filter(|&mtu| mtu >= MTU_MIN),
        names,
    })
}

/// T1 and T2 as given, or 1/2 and 7/8 of the lease (RFC 2131 section 4.4.5) when they are not in order.
fn times(seconds: u32, t1: Option<u32>, t2: Option<u32>) -> (u32, u32) {
    let t2 = t2.filter(|&t2| t2 > 0 && t2 <= seconds).unwrap_or(seconds - seconds.div_ceil(8));
    let t1 = t1.filter(|&t1| t1 > 0 && t1 <= t2).unwrap_or((seconds / 2).min(t2));
    (t1.max(1), t2.max(1))
}

/// That a machine may have.
fn is_host(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    (1..224).contains(&first) && first != 127
}

/// RFC 791 section 3.2, for a server that sends no mask.
fn class_prefix(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..128 => 8,
        128..192 => 16,
        _ => 24,
    }
}

fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

fn address(value: &[u8]) -> Option<Ipv4Addr> {
    number(value).map(Ipv4Addr::from)
}

/// A list of addresses, without those that no server has.
fn servers(value: Option<&[u8]>) -> Vec<Ipv4Addr, SERVERS> {
    value.unwrap_or_default().chunks_exact(4).filter_map(address).filter(|&a| is_host(a)).take(SERVERS).collect()
}

/// Classless routes, and when there are any, no router (RFC 3442).
fn routes(classless: Option<&[u8]>, router: Option<&[u8]>) -> Vec<Route, ROUTES> {
    if let Some(routes) = classless.and_then(classless_routes) {
        return routes;
    }
    let default = |gateway| Route { destination: Ipv4Addr::UNSPECIFIED, prefix: 0, gateway };
    servers(router).into_iter().take(1).map(default).collect()
}

/// None when they are damaged.
fn classless_routes(mut rest: &[u8]) -> Option<Vec<Route, ROUTES>> {
    let mut routes = Vec::new();
    while let Some((&prefix, after)) = rest.split_first() {
        // Of the destination only the octets that count are there.
        let count = usize::from(prefix).div_ceil(8);
        let (significant, after) = after.split_at_checked(count).filter(|_| prefix <= 32)?;
        let (gateway, after) = after.split_first_chunk::<4>()?;
        let mut octets = [0; 4];
        octets[..count].copy_from_slice(significant);
        // The kernel takes no route with bits beyond its prefix.
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        let destination = Ipv4Addr::from(u32::from_be_bytes(octets) & mask);
        let _ = routes.push(Route { destination, prefix, gateway: Ipv4Addr::from(*gateway) });
        rest = after;
    }
    Some(routes)
}

/// A message of ours (RFC 2131 table 5).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    pub kind: RequestKind,
    pub xid: u32,
    /// Since the client began to ask.
    pub seconds: u16,
    /// The address that is in use, to renew it.
    pub client: Ipv4Addr,
    /// Option 50.
    pub requested: Option<Ipv4Addr>,
    /// Option 54.
    pub server: Option<Ipv4Addr>,
    /// To whom: a server, or everybody.
    pub to: Ipv4Addr,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RequestKind {
    Discover,
    Request,
    Decline,
}

impl Request {
    /// The message alone, for UDP.
    pub fn emit(&self, mac: Mac, hostname: &[u8]) -> Vec<u8, REQUEST_MAX> {
        let mut room = [0; REQUEST_MAX - IPV4_HEADER_LEN - UDP_HEADER_LEN];
        let mut message = DhcpPacket::new_unchecked(&mut room[..]);
        message.set_opcode(DhcpOpCode::Request);
        message.set_hardware_type(ArpHardware::Ethernet);
        message.set_hardware_len(6);
        message.set_transaction_id(self.xid);
        message.set_secs(self.seconds);
        message.set_client_ip(self.client);
        message.set_client_hardware_address(EthernetAddress(mac));
        message.set_magic_number(MAGIC);
        let kind = match self.kind {
            RequestKind::Discover => DhcpMessageType::Discover,
            RequestKind::Request => DhcpMessageType::Request,
            RequestKind::Decline => DhcpMessageType::Decline,
        };
        let [a, b, c, d, e, f] = mac;
        let mut options = message.options_mut();
        // There is room for all: the host name has 64 bytes at most.
        let mut put = |kind, data: &[u8]| {
            let _ = options.emit(DhcpOption { kind, data });
        };
        put(code::MESSAGE_TYPE, &[kind.into()]);
        put(code::CLIENT, &[1, a, b, c, d, e, f]);
        if let Some(address) = self.requested {
            put(code::REQUESTED_ADDRESS, &address.octets());
        }
        if let Some(server) = self.server {
            put(code::SERVER, &server.octets());
        }
        if self.kind != RequestKind::Decline {
            put(code::MESSAGE_SIZE, &1500_u16.to_be_bytes());
            put(code::PARAMETERS, &PARAMETERS);
            if !hostname.is_empty() {
                put(code::HOST_NAME, hostname);
            }
        }
        let _ = options.end();
        let end = room.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        room[..end.max(BOOTP_LENGTH)].iter().copied().collect()
    }

    /// The whole IPv4 packet, for a client that has no address yet.
    pub fn packet(&self, mac: Mac, hostname: &[u8]) -> Vec<u8, REQUEST_MAX> {
        let message = self.emit(mac, hostname);
        let (src_addr, dst_addr) = (self.client, self.to);
        let payload_len = UDP_HEADER_LEN + message.len();
        let caps = ChecksumCapabilities::default();
        let mut packet = Vec::<u8, REQUEST_MAX>::new();
        let _ = packet.resize(IPV4_HEADER_LEN + payload_len, 0);
        let mut ip = Ipv4Packet::new_unchecked(&mut packet[..]);
        Ipv4Repr { src_addr, dst_addr, next_header: IpProtocol::Udp, payload_len, hop_limit: 64 }.emit(&mut ip, &caps);
        let mut udp = UdpPacket::new_unchecked(ip.payload_mut());
        UdpRepr { src_port: CLIENT_PORT, dst_port: SERVER_PORT }.emit(
            &mut udp,
            &src_addr.into(),
            &dst_addr.into(),
            message.len(),
            |payload| payload.copy_from_slice(&message),
            &caps,
        );
        packet
    }
}

#[cfg(test)]
pub mod tests;
