//! Flow control (RFC 4254 section 5.2).

use super::sessions::put;
use crate::{
    Event,
    connection::Stream,
    error::{Misbehaviour, Misuse},
    msg::{ChannelData, ChannelExtendedData, ChannelWindowAdjust},
    testkit::{WINDOW, pair_with_channel, payload},
};
use std::vec;

const PACKET: usize = 32 * 1024;

#[test]
fn the_client_sends_what_the_window_lets_it_and_not_a_byte_more() {
    let (mut pair, _) = pair_with_channel();
    let full = vec![0; PACKET];
    assert_eq!(PACKET * 2, WINDOW as usize);
    assert_eq!(pair.deliver(&ChannelData { recipient: 0, data: &full }).unwrap().len(), 1);
    assert_eq!(pair.deliver(&ChannelData { recipient: 0, data: &full }).unwrap().len(), 1);
    let one_more = pair.deliver(&ChannelData { recipient: 0, data: b"x" });
    assert_eq!(one_more, Err(Misbehaviour::WindowExceeded.into()));
}

#[test]
fn a_packet_of_data_has_a_maximum() {
    let (mut pair, _) = pair_with_channel();
    let too_much = pair.deliver(&ChannelData { recipient: 0, data: &vec![0; PACKET + 1] });
    assert_eq!(too_much, Err(Misbehaviour::PacketTooLarge.into()));
}

#[test]
fn room_is_given_back_when_it_is_half_the_window() {
    let (mut pair, channel) = pair_with_channel();
    pair.deliver(&ChannelData { recipient: 0, data: &vec![0; PACKET] }).unwrap();
    pair.server.grant(channel, WINDOW / 2 - 1);
    assert_eq!(pair.reply(), None);
    pair.server.grant(channel, 1);
    let adjust = payload(&ChannelWindowAdjust { recipient: 0, bytes: WINDOW / 2 });
    assert_eq!(pair.reply().unwrap(), adjust);
}

#[test]
fn data_for_a_stream_that_no_session_has_is_dropped_and_its_room_given_back() {
    let (mut pair, _) = pair_with_channel();
    let message = ChannelExtendedData { recipient: 0, data_type: 1, data: &vec![0; PACKET] };
    assert!(pair.deliver(&message).unwrap().is_empty());
    assert_eq!(pair.reply().unwrap(), payload(&ChannelWindowAdjust { recipient: 0, bytes: WINDOW / 2 }));
}

#[test]
fn empty_data_is_no_event() {
    let (mut pair, _) = pair_with_channel();
    assert!(pair.deliver(&ChannelData { recipient: 0, data: b"" }).unwrap().is_empty());
}

#[test]
fn what_the_caller_does_not_take_is_offered_again() {
    let (mut pair, channel) = pair_with_channel();
    pair.client.send(&payload(&ChannelData { recipient: 0, data: b"abc" }));
    pair.client.send(&payload(&ChannelData { recipient: 0, data: b"d" }));
    pair.server.input(&pair.client.outbox);
    let mut seen = vec![];
    for taken in [0, 2, 0, 1, 1] {
        match pair.server.poll(pair.now, &mut pair.random) {
            Ok(Some(Event::Data { data, .. })) => seen.push(data.to_vec()),
            other => panic!("{other:?}"),
        }
        pair.server.data_used(channel, taken);
    }
    assert_eq!(seen, [&b"abc"[..], b"abc", b"c", b"c", b"d"]);
    assert!(matches!(pair.server.poll(pair.now, &mut pair.random), Ok(None)));
}

#[test]
fn this_side_sends_what_the_clients_window_lets_it() {
    let (mut pair, channel) = pair_with_channel();
    for _ in 0..2 {
        assert_eq!(pair.server.data_space(channel, Stream::Stdout).len(), PACKET);
        put(&mut pair, channel, Stream::Stdout, &vec![1; PACKET]);
        pair.run().unwrap();
    }
    assert!(pair.server.data_space(channel, Stream::Stdout).is_empty());
    assert_eq!(pair.server.unacknowledged(channel), u64::from(WINDOW));

    pair.deliver(&ChannelWindowAdjust { recipient: 0, bytes: 5 }).unwrap();
    assert_eq!(pair.server.unacknowledged(channel), u64::from(WINDOW) - 5);
    assert_eq!(pair.server.data_space(channel, Stream::Stderr).len(), 5);
    put(&mut pair, channel, Stream::Stderr, b"12345");
    assert!(pair.server.data_space(channel, Stream::Stdout).is_empty());
}

#[test]
fn a_window_does_not_grow_beyond_its_number() {
    let (mut pair, _) = pair_with_channel();
    pair.deliver(&ChannelWindowAdjust { recipient: 0, bytes: u32::MAX - WINDOW }).unwrap();
    let one_more = pair.deliver(&ChannelWindowAdjust { recipient: 0, bytes: 1 });
    assert_eq!(one_more, Err(Misbehaviour::WindowOverflow.into()));
}

#[test]
fn more_than_the_space_is_misuse() {
    let (mut pair, channel) = pair_with_channel();
    pair.server.data_commit(channel, Stream::Stdout, PACKET + 1);
    assert_eq!(pair.run(), Err(Misuse::TooMuchData.into()));
}

#[test]
fn nothing_follows_eof() {
    let (mut pair, channel) = pair_with_channel();
    pair.server.eof(channel);
    pair.server.eof(channel);
    assert!(pair.server.data_space(channel, Stream::Stdout).is_empty());
    assert_eq!(pair.replies(), [96]);
}

#[test]
fn a_full_output_holds_everything_back() {
    let (mut pair, channel) = pair_with_channel();
    put(&mut pair, channel, Stream::Stdout, &vec![1; PACKET]);
    put(&mut pair, channel, Stream::Stdout, &vec![2; PACKET]);
    let waiting = pair.server.output().len();
    pair.client.send(&[200]);
    pair.server.input(&pair.client.outbox);
    pair.client.outbox.clear();
    // The room for an answer is left, so the client is still heard.
    while !matches!(pair.server.poll(pair.now, &mut pair.random), Ok(None)) {}
    assert!(pair.server.output().len() > waiting);
    assert_eq!(pair.replies(), [94, 94, 3]);
}
