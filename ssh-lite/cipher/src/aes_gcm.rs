//! aes128-gcm@openssh.com and aes256-gcm@openssh.com (RFC 5647): the length is authenticated and
//! sent in the clear, the nonce is a fixed field and a counter of the packets.

use crate::{BadTag, IV_LEN, KEY_LEN, LENGTH_LEN, TAG_LEN};
use aes_gcm::{
    AeadInOut, KeyInit,
    aead::{array::typenum::Unsigned, consts::U12},
    aes::cipher::{BlockCipherEncrypt, BlockSizeUser, consts::U16},
};
use zeroize::Zeroizing;

pub struct AesGcm<Aes> {
    cipher: aes_gcm::AesGcm<Aes, U12>,
    nonce: Zeroizing<[u8; IV_LEN]>,
}

impl<Aes> AesGcm<Aes>
where
    Aes: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + KeyInit,
{
    pub fn new(key: &[u8; KEY_LEN], iv: &[u8; IV_LEN]) -> Self {
        let key = &key[..Aes::KeySize::USIZE];
        Self {
            cipher: KeyInit::new_from_slice(key).expect("the slice has the cipher's key size"),
            nonce: Zeroizing::new(*iv),
        }
    }

    pub fn seal(&mut self, length: [u8; LENGTH_LEN], body: &mut [u8]) -> [u8; TAG_LEN] {
        let nonce = self.next_nonce();
        self.cipher
            .encrypt_inout_detached(&nonce.into(), &length, body.into())
            .expect("a packet is far shorter than GCM's limit of 64 GiB")
            .into()
    }

    pub fn open(&mut self, length: [u8; LENGTH_LEN], body: &mut [u8], tag: &[u8; TAG_LEN]) -> Result<(), BadTag> {
        let nonce = self.next_nonce();
        self.cipher.decrypt_inout_detached(&nonce.into(), &length, body.into(), tag.into()).map_err(|_| BadTag)
    }

    /// RFC 5647 section 7.1: the last 8 bytes are the invocation counter, which counts packets.
    fn next_nonce(&mut self) -> [u8; IV_LEN] {
        let now = *self.nonce;
        let (_, counter) = self.nonce.split_last_chunk_mut::<8>().expect("12 bytes are at least 8");
        *counter = u64::from_be_bytes(*counter).wrapping_add(1).to_be_bytes();
        now
    }
}

#[cfg(target_arch = "aarch64")]
cpufeatures::new!(cpu, "aes");

/// Whether this CPU has instructions for AES and for GHASH's multiplication.
pub fn accelerated() -> bool {
    #[cfg(target_arch = "aarch64")]
    return cpu::get();
    // Not by cpufeatures, which is told in the image that they are there (cpud-min/image.toml).
    #[cfg(target_arch = "x86_64")]
    {
        const AES_AND_PCLMULQDQ: u32 = 1 << 25 | 1 << 1;
        core::arch::x86_64::__cpuid(1).ecx & AES_AND_PCLMULQDQ == AES_AND_PCLMULQDQ
    }
}
