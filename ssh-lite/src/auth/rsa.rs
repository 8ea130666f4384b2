//! RSASSA-PKCS1-v1_5 verification (RFC 8017 section 8.2.2).

use super::montgomery::{MODULUS_MAX, Modulus, Number};
use crate::keys::RsaKey;

/// The DER of a `DigestInfo` up to the hash (RFC 8017 section 9.2, note 1).
pub type DigestInfo = [u8; 19];

pub const SHA256: DigestInfo =
    [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

pub const SHA512: DigestInfo =
    [0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40];

/// Whether `signature` is one of `hash` by `key`.
///
/// The message that the signature stands for is not parsed: the one encoding that is right is made
/// and the two are compared whole, which leaves no room for Bleichenbacher's forgeries with small
/// exponents.
pub fn verify(key: &RsaKey<'_>, digest_info: &DigestInfo, hash: &[u8], signature: &[u8]) -> bool {
    let size = key.modulus().len();
    // Not `!=`: some signers omit leading zeros, which a verifier may accept (RFC 8332 section 3).
    if signature.len() > size {
        return false;
    }
    let Some(message) = Modulus::new(key.modulus()).power(signature, key.exponent()) else {
        return false;
    };
    // EMSA-PKCS1-v1_5 (RFC 8017 section 9.2): 0, 1, padding, 0, DigestInfo, hash. A key has at least 256
    // bytes, so there is padding.
    let mut expected = [0xff; MODULUS_MAX];
    let expected = &mut expected[..size];
    let (info, end) = (size - hash.len() - digest_info.len(), size - hash.len());
    expected[..2].copy_from_slice(&[0, 1]);
    expected[info - 1] = 0;
    expected[info..end].copy_from_slice(digest_info);
    expected[end..].copy_from_slice(hash);
    message == Number::from_big_endian(expected)
}
