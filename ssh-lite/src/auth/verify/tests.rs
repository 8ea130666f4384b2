extern crate std;
use std::format;

use super::{SIGNED_MAX, USER_MAX, permitted, signed_data, unusable, verify};
use crate::auth::vectors::{SESSION_ID, Vector, blob, genuine, signature, vector};
use crate::auth::{Refused, Request, SIGNATURE_ALGORITHMS};
use crate::keys::samples::OTHER_ED25519;
use crate::keys::{KeyError, ed25519_blob, fingerprint};

#[test]
fn genuine_signatures_let_their_users_in() {
    assert_eq!(genuine().count(), 11);
    for vector in genuine() {
        let proof = verify(&SESSION_ID, vector.line.as_bytes(), &vector.request()).expect(vector.name);
        assert_eq!(proof.user(), vector.user);
        assert_eq!(proof.key(), fingerprint(&vector.key));
    }
}

#[test]
fn a_signature_is_for_one_session() {
    for vector in genuine() {
        for at in [0, 31] {
            let mut session_id = SESSION_ID;
            session_id[at] ^= 1;
            let result = verify(&session_id, vector.line.as_bytes(), &vector.request());
            assert_eq!(result.err(), Some(Refused::SignatureWrong), "{}", vector.name);
        }
    }
}

#[test]
fn a_signature_is_for_one_user() {
    for vector in genuine() {
        for user in ["", "root", "Ada", "ada\0"] {
            let vector = Vector { user, ..vector.clone() };
            assert_eq!(vector.refusal(), Some(Refused::SignatureWrong), "{} as {user:?}", vector.name);
        }
    }
}

#[test]
fn a_signature_is_by_one_key() {
    let (one, other) = (vector("rsa2048-sha256"), vector("rsa2048-exponent-3"));
    let mixed = Vector { signature: other.signature, ..one };
    assert_eq!(mixed.refusal(), Some(Refused::SignatureWrong));
}

#[test]
fn a_changed_signature_is_wrong() {
    for vector in genuine() {
        let last = vector.signature.len() - 1;
        for at in [last, last - 16] {
            let mut vector = vector.clone();
            vector.signature[at] ^= 1;
            assert_eq!(vector.refusal(), Some(Refused::SignatureWrong), "{} at {at}", vector.name);
        }
    }
}

#[test]
fn the_signature_names_the_algorithm_of_the_request() {
    for (name, other) in [
        ("rsa2048-sha256", "rsa-sha2-512"),
        ("rsa2048-sha512", "rsa-sha2-256"),
        ("rsa2048-sha256", "ssh-rsa"),
        ("ed25519", "ecdsa-sha2-nistp256"),
        ("ed25519", ""),
    ] {
        let good = vector(name);
        let vector = Vector { signature: signature(other, blob(&good)), ..good };
        assert_eq!(vector.refusal(), Some(Refused::SignatureAlgorithm), "{name}, {other}");
    }
}

#[test]
fn an_algorithm_is_for_keys_of_its_type() {
    for (name, algorithm) in [
        ("ed25519", "rsa-sha2-256"),
        ("ed25519", "ecdsa-sha2-nistp256"),
        ("ecdsa-low-s", "ssh-ed25519"),
        ("rsa2048-sha256", "ssh-ed25519"),
    ] {
        let vector = Vector { algorithm, ..vector(name) };
        assert_eq!(vector.refusal(), Some(Refused::KeyType), "{name}, {algorithm}");
        assert!(unusable(algorithm, &vector.key).is_some());
        assert!(!permitted(vector.line.as_bytes(), algorithm, &vector.key));
    }
}

#[test]
fn sha_1_and_unknown_algorithms_are_refused() {
    for algorithm in
        ["ssh-rsa", "", "rsa-sha2-384", "RSA-SHA2-256", "rsa-sha2-256,rsa-sha2-512", "rsa-sha2-256@ssh.com"]
    {
        let vector = Vector { algorithm, ..vector("rsa2048-sha256") };
        assert_eq!(vector.refusal(), Some(Refused::Algorithm), "{algorithm}");
        assert!(unusable(algorithm, &vector.key).is_some());
    }
}

#[test]
fn each_advertised_algorithm_has_a_key_that_it_is_for() {
    for algorithm in SIGNATURE_ALGORITHMS.split(',') {
        assert!(genuine().any(|v| v.algorithm == algorithm && unusable(algorithm, &v.key).is_none()), "{algorithm}");
    }
}

#[test]
fn a_key_that_cannot_be_used_is_refused_with_the_reason() {
    let mut weak = vector("ed25519");
    weak.key = ed25519_blob(&[0; 32]).to_vec();
    assert_eq!(weak.refusal(), Some(Refused::Key(KeyError::SmallOrder)));
    weak.key.clear();
    assert_eq!(weak.refusal(), Some(Refused::Key(KeyError::Malformed)));
}

#[test]
fn only_the_connection_service_is_started() {
    let vector = vector("ed25519");
    for service in ["", "ssh-userauth", "ssh-connection\0"] {
        let request = Request { service, ..vector.request() };
        let result = verify(&SESSION_ID, vector.line.as_bytes(), &request);
        assert_eq!(result.err(), Some(Refused::Service));
    }
}

#[test]
fn a_user_name_has_at_most_255_bytes() {
    let longest = "x".repeat(USER_MAX);
    let too_long = "x".repeat(USER_MAX + 1);
    let vector = vector("rsa4096");
    let attempt = |user| verify(&SESSION_ID, vector.line.as_bytes(), &Request { user, ..vector.request() }).err();
    assert_eq!(attempt(&longest), Some(Refused::SignatureWrong));
    assert_eq!(attempt(&too_long), Some(Refused::TooLong));
}

#[test]
fn only_keys_of_the_file_are_let_in() {
    let (ada, eve) = (vector("ed25519"), vector("ecdsa-low-s"));
    let commented = format!("# {}", ada.line);
    let restricted = format!("from=\"10.0.0.1\" {}", ada.line);
    let other = format!("ssh-ed25519 {OTHER_ED25519}");
    for file in ["", &eve.line, &other, &commented, &restricted] {
        let result = verify(&SESSION_ID, file.as_bytes(), &ada.request());
        assert_eq!(result.err(), Some(Refused::NotAuthorized), "{file}");
        assert!(!permitted(file.as_bytes(), ada.algorithm, &ada.key));
    }
    // Anywhere in the file, among lines that are refused, and twice.
    for file in [
        [&*eve.line, &ada.line].join("\n"),
        [&*ada.line, &ada.line].join("\r\n"),
        [&*restricted, "garbage", &ada.line, &restricted].join("\n"),
    ] {
        assert!(verify(&SESSION_ID, file.as_bytes(), &ada.request()).is_ok(), "{file}");
        assert!(permitted(file.as_bytes(), ada.algorithm, &ada.key));
    }
}

#[test]
fn the_longest_data_to_sign_fits_exactly() {
    let user = "x".repeat(USER_MAX);
    let rsa = vector("rsa4096");
    let request = Request { user: &user, key: &[0; 537], host_key: Some(&[0; 51]), ..rsa.request() };
    assert_eq!(signed_data(&SESSION_ID, &request, &mut [0; SIGNED_MAX]).map(<[u8]>::len), Ok(SIGNED_MAX));
}

#[test]
fn a_key_counts_where_a_line_has_it_and_nowhere_else() {
    let vector = genuine().next().expect("there is one");
    let line = vector.line.trim_end();
    let (kind, key) = line.split_once(' ').expect("a type and a key");
    let key = key.split(' ').next().expect("a key");
    let permits = |file: std::string::String| permitted(file.as_bytes(), vector.algorithm, &vector.key);
    assert!(permits(format!("# a file\r\n{kind}\t{key}\r\n")));
    assert!(permits(format!("no-user-rc {kind} {key} glenda")));
    assert!(!permits(format!("# {kind} {key}")));
    assert!(!permits(format!("from=\"10.0.0.1\" {kind} {key}")));
    assert!(!permits(format!("ssh-rsa AAAA {key}")));
    assert!(!permits(format!("{kind} {key}A")));
}
