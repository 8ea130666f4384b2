//! chacha20-poly1305@openssh.com (PROTOCOL.chacha20poly1305 of OpenSSH): ChaCha20 with a 64-bit
//! nonce, the packet's sequence number. One key encrypts the length; the other the body and, with
//! its first block, makes the Poly1305 key of this packet.

use crate::{BadTag, KEY_LEN, LENGTH_LEN, TAG_LEN};
use chacha20::{
    ChaCha20Legacy,
    cipher::{KeyIvInit, StreamCipher},
};
use poly1305::{
    Poly1305,
    universal_hash::{KeyInit, UniversalHash},
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub struct ChaCha20Poly1305 {
    body_key: Zeroizing<[u8; 32]>,
    length_key: Zeroizing<[u8; 32]>,
}

impl ChaCha20Poly1305 {
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        let (body, length) = key.split_at(32);
        let half = |bytes: &[u8]| {
            let mut key = Zeroizing::new([0; 32]);
            key.copy_from_slice(bytes);
            key
        };
        Self { body_key: half(body), length_key: half(length) }
    }

    pub fn length(&self, sequence: u32, mut field: [u8; LENGTH_LEN]) -> [u8; LENGTH_LEN] {
        stream(&self.length_key, sequence).apply_keystream(&mut field);
        field
    }

    pub fn seal(&self, sequence: u32, length: &mut [u8; LENGTH_LEN], body: &mut [u8]) -> [u8; TAG_LEN] {
        *length = self.length(sequence, *length);
        let (mut cipher, mac) = self.body(sequence);
        cipher.apply_keystream(body);
        tag(mac, *length, body)
    }

    pub fn open(
        &self,
        sequence: u32,
        length: [u8; LENGTH_LEN],
        body: &mut [u8],
        expected: &[u8; TAG_LEN],
    ) -> Result<(), BadTag> {
        let (mut cipher, mac) = self.body(sequence);
        if tag(mac, length, body).ct_ne(expected).into() {
            return Err(BadTag);
        }
        cipher.apply_keystream(body);
        Ok(())
    }

    /// The key stream of the body, which starts at block 1, and the MAC keyed by block 0.
    fn body(&self, sequence: u32) -> (ChaCha20Legacy, Poly1305) {
        let mut cipher = stream(&self.body_key, sequence);
        let mut block = Zeroizing::new([0; 64]);
        cipher.apply_keystream(&mut *block);
        let mac = Poly1305::new_from_slice(&block[..32]).expect("a Poly1305 key has 32 bytes");
        (cipher, mac)
    }
}

fn stream(key: &[u8; 32], sequence: u32) -> ChaCha20Legacy {
    ChaCha20Legacy::new(key.into(), &u64::from(sequence).to_be_bytes().into())
}

/// The tag over `length ‖ body`, which lie apart here: the first block is put together by hand.
fn tag(mut mac: Poly1305, length: [u8; LENGTH_LEN], body: &[u8]) -> [u8; TAG_LEN] {
    let (head, rest) = body.split_at(body.len().min(TAG_LEN - LENGTH_LEN));
    let mut first = [0; TAG_LEN];
    first[..LENGTH_LEN].copy_from_slice(&length);
    let first_len = LENGTH_LEN + head.len();
    first[LENGTH_LEN..first_len].copy_from_slice(head);
    if first_len < TAG_LEN {
        return mac.compute_unpadded(&first[..first_len]).into();
    }
    mac.update(&[first.into()]);
    mac.compute_unpadded(rest).into()
}
