extern crate std;
use std::string::String;
use std::vec::Vec;

use super::{HostKey, HostKeyError, Name};
use crate::keys::{base64, samples};

/// The public half of the sample key.
const PUBLIC: &str = "dd96c08863cd2061daae8b722bacf7b4b3e18d23e2a7259e8b5b110812a858e6";

fn hex<const N: usize>(text: &str) -> [u8; N] {
    core::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
}

/// The sample key before it is put into PEM form: 250 bytes.
fn decoded() -> Vec<u8> {
    let mut body = samples::HOST_KEY.lines().filter(|line| !line.starts_with('-')).flat_map(str::bytes);
    let mut out = [0; 512];
    let end = base64::decode(&mut body, &mut out).unwrap();
    out[..end].to_vec()
}

/// The reverse, on one line.
fn pem(decoded: &[u8]) -> String {
    let mut body = String::new();
    base64::encode_unpadded(decoded, &mut body).unwrap();
    while !body.len().is_multiple_of(4) {
        body.push('=');
    }
    std::format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n")
}

fn refusal(pem: impl AsRef<[u8]>) -> Option<HostKeyError> {
    HostKey::from_openssh(pem.as_ref()).err()
}

fn name(text: &str) -> Name {
    Name::try_from(text).unwrap()
}

#[test]
fn a_key_of_ssh_keygen_is_read_and_signs_as_openssl_does() {
    let key = HostKey::from_openssh(samples::HOST_KEY.as_bytes()).unwrap();
    assert_eq!(key.public(), hex(PUBLIC));
    assert_eq!(std::format!("{}", key.public_line()), std::format!("ssh-ed25519 {}", samples::ED25519));
    assert_eq!(
        key.sign(&core::array::from_fn(|i| i as u8)),
        hex(concat!(
            "9e093ad528e3090a154bed7a3d78bd60e29efc6e77bd032269f1157f909c6769",
            "da237aab5ac640aa97e22670cfaf136f081d85e96b642bc265f655482dbcf409"
        ))
    );
}

/// RFC 8032 section 7.1, tests 1 to 3.
#[test]
fn a_seed_gives_the_public_half_of_rfc_8032() {
    for (seed, public) in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        ),
    ] {
        assert_eq!(HostKey::from_seed(&hex(seed)).public(), hex(public));
    }
}

#[test]
fn line_ends_and_blanks_do_not_matter() {
    let text = samples::HOST_KEY;
    for text in [text.replace('\n', "\r\n"), text.trim_end().into(), std::format!("\n {text}\n\n"), pem(&decoded())] {
        assert_eq!(refusal(&text), None, "{text:?}");
    }
}

#[test]
fn an_encrypted_key_is_refused_with_its_cipher() {
    let reason = HostKeyError::Encrypted(name("aes256-ctr"));
    assert_eq!(refusal(samples::ENCRYPTED_HOST_KEY), Some(reason));
}

#[test]
fn files_of_other_kinds_are_refused_by_name() {
    for label in ["RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
        let text = std::format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        assert_eq!(refusal(&text), Some(HostKeyError::Label(name(label))));
    }
    let public = std::format!("ssh-ed25519 {}", samples::ED25519);
    for text in ["", "\n", &public, "PuTTY-User-Key-File-3: ssh-ed25519\n", "-----BEGIN", "-----BEGIN X"] {
        assert_eq!(refusal(text), Some(HostKeyError::NoBegin), "{text:?}");
    }
}

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    let text = samples::HOST_KEY.trim_end();
    let first_line = "-----BEGIN OPENSSH PRIVATE KEY-----".len();
    for end in 0..text.len() {
        let reason = if end < first_line { HostKeyError::NoBegin } else { HostKeyError::NoEnd };
        assert_eq!(refusal(&text[..end]), Some(reason), "{end}");
    }
}

#[test]
fn text_that_is_not_base_64_or_follows_the_key_is_refused() {
    let text = samples::HOST_KEY;
    assert_eq!(refusal(text.replace("b3Bl", "b3B!")), Some(HostKeyError::Base64));
    assert_eq!(refusal(text.replace("b3Bl", "b3B")), Some(HostKeyError::Base64));
    let lines = text.trim_end().lines().count();
    assert_eq!(refusal(text.repeat(2)), Some(HostKeyError::Behind(lines + 1)));
    assert_eq!(refusal([text.trim_end(), "x"].concat()), Some(HostKeyError::Behind(lines)));
    assert_eq!(refusal(["\n", text, "\n # of box 7\n"].concat()), Some(HostKeyError::Behind(lines + 3)));
}

#[test]
fn key_data_cut_short_anywhere_or_followed_by_a_byte_is_malformed() {
    let mut decoded = decoded();
    for end in 0..decoded.len() {
        assert_eq!(refusal(pem(&decoded[..end])), Some(HostKeyError::Malformed), "{end}");
    }
    decoded.push(0);
    assert_eq!(refusal(pem(&decoded)), Some(HostKeyError::Malformed));
}

#[test]
fn padding_that_misses_the_block_size_or_is_a_block_longer_is_malformed() {
    for padding in [0, 6, 8, 15] {
        let mut decoded = decoded();
        decoded.truncate(243);
        decoded.extend(1..=padding);
        decoded[97] = 145 + padding;
        assert_eq!(refusal(pem(&decoded)), Some(HostKeyError::Malformed), "{padding}");
    }
}

#[test]
fn any_changed_byte_is_noticed_but_one_of_the_comment() {
    let good = decoded();
    let comment = 229..243;
    assert_eq!(&good[comment.clone()], b"host@appliance");
    for at in 0..good.len() {
        let mut decoded = good.clone();
        decoded[at] ^= 1;
        assert_eq!(refusal(pem(&decoded)).is_none(), comment.contains(&at), "{at}");
    }
}

#[test]
fn halves_that_do_not_belong_together_are_refused() {
    let good = decoded();
    let public: [u8; 32] = hex(PUBLIC);
    let halves: Vec<usize> = (0..good.len() - 32).filter(|&at| good[at..at + 32] == public).collect();
    let [blob, section, pair] = halves[..] else { panic!("{halves:?}") };
    for changed in [&[blob][..], &[section], &[blob, section], &[pair], &[pair - 32], &[blob, section, pair]] {
        let mut decoded = good.clone();
        changed.iter().for_each(|&at| decoded[at] ^= 1);
        assert_eq!(refusal(pem(&decoded)), Some(HostKeyError::Mismatch), "{changed:?}");
    }
}

#[test]
fn a_file_holds_one_key() {
    let mut decoded = decoded();
    for keys in [0, 2] {
        decoded[38] = keys;
        assert_eq!(refusal(pem(&decoded)), Some(HostKeyError::Keys(keys.into())));
    }
}

/// The header of an unencrypted file with one key of a type, cut after the type.
fn header(key_type: &str) -> Vec<u8> {
    let blob = &[&[0, 0, 2, 23, 0, 0, 0, key_type.len() as u8], key_type.as_bytes()].concat();
    [&decoded()[..39], blob].concat()
}

#[test]
fn keys_of_other_types_are_refused_by_name_however_long_they_are() {
    for key_type in ["ssh-rsa", "ecdsa-sha2-nistp256", "sk-ssh-ed25519@openssh.com"] {
        let mut decoded = header(key_type);
        decoded.resize(4000, 0);
        assert_eq!(refusal(pem(&decoded)), Some(HostKeyError::KeyType(name(key_type))));
    }
}

#[test]
fn a_name_that_no_key_has_is_malformed() {
    assert_eq!(refusal(pem(&header(&"x".repeat(41)))), Some(HostKeyError::Malformed));
}

#[test]
fn a_comment_beyond_reason_is_too_long() {
    let good = decoded();
    let grown = |comment: usize| {
        let private = (8 + 15 + 36 + 68 + 4 + comment).next_multiple_of(8);
        let padding = private - (8 + 15 + 36 + 68 + 4 + comment);
        let mut decoded = good[..229].to_vec();
        decoded[94..98].copy_from_slice(&(private as u32).to_be_bytes());
        decoded[225..229].copy_from_slice(&(comment as u32).to_be_bytes());
        decoded.resize(229 + comment, b'x');
        decoded.extend(1..=padding as u8);
        refusal(pem(&decoded))
    };
    assert_eq!(grown(1280), None);
    assert_eq!(grown(1400), Some(HostKeyError::TooLong));
}
