//! Key exchanges after the first (RFC 4253 section 9).

use super::{sessions::put, unexpected};
use crate::{
    Instant,
    connection::Stream,
    error::Misbehaviour,
    limits::LOGIN_ATTEMPTS,
    msg::{ChannelData, ChannelRequest, Disconnect, Ignore, Rest},
    testkit::{Dialect, Pair, pair, pair_authed, pair_of, pair_with_channel, payload},
};
use core::time::Duration;

fn shell(want_reply: bool) -> ChannelRequest<'static> {
    ChannelRequest { recipient: 0, name: "x", want_reply, fields: Rest(b"") }
}

/// After our KEXINIT has gone out, with the client not yet having seen it.
fn with_our_kexinit_under_way() -> (Pair<'static>, crate::connection::ChannelId) {
    let (mut pair, channel) = pair_with_channel();
    pair.server.rekey();
    assert!(matches!(pair.server.poll(pair.now, &mut pair.random), Ok(None)));
    assert!(!pair.server.output().is_empty());
    (pair, channel)
}

#[test]
fn the_client_asks_for_new_keys() {
    let (mut pair, channel) = pair_with_channel();
    let session_id = pair.client.session_id;
    for exchanges in 2..5 {
        pair.client.start_exchange();
        pair.run().unwrap();
        assert_eq!(pair.client.exchanges, exchanges);
        assert_eq!(pair.deliver(&ChannelData { recipient: 0, data: b"x" }).unwrap().len(), 1);
        put(&mut pair, channel, Stream::Stdout, b"y");
        assert_eq!(pair.replies(), [94], "and EXT_INFO is not sent again");
    }
    assert_eq!(pair.client.session_id, session_id);
    assert_eq!(pair.server.session_id(), session_id.as_ref());
}

#[test]
fn before_the_login_new_keys_are_counted_as_attempts() {
    let mut pair = pair();
    for _ in 0..LOGIN_ATTEMPTS {
        pair.client.start_exchange();
        pair.run().unwrap();
    }
    pair.client.start_exchange();
    assert_eq!(pair.run(), Err(Misbehaviour::LoginAttempts.into()));
}

#[test]
fn the_server_asks_for_new_keys() {
    for dialect in [Dialect::OPENSSH, Dialect { kex: "mlkem768x25519-sha256", ..Dialect::OPENSSH }] {
        let mut pair = pair_of(dialect, |_| {});
        pair.client.start_exchange();
        pair.run().unwrap();
        pair.login();
        pair.server.rekey();
        pair.run().unwrap();
        assert_eq!(pair.client.exchanges, 2);
        pair.deliver(&Ignore { data: b"" }).unwrap();
    }
}

#[test]
fn both_ask_at_once() {
    let (mut pair, _) = with_our_kexinit_under_way();
    pair.client.start_exchange();
    pair.run().unwrap();
    assert_eq!(pair.client.exchanges, 2);
}

#[test]
fn new_keys_are_due_after_so_many_bytes() {
    let mut pair = pair_of(Dialect::OPENSSH, |config| config.rekey_bytes = 10_000);
    pair.client.start_exchange();
    pair.run().unwrap();
    pair.login();
    pair.deliver(&Ignore { data: &[0; 8_000] }).unwrap();
    assert_eq!(pair.client.exchanges, 1);
    pair.deliver(&Ignore { data: &[0; 2_000] }).unwrap();
    assert_eq!(pair.client.exchanges, 2, "what came in counts");

    let channel = pair.open(0);
    put(&mut pair, channel, Stream::Stdout, &[0; 10_000]);
    pair.run().unwrap();
    assert_eq!(pair.client.exchanges, 3, "what went out counts");
}

#[test]
fn new_keys_are_due_after_so_long() {
    let mut pair = pair_authed();
    let hour = Instant(0).after(Duration::from_secs(3600));
    assert_eq!(pair.server.deadline(), Some(hour));
    pair.now = hour;
    pair.run().unwrap();
    assert_eq!(pair.client.exchanges, 2);
    assert_eq!(pair.server.deadline(), Some(hour.after(Duration::from_secs(3600))));
}

#[test]
fn no_new_keys_during_a_login() {
    let mut pair = pair();
    pair.server.rekey();
    pair.run().unwrap();
    assert_eq!(pair.client.exchanges, 1);
    pair.login();
    pair.run().unwrap();
    assert_eq!(pair.client.exchanges, 2);
}

#[test]
fn what_is_sent_during_the_exchange_waits_for_its_end_in_order() {
    let (mut pair, channel) = with_our_kexinit_under_way();
    assert!(pair.server.data_space(channel, Stream::Stdout).is_empty());
    pair.server.exit_status(channel, 0);
    pair.server.eof(channel);
    pair.server.close(channel);
    let forwarded = pair.server.open_forwarded("::1", 1, "::1", 1, 1).unwrap();
    assert_eq!(forwarded.index(), 10);
    assert_eq!(pair.replies(), [98, 96, 97, 90]);
    assert_eq!(pair.client.exchanges, 2);
}

#[test]
fn what_the_client_sent_before_it_saw_our_kexinit_is_served() {
    let (mut pair, channel) = with_our_kexinit_under_way();
    pair.client.send(&payload(&ChannelData { recipient: 0, data: b"x" }));
    pair.client.send(&payload(&shell(true)));
    pair.server.grant(channel, 64 * 1024);
    assert_eq!(pair.replies(), [100, 93]);
    assert_eq!(pair.events.len(), 1);
}

#[test]
fn answers_that_cannot_be_kept_end_the_connection() {
    let (mut pair, _) = with_our_kexinit_under_way();
    for _ in 0..1_000 {
        pair.client.send(&payload(&shell(true)));
    }
    // The client's bytes go in, ours do not reach it.
    let error = loop {
        let taken = pair.server.input(&pair.client.outbox);
        pair.client.outbox.drain(..taken);
        match pair.server.poll(pair.now, &mut pair.random) {
            Ok(event) => assert!(event.is_some(), "the flood was survived"),
            Err(error) => break error,
        }
    };
    assert_eq!(error, Misbehaviour::Flood.into());
}

#[test]
fn a_client_that_is_stopped_may_take_its_time_for_an_exchange() {
    let (mut pair, _) = with_our_kexinit_under_way();
    assert_eq!(pair.server.deadline(), None);
    pair.now = Instant(100 * 60 * 60 * 1000);
    assert!(pair.server.poll(pair.now, &mut pair.random).is_ok_and(|event| event.is_none()));
}

#[test]
fn the_client_sends_nothing_else_between_its_kexinit_and_its_newkeys() {
    let (mut pair, _) = pair_with_channel();
    pair.client.start_exchange();
    pair.client.send(&payload(&Ignore { data: b"" }));
    pair.client.send(&payload(&ChannelData { recipient: 0, data: b"x" }));
    assert_eq!(pair.run(), Err(unexpected(94)));

    let mut pair = pair_authed();
    pair.client.start_exchange();
    let bye = pair.deliver(&Disconnect { reason: 11, description: "", language: "" });
    assert_eq!(bye.unwrap().len(), 1);
}
