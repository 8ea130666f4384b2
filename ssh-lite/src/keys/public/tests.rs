extern crate std;
use std::string::ToString;
use std::vec::Vec;

use super::{KeyError, PublicKey, ed25519_blob};
use crate::keys::{base64, fingerprint, samples};
use crate::wire::Writer;

/// Decodes base 64.
fn blob(text: &str) -> Vec<u8> {
    let mut blob = std::vec![0; text.len()];
    let end = base64::decode(&mut text.bytes(), &mut blob).unwrap();
    blob.truncate(end);
    blob
}

/// A blob of these strings.
fn strings(fields: &[&[u8]]) -> Vec<u8> {
    let mut out = [0; 2048];
    let mut writer = Writer::new(&mut out);
    fields.iter().for_each(|field| writer.string(field).unwrap());
    writer.into_written().to_vec()
}

/// The blob of an RSA key with a modulus of `bits` bits, all ones.
fn rsa(exponent: &[u8], bits: usize) -> Vec<u8> {
    let mut modulus = std::vec![0xff; bits.div_ceil(8)];
    modulus[0] >>= (8 - bits % 8) % 8;
    rsa_of(exponent, &modulus)
}

fn rsa_of(exponent: &[u8], modulus: &[u8]) -> Vec<u8> {
    let mut out = [0; 2048];
    let mut writer = Writer::new(&mut out);
    writer.string(b"ssh-rsa").unwrap();
    writer.mpint(exponent).unwrap();
    writer.mpint(modulus).unwrap();
    writer.into_written().to_vec()
}

fn refusal(blob: &[u8]) -> Option<KeyError> {
    PublicKey::parse(blob).err()
}

#[test]
fn the_keys_of_ssh_keygen_are_read_and_have_its_fingerprints() {
    for (text, key_type, print) in [
        (samples::ED25519, "ssh-ed25519", samples::ED25519_FINGERPRINT),
        (samples::ECDSA_P256, "ecdsa-sha2-nistp256", samples::ECDSA_P256_FINGERPRINT),
        (samples::RSA_2048, "ssh-rsa", samples::RSA_2048_FINGERPRINT),
    ] {
        let blob = blob(text);
        assert_eq!(PublicKey::parse(&blob).unwrap().type_name(), key_type);
        assert_eq!(fingerprint(&blob).to_string(), print);
    }
}

#[test]
fn a_key_cut_short_anywhere_or_followed_by_a_byte_is_malformed() {
    for text in [samples::ED25519, samples::ECDSA_P256, samples::RSA_2048] {
        let mut blob = blob(text);
        for end in 0..blob.len() {
            assert_eq!(refusal(&blob[..end]), Some(KeyError::Malformed), "{end} of {text}");
        }
        blob.push(0);
        assert_eq!(refusal(&blob), Some(KeyError::Malformed), "{text}");
    }
}

#[test]
fn types_that_are_not_supported_are_refused_as_such() {
    for name in [
        &b""[..],
        b"ssh-dss",
        b"ecdsa-sha2-nistp384",
        b"sk-ssh-ed25519@openssh.com",
        b"ssh-ed25519-cert-v01@openssh.com",
        b"rsa-sha2-256",
        b"ssh-ed25519\0",
    ] {
        assert_eq!(refusal(&strings(&[name, &[0; 32]])), Some(KeyError::Type));
    }
}

#[test]
fn an_ed25519_blob_is_the_one_of_ssh_keygen() {
    let blob = blob(samples::ED25519);
    assert_eq!(ed25519_blob(blob[19..].try_into().unwrap())[..], blob);
}

#[test]
fn an_ed25519_key_has_32_bytes() {
    for len in [0, 31, 33, 64] {
        let blob = strings(&[b"ssh-ed25519", &std::vec![1; len]]);
        assert_eq!(refusal(&blob), Some(KeyError::Malformed), "{len}");
    }
}

#[test]
fn an_ed25519_key_off_the_curve_is_refused() {
    let mut y = [0; 32];
    y[0] = 2;
    assert_eq!(refusal(&ed25519_blob(&y)), Some(KeyError::Point));
}

/// The points of order 1, 2, 4 and 8, and the forms of theirs with a y that is not reduced.
#[test]
fn ed25519_keys_of_small_order_are_refused() {
    const P: [u8; 32] = [
        0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, //
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ];
    const ORDER_8: [u8; 32] = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, //
        0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ];
    const ORDER_8_TOO: [u8; 32] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, //
        0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ];
    let mut one = [0; 32];
    one[0] = 1;
    let (mut minus_one, mut p_and_one) = (P, P);
    minus_one[0] -= 1;
    p_and_one[0] += 1;
    for point in [[0; 32], one, minus_one, ORDER_8, ORDER_8_TOO, P, p_and_one] {
        assert_eq!(refusal(&ed25519_blob(&point)), Some(KeyError::SmallOrder), "{point:x?}");
    }
    for (mut point, sign) in [([0; 32], 0x80), (ORDER_8, 0x80), (ORDER_8_TOO, 0x80), (P, 0x80)] {
        point[31] |= sign;
        assert_eq!(refusal(&ed25519_blob(&point)), Some(KeyError::SmallOrder), "{point:x?}");
    }
}

#[test]
fn a_p256_key_is_an_uncompressed_point_of_its_curve() {
    let blob = blob(samples::ECDSA_P256);
    let point: &[u8; 65] = blob[39..].try_into().unwrap();
    let x = &point[1..33];
    let ecdsa = |point: &[u8]| refusal(&strings(&[b"ecdsa-sha2-nistp256", b"nistp256", point]));
    assert_eq!(ecdsa(point), None);

    let compressed = [&[2 + point[64] % 2], x].concat();
    let hybrid = [&[6 + point[64] % 2], &point[1..]].concat();
    let mut off_curve = *point;
    off_curve[64] ^= 1;
    let x_too_large = [&[4], &[0xff; 32][..], &point[33..]].concat();
    let infinity = [0];
    for point in [&compressed, &hybrid, &off_curve[..], &x_too_large, &infinity, &point[..64], b"", &[4]] {
        assert_eq!(ecdsa(point), Some(KeyError::Point), "{point:x?}");
    }
}

#[test]
fn a_p256_key_names_its_curve() {
    let blob = blob(samples::ECDSA_P256);
    for curve in [&b"nistp384"[..], b"", b"1.2.840.10045.3.1.7"] {
        let blob = strings(&[b"ecdsa-sha2-nistp256", curve, &blob[39..]]);
        assert_eq!(refusal(&blob), Some(KeyError::Malformed));
    }
}

#[test]
fn rsa_keys_have_2048_to_4096_bits() {
    for bits in [2048, 2049, 3000, 3072, 4095, 4096] {
        assert_eq!(refusal(&rsa(&[1, 0, 1], bits)), None, "{bits}");
    }
    for bits in [1, 1024, 2047, 4097, 8192] {
        assert_eq!(refusal(&rsa(&[1, 0, 1], bits)), Some(KeyError::RsaBits(bits)));
    }
}

#[test]
fn an_rsa_exponent_is_odd_at_least_3_and_within_32_bits() {
    for exponent in [&[3][..], &[17], &[1, 0, 1], &[0xff, 0xff, 0xff, 0xff]] {
        assert_eq!(refusal(&rsa(exponent, 2048)), None, "{exponent:?}");
    }
    for exponent in [&[1][..], &[2], &[1, 0, 0], &[1, 0, 0, 0, 1], &[0xff; 256]] {
        assert_eq!(refusal(&rsa(exponent, 2048)), Some(KeyError::RsaExponent), "{exponent:?}");
    }
}

#[test]
fn an_even_rsa_modulus_is_refused() {
    let mut modulus = [0xff; 256];
    modulus[255] = 0xfe;
    assert_eq!(refusal(&rsa_of(&[3], &modulus)), Some(KeyError::RsaEven));
}

#[test]
fn numbers_of_an_rsa_key_are_in_the_one_form_that_rfc_4251_allows() {
    let modulus = &[0x7f; 257][..];
    assert_eq!(refusal(&strings(&[b"ssh-rsa", &[3], modulus])), None);
    let negative = &[0xff; 256][..];
    for fields in [
        [&b"ssh-rsa"[..], &[0, 3], modulus],
        [b"ssh-rsa", &[0x83], modulus],
        [b"ssh-rsa", &[], modulus],
        [b"ssh-rsa", &[3], &[&[0], modulus].concat()],
        [b"ssh-rsa", &[3], negative],
        [b"ssh-rsa", &[3], &[&[0, 0], negative].concat()],
        [b"ssh-rsa", &[3], &[]],
    ] {
        assert_eq!(refusal(&strings(&fields)), Some(KeyError::Malformed), "{fields:x?}");
    }
}
