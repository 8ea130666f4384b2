use std::vec::Vec;

use super::*;

pub const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const ACK: u8 = 5;

/// A server's message in UDP and IPv4, with a hundred bytes of room behind it, byte by byte from RFC 2131 figure 1.
pub fn packet(kind: u8, xid: u32, yiaddr: Ipv4Addr, options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut dhcp = std::vec![0; 236];
    dhcp[..4].copy_from_slice(&[2, 1, 6, 0]);
    dhcp[4..8].copy_from_slice(&xid.to_be_bytes());
    dhcp[16..20].copy_from_slice(&yiaddr.octets());
    dhcp[28..34].copy_from_slice(&MAC);
    dhcp.extend([99, 130, 83, 99, 53, 1, kind]);
    for (code, value) in options {
        dhcp.extend([*code, value.len() as u8]);
        dhcp.extend_from_slice(value);
    }
    dhcp.push(255);
    let length = |n: usize| (n as u16).to_be_bytes();
    let mut ip = std::vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 2, 2, 255, 255, 255, 255];
    ip[2..4].copy_from_slice(&length(28 + dhcp.len()));
    let sum: u32 = ip.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    ip.extend([0, 67, 0, 68]);
    ip.extend(length(8 + dhcp.len()));
    ip.extend([0, 0]);
    ip.extend(dhcp);
    ip
}

pub fn parse(packet: &[u8]) -> Reply {
    Reply::parse(packet, MAC).expect("it is for us").expect("it is a server's")
}

#[test]
fn classless_routes_stand_before_the_router() {
    let server = SERVER.octets();
    // RFC 3442: 0.0.0.0/0 by 10.0.2.1, 10.17.0.0/16 by 10.0.2.9, 192.168.1.130/25 (with a bit too many) on the link.
    let routes = [0, 10, 0, 2, 1, 16, 10, 17, 10, 0, 2, 9, 25, 192, 168, 1, 130, 0, 0, 0, 0];
    let mut options: Vec<(u8, &[u8])> = std::vec![(3, &server), (51, &[0, 0, 14, 16]), (54, &server), (121, &routes)];
    let route = |destination: [u8; 4], prefix, gateway: [u8; 4]| Route {
        destination: destination.into(),
        prefix,
        gateway: gateway.into(),
    };
    let read = |options: &[(u8, &[u8])]| parse(&packet(ACK, 1, ADDRESS, options)).lease.expect("a lease").routes;
    let expected = [
        route([0; 4], 0, [10, 0, 2, 1]),
        route([10, 17, 0, 0], 16, [10, 0, 2, 9]),
        route([192, 168, 1, 128], 25, [0; 4]),
    ];
    assert_eq!(read(&options), expected);
    // Damaged ones are none.
    options[3].1 = &routes[..routes.len() - 1];
    assert_eq!(read(&options), [route([0; 4], 0, server)]);
    options[3].1 = &[33, 1, 2, 3, 4, 5, 10, 0, 2, 1];
    assert_eq!(read(&options), [route([0; 4], 0, server)]);
}

#[test]
fn what_a_lease_says_besides_is_read_and_nonsense_is_left_out() {
    let names: [(u8, &[u8]); 11] = [
        (1, &[255, 255, 254, 0]),
        (6, &[10, 0, 2, 3, 0, 0, 0, 0, 8, 8, 8, 8, 1]),
        (7, &[10, 0, 2, 4]),
        (12, b"box-7\0"),
        (15, b"lab.example"),
        (26, &[5, 120]),
        (42, &[10, 0, 2, 5, 10, 0, 2, 6]),
        (51, &[0, 0, 2, 88]),
        (54, &[10, 0, 2, 2]),
        (58, &[0, 0, 1, 0]),
        (59, &[0, 0, 2, 0]),
    ];
    let lease = parse(&packet(ACK, 1, ADDRESS, &names)).lease.expect("a lease");
    assert_eq!((lease.prefix, lease.mtu, lease.seconds, lease.t1, lease.t2), (23, Some(1400), 600, 256, 512));
    assert_eq!(lease.names.resolvers, [Ipv4Addr::new(10, 0, 2, 3), Ipv4Addr::new(8, 8, 8, 8)]);
    assert_eq!(lease.names.ntp_servers, [Ipv4Addr::new(10, 0, 2, 5), Ipv4Addr::new(10, 0, 2, 6)]);
    assert_eq!(lease.names.log_servers, [Ipv4Addr::new(10, 0, 2, 4)]);
    assert_eq!((&lease.names.hostname[..], &lease.names.domain[..]), (&b"box-7"[..], &b"lab.example"[..]));
    let odd: [(u8, &[u8]); 6] = [
        (12, b"a b\n"),
        (26, &[0, 68]),
        (51, &[0, 0, 2, 88]),
        (54, &[10, 0, 2, 2]),
        (58, &[0, 0, 9, 0]),
        (59, &[0; 4]),
    ];
    let lease = parse(&packet(ACK, 1, ADDRESS, &odd)).lease.expect("a lease");
    assert_eq!((lease.prefix, lease.mtu, lease.t1, lease.t2), (8, None, 300, 525));
    assert!(lease.names.hostname.is_empty() && lease.routes.is_empty());
    // Nothing to use: no time, no host's address, a mask with a hole.
    let time: (u8, &[u8]) = (51, &[0, 0, 2, 88]);
    for (address, options) in [
        (ADDRESS, std::vec![]),
        (Ipv4Addr::BROADCAST, std::vec![time]),
        (Ipv4Addr::LOCALHOST, std::vec![time]),
        (ADDRESS, std::vec![time, (1, &[255, 0, 255, 0])]),
    ] {
        assert_eq!(parse(&packet(ACK, 1, address, &options)).lease, None, "{address}");
    }
}

#[test]
fn what_others_are_sent_is_not_ours_and_what_no_server_sends_is_malformed() {
    let good = packet(ACK, 1, ADDRESS, &[(51, &[0, 0, 2, 88])]);
    assert!(Reply::parse(&good, MAC).is_some_and(|reply| reply.is_ok()));
    assert_eq!(Reply::parse(&good, [2; 6]), None);
    // Nobody's checksum of UDP is asked for; IPv4's own is.
    for (at, byte, expected) in [(8, 1, true), (28, 1, true), (28 + 236, 0, true), (23, 69, false), (6, 0x20, false)] {
        let mut bad = good.clone();
        bad[at] = byte;
        let parsed = Reply::parse(&bad, MAC);
        assert_eq!(parsed == Some(Err(Malformed)), expected, "byte {at}: {parsed:?}");
    }
    // Cut anywhere it is never read beyond its end.
    for end in 0..good.len() {
        assert_eq!(Reply::parse(&good[..end], MAC), None, "{end}");
    }
}

#[test]
fn a_request_is_what_table_5_says() {
    let (kind, client, to) = (RequestKind::Request, Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
    let (requested, server) = (Some(ADDRESS), Some(SERVER));
    let request = Request { kind, xid: 0x1234_5678, seconds: 0, client, requested, server, to };
    let message = request.emit(MAC, b"box-7");
    assert_eq!(message.len(), 300);
    assert_eq!(message[..8], [1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78]);
    assert_eq!((&message[12..16], &message[28..34]), (&[0; 4][..], &MAC[..]));
    let options = [
        &[99, 130, 83, 99, 53, 1, 3, 61, 7, 1][..],
        &MAC,
        &[50, 4, 10, 0, 2, 15, 54, 4, 10, 0, 2, 2, 57, 2, 5, 220, 55, 12, 1, 121, 3, 6, 7, 12, 15, 26, 42, 51, 58, 59],
        &[12, 5, 98, 111, 120, 45, 55, 255],
    ];
    assert!(message[236..].starts_with(&options.concat()));
    let packet = request.packet(MAC, b"box-7");
    assert_eq!((packet.len(), &packet[28..]), (328, &message[..]));
    assert_eq!((&packet[12..24], &packet[24..26]), (&[0, 0, 0, 0, 255, 255, 255, 255, 0, 68, 0, 67][..], &[1, 52][..]));
}
