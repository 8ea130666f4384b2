extern crate std;
use std::vec::Vec;

use super::Scheme;
use crate::auth::Refused;
use crate::auth::vectors::{Vector, blob, genuine, hex, signature, vector, vectors};
use crate::keys::ed25519_blob;
use crate::wire::Writer;

#[test]
fn signatures_with_padding_that_is_nearly_right_are_wrong() {
    let forged: Vec<Vector> = vectors().filter(|vector| vector.name.starts_with("forged-")).collect();
    assert_eq!(forged.len(), 5);
    for vector in forged {
        assert_eq!(vector.refusal(), Some(Refused::SignatureWrong), "{}", vector.name);
    }
}

#[test]
fn no_changed_bit_of_a_short_signature_goes_unnoticed() {
    for name in ["ed25519", "ecdsa-low-s"] {
        let good = vector(name);
        for bit in 0..good.signature.len() * 8 {
            let mut vector = good.clone();
            vector.signature[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(vector.refusal(), None, "{name}, bit {bit}");
        }
    }
}

#[test]
fn a_signature_cut_short_anywhere_or_followed_by_a_byte_is_malformed() {
    for vector in genuine() {
        for end in 0..vector.signature.len() {
            let cut = Vector { signature: vector.signature[..end].to_vec(), ..vector.clone() };
            assert_eq!(cut.refusal(), Some(Refused::SignatureMalformed), "{} at {end}", vector.name);
        }
        let mut longer = vector.clone();
        longer.signature.push(0);
        assert_eq!(longer.refusal(), Some(Refused::SignatureMalformed), "{}", vector.name);
    }
}

#[test]
fn an_rsa_signature_may_come_without_its_leading_zeros_but_not_with_more() {
    let full = vector("rsa2048-leading-zero");
    assert_eq!(blob(&full)[0], 0);
    let stripped = Vector { signature: signature(full.algorithm, &blob(&full)[1..]), ..full.clone() };
    assert_eq!(stripped.refusal(), None);
    let extended = Vector { signature: signature(full.algorithm, &[&[0], blob(&full)].concat()), ..full };
    assert_eq!(extended.refusal(), Some(Refused::SignatureWrong));
}

#[test]
fn an_rsa_signature_is_below_the_modulus() {
    for vector in genuine().filter(|vector| vector.line.starts_with("ssh-rsa")) {
        let size = blob(&vector).len();
        let modulus = &vector.key[vector.key.len() - size..];
        for blob in [modulus, &std::vec![0xff; size], &[]] {
            let changed = Vector { signature: signature(vector.algorithm, blob), ..vector.clone() };
            assert_eq!(changed.refusal(), Some(Refused::SignatureWrong), "{}", vector.name);
        }
    }
}

#[test]
fn an_ed25519_signature_has_64_bytes() {
    let good = vector("ed25519");
    for blob in [&[], &blob(&good)[..63], &[blob(&good), &[0]].concat()[..]] {
        let vector = Vector { signature: signature("ssh-ed25519", blob), ..good.clone() };
        assert_eq!(vector.refusal(), Some(Refused::SignatureMalformed));
    }
}

/// RFC 8032 section 5.1.7: S is below the order of the group, else there were a second signature.
#[test]
fn an_ed25519_signature_with_the_order_added_is_wrong() {
    let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut vector = vector("ed25519");
    let start = vector.signature.len() - 32;
    let mut carry = 0;
    for (byte, add) in vector.signature[start..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(vector.refusal(), Some(Refused::SignatureWrong));
}

/// RFC 8032 section 7.1, tests 1 to 3.
#[test]
fn the_ed25519_vectors_of_rfc_8032() {
    for (public, message, expected) in [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ] {
        let key = ed25519_blob(hex(public)[..].try_into().unwrap());
        let signature = signature("ssh-ed25519", &hex(expected));
        let scheme = Scheme::new("ssh-ed25519", &key).unwrap();
        assert_eq!(scheme.verify(&hex(message), &signature), Ok(()));
        assert_eq!(scheme.verify(b"else", &signature), Err(Refused::SignatureWrong));
    }
}

/// The blob of a P-256 key.
fn p256_key(x: &str, y: &str) -> Vec<u8> {
    [&b"\0\0\0\x13ecdsa-sha2-nistp256\0\0\0\x08nistp256\0\0\0\x41\x04"[..], &hex(x), &hex(y)].concat()
}

/// An ECDSA signature of two big-endian numbers.
fn ecdsa_signature(r: &[u8], s: &[u8]) -> Vec<u8> {
    let mut out = [0; 128];
    let mut writer = Writer::new(&mut out);
    writer.mpint(r).unwrap();
    writer.mpint(s).unwrap();
    signature("ecdsa-sha2-nistp256", writer.into_written())
}

/// The first P-256, SHA-256 case of NIST's SigGen file for FIPS 186-4, and RFC 6979 section A.2.5.
#[test]
fn the_p256_vectors_of_nist_and_rfc_6979() {
    let nist_key = p256_key(
        "1ccbe91c075fc7f4f033bfa248db8fccd3565de94bbfb12f3c59ff46c271bf83",
        "ce4014c68811f9a21a1fdb2c0e6113e06db7ca93b7404e78dc7ccd5ca89a4ca9",
    );
    let nist_message = hex(concat!(
        "5905238877c77421f73e43ee3da6f2d9e2ccad5fc942dcec0cbd25482935faaf",
        "416983fe165b1a045ee2bcd2e6dca3bdf46c4310a7461f9a37960ca672d3feb5",
        "473e253605fb1ddfd28065b53cb5858a8ad28175bf9bd386a5e471ea7a65c17c",
        "c934a9d791e91491eb3754d03799790fe2d308d16146d5c9b0d0debd97d79ce8"
    ));
    let rfc_key = p256_key(
        "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
        "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
    );
    for (key, message, r, s) in [
        (
            &nist_key,
            &nist_message[..],
            "f3ac8061b514795b8843e3d6629527ed2afd6b1f6a555a7acabb5e6f79c8c2ac",
            "8bf77819ca05a6b2786c76262bf7371cef97b218e96f175a3ccdda2acc058903",
        ),
        (
            &rfc_key,
            b"sample",
            "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
            "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
        ),
        (
            &rfc_key,
            b"test",
            "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
            "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
        ),
    ] {
        let scheme = Scheme::new("ecdsa-sha2-nistp256", key).unwrap();
        let signature = ecdsa_signature(&hex(r), &hex(s));
        assert_eq!(scheme.verify(message, &signature), Ok(()));
        assert_eq!(scheme.verify(b"else", &signature), Err(Refused::SignatureWrong));
    }
}

#[test]
fn the_numbers_of_an_ecdsa_signature_are_in_range() {
    let order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let mut below = order.clone();
    below[31] -= 1;
    let good = vector("ecdsa-low-s");
    let refusal = |r, s| Vector { signature: ecdsa_signature(r, s), ..good.clone() }.refusal();
    for number in [&[][..], &order, &[0xff; 32], &[1; 33]] {
        assert_eq!(refusal(number, &[1]), Some(Refused::SignatureMalformed), "{number:x?}");
        assert_eq!(refusal(&[1], number), Some(Refused::SignatureMalformed), "{number:x?}");
    }
    for number in [&[1][..], &below] {
        assert_eq!(refusal(number, number), Some(Refused::SignatureWrong), "{number:x?}");
    }
}

#[test]
fn the_numbers_of_an_ecdsa_signature_are_in_the_one_form_that_rfc_4251_allows() {
    let good = vector("ecdsa-low-s");
    for blob in [
        &b"\0\0\0\x02\0\x01\0\0\0\x01\x01"[..],
        b"\0\0\0\x01\x01\0\0\0\x02\0\x01",
        b"\0\0\0\x01\x81\0\0\0\x01\x01",
        b"\0\0\0\x01\x01\0\0\0\x01\x81",
        b"\0\0\0\x01\x01",
        b"\0\0\0\x01\x01\0\0\0\x01\x01\0",
        // ASN.1, as X.509 has it.
        b"\x30\x06\x02\x01\x01\x02\x01\x01",
    ] {
        let vector = Vector { signature: signature("ecdsa-sha2-nistp256", blob), ..good.clone() };
        assert_eq!(vector.refusal(), Some(Refused::SignatureMalformed), "{blob:x?}");
    }
}
