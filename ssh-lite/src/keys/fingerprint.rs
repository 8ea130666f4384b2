use core::fmt;

use sha2::{Digest, Sha256};

use super::base64;

/// The SHA-256 hash of a public key blob.
///
/// Displays as `ssh-keygen -l` does: `SHA256:` and 43 characters of base 64.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Fingerprint([u8; 32]);

/// The fingerprint of a public key blob (RFC 4253 section 6.6), of whatever type it is.
pub fn fingerprint(blob: &[u8]) -> Fingerprint {
    Fingerprint(Sha256::digest(blob).into())
}

impl Fingerprint {
    /// The hash itself, 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHA256:")?;
        base64::encode_unpadded(&self.0, f)
    }
}
