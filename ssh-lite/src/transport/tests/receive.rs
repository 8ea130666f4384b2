//! Packets of the peer.

use super::{HEADER_LEN, block, ciphers, key, packet, sealed};
use crate::{
    error::{Error, Malformed},
    limits::READ_AHEAD,
    transport::{Receiver, Volume},
};
use ssh_lite_cipher::{Algorithm, LENGTH_LEN, TAG_LEN};
use std::{vec, vec::Vec};

/// Fills the receiver with bytes from the front of `bytes`, at most `most`, and takes those off.
fn feed(receiver: &mut Receiver<'_>, bytes: &mut &[u8], most: usize) -> usize {
    let space = receiver.space();
    let (now, later) = bytes.split_at(most.min(space.len()).min(bytes.len()));
    space[..now.len()].copy_from_slice(now);
    receiver.commit(now.len());
    *bytes = later;
    now.len()
}

/// With a key if there is an algorithm.
fn receiver(buffer: &mut [u8], algorithm: Option<Algorithm>) -> Receiver<'_> {
    let mut receiver = Receiver::new(buffer);
    if let Some(algorithm) = algorithm {
        receiver.rekey(key(algorithm, 1), false);
    }
    receiver
}

/// What becomes of the first packet in `bytes`.
fn received(algorithm: Option<Algorithm>, bytes: &[u8], limit: usize) -> Result<Option<Vec<u8>>, Error> {
    let mut buffer = vec![0; 1000];
    let mut receiver = receiver(&mut buffer, algorithm);
    feed(&mut receiver, &mut &bytes[..], usize::MAX);
    let range = receiver.next(limit)?;
    Ok(range.map(|range| receiver.payload(range).to_vec()))
}

/// The length field of a packet, as it is on the wire.
fn length_field(algorithm: Option<Algorithm>, length: u32) -> [u8; LENGTH_LEN] {
    let plain = length.to_be_bytes();
    // What encrypts the length of ChaCha20's packets decrypts it, too.
    algorithm.map_or(plain, |algorithm| key(algorithm, 1).packet_length(0, plain).to_be_bytes())
}

#[test]
fn a_packet_may_come_byte_by_byte_and_nothing_is_opened_before_its_end() {
    for algorithm in ciphers() {
        let mut key = algorithm.map(|algorithm| key(algorithm, 1));
        let mut buffer = vec![0; 100];
        let mut receiver = receiver(&mut buffer, algorithm);
        for (sequence, payload) in (0..).zip([&b"\x02"[..], b"\x02 and more than a block", b"\x02last"]) {
            let bytes = sealed(key.as_mut(), sequence, payload);
            let mut rest = &bytes[..];
            while rest.len() > 1 {
                feed(&mut receiver, &mut rest, 1);
                assert_eq!(receiver.next(100), Ok(None), "{algorithm:?}, {} bytes are missing", rest.len());
            }
            feed(&mut receiver, &mut rest, 1);
            let range = receiver.next(100).unwrap().unwrap();
            assert_eq!(receiver.payload(range), payload, "{algorithm:?}");
            assert_eq!(receiver.last_sequence(), sequence);
        }
    }
}

#[test]
fn a_length_is_a_multiple_of_the_block_and_at_least_the_smallest_packets() {
    for algorithm in ciphers() {
        // RFC 4253 section 6: 16 bytes with the length field; a block where that is not part of it.
        let least = if algorithm.is_some() { block(algorithm) } else { 12 };
        for length in 0..100 {
            let fits = length >= least && (length - least).is_multiple_of(block(algorithm));
            let expected = if fits { Ok(None) } else { Err(Malformed::PacketLength(length as u32).into()) };
            let field = length_field(algorithm, length as u32);
            assert_eq!(received(algorithm, &field, 1000), expected, "{algorithm:?} {length}");
        }
    }
}

#[test]
fn a_length_beyond_the_limit_or_the_buffer_is_refused_as_soon_as_it_is_read() {
    for algorithm in ciphers() {
        let mut key = algorithm.map(|algorithm| key(algorithm, 1));
        // The length that is as large as the buffer of 1,000 bytes lets it be, and the whole packet's.
        let (length, size) = if algorithm.is_some() { (976, 996) } else { (996, 1000) };
        let bytes = sealed(key.as_mut(), 0, &[2; 950]);
        assert_eq!(received(algorithm, &length_field(algorithm, length), usize::MAX), Ok(None));
        assert_eq!(received(algorithm, &length_field(algorithm, length), size), Ok(None));
        let refused = |length, limit| received(algorithm, &length_field(algorithm, length), limit);
        for (length, limit) in [(length, size - 1), (length + 16, usize::MAX), (u32::MAX - 15, 1 << 40)] {
            assert_eq!(refused(length, limit), Err(Malformed::PacketLength(length).into()), "{algorithm:?}");
        }
        assert_eq!(received(algorithm, &bytes, bytes.len()), Ok(Some([2; 950].to_vec())));
        assert!(received(algorithm, &bytes, bytes.len() - 1).is_err());
    }
}

#[test]
fn padding_is_at_least_four_bytes_and_leaves_a_payload() {
    let read = |payload: &[u8], padding| received(None, &packet(payload, padding), 1000);
    let bad = Err(Malformed::Padding.into());
    assert_eq!(read(b"\x02234567", 4), Ok(Some(b"\x02234567".to_vec())));
    assert_eq!(read(b"\x022345678", 3), bad);
    assert_eq!(read(b"\x0223456789ab", 0), bad);
    assert_eq!(read(b"\x02", 10), Ok(Some(b"\x02".to_vec())));
    assert_eq!(read(b"", 11), bad, "not even a number");
    assert_eq!(read(b"\x02234", 255), Ok(Some(b"\x02234".to_vec())));
    // A padding_length that reaches beyond the packet.
    for padding_length in [11, 12, 255] {
        let altered = [&[0, 0, 0, 12, padding_length][..], b"\x022345678901"].concat();
        assert_eq!(received(None, &altered, 1000), bad, "{padding_length}");
    }
}

#[test]
fn a_packet_whose_tag_is_wrong_is_not_opened() {
    for algorithm in ciphers().flatten() {
        let good = sealed(Some(&mut key(algorithm, 1)), 0, b"\x02payload");
        assert_eq!(received(Some(algorithm), &good, 1000), Ok(Some(b"\x02payload".to_vec())));
        for at in [LENGTH_LEN, HEADER_LEN, good.len() - TAG_LEN, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 0x80;
            assert_eq!(received(Some(algorithm), &bad, 1000), Err(Malformed::Tag.into()), "{algorithm:?} {at}");
        }
    }
    // The second packet of the peer in the place of the first.
    let mut aes = key(Algorithm::Aes128Gcm, 1);
    let [_, second] = [0, 1].map(|sequence| sealed(Some(&mut aes), sequence, b"\x02"));
    assert_eq!(received(Some(Algorithm::Aes128Gcm), &second, 1000), Err(Malformed::Tag.into()));
}

/// A receiver that has opened two plain packets gets a key, and then a packet of that sequence number.
fn after_new_key(restart_sequence: bool, sequence: u32) -> Result<u32, Error> {
    let mut buffer = vec![0; 200];
    let mut receiver = Receiver::new(&mut buffer);
    let mut new = key(Algorithm::ChaCha20Poly1305, 2);
    // All is there before the key is: nothing may be read ahead with the old one.
    let bytes = [sealed(None, 0, b"\x02"), sealed(None, 1, b"\x15"), sealed(Some(&mut new), sequence, b"\x02new")];
    feed(&mut receiver, &mut &bytes.concat()[..], usize::MAX);
    for _ in 0..2 {
        receiver.next(200).unwrap().unwrap();
    }
    assert_eq!(receiver.volume(), Volume { bytes: 32, packets: 2 });
    receiver.rekey(new, restart_sequence);
    assert_eq!(receiver.volume(), Volume { bytes: 0, packets: 0 }, "what came under the present key");
    let range = receiver.next(200)?.unwrap();
    assert_eq!(receiver.payload(range), b"\x02new");
    assert_eq!(receiver.volume(), Volume { bytes: 4 + 16 + 16, packets: 1 });
    Ok(receiver.last_sequence())
}

#[test]
fn a_new_key_restarts_the_sequence_under_strict_kex_only() {
    assert_eq!(after_new_key(false, 2), Ok(2));
    assert_eq!(after_new_key(true, 0), Ok(0));
    assert!(after_new_key(false, 0).is_err());
    assert!(after_new_key(true, 2).is_err());
}

#[test]
fn after_the_last_sequence_number_comes_zero() {
    // RFC 4253 section 6.4.
    let mut buffer = vec![0; 100];
    let mut receiver = receiver(&mut buffer, Some(Algorithm::ChaCha20Poly1305));
    receiver.half.sequence = u32::MAX;
    let mut key = key(Algorithm::ChaCha20Poly1305, 1);
    for sequence in [u32::MAX, 0] {
        feed(&mut receiver, &mut &sealed(Some(&mut key), sequence, b"\x02")[..], usize::MAX);
        assert!(receiver.next(100).unwrap().is_some());
        assert_eq!(receiver.last_sequence(), sequence);
    }
}

#[test]
fn packets_of_any_size_in_pieces_of_any_size_come_out_whole_and_in_order() {
    const BUFFER: usize = 100 * 1024;
    let sizes = [1, 30_000, 11, 34_000, 90_000, 2, READ_AHEAD, 500, BUFFER - 44, 1];
    for algorithm in ciphers() {
        let mut key = algorithm.map(|algorithm| key(algorithm, 1));
        let payloads: Vec<Vec<u8>> = (1..).zip(sizes).map(|(n, size)| vec![n; size]).collect();
        let packets = (0..).zip(&payloads).map(|(sequence, payload)| sealed(key.as_mut(), sequence, payload));
        let stream = packets.collect::<Vec<_>>().concat();
        for piece in [997, usize::MAX] {
            let mut buffer = vec![0; BUFFER];
            let mut receiver = receiver(&mut buffer, algorithm);
            let mut rest = &stream[..];
            for payload in &payloads {
                let range = loop {
                    match receiver.next(BUFFER).unwrap() {
                        Some(range) => break range,
                        None => assert_ne!(feed(&mut receiver, &mut rest, piece), 0, "stuck"),
                    }
                };
                assert_eq!(receiver.payload(range), payload, "{algorithm:?}, in pieces of {piece}");
            }
            assert!(rest.is_empty());
        }
    }
}

#[test]
fn a_length_that_the_end_of_the_buffer_cuts_is_moved_to_the_front() {
    let stream = [0, 1, 2].map(|n| sealed(None, n, &[n as u8])).concat();
    for cut in 1..LENGTH_LEN {
        let mut buffer = vec![0; 2 * 16 + cut];
        let mut receiver = Receiver::new(&mut buffer);
        let mut rest = &stream[..];
        feed(&mut receiver, &mut rest, usize::MAX);
        for _ in 0..2 {
            assert!(receiver.next(100).unwrap().is_some());
        }
        assert_eq!(receiver.next(100), Ok(None));
        feed(&mut receiver, &mut rest, usize::MAX);
        let range = receiver.next(100).unwrap().unwrap();
        assert_eq!(receiver.payload(range), [2]);
    }
}

#[test]
fn no_more_is_read_ahead_than_the_bound_or_the_packet_at_hand() {
    let mut buffer = vec![0; 3 * READ_AHEAD];
    let mut receiver = Receiver::new(&mut buffer);
    assert_eq!(receiver.space().len(), READ_AHEAD);
    let large = sealed(None, 0, &vec![2; 2 * READ_AHEAD]);
    let mut rest = &large[..];
    feed(&mut receiver, &mut rest, usize::MAX);
    assert_eq!(receiver.space().len(), 0);
    assert_eq!(receiver.next(usize::MAX), Ok(None));
    assert_eq!(receiver.space().len(), large.len() - READ_AHEAD, "the rest of this packet");
    feed(&mut receiver, &mut rest, usize::MAX);
    assert!(receiver.next(usize::MAX).unwrap().is_some());
    assert_eq!(receiver.next(usize::MAX), Ok(None));
    assert_eq!(receiver.space().len(), READ_AHEAD);
}

#[test]
fn packets_may_be_right_behind_the_identification() {
    let mut buffer = vec![0; 100];
    let mut receiver = Receiver::new(&mut buffer);
    let bytes = [&b"SSH-2.0-x\r\n"[..], &sealed(None, 0, b"\x14")].concat();
    let (line, rest) = bytes.split_at(10);
    feed(&mut receiver, &mut &line[..], usize::MAX);
    assert!(receiver.ident().unwrap().is_none());
    feed(&mut receiver, &mut &rest[..], usize::MAX);
    assert_eq!(receiver.ident().unwrap().unwrap().as_bytes(), b"SSH-2.0-x");
    let range = receiver.next(100).unwrap().unwrap();
    assert_eq!(receiver.payload(range), b"\x14");
}
