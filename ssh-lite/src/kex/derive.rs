//! Keys from the shared secret (RFC 4253 section 7.2).

use super::Secret;
use sha2::{Digest, Sha256};
use ssh_lite_cipher::{Algorithm, IV_LEN, KEY_LEN, Key};
use zeroize::Zeroizing;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    ClientToServer,
    ServerToClient,
}

impl Direction {
    /// The letters of the initial IV and of the encryption key.
    const fn letters(self) -> (u8, u8) {
        match self {
            Self::ClientToServer => (b'A', b'C'),
            Self::ServerToClient => (b'B', b'D'),
        }
    }
}

/// The key of one direction.
pub fn derive(
    algorithm: Algorithm,
    direction: Direction,
    secret: &Secret,
    hash: &[u8; 32],
    session_id: &[u8; 32],
) -> Key {
    let (iv_letter, key_letter) = direction.letters();
    let (mut iv, mut key) = (Zeroizing::new([0; IV_LEN]), Zeroizing::new([0; KEY_LEN]));
    expand(&mut *iv, iv_letter, secret, hash, session_id);
    expand(&mut *key, key_letter, secret, hash, session_id);
    Key::new(algorithm, &key, &iv)
}

/// `K1 = HASH(K ‖ H ‖ letter ‖ session_id)`, `Kn = HASH(K ‖ H ‖ K1 ‖ … ‖ Kn-1)`, cut to the length of `out`.
fn expand(out: &mut [u8], letter: u8, secret: &Secret, hash: &[u8; 32], session_id: &[u8; 32]) {
    let mut done = 0;
    while done < out.len() {
        let hasher = Sha256::new().chain_update(secret.encoded()).chain_update(hash);
        let hasher = if done == 0 {
            hasher.chain_update([letter]).chain_update(session_id)
        } else {
            hasher.chain_update(&out[..done])
        };
        let block = Zeroizing::new(<[u8; 32]>::from(hasher.finalize()));
        let n = block.len().min(out.len() - done);
        out[done..done + n].copy_from_slice(&block[..n]);
        done += n;
    }
}
