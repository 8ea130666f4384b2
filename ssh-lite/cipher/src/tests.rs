//! Known answers, made with OpenSSL's ChaCha20, Poly1305 and AES-GCM (through Python's `cryptography`) put together as
//! PROTOCOL.chacha20poly1305 and RFC 5647 say.

use crate::{Algorithm, BadTag, Ciphers, IV_LEN, KEY_LEN, Key, LENGTH_LEN, TAG_LEN, TRIALS};
use core::cell::Cell;

const BODY_LEN: usize = 32;
const PACKET_LEN: usize = LENGTH_LEN + BODY_LEN + TAG_LEN;
const SEQUENCE: u32 = 7;

/// The key is 00 01 02 ..., the IV a0 a1 a2 ..., the body 40 41 42 ...
fn key(algorithm: Algorithm) -> Key {
    let count = |from: u8| move |i: usize| from + i as u8;
    Key::new(
        algorithm,
        &core::array::from_fn::<_, KEY_LEN, _>(count(0)),
        &core::array::from_fn::<_, IV_LEN, _>(count(0xa0)),
    )
}

fn plain() -> [u8; PACKET_LEN] {
    let mut packet = [0; PACKET_LEN];
    packet[..LENGTH_LEN].copy_from_slice(&(BODY_LEN as u32).to_be_bytes());
    (0x40..).zip(&mut packet[LENGTH_LEN..LENGTH_LEN + BODY_LEN]).for_each(|(i, byte)| *byte = i);
    packet
}

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    core::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
}

/// Seals the same packet as often as there are answers, and opens each again.
fn assert_seals_to(algorithm: Algorithm, answers: &[&str]) {
    let (mut sealing, mut opening) = (key(algorithm), key(algorithm));
    for answer in answers {
        let mut packet = plain();
        sealing.seal(SEQUENCE, &mut packet);
        assert_eq!(packet, bytes(answer));

        let field = *packet.first_chunk().unwrap();
        assert_eq!(opening.packet_length(SEQUENCE, field), BODY_LEN as u32);
        assert_eq!(opening.open(SEQUENCE, &mut packet), Ok(()));
        let body = LENGTH_LEN..LENGTH_LEN + BODY_LEN;
        assert_eq!(packet[body.clone()], plain()[body]);
    }
}

#[test]
fn chacha20_poly1305_seals_as_openssl_does() {
    let answer =
        "a39afc8a680757000ac66c192424f1bb9bc29d6364e362652ab66bd418334184dc0e5d0bf5d7fb9da499612a52b4308950d7a011";
    // The nonce is the sequence number alone.
    assert_seals_to(Algorithm::ChaCha20Poly1305, &[answer, answer]);
}

#[test]
fn aes128_gcm_seals_as_openssl_does() {
    assert_seals_to(
        Algorithm::Aes128Gcm,
        &[
            "00000020eac77af83acc754dc231ff4b0a5ffe2f03bf715bd7426bf87d492bc01ed0d1f7d3073d3e5b78fd58fad8408c5bd1234f",
            "00000020bcc8030628a46aa7b4fe32fb20a4c9b726252170a9ae6bb795cc8b084d370f16d1f915d28493739f6e1ae3136e554d7e",
        ],
    );
}

#[test]
fn aes256_gcm_seals_as_openssl_does() {
    assert_seals_to(
        Algorithm::Aes256Gcm,
        &[
            "00000020a6593e6e018e44f82a2ccd984b378e9120fd0b43c6e2143bc4577cdd23f62b5e88f6868bf2414dd81a0acdd1aab673c1",
            "000000209b8d09596fb15a7ffc8457cf0c8a43c3e1a6457c236720d3f251fa540a3d864b9fbad580b72f4b19dfcdba51a32298fb",
        ],
    );
}

/// 13 blocks and 5 bytes: several blocks at a time, single ones, and a part of one.
#[test]
fn aes_gcm_of_many_blocks_ends_as_openssls_does() {
    const LEN: usize = 213;
    for (algorithm, end) in [
        (Algorithm::Aes128Gcm, "14060f9244207c2681dacae63ef8e23f624fc00b3131f7441fdf84c417daf3d1"),
        (Algorithm::Aes256Gcm, "d4bdeafb544ac445293cba42f8f6fb2bae2c299cb4a150b43b56b8b67431dee9"),
    ] {
        let mut packet = [0; LENGTH_LEN + LEN + TAG_LEN];
        packet[..LENGTH_LEN].copy_from_slice(&(LEN as u32).to_be_bytes());
        (0x40_usize..).zip(&mut packet[LENGTH_LEN..LENGTH_LEN + LEN]).for_each(|(i, byte)| *byte = i as u8);
        let plain = packet;
        key(algorithm).seal(SEQUENCE, &mut packet);
        assert_eq!(packet[LENGTH_LEN + LEN - 16..], bytes::<32>(end), "{algorithm:?}");
        assert_eq!(key(algorithm).open(SEQUENCE, &mut packet), Ok(()));
        assert_eq!(packet[..LENGTH_LEN + LEN], plain[..LENGTH_LEN + LEN]);
    }
}

#[test]
fn a_packet_that_was_changed_anywhere_does_not_open() {
    for algorithm in [Algorithm::ChaCha20Poly1305, Algorithm::Aes128Gcm, Algorithm::Aes256Gcm] {
        let mut sealed = plain();
        key(algorithm).seal(SEQUENCE, &mut sealed);
        for at in 0..PACKET_LEN {
            let mut packet = sealed;
            packet[at] ^= 1;
            assert_eq!(key(algorithm).open(SEQUENCE, &mut packet), Err(BadTag), "{algorithm:?}, byte {at}");
        }
    }
}

#[test]
fn aes_is_offered_first_where_it_is_faster_or_nearly_as_fast() {
    // A clock whose steps are `aes` long while AES is timed, which comes first, and `chacha` long afterwards.
    let offer = |aes, chacha| {
        let looks = Cell::new(0);
        Ciphers::measure(|| {
            let look = looks.replace(looks.get() + 1);
            let first = look.min(2 * u64::from(TRIALS));
            first * aes + (look - first) * chacha
        })
    };
    assert_eq!(offer(1, 2), Ciphers::ALL);
    assert_eq!(offer(3, 2), Ciphers::ALL);
    assert_eq!(offer(5, 3), Ciphers::SLOW_AES);
}
