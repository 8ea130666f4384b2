use core::{error, fmt, ops::RangeInclusive};

use p256::{AffinePoint, elliptic_curve::point::AffineCoordinates};

use super::positive;
use crate::wire::{Reader, WireError};

/// The sizes of RSA keys that are accepted. NIST SP 800-131A asks for 2048; above 4096 a
/// verification costs more than it protects, and the arithmetic has a fixed size.
const RSA_BITS: RangeInclusive<usize> = 2048..=4096;

/// A public key that signatures can be verified with: on its curve, or of an accepted size.
#[derive(Clone, Copy, Debug)]
pub enum PublicKey<'a> {
    /// RFC 8709 section 4.
    Ed25519(ed25519_dalek::VerifyingKey),
    /// RFC 5656 section 3.1.
    EcdsaP256(p256::ecdsa::VerifyingKey),
    /// RFC 4253 section 6.6.
    Rsa(RsaKey<'a>),
}

/// An RSA key of an accepted size, with an odd modulus and an odd exponent of at least 3.
#[derive(Clone, Copy, Debug)]
pub struct RsaKey<'a> {
    modulus: &'a [u8],
    exponent: u32,
}

impl<'a> PublicKey<'a> {
    /// The names of the key types, as they stand in a blob and in front of one in a file.
    pub const TYPES: [&'static str; 3] = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"];

    /// Reads a public key blob.
    pub fn parse(blob: &'a [u8]) -> Result<Self, KeyError> {
        let mut reader = Reader::new(blob);
        let key = match reader.string()? {
            b"ssh-ed25519" => Self::Ed25519(ed25519(&mut reader)?),
            b"ecdsa-sha2-nistp256" => Self::EcdsaP256(ecdsa_p256(&mut reader)?),
            b"ssh-rsa" => Self::Rsa(RsaKey::parse(&mut reader)?),
            _ => return Err(KeyError::Type),
        };
        reader.finish()?;
        Ok(key)
    }

    pub const fn type_name(&self) -> &'static str {
        let [ed25519, ecdsa_p256, rsa] = Self::TYPES;
        match self {
            Self::Ed25519(_) => ed25519,
            Self::EcdsaP256(_) => ecdsa_p256,
            Self::Rsa(_) => rsa,
        }
    }
}

fn ed25519(reader: &mut Reader<'_>) -> Result<ed25519_dalek::VerifyingKey, KeyError> {
    let point = reader.string()?.try_into().map_err(|_| KeyError::Malformed)?;
    let key = ed25519_dalek::VerifyingKey::from_bytes(point).map_err(|_| KeyError::Point)?;
    // Under a key of small order, signatures hold for messages that nobody signed.
    if key.is_weak() { Err(KeyError::SmallOrder) } else { Ok(key) }
}

fn ecdsa_p256(reader: &mut Reader<'_>) -> Result<p256::ecdsa::VerifyingKey, KeyError> {
    if reader.string()? != b"nistp256" {
        return Err(KeyError::Malformed);
    }
    // RFC 5656 section 3.1 lets a point be compressed, OpenSSH does not: with one form for each
    // key, keys can be compared by their bytes.
    let [4, coordinates @ ..] = reader.string()? else { return Err(KeyError::Point) };
    let (&[x, y], []) = coordinates.as_chunks() else { return Err(KeyError::Point) };
    let point = AffinePoint::from_coordinates(&x.into(), &y.into()).into_option().ok_or(KeyError::Point)?;
    p256::ecdsa::VerifyingKey::from_affine(point).map_err(|_| KeyError::Point)
}

impl<'a> RsaKey<'a> {
    fn parse(reader: &mut Reader<'a>) -> Result<Self, KeyError> {
        let exponent = positive(reader).ok_or(KeyError::Malformed)?;
        let modulus = positive(reader).ok_or(KeyError::Malformed)?;
        let bits = modulus.len() * 8 - modulus[0].leading_zeros() as usize;
        if !RSA_BITS.contains(&bits) {
            return Err(KeyError::RsaBits(bits));
        }
        // 32 bits bound the work of a verification, and hold every exponent in use (3, 17, 65537).
        let exponent = exponent
            .iter()
            .try_fold(0u32, |e, &digit| e.checked_mul(256)?.checked_add(digit.into()))
            .filter(|&e| e >= 3 && e % 2 == 1)
            .ok_or(KeyError::RsaExponent)?;
        if modulus[modulus.len() - 1] % 2 == 0 {
            return Err(KeyError::RsaEven);
        }
        Ok(Self { modulus, exponent })
    }

    /// Big endian, 256 to 512 bytes, the first one not zero.
    pub const fn modulus(&self) -> &'a [u8] {
        self.modulus
    }

    pub const fn exponent(&self) -> u32 {
        self.exponent
    }
}

/// Why a public key blob is not a key that can be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyError {
    /// A type of key that is not supported.
    Type,
    /// The fields are not those of the key's type, or bytes follow them.
    Malformed,
    /// The point is not on the curve, or not in the form that the key's type has.
    Point,
    /// An Ed25519 point of small order.
    SmallOrder,
    /// An RSA modulus of so many bits: fewer than 2048 or more than 4096.
    RsaBits(usize),
    /// An RSA exponent that is even, 1, or above 32 bits.
    RsaExponent,
    /// An even RSA modulus.
    RsaEven,
}

impl From<WireError> for KeyError {
    fn from(_: WireError) -> Self {
        Self::Malformed
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type => f.write_str("keys of its type are not supported"),
            Self::Malformed => f.write_str("the key is damaged"),
            Self::Point => f.write_str("the key is not a point of its curve"),
            Self::SmallOrder => f.write_str("the key is a point of small order, which proves nothing"),
            Self::RsaBits(bits) => {
                let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
                write!(f, "the RSA key has {bits} bits, not {least} to {most}")
            }
            Self::RsaExponent => f.write_str("the RSA exponent is even, 1 or above 32 bits"),
            Self::RsaEven => f.write_str("the RSA modulus is even"),
        }
    }
}

impl error::Error for KeyError {}

/// The blob of an Ed25519 public key: `string "ssh-ed25519"`, `string key` (RFC 8709 section 4).
#[inline(never)] // seven times in the callers otherwise
pub fn ed25519_blob(key: &[u8; 32]) -> [u8; 51] {
    let mut blob = *b"\0\0\0\x0bssh-ed25519\0\0\0\x20................................";
    blob[19..].copy_from_slice(key);
    blob
}

#[cfg(test)]
mod tests;
