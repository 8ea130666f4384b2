//! aes128-gcm@openssh.com and aes256-gcm@openssh.com (RFC 5647): the length is authenticated and
//! sent in the clear, the nonce is a fixed field and a counter of the packets.

use crate::{Algorithm, BadTag, IV_LEN, KEY_LEN, LENGTH_LEN, TAG_LEN};
use aes::{
    Aes128, Aes256,
    cipher::{
        BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipherCore, consts::U16,
    },
};
use ctr::{CtrCore, flavors::Ctr32BE};
use polyval::{Block, Polyval, hazmat::FieldElement, universal_hash::UniversalHash};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// AES with a key of either size: one type, so that the code around it is compiled once.
#[expect(clippy::large_enum_variant, reason = "one each way of a connection, and no heap to box it in")]
enum Aes {
    Aes128(Aes128),
    Aes256(Aes256),
}

impl BlockSizeUser for Aes {
    type BlockSize = U16;
}

impl BlockCipherEncrypt for Aes {
    fn encrypt_with_backend(&self, f: impl BlockCipherEncClosure<BlockSize = U16>) {
        match self {
            Self::Aes128(aes) => aes.encrypt_with_backend(f),
            Self::Aes256(aes) => aes.encrypt_with_backend(f),
        }
    }
}

/// GCM (NIST SP 800-38D section 7) of crates' AES, counter mode and multiplication. `aes-gcm`, which puts the same
/// together, reverses every block byte by byte, which is a sixth of the time under emulation.
pub struct AesGcm {
    cipher: Aes,
    /// GHASH (section 6.4) of nothing yet.
    ghash: Polyval,
    nonce: Zeroizing<[u8; IV_LEN]>,
}

impl AesGcm {
    pub fn with_128_bits(key: &[u8; KEY_LEN], iv: &[u8; IV_LEN]) -> Self {
        Self::new(Aes::Aes128(aes(key)), iv)
    }

    pub fn with_256_bits(key: &[u8; KEY_LEN], iv: &[u8; IV_LEN]) -> Self {
        Self::new(Aes::Aes256(aes(key)), iv)
    }

    fn new(cipher: Aes, iv: &[u8; IV_LEN]) -> Self {
        let mut h = Zeroizing::new([0; 16]);
        cipher.encrypt_block((&mut *h).into());
        let ghash = Polyval::new(&FieldElement::from(*h).reverse().mulx().into());
        Self { cipher, ghash, nonce: Zeroizing::new(*iv) }
    }

    pub const fn algorithm(&self) -> Algorithm {
        match self.cipher {
            Aes::Aes128(_) => Algorithm::Aes128Gcm,
            Aes::Aes256(_) => Algorithm::Aes256Gcm,
        }
    }

    pub fn seal(&mut self, length: [u8; LENGTH_LEN], body: &mut [u8]) -> [u8; TAG_LEN] {
        let nonce = self.next_nonce();
        let (keystream, mask) = self.keystream(&nonce);
        keystream.apply_keystream_partial(body.into());
        self.tag(mask, length, body)
    }

    pub fn open(&mut self, length: [u8; LENGTH_LEN], body: &mut [u8], tag: &[u8; TAG_LEN]) -> Result<(), BadTag> {
        let nonce = self.next_nonce();
        let (keystream, mask) = self.keystream(&nonce);
        if self.tag(mask, length, body).ct_ne(tag).into() {
            return Err(BadTag);
        }
        keystream.apply_keystream_partial(body.into());
        Ok(())
    }

    /// What a packet is encrypted with, and its tag: the first block's place in the stream is the tag's.
    fn keystream(&self, nonce: &[u8; IV_LEN]) -> (CtrCore<&Aes, Ctr32BE>, u128) {
        let mut first = [0; 16];
        first[..IV_LEN].copy_from_slice(nonce);
        first[15] = 1;
        let mut keystream = CtrCore::inner_iv_init(&self.cipher, &first.into());
        let mut mask = Block::default();
        keystream.write_keystream_block(&mut mask);
        (keystream, u128::from_be_bytes(mask.into()))
    }

    fn tag(&self, mask: u128, length: [u8; LENGTH_LEN], body: &[u8]) -> [u8; TAG_LEN] {
        let mut ghash = self.ghash.clone();
        let (fours, rest) = body.as_chunks::<64>();
        ghash.update(&[reversed(&length)]);
        for four in fours {
            let (blocks, _) = four.as_chunks::<16>();
            ghash.update(&[0, 1, 2, 3].map(|i| reversed(&blocks[i])));
        }
        for block in rest.chunks(16) {
            ghash.update(&[reversed(block)]);
        }
        let bits = |bytes: usize| 8 * bytes as u128;
        ghash.update(&[(bits(LENGTH_LEN) << 64 | bits(body.len())).to_le_bytes().into()]);
        (u128::from_le_bytes(ghash.finalize().into()) ^ mask).to_be_bytes()
    }

    /// RFC 5647 section 7.1: the last 8 bytes are the invocation counter, which counts packets.
    fn next_nonce(&mut self) -> [u8; IV_LEN] {
        let now = *self.nonce;
        let (_, counter) = self.nonce.split_last_chunk_mut::<8>().expect("12 bytes are at least 8");
        *counter = u64::from_be_bytes(*counter).wrapping_add(1).to_be_bytes();
        now
    }
}

/// Takes as many bytes of the key as the cipher needs.
fn aes<C: KeyInit>(key: &[u8; KEY_LEN]) -> C {
    C::new_from_slice(&key[..C::key_size()]).expect("the slice has the cipher's key size")
}

/// A block of GHASH, filled up with zeroes, as POLYVAL takes it (RFC 8452 appendix A).
fn reversed(bytes: &[u8]) -> Block {
    let mut block = [0; 16];
    block[..bytes.len()].copy_from_slice(bytes);
    u128::from_be_bytes(block).to_le_bytes().into()
}
