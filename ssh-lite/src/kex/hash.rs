//! The exchange hash H (RFC 4253 section 8, RFC 5656 section 4).

use super::Secret;
use sha2::{Digest, Sha256};

/// SHA-256 over the strings that H is made of, in their order. Every method here uses SHA-256, so
/// that the KEXINITs need not be kept until the method has run.
pub struct Transcript(Sha256);

impl Transcript {
    pub fn new() -> Self {
        Self(Sha256::new())
    }

    /// Adds the `string` that is the concatenation of `parts`.
    pub fn string(mut self, parts: &[&[u8]]) -> Self {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        self.0.update((len as u32).to_be_bytes());
        parts.iter().for_each(|part| self.0.update(part));
        self
    }

    /// H, of which the shared secret is the last part.
    pub fn finish(mut self, secret: &Secret) -> [u8; 32] {
        self.0.update(secret.encoded());
        self.0.finalize().into()
    }
}
