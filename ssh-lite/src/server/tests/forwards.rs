//! Forwarding (RFC 4254 section 7).

use crate::{
    Error,
    connection::{NoRoom, Stream},
    error::{Malformed, Misbehaviour},
    msg::{ChannelData, ChannelOpenConfirmation, ChannelOpenFailure, ChannelRequest, GlobalRequest, Message, Rest},
    testkit::{Pair, pair, pair_authed, written},
    wire::WireError,
};
use std::vec::Vec;

fn address(port: u32) -> Vec<u8> {
    written(|to| {
        to.string(b"127.0.0.1")?;
        to.uint32(port)
    })
}

fn forward<'a>(name: &'a str, want_reply: bool, fields: &'a [u8]) -> GlobalRequest<'a> {
    GlobalRequest { name, want_reply, fields: Rest(fields) }
}

fn confirmation(recipient: u32) -> ChannelOpenConfirmation<'static> {
    ChannelOpenConfirmation { recipient, sender: 5, window: 100, maximum_packet: 30, fields: Rest(b"") }
}

/// With a forwarded channel asked for; its number here.
fn opening() -> (Pair<'static>, u32) {
    let mut pair = pair_authed();
    pair.server.open_forwarded("127.0.0.1", 5641, "127.0.0.1", 1, 1 << 20).unwrap();
    let request = pair.reply().unwrap();
    let Ok(Message::ChannelOpen(open)) = Message::decode(&request) else { panic!("{request:?}") };
    (pair, open.sender)
}

#[test]
fn a_port_of_our_choice_is_told() {
    let mut pair = pair_authed();
    let events = pair.deliver(&forward("tcpip-forward", true, &address(0))).unwrap();
    assert_eq!(events, [r#"Forward { address: "127.0.0.1", port: 0 }"#]);
    pair.server.forward_answer(Some(5641));
    assert_eq!(pair.reply().unwrap(), [81, 0, 0, 0x16, 0x09]);
}

#[test]
fn a_port_of_the_clients_choice_is_not() {
    let mut pair = pair_authed();
    pair.deliver(&forward("tcpip-forward", true, &address(80))).unwrap();
    pair.server.forward_answer(Some(80));
    assert_eq!(pair.reply().unwrap(), [81]);
    pair.deliver(&forward("tcpip-forward", true, &address(80))).unwrap();
    pair.server.forward_answer(None);
    assert_eq!(pair.reply().unwrap(), [82]);
    pair.deliver(&forward("tcpip-forward", false, &address(0))).unwrap();
    pair.server.forward_answer(Some(80));
    assert_eq!(pair.reply(), None, "no reply was wanted");
}

#[test]
fn a_forward_is_taken_back() {
    let mut pair = pair_authed();
    let events = pair.deliver(&forward("cancel-tcpip-forward", true, &address(0))).unwrap();
    assert_eq!(events, [r#"CancelForward { address: "127.0.0.1", port: 0 }"#]);
    pair.server.forward_answer(Some(1));
    assert_eq!(pair.reply().unwrap(), [81]);
}

#[test]
fn a_cut_address_is_malformed() {
    let fields = address(0);
    let error = Error::from(Malformed::Message { number: 80, error: WireError::Truncated });
    for len in [0, 4, 13, fields.len() - 1] {
        assert_eq!(pair_authed().deliver(&forward("tcpip-forward", true, &fields[..len])), Err(error));
    }
}

#[test]
fn a_forwarded_channel_from_its_start_to_its_end() {
    let mut pair = pair_authed();
    let channel = pair.server.open_forwarded("127.0.0.1", 5641, "127.0.0.1", 1, 1 << 20).unwrap();
    let mut open = b"\x5a\0\0\0\x0fforwarded-tcpip\0\0\0\x0a\0\x10\0\0\0\x01\0\0".to_vec();
    open.extend(b"\0\0\0\x09127.0.0.1\0\0\x16\x09\0\0\0\x09127.0.0.1\0\0\0\x01");
    assert_eq!(pair.reply().unwrap(), open);

    assert_eq!(pair.deliver(&confirmation(10)).unwrap(), ["Opened { channel: ChannelId(10) }"]);
    assert_eq!(pair.server.data_space(channel, Stream::Stdout).len(), 30, "the client's packet size");
    let events = pair.deliver(&ChannelData { recipient: 10, data: &[1; 64 * 1024] }).unwrap();
    assert!(events[0].starts_with("Data { channel: ChannelId(10), data: [1, 1"));
    pair.server.close(channel);
    assert_eq!(pair.replies(), [97]);
}

#[test]
fn a_forwarded_channel_that_the_client_refuses() {
    let (mut pair, number) = opening();
    let refused = ChannelOpenFailure { recipient: number, reason: 2, description: "no", language: "" };
    let events = pair.deliver(&refused).unwrap();
    assert_eq!(events, [r#"OpenFailed { channel: ChannelId(10), reason: 2, description: "no" }"#]);
    let again = pair.server.open_forwarded("", 0, "", 0, 0).unwrap();
    assert_eq!(again.index(), 10, "the number is free again");
}

#[test]
fn there_are_ten_forwarded_channels_beside_the_sessions() {
    let mut pair = pair_authed();
    for index in 10..20 {
        assert_eq!(pair.server.open_forwarded("", 0, "", 0, 0).unwrap().index(), index);
    }
    assert_eq!(pair.server.open_forwarded("", 0, "", 0, 0), Err(NoRoom));
    assert_eq!(pair.open(0).index(), 0);
}

#[test]
fn no_channel_is_opened_before_the_login_or_with_an_address_that_is_none() {
    assert_eq!(pair().server.open_forwarded("", 0, "", 0, 0), Err(NoRoom));
    assert_eq!(pair_authed().server.open_forwarded(&"x".repeat(2000), 0, "", 0, 0), Err(NoRoom));
}

#[test]
fn a_channel_is_not_used_before_it_is_open_nor_opened_twice() {
    let (mut pair, number) = opening();
    let early = pair.deliver(&ChannelData { recipient: number, data: b"x" });
    assert_eq!(early, Err(Misbehaviour::NoSuchChannel(number).into()));

    let (mut pair, number) = opening();
    pair.deliver(&confirmation(number)).unwrap();
    let twice = pair.deliver(&confirmation(number));
    assert_eq!(twice, Err(Misbehaviour::NoSuchChannel(number).into()));
}

#[test]
fn a_forwarded_channel_takes_no_requests() {
    let (mut pair, number) = opening();
    pair.deliver(&confirmation(number)).unwrap();
    let shell = ChannelRequest { recipient: number, name: "shell", want_reply: true, fields: Rest(b"") };
    assert!(pair.deliver(&shell).unwrap().is_empty());
    assert_eq!(pair.replies(), [100]);
}
