use p256::ecdsa::signature::Verifier;
use sha2::{Digest, Sha256, Sha512};

use super::{Refused, SIGNATURE_ALGORITHMS, rsa};
use crate::keys::{PublicKey, RsaKey, positive};
use crate::wire::{Reader, WireError};

/// A public key together with the algorithm that its signatures are made by.
#[derive(Clone, Copy, Debug)]
pub enum Scheme<'a> {
    /// `ssh-ed25519` (RFC 8709 section 6).
    Ed25519(ed25519_dalek::VerifyingKey),
    /// `ecdsa-sha2-nistp256` (RFC 5656 section 3.1).
    EcdsaP256(p256::ecdsa::VerifyingKey),
    /// `rsa-sha2-256` (RFC 8332 section 3).
    RsaSha256(RsaKey<'a>),
    /// `rsa-sha2-512` (RFC 8332 section 3).
    RsaSha512(RsaKey<'a>),
}

impl<'a> Scheme<'a> {
    /// From the name of a signature algorithm and a public key blob.
    pub fn new(algorithm: &str, key: &'a [u8]) -> Result<Self, Refused> {
        if !SIGNATURE_ALGORITHMS.split(',').any(|name| name == algorithm) {
            return Err(Refused::Algorithm);
        }
        match (algorithm, PublicKey::parse(key).map_err(Refused::Key)?) {
            ("ssh-ed25519", PublicKey::Ed25519(key)) => Ok(Self::Ed25519(key)),
            ("ecdsa-sha2-nistp256", PublicKey::EcdsaP256(key)) => Ok(Self::EcdsaP256(key)),
            ("rsa-sha2-256", PublicKey::Rsa(key)) => Ok(Self::RsaSha256(key)),
            ("rsa-sha2-512", PublicKey::Rsa(key)) => Ok(Self::RsaSha512(key)),
            _ => Err(Refused::KeyType),
        }
    }

    const fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "ssh-ed25519",
            Self::EcdsaP256(_) => "ecdsa-sha2-nistp256",
            Self::RsaSha256(_) => "rsa-sha2-256",
            Self::RsaSha512(_) => "rsa-sha2-512",
        }
    }

    /// Verifies `signature`, which is `string algorithm`, `string blob`, over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Refused> {
        let mut reader = Reader::new(signature);
        if reader.string()? != self.algorithm().as_bytes() {
            return Err(Refused::SignatureAlgorithm);
        }
        let blob = reader.string()?;
        reader.finish()?;
        let good = match self {
            Self::Ed25519(key) => {
                let blob = blob.try_into().map_err(|_| Refused::SignatureMalformed)?;
                key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(blob)).is_ok()
            }
            Self::EcdsaP256(key) => key.verify(message, &ecdsa_signature(blob)?).is_ok(),
            Self::RsaSha256(key) => rsa::verify(key, &rsa::SHA256, &Sha256::digest(message), blob),
            Self::RsaSha512(key) => rsa::verify(key, &rsa::SHA512, &Sha512::digest(message), blob),
        };
        if good { Ok(()) } else { Err(Refused::SignatureWrong) }
    }
}

/// `mpint r`, `mpint s`, each from 1 to the order of the group less 1 (RFC 5656 section 3.1.2).
fn ecdsa_signature(blob: &[u8]) -> Result<p256::ecdsa::Signature, Refused> {
    let mut reader = Reader::new(blob);
    let mut scalar = || {
        let digits = positive(&mut reader).ok_or(Refused::SignatureMalformed)?;
        let start = 32usize.checked_sub(digits.len()).ok_or(Refused::SignatureMalformed)?;
        let mut scalar = [0; 32];
        scalar[start..].copy_from_slice(digits);
        Ok::<_, Refused>(scalar)
    };
    let (r, s) = (scalar()?, scalar()?);
    reader.finish()?;
    p256::ecdsa::Signature::from_scalars(r, s).map_err(|_| Refused::SignatureMalformed)
}

impl From<WireError> for Refused {
    fn from(_: WireError) -> Self {
        Self::SignatureMalformed
    }
}

#[cfg(test)]
mod tests;
