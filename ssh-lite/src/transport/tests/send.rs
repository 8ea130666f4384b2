//! Packets for the peer.

use super::{HEADER_LEN, block, ciphers, key, message, packet, sealed};
use crate::{
    error::{Bug, Misbehaviour},
    limits::{ANSWER_ROOM, DISCONNECT_ROOM, DISCONNECT_TEXT, PACKET_OVERHEAD},
    msg::{Disconnect, ExtInfo, Ignore, NewKeys, Rest},
    transport::{Sender, Volume},
};
use ssh_lite_cipher::{Algorithm, LENGTH_LEN, TAG_LEN};
use std::{vec, vec::Vec};

/// With a key if there is an algorithm.
fn sender(buffer: &mut [u8], algorithm: Option<Algorithm>) -> Sender<'_> {
    let mut sender = Sender::using(buffer, usize::MAX);
    if let Some(algorithm) = algorithm {
        sender.rekey(key(algorithm, 1), false);
    }
    sender
}

/// Opens the packets of one key: the whole plain packets, without tags.
fn opened(algorithm: Option<Algorithm>, seed: u8, first_sequence: u32, mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut key = algorithm.map(|algorithm| key(algorithm, seed));
    let mut packets = vec![];
    for sequence in (0..).map(|n| first_sequence.wrapping_add(n)) {
        let Some(&field) = bytes.first_chunk() else { break };
        let (length, tag_len) = match &key {
            None => (u32::from_be_bytes(field), 0),
            Some(key) => (key.packet_length(sequence, field), TAG_LEN),
        };
        let (packet, rest) = bytes.split_at(LENGTH_LEN + length as usize + tag_len);
        let mut packet = packet.to_vec();
        if let Some(key) = &mut key {
            key.open(sequence, &mut packet).unwrap();
        }
        packet[..LENGTH_LEN].copy_from_slice(&length.to_be_bytes());
        packet.truncate(LENGTH_LEN + length as usize);
        packets.push(packet);
        bytes = rest;
    }
    packets
}

/// What the packets carry.
fn payloads(algorithm: Option<Algorithm>, seed: u8, first_sequence: u32, bytes: &[u8]) -> Vec<Vec<u8>> {
    let payload = |packet: Vec<u8>| packet[HEADER_LEN..packet.len() - usize::from(packet[LENGTH_LEN])].to_vec();
    opened(algorithm, seed, first_sequence, bytes).into_iter().map(payload).collect()
}

#[test]
fn a_packet_is_padded_to_a_block_with_at_least_four_bytes() {
    for algorithm in ciphers() {
        for len in 0..64 {
            let mut buffer = vec![0xee; 8 * 1024];
            let mut sender = sender(&mut buffer, algorithm);
            sender.send(&message(&vec![7; len])).unwrap();
            let [plain] = &opened(algorithm, 1, 0, sender.output())[..] else { panic!("one packet") };
            let padding = plain[LENGTH_LEN];
            assert_eq!(*plain, packet(&[&[81], &vec![7; len][..]].concat(), padding), "{algorithm:?} {len}");
            assert!((4..4 + block(algorithm)).contains(&padding.into()), "{algorithm:?} {len}");
            // The length of an encrypted packet is outside of what is encrypted with it.
            let counted = plain.len() - if algorithm.is_some() { LENGTH_LEN } else { 0 };
            assert!(counted.is_multiple_of(block(algorithm)), "{algorithm:?} {len}");
            assert!(plain.len() >= 16 || algorithm.is_some());
        }
    }
}

#[test]
fn the_shortest_message_as_bytes() {
    let mut buffer = vec![0xee; 8 * 1024];
    let mut sender = Sender::using(&mut buffer, usize::MAX);
    sender.ident("x").unwrap();
    sender.send(&NewKeys {}).unwrap();
    assert_eq!(sender.output(), b"SSH-2.0-x\r\n\0\0\0\x0c\x0a\x15\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(sender.volume(), Volume { bytes: 16, packets: 1 });
}

#[test]
fn all_of_the_output_is_consumed_and_no_more() {
    let mut buffer = vec![0; 8 * 1024];
    let mut sender = Sender::using(&mut buffer, usize::MAX);
    sender.ident("x").unwrap();
    sender.consume(3);
    assert_eq!(sender.output(), b"-2.0-x\r\n");
    sender.consume(usize::MAX);
    assert_eq!(sender.output(), b"");
}

#[test]
fn a_new_key_is_for_what_is_sent_afterwards_though_older_packets_still_wait() {
    for (restart_sequence, sequence) in [(false, 2), (true, 0)] {
        for algorithm in ciphers().flatten() {
            let mut buffer = vec![0; 8 * 1024];
            let mut sender = Sender::using(&mut buffer, usize::MAX);
            sender.send(&Ignore { data: b"old" }).unwrap();
            sender.start_rekey();
            sender.send(&NewKeys {}).unwrap();
            let old = sender.output().to_vec();
            sender.consume(5);
            sender.rekey(key(algorithm, 2), restart_sequence);
            assert_eq!(sender.volume(), Volume { bytes: 0, packets: 0 });
            sender.send(&Ignore { data: b"new" }).unwrap();
            sender.send(&message(b"")).unwrap();

            let (waited, new) = sender.output().split_at(old.len() - 5);
            assert_eq!(waited, &old[5..]);
            let new_payloads = payloads(Some(algorithm), 2, sequence, new);
            assert_eq!(new_payloads, [&b"\x02\0\0\0\x03new"[..], b"\x51"]);
            assert_eq!(sender.volume(), Volume { bytes: new.len() as u64, packets: 2 });
        }
    }
}

#[test]
fn after_the_last_sequence_number_comes_zero() {
    // RFC 4253 section 6.4.
    let chacha = Algorithm::ChaCha20Poly1305;
    let mut buffer = vec![0; 8 * 1024];
    let mut sender = sender(&mut buffer, Some(chacha));
    sender.half.sequence = u32::MAX;
    for _ in 0..2 {
        sender.send(&NewKeys {}).unwrap();
    }
    assert_eq!(payloads(Some(chacha), 1, u32::MAX, sender.output()), [[21], [21]]);
}

#[test]
fn during_a_key_exchange_the_connection_waits_and_the_transport_does_not() {
    let mut buffer = vec![0; 8 * 1024];
    let mut sender = sender(&mut buffer, Some(Algorithm::ChaCha20Poly1305));
    sender.send(&message(b"before")).unwrap();
    sender.start_rekey();
    assert!(!sender.is_ready());
    sender.send(&message(b"first")).unwrap();
    sender.send(&ExtInfo { count: 0, extensions: Rest(b"") }).unwrap();
    sender.send(&message(b"second")).unwrap();
    sender.flush();
    assert!(sender.data_space(9, 10).is_empty());
    let sent = payloads(Some(Algorithm::ChaCha20Poly1305), 1, 0, sender.output());
    assert_eq!(sent, [&b"\x51before"[..], b"\x07\0\0\0\0"]);

    sender.consume(usize::MAX);
    sender.rekey(key(Algorithm::Aes128Gcm, 2), true);
    // What is sent now does not overtake what waits.
    sender.send(&message(b"third")).unwrap();
    assert!(!sender.is_ready());
    assert!(sender.output().is_empty());
    assert!(sender.data_space(9, 10).is_empty(), "nor does data");
    sender.flush();
    assert!(sender.is_ready());
    let sent = payloads(Some(Algorithm::Aes128Gcm), 2, 0, sender.output());
    assert_eq!(sent, [&b"\x51first"[..], b"\x51second", b"\x51third"]);
    assert_eq!(sender.data_space(9, 10).len(), 10);
}

#[test]
fn what_finds_no_room_waits_for_it_in_order() {
    for algorithm in ciphers() {
        let mut buffer = vec![0; 4 * 1024];
        let mut sender = sender(&mut buffer, algorithm);
        // The longest that can be kept.
        let long = |n| vec![n; ANSWER_ROOM - PACKET_OVERHEAD - 1];
        for n in 1..=3 {
            sender.send(&message(&long(n))).unwrap();
        }
        assert!(!sender.is_ready(), "not all three fit");
        let error = sender.send(&message(&long(4))).unwrap_err();
        assert_eq!(error, Misbehaviour::Flood.into());
        let mut stream = vec![];
        while !sender.output().is_empty() {
            stream.extend_from_slice(sender.output());
            sender.consume(usize::MAX);
            sender.flush();
        }
        assert!(sender.is_ready());
        assert_eq!(payloads(algorithm, 1, 0, &stream), [1, 2, 3].map(|n| [&[81], &long(n)[..]].concat()));
    }
}

#[test]
fn output_that_is_taken_in_pieces_is_one_stream() {
    for algorithm in ciphers() {
        let mut buffer = vec![0; 4 * 1024];
        let mut sender = sender(&mut buffer, algorithm);
        let mut stream = vec![];
        let mut expected = vec![];
        for n in 0..40 {
            sender.send(&message(&vec![n; 50 * usize::from(n)])).unwrap();
            expected.push([&[81], &vec![n; 50 * usize::from(n)][..]].concat());
            // Less than what comes in, until nothing more fits.
            while !sender.is_ready() || sender.output().len() > 1500 {
                let piece = sender.output().len().min(700);
                stream.extend_from_slice(&sender.output()[..piece]);
                sender.consume(piece);
                sender.flush();
            }
        }
        stream.extend_from_slice(sender.output());
        assert_eq!(payloads(algorithm, 1, 0, &stream), expected);
    }
}

#[test]
fn room_that_was_written_out_is_room_again_to_the_byte() {
    let mut buffer = vec![0; 4 * 1024];
    let mut sender = Sender::using(&mut buffer, usize::MAX);
    sender.send(&message(&vec![7; 1988])).unwrap();
    let output = sender.output().to_vec();
    let too_much = output.len() - (4 * 1024 - ANSWER_ROOM - DISCONNECT_ROOM);
    sender.consume(too_much - 1);
    assert!(!sender.has_answer_room());
    sender.consume(1);
    assert!(sender.has_answer_room());
    assert_eq!(sender.output(), &output[too_much..]);
}

#[test]
fn the_last_word_fits_into_an_output_that_is_full() {
    for algorithm in ciphers() {
        let mut buffer = vec![0; 4 * 1024];
        let mut sender = sender(&mut buffer, algorithm);
        let full = (0..300).find_map(|_| sender.send(&NewKeys {}).err()).unwrap();
        assert_eq!(full, Bug::NoRoom.into());
        assert!(sender.output().len() + DISCONNECT_ROOM <= 4 * 1024, "{algorithm:?}");
        let text = "x".repeat(DISCONNECT_TEXT);
        sender.disconnect(&Disconnect { reason: 2, description: &text, language: "" }).unwrap();
        let last = payloads(algorithm, 1, 0, sender.output()).pop().unwrap();
        assert_eq!((last[0], last.len()), (1, 1 + 4 + 4 + DISCONNECT_TEXT + 4));
    }
}

#[test]
fn data_is_sealed_where_it_was_put() {
    for algorithm in ciphers() {
        let mut buffer = vec![0; 8 * 1024];
        let mut sender = sender(&mut buffer, algorithm);
        let space = sender.data_space(9, 5);
        assert_eq!(space.len(), 5);
        space[..3].copy_from_slice(b"abc");
        sender.data_commit(9, 3, |to| to.bytes(b"\x5e12345678")).unwrap();
        assert_eq!(
            sender.output(),
            sealed(algorithm.map(|algorithm| key(algorithm, 1)).as_mut(), 0, b"\x5e12345678abc")
        );
    }
}

#[test]
fn data_leaves_room_for_the_answers_and_is_not_cut_small() {
    for algorithm in ciphers() {
        for wanted in (1..8000).step_by(137) {
            let mut buffer = vec![0; 8 * 1024];
            let quarter = buffer.len() / 4;
            let mut sender = sender(&mut buffer, algorithm);
            let mut packets = 0;
            loop {
                let len = sender.data_space(13, wanted).len();
                if len == 0 {
                    break;
                }
                assert!(len == wanted || len >= quarter, "{len} of {wanted}");
                sender.data_commit(13, len, |to| to.bytes(&[95; 13])).unwrap();
                packets += 1;
            }
            assert!(packets > 0, "{algorithm:?} {wanted}");
            assert!(sender.has_answer_room(), "{algorithm:?} {wanted}");
            let taken = sender.output().len() + PACKET_OVERHEAD + ANSWER_ROOM + DISCONNECT_ROOM;
            assert!(taken + wanted.min(quarter) > 8 * 1024, "{algorithm:?} {wanted}: one more had fitted");
        }
    }
}
