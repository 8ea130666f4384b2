//! Known answers of RFC 7748, and others made with Python: `cryptography` for X25519, `kyber-py` for ML-KEM, `hashlib`
//! for what is hashed around them.

use super::{Choice, Direction, Method, Offer, Secret, Transcript, derive, respond, wants_ext_info, wants_strict};
use crate::{
    Cipher, Ciphers, Random,
    error::{Error, Incompatibility, Malformed},
    msg::KexInit,
    testkit::{Counter, payload},
};
use ml_kem::{kem::KeyExport, ml_kem_768::DecapsulationKey};
use sha2::{Digest, Sha256};
use ssh_lite_cipher::Key;
use std::vec::Vec;

const BAD_VALUE: Error = Error::Malformed(Malformed::ExchangeValue);

/// The second key pair and the first public key of RFC 7748 section 6.1.
const BOB: &str = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
const BOB_PUBLIC: &str = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
const ALICE_PUBLIC: &str = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";

fn hex<const N: usize>(text: &str) -> [u8; N] {
    assert_eq!(text.len(), 2 * N);
    core::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
}

fn count<const N: usize>(from: u8) -> [u8; N] {
    core::array::from_fn(|i| from + i as u8)
}

/// Gives these bytes out, in pieces of 32.
struct Prepared(Vec<[u8; 32]>);

impl Random for Prepared {
    fn fill(&mut self, out: &mut [u8]) {
        out.copy_from_slice(&self.0.remove(0));
    }
}

/// The public half of an ML-KEM key, whose seed is 00 01 02 ...
fn post_quantum_public() -> Vec<u8> {
    DecapsulationKey::from_seed(count::<64>(0).into()).encapsulation_key().to_bytes().to_vec()
}

fn x25519(scalar: &str, public: &str) -> (Vec<u8>, Vec<u8>) {
    let mut random = Prepared([hex(scalar)].into());
    let (reply, secret) = respond(Method::Curve25519, &hex::<32>(public), &mut random).unwrap();
    (reply.to_vec(), secret.encoded().to_vec())
}

#[test]
fn x25519_is_that_of_rfc_7748() {
    let (reply, secret) = x25519(BOB, ALICE_PUBLIC);
    assert_eq!(reply, hex::<32>(BOB_PUBLIC));
    let shared: [u8; 32] = hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    assert_eq!(secret, [&[0, 0, 0, 32], &shared[..]].concat());
}

#[test]
fn a_shared_secret_with_its_highest_bit_set_is_a_positive_number() {
    // RFC 7748 section 5.2; the second u-coordinate has a bit that is to be ignored.
    for (scalar, u, result) in [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ] {
        assert_eq!(x25519(scalar, u).1, [&[0, 0, 0, 33, 0], &hex::<32>(result)[..]].concat());
    }
}

#[test]
fn a_point_of_small_order_is_refused_by_both_methods() {
    // 0, 1, the two of order 8, and what is -1, 0 and 1 modulo 2^255 - 19.
    for point in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        let point: [u8; 32] = hex(point);
        assert_eq!(respond(Method::Curve25519, &point, &mut Counter(1)).err(), Some(BAD_VALUE));
        let hybrid = [&post_quantum_public(), &point[..]].concat();
        assert_eq!(respond(Method::MlKem768X25519, &hybrid, &mut Counter(1)).err(), Some(BAD_VALUE));
    }
}

#[test]
fn the_hybrid_secret_is_the_hash_of_both_and_no_number() {
    let public = [&post_quantum_public(), &hex::<32>(ALICE_PUBLIC)[..]].concat();
    let mut random = Prepared([count(65), hex(BOB)].into());
    let (reply, secret) = respond(Method::MlKem768X25519, &public, &mut random).unwrap();
    // The ciphertext and Bob's public value.
    assert_eq!(reply.len(), 1088 + 32);
    assert_eq!(*Sha256::digest(&reply), hex::<32>("42a9de9bd9db7203b6c5e7627ebc95fc6962a8edeee5d7ebe3ddfad929b9d6fa"));
    // As a number it would need a zero in front.
    let k: [u8; 32] = hex("da73be7b736ca59c12acb21e5cb69babca589c91b640b6d9c39557e5143c6825");
    assert_eq!(secret.encoded(), [&[0, 0, 0, 32], &k[..]].concat());
}

#[test]
fn a_public_value_has_one_length() {
    let hybrid = [&post_quantum_public(), &hex::<32>(ALICE_PUBLIC)[..]].concat();
    for (method, public) in [(Method::Curve25519, &hybrid[1184..]), (Method::MlKem768X25519, &hybrid)] {
        let longer = [public, &[0]].concat();
        for wrong in [&public[1..], &public[..public.len() - 1], &longer, b""] {
            assert_eq!(respond(method, wrong, &mut Counter(1)).err(), Some(BAD_VALUE), "{method:?} {}", wrong.len());
        }
        assert!(respond(method, public, &mut Counter(1)).is_ok());
    }
}

/// A secret as a number needs a zero in front of it.
fn number() -> Secret {
    Secret::from_number(&count(0x80))
}

#[test]
fn the_exchange_hash_is_over_seven_strings_and_the_secret() {
    let hash = |secret: &Secret| {
        let strings: [&[&[u8]]; 7] =
            [&[b"SSH-2.0-client"], &[b"SSH-2.0-", b"server"], &[b"I_C"], &[b"I_S"], &[b"K_S"], &[b"Q_C"], &[b"Q_S"]];
        strings.into_iter().fold(Transcript::new(), Transcript::string).finish(secret)
    };
    assert_eq!(hash(&number()), hex("35b033857413b316821f4b4c1bdbf3743619c24d0f51123a4f4b5026e52cd1b3"));
    assert_eq!(
        hash(&Secret::from_string(&count(0))),
        hex("3bb17470aa364a78729b0b0ac2b3dc01dfa1c245d4df3347ffdac75db974f87f")
    );
}

#[test]
fn each_direction_has_a_key_and_an_iv_of_its_own() {
    // Letters A and C, B and D of RFC 4253 section 7.2; a key of 64 bytes takes two hashes.
    let answers = [
        (
            Direction::ClientToServer,
            "ca88d15c23f3b4289e8ff2e6",
            concat!(
                "4e727a7c28b17966d21d7fb31616c552cfc7fdb4893f1a8b0a0a62636adff7db",
                "9df167fac3fce39381e837a931ce3e896b51e6c3007ed89f548509158e3ecf69"
            ),
        ),
        (
            Direction::ServerToClient,
            "2f1a2235ab453e21ec370ad8",
            concat!(
                "1a12b4122804e9c057482e730c37349eaa5eae8c5d8ad8287324a1b383ef0677",
                "d6973b327e5912738200167075f24d46998be4350719279c7d2909f612b343fe"
            ),
        ),
    ];
    for (direction, iv, key) in answers {
        for cipher in Ciphers::ALL.0 {
            // Of ChaCha20's key the first half seals the body, the second the length.
            let sealed = |mut key: Key| {
                let mut packet = [7; 36];
                key.seal(3, &mut packet);
                packet
            };
            let derived = derive(*cipher, direction, &number(), &[b'H'; 32], &[b'S'; 32]);
            assert_eq!(derived.algorithm(), *cipher);
            assert_eq!(sealed(derived), sealed(Key::new(*cipher, &hex(key), &hex(iv))), "{direction:?} {cipher:?}");
        }
    }
}

/// What a client says that has everything in common with this side.
const CLIENT: KexInit<'static> = KexInit {
    cookie: &[0; 16],
    kex: "mlkem768x25519-sha256",
    host_key: "ssh-ed25519",
    cipher_to_server: "aes128-gcm@openssh.com",
    cipher_to_client: "aes128-gcm@openssh.com",
    mac_to_server: "",
    mac_to_client: "",
    compression_to_server: "none",
    compression_to_client: "none",
    language_to_server: "",
    language_to_client: "",
    first_kex_packet_follows: false,
    reserved: 0,
};

fn agreed(client: KexInit<'_>) -> Choice {
    Choice::new(&client, Ciphers::ALL).unwrap()
}

#[test]
fn the_first_of_the_clients_names_that_the_server_has_is_used() {
    for (kex, method) in [
        ("curve25519-sha256,mlkem768x25519-sha256", Method::Curve25519),
        ("mlkem768x25519-sha256,curve25519-sha256", Method::MlKem768X25519),
        ("sntrup761x25519-sha512,kex-strict-c-v00@openssh.com,curve25519-sha256@libssh.org", Method::Curve25519),
    ] {
        assert_eq!(agreed(KexInit { kex, ..CLIENT }).method, method);
    }
    let choice = agreed(KexInit {
        host_key: "rsa-sha2-512,ssh-ed25519",
        cipher_to_server: "aes256-ctr,chacha20-poly1305@openssh.com,aes128-gcm@openssh.com",
        cipher_to_client: "aes256-gcm@openssh.com,chacha20-poly1305@openssh.com",
        compression_to_server: "zlib@openssh.com,none",
        ..CLIENT
    });
    assert_eq!((choice.to_server, choice.to_client), (Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm));
}

#[test]
fn a_name_must_be_there_whole_and_in_both_directions() {
    let missing = |client| Choice::new(&client, Ciphers::PORTABLE).unwrap_err();
    let portable = KexInit {
        cipher_to_server: "chacha20-poly1305@openssh.com",
        cipher_to_client: "chacha20-poly1305@openssh.com",
        ..CLIENT
    };
    assert!(Choice::new(&portable, Ciphers::PORTABLE).is_ok());
    for kex in ["", "curve25519-sha25", "xcurve25519-sha256", "ext-info-c", "curve25519-sha256 "] {
        assert_eq!(missing(KexInit { kex, ..portable }), Incompatibility::Kex.into());
    }
    for host_key in ["", "ssh-ed25519-cert-v01@openssh.com"] {
        assert_eq!(missing(KexInit { host_key, ..portable }), Incompatibility::HostKey.into());
    }
    // AES, which the server has but does not offer.
    for cipher in ["", "aes128-gcm@openssh.com", "chacha20-poly1305"] {
        assert_eq!(missing(KexInit { cipher_to_server: cipher, ..portable }), Incompatibility::Cipher.into());
        assert_eq!(missing(KexInit { cipher_to_client: cipher, ..portable }), Incompatibility::Cipher.into());
    }
    for zlib in ["", "zlib"] {
        let error = Incompatibility::Compression.into();
        assert_eq!(missing(KexInit { compression_to_server: zlib, ..portable }), error);
        assert_eq!(missing(KexInit { compression_to_client: zlib, ..portable }), error);
    }
}

#[test]
fn a_guess_is_right_if_it_is_the_favourite_of_both() {
    let wrong = |kex, host_key| agreed(KexInit { kex, host_key, first_kex_packet_follows: true, ..CLIENT }).wrong_guess;
    assert!(!wrong("mlkem768x25519-sha256", "ssh-ed25519"));
    assert!(!wrong("mlkem768x25519-sha256,curve25519-sha256,ext-info-c", "ssh-ed25519,ssh-rsa"));
    assert!(wrong("curve25519-sha256,mlkem768x25519-sha256", "ssh-ed25519"), "not the server's");
    assert!(wrong("sntrup761x25519-sha512,mlkem768x25519-sha256", "ssh-ed25519"), "not what is used");
    assert!(wrong("mlkem768x25519-sha256", "rsa-sha2-512,ssh-ed25519"), "another host key");
    let kex = "curve25519-sha256";
    assert!(!agreed(KexInit { kex, ..CLIENT }).wrong_guess, "nothing was guessed");
}

#[test]
fn markers_are_found_among_the_methods() {
    let asks = |kex| (wants_strict(&KexInit { kex, ..CLIENT }), wants_ext_info(&KexInit { kex, ..CLIENT }));
    assert_eq!(asks("curve25519-sha256"), (false, false));
    assert_eq!(asks("curve25519-sha256,ext-info-c"), (false, true));
    assert_eq!(asks("kex-strict-c-v00@openssh.com,curve25519-sha256"), (true, false));
    assert_eq!(asks("kex-strict-s-v00@openssh.com,ext-info-s"), (false, false), "a server's");
}

#[test]
fn the_offer_has_the_strict_marker_in_the_first_exchange_only() {
    for (first, kex) in [
        (true, "mlkem768x25519-sha256,curve25519-sha256,curve25519-sha256@libssh.org,kex-strict-s-v00@openssh.com"),
        (false, "mlkem768x25519-sha256,curve25519-sha256,curve25519-sha256@libssh.org"),
    ] {
        let mut expected = [&[20][..], &count::<16>(0)].concat();
        let ciphers = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com";
        let macs = "hmac-sha2-256-etm@openssh.com,hmac-sha2-256";
        for list in [kex, "ssh-ed25519", ciphers, ciphers, macs, macs, "none", "none", "", ""] {
            expected.extend((list.len() as u32).to_be_bytes());
            expected.extend(list.bytes());
        }
        expected.extend([0; 5]);
        let offer = Offer { cookie: count(0), ciphers: Ciphers::ALL, first };
        assert_eq!(payload(&offer), expected, "first: {first}");
    }
}
