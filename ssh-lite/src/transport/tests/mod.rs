//! Packets as RFC 4253 section 6 has them, made and taken apart by hand.

mod queue;
mod receive;
mod send;

use crate::{
    Ciphers,
    msg::{RequestSuccess, Rest},
};
use ssh_lite_cipher::{Algorithm, IV_LEN, KEY_LEN, Key, LENGTH_LEN, TAG_LEN};
use std::{vec, vec::Vec};

const HEADER_LEN: usize = LENGTH_LEN + 1;

/// No cipher, and each one.
fn ciphers() -> impl Iterator<Item = Option<Algorithm>> {
    Ciphers::ALL.0.iter().copied().map(Some).chain([None])
}

/// A key for each seed.
fn key(algorithm: Algorithm, seed: u8) -> Key {
    Key::new(algorithm, &[seed; KEY_LEN], &[seed; IV_LEN])
}

/// What a packet's length, and of a plain one its length field too, is a multiple of.
fn block(algorithm: Option<Algorithm>) -> usize {
    match algorithm {
        Some(Algorithm::Aes128Gcm | Algorithm::Aes256Gcm) => 16,
        Some(Algorithm::ChaCha20Poly1305) | None => 8,
    }
}

/// A plain packet, whatever its length then is.
fn packet(payload: &[u8], padding: u8) -> Vec<u8> {
    let length = (1 + payload.len() + usize::from(padding)) as u32;
    [&length.to_be_bytes()[..], &[padding], payload, &vec![0; padding.into()]].concat()
}

/// A packet with the least padding, sealed if there is a key.
fn sealed(key: Option<&mut Key>, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let block = block(key.as_ref().map(|key| key.algorithm()));
    let counted = if key.is_some() { HEADER_LEN - LENGTH_LEN } else { HEADER_LEN } + payload.len();
    let padding = (4..).find(|padding| (counted + padding).is_multiple_of(block)).unwrap();
    let mut packet = packet(payload, padding as u8);
    if let Some(key) = key {
        packet.extend([0; TAG_LEN]);
        key.seal(sequence, &mut packet);
    }
    packet
}

/// A message of the connection whose payload is 81 and these bytes.
fn message(fields: &[u8]) -> RequestSuccess<'_> {
    RequestSuccess { fields: Rest(fields) }
}
