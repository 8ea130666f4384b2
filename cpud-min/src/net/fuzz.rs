//! What the fuzz target does with its input.

use core::net::Ipv4Addr;

use super::claim::Arp;
use super::dhcp::message::Reply;
use super::interface::{Interface, Output, Source};
use super::mac::Mac;

const MAC: Mac = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

/// An interface among strangers. The input is calls: a control byte, whose low three bits say what happens and whose others
/// how much later (in steps of 10 s), a byte for a length, and so many bytes, of a packet. An address is never used that is
/// no host's.
pub fn interface(mut calls: &[u8]) {
    let mut interface = Interface::new(MAC, None, None, 0);
    let (mut now, mut xid) = (0, 0);
    while let [control, length, rest @ ..] = calls {
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*length) * 4));
        calls = rest;
        now += u64::from(control >> 3) * 10_000;
        match control & 7 {
            0 => drop(interface.set_plugged_in(true, now)),
            1 => drop(interface.set_plugged_in(false, now)),
            2 => Arp::parse(bytes).into_iter().for_each(|arp| interface.on_arp(arp, now)),
            // What nobody can guess is put in.
            3.. => {
                if let Some(Ok(reply)) = Reply::parse(bytes, MAC) {
                    interface.on_reply(Reply { xid, ..reply }, now);
                }
            }
        }
        let mut polls = 0;
        while let Some(output) = interface.poll(now, xid.wrapping_add(1)) {
            if let Output::Dhcp(request) = output {
                xid = request.xid;
                assert!(request.packet(MAC, b"box").len() >= 328);
            }
            polls += 1;
            assert!(polls < 16, "it has no end");
        }
        assert!(interface.deadline().is_none_or(|deadline| deadline > now), "it would go round");
        let wanted = interface.wanted();
        if let Some((address, prefix)) = wanted.address {
            assert!(!address.is_unspecified() && !address.is_broadcast() && !address.is_multicast() && prefix <= 32);
            assert_eq!(
                wanted.source == Source::LinkLocal,
                address.is_link_local() && interface.valid_until().is_none()
            );
        }
        assert!(wanted.routes.iter().all(|route| route.destination != Ipv4Addr::BROADCAST || route.prefix == 32));
    }
}
